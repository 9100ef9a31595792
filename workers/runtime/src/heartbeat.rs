//! Heartbeats beside the work. They go on while the answer is being retried: a throttled answer must not lose the task to
//! the heartbeat timeout.

use crate::clock;
use crate::options::{ActivityRegistration, WorkerOptions};
use crate::service::{TaskService, TaskServiceError, TaskServiceErrorClass, TaskToken};
use crate::telemetry::{self, HEARTBEAT_PATIENCE, decide_level, describe, event_at};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What one heartbeat call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beat {
    /// Next one after a full interval.
    Kept,
    /// Not through: again soon, the work goes on. Refused permissions count here too: if they stay refused, the service's
    /// heartbeat timeout decides, and the next call tells us by `TokenDead`.
    Missed,
    /// The attempt is no longer ours.
    Lost,
}

fn decide_beat(failure: Option<TaskServiceErrorClass>) -> Beat {
    match failure {
        None => Beat::Kept,
        Some(TaskServiceErrorClass::TokenDead) => Beat::Lost,
        Some(
            TaskServiceErrorClass::Throttled
            | TaskServiceErrorClass::Transient
            | TaskServiceErrorClass::Denied
            | TaskServiceErrorClass::Missing
            | TaskServiceErrorClass::Rejected,
        ) => Beat::Missed,
    }
}

/// Beats until the token is dead, then fires `dead` and stays pending; the caller drops it with the task.
pub(crate) async fn keep_beating(
    service: &dyn TaskService,
    options: &WorkerOptions,
    registration: &ActivityRegistration,
    token: &TaskToken,
    taken_at: Instant,
    dead: &CancellationToken,
) -> Infallible {
    let interval = registration.heartbeat_interval();
    // Half an interval at most: a hung call must leave time for two more before the service gives up.
    let call_limit = options.call_timeout.min(interval / 2);
    let mut due = taken_at + interval;
    let mut missed = 0_u32;
    loop {
        sleep_until(due).await;
        // Counted from the start of the call, so that a slow service does not stretch the gap between two beats.
        let began = clock::now();
        let outcome = call(service, token, call_limit).await;
        match decide_beat(outcome.as_ref().err().map(|error| error.class)) {
            Beat::Kept => {
                missed = 0;
                due = began + interval;
            }
            Beat::Missed => {
                missed = missed.saturating_add(1);
                if let Err(error) = outcome {
                    let level = decide_level(error.class, missed, HEARTBEAT_PATIENCE);
                    let error = describe(&error, Some(token));
                    event_at!(level, attempts = missed, error, "{}", telemetry::HEARTBEAT_MISSED);
                }
                due = clock::now() + interval / 4;
            }
            Beat::Lost => {
                if let Err(error) = outcome {
                    tracing::warn!(error = describe(&error, Some(token)), "{}", telemetry::HEARTBEAT_REFUSED);
                }
                dead.cancel();
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn call(service: &dyn TaskService, token: &TaskToken, limit: Duration) -> Result<(), TaskServiceError> {
    match timeout(limit, service.send_task_heartbeat(token)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(TaskServiceError::new(
            TaskServiceErrorClass::Transient,
            format!("SendTaskHeartbeat took over {limit:?}"),
        )),
    }
}
