//! The worker as a whole: starts the pollers, watches for shutdown, drains, returns.

use crate::health::HealthState;
use crate::jitter::Jitter;
use crate::options::{ActivityRegistration, InvalidOption, WorkerOptions};
use crate::poller::Poller;
use crate::retry::{BackoffBounds, RetrySchedule};
use crate::service::{TaskService, TaskServiceError};
use crate::tally::{Tally, WorkerSummary};
use crate::telemetry;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Why a worker ended other than by its shutdown token. Every variant wants a person; a restart alone cures none.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// An option or a registration cannot work. Nothing was polled.
    #[error(transparent)]
    InvalidOption(#[from] InvalidOption),
    /// The service refuses polls in a way that no retry cures. Tasks in hand were drained first.
    #[error(
        "polling activity {activity} ({arn}) was refused; check that the activity exists in this account and Region and that \
         the worker's role allows states:GetActivityTask on it"
    )]
    PollRefused {
        /// The activity.
        activity: String,
        /// The ARN that was polled.
        arn: String,
        /// What the service said.
        source: TaskServiceError,
    },
    /// A poll loop panicked, which is a fault in the service adapter. Tasks in hand were drained first.
    #[error("a poll loop ended by a panic in the task service adapter")]
    PollerPanicked,
}

/// Held by everything that must end before the worker may return; the channel closes with the last one.
pub(crate) type InHand = mpsc::Sender<Infallible>;

/// What pollers and tasks share.
pub(crate) struct Shared {
    pub(crate) service: Arc<dyn TaskService>,
    pub(crate) options: WorkerOptions,
    pub(crate) tally: Arc<Tally>,
    /// First phase of a drain: no new polls.
    pub(crate) draining: CancellationToken,
    /// Second phase: running handlers are cancelled.
    pub(crate) hard_stop: CancellationToken,
    /// Third phase: answers are not retried any more.
    pub(crate) give_up: CancellationToken,
    jitter: Arc<Jitter>,
    failure: Mutex<Option<WorkerError>>,
}

impl Shared {
    pub(crate) fn retry(&self, bounds: BackoffBounds) -> RetrySchedule {
        RetrySchedule::new(bounds, self.options.throttle_backoff, Arc::clone(&self.jitter))
    }

    /// Ends the worker with `error`: the drain starts. The first error wins, and an error that comes up in a drain does not
    /// turn an orderly shutdown into a failure.
    pub(crate) fn fail(&self, error: WorkerError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() && !self.draining.is_cancelled() {
            *failure = Some(error);
        }
        self.draining.cancel();
    }
}

/// A worker for a set of activities.
pub struct Worker {
    service: Arc<dyn TaskService>,
    registrations: Vec<ActivityRegistration>,
    options: WorkerOptions,
    health: HealthState,
}

impl Worker {
    /// A worker that has not started. Options are validated by [`Worker::run`], before the first poll.
    #[must_use]
    pub fn new(
        service: Arc<dyn TaskService>,
        registrations: Vec<ActivityRegistration>,
        options: WorkerOptions,
    ) -> Self {
        let health = HealthState::new(options.liveness_limit);
        Self { service, registrations, options, health }
    }

    /// The state behind [`crate::health_router`].
    #[must_use]
    pub fn health(&self) -> HealthState {
        self.health.clone()
    }

    /// Works until `shutdown` fires or polling is refused, then drains. When it returns, every poll has ended and every task
    /// taken has had its terminal event, within [`WorkerOptions::drain_bound`] of the shutdown.
    ///
    /// Dropping the returned future instead of firing `shutdown` drops polls in flight; only a process that exits anyway
    /// should do that.
    pub async fn run(self, shutdown: CancellationToken) -> Result<WorkerSummary, WorkerError> {
        self.options.validate(&self.registrations)?;
        let shared = Arc::new(Shared {
            service: self.service,
            jitter: Arc::new(Jitter::new(self.options.jitter_seed)),
            options: self.options,
            tally: Arc::new(Tally::default()),
            // A child, so that a refused poll can start the drain without firing the caller's token.
            draining: shutdown.child_token(),
            hard_stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
            failure: Mutex::new(None),
        });
        let (in_hand, mut all_ended) = mpsc::channel(1);
        let mut pollers = start_pollers(&shared, self.registrations, &self.health, &in_hand);
        drop(in_hand);
        tracing::info!(worker = shared.options.worker_name, pollers = pollers.len(), "{}", telemetry::WORKER_STARTED);
        let ended = async {
            while let Some(joined) = pollers.join_next().await {
                if joined.is_err() {
                    shared.fail(WorkerError::PollerPanicked);
                }
            }
            // Nothing is ever sent: this waits for the last task to drop its sender.
            let _closed: Option<Infallible> = all_ended.recv().await;
        };
        tokio::select! {
            () = ended => {}
            never = drain_in_phases(&shared, &self.health) => match never {},
        }
        let summary = shared.tally.summary();
        tracing::info!(
            worker = shared.options.worker_name,
            polls = summary.polls,
            tasks_taken = summary.tasks_taken,
            succeeded = summary.succeeded,
            failed = summary.failed,
            abandoned = summary.abandoned,
            "{}",
            telemetry::WORKER_STOPPED
        );
        let failure = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(summary), Err)
    }
}

fn start_pollers(
    shared: &Arc<Shared>,
    registrations: Vec<ActivityRegistration>,
    health: &HealthState,
    in_hand: &InHand,
) -> JoinSet<()> {
    let mut pollers = JoinSet::new();
    for registration in registrations {
        let slots = Arc::new(Semaphore::new(registration.slots));
        let registration = Arc::new(registration);
        for _ in 0..registration.pollers {
            let poller = Poller {
                shared: Arc::clone(shared),
                registration: Arc::clone(&registration),
                slots: Arc::clone(&slots),
                beat: health.register(&registration.name, registration.timeout),
                in_hand: in_hand.clone(),
            };
            pollers.spawn(poller.run());
        }
    }
    pollers
}

/// The three phases of a drain. Polls in flight are waited out beside them.
async fn drain_in_phases(shared: &Shared, health: &HealthState) -> Infallible {
    shared.draining.cancelled().await;
    health.draining();
    let options = &shared.options;
    tracing::info!(
        worker = options.worker_name,
        grace_ms = u64::try_from(options.drain_grace.as_millis()).unwrap_or(u64::MAX),
        "{}",
        telemetry::WORKER_DRAINING
    );
    sleep(options.drain_grace).await;
    tracing::info!(worker = options.worker_name, "{}", telemetry::WORKER_CANCELLING);
    shared.hard_stop.cancel();
    sleep(options.cancel_patience + options.answer_grace).await;
    shared.give_up.cancel();
    std::future::pending().await
}
