//! What each state does with the data, and where it leads.

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::RngCore;
use serde_json::{Map, Value, json};

use super::{
    choice,
    definition::{Kind, Next, State, Text, Until},
    event::Effect,
    execution::{Execution, Phase, Status, after, iso},
    fault::Fault,
    history::HistoryEvent,
    path::{Path, Scope},
    payload,
    retry::MAX_SECONDS,
    template::Template,
};

impl Execution {
    pub(crate) fn enter(
        &mut self,
        now: Timestamp,
        rng: &mut dyn RngCore,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        // The definition is shared, so that a state can be read while the execution changes.
        let definition = Arc::clone(&self.definition);
        let state = &definition.states[self.current];
        self.record(now, entered(&state.kind))?;
        self.describe_state(state, now);
        match &state.kind {
            Kind::Pass { result, parameters, result_path, next } => {
                let (filled, size) = fill(parameters.as_ref(), self.input(state)?, &self.context, rng)?;
                if let Some(fields) = result_path {
                    let (result, size) = match result {
                        Some(result) => (result.clone(), None),
                        None => (filled.into_owned(), size),
                    };
                    let limit = state.output_path.as_ref().is_some_and(Path::is_root);
                    self.data.insert_measured(fields, result, size, limit)?;
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
        if !state.asks_of_itself {
            return;
        }
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
            Until::Timestamp(timestamp) => return not_too_long(*timestamp, now),
            Until::SecondsPath(path) => {
                let value = path.resolve(scope)?;
                let seconds = value.as_i64().filter(|seconds| (0..=i64::from(MAX_SECONDS)).contains(seconds));
                seconds.ok_or_else(|| {
                    Fault::runtime(format!("The SecondsPath parameter does not reference an integer value: '{path}'"))
                })?
            }
            Until::TimestampPath(path) => {
                let value = path.resolve(scope)?;
                let moment = value.as_str().and_then(choice::parse_timestamp).ok_or_else(|| {
                    Fault::runtime(format!("The TimestampPath parameter does not reference a timestamp: '{path}'"))
                })?;
                return not_too_long(moment, now);
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
}

/// Recorded: a Wait of 24,855 days is taken and one of 24,856 is not, so the seconds fit into 31 bits.
fn not_too_long(moment: Timestamp, now: Timestamp) -> Result<Timestamp, Fault> {
    if moment.duration_since(now).as_secs() > i64::from(i32::MAX) {
        return Err(Fault::runtime("Wait state delay is too long."));
    }
    Ok(moment)
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

/// The filled template with its size, or the input where there is none.
pub(crate) fn fill<'a>(
    template: Option<&Template>,
    input: Cow<'a, Value>,
    context: &Value,
    rng: &mut dyn RngCore,
) -> Result<(Cow<'a, Value>, Option<usize>), Fault> {
    let Some(template) = template else { return Ok((input, None)) };
    let filled = template.fill(Scope { data: &input, context }, rng)?;
    let size = payload::checked_size(&filled, "filled template")?;
    Ok((Cow::Owned(filled), Some(size)))
}
