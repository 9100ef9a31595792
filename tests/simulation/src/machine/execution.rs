//! One execution: where it stands, and how it steps from state to state.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngCore};
use serde_json::{Map, Value, json};

use super::{
    attempt::Attempt,
    choice,
    definition::{Definition, Kind, Next, State, Text, Until},
    event::{Effect, Token},
    fault::Fault,
    history::{History, HistoryEvent},
    path::{Path, Scope},
    payload::{self, Payload},
    retry::MAX_SECONDS,
    template::Template,
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
        /// The error name.
        error: String,
        /// The cause.
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

    fn enter(&mut self, now: Timestamp, rng: &mut dyn RngCore, effects: &mut Vec<Effect>) -> Result<(), Fault> {
        // The definition is shared, so that a state can be read while the execution changes.
        let definition = Arc::clone(&self.definition);
        let state = &definition.states[self.current];
        self.record(now, entered(&state.kind))?;
        self.describe_state(state, now);
        match &state.kind {
            Kind::Pass { result, parameters, result_path, next } => {
                let filled = fill(parameters.as_ref(), self.input(state)?, &self.context, rng)?;
                if let Some(fields) = result_path {
                    let result = match result {
                        Some(result) => result.clone(),
                        None => filled.into_owned(),
                    };
                    self.data.insert(fields, result, state.output_path.as_ref().is_some_and(Path::is_root))?;
                }
                self.select_output(state)?;
                self.leave(now, HistoryEvent::PassStateExited, *next)
            }
            Kind::Choice { choices, default } => {
                let input = self.input(state)?;
                let scope = Scope { data: &input, context: &self.context };
                let mut chosen = *default;
                for (rule, next) in choices {
                    if rule.holds(scope)? {
                        chosen = Some(*next);
                        break;
                    }
                }
                drop(input);
                let Some(next) = chosen else {
                    return Err(Fault::new("States.NoChoiceMatched", "No rule holds and there is no Default."));
                };
                self.select_output(state)?;
                self.leave(now, HistoryEvent::ChoiceStateExited, Some(next))
            }
            Kind::Wait { until, .. } => {
                let until = self.wait_until(until, &*self.input(state)?, now)?;
                self.phase = Phase::Waiting { until };
                Ok(())
            }
            Kind::Succeed => {
                if state.input_path.as_ref().is_none_or(|path| !path.is_root()) {
                    let input = self.input(state)?.into_owned();
                    self.data.insert(&[], input, false)?;
                }
                self.select_output(state)?;
                self.leave(now, HistoryEvent::SucceedStateExited, None)
            }
            Kind::Fail { error, cause } => {
                let error = self.fail_text(error, rng)?;
                let cause = self.fail_text(cause, rng)?;
                self.end(Status::Failed { error, cause }, HistoryEvent::ExecutionFailed, now);
                Ok(())
            }
            Kind::Task(task) => {
                self.retries.clear();
                self.retries.resize(task.retry.len(), 0);
                self.begin_attempt(now, rng, effects)
            }
        }
    }

    /// What `$$.State` and `$$.Task` say from here on.
    fn describe_state(&mut self, state: &State, now: Timestamp) {
        if let Value::Object(context) = &mut self.context {
            context.remove("Task");
            context
                .insert("State".to_owned(), json!({ "Name": &*state.name, "EnteredTime": iso(now), "RetryCount": 0 }));
        }
    }

    /// The state's input behind InputPath.
    pub(crate) fn input(&self, state: &State) -> Result<Cow<'_, Value>, Fault> {
        let scope = Scope { data: self.data.value(), context: &self.context };
        match &state.input_path {
            Some(path) => path.resolve(scope),
            None => Ok(Cow::Owned(Value::Object(Map::new()))),
        }
    }

    /// Applies OutputPath to the data.
    pub(crate) fn select_output(&mut self, state: &State) -> Result<(), Fault> {
        let selected = match &state.output_path {
            Some(path) if path.is_root() => return Ok(()),
            Some(path) => {
                path.resolve(Scope { data: self.data.value(), context: &self.context }).map(Cow::into_owned)?
            }
            None => Value::Object(Map::new()),
        };
        self.data.insert(&[], selected, true)
    }

    /// Leaves the current state.
    pub(crate) fn leave(&mut self, now: Timestamp, exited: HistoryEvent, next: Next) -> Result<(), Fault> {
        self.record(now, exited)?;
        match next {
            Some(next) => {
                self.current = next;
                self.phase = Phase::Enter;
            }
            None => {
                let output = self.data.take();
                self.end(Status::Succeeded { output }, HistoryEvent::ExecutionSucceeded, now);
            }
        }
        Ok(())
    }

    fn wait_until(&self, until: &Until, input: &Value, now: Timestamp) -> Result<Timestamp, Fault> {
        let scope = Scope { data: input, context: &self.context };
        let seconds = match until {
            Until::Seconds(seconds) => i64::from(*seconds),
            Until::Timestamp(timestamp) => return Ok(*timestamp),
            Until::SecondsPath(path) => {
                let value = path.resolve(scope)?;
                let seconds = value.as_i64().filter(|seconds| (0..=i64::from(MAX_SECONDS)).contains(seconds));
                seconds.ok_or_else(|| {
                    Fault::runtime(format!("The SecondsPath parameter does not reference an integer value: '{path}'"))
                })?
            }
            Until::TimestampPath(path) => {
                let value = path.resolve(scope)?;
                return value.as_str().and_then(choice::parse_timestamp).ok_or_else(|| {
                    Fault::runtime(format!("The TimestampPath parameter does not reference a timestamp: '{path}'"))
                });
            }
        };
        Ok(after(now, SignedDuration::from_secs(seconds)))
    }

    fn fail_text(&self, text: &Text, rng: &mut dyn RngCore) -> Result<String, Fault> {
        let expression = match text {
            Text::Literal(literal) => return Ok(literal.clone()),
            Text::Expression(expression) => expression,
        };
        let scope = Scope { data: self.data.value(), context: &self.context };
        match expression.evaluate(scope, rng)?.into_owned() {
            Value::String(text) => Ok(text),
            _ => Err(Fault::runtime("ErrorPath and CausePath must lead to text.")),
        }
    }

    fn fail(&mut self, fault: Fault, now: Timestamp) {
        let cause = format!("An error occurred while executing the state '{}'. {}", self.state().name, fault.cause);
        // A task's own error is passed on as it was given; what the interpreter found says where.
        let interpreted = fault.error.starts_with("States.") && !fault.cause.is_empty();
        let status =
            Status::Failed { error: fault.error.into_owned(), cause: if interpreted { cause } else { fault.cause } };
        self.end(status, HistoryEvent::ExecutionFailed, now);
    }

    fn end(&mut self, status: Status, event: HistoryEvent, now: Timestamp) {
        self.history.bound(now, event);
        self.phase = Phase::Over;
        self.status = status;
    }
}

fn entered(kind: &Kind) -> HistoryEvent {
    match kind {
        Kind::Pass { .. } => HistoryEvent::PassStateEntered,
        Kind::Choice { .. } => HistoryEvent::ChoiceStateEntered,
        Kind::Wait { .. } => HistoryEvent::WaitStateEntered,
        Kind::Succeed => HistoryEvent::SucceedStateEntered,
        Kind::Fail { .. } => HistoryEvent::FailStateEntered,
        Kind::Task(_) => HistoryEvent::TaskStateEntered,
    }
}

/// The filled template, or the input where there is none.
pub(crate) fn fill<'a>(
    template: Option<&Template>,
    input: Cow<'a, Value>,
    context: &Value,
    rng: &mut dyn RngCore,
) -> Result<Cow<'a, Value>, Fault> {
    let Some(template) = template else { return Ok(input) };
    let filled = template.fill(Scope { data: &input, context }, rng)?;
    payload::checked_size(&filled, "filled template")?;
    Ok(Cow::Owned(filled))
}

/// `moment` plus `pause`, at most the end of time.
pub(crate) fn after(moment: Timestamp, pause: SignedDuration) -> Timestamp {
    moment.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// As the context object shows times.
fn iso(moment: Timestamp) -> String {
    format!("{moment:.3}")
}
