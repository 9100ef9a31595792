//! What stands behind a `.$`: a path, a context path, or an intrinsic function with arguments.

/// The functions an expression calls and the paths it reads, context paths (`$$.`) included.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) functions: Vec<String>,
    pub(crate) paths: Vec<String>,
}

/// Reads an expression; a text that is none gives an empty one.
pub(crate) fn read(text: &str) -> Expression {
    let mut found = Expression::default();
    if text.starts_with('$') {
        found.paths.push(text.to_owned());
        return found;
    }
    let mut word = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => skip_quoted(&mut letters),
            '(' => found.functions.push(std::mem::take(&mut word)),
            ',' | ')' | ' ' => take_path(&mut word, &mut found),
            _ => word.push(letter),
        }
    }
    found
}

fn skip_quoted(letters: &mut std::str::Chars<'_>) {
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\'' => return,
            _ => {}
        }
    }
}

fn take_path(word: &mut String, found: &mut Expression) {
    let argument = std::mem::take(word);
    if argument.starts_with('$') {
        found.paths.push(argument);
    }
}

/// The fields a plain path walks: `$.cursor.wave` -> cursor, wave. None for a context path, and for one that is not plain
/// (`path-plain` reports those).
pub(crate) fn fields(path: &str) -> Option<Vec<&str>> {
    if path == "$" {
        return Some(Vec::new());
    }
    let fields: Vec<&str> = path.strip_prefix("$.")?.split('.').collect();
    fields.iter().all(|field| is_name(field)).then_some(fields)
}

/// `$.a.b` or `$$.A.B`, and nothing more: no filter, wildcard, index or recursive descent.
pub(crate) fn is_plain(path: &str) -> bool {
    fields(path.strip_prefix("$$").map_or(path, |_| &path[1..])).is_some()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_functions_quotes_and_context_paths_are_read() {
        let read =
            read("States.Format('a, $.not {}', States.ArrayGetItem($.run.waves, $.cursor.index), $$.Execution.Name)");
        assert_eq!(read.functions, ["States.Format", "States.ArrayGetItem"]);
        assert_eq!(read.paths, ["$.run.waves", "$.cursor.index", "$$.Execution.Name"]);
    }

    #[test]
    fn only_dotted_names_are_plain() {
        for good in ["$", "$$", "$.a.b", "$$.Execution.Name"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["$..a", "$.a[0]", "$.a[*]", "$.a[?(@.b)]", "$.", "a"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
