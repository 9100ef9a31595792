//! The only errors that reach Step Functions. The name is the handling class; the cause is for people: what was attempted,
//! what went wrong, what to do. Neither ever holds a task token or a credential.

use std::error::Error;
use std::fmt::Write as _;
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::ErrorName;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::Problem;

/// Most problems told in one cause, which holds 32 KiB.
const MAX_PROBLEMS: usize = 50;

/// A failed activity.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ActivityError {
    pub name: ErrorName,
    message: String,
    problems: Vec<Problem>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ActivityError {
    /// An error with a sentence.
    pub fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), problems: Vec::new(), source: None }
    }

    /// A refusal with every reason.
    pub fn refused(name: ErrorName, message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(name, message) }
    }

    /// Another attempt of this activity wrote in between; the machine retries and reads what that one stored.
    pub fn superseded(what: &str) -> Self {
        Self::new(ErrorName::Superseded, format!("{what} was changed by another attempt of this activity"))
    }

    /// The text for Step Functions' Cause: the message, every problem on a line of its own, the page that explains.
    pub fn cause(&self) -> String {
        let mut text = spell_out(&self.message).into_owned();
        for problem in self.problems.iter().take(MAX_PROBLEMS).cloned().map(Problem::spelled_out) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n- {}: {}. Remedy: {}.", problem.field, problem.message, problem.remedy);
        }
        let more = self.problems.len().saturating_sub(MAX_PROBLEMS);
        if more > 0 {
            let _ = write!(text, "\nand {more} more problems");
        }
        let _ = write!(text, "\nSee docs/errors.md, {}", self.name);
        text
    }

    /// Everything that went wrong, outermost first, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut current: Option<&dyn Error> = self.source();
        while let Some(error) = current {
            let _ = write!(text, ": {error}");
            current = error.source();
        }
        spell_out(&text).into_owned()
    }
}

impl From<PortError> for ActivityError {
    fn from(error: PortError) -> Self {
        let name = match error.class {
            ErrorClass::Throttled => ErrorName::Throttled,
            // A conflict nobody handled is a race on a record: the next attempt reads it anew.
            ErrorClass::Transient | ErrorClass::Conflict => ErrorName::Transient,
            ErrorClass::Denied => ErrorName::Denied,
            ErrorClass::NotFound | ErrorClass::Quota | ErrorClass::Invalid | ErrorClass::Unrecognised => {
                ErrorName::Internal
            }
        };
        Self { name, message: error.to_string(), problems: Vec::new(), source: Some(Box::new(error)) }
    }
}
