//! The poll loop: slot, poll, hand over, again. It never waits for a task and never drops a poll in flight.

use crate::clock;
use crate::health::{PollerBeat, PollerState};
use crate::metrics;
use crate::options::ActivityRegistration;
use crate::service::{ActivityTask, TaskServiceError, TaskServiceErrorClass};
use crate::task::TakenTask;
use crate::telemetry::{self, POLL_PATIENCE, decide_level, describe, event_at};
use crate::worker::{InHand, Shared, WorkerError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What a finished poll means.
enum AfterPoll {
    Take(ActivityTask),
    Empty,
    /// Try again after a backoff.
    Again(TaskServiceError),
    /// No retry cures this.
    End(TaskServiceError),
}

fn decide_after_poll(polled: Result<Option<ActivityTask>, TaskServiceError>) -> AfterPoll {
    match polled {
        Ok(Some(task)) => AfterPoll::Take(task),
        Ok(None) => AfterPoll::Empty,
        Err(error) => match error.class {
            TaskServiceErrorClass::Denied | TaskServiceErrorClass::Missing => AfterPoll::End(error),
            TaskServiceErrorClass::TokenDead
            | TaskServiceErrorClass::Throttled
            | TaskServiceErrorClass::Transient
            | TaskServiceErrorClass::Rejected => AfterPoll::Again(error),
        },
    }
}

/// One of an activity's pollers. `in_hand` is cloned into every task, so that the worker knows when the last one ended.
pub(crate) struct Poller {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registration: Arc<ActivityRegistration>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) beat: PollerBeat,
    pub(crate) in_hand: InHand,
}

impl Poller {
    /// Polls until the worker drains. Shutdown is looked at between polls only.
    pub(crate) async fn run(self) {
        self.turn_until_draining().await;
        self.beat.turn(PollerState::Stopped);
    }

    async fn turn_until_draining(&self) {
        let shared = &self.shared;
        let mut retry = shared.retry(shared.options.poll_backoff);
        while !shared.draining.is_cancelled() {
            self.beat.turn(PollerState::WaitingForSlot);
            let slot = tokio::select! {
                biased;
                () = shared.draining.cancelled() => return,
                slot = Arc::clone(&self.slots).acquire_owned() => match slot {
                    Ok(slot) => slot,
                    // Nobody closes the semaphore; were it closed, this poller could take no task.
                    Err(_closed) => return,
                },
            };
            self.beat.turn(PollerState::Polling);
            let began = clock::now();
            let polled = self.poll().await;
            shared.tally.polled();
            if polled.is_ok() {
                self.beat.accepted();
                retry.reset();
                metrics::poll_record(&self.registration.name, &shared.options.worker_name)
                    .emit(shared.options.metrics.as_ref());
            }
            let pause = match decide_after_poll(polled) {
                AfterPoll::Take(task) => {
                    self.hand_over(task, slot);
                    continue;
                }
                AfterPoll::Empty => {
                    tracing::trace!(activity = self.registration.name, "{}", telemetry::POLL_EMPTY);
                    let took = clock::now().duration_since(began);
                    shared.options.empty_poll_pause.saturating_sub(took)
                }
                AfterPoll::Again(error) => {
                    let wait = retry.next_wait(error.class);
                    self.log_failure(&error, retry.attempts(), wait);
                    wait
                }
                AfterPoll::End(error) => {
                    self.end_worker(error);
                    return;
                }
            };
            drop(slot);
            self.beat.turn(PollerState::BackingOff);
            tokio::select! {
                biased;
                () = shared.draining.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One long poll, waited out to its end. The backstop only cuts polls that the client itself should long have ended.
    async fn poll(&self) -> Result<Option<ActivityTask>, TaskServiceError> {
        let options = &self.shared.options;
        let call = self.shared.service.get_activity_task(&self.registration.arn, &options.worker_name);
        match timeout(options.poll_timeout, call).await {
            Ok(polled) => polled,
            Err(_elapsed) => Err(TaskServiceError::new(
                TaskServiceErrorClass::Transient,
                format!("GetActivityTask did not return within {:?}", options.poll_timeout),
            )),
        }
    }

    fn hand_over(&self, task: ActivityTask, slot: tokio::sync::OwnedSemaphorePermit) {
        let taken = TakenTask {
            registration: Arc::clone(&self.registration),
            task,
            taken_at: clock::now(),
            slot: Arc::new(slot),
            refused: self.shared.draining.is_cancelled(),
        };
        let shared = Arc::clone(&self.shared);
        let in_hand = self.in_hand.clone();
        // Not a child of the poller: a poller that dies must not take tasks with it. Nobody reads the join handle, because a
        // task tells its own end (`TerminalEvent`), also when it panics.
        tokio::spawn(async move {
            let _in_hand = in_hand;
            taken.run(shared).await;
        });
    }

    fn log_failure(&self, error: &TaskServiceError, attempts: u32, wait: Duration) {
        let level = decide_level(error.class, attempts, POLL_PATIENCE);
        event_at!(
            level,
            activity = self.registration.name,
            attempts,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            error = describe(error, None),
            "{}",
            telemetry::POLL_FAILED
        );
    }

    fn end_worker(&self, error: TaskServiceError) {
        tracing::error!(
            activity = self.registration.name,
            arn = self.registration.arn,
            error = describe(&error, None),
            "{}",
            telemetry::POLL_REFUSED
        );
        self.shared.fail(WorkerError::PollRefused {
            activity: self.registration.name.clone(),
            arn: self.registration.arn.clone(),
            source: error,
        });
    }
}
