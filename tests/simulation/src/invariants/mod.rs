//! What must hold after every event of every run, a sentence each. Read from the tables, from DRS and from what is logged,
//! never from what an activity says. Promises to people, and about the order of things, are in [`crate::promises`].
//!
//! - this file: what is looked at when. Only what changed is looked at, so a run costs what it does.
//! - `items`: how the tables are read. `sentences`: every promise. `planned`: what a person asked for, read from the input.
//! - `record`: one execution's record, waves and servers. `verdict`: a wave, judged a second time. `stored`: what a wave has on
//!   record. `launches`: what DRS was asked. `deletions`: what that cost others.
//! - `end`: when it is over. `truth`: the record against the plan and DRS. `outcome`: why it ended.
//! - `leaks`: tokens in logs and errors.

mod deletions;
mod end;
mod items;
mod launches;
pub mod leaks;
mod outcome;
pub(crate) mod planned;
mod record;
mod sentences;
pub(crate) mod stored;
mod truth;
mod verdict;

pub use end::Ended;
pub(crate) use items::{
    field, listed_jobs, number, record_of, seconds_between, servers, shards_of, text, timeline, waves_of,
};
pub(crate) use launches::{note_if_terminated_again, note_refusal};
pub(crate) use outcome::is_no_fault_of_ours;
pub use outcome::is_plain;
pub use sentences::*;

use crate::ports::State;
use crate::promises::Touched;
use crate::tables::Tables;
use deletions::Deletions;
use launches::Launches;
use planned::Planned;
use record::RunWatch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_contract::tables::{JOB_KEY, RECORD_KEY, TableKey};

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

/// The answer of a check that has failed.
pub(crate) fn broken(rule: &'static str, detail: impl Into<String>) -> Result<(), Violation> {
    Err(violation(rule, detail))
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
    deletions: Deletions,
    /// Servers whose lock was written after its execution's end.
    late_locks: BTreeSet<String>,
}

impl Watch {
    /// A person starts an execution: what it has to do is what the input says, or that of the execution it continues.
    pub fn begins(&mut self, name: &str, input: &Value) {
        let continued = input.get("continueExecution").and_then(Value::as_str);
        let plan = match continued {
            Some(first) => self.runs.get(first).and_then(|run| run.plan.clone()),
            None => Planned::of(input).map(Arc::new),
        };
        run(&mut self.runs, name).plan = plan;
        self.deletions.begins(name, input, continued);
    }

    /// Checks everything that changed since the last call.
    pub fn check(&mut self, state: &mut State) -> Result<(), Violation> {
        // DRS refuses these calls, so nothing else may change for them.
        if let Some(job) = &state.sent_again {
            return broken(NOT_WHILE_HELD, job.clone());
        }
        if let Some(job) = &state.terminated_again {
            return broken(NOT_TERMINATED_TWICE, job.clone());
        }
        self.deletions.check(state)?;
        let changes = state.tables.take_changes();
        if changes.is_empty() && !self.launches.has_news(state) {
            return Ok(());
        }
        if let Some(key) = &state.tables.lost_update {
            return broken(NEXT_VERSION, key.clone());
        }
        let mut touched: BTreeMap<&str, Touched<'_>> = BTreeMap::new();
        for change in &changes {
            let id = change.key.0.as_str();
            match change.table {
                TableKey::ExecutionHistory => {
                    is_of_an_execution(state, id)?;
                    let run = run(&mut self.runs, id);
                    run.record_changed(state, id, change.by)?;
                    touched.entry(id).or_default().record = true;
                }
                // Whose job it is; no run has such an id.
                // Nor one like that under which a record's key is kept.
                TableKey::ExecutionWaves if [JOB_KEY, RECORD_KEY].contains(&change.key.1.as_str()) => {}
                TableKey::ExecutionWaves => {
                    run(&mut self.runs, id).wave_changed(state, id, &change.key.1, change.by)?;
                    touched.entry(id).or_default().keys.push(&change.key.1);
                }
                TableKey::ServerLocks => self.lock_changed(state, &change.key.0),
                TableKey::ExecutionRequests => {
                    touched.entry(id).or_default();
                }
                TableKey::ExecutionGates | TableKey::RecoveryPlans | TableKey::ProtectionGroups => {}
            }
        }
        let launched_by = self.launches.check(state)?;
        for id in &launched_by {
            touched.entry(id).or_default();
        }
        touched.iter().try_for_each(|(id, touched)| {
            let run = run(&mut self.runs, id);
            run.promises.check(state, id, run.plan.as_deref(), touched)
        })
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
        let run = self.runs.get(ended.execution_id);
        let plan = run.and_then(|run| run.plan.as_deref());
        end::check(state, ended, plan, &self.late_locks)?;
        run.map_or(Ok(()), |run| run.promises.check_end(state, ended.execution_id))?;
        outcome::check(state, plan, ended)?;
        plan.map_or(Ok(()), |plan| truth::check(state, ended.execution_id, plan))
    }
}

/// Nobody but an execution has a record, and each has one.
fn is_of_an_execution(state: &State, id: &str) -> Result<(), Violation> {
    let mut records = state.tables.query(TableKey::ExecutionHistory, id, "");
    let (Some(record), other) = (records.next(), records.next()) else {
        return Ok(());
    };
    if let Some(other) = other {
        return broken(ONE_RECORD, format!("{id}: {} and {}", text(record, "planId"), text(other, "planId")));
    }
    let Some(known) = state.known.get(text(record, "executionArn")).filter(|known| known.name == id) else {
        return broken(PROVEN, format!("{id} {}", text(record, "executionArn")));
    };
    let named = known.input.get("planId").or_else(|| known.input.pointer("/plan/planId")).and_then(Value::as_str);
    match named {
        Some(plan) if plan != text(record, "planId") => {
            broken(ONE_RECORD, format!("{id} of {plan}, not of {}", text(record, "planId")))
        }
        _ => Ok(()),
    }
}

fn run<'a>(runs: &'a mut BTreeMap<String, RunWatch>, id: &str) -> &'a mut RunWatch {
    if !runs.contains_key(id) {
        runs.insert(id.to_owned(), RunWatch::default());
    }
    runs.entry(id.to_owned()).or_default()
}
