//! What people do to a run: they answer gates and set flags. Remembered, because some promises are made to people: nothing
//! goes on before they have spoken, and what they asked for happens.

use crate::machine::{Event, Token};
use crate::script::{Answer, Word};
use jiff::Timestamp;
use serde_json::json;

/// Something a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    pub execution_id: String,
    pub what: ActKind,
}

/// What it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActKind {
    /// A flag was set: `pauseRequested` or `cancelRequested`.
    Request(&'static str),
    /// A gate, opened in this state, was answered, and Step Functions took the answer.
    Answer { state: String, word: Word },
}

fn decline(token: Token, error: Option<&str>, cause: Option<&str>) -> Event {
    Event::Failure { token, error: error.map(str::to_owned), cause: cause.map(str::to_owned) }
}

/// The call a person makes with a gate's token; None: nobody calls.
pub fn event(answer: Answer, token: Token) -> Option<Event> {
    let decision = |word: &str| json!({ "decision": word, "approvedBy": "sim" });
    let output = match answer.word {
        Word::Silence => return None,
        Word::Decline => {
            return Some(decline(token, Some("Declined"), Some("not today")));
        }
        // Both are optional, and most people type neither.
        Word::DeclineBare => return Some(decline(token, None, None)),
        Word::DeclineError => return Some(decline(token, Some("Declined"), None)),
        Word::DeclineCause => return Some(decline(token, None, Some("not today"))),
        Word::Resume => json!({}),
        Word::ResumeNamed => json!({ "approvedBy": "sim" }),
        Word::ResumeNumber => json!(42),
        Word::Nonsense => json!("what?"),
        Word::Retry => decision("retry"),
        Word::Skip => decision("skip"),
        Word::Continue => decision("continue"),
        Word::Abort => decision("abort"),
    };
    Some(Event::Success { token, output })
}
