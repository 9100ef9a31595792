//! One execution: where it stands, what its caller may ask and tell, and which step is next.

use std::{collections::HashSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngCore};
use serde_json::{Value, json};

use super::{
    attempt::Attempt,
    definition::{Definition, Kind, State},
    event::{Effect, Token},
    fault::Fault,
    history::{History, HistoryEvent, MAX_HISTORY_EVENTS},
    payload::Payload,
    readings::Readings,
};

/// What the context object says of an execution.
#[derive(Clone, Debug)]
pub struct Context {
    /// The execution's ARN.
    pub execution_id: String,
    /// Its name.
    pub execution_name: String,
    /// When StartExecution was called.
    pub start_time: Timestamp,
    /// What it was called with.
    pub input: Value,
}

/// The status as DescribeExecution tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// RUNNING.
    Running,
    /// SUCCEEDED.
    Succeeded {
        /// Of the last state.
        output: Value,
    },
    /// FAILED.
    Failed {
        /// The error name; empty when none was given, and then DescribeExecution has none.
        error: String,
        /// The cause, likewise.
        cause: String,
    },
    /// TIMED_OUT: the machine's own TimeoutSeconds.
    TimedOut,
    /// ABORTED: StopExecution.
    Aborted,
}

/// Where in its state an execution stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Before the first thing the state does.
    Enter,
    /// In a Wait state.
    Waiting { until: Timestamp },
    /// Before the next attempt of a Task.
    Backoff { until: Timestamp },
    /// An attempt is open.
    Open(Attempt),
    /// An attempt is closed; what follows from it happens in the next `advance`.
    Closed(Result<Value, Fault>),
    /// Nothing follows.
    Over,
}

/// One execution of a definition. It has no clock and does nothing by itself: [`Execution::advance`] says what is to be
/// done, [`Execution::handle`] takes what happened.
#[derive(Debug)]
pub struct Execution {
    pub(crate) definition: Arc<Definition>,
    pub(crate) context: Value,
    pub(crate) data: Payload,
    pub(crate) current: usize,
    pub(crate) phase: Phase,
    /// Per retrier of the current state: how often it has retried in this visit.
    pub(crate) retries: Vec<u32>,
    pub(crate) history: History,
    pub(crate) issued: HashSet<Token>,
    pub(crate) calls: u64,
    pub(crate) readings: Readings,
    started: Timestamp,
    deadline: Option<Timestamp>,
    status: Status,
    end_told: bool,
}

impl Execution {
    /// StartExecution. Nothing runs before the first [`Execution::advance`].
    pub fn start(definition: &Arc<Definition>, context: Context, input: Value, now: Timestamp) -> Self {
        let deadline = definition.timeout_seconds.map(|seconds| after(now, SignedDuration::from_secs(seconds.into())));
        let mut history = History::new();
        history.bound(now, HistoryEvent::ExecutionStarted);
        let (data, refused) = match Payload::new(input, "execution input") {
            Ok(data) => (data, None),
            Err(fault) => (Payload::empty(), Some(fault)),
        };
        let mut execution = Self {
            context: json!({
                "Execution": {
                    "Id": context.execution_id,
                    "Name": context.execution_name,
                    "StartTime": iso(context.start_time),
                    "Input": context.input,
                    "RedriveCount": 0,
                },
            }),
            data,
            current: definition.start_at,
            phase: Phase::Enter,
            retries: Vec::new(),
            history,
            issued: HashSet::new(),
            calls: 0,
            readings: Readings::RECORDED,
            started: now,
            deadline,
            status: Status::Running,
            end_told: false,
            definition: Arc::clone(definition),
        };
        if let Some(fault) = refused {
            execution.fail(fault, now);
        }
        execution
    }

    /// Reads the language otherwise than AWS was recorded. To be called right after [`Execution::start`].
    pub fn read_as(&mut self, readings: Readings) {
        self.readings = readings;
    }

    /// Keeps the list of events besides their counts. To be called right after [`Execution::start`].
    pub fn keep_history(&mut self) {
        self.history.keep_entries(self.started);
    }

    /// Runs until nothing can happen without outside events or the passing of time; returns what is to be done, in
    /// order. To be called after every [`Execution::handle`], and when [`Execution::wake_at`] has come.
    pub fn advance(&mut self, now: Timestamp, rng: &mut impl Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.is_running() {
            if self.machine_is_late(now) {
                self.end(Status::TimedOut, HistoryEvent::ExecutionTimedOut, now);
                break;
            }
            match self.step(now, rng, &mut effects) {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => self.fail(fault, now),
            }
        }
        if !self.is_running() && !self.end_told {
            self.end_told = true;
            effects.push(Effect::Ended);
        }
        effects
    }

    /// The next moment at which something happens by itself: the end of a Wait or of a retry's pause, a task's timeout
    /// or heartbeat, the machine's timeout. The past, when an [`Execution::advance`] is due.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if !self.is_running() {
            return None;
        }
        let timer = match &self.phase {
            Phase::Enter | Phase::Closed(_) => Some(Timestamp::MIN),
            _ => self.state_timer(),
        };
        timer.into_iter().chain(self.deadline).min()
    }

    /// StopExecution: no Catch runs, the tokens are dead. The next [`Execution::advance`] tells the end.
    pub fn stop(&mut self, now: Timestamp) {
        if self.is_running() {
            self.end(Status::Aborted, HistoryEvent::ExecutionAborted, now);
        }
    }

    /// The machine's TimeoutSeconds are over now. The next [`Execution::advance`] tells the end.
    pub fn time_out(&mut self, now: Timestamp) {
        if self.is_running() {
            self.end(Status::TimedOut, HistoryEvent::ExecutionTimedOut, now);
        }
    }

    /// The definition does not fit its data here: nothing catches that. The next [`Execution::advance`] tells the end.
    pub fn fail_at_runtime(&mut self, now: Timestamp) {
        if self.is_running() {
            self.fail(Fault::runtime("a path that is not there"), now);
        }
    }

    /// RedriveExecution: goes on at the state that failed or was cut off, with that state's input, its retries anew. False
    /// for an execution that runs or has succeeded.
    pub fn redrive(&mut self, now: Timestamp) -> bool {
        let full = self.history.total() + 2 > MAX_HISTORY_EVENTS;
        if full || matches!(self.status, Status::Running | Status::Succeeded { .. }) {
            return false;
        }
        self.history.bound(now, HistoryEvent::ExecutionRedriven);
        if let Some(count) = self.context.pointer_mut("/Execution/RedriveCount") {
            *count = (count.as_u64().unwrap_or_default() + 1).into();
        }
        self.deadline =
            self.definition.timeout_seconds.map(|seconds| after(now, SignedDuration::from_secs(seconds.into())));
        self.status = Status::Running;
        self.phase = Phase::Enter;
        self.end_told = false;
        true
    }

    /// The status.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The state the execution is in; none when it has ended.
    pub fn current_state(&self) -> Option<&str> {
        self.is_running().then(|| self.state().name.as_ref())
    }

    /// [`Execution::current_state`], to keep.
    pub fn current_state_name(&self) -> Option<&Arc<str>> {
        self.is_running().then(|| &self.state().name)
    }

    /// The data: the input of the current state, or the output of the execution.
    pub fn data(&self) -> &Value {
        match &self.status {
            Status::Succeeded { output } => output,
            _ => self.data.value(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    pub(crate) fn state(&self) -> &State {
        &self.definition.states[self.current]
    }

    /// Whether the machine's own time is up, and no earlier timer of the state is to fire first.
    pub(crate) fn machine_is_late(&self, now: Timestamp) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= now && self.state_timer().is_none_or(|timer| timer >= deadline))
    }

    fn state_timer(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Waiting { until } | Phase::Backoff { until } => Some(*until),
            Phase::Open(attempt) => attempt.deadline().map(|(at, _)| at),
            Phase::Enter | Phase::Closed(_) | Phase::Over => None,
        }
    }

    pub(crate) fn record(&mut self, now: Timestamp, event: HistoryEvent) -> Result<(), Fault> {
        let state = &self.definition.states[self.current];
        self.history.record(now, event, &state.name)
    }

    /// One step; false when it is the world's turn.
    fn step(&mut self, now: Timestamp, rng: &mut dyn RngCore, effects: &mut Vec<Effect>) -> Result<bool, Fault> {
        match &self.phase {
            Phase::Enter => self.enter(now, rng, effects).map(|()| true),
            Phase::Waiting { until } if *until <= now => {
                let definition = Arc::clone(&self.definition);
                let state = &definition.states[self.current];
                let Kind::Wait { next, .. } = &state.kind else { return Ok(false) };
                self.select_output(state)?;
                self.leave(now, HistoryEvent::WaitStateExited, *next).map(|()| true)
            }
            Phase::Backoff { until } if *until <= now => self.begin_attempt(now, rng, effects).map(|()| true),
            Phase::Open(_) => self.expire_attempt(now),
            Phase::Closed(_) => match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Closed(outcome) => self.settle(outcome, now, rng).map(|()| true),
                _ => Ok(false),
            },
            Phase::Waiting { .. } | Phase::Backoff { .. } | Phase::Over => Ok(false),
        }
    }

    fn fail(&mut self, fault: Fault, now: Timestamp) {
        let error = fault.error.unwrap_or_default().into_owned();
        let mut cause = fault.cause.unwrap_or_default();
        // A task's own error is passed on as it was given; what the interpreter found says where.
        if error.starts_with("States.") && !cause.is_empty() {
            cause = format!("An error occurred while executing the state '{}'. {cause}", self.state().name);
        }
        self.end(Status::Failed { error, cause }, HistoryEvent::ExecutionFailed, now);
    }

    pub(crate) fn end(&mut self, status: Status, event: HistoryEvent, now: Timestamp) {
        self.history.bound(now, event);
        self.phase = Phase::Over;
        self.status = status;
    }
}

/// `moment` plus `pause`, at most the end of time.
pub(crate) fn after(moment: Timestamp, pause: SignedDuration) -> Timestamp {
    moment.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// As the context object shows times.
pub(crate) fn iso(moment: Timestamp) -> String {
    format!("{moment:.3}")
}
