//! The attempts of a Task state: token, clocks, the single answer; then Retry, Catch or the result.

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng as _, RngCore};
use serde_json::{Value, json};

use super::{
    definition::{Kind, Limit, Resource, State, Task},
    event::{CallId, Effect, Event, Handled, TOKEN_PREFIX, Token},
    execution::{Execution, Phase, after},
    fault::{Fault, HEARTBEAT_TIMEOUT, RUNTIME, TIMEOUT},
    history::HistoryEvent,
    path::{Path, Scope},
    payload,
    retry::{Catcher, MAX_SECONDS},
    walk::fill,
};

/// An attempt that is not answered yet.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Of an activity or a callback.
    token: Option<Token>,
    /// Of a service; an activity has none.
    call: Option<CallId>,
    timeout: Option<SignedDuration>,
    heartbeat: Option<SignedDuration>,
    /// When the clocks began to run: at the pick-up of an activity, at the schedule of everything else.
    started: Option<Timestamp>,
    last_beat: Timestamp,
    /// Whether the service call has returned.
    submitted: bool,
    /// The answer to a callback whose service call has not returned yet.
    held: Option<Result<Value, Fault>>,
}

impl Attempt {
    /// When the attempt times out, and by which error.
    pub(crate) fn deadline(&self) -> Option<(Timestamp, &'static str)> {
        let timeout = self.started.zip(self.timeout).map(|(from, limit)| (after(from, limit), TIMEOUT));
        let beat = self.started.and(self.heartbeat).map(|limit| (after(self.last_beat, limit), HEARTBEAT_TIMEOUT));
        timeout.into_iter().chain(beat).min_by_key(|(at, _)| *at)
    }

    fn is_late(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|(at, _)| at <= now)
    }

    fn is_activity(&self) -> bool {
        self.call.is_none()
    }
}

impl Execution {
    /// Tells the execution what happened. Its consequences are in the next [`Execution::advance`].
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Handled {
        let (dead, is_current) = match (&event, self.attempt()) {
            (Event::ServiceResult { call_id, .. }, attempt) => {
                let current = attempt.is_some_and(|attempt| attempt.call == Some(*call_id) && !attempt.submitted);
                (call_id.0 < self.calls, current)
            }
            (
                Event::ActivityStarted { token }
                | Event::Heartbeat { token }
                | Event::Success { token, .. }
                | Event::Failure { token, .. },
                attempt,
            ) => {
                let current =
                    attempt.is_some_and(|attempt| attempt.token.as_ref() == Some(token) && attempt.held.is_none());
                (self.issued.contains(token), current)
            }
        };
        if !is_current || self.machine_is_late(now) || self.attempt().is_none_or(|attempt| attempt.is_late(now)) {
            return if dead { Handled::TaskTimedOut } else { Handled::TaskDoesNotExist };
        }
        match self.accept(event, now) {
            Ok(handled) => handled,
            Err(fault) => {
                self.phase = Phase::Closed(Err(fault));
                Handled::Accepted
            }
        }
    }

    fn attempt(&self) -> Option<&Attempt> {
        if let Phase::Open(attempt) = &self.phase { Some(attempt) } else { None }
    }

    /// Takes an event of the open attempt. `Err` is a full history.
    fn accept(&mut self, event: Event, now: Timestamp) -> Result<Handled, Fault> {
        let Phase::Open(attempt) = &mut self.phase else { return Ok(Handled::TaskTimedOut) };
        let picked_up = attempt.started.is_some();
        let is_activity = attempt.is_activity();
        match event {
            Event::ActivityStarted { .. } if picked_up => Ok(Handled::TaskTimedOut),
            Event::ActivityStarted { .. } => {
                attempt.started = Some(now);
                attempt.last_beat = now;
                self.record(now, HistoryEvent::ActivityStarted)?;
                Ok(Handled::Accepted)
            }
            // The worker that answers has been given the token, so somebody has taken the task.
            _ if !picked_up => Ok(Handled::TaskDoesNotExist),
            Event::Heartbeat { .. } => {
                attempt.last_beat = now;
                Ok(Handled::Accepted)
            }
            Event::Success { output, .. } => self.answer(Ok(output), is_activity, now),
            Event::Failure { error, cause, .. } => self.answer(Err(Fault::sent(error, cause)), is_activity, now),
            Event::ServiceResult { result: Err((error, cause)), .. } => {
                self.record(now, HistoryEvent::TaskFailed)?;
                self.phase = Phase::Closed(Err(Fault::new(error, cause)));
                Ok(Handled::Accepted)
            }
            Event::ServiceResult { result: Ok(output), .. } if attempt.token.is_none() => {
                self.record(now, HistoryEvent::TaskSucceeded)?;
                self.phase = Phase::Closed(Ok(output));
                Ok(Handled::Accepted)
            }
            Event::ServiceResult { .. } => {
                attempt.submitted = true;
                let held = attempt.held.take();
                self.record(now, HistoryEvent::TaskSubmitted)?;
                match held {
                    Some(outcome) => self.answer(outcome, false, now),
                    None => Ok(Handled::Accepted),
                }
            }
        }
    }

    /// A token was answered, which kills it.
    fn answer(&mut self, outcome: Result<Value, Fault>, is_activity: bool, now: Timestamp) -> Result<Handled, Fault> {
        if let Phase::Open(attempt) = &mut self.phase
            && !is_activity
            && !attempt.submitted
        {
            // Whoever reads the token out of the record may answer before the call that wrote it has returned. The
            // history of AWS has TaskSubmitted before the answer, so the answer waits for it.
            attempt.held = Some(outcome);
            return Ok(Handled::Accepted);
        }
        self.record(
            now,
            match (is_activity, outcome.is_ok()) {
                (true, true) => HistoryEvent::ActivitySucceeded,
                (true, false) => HistoryEvent::ActivityFailed,
                (false, true) => HistoryEvent::TaskSucceeded,
                (false, false) => HistoryEvent::TaskFailed,
            },
        )?;
        self.phase = Phase::Closed(outcome);
        Ok(Handled::Accepted)
    }

    /// Schedules an attempt of the current Task state.
    pub(crate) fn begin_attempt(
        &mut self,
        now: Timestamp,
        rng: &mut dyn RngCore,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        let definition = Arc::clone(&self.definition);
        let state = &definition.states[self.current];
        let Kind::Task(task) = &state.kind else { return Ok(()) };
        match self.prepare_attempt(state, task, now, rng) {
            Ok((attempt, effect)) => {
                match attempt.is_activity() {
                    true => self.record(now, HistoryEvent::ActivityScheduled)?,
                    false => {
                        self.record(now, HistoryEvent::TaskScheduled)?;
                        self.record(now, HistoryEvent::TaskStarted)?;
                    }
                }
                self.phase = Phase::Open(attempt);
                effects.push(effect);
                Ok(())
            }
            Err(fault) => self.recover(task, fault, now, rng),
        }
    }

    fn prepare_attempt(
        &mut self,
        state: &State,
        task: &Task,
        now: Timestamp,
        rng: &mut dyn RngCore,
    ) -> Result<(Attempt, Effect), Fault> {
        let has_token = match &task.resource {
            Resource::Activity { .. } => true,
            Resource::Service { callback, .. } => *callback,
        };
        let token = has_token.then(|| self.new_token(rng));
        if let (Resource::Service { .. }, Some(token), Value::Object(context)) =
            (&task.resource, &token, &mut self.context)
        {
            context.insert("Task".to_owned(), json!({ "Token": token.as_str() }));
        }
        let input = self.input(state)?;
        let scope = Scope { data: &input, context: &self.context };
        let timeout = limit(task.timeout.as_ref(), "TimeoutSeconds", scope)?;
        let heartbeat = limit(task.heartbeat.as_ref(), "HeartbeatSeconds", scope)?;
        if timeout.zip(heartbeat).is_some_and(|(timeout, heartbeat)| heartbeat >= timeout) {
            return Err(Fault::runtime("HeartbeatSeconds must be smaller than TimeoutSeconds."));
        }
        let (parameters, size) = fill(task.parameters.as_ref(), input, &self.context, rng)?;
        let parameters = parameters.into_owned();
        if size.is_none() {
            payload::checked_size(&parameters, "task input")?;
        }
        let (call, started, effect) = match &task.resource {
            Resource::Activity { arn } => {
                let token = token.clone().ok_or_else(|| Fault::runtime("an activity has a token"))?;
                (None, None, Effect::ScheduleActivity { token, resource: arn.clone(), input: parameters })
            }
            Resource::Service { service, action, .. } => {
                let call_id = CallId(self.calls);
                self.calls += 1;
                let (service, action) = (service.clone(), action.clone());
                let callback_token = token.clone();
                let effect = Effect::CallService { call_id, service, action, parameters, callback_token };
                (Some(call_id), Some(now), effect)
            }
        };
        let attempt =
            Attempt { token, call, timeout, heartbeat, started, last_beat: now, submitted: false, held: None };
        Ok((attempt, effect))
    }

    fn new_token(&mut self, rng: &mut dyn RngCore) -> Token {
        loop {
            let token = Token::from(format!("{TOKEN_PREFIX}{:032x}", rng.random::<u128>()));
            if self.issued.insert(token.clone()) {
                return token;
            }
        }
    }

    /// Closes the open attempt if its time is up; false when it is not.
    pub(crate) fn expire_attempt(&mut self, now: Timestamp) -> Result<bool, Fault> {
        let Phase::Open(attempt) = &self.phase else { return Ok(false) };
        let Some((_, mut error)) = attempt.deadline().filter(|(at, _)| *at <= now) else { return Ok(false) };
        // Recorded: a callback that misses its heartbeat is States.Timeout.
        if error == HEARTBEAT_TIMEOUT && (!attempt.is_activity() || self.readings.lost_heartbeat_is_timeout) {
            error = TIMEOUT;
        }
        let event = if attempt.is_activity() { HistoryEvent::ActivityTimedOut } else { HistoryEvent::TaskTimedOut };
        self.record(now, event)?;
        self.phase = Phase::Closed(Err(Fault::new(error, "")));
        Ok(true)
    }

    /// What follows from a closed attempt.
    pub(crate) fn settle(
        &mut self,
        outcome: Result<Value, Fault>,
        now: Timestamp,
        rng: &mut dyn RngCore,
    ) -> Result<(), Fault> {
        let definition = Arc::clone(&self.definition);
        let state = &definition.states[self.current];
        let Kind::Task(task) = &state.kind else { return Ok(()) };
        match outcome.and_then(|result| self.take_result(state, task, result, rng)) {
            Ok(()) => self.leave(now, HistoryEvent::TaskStateExited, task.next),
            Err(fault) => self.recover(task, fault, now, rng),
        }
    }

    /// ResultSelector, ResultPath, OutputPath. When it fails the data is the raw input still, for Retry and Catch.
    fn take_result(&mut self, state: &State, task: &Task, result: Value, rng: &mut dyn RngCore) -> Result<(), Fault> {
        let raw_size = payload::checked_size(&result, "task result")?;
        let (result, size) = fill(task.result_selector.as_ref(), Cow::Owned(result), &self.context, rng)?;
        let (result, size) = (result.into_owned(), Some(size.unwrap_or(raw_size)));
        if state.output_path.as_ref().is_some_and(Path::is_root) {
            return match &task.result_path {
                Some(fields) => self.data.insert_measured(fields, result, size, true),
                None => Ok(()),
            };
        }
        // OutputPath may select so little that a combination over the quota is fine, or so badly that nothing is left:
        // decided on a copy.
        let raw = self.data.value().clone();
        let combined = match &task.result_path {
            Some(fields) => self.data.insert_measured(fields, result, size, false),
            None => Ok(()),
        };
        let selected = combined.and_then(|()| self.select_output(state));
        if selected.is_err() {
            self.data.insert(&[], raw, false)?;
        }
        selected
    }

    /// Retry, Catch, or the end: `Err` fails the execution.
    fn recover(&mut self, task: &Task, fault: Fault, now: Timestamp, rng: &mut dyn RngCore) -> Result<(), Fault> {
        if fault.error.as_deref() == Some(RUNTIME) {
            return Err(fault);
        }
        // The first retrier that takes the error decides; when it is used up, no other one is asked.
        let retrier = task.retry.iter().position(|retrier| retrier.errors.takes(fault.error.as_deref(), self.readings));
        if let Some((retrier, count)) = retrier.and_then(|index| task.retry.get(index).zip(self.retries.get_mut(index)))
            && *count < retrier.max_attempts
        {
            let pause = retrier.delay(*count, rng);
            *count += 1;
            let retries: u32 = self.retries.iter().sum();
            if let Some(state) = self.context.get_mut("State") {
                state["RetryCount"] = retries.into();
            }
            self.phase = Phase::Backoff { until: after(now, pause) };
            return Ok(());
        }
        let readings = self.readings;
        let takes = |catcher: &&Catcher| catcher.errors.takes(fault.error.as_deref(), readings);
        let Some(catcher) = task.catch.iter().find(takes) else { return Err(fault) };
        if let Some(fields) = &catcher.result_path {
            let caught = json!({ "Error": fault.error, "Cause": fault.cause });
            self.data.insert(fields, caught, true)?;
        }
        self.leave(now, HistoryEvent::TaskStateExited, Some(catcher.next))
    }
}

/// A time limit; by path it must lead to a positive whole number.
fn limit(limit: Option<&Limit>, field: &str, scope: Scope<'_>) -> Result<Option<SignedDuration>, Fault> {
    let seconds = match limit {
        None => return Ok(None),
        Some(Limit::Seconds(seconds)) => i64::from(*seconds),
        Some(Limit::Path(path)) => {
            let value = path.resolve(scope)?;
            value.as_i64().filter(|seconds| (1..=i64::from(MAX_SECONDS)).contains(seconds)).ok_or_else(|| {
                Fault::runtime(format!("The {field}Path parameter does not reference a positive integer: '{path}'"))
            })?
        }
    };
    Ok(Some(SignedDuration::from_secs(seconds)))
}
