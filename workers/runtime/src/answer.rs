//! What is answered to the service, and within which limits. Pure: no call is made here.
//!
//! The limits hold by type: an [`Answer`] can only be built from parts that fit, so no sender has to remember them.

use crate::handler::TaskFailure;
use crate::options::ErrorNames;
use serde_json::{Value, json};

/// Longest output of `SendTaskSuccess` (Step Functions quota "task result", 256 KiB, hard).
pub const MAX_OUTPUT_BYTES: usize = 262_144;
/// Longest cause of `SendTaskFailure` (API model). Counted in bytes, the stricter reading.
pub const MAX_CAUSE_BYTES: usize = 32_768;
/// Longest error name of `SendTaskFailure` (API model). Counted in bytes, the stricter reading.
pub const MAX_ERROR_BYTES: usize = 256;

/// The longest prefix of `text` of at most `limit` bytes that ends at a character boundary.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// An error name that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnsweredError(String);

/// A cause that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause(String);

/// A serialized output that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output(String);

/// One answer to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Success(Output),
    Failure { error: AnsweredError, cause: Cause },
}

impl AnsweredError {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Cause {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Output {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Answer {
    pub(crate) fn failure(error: &str, cause: &str) -> Self {
        Self::Failure {
            error: AnsweredError(cut(error, MAX_ERROR_BYTES).to_owned()),
            cause: Cause(cut(cause, MAX_CAUSE_BYTES).to_owned()),
        }
    }

    /// The error name answered, `None` for a success.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Success(_) => None,
            Self::Failure { error, .. } => Some(error.as_str()),
        }
    }
}

/// Who answers: stamped into the causes the runtime writes itself, so that an operator can find the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answerer<'a> {
    pub(crate) names: &'a ErrorNames,
    pub(crate) activity: &'a str,
    pub(crate) worker: &'a str,
}

/// Why the runtime stopped waiting for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The service has given the attempt up.
    TokenDead,
    /// The drain grace is over.
    Shutdown,
    /// The local deadline passed.
    Deadline,
}

/// How a handler ended.
#[derive(Debug)]
pub(crate) enum HandlerEnd {
    Returned(Result<Value, TaskFailure>),
    Panicked(String),
}

impl Answerer<'_> {
    /// A cause of the runtime's own: JSON, like the causes of handlers.
    fn cause(&self, message: &str) -> String {
        json!({ "message": message, "activity": self.activity, "worker": self.worker }).to_string()
    }

    pub(crate) fn internal(&self, message: &str) -> Answer {
        Answer::failure(&self.names.internal, &self.cause(message))
    }

    pub(crate) fn invalid_input(&self, problem: &serde_json::Error) -> Answer {
        let message = format!("the task's input is not JSON: {problem}");
        Answer::failure(&self.names.invalid_input, &self.cause(&message))
    }

    /// The answer to a task that arrived while the worker drains.
    pub(crate) fn refused_while_draining(&self) -> Answer {
        let message = "the worker is draining; the task was not started";
        Answer::failure(&self.names.shutdown, &self.cause(message))
    }

    /// The answer of a handler that ended by itself.
    pub(crate) fn decide_answer(&self, end: HandlerEnd) -> Answer {
        match end {
            HandlerEnd::Returned(Ok(value)) => self.decide_output(&value),
            HandlerEnd::Returned(Err(failure)) if failure.error.is_empty() => {
                self.internal(&format!("the handler failed without an error name: {}", failure.cause))
            }
            HandlerEnd::Returned(Err(failure)) => Answer::failure(&failure.error, &failure.cause),
            HandlerEnd::Panicked(message) => self.internal(&format!("the handler panicked: {message}")),
        }
    }

    /// The answer of a handler that was cancelled. `None`: nobody wants it.
    ///
    /// A success is the truth and is sent. A failure is presumed to come from the cancel, so the machine must see the
    /// cancel's name and try again; what the handler said is kept in the cause.
    pub(crate) fn decide_answer_after_stop(&self, stop: Stop, last_word: Option<HandlerEnd>) -> Option<Answer> {
        let (name, reason) = match stop {
            Stop::TokenDead => return None,
            Stop::Shutdown => (&self.names.shutdown, "the worker is draining and the grace is over"),
            Stop::Deadline => (&self.names.deadline, "the work was still running at the worker's deadline"),
        };
        let said = match last_word {
            Some(HandlerEnd::Returned(Ok(value))) => return Some(self.decide_output(&value)),
            Some(HandlerEnd::Returned(Err(failure))) => format!("; the handler said {failure}"),
            Some(HandlerEnd::Panicked(message)) => format!("; the handler panicked: {message}"),
            None => "; the handler did not stop when asked".to_owned(),
        };
        Some(Answer::failure(name, &self.cause(&format!("{reason}{said}"))))
    }

    /// Refused here rather than by the service: an oversized `SendTaskSuccess` would be rejected, or fail the whole
    /// execution with `States.DataLimitExceeded`, and neither names the activity.
    fn decide_output(&self, value: &Value) -> Answer {
        match serde_json::to_string(value) {
            Ok(text) if text.len() <= MAX_OUTPUT_BYTES => Answer::Success(Output(text)),
            Ok(text) => {
                self.internal(&format!("the output has {} bytes, the service takes {MAX_OUTPUT_BYTES}", text.len()))
            }
            Err(problem) => self.internal(&format!("the output cannot be written as JSON: {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn names() -> ErrorNames {
        let named = |name: &str| name.to_owned();
        ErrorNames {
            shutdown: named("T.Shutdown"),
            internal: named("T.Internal"),
            invalid_input: named("T.InvalidInput"),
            deadline: named("T.Deadline"),
        }
    }

    fn with<T>(decide: impl FnOnce(Answerer<'_>) -> T) -> T {
        let names = names();
        decide(Answerer { names: &names, activity: "poll", worker: "w1" })
    }

    fn parts(answer: &Answer) -> (&str, &str) {
        match answer {
            Answer::Success(output) => ("", output.as_str()),
            Answer::Failure { error, cause } => (error.as_str(), cause.as_str()),
        }
    }

    #[test]
    fn cut_ends_at_a_character_boundary() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("🙂🙂", 7), "🙂");
        assert_eq!(cut("🙂", 3), "");
    }

    #[test]
    fn cause_and_error_name_are_cut_to_the_limits() {
        // A two-byte character straddles the limit: 32,767 bytes fit, 32,768 would split it.
        let answer = Answer::failure(&"e".repeat(300), &format!("x{}", "é".repeat(20_000)));
        let (error, cause) = parts(&answer);
        assert_eq!(error.len(), MAX_ERROR_BYTES);
        assert_eq!(cause.len(), MAX_CAUSE_BYTES - 1);
        assert!(cause.ends_with('é'));
    }

    #[test]
    fn output_of_the_limit_is_sent_and_one_byte_more_is_internal() {
        // A JSON string adds two quotes.
        let fits = Value::String("x".repeat(MAX_OUTPUT_BYTES - 2));
        let over = Value::String("x".repeat(MAX_OUTPUT_BYTES - 1));
        with(|by| {
            let answer = by.decide_answer(HandlerEnd::Returned(Ok(fits)));
            assert_eq!(parts(&answer).1.len(), MAX_OUTPUT_BYTES);
            let answer = by.decide_answer(HandlerEnd::Returned(Ok(over)));
            assert_eq!(parts(&answer).0, "T.Internal");
            assert!(parts(&answer).1.contains("262145 bytes"), "{answer:?}");
        });
    }

    #[test]
    fn runtime_causes_are_json_and_name_activity_and_worker() {
        let answer = with(|by| by.refused_while_draining());
        let cause: Value = serde_json::from_str(parts(&answer).1).unwrap();
        assert_eq!((&cause["activity"], &cause["worker"]), (&json!("poll"), &json!("w1")));
    }

    #[test]
    fn a_failure_without_a_name_is_internal() {
        let end = HandlerEnd::Returned(Err(TaskFailure::new("", "why")));
        let answer = with(|by| by.decide_answer(end));
        assert_eq!(answer.error(), Some("T.Internal"));
    }

    #[test]
    fn after_a_stop_success_is_kept_and_failure_takes_the_reasons_name() {
        let ok = || Some(HandlerEnd::Returned(Ok(json!({"done": true}))));
        let err = || Some(HandlerEnd::Returned(Err(TaskFailure::new("T.Other", "half way"))));
        let panicked = || Some(HandlerEnd::Panicked("boom".to_owned()));
        with(|by| {
            for (stop, name) in [(Stop::Shutdown, "T.Shutdown"), (Stop::Deadline, "T.Deadline")] {
                assert_eq!(by.decide_answer_after_stop(stop, ok()).unwrap().error(), None);
                for (last_word, kept) in [(err(), "half way"), (panicked(), "boom"), (None, "did not stop")] {
                    let answer = by.decide_answer_after_stop(stop, last_word).unwrap();
                    assert_eq!(answer.error(), Some(name));
                    assert!(parts(&answer).1.contains(kept), "{answer:?}");
                }
            }
            for last_word in [ok(), err(), panicked(), None] {
                assert_eq!(by.decide_answer_after_stop(Stop::TokenDead, last_word), None);
            }
        });
    }
}
