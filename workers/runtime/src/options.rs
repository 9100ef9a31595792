//! What a worker is told: its activities, its patience, the names it may answer with. Validated once, before the first poll.

use crate::handler::ActivityHandler;
use crate::metrics::{DiscardMetrics, MetricSink};
use crate::retry::BackoffBounds;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One activity and the handler that runs its tasks.
#[derive(Clone)]
pub struct ActivityRegistration {
    /// The activity's short name, used in logs and as a metric dimension (so: a small closed set).
    pub name: String,
    /// The ARN that is polled.
    pub arn: String,
    /// `TimeoutSeconds` of the state. Its clock starts when the service hands the task out.
    pub timeout: Duration,
    /// `HeartbeatSeconds` of the state.
    pub heartbeat: Duration,
    /// Open long polls. More than one, because a token lost in transit stalls the polls behind it for up to 60 s.
    pub pollers: usize,
    /// Tasks of this activity that may run at once.
    pub slots: usize,
    /// The work.
    pub handler: Arc<dyn ActivityHandler>,
}

impl fmt::Debug for ActivityRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityRegistration")
            .field("name", &self.name)
            .field("arn", &self.arn)
            .field("timeout", &self.timeout)
            .field("heartbeat", &self.heartbeat)
            .field("pollers", &self.pollers)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl ActivityRegistration {
    /// The part of the timeout kept for answering: a tenth of it, between 1 s and 15 s, and at most half. The worker must
    /// answer before the service gives up; a later answer gets `TaskTimedOut` and the reason of the failure is lost.
    pub(crate) fn answer_margin(&self) -> Duration {
        (self.timeout / 10).clamp(Duration::from_secs(1), Duration::from_secs(15)).min(self.timeout / 2)
    }

    /// Time between two heartbeats: a third, so that one may be lost without the task.
    pub(crate) fn heartbeat_interval(&self) -> Duration {
        self.heartbeat / 3
    }
}

/// The error names the runtime itself answers with. They come from the contract; this crate knows none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorNames {
    /// The worker is draining: run the task again, elsewhere.
    pub shutdown: String,
    /// A fault of the worker: a panic, an output that is too large.
    pub internal: String,
    /// The task's input is not JSON.
    pub invalid_input: String,
    /// The handler was still running at the local deadline, with an unknown effect.
    pub deadline: String,
}

/// How a worker behaves. Start from [`WorkerOptions::new`] and change fields.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Shown in the execution history (`ActivityStarted`), at most 80 characters. Host and process id by convention.
    pub worker_name: String,
    /// The names the runtime answers with.
    pub errors: ErrorNames,
    /// Drain: how long tasks in hand may go on before they are cancelled.
    pub drain_grace: Duration,
    /// How long a cancelled handler may wind down before it is dropped.
    pub cancel_patience: Duration,
    /// Drain: how long answers may be retried after the cancel. Every answer is tried at least once.
    pub answer_grace: Duration,
    /// Bound of one answer or heartbeat call. A call cut off counts as an unknown outcome and is tried again.
    pub call_timeout: Duration,
    /// Backstop over a poll whose client never returns. It must be over the service's 60 s and over the client's own socket
    /// timeout, because a poll cut off here may have carried a task.
    pub poll_timeout: Duration,
    /// Waits after failed polls.
    pub poll_backoff: BackoffBounds,
    /// Waits after failed answers.
    pub answer_backoff: BackoffBounds,
    /// Waits after throttled calls of any kind.
    pub throttle_backoff: BackoffBounds,
    /// Shortest turn of an empty poll, against emulators that do not hold the poll open.
    pub empty_poll_pause: Duration,
    /// A poller that has not turned for this long is stalled: two full polls and slack.
    pub liveness_limit: Duration,
    /// Where metrics go.
    pub metrics: Arc<dyn MetricSink>,
    /// Seed of the jitter; the operating system's randomness when absent.
    pub jitter_seed: Option<u64>,
}

impl fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("worker_name", &self.worker_name)
            .field("errors", &self.errors)
            .field("drain_grace", &self.drain_grace)
            .field("drain_bound", &self.drain_bound())
            .finish_non_exhaustive()
    }
}

impl WorkerOptions {
    /// Defaults that fit Fargate's longest stop timeout (120 s): see [`WorkerOptions::drain_bound`].
    #[must_use]
    pub fn new(worker_name: impl Into<String>, errors: ErrorNames) -> Self {
        Self {
            worker_name: worker_name.into(),
            errors,
            drain_grace: Duration::from_secs(30),
            cancel_patience: Duration::from_secs(2),
            answer_grace: Duration::from_secs(15),
            call_timeout: Duration::from_secs(15),
            poll_timeout: Duration::from_secs(75),
            poll_backoff: BackoffBounds::new(Duration::from_millis(500), Duration::from_secs(30)),
            answer_backoff: BackoffBounds::new(Duration::from_millis(250), Duration::from_secs(10)),
            throttle_backoff: BackoffBounds::new(Duration::from_secs(2), Duration::from_secs(60)),
            empty_poll_pause: Duration::from_millis(200),
            liveness_limit: Duration::from_secs(2 * 60 + 30),
            metrics: Arc::new(DiscardMetrics),
            jitter_seed: None,
        }
    }

    /// The longest a drain can take, from the shutdown signal to the return of `run`. The container's stop timeout must be
    /// over it. Polls in flight and the grace run side by side.
    #[must_use]
    pub fn drain_bound(&self) -> Duration {
        let late_task = self.poll_timeout + self.call_timeout;
        // Twice: the last send may be an output that the service refuses, and the failure in its place is still sent.
        let tasks_in_hand = self.drain_grace + self.cancel_patience + self.answer_grace + self.call_timeout * 2;
        late_task.max(tasks_in_hand)
    }

    /// Everything that makes these options or `registrations` unusable, as the first thing found.
    pub fn validate(&self, registrations: &[ActivityRegistration]) -> Result<(), InvalidOption> {
        let refuse = |field: String, remedy: &str| Err(InvalidOption { field, remedy: remedy.to_owned() });
        if self.worker_name.is_empty() || self.worker_name.chars().count() > 80 {
            return refuse("worker_name".to_owned(), "give it 1 to 80 characters (limit of GetActivityTask)");
        }
        let names = [
            ("errors.shutdown", &self.errors.shutdown),
            ("errors.internal", &self.errors.internal),
            ("errors.invalid_input", &self.errors.invalid_input),
            ("errors.deadline", &self.errors.deadline),
        ];
        for (field, name) in names {
            if name.is_empty() || name.len() > crate::MAX_ERROR_BYTES {
                return refuse(field.to_owned(), "give it an error name of 1 to 256 bytes");
            }
        }
        if self.poll_timeout < Duration::from_secs(65) {
            return refuse(
                "poll_timeout".to_owned(),
                "make it at least 65 s: the service holds a poll for 60 s, and a poll cut off may have carried a task",
            );
        }
        if self.call_timeout.is_zero() {
            return refuse("call_timeout".to_owned(), "make it longer than zero");
        }
        for (field, bounds) in [
            ("poll_backoff", self.poll_backoff),
            ("answer_backoff", self.answer_backoff),
            ("throttle_backoff", self.throttle_backoff),
        ] {
            if bounds.initial.is_zero() || bounds.initial > bounds.max {
                return refuse(field.to_owned(), "use 0 < initial <= max");
            }
        }
        let longest_wait = self.poll_timeout.max(self.poll_backoff.max).max(self.throttle_backoff.max);
        if self.liveness_limit <= longest_wait {
            return refuse(
                "liveness_limit".to_owned(),
                "make it longer than poll_timeout and every backoff, or a healthy worker is reported stalled",
            );
        }
        validate_registrations(registrations)
    }
}

fn validate_registrations(registrations: &[ActivityRegistration]) -> Result<(), InvalidOption> {
    if registrations.is_empty() {
        return Err(InvalidOption {
            field: "registrations".to_owned(),
            remedy: "register at least one activity".to_owned(),
        });
    }
    let mut seen = HashSet::new();
    for registration in registrations {
        let refuse = |field: &str, remedy: &str| {
            Err(InvalidOption { field: format!("{}.{field}", registration.name), remedy: remedy.to_owned() })
        };
        if registration.name.is_empty() {
            return refuse("name", "name the activity");
        }
        if registration.arn.is_empty() {
            return refuse("arn", "give the activity's ARN");
        }
        if !seen.insert(&registration.arn) || !seen.insert(&registration.name) {
            return refuse("arn", "register each activity once, or two handlers race for its tasks");
        }
        if registration.pollers == 0 {
            return refuse("pollers", "use at least one poller");
        }
        if registration.slots == 0 {
            return refuse("slots", "use at least one slot");
        }
        if registration.heartbeat.is_zero() || registration.heartbeat >= registration.timeout {
            return refuse("heartbeat", "use 0 < heartbeat < timeout (rule of the service)");
        }
    }
    Ok(())
}

/// An option that cannot work, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("worker option {field} is not usable: {remedy}")]
pub struct InvalidOption {
    /// The field.
    pub field: String,
    /// What to change.
    pub remedy: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::handler::{TaskContext, TaskFailure};

    struct Idle;
    #[async_trait::async_trait]
    impl ActivityHandler for Idle {
        async fn handle(&self, input: serde_json::Value, _: TaskContext) -> Result<serde_json::Value, TaskFailure> {
            Ok(input)
        }
    }

    fn registration(timeout: u64, heartbeat: u64) -> ActivityRegistration {
        ActivityRegistration {
            name: "poll".to_owned(),
            arn: "arn:poll".to_owned(),
            timeout: Duration::from_secs(timeout),
            heartbeat: Duration::from_secs(heartbeat),
            pollers: 1,
            slots: 1,
            handler: Arc::new(Idle),
        }
    }

    fn options() -> WorkerOptions {
        let named = |name: &str| name.to_owned();
        WorkerOptions::new(
            "w",
            ErrorNames { shutdown: named("S"), internal: named("I"), invalid_input: named("V"), deadline: named("D") },
        )
    }

    #[test]
    fn defaults_are_valid_and_drain_within_the_fargate_stop_timeout() {
        options().validate(&[registration(120, 30)]).unwrap();
        assert!(options().drain_bound() < Duration::from_secs(120));
        // terraform/modules/workers holds its stop timeout against this figure, and docs/worker-runtime.md names it.
        assert_eq!(options().drain_bound(), Duration::from_secs(90));
    }

    #[test]
    fn each_unusable_option_is_refused_by_its_field() {
        type Spoil = fn(&mut WorkerOptions, &mut Vec<ActivityRegistration>);
        let cases: [(&str, Spoil); 14] = [
            ("worker_name", |o, _| o.worker_name = "x".repeat(81)),
            ("worker_name", |o, _| o.worker_name.clear()),
            ("errors.deadline", |o, _| o.errors.deadline.clear()),
            ("errors.shutdown", |o, _| o.errors.shutdown = "e".repeat(257)),
            ("poll_timeout", |o, _| o.poll_timeout = Duration::from_secs(60)),
            ("call_timeout", |o, _| o.call_timeout = Duration::ZERO),
            ("answer_backoff", |o, _| o.answer_backoff.initial = Duration::ZERO),
            ("liveness_limit", |o, _| o.liveness_limit = Duration::from_secs(75)),
            ("registrations", |_, r| r.clear()),
            ("poll.arn", |_, r| r.push(r[0].clone())),
            ("poll.pollers", |_, r| r[0].pollers = 0),
            ("poll.slots", |_, r| r[0].slots = 0),
            ("poll.heartbeat", |_, r| r[0].heartbeat = Duration::ZERO),
            ("poll.heartbeat", |_, r| r[0].heartbeat = r[0].timeout),
        ];
        for (field, spoil) in cases {
            let (mut options, mut registrations) = (options(), vec![registration(120, 30)]);
            spoil(&mut options, &mut registrations);
            assert_eq!(options.validate(&registrations).unwrap_err().field, field);
        }
    }

    #[test]
    fn answer_margin_is_a_tenth_within_bounds() {
        let margin = |timeout| registration(timeout, 1).answer_margin();
        assert_eq!(margin(100), Duration::from_secs(10));
        assert_eq!(margin(3600), Duration::from_secs(15));
        assert_eq!(margin(5), Duration::from_secs(1));
        assert_eq!(margin(1), Duration::from_millis(500));
    }
}
