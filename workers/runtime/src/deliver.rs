//! Sending one answer until its fate is known: accepted, token dead, or out of time.

use crate::answer::{Answer, Answerer};
use crate::clock;
use crate::options::WorkerOptions;
use crate::retry::RetrySchedule;
use crate::service::{TaskService, TaskServiceError, TaskServiceErrorClass, TaskToken};
use crate::telemetry::{self, ANSWER_PATIENCE, AnswerFate, decide_level, describe, event_at};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// What a failed send means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterSend {
    /// The attempt is closed.
    Closed,
    /// Not accepted; the same answer again.
    Again,
    /// Perhaps accepted; the same answer again.
    AgainUnsure,
    /// The service refuses this output; answer a failure instead.
    Replace,
    /// The service refuses even the failure.
    GiveUp,
}

fn decide_after_send(answer: &Answer, class: TaskServiceErrorClass) -> AfterSend {
    match class {
        TaskServiceErrorClass::TokenDead => AfterSend::Closed,
        TaskServiceErrorClass::Transient => AfterSend::AgainUnsure,
        // Denied is tried on: policies are eventually consistent, and an answer not given costs the whole timeout.
        TaskServiceErrorClass::Throttled | TaskServiceErrorClass::Denied | TaskServiceErrorClass::Missing => {
            AfterSend::Again
        }
        TaskServiceErrorClass::Rejected => match answer {
            Answer::Success(_) => AfterSend::Replace,
            Answer::Failure { .. } => AfterSend::GiveUp,
        },
    }
}

/// What bounds the delivery.
pub(crate) struct Bounds<'a> {
    /// The service gives the attempt up at this time.
    pub(crate) until: Instant,
    /// A heartbeat found the token dead.
    pub(crate) dead: &'a CancellationToken,
    /// The drain is over: no further retries.
    pub(crate) give_up: &'a CancellationToken,
}

/// Sends `answer` at least once and tells its fate. Returns the answer last sent, which differs from the given one when the
/// service refused an output.
pub(crate) async fn deliver(
    service: &dyn TaskService,
    options: &WorkerOptions,
    token: &TaskToken,
    answer: Answer,
    by: Answerer<'_>,
    mut retry: RetrySchedule,
    bounds: Bounds<'_>,
) -> (Answer, AnswerFate) {
    let mut answer = answer;
    let mut unsure = false;
    loop {
        let left = bounds.until.saturating_duration_since(clock::now());
        if left.is_zero() {
            return (answer, AnswerFate::Expired);
        }
        let Err(error) = send(service, token, &answer, left.min(options.call_timeout)).await else {
            return (answer, AnswerFate::Accepted);
        };
        let wait = retry.next_wait(error.class);
        let level = decide_level(error.class, retry.attempts(), ANSWER_PATIENCE);
        event_at!(
            level,
            attempts = retry.attempts(),
            error = describe(&error, Some(token)),
            "{}",
            telemetry::ANSWER_FAILED
        );
        match decide_after_send(&answer, error.class) {
            AfterSend::Closed if unsure => return (answer, AnswerFate::Unknown),
            AfterSend::Closed => return (answer, AnswerFate::Unwanted),
            AfterSend::GiveUp => return (answer, AnswerFate::Refused),
            AfterSend::Replace => {
                answer = by.internal(&format!("the service refused the output: {}", describe(&error, Some(token))));
                continue;
            }
            AfterSend::Again => {}
            AfterSend::AgainUnsure => unsure = true,
        }
        let left = bounds.until.saturating_duration_since(clock::now());
        tokio::select! {
            biased;
            () = bounds.dead.cancelled() => {
                return (answer, if unsure { AnswerFate::Unknown } else { AnswerFate::Unwanted });
            }
            () = bounds.give_up.cancelled() => return (answer, AnswerFate::Expired),
            () = tokio::time::sleep(wait.min(left)) => {}
        }
    }
}

/// One call. Cutting it off is safe: the same answer is sent again, and a second acceptance is refused by the service.
async fn send(
    service: &dyn TaskService,
    token: &TaskToken,
    answer: &Answer,
    limit: Duration,
) -> Result<(), TaskServiceError> {
    let call = async {
        match answer {
            Answer::Success(output) => service.send_task_success(token, output.as_str()).await,
            Answer::Failure { error, cause } => service.send_task_failure(token, error.as_str(), cause.as_str()).await,
        }
    };
    match timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            Err(TaskServiceError::new(TaskServiceErrorClass::Transient, format!("the answer took over {limit:?}")))
        }
    }
}
