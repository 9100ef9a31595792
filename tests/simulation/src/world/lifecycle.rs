//! How executions begin and end: a person starts one; StopExecution, the machine's TimeoutSeconds or a fault of the machine
//! end one from outside, at any moment; EventBridge then starts reconcile, perhaps late, perhaps twice; an operator continues
//! or redrives what has ended.

use super::agenda::{Due, Which};
use super::{Machines, Member, World};
use crate::luck::Luck;
use crate::machine::{Context, Execution, Status};
use crate::narration;
use crate::ports::Known;
use crate::scenario::{ACCOUNT, REGION};
use crate::script::Place;
use crate::time::{after, lock};
use crate::world::status_name;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_contract::machines::{RULES, STATUS_CHANGE};

/// How an execution is ended from outside its own story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// StopExecution.
    Stop,
    /// The machine's TimeoutSeconds pass.
    TimeOut,
    /// States.Runtime: the definition does not fit its data.
    Runtime,
}

impl Cut {
    pub const ALL: &[Self] = &[Self::Stop, Self::TimeOut, Self::Runtime];
}

/// When an execution is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutAt {
    /// So many seconds after the start.
    Second(i64),
    /// As soon as so many calls were made.
    Call(u64),
}

/// What an operator does about an execution that ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequel {
    pub what: SequelKind,
    /// After the end.
    pub after_seconds: i64,
    /// The new run is cut in its turn, so many seconds after its own start.
    pub cut: Option<(i64, Cut)>,
}

/// See [`Sequel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequelKind {
    /// A new execution that continues it.
    Continue,
    /// RedriveExecution.
    Redrive,
}

/// An event that says what its maker likes, handed to reconcile by somebody who may start it and nothing else.
#[derive(Debug, Clone)]
pub struct Forgery {
    pub at_ms: i64,
    pub event: Value,
}

/// An execution that a person starts.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub name: String,
    pub input: Value,
    /// Milliseconds after the world's start.
    pub after_ms: i64,
    /// How it is ended from outside, so many milliseconds after its own start.
    pub cut: Option<(i64, Cut)>,
}

impl World {
    /// Puts a start on the agenda.
    pub fn expect(&mut self, start: Start) {
        let at = after(self.start, start.after_ms);
        self.expected += 1;
        self.agenda.add(at, Due::Start(Box::new(start)));
    }

    pub(super) fn start(&mut self, start: Start) {
        self.expected -= 1;
        let of = self.begin(false, start.name, start.input);
        if let Some((after_ms, cut)) = start.cut {
            self.agenda.add(after(self.now(), after_ms), Due::Cut(of, cut));
        }
    }

    /// Starts an execution now.
    pub fn begin(&mut self, reconciles: bool, name: String, input: Value) -> Which {
        let now = self.now();
        let Machines { recovery, reconcile } = &self.machines;
        let (definition, machine) = if reconciles { (reconcile, "reconcile") } else { (recovery, "recovery") };
        let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}");
        let context =
            Context { execution_id: arn.clone(), execution_name: name.clone(), start_time: now, input: input.clone() };
        let mut execution = Execution::start(definition, context, input.clone(), now);
        execution.read_as(self.setup.readings);
        let member = Member {
            reconciles,
            name,
            arn,
            input,
            execution,
            began: now,
            ended: None,
            ends: 0,
            cut: None,
            timer: None,
            touched: false,
            states: Vec::new(),
            attempts: (0, 0),
        };
        narration::tell(&member.name, || format!("begins: {}", narration::short(&member.input.to_string())));
        if !reconciles {
            let known = Known::new(&member.name, now, member.input.clone(), status_name(member.execution.status()));
            lock(&self.sim.state).known.insert(member.arn.clone(), known);
            self.watch.begins(&member.name, &member.input);
        }
        self.executions.push(member);
        self.running += 1;
        self.most_at_once = self.most_at_once.max(self.running);
        let which = self.executions.len() - 1;
        self.touch(which);
        which
    }

    /// An operator sets a flag so many seconds after the start.
    pub fn expect_request(&mut self, of: Which, seconds: i64, flag: &'static str) {
        self.agenda.add(after(self.start, seconds * 1_000), Due::Request(of, flag));
    }

    /// The execution is cut so many milliseconds after the start, if it still runs.
    pub fn expect_cut(&mut self, of: Which, after_ms: i64, cut: Cut) {
        self.agenda.add(after(self.start, after_ms), Due::Cut(of, cut));
    }

    /// The execution is cut as soon as this many calls were made: for sweeps over every moment of a run.
    pub fn expect_cut_at_call(&mut self, of: Which, call: u64, cut: Cut) {
        self.cuts_at_call.push((call, of, cut));
    }

    pub(super) fn cut_at_calls(&mut self) {
        if self.cuts_at_call.is_empty() {
            return;
        }
        let calls = crate::time::lock(&self.sim.state).faults.calls;
        let (due, later) = std::mem::take(&mut self.cuts_at_call).into_iter().partition(|(call, ..)| *call <= calls);
        self.cuts_at_call = later;
        let due: Vec<(u64, Which, Cut)> = due;
        due.into_iter().for_each(|(_, of, cut)| self.cut(of, cut));
    }

    pub(super) fn cut(&mut self, of: Which, cut: Cut) {
        let now = self.now();
        let member = &mut self.executions[of];
        if member.ended.is_some() {
            return;
        }
        member.cut = Some((now, cut));
        narration::tell(&member.name, || format!("is ended from outside: {cut:?}"));
        match cut {
            Cut::Stop => member.execution.stop(now),
            Cut::TimeOut => member.execution.time_out(now),
            Cut::Runtime => member.execution.fail_at_runtime(now),
        }
        self.touch(of);
    }

    /// Step Functions tells EventBridge how an execution of the recovery machine ended; the contract's rule decides.
    pub(super) fn ended(&mut self, of: Which) {
        let now = self.now();
        self.running -= 1;
        let member = &mut self.executions[of];
        member.ended = Some(now);
        member.ends += 1;
        if of == 0
            && let Some(mut start) = self.afterwards.take()
        {
            start.after_ms += now.as_millisecond() - self.start.as_millisecond();
            self.expect(start);
        }
        let member = &mut self.executions[of];
        let status = status_name(member.execution.status());
        narration::tell(&member.name, || match member.execution.status() {
            Status::Failed { error, cause } => format!("ends {status}: {error}: {}", narration::short(cause)),
            _ => format!("ends {status}"),
        });
        if let Some(known) = lock(&self.sim.state).known.get_mut(&member.arn) {
            (known.status, known.ended) = (status, Some(now));
            if let Status::Failed { error, cause } = member.execution.status() {
                (known.error, known.cause) = (error.clone(), cause.clone());
            }
        }
        let machine = if member.reconciles { "reconcile" } else { "recovery" };
        if !RULES.iter().any(|rule| rule.watches == machine && rule.statuses.contains(&status)) {
            return;
        }
        let event = status_event(member, status, now);
        let mut luck = Luck::new(self.setup.seed, Place { by: "rule", to: &member.name }.key(), member.ends);
        let odd = |luck: &mut Luck| luck.below(100) < self.setup.odd_events;
        // EventBridge delivers at least once, usually within a second or two.
        let copies = if odd(&mut luck) { 2 } else { 1 };
        let delays: Vec<i64> = (0..copies)
            .map(|_| if odd(&mut luck) { luck.range(1_000, 1_800_000) } else { luck.range(100, 3_000) })
            .collect();
        for delay in delays {
            self.expected += 1;
            self.agenda.add(after(now, delay), Due::Reconcile(Box::new(event.clone())));
        }
        self.people_go_on(of);
    }

    /// Somebody who may start reconcile does so, with an event of their own making.
    pub(super) fn forge(&mut self, forgery: &Forgery) {
        narration::tell("malicious operator", || format!("starts reconcile: {}", forgery.event));
        self.deliver(forgery.event.clone());
    }

    pub(super) fn deliver(&mut self, event: Value) {
        self.expected -= 1;
        let name = format!("reconcile-{}", self.executions.len());
        self.begin(true, name, event);
    }

    /// What operators do about an execution that ended badly, as the story has it.
    fn people_go_on(&mut self, of: Which) {
        let Some(sequel) = self.sequels.pop_front() else { return };
        self.expected += 1;
        let at = after(self.now(), sequel.after_seconds * 1_000);
        self.agenda.add(at, Due::Sequel(of, Box::new(sequel)));
    }

    pub(super) fn follow(&mut self, of: Which, sequel: Sequel) {
        self.expected -= 1;
        let now = self.now();
        let which = match sequel.what {
            SequelKind::Continue => {
                // What may be deleted is said anew.
                let mut input = json!({ "continueExecution": self.executions[of].name });
                for option in ["replaceRecovered", "replaceDrill"] {
                    if let Some(given) =
                        self.executions[of].input.get("options").and_then(|options| options.get(option))
                    {
                        input["options"][option] = given.clone();
                    }
                }
                let name = format!("continued-{}", self.executions.len());
                // Two operators may have the same idea.
                let mut luck = Luck::new(self.setup.seed, Place { by: "twice", to: &name }.key(), 1);
                if luck.hits(300) {
                    let after_ms = now.as_millisecond() - self.start.as_millisecond() + luck.range(0, 500);
                    self.expect(Start { name: format!("{name}-twice"), input: input.clone(), after_ms, cut: None });
                }
                self.begin(false, name, input)
            }
            SequelKind::Redrive => {
                let member = &mut self.executions[of];
                if !member.execution.redrive(now) {
                    return;
                }
                (member.ended, member.cut) = (None, None);
                if let Some(known) = lock(&self.sim.state).known.get_mut(&member.arn) {
                    (known.status, known.ended) = (status_name(member.execution.status()), None);
                }
                narration::tell(&member.name, || "is redriven".to_owned());
                self.running += 1;
                self.touch(of);
                of
            }
        };
        if let Some((seconds, cut)) = sequel.cut {
            self.agenda.add(after(now, seconds * 1_000), Due::Cut(which, cut));
        }
    }
}

/// AWS sends null for what the execution did not say.
fn null_if_empty(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn status_event(member: &Member, status: &str, now: Timestamp) -> Value {
    let (error, cause) = match member.execution.status() {
        Status::Failed { error, cause } => (null_if_empty(error), null_if_empty(cause)),
        _ => (Value::Null, Value::Null),
    };
    let machine = Arc::<str>::from(member.arn.replace(":execution:", ":stateMachine:"));
    let machine = machine.rsplit_once(':').map_or("", |(machine, _)| machine);
    json!({
        "version": "0", "id": format!("event-{}", member.name), "detail-type": STATUS_CHANGE, "source": "aws.states",
        "account": ACCOUNT, "region": REGION, "time": now.to_string(), "resources": [member.arn],
        "detail": {
            "executionArn": member.arn, "stateMachineArn": machine, "name": member.name, "status": status,
            "startDate": member.began.as_millisecond(), "stopDate": now.as_millisecond(),
            "input": member.input.to_string(), "inputDetails": { "included": true }, "output": null, "outputDetails": null,
            "error": error, "cause": cause,
        },
    })
}
