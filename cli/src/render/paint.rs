//! Colours, as the very last step: status words in a finished text are wrapped in ANSI codes, so that no renderer and no
//! column width ever has to know about them.

const RED: &str = "31;1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const WHITE_ON_RED: &str = "97;41;1";
const BLACK_ON_CYAN: &str = "30;46";

/// The text with every status word coloured.
pub(crate) fn paint(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() + 64);
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_ascii_uppercase() || letter == '_' {
            word.push(letter);
            continue;
        }
        // A word that goes on in lower case or digits (`FAILEDx`) is none of ours.
        finish(&mut painted, &mut word, !letter.is_alphanumeric());
        painted.push(letter);
    }
    finish(&mut painted, &mut word, true);
    painted
}

fn finish(painted: &mut String, word: &mut String, whole: bool) {
    let starts_a_word = !painted.ends_with(|before: char| before.is_alphanumeric() || before == '-');
    match tone(word).filter(|_| whole && starts_a_word) {
        Some(tone) => painted.push_str(&format!("\u{1b}[{tone}m{word}\u{1b}[0m")),
        None => painted.push_str(word),
    }
    word.clear();
}

fn tone(word: &str) -> Option<&'static str> {
    Some(match word {
        "COMPLETED" | "LAUNCHED" | "SUCCEEDED" => GREEN,
        "FAILED" | "TIMED_OUT" | "ABORTED" => RED,
        "PARTIAL" | "PAUSED" | "CANCELLED" | "PARTIALLY_SUCCEEDED" | "SKIPPED" => YELLOW,
        "IN_PROGRESS" | "POLLING" | "STARTING" | "RUNNING" => CYAN,
        "RECOVERY" => WHITE_ON_RED,
        "DRILL" => BLACK_ON_CYAN,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_painted_and_nothing_else() {
        assert_eq!(paint("status FAILED."), "status \u{1b}[31;1mFAILED\u{1b}[0m.");
        for same in ["", "failed", "FAILEDx", "xFAILED", "FAILED2", "wave-FAILED", "CRM"] {
            assert_eq!(paint(same), same);
        }
        assert_eq!(paint("DRILL"), "\u{1b}[30;46mDRILL\u{1b}[0m");
    }

    #[test]
    fn painting_changes_no_visible_letter() {
        let text = "DRILL crm PARTIAL 3/9\nIN_PROGRESS  LAUNCHED é";
        assert_eq!(console::strip_ansi_codes(&paint(text)), text);
    }
}
