//! The only errors that reach Step Functions. The name is the handling class; the cause is for people: what was attempted,
//! what went wrong, what to do. Neither ever holds a task token or a credential.

use std::error::Error;
use std::fmt::Write as _;
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::ErrorName;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::Problem;
use tidegate_core::input_check::bounded;

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
        for problem in bounded(self.problems.clone()).into_iter().map(Problem::spelled_out) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n- {}: {}. Remedy: {}.", problem.field, problem.message, problem.remedy);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of five thousand problems the parser keeps fifty and counts the others; the cause says the same number, once.
    #[test]
    fn the_problems_a_cause_leaves_out_are_counted_once() {
        let problem =
            |n: usize| Problem { field: format!("f{n}"), message: "is wrong".to_owned(), remedy: "mend it".to_owned() };
        for problems in [(0..5_000).map(problem).collect(), bounded((0..5_000).map(problem).collect())] {
            let cause = ActivityError::refused(ErrorName::InvalidInput, "no", problems).cause();
            assert_eq!(cause.matches("more problems").count(), 1, "{cause}");
            assert!(cause.contains("and 4950 more problems") && cause.contains("f49:") && !cause.contains("f50:"));
        }
    }
}
