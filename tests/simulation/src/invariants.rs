//! What must hold after every event of every run, a sentence each. Read from the tables and from DRS, never from what an
//! activity says.

use crate::ports::State;
use crate::tables::Item;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionStatus, SourceServerId, WaveStatus};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

/// What has been seen so far, for promises about change.
#[derive(Debug, Default)]
pub struct Watch {
    terminal: Option<(String, String)>,
    completed_waves: u64,
    launches_seen: usize,
    launched_by_attempt: BTreeMap<(SourceServerId, u64), u32>,
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(item: &Value, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn settled(status: &str) -> bool {
    WaveStatus::ALL.iter().any(|known| known.as_str() == status && known.is_settled())
}

impl Watch {
    /// Checks everything that can be checked while the run goes on.
    pub fn check(&mut self, state: &State, execution_id: &str) -> Result<(), Violation> {
        let record = state.tables.query(TableKey::ExecutionHistory, execution_id, "").next();
        let items: Vec<&Item> = state.tables.query(TableKey::ExecutionWaves, execution_id, "").collect();
        let waves: Vec<&Item> = items.iter().copied().filter(|item| !text(item, "waveKey").contains('#')).collect();
        let shards: Vec<&Item> = items.iter().copied().filter(|item| item.contains_key("serverStatuses")).collect();
        if let Some(record) = record {
            self.record_is_honest(record, &waves, &shards)?;
        }
        waves_run_in_order(&waves)?;
        counts_add_up(&waves)?;
        instances_carry_their_job(&shards, state)?;
        self.nothing_is_launched_twice(state, &shards)?;
        if let Some(job) = &state.sent_again {
            return broken(
                "StartRecovery is never sent while a job of this run holds one of its servers.",
                job.clone(),
            );
        }
        if let Some(key) = &state.tables.lost_update {
            return broken("A stored item is only ever replaced by its next version.", key.clone());
        }
        only_our_drill_instances_are_terminated(state, record)
    }

    fn record_is_honest(&mut self, record: &Item, waves: &[&Item], shards: &[&Item]) -> Result<(), Violation> {
        let status = text(record, "status");
        let known = ExecutionStatus::ALL.iter().find(|known| known.as_str() == status);
        let Some(known) = known else {
            return broken("The execution's status is one of the closed set.", status);
        };
        if let Some((terminal, end_time)) = &self.terminal {
            if terminal != status || end_time != text(record, "endTime") {
                return broken(
                    "A terminal status and its endTime are written once and never change.",
                    format!("{terminal} became {status}"),
                );
            }
        } else if known.is_terminal() {
            self.terminal = Some((status.to_owned(), text(record, "endTime").to_owned()));
            if text(record, "endTime").is_empty() || !record.contains_key("outcome") {
                return broken("A terminal status comes with its endTime and outcome, in one write.", status);
            }
        } else if record.contains_key("endTime") {
            return broken("An execution that goes on has no endTime.", status);
        }
        if status == "PAUSED" && !record.contains_key("gate") {
            return broken("PAUSED always has its gate and token.", "no gate");
        }
        if known.is_terminal() && record.contains_key("gate") {
            return broken("A finished execution holds no gate and no token.", status);
        }
        let completed = record.get("completedWaves").and_then(Value::as_u64).unwrap_or_default();
        if completed < self.completed_waves {
            return broken("completedWaves never falls.", format!("{} became {completed}", self.completed_waves));
        }
        self.completed_waves = completed;
        if status == "COMPLETED" && text(record, "mode") == "RUN" {
            completed_means_completed(record, waves, shards)?;
        }
        Ok(())
    }

    /// Every accepted StartRecovery is held against what ran before it.
    fn nothing_is_launched_twice(&mut self, state: &State, shards: &[&Item]) -> Result<(), Violation> {
        for (servers, job) in &state.launches[self.launches_seen..] {
            for server in servers {
                let attempt = shards
                    .iter()
                    .find(|shard| names_server(shard, server))
                    .and_then(|shard| shard.get("intent"))
                    .map_or(0, |intent| number(intent, "attempt"));
                let times = self.launched_by_attempt.entry((server.clone(), attempt)).or_insert(0);
                *times += 1;
                if *times > 1 {
                    return broken("No server is launched twice in one attempt.", format!("{server} by {job}"));
                }
                let twins = state
                    .ec2
                    .all()
                    .filter(|instance| {
                        instance.launch.source_server_id == server.as_str() && instance.state != "terminated"
                    })
                    .filter(|instance| instance.launch.job_id != job.as_str())
                    .count();
                if twins > 0 {
                    return broken("No server is launched while an instance of it runs.", format!("{server} by {job}"));
                }
            }
        }
        self.launches_seen = state.launches.len();
        Ok(())
    }

    /// Checks what must hold once the run is over: `machine` is Step Functions' own end status and error.
    pub fn check_end(&self, state: &State, execution_id: &str, machine: (&str, &str)) -> Result<(), Violation> {
        let Some(record) = state.tables.query(TableKey::ExecutionHistory, execution_id, "").next() else {
            return broken("Every execution that is no check leaves a record.", machine.0);
        };
        let status = text(record, "status");
        let error =
            record.get("outcome").and_then(|outcome| outcome.get("error")).and_then(Value::as_str).unwrap_or_default();
        let agree = match status {
            "COMPLETED" => machine.0 == "SUCCEEDED",
            "PARTIAL" | "FAILED" | "CANCELLED" | "TIMED_OUT" => machine.0 == "FAILED" && machine.1 == error,
            _ => false,
        };
        if !agree {
            return broken(
                "The record's outcome is Step Functions' outcome.",
                format!("{status} ({error}) and {} ({})", machine.0, machine.1),
            );
        }
        if let Some(lock) =
            state.tables.all(TableKey::ServerLocks).find(|lock| text(lock, "executionId") == execution_id)
        {
            return broken("A finished execution holds no lock.", text(lock, "server").to_owned());
        }
        for wave in state
            .tables
            .query(TableKey::ExecutionWaves, execution_id, "")
            .filter(|item| item.contains_key("shardCount"))
        {
            if !settled(text(wave, "status")) {
                return broken(
                    "No wave of a finished execution is unsettled.",
                    format!("{} {}", text(wave, "waveKey"), text(wave, "status")),
                );
            }
        }
        let cleaned = record.get("cleanup").and_then(|cleanup| cleanup.get("status")).and_then(Value::as_str)
            == Some("COMPLETED");
        let jobs: BTreeSet<&str> = state.launches.iter().map(|(_, job)| job.as_str()).collect();
        let alive = state
            .ec2
            .all()
            .find(|instance| jobs.contains(instance.launch.job_id.as_str()) && instance.state != "terminated");
        match alive {
            Some(instance) if cleaned => broken(
                "After a completed cleanup no instance of this run is up.",
                instance.launched.instance_id.clone(),
            ),
            _ => Ok(()),
        }
    }
}

fn broken(rule: &'static str, detail: impl Into<String>) -> Result<(), Violation> {
    Err(Violation { rule, detail: detail.into() })
}

fn names_server(shard: &Item, server: &SourceServerId) -> bool {
    servers(shard).any(|status| status.get("sourceServerId").and_then(Value::as_str) == Some(server.as_str()))
}

fn servers(shard: &Item) -> impl Iterator<Item = &Value> {
    shard.get("serverStatuses").and_then(Value::as_array).into_iter().flatten()
}

fn completed_means_completed(record: &Item, waves: &[&Item], shards: &[&Item]) -> Result<(), Violation> {
    let total = record.get("totalWaves").and_then(Value::as_u64).unwrap_or_default();
    let done = waves.iter().filter(|wave| text(wave, "status") == "COMPLETED").count() as u64;
    if total == 0 || done != total {
        return broken("COMPLETED means every planned wave is COMPLETED.", format!("{done} of {total}"));
    }
    for server in shards.iter().flat_map(|shard| servers(shard)) {
        let launched = server.get("launchStatus").and_then(Value::as_str) == Some("LAUNCHED");
        if !launched {
            return broken("COMPLETED means every server is LAUNCHED.", server.to_string());
        }
    }
    Ok(())
}

fn waves_run_in_order(waves: &[&Item]) -> Result<(), Violation> {
    for pair in waves.windows(2) {
        if !settled(text(pair[0], "status")) {
            return broken(
                "No wave begins before the one before it is durably settled.",
                format!(
                    "{} is {} and {} exists",
                    text(pair[0], "waveKey"),
                    text(pair[0], "status"),
                    text(pair[1], "waveKey")
                ),
            );
        }
    }
    Ok(())
}

fn counts_add_up(waves: &[&Item]) -> Result<(), Violation> {
    for wave in waves {
        let Some(counts) = wave.get("counts") else { continue };
        let parts: u64 = ["ready", "failed", "active", "skipped"].iter().map(|name| number(counts, name)).sum();
        if parts != number(counts, "total") {
            return broken("A wave's counts add up to its servers.", counts.to_string());
        }
    }
    Ok(())
}

fn instances_carry_their_job(shards: &[&Item], state: &State) -> Result<(), Violation> {
    let jobs: BTreeSet<&str> = state.launches.iter().map(|(_, job)| job.as_str()).collect();
    for server in shards.iter().flat_map(|shard| servers(shard)) {
        let field = |name: &str| server.get(name).and_then(Value::as_str);
        let Some(id) = field("instanceId") else { continue };
        let ours = state.ec2.get(id).is_some_and(|instance| {
            jobs.contains(instance.launch.job_id.as_str())
                && Some(instance.launch.job_id.as_str()) == field("recoveryJobId")
                && Some(instance.launch.source_server_id.as_str()) == field("sourceServerId")
        });
        if !ours || field("ec2InstanceId") != Some(id) || field("recoveredInstanceId") != Some(id) {
            return broken("Every instance on record was launched by its own wave's job, under all three names.", id);
        }
    }
    Ok(())
}

fn only_our_drill_instances_are_terminated(state: &State, record: Option<&Item>) -> Result<(), Violation> {
    let Some(first) = state.terminations.first() else {
        return Ok(());
    };
    if record.is_none_or(|record| text(record, "executionType") != "DRILL") {
        return broken("Cleanup touches drill instances only.", first.clone());
    }
    let jobs: BTreeSet<&str> = state.launches.iter().map(|(_, job)| job.as_str()).collect();
    let foreign = state
        .terminations
        .iter()
        .find(|id| state.ec2.get(id).is_none_or(|instance| !jobs.contains(instance.launch.job_id.as_str())));
    match foreign {
        Some(id) => broken("Cleanup touches only what this run launched.", id.clone()),
        None => Ok(()),
    }
}
