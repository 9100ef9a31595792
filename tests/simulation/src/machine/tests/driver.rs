//! Drives an execution: a clock that jumps, a seed, and answers to what it asks.

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::machine::{Context, Definition, Effect, Event, Execution, Handled, HistoryEvent, Status, Token};

pub(crate) const ARN: &str = "arn:aws:states:us-west-2:111122223333:execution:machine:run-1";
pub(crate) const WORK: &str = "arn:aws:states:us-west-2:111122223333:activity:work";

/// How the test answers a task.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Value),
    Error(&'static str, &'static str),
}

pub(crate) struct Run {
    pub(crate) execution: Execution,
    pub(crate) now: Timestamp,
    pub(crate) effects: VecDeque<Effect>,
    rng: StdRng,
    last: Option<Token>,
}

impl Run {
    pub(crate) fn of(definition: &str, input: Value) -> Self {
        let definition = Definition::parse(definition).unwrap_or_else(|error| panic!("{error}"));
        Self::compiled(&Arc::new(definition), input)
    }

    pub(crate) fn compiled(definition: &Arc<Definition>, input: Value) -> Self {
        let now: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
        let context = Context {
            execution_id: ARN.to_owned(),
            execution_name: "run-1".to_owned(),
            start_time: now,
            input: input.clone(),
        };
        let mut execution = Execution::start(definition, context, input, now);
        execution.keep_history();
        Self { execution, now, effects: VecDeque::new(), rng: StdRng::seed_from_u64(7), last: None }
    }

    pub(crate) fn advance(&mut self) {
        self.effects.extend(self.execution.advance(self.now, &mut self.rng));
    }

    pub(crate) fn tick(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.advance();
    }

    /// The next effect, waking the execution when it waits for time.
    pub(crate) fn next(&mut self) -> Effect {
        self.advance();
        while self.effects.is_empty() {
            let wake = self.execution.wake_at().expect("an execution that waits for nothing");
            assert!(wake > self.now, "the execution wants to be woken at once, for ever");
            self.now = wake;
            self.advance();
        }
        let effect = self.effects.pop_front().unwrap();
        if let Effect::ScheduleActivity { token, .. } = &effect {
            self.last = Some(token.clone());
        }
        effect
    }

    /// Takes the activity task that [`Run::next`] gave last and answers it.
    pub(crate) fn answer_current(&mut self, fail: bool) {
        let token = self.last.take().expect("an activity task");
        self.started(&token);
        if fail {
            self.fail(&token, "E")
        } else {
            self.succeed(&token, Value::Null)
        };
    }

    pub(crate) fn task(&mut self) -> (Token, Value) {
        match self.next() {
            Effect::ScheduleActivity { token, input, .. } => (token, input),
            other => panic!("an activity is expected, not {other:?}; {:?}", self.execution.status()),
        }
    }

    /// The next activity task, picked up.
    pub(crate) fn picked_up(&mut self) -> Token {
        let (token, _) = self.task();
        assert_eq!(self.started(&token), Handled::Accepted);
        token
    }

    pub(crate) fn handle(&mut self, event: Event) -> Handled {
        let handled = self.execution.handle(event, self.now);
        self.advance();
        handled
    }

    pub(crate) fn started(&mut self, token: &Token) -> Handled {
        self.handle(Event::ActivityStarted { token: token.clone() })
    }

    pub(crate) fn heartbeat(&mut self, token: &Token) -> Handled {
        self.handle(Event::Heartbeat { token: token.clone() })
    }

    pub(crate) fn succeed(&mut self, token: &Token, output: Value) -> Handled {
        self.handle(Event::Success { token: token.clone(), output })
    }

    pub(crate) fn fail(&mut self, token: &Token, error: &str) -> Handled {
        let (error, cause) = (Some(error.to_owned()), Some("because".to_owned()));
        self.handle(Event::Failure { token: token.clone(), error, cause })
    }

    /// Answers every task, by the state it belongs to, until the execution ends.
    pub(crate) fn answer(&mut self, mut answer: impl FnMut(&str, &Effect) -> Answer) -> Status {
        loop {
            let effect = self.next();
            if effect == Effect::Ended {
                return self.execution.status().clone();
            }
            let state = self.execution.current_state().unwrap().to_owned();
            let answer = answer(&state, &effect);
            let handled = match (effect, answer) {
                (Effect::ScheduleActivity { token, .. }, answer) => {
                    self.started(&token);
                    match answer {
                        Answer::Result(output) => self.succeed(&token, output),
                        Answer::Error(error, _) => self.fail(&token, error),
                    }
                }
                (Effect::CallService { call_id, callback_token: Some(token), .. }, answer) => {
                    self.handle(Event::ServiceResult { call_id, result: Ok(Value::Null) });
                    match answer {
                        Answer::Result(output) => self.succeed(&token, output),
                        Answer::Error(error, _) => self.fail(&token, error),
                    }
                }
                (Effect::CallService { call_id, .. }, answer) => {
                    let result = match answer {
                        Answer::Result(output) => Ok(output),
                        Answer::Error(error, cause) => Err((error.to_owned(), cause.to_owned())),
                    };
                    self.handle(Event::ServiceResult { call_id, result })
                }
                (Effect::Ended, _) => unreachable!(),
            };
            assert_eq!(handled, Handled::Accepted, "in state {state}");
        }
    }

    /// The names of the states entered, in order.
    pub(crate) fn path(&self) -> Vec<String> {
        let entries = self.execution.history().entries().iter();
        entries
            .filter(|entry| entry.event.name().ends_with("StateEntered"))
            .map(|entry| entry.state.as_deref().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<&'static str> {
        self.execution.history().entries().iter().map(|entry| entry.event.name()).collect()
    }

    pub(crate) fn count(&self, event: HistoryEvent) -> u32 {
        self.execution.history().count(event)
    }

    pub(crate) fn total(&self) -> u32 {
        self.execution.history().total()
    }

    pub(crate) fn failed(&self) -> Option<&str> {
        if let Status::Failed { error, .. } = self.execution.status() { Some(error) } else { None }
    }
}
