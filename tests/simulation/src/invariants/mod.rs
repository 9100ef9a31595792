//! What must hold after every event of every run, a sentence each. Read from the tables, from DRS and from what is logged,
//! never from what an activity says. Promises to people, and about the order of things, are in [`crate::promises`].
//!
//! - this file: the sentences, and what is looked at when. Only what changed is looked at, so a run costs what it does.
//! - `record`: one execution's record, waves and servers. `launches`: what DRS was asked. `end`: when it is over.
//! - `leaks`: tokens in logs and errors.

mod end;
mod launches;
pub mod leaks;
mod record;

pub use end::Ended;

use crate::ports::State;
use crate::promises::Touched;
use crate::tables::{Item, Tables};
use launches::Launches;
use record::RunWatch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::tables::TableKey;

/// Declares the sentences, and a list of them all.
macro_rules! sentences {
    ($($name:ident = $text:literal;)*) => {
        $(pub const $name: &str = $text;)*
        /// Every sentence.
        pub const SENTENCES: &[&str] = &[$($name),*];
    };
}

sentences! {
    // The run as a whole.
    SET_UP = "The simulation can be set up.";
    ENDS = "Every execution ends once faults stop.";
    HISTORY = "No history reaches 25,000 events.";
    TASK_TAKEN_AWAY = "A task of a worker that lives is never taken away from it.";
    EC2_FAILS_NO_POLL = "EC2's failure never fails a poll.";
    NO_LEAK = "No task token is in a log, an error or an event.";
    // The record.
    KNOWN_STATUS = "The execution's status is one of the closed set.";
    TERMINAL_ONCE = "A terminal status and its endTime are written once and never change.";
    TERMINAL_WHOLE = "A terminal status comes with its endTime and outcome, in one write.";
    TERMINAL_BY_FINALIZE = "Only finalize writes a terminal status.";
    OPEN_HAS_NO_END = "An execution that goes on has no endTime.";
    PAUSED_HAS_GATE = "PAUSED always has its gate and token.";
    FINISHED_HAS_NO_GATE = "A finished execution holds no gate and no token.";
    COMPLETED_WAVES_RISE = "completedWaves never falls once the execution has begun.";
    COMPLETED_WAVES = "COMPLETED means every planned wave is COMPLETED.";
    COMPLETED_SERVERS = "COMPLETED means every server is LAUNCHED.";
    // Waves and servers.
    WAVE_ORDER = "No wave begins before the one before it is durably settled.";
    COUNTS = "A wave's counts add up to its servers.";
    OWN_INSTANCES = "Every instance on record was launched by its own wave's job, under all three names.";
    NEXT_VERSION = "A stored item is only ever replaced by its next version.";
    // What DRS is asked.
    ONCE_PER_ATTEMPT = "No server is launched twice in one attempt.";
    NO_TWIN = "No server is launched while an instance of it runs.";
    NOT_WHILE_HELD = "StartRecovery is never sent while a job of this run holds one of its servers.";
    DRILL_ONLY = "Cleanup touches drill instances only.";
    OWN_ONLY = "Cleanup touches only what this run, or one it continues, launched.";
    // The end.
    LEAVES_RECORD = "Every execution that is no check leaves a record.";
    AGREES = "The record's outcome is Step Functions' outcome.";
    NO_LOCK = "A finished execution holds no lock it had at its end.";
    WAVES_SETTLED = "No wave of a finished execution is unsettled.";
    CLEANED = "After a completed cleanup no instance of this run is up.";
    JOBS_NAMED = "What may still run after an execution was stopped is named.";
    CONFLICT_NAMED = "A native recovery plan execution that holds a server is named.";
    // Continuations.
    ONE_SUCCESSOR = "An execution is continued by one other at most.";
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

/// A broken promise.
pub fn violation(rule: &'static str, detail: impl Into<String>) -> Violation {
    Violation { rule, detail: detail.into() }
}

fn broken(rule: &'static str, detail: impl Into<String>) -> Result<(), Violation> {
    Err(violation(rule, detail))
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(item: &Item, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn servers(shard: &Item) -> impl Iterator<Item = &Value> {
    shard.get("serverStatuses").and_then(Value::as_array).into_iter().flatten()
}

/// An execution's record.
pub(crate) fn record_of<'a>(tables: &'a Tables, execution_id: &str) -> Option<&'a Item> {
    tables.query(TableKey::ExecutionHistory, execution_id, "").next()
}

/// An execution and those it continues, itself first.
pub(crate) fn chain<'a>(tables: &'a Tables, execution_id: &'a str) -> Vec<&'a str> {
    let mut chain = vec![execution_id];
    while let Some(next) = chain.last().and_then(|id| record_of(tables, id)?.get("continues")?.as_str()) {
        if chain.contains(&next) {
            break;
        }
        chain.push(next);
    }
    chain
}

/// What has been seen so far, for promises about change.
#[derive(Debug, Default)]
pub struct Watch {
    runs: BTreeMap<String, RunWatch>,
    launches: Launches,
    /// Servers whose lock was written after its execution's end.
    late_locks: BTreeSet<String>,
}

impl Watch {
    /// Checks everything that changed since the last call.
    pub fn check(&mut self, state: &mut State) -> Result<(), Violation> {
        let changes = state.tables.take_changes();
        if changes.is_empty() && !self.launches.has_news(state) {
            return Ok(());
        }
        if let Some(job) = &state.sent_again {
            return broken(NOT_WHILE_HELD, job.clone());
        }
        if let Some(key) = &state.tables.lost_update {
            return broken(NEXT_VERSION, key.clone());
        }
        let mut touched: BTreeMap<&str, Touched<'_>> = BTreeMap::new();
        for change in &changes {
            let id = change.key.0.as_str();
            match change.table {
                TableKey::ExecutionHistory => {
                    let run = run(&mut self.runs, id);
                    run.record_changed(state, id, change.by)?;
                    touched.entry(id).or_default().record = true;
                }
                TableKey::ExecutionWaves => {
                    run(&mut self.runs, id).wave_changed(state, id, &change.key.1)?;
                    touched.entry(id).or_default().keys.push(&change.key.1);
                }
                TableKey::ServerLocks => self.lock_changed(state, &change.key.0),
                TableKey::RecoveryPlans | TableKey::ProtectionGroups => {}
            }
        }
        let launched_by = self.launches.check(state)?;
        for id in &launched_by {
            touched.entry(id).or_default();
        }
        touched.iter().try_for_each(|(id, touched)| run(&mut self.runs, id).promises.check(state, id, touched))
    }

    /// A worker that was frozen in the middle of a prepare may wake up after its run has ended, and write one more lock.
    /// Nobody is kept out by it: whoever wants the server takes over the lock of an execution that has ended.
    fn lock_changed(&mut self, state: &State, server: &str) {
        let holder = state.tables.get(TableKey::ServerLocks, server, "").map(|lock| text(lock, "executionId"));
        let over =
            holder.and_then(|id| record_of(&state.tables, id)).is_some_and(|record| record.contains_key("endTime"));
        if over {
            self.late_locks.insert(server.to_owned());
        } else {
            self.late_locks.remove(server);
        }
    }

    /// Checks what must hold for one execution once everything is over.
    pub fn check_end(&self, state: &mut State, ended: &Ended<'_>) -> Result<(), Violation> {
        end::check(state, ended, &self.late_locks)?;
        match self.runs.get(ended.execution_id) {
            Some(run) => run.promises.check_end(state, ended.execution_id),
            None => Ok(()),
        }
    }
}

fn run<'a>(runs: &'a mut BTreeMap<String, RunWatch>, id: &str) -> &'a mut RunWatch {
    if !runs.contains_key(id) {
        runs.insert(id.to_owned(), RunWatch::default());
    }
    runs.entry(id.to_owned()).or_default()
}
