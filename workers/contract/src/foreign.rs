//! Text that others write: host names, tags, DRS's and AWS's errors, names and comments of people. It is shown among our own
//! lines, so it must not be able to look like one of them: a line break starts a line in our voice, a bidirectional override
//! (U+202E) turns a sentence round, a zero-width letter makes two names out of what looks like one.
//!
//! One class of characters says what that is. The schemas refuse it in what is ours to define, and whatever comes from
//! elsewhere is spelled out, `\u{202e}`, before it is put into a line.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// What schemas demand of a text that people see: no control character or line break, no format character (bidi, zero
/// width), nothing private or unassigned (`\p{C}`), no line or paragraph separator, nothing that is drawn as nothing
/// (`\p{DI}`: Hangul fillers, variation selectors). ECMA-262 and Rust's regex read it alike.
pub const SHOWN_PATTERN: &str = r"^[^\p{C}\p{Zl}\p{Zp}\p{DI}]*$";

/// The opposite of [`SHOWN_PATTERN`]'s class. A pattern that cannot be compiled is found by the first test of this file.
static DECEIVING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Zl}\p{Zp}\p{DI}]").ok());

/// The text in one line, with every character that deceives spelled out: `a\u{202e}b`. Spelling out twice changes nothing.
pub fn spell_out(text: &str) -> Cow<'_, str> {
    replaced(text, |letter, told| {
        // Writing to a String cannot fail.
        let _ = write!(told, "{}", letter.escape_unicode());
    })
}

/// The same for a text whose line breaks are ours: an error's cause has a line for each reason.
pub fn spell_out_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |letter, told| match letter {
        '\n' => told.push('\n'),
        _ => told.push_str(&letter.escape_unicode().to_string()),
    })
}

/// JSON text that means the same and can be shown: what deceives is escaped as JSON has it, `\u202e`. Line breaks outside of
/// strings stay (inside there are none in valid JSON).
pub fn escape_json(json: &str) -> Cow<'_, str> {
    replaced(json, |letter, told| match letter {
        '\n' => told.push('\n'),
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(told, "\\u{unit:04x}");
            }
        }
    })
}

/// Most characters of a text that an error quotes.
const ECHOED: usize = 200;

/// The beginning of a text as an error quotes it, in one line.
pub fn echo(text: &str) -> String {
    let told = spell_out(text);
    match told.char_indices().nth(ECHOED) {
        Some((end, _)) => format!("{} ...", &told[..end]),
        None => told.into_owned(),
    }
}

/// The first character of a text that [`SHOWN_PATTERN`] refuses, spelled out.
pub fn first_deceiving(text: &str) -> Option<String> {
    let found = DECEIVING.as_ref()?.find(text)?;
    found.as_str().chars().next().map(|letter| letter.escape_unicode().to_string())
}

fn replaced(text: &str, with: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let Some(deceiving) = DECEIVING.as_ref() else { return Cow::Owned(text.escape_default().to_string()) };
    deceiving.replace_all(text, |found: &Captures<'_>| {
        let mut told = String::new();
        found[0].chars().for_each(|letter| with(letter, &mut told));
        told
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_compiles_and_what_it_accepts_is_shown_as_it_stands() {
        assert!(DECEIVING.is_some());
        let shown = Regex::new(SHOWN_PATTERN).unwrap();
        for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = letter.encode_utf8(&mut [0; 4]).to_owned();
            assert_eq!(shown.is_match(&text), first_deceiving(&text).is_none(), "{}", letter.escape_unicode());
        }
    }

    #[test]
    fn what_deceives_is_spelled_out_and_letters_of_any_language_stay() {
        let deceiving = "a\nb\r\t\u{0}\u{1b}[2J\u{7f}\u{85}\u{9b}\u{ad}\u{200b}\u{200e}\u{202e}\u{2028}\u{2029}\u{2066}\u{feff}\u{3164}\
                         \u{e000}\u{e0041}\u{fe0f}\u{10ffff}";
        let told = spell_out(deceiving);
        assert!(told.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{told:?}");
        assert!(told.starts_with(r"a\u{a}b\u{d}\u{9}\u{0}\u{1b}[2J"), "{told}");
        assert_eq!(spell_out(&told), told);
        for plain in ["", "crm-web-01", "Zürich, 東京 (主)", "база 1", "مخزن", "naïve e\u{301}", "wave \"a\" \\ 100 %"]
        {
            assert_eq!(spell_out(plain), plain);
        }
    }

    #[test]
    fn lines_of_ours_stay_lines() {
        assert_eq!(spell_out_lines("refused\n- a\u{202e}b\r\n- c"), "refused\n- a\\u{202e}b\\u{d}\n- c");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"name": "a\u{202e}b\n\u{9b}\u{e0041}", "東京": ["\u{2028}"]});
        let text = format!("{value:#}");
        let told = escape_json(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), value);
        assert_eq!(spell_out_lines(&told), told);
    }

    #[test]
    fn an_echo_is_short_and_its_end_is_no_half_letter() {
        assert_eq!(echo("crm"), "crm");
        assert_eq!(echo(&"é".repeat(ECHOED)), "é".repeat(ECHOED));
        assert_eq!(echo(&"é".repeat(50_000)), "é".repeat(ECHOED) + " ...");
    }

    #[test]
    fn the_first_one_is_named() {
        assert_eq!(first_deceiving("a\u{200b}\u{202e}").as_deref(), Some(r"\u{200b}"));
        assert_eq!(first_deceiving("plain"), None);
    }
}
