//! Log lines and spans. Messages are constants, values are fields; one span per task at WARN (so that a quiet log filter
//! keeps the task's fields on every line), one terminal event per task. No token, no input and no output is ever logged.

use crate::answer::cut;
use crate::metrics::{self, MetricSink};
use crate::service::{TaskServiceErrorClass, TaskToken};
use crate::tally::Tally;
use crate::{TaskServiceError, clock};
use std::error::Error;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{Level, Span};

/// The worker polls.
pub const WORKER_STARTED: &str = "WorkerStarted";
/// No new polls from here on.
pub const WORKER_DRAINING: &str = "WorkerDraining";
/// The drain grace is over: tasks still in hand, if any, are cancelled.
pub const WORKER_CANCELLING: &str = "WorkerCancelling";
/// Every poll and every task has ended.
pub const WORKER_STOPPED: &str = "WorkerStopped";
/// An empty poll. Normal, and as frequent as one per minute and poller.
pub const POLL_EMPTY: &str = "PollEmpty";
/// A poll failed and will be repeated.
pub const POLL_FAILED: &str = "PollFailed";
/// A poll was refused in a way that no retry cures; the worker ends.
pub const POLL_REFUSED: &str = "PollRefused";
/// A task was handed to this worker.
pub const TASK_RECEIVED: &str = "TaskReceived";
/// A running task is asked to stop.
pub const TASK_CANCELLED: &str = "TaskCancelled";
/// The terminal event: exactly one per task received.
pub const TASK_FINISHED: &str = "TaskFinished";
/// A heartbeat did not get through; the work goes on.
pub const HEARTBEAT_MISSED: &str = "HeartbeatMissed";
/// The service no longer knows the token; the work is cancelled.
pub const HEARTBEAT_REFUSED: &str = "HeartbeatRefused";
/// An answer did not get through and may be repeated.
pub const ANSWER_FAILED: &str = "AnswerFailed";

/// A metric line could not be written.
pub const METRIC_DROPPED: &str = "MetricDropped";

/// Longest cause in a log line; the whole cause is in the execution history.
const LOGGED_CAUSE_BYTES: usize = 1024;

/// An event at a level known only at run time (tracing wants a constant one).
macro_rules! event_at {
    ($level:expr, $($fields:tt)+) => {
        match $level {
            ::tracing::Level::ERROR => ::tracing::error!($($fields)+),
            ::tracing::Level::WARN => ::tracing::warn!($($fields)+),
            ::tracing::Level::INFO => ::tracing::info!($($fields)+),
            ::tracing::Level::DEBUG => ::tracing::debug!($($fields)+),
            ::tracing::Level::TRACE => ::tracing::trace!($($fields)+),
        }
    };
}
pub(crate) use event_at;

/// The span of one task. Every field is declared here because a field not declared cannot be recorded later; handlers fill
/// the empty ones with `tracing::Span::current().record(..)` once they have read their input.
#[must_use]
pub fn task_span(activity: &str, worker: &str, token_hash: &str) -> Span {
    tracing::warn_span!(
        "task",
        activity,
        worker,
        token_hash,
        execution_id = tracing::field::Empty,
        plan_id = tracing::field::Empty,
        plan_hash = tracing::field::Empty,
        mode = tracing::field::Empty,
        wave = tracing::field::Empty,
        attempt = tracing::field::Empty,
    )
}

/// How many failures in a row are debug noise before they become a warning and an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) warn_at: u32,
    pub(crate) error_at: u32,
}

/// Polls fail harmlessly: nobody's task waits in this worker.
pub(crate) const POLL_PATIENCE: Patience = Patience { warn_at: 5, error_at: 15 };
/// An answer is owed.
pub(crate) const ANSWER_PATIENCE: Patience = Patience { warn_at: 2, error_at: 5 };
/// Three missed heartbeats lose the task.
pub(crate) const HEARTBEAT_PATIENCE: Patience = Patience { warn_at: 2, error_at: 3 };

/// The level of the `attempts`-th failure in a row. What no retry cures is an error at once.
pub(crate) fn decide_level(class: TaskServiceErrorClass, attempts: u32, patience: Patience) -> Level {
    match class {
        TaskServiceErrorClass::Denied | TaskServiceErrorClass::Missing | TaskServiceErrorClass::Rejected => {
            Level::ERROR
        }
        TaskServiceErrorClass::Throttled | TaskServiceErrorClass::Transient | TaskServiceErrorClass::TokenDead => {
            if attempts >= patience.error_at {
                Level::ERROR
            } else if attempts >= patience.warn_at {
                Level::WARN
            } else {
                Level::DEBUG
            }
        }
    }
}

/// The whole chain of an error as one sentence, by `Display` only, with the task's token replaced.
pub(crate) fn describe(error: &TaskServiceError, token: Option<&TaskToken>) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    match token {
        Some(token) => token.scrub(&text),
        None => text,
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskResult {
    Success,
    Failure,
    /// No answer is known to have been accepted.
    Abandoned,
}

impl TaskResult {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Where the answer went: the `answer` field of the terminal event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerFate {
    /// The service took it.
    Accepted,
    /// The token was dead before the answer was sent.
    Unwanted,
    /// Sent, response lost, and the token is closed now: by that answer, or by the service's timeout.
    Unknown,
    /// The service could not be reached in time.
    Expired,
    /// The service refused the answer itself.
    Refused,
    /// The process or the runtime broke off.
    Interrupted,
}

impl AnswerFate {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unwanted => "unwanted",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The end of a task, as it is told.
#[derive(Debug, Clone)]
pub(crate) struct TaskEnd {
    pub(crate) result: TaskResult,
    pub(crate) fate: AnswerFate,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
}

/// Sees to it that each task taken has exactly one terminal event: `finish` consumes it, and dropping it unfinished (a panic
/// in an adapter, a runtime shut down under us) tells an interrupted end.
pub(crate) struct TerminalEvent {
    pub(crate) activity: String,
    pub(crate) worker: String,
    pub(crate) token: TaskToken,
    pub(crate) internal_error: String,
    pub(crate) taken_at: Instant,
    pub(crate) tally: Arc<Tally>,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) span: Span,
    pub(crate) told: bool,
}

impl TerminalEvent {
    pub(crate) fn finish(mut self, end: &TaskEnd) {
        self.tell(end);
    }

    fn tell(&mut self, end: &TaskEnd) {
        self.told = true;
        self.tally.finished(end.result);
        let duration = clock::now().duration_since(self.taken_at);
        let token_hash = self.token.short_hash();
        let error = end.error.as_deref();
        let cause = end.cause.as_deref().map(|cause| self.token.scrub(cut(cause, LOGGED_CAUSE_BYTES)));
        let level = decide_finish_level(end, &self.internal_error);
        self.span.in_scope(|| {
            event_at!(
                level,
                result = end.result.as_str(),
                answer = end.fate.as_str(),
                error,
                cause,
                duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                activity = self.activity,
                token_hash,
                "{}",
                TASK_FINISHED
            );
        });
        metrics::task_record(&self.activity, end.result.as_str(), duration, &self.worker, &token_hash, error)
            .emit(self.metrics.as_ref());
    }
}

impl Drop for TerminalEvent {
    fn drop(&mut self) {
        if !self.told {
            self.tell(&TaskEnd {
                result: TaskResult::Abandoned,
                fate: AnswerFate::Interrupted,
                error: Some(self.internal_error.clone()),
                cause: None,
            });
        }
    }
}

/// A fault of ours and an answer that got nowhere are errors. A token somebody else took over is not: the machine has
/// already moved on.
fn decide_finish_level(end: &TaskEnd, internal_error: &str) -> Level {
    match (end.result, end.fate) {
        (TaskResult::Success, _) => Level::INFO,
        (TaskResult::Failure, _) if end.error.as_deref() == Some(internal_error) => Level::ERROR,
        (TaskResult::Failure, _) | (TaskResult::Abandoned, AnswerFate::Unwanted | AnswerFate::Unknown) => Level::WARN,
        (
            TaskResult::Abandoned,
            AnswerFate::Accepted | AnswerFate::Expired | AnswerFate::Refused | AnswerFate::Interrupted,
        ) => Level::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_rises_with_attempts_and_incurable_classes_are_errors_at_once() {
        let level = |class, attempts| decide_level(class, attempts, POLL_PATIENCE);
        assert_eq!(level(TaskServiceErrorClass::Transient, 1), Level::DEBUG);
        assert_eq!(level(TaskServiceErrorClass::Throttled, 5), Level::WARN);
        assert_eq!(level(TaskServiceErrorClass::Transient, 15), Level::ERROR);
        for class in [TaskServiceErrorClass::Denied, TaskServiceErrorClass::Missing, TaskServiceErrorClass::Rejected] {
            assert_eq!(level(class, 1), Level::ERROR);
        }
    }

    #[test]
    fn describe_tells_the_chain_and_hides_the_token() {
        let token = TaskToken::new("RAWTOKEN");
        let error = TaskServiceError::new(TaskServiceErrorClass::Transient, "no answer for RAWTOKEN")
            .with_source(std::io::Error::other("reset while sending RAWTOKEN"));
        let text = describe(&error, Some(&token));
        assert!(text.contains("no answer") && text.contains("reset while sending"), "{text}");
        assert!(!text.contains("RAWTOKEN"), "{text}");
    }

    #[test]
    fn finish_level_tells_our_faults_from_other_peoples() {
        let end =
            |result, fate, error: Option<&str>| TaskEnd { result, fate, error: error.map(str::to_owned), cause: None };
        let level = |end: TaskEnd| decide_finish_level(&end, "T.Internal");
        assert_eq!(level(end(TaskResult::Success, AnswerFate::Accepted, None)), Level::INFO);
        assert_eq!(level(end(TaskResult::Failure, AnswerFate::Accepted, Some("T.X"))), Level::WARN);
        assert_eq!(level(end(TaskResult::Failure, AnswerFate::Accepted, Some("T.Internal"))), Level::ERROR);
        assert_eq!(level(end(TaskResult::Abandoned, AnswerFate::Unwanted, None)), Level::WARN);
        assert_eq!(level(end(TaskResult::Abandoned, AnswerFate::Expired, None)), Level::ERROR);
    }
}
