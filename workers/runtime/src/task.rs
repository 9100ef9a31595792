//! The life of one task: parse, run, cancel, answer. Every path ends in an answer or in the knowledge that none is wanted.

use crate::answer::{Answer, Answerer, HandlerEnd, Stop};
use crate::clock;
use crate::deliver::{Bounds, deliver};
use crate::handler::{TaskContext, TaskFailure};
use crate::heartbeat::keep_beating;
use crate::options::ActivityRegistration;
use crate::service::{ActivityTask, TaskToken};
use crate::telemetry::{self, AnswerFate, TaskEnd, TaskResult, TerminalEvent};
use crate::worker::Shared;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// A task in this worker's hands.
pub(crate) struct TakenTask {
    pub(crate) registration: Arc<ActivityRegistration>,
    pub(crate) task: ActivityTask,
    pub(crate) taken_at: Instant,
    /// Free again when the task is answered and its handler has ended. Shared with the handler's own tokio task, because a
    /// handler that blocks its thread outlives the answer: `slots` bounds what really runs.
    pub(crate) slot: Arc<OwnedSemaphorePermit>,
    /// The worker was draining when the task arrived: answer, do not start.
    pub(crate) refused: bool,
}

impl TakenTask {
    /// Runs the task to its terminal event.
    pub(crate) async fn run(self, shared: Arc<Shared>) {
        let token_hash = self.task.token.short_hash();
        let span = telemetry::task_span(&self.registration.name, &shared.options.worker_name, &token_hash);
        let terminal = TerminalEvent {
            activity: self.registration.name.clone(),
            worker: shared.options.worker_name.clone(),
            token: self.task.token.clone(),
            internal_error: shared.options.errors.internal.clone(),
            taken_at: self.taken_at,
            tally: Arc::clone(&shared.tally),
            metrics: Arc::clone(&shared.options.metrics),
            span: span.clone(),
            told: false,
        };
        shared.tally.taken();
        let end = async {
            tracing::info!(input_bytes = self.task.input.len(), refused = self.refused, "{}", telemetry::TASK_RECEIVED);
            self.run_to_end(&shared).await
        }
        .instrument(span)
        .await;
        terminal.finish(&end);
    }

    async fn run_to_end(self, shared: &Shared) -> TaskEnd {
        let registration = Arc::clone(&self.registration);
        let token = self.task.token.clone();
        let taken_at = self.taken_at;
        let dead = CancellationToken::new();
        let heartbeats = keep_beating(shared.service.as_ref(), &shared.options, &registration, &token, taken_at, &dead);
        tokio::select! {
            biased;
            end = self.work_and_answer(shared, &dead) => end,
            never = heartbeats => match never {},
        }
    }

    async fn work_and_answer(self, shared: &Shared, dead: &CancellationToken) -> TaskEnd {
        let by = Answerer {
            names: &shared.options.errors,
            activity: &self.registration.name,
            worker: &shared.options.worker_name,
        };
        let until = self.taken_at + self.registration.timeout;
        let ActivityTask { token, input } = self.task;
        let work = Work { shared, registration: &self.registration, by, until, slot: &self.slot, dead };
        let answer = if self.refused { Some(by.refused_while_draining()) } else { work.run(&input).await };
        drop(input);
        match answer {
            Some(answer) if !dead.is_cancelled() => send_answer(shared, &token, answer, by, until, dead).await,
            answer => tell_end(answer.as_ref(), AnswerFate::Unwanted),
        }
    }
}

async fn send_answer(
    shared: &Shared,
    token: &TaskToken,
    answer: Answer,
    by: Answerer<'_>,
    until: Instant,
    dead: &CancellationToken,
) -> TaskEnd {
    let bounds = Bounds { until, dead, give_up: &shared.give_up };
    let retry = shared.retry(shared.options.answer_backoff);
    let (answer, fate) = deliver(shared.service.as_ref(), &shared.options, token, answer, by, retry, bounds).await;
    tell_end(Some(&answer), fate)
}

/// What the terminal event says about an answer and its fate.
fn tell_end(answer: Option<&Answer>, fate: AnswerFate) -> TaskEnd {
    let result = match (fate, answer) {
        (AnswerFate::Accepted, Some(Answer::Success(_))) => TaskResult::Success,
        (AnswerFate::Accepted, Some(Answer::Failure { .. })) => TaskResult::Failure,
        _ => TaskResult::Abandoned,
    };
    let cause = match answer {
        Some(Answer::Failure { cause, .. }) => Some(cause.as_str().to_owned()),
        Some(Answer::Success(_)) | None => None,
    };
    let error = answer.and_then(Answer::error).map(str::to_owned);
    TaskEnd { result, fate, error, cause }
}

/// One run of a handler.
struct Work<'a> {
    shared: &'a Shared,
    registration: &'a ActivityRegistration,
    by: Answerer<'a>,
    /// The service gives the attempt up at this time.
    until: Instant,
    slot: &'a Arc<OwnedSemaphorePermit>,
    dead: &'a CancellationToken,
}

impl Work<'_> {
    /// The answer to give; `None` when nobody wants one.
    async fn run(self, input: &str) -> Option<Answer> {
        let input: Value = match serde_json::from_str(input) {
            Ok(input) => input,
            Err(problem) => return Some(self.by.invalid_input(&problem)),
        };
        let margin = self.registration.answer_margin();
        let deadline = self.until - margin;
        let cancelled = CancellationToken::new();
        let mut running = self.spawn(input, cancelled.clone(), deadline);
        let stop = tokio::select! {
            // A result that is there counts, whatever else happened in the same instant.
            biased;
            ended = &mut running => return Some(self.by.decide_answer(handler_end(ended))),
            () = self.dead.cancelled() => Stop::TokenDead,
            () = self.shared.hard_stop.cancelled() => Stop::Shutdown,
            () = sleep_until(deadline) => Stop::Deadline,
        };
        tracing::warn!(reason = ?stop, "{}", telemetry::TASK_CANCELLED);
        cancelled.cancel();
        // Half of the margin stays for the answer.
        let patience = (clock::now() + self.shared.options.cancel_patience).min(self.until - margin / 2);
        let last_word = match timeout_at(patience, &mut running).await {
            Ok(ended) => Some(handler_end(ended)),
            Err(_elapsed) => {
                running.abort();
                None
            }
        };
        self.by.decide_answer_after_stop(stop, last_word)
    }

    /// The handler gets a tokio task of its own: its panic is caught there, and a busy handler cannot starve the heartbeats.
    fn spawn(
        &self,
        input: Value,
        cancelled: CancellationToken,
        deadline: Instant,
    ) -> JoinHandle<Result<Value, TaskFailure>> {
        let handler = Arc::clone(&self.registration.handler);
        let slot = Arc::clone(self.slot);
        let context = TaskContext {
            cancelled,
            deadline,
            worker_name: self.shared.options.worker_name.clone(),
            draining: self.shared.draining.clone(),
        };
        let run = async move {
            let _slot = slot;
            handler.handle(input, context).await
        };
        tokio::spawn(run.in_current_span())
    }
}

fn handler_end(ended: Result<Result<Value, TaskFailure>, JoinError>) -> HandlerEnd {
    match ended {
        Ok(returned) => HandlerEnd::Returned(returned),
        Err(error) => HandlerEnd::Panicked(match error.try_into_panic() {
            Ok(payload) => panic_message(payload.as_ref()),
            // We join before we abort, so only a tokio runtime that is being shut down gets here.
            Err(_cancelled) => "the tokio runtime was shut down".to_owned(),
        }),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the panic carried no text".to_owned())
}
