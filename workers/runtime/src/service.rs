//! The service side of activities: the port that an adapter implements over the real API, and what crosses it.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The four calls a worker makes. Implemented over the Step Functions client in another crate.
///
/// What an implementation owes the runtime:
/// - `get_activity_task` has a socket timeout over 65 s (the service holds a poll for 60 s) and no retries of its own:
///   a retry inside a client may throw away a response that carried a task.
/// - Errors are classified; `message` holds no request or response body.
#[async_trait]
pub trait TaskService: Send + Sync + 'static {
    /// One long poll. `Ok(None)` is the normal answer when there is nothing to do.
    async fn get_activity_task(
        &self,
        activity_arn: &str,
        worker_name: &str,
    ) -> Result<Option<ActivityTask>, TaskServiceError>;

    /// Answers a task with a JSON text of at most [`crate::MAX_OUTPUT_BYTES`].
    async fn send_task_success(&self, token: &TaskToken, output: &str) -> Result<(), TaskServiceError>;

    /// Answers a task with an error name and a cause.
    async fn send_task_failure(&self, token: &TaskToken, error: &str, cause: &str) -> Result<(), TaskServiceError>;

    /// Tells the service that the task is being worked on.
    async fn send_task_heartbeat(&self, token: &TaskToken) -> Result<(), TaskServiceError>;
}

/// A task handed out by the service. The service hands each attempt out exactly once.
#[derive(Debug)]
pub struct ActivityTask {
    /// The capability to answer this attempt.
    pub token: TaskToken,
    /// The raw input, JSON by contract.
    pub input: String,
}

/// A task token. It is a capability (whoever holds it can answer the task), so `Debug` and `Display` show a short hash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskToken(Arc<str>);

impl TaskToken {
    /// Wraps a token as the service gave it.
    #[must_use]
    pub fn new(raw: impl Into<String>) -> Self {
        Self(Arc::from(raw.into()))
    }

    /// The raw token, for the adapter's request and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first 12 hex digits of the token's SHA-256: the same in every process, so that logs of two workers can be joined.
    #[must_use]
    pub fn short_hash(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// `text` with every occurrence of this token replaced. Emulators and proxies repeat the token in error messages.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        text.replace(&*self.0, &self.to_string())
    }
}

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token#{}", self.short_hash())
    }
}

impl fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskToken({})", self.short_hash())
    }
}

/// What an error of the service means for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskServiceErrorClass {
    /// `TaskTimedOut`, `TaskDoesNotExist`, `InvalidToken`: the attempt is no longer ours. `TaskTimedOut` also means "already
    /// closed" (model documentation), so after a lost response it may be our own answer that closed it.
    TokenDead,
    /// Throttling, and `ActivityWorkerLimitExceeded` (too many open polls on the activity).
    Throttled,
    /// 5xx, connection, timeout: the outcome of the call is unknown.
    Transient,
    /// A permission is missing.
    Denied,
    /// `ActivityDoesNotExist`, `InvalidArn`: the worker is pointed at something that is not there.
    Missing,
    /// `InvalidOutput` and other 4xx: the same request will be refused again.
    Rejected,
}

impl TaskServiceErrorClass {
    /// A stable lower-case word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenDead => "token_dead",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for TaskServiceErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A classified error of one of the four calls.
#[derive(thiserror::Error)]
#[error("{class}{}: {message}", code_suffix(.code.as_deref()))]
pub struct TaskServiceError {
    /// What it means for the worker.
    pub class: TaskServiceErrorClass,
    /// The service's error code, when it sent one.
    pub code: Option<String>,
    /// A sentence for people.
    pub message: String,
    /// The underlying error. Only its `Display` is ever logged: the `Debug` of an SDK error prints response bodies, and the
    /// body of a failed `GetActivityTask` can hold a task token.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

fn code_suffix(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(" ({code})"))
}

impl TaskServiceError {
    /// An error of `class` with a sentence.
    #[must_use]
    pub fn new(class: TaskServiceErrorClass, message: impl Into<String>) -> Self {
        Self { class, code: None, message: message.into(), source: None }
    }

    /// Adds the service's error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Debug for TaskServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskServiceError")
            .field("class", &self.class)
            .field("code", &self.code)
            .field("message", &self.message)
            .field("source", &self.source.as_ref().map(ToString::to_string))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_redacted_in_debug_and_display() {
        let token = TaskToken::new("AQCkAAAAKgAAAAMAAAAA");
        let task = ActivityTask { token: token.clone(), input: "{}".to_owned() };
        for shown in [format!("{token}"), format!("{token:?}"), format!("{task:?}")] {
            assert!(!shown.contains("AQCk"), "{shown}");
            assert!(shown.contains(&token.short_hash()), "{shown}");
        }
        assert_eq!(token.short_hash().len(), 12);
        assert_ne!(token.short_hash(), TaskToken::new("another").short_hash());
    }

    #[test]
    fn scrub_replaces_every_occurrence() {
        let token = TaskToken::new("SECRET");
        assert_eq!(token.scrub("a SECRET b SECRET"), format!("a {token} b {token}"));
        assert_eq!(TaskToken::new("").scrub("text"), "text");
    }

    #[test]
    fn error_debug_shows_no_debug_of_its_source() {
        #[derive(thiserror::Error)]
        #[error("dispatch failure")]
        struct Noisy;
        impl fmt::Debug for Noisy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("body: {taskToken: RAW}")
            }
        }
        let error = TaskServiceError::new(TaskServiceErrorClass::Transient, "no answer")
            .with_code("Dispatch")
            .with_source(Noisy);
        assert_eq!(error.to_string(), "transient (Dispatch): no answer");
        let shown = format!("{error:?}");
        assert!(shown.contains("dispatch failure") && !shown.contains("RAW"), "{shown}");
    }
}
