//! What must hold once everything is over.

use super::launches::released_at;
use super::planned::Planned;
use super::record::is_settled;
use super::{
    AGREES, CLEANED, CONFLICT_NAMED, JOBS_NAMED, LEAVES_RECORD, NO_LOCK, ONE_SUCCESSOR, Violation, WAVES_SETTLED,
    broken, chain, field, record_of, servers, shards_of, text,
};
use crate::ports::{Refusal, State};
use crate::tables::Item;
use crate::world::Cut;
use crate::world::NATIVE_EXECUTION;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::JobId;
use tidegate_contract::tables::TableKey;

/// Of a worker ([`crate::faults`]), with the patience the runtime has with work it cancels.
const LONGEST_FREEZE_SECONDS: i64 = 402;

/// How an execution of the recovery machine ended, as Step Functions says.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub execution_id: &'a str,
    pub status: &'a str,
    pub error: &'a str,
    /// How it was ended from outside, if it was.
    pub cut: Option<(Timestamp, Cut)>,
}

pub(super) fn check(
    state: &mut State,
    ended: &Ended<'_>,
    plan: Option<&Planned>,
    late_locks: &BTreeSet<String>,
) -> Result<(), Violation> {
    let id = ended.execution_id;
    let job_ends = ended.cut.map(|_| state.job_ends(id, Timestamp::MAX)).unwrap_or_default();
    let released = released(state, id);
    let state = &*state;
    let Some(record) = record_of(&state.tables, id) else {
        return broken(LEAVES_RECORD, ended.status);
    };
    // A finalize that was frozen when the execution was cut writes what it had decided when it wakes up, unless reconcile has
    // been faster.
    let frozen = if state.faults.thawed > 0 { LONGEST_FREEZE_SECONDS } else { 0 };
    agrees(record, ended, state.clocks_differ + frozen)?;
    let mut held = state.tables.all(TableKey::ServerLocks).filter(|lock| text(lock, "executionId") == id);
    if let Some(lock) = held.find(|lock| !late_locks.contains(text(lock, "server"))) {
        return broken(NO_LOCK, text(lock, "server"));
    }
    let waves = || state.tables.query(TableKey::ExecutionWaves, id, "").filter(|item| item.contains_key("shardCount"));
    if let Some(wave) = waves().find(|wave| !is_settled(text(wave, "status"))) {
        return broken(WAVES_SETTLED, format!("{} {}", text(wave, "waveKey"), text(wave, "status")));
    }
    running_jobs_are_named(record, &waves().collect::<Vec<_>>(), &job_ends)?;
    holders_are_named(state, id, &released)?;
    native_holder_is_named_at_once(state, record, plan)?;
    one_successor(state, id)?;
    cleaned(state, record, id)
}

/// Servers an execution was last refused, with their holders, as long as those held them for another minute: a worker has
/// to have a chance to see them.
fn released(state: &mut State, id: &str) -> BTreeMap<String, String> {
    let own: Vec<(String, Refusal)> = state
        .refusals
        .iter()
        .filter(|((by, _), _)| **by == *id)
        .map(|((_, server), refusal)| (server.clone(), refusal.clone()))
        .collect();
    let mut held = BTreeMap::new();
    for (server, refusal) in own {
        let released = released_at(state, &refusal, &server);
        if released.is_none_or(|released| released.duration_since(refusal.at).as_secs() > 60) {
            held.insert(server, refusal.holder);
        }
    }
    held
}

/// Whoever was refused by DRS because somebody else holds a server is told who.
fn holders_are_named(state: &State, id: &str, held: &BTreeMap<String, String>) -> Result<(), Violation> {
    let shards = state.tables.query(TableKey::ExecutionWaves, id, "").filter(|item| item.contains_key("intent"));
    for intent in shards.filter_map(|shard| shard.get("intent")) {
        let refusal = field(intent, "refusal");
        // Not for DRS's refusal, but because the run was at its end.
        let cancelled = state.tables.get(TableKey::ExecutionRequests, id, "");
        let cancelled = cancelled.is_some_and(|asked| text(asked, "cancelRequested") == "true");
        let ended = cancelled || refusal.contains("the execution ended");
        if refusal.is_empty() || ended {
            continue;
        }
        let servers = intent.get("sourceServerIds").and_then(Value::as_array).into_iter().flatten();
        let holders: Vec<&String> = servers.filter_map(|server| held.get(server.as_str()?)).collect();
        if !holders.iter().all(|holder| refusal.contains(holder.as_str())) {
            return broken(CONFLICT_NAMED, format!("{holders:?} in {refusal:?}"));
        }
    }
    Ok(())
}

/// A plan that is refused while a native execution holds one of its servers all the time is told so.
fn native_holder_is_named_at_once(state: &State, record: &Item, plan: Option<&Planned>) -> Result<(), Violation> {
    let outcome =
        |name: &str| record.get("outcome").and_then(|outcome| outcome.get(name)?.as_str()).unwrap_or_default();
    let time = |name: &str| text(record, name).parse::<Timestamp>().ok();
    let (Some(start), Some(end), Some(plan)) = (time("startTime"), time("endTime"), plan) else { return Ok(()) };
    // A continuation may be refused for what it continues.
    let refused = outcome("reason") == "REFUSED" && outcome("error") == "Tidegate.PlanRefused";
    if !refused || outcome("cause").contains("continueExecution") {
        return Ok(());
    }
    // What a run this one continues has asked DRS for is not asked for again, or is left to start-wave, which names its holder.
    let chain = chain(&state.tables, text(record, "executionId"));
    let asked_before = |server: &String| {
        let shards = chain.iter().skip(1).flat_map(|id| shards_of(state, id, ""));
        let mut asked = shards.filter(|shard| {
            shard.get("job").is_some_and(|job| !job.is_null())
                || shard.get("intent").is_some_and(|intent| !field(intent, "lastSentAt").is_empty())
        });
        asked.any(|shard| servers(shard).any(|one| field(one, "sourceServerId") == server))
    };
    let ours =
        |server: &String| plan.waves.values().any(|wave| wave.servers.contains_key(server)) && !asked_before(server);
    let mut holds = state.native.iter().filter(|(from, until, _)| *from < start && end < *until);
    if holds.any(|(_, _, servers)| servers.iter().any(ours)) && !outcome("cause").contains(NATIVE_EXECUTION) {
        return broken(CONFLICT_NAMED, outcome("cause"));
    }
    Ok(())
}

/// The record says what Step Functions says. What was cut from outside has the record that reconcile gave it, unless it had
/// finalized itself before.
fn agrees(record: &Item, ended: &Ended<'_>, at_most_late: i64) -> Result<(), Violation> {
    let status = text(record, "status");
    let outcome =
        |name: &str| record.get("outcome").and_then(|outcome| outcome.get(name)?.as_str()).unwrap_or_default();
    let own = match status {
        "COMPLETED" => ended.status == "SUCCEEDED",
        "PARTIAL" | "FAILED" | "CANCELLED" | "TIMED_OUT" => ended.status == "FAILED" && ended.error == outcome("error"),
        _ => false,
    };
    let cut = ended.cut.is_some_and(|(at, cut)| {
        let (machine, reconciled, reason) = match cut {
            Cut::Stop => ("ABORTED", "CANCELLED", "STOPPED"),
            Cut::TimeOut => ("TIMED_OUT", "TIMED_OUT", "MACHINE_TIMED_OUT"),
            Cut::Runtime => ("FAILED", "FAILED", "MACHINE_FAILED"),
        };
        let before = text(record, "endTime")
            .parse::<Timestamp>()
            .is_ok_and(|end| end.duration_since(at).as_secs() <= at_most_late);
        let by_itself = before && matches!(status, "COMPLETED" | "PARTIAL" | "FAILED" | "CANCELLED" | "TIMED_OUT");
        ended.status == machine && ((status == reconciled && outcome("reason") == reason) || by_itself)
    });
    // Finalize was called until its retries were used up: the machine never heard what it had written. Reconcile did.
    let unheard =
        ended.status == "FAILED" && ended.error == "Tidegate.FinalizeFailed" && record.contains_key("endTime");
    if own || cut || unheard {
        return Ok(());
    }
    let (error, cut) = (outcome("error"), ended.cut.map(|(_, cut)| cut));
    broken(AGREES, format!("{status} ({error}) and {} ({}), cut: {cut:?}", ended.status, ended.error))
}

/// Every job of a stopped execution that outlived it is named by one of its waves, or counted as unanswered.
fn running_jobs_are_named(
    record: &Item,
    waves: &[&Item],
    job_ends: &[(JobId, Option<Timestamp>)],
) -> Result<(), Violation> {
    let Ok(end) = text(record, "endTime").parse::<Timestamp>() else { return Ok(()) };
    for (job, _) in job_ends.iter().filter(|(_, ended)| ended.is_none_or(|ended| ended > end)) {
        let named = |wave: &&Item| {
            let listed = wave.get("jobs").and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(|listed| listed.get("jobId")?.as_str()).any(|listed| listed == job.as_str())
                || text(wave, "error").contains(job.as_str())
                || text(wave, "error").contains("launches without an answer")
        };
        if !waves.iter().any(named) {
            return broken(JOBS_NAMED, job.to_string());
        }
    }
    Ok(())
}

fn one_successor(state: &State, id: &str) -> Result<(), Violation> {
    let begun = |record: &&Item| {
        let timeline = record.get("timeline").and_then(Value::as_array).into_iter().flatten();
        text(record, "continues") == id
            && timeline.filter_map(|entry| entry.get("event")?.as_str()).any(|event| event == "PREPARED")
    };
    let successors: Vec<&str> =
        state.tables.all(TableKey::ExecutionHistory).filter(begun).map(|record| text(record, "executionId")).collect();
    let named = record_of(&state.tables, id).map_or("", |record| text(record, "continuedBy"));
    match successors.as_slice() {
        [] => Ok(()),
        [only] if *only == named => Ok(()),
        _ => broken(ONE_SUCCESSOR, format!("{id} by {successors:?}, it says {named}")),
    }
}

fn cleaned(state: &State, record: &Item, id: &str) -> Result<(), Violation> {
    let status = record.get("cleanup").and_then(|cleanup| cleanup.get("status")?.as_str());
    if status != Some("COMPLETED") {
        return Ok(());
    }
    let chain = chain(&state.tables, id);
    let ours = |job: &str| state.launches.of_job(job).is_some_and(|launch| chain.contains(&&*launch.by));
    let alive =
        state.ec2.all().find(|instance| instance.state != "terminated" && ours(instance.launch.job_id.as_str()));
    match alive {
        Some(instance) => broken(CLEANED, instance.launched.instance_id.clone()),
        None => Ok(()),
    }
}
