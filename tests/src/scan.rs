//! Reading Rust source as text: what is shipped code in a file, and does it contain a word.

/// The lines of shipped code with their numbers from 1: no comments, no declaration of a test module, and nothing from an
/// inline test module on (it stands last in a file, by our convention).
pub fn shipped_lines(source: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut is_test_item = false;
    for (index, line) in source.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            is_test_item = true;
            continue;
        }
        if is_test_item && line.starts_with("#[") {
            continue;
        }
        if std::mem::take(&mut is_test_item) && line.starts_with("mod ") {
            if line.ends_with('{') {
                break;
            }
            continue;
        }
        let code = without_comment(line);
        if !code.trim().is_empty() {
            lines.push((index + 1, code));
        }
    }
    lines
}

/// The lines of shipped code that contain one of these words, as words: `now` is not in `known`.
pub fn mentions<'a>(source: &'a str, words: &[&str]) -> Vec<(usize, &'a str)> {
    shipped_lines(source).into_iter().filter(|(_, line)| words.iter().any(|word| has_word(line, word))).collect()
}

fn without_comment(line: &str) -> &str {
    // `//` inside a text is rare enough (addresses) to look for it by hand: an even number of quotes stands before a comment.
    let mut searched = 0;
    while let Some(at) = line[searched..].find("//").map(|at| at + searched) {
        if line[..at].matches('"').count().is_multiple_of(2) {
            return &line[..at];
        }
        searched = at + 2;
    }
    line
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        let goes_on_before = is_part(before) && is_part(word.chars().next());
        let goes_on_after = is_part(after) && is_part(word.chars().next_back());
        !goes_on_before && !goes_on_after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Instant::now\nlet a = Instant::now(); // here\nlet b = known; // now\nlet url = \"http://now\";\n#[cfg(test)]\nmod tests { Instant::now() }\n";

    #[test]
    fn comments_and_tests_are_not_shipped() {
        assert_eq!(mentions(SOURCE, &["Instant::now"]), [(2, "let a = Instant::now(); ")]);
        assert_eq!(shipped_lines(SOURCE).len(), 3);
    }

    #[test]
    fn a_test_module_in_its_own_file_ends_nothing() {
        let source =
            "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\nlet a = now();\n#[cfg(test)]\nfn only_here() {}\n";
        assert_eq!(shipped_lines(source).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 6]);
    }

    #[test]
    fn words_are_whole_words_and_texts_are_code() {
        assert_eq!(mentions(SOURCE, &["now"]).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(mentions("env = \"A\"", &["env ="]).len(), 1);
    }
}
