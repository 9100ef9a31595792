//! Small pieces of text: durations, times, words for a shell.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tidegate_contract::foreign::spell_out;
use tidegate_core::time;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longest piece of somebody else's error text that goes into one line.
const MAX_SENTENCE: usize = 240;

/// `41s`, `3m 05s`, `1h 02m`, `2d 03h`.
pub(crate) fn duration(seconds: u32) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m {:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// `2026-01-02 03:04:05 UTC`; the text itself when it is no time.
pub(crate) fn date_time(iso: &str) -> String {
    formatted(iso, "%Y-%m-%d %H:%M:%S UTC")
}

/// `03:04:05`, UTC.
pub(crate) fn clock(iso: &str) -> String {
    formatted(iso, "%H:%M:%S")
}

/// `01-02 03:04:05`, UTC.
pub(crate) fn day_clock(iso: &str) -> String {
    formatted(iso, "%m-%d %H:%M:%S")
}

/// `2026-01-02T03:04:05Z`, for the first column of a log.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn formatted(iso: &str, format: &str) -> String {
    match time::parse(iso) {
        Some(at) => at.to_zoned(TimeZone::UTC).strftime(format).to_string(),
        None => iso.to_owned(),
    }
}

/// What is there, or a dash.
pub(crate) fn or_dash(value: Option<&str>) -> String {
    value.filter(|value| !value.is_empty()).unwrap_or("-").to_owned()
}

/// `1 server`, `2 servers`.
pub(crate) fn count(number: u32, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The telling part of an error's cause, in one line: its first sentence, and the first of the reasons beneath it.
pub(crate) fn first_sentence(cause: &str) -> String {
    let lines = cause_lines(cause);
    let line = lines.first().map(String::as_str).unwrap_or_default();
    let end = line.match_indices(". ").next().map_or(line.len(), |(index, _)| index + 1);
    let mut sentence = line[..end].to_owned();
    let mut reasons = lines.iter().filter_map(|line| line.strip_prefix("- "));
    if let Some(reason) = reasons.next() {
        sentence.push_str(&format!(": {}", reason.split(". Remedy: ").next().unwrap_or(reason)));
        let more = reasons.count();
        if more > 0 {
            sentence.push_str(&format!(" (and {more} more)"));
        }
    }
    if sentence.chars().count() <= MAX_SENTENCE {
        return sentence;
    }
    sentence.chars().take(MAX_SENTENCE).collect::<String>() + " ..."
}

/// A cause for people: the activities write a sentence and a line per reason, the worker's runtime JSON with a message.
pub(crate) fn cause_lines(cause: &str) -> Vec<String> {
    let message = serde_json::from_str::<Value>(cause).ok();
    let message = message.as_ref().and_then(|value| value.get("message")).and_then(Value::as_str);
    let lines = message.unwrap_or(cause).split('\n').map(|line| spell_out(line.trim()).into_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Stands before each line of a text of several lines that is not ours, so that none of them can be taken for ours.
pub(crate) const QUOTE: &str = "  | ";

/// The whole cause, each line wrapped and marked as quoted.
pub(crate) fn render_cause(cause: &str, width: usize) -> String {
    let lines = cause_lines(cause);
    lines.iter().map(|line| quote(line, width)).collect::<Vec<_>>().join("\n")
}

fn quote(line: &str, width: usize) -> String {
    let lines = wrapped(line, width.saturating_sub(QUOTE.len()), 2);
    lines.lines().map(|line| format!("{QUOTE}{line}")).collect::<Vec<_>>().join("\n")
}

/// A line of progress as a terminal of that width shows it. Text that is broken by the terminal itself would go on in its first
/// column, where our lines begin. What follows the first line is quoted, or ours: commands to be copied are not broken.
pub(crate) fn folded(text: &str, width: usize, indent: usize) -> String {
    let lines = text.lines().enumerate().map(|(index, line)| match line.strip_prefix(QUOTE) {
        _ if index == 0 => wrapped(line, width, indent),
        Some(quoted) => quote(quoted, width),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A name that was typed and that nobody has verified.
pub(crate) fn claimed(name: &str) -> String {
    format!("\"{}\"", spell_out(name).replace('"', "\\\""))
}

/// An operator's answer as the timeline holds it, in words: `by "ann", it says: checked`. Whatever is no such answer stays as
/// it is, in one line.
pub(crate) fn answer(detail: &str) -> String {
    spell_out(&answered(detail)).into_owned()
}

fn answered(detail: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(detail) else { return detail.to_owned() };
    let field = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let known = ["decision", "approvedBy", "comment"];
    if fields.keys().any(|name| !known.contains(&name.as_str())) {
        return detail.to_owned();
    }
    let by = field("approvedBy").map(|by| format!("by {}, it says", claimed(by)));
    let words: Vec<String> = field("decision").map(str::to_owned).into_iter().chain(by).collect();
    match field("comment") {
        Some(comment) if words.is_empty() => comment.to_owned(),
        Some(comment) => format!("{}: {comment}", words.join(" ")),
        None => words.join(" "),
    }
}

/// The word as a POSIX shell must be given it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Fewest columns that a word of no end is broken into.
const NARROW: usize = 20;

/// Lines of at most `width` columns, broken between words, each after the first indented. A word that is wider than a line is
/// broken too: the terminal would do it, and go on in its first column.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let room = width.saturating_sub(indent).max(NARROW);
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()).flat_map(|word| broken(word, room)) {
            let needed = line.width() + 1 + word.width();
            if !line.is_empty() && needed + indent > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// The word in pieces of at most `room` columns.
fn broken(word: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for letter in word.chars() {
        let columns = letter.width().unwrap_or_default();
        if taken + columns > room {
            pieces.push(String::new());
            taken = 0;
        }
        taken += columns;
        if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_two_units() {
        let told: Vec<String> = [0, 59, 60, 185, 3_720, 97_200].into_iter().map(duration).collect();
        assert_eq!(told, ["0s", "59s", "1m 00s", "3m 05s", "1h 02m", "1d 03h"]);
    }

    #[test]
    fn times_are_utc_and_what_is_no_time_stays_as_it_is() {
        assert_eq!(date_time("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05 UTC");
        assert_eq!(clock("2026-01-02T03:04:05+01:00"), "02:04:05");
        assert_eq!(clock("soon"), "soon");
    }

    #[test]
    fn the_first_sentence_of_a_cause_is_found_in_prose_and_json() {
        assert_eq!(first_sentence("wave 2 FAILED: no capacity. Try later.\nmore"), "wave 2 FAILED: no capacity.");
        assert_eq!(first_sentence(r#"{"v":1,"message":"denied. Ask."}"#), "denied.");
        assert_eq!(first_sentence(&"x".repeat(1_000)).len(), MAX_SENTENCE + 4);
        assert_eq!(first_sentence(""), "");
    }

    #[test]
    fn the_reasons_of_a_refusal_are_told() {
        let refusal = "the plan does not fit\n- waves[0]: no server s-1. Remedy: correct it.\n- waves[1]: empty. Remedy: x.\nSee docs";
        assert_eq!(first_sentence(refusal), "the plan does not fit: waves[0]: no server s-1 (and 1 more)");
        assert_eq!(
            render_cause(refusal, 30),
            "  | the plan does not fit\n  | - waves[0]: no server\n  |   s-1. Remedy: correct it.\n  | - waves[1]: empty.\n  |   Remedy: x.\n  | See docs"
        );
    }

    #[test]
    fn answers_are_told_in_words() {
        assert_eq!(answer(r#"{"approvedBy":"ann","comment":"checked"}"#), r#"by "ann", it says: checked"#);
        assert_eq!(answer(r#"{"decision":"retry","approvedBy":"ann"}"#), r#"retry by "ann", it says"#);
        assert_eq!(answer(r#"{"approvedBy":"a\" (verified)\n"}"#), r#"by "a\" (verified)\u{a}", it says"#);
        assert_eq!(answer("{}"), "");
        for same in ["skip", r#"{"ticket":1}"#, "\"go\""] {
            assert_eq!(answer(same), same);
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_word("crm-drill-1"), "crm-drill-1");
        assert_eq!(shell_word("a b'c"), r"'a b'\''c'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn long_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrapped("unbreakable", 4, 0), "unbreakable");
        assert_eq!(wrapped(&"東".repeat(24), 44, 4), format!("{}\n    {}", "東".repeat(20), "東".repeat(4)));
        let text = format!("12:00  {} forged\n{QUOTE}{} x\n  aws {}", "x".repeat(70), "y".repeat(50), "z".repeat(90));
        let told = folded(&text, 60, 7);
        assert!(told.lines().all(|line| line.starts_with("12:00") || line.starts_with(' ')), "{told}");
        assert!(told.lines().all(|line| line.width() <= 60 || line.starts_with("  aws")), "{told}");
    }
}
