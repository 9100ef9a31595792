//! The record against the plan and against DRS, once everything is over: who is on record, what was launched how often, and
//! whether DRS says of a ready server what the record says.

use super::planned::{Planned, PlannedWave};
use super::verdict::{has_its_servers, is_ready};
use super::{
    ACTIONS_DONE, COUNTS, EVERY_SERVER, LAUNCHED_ONCE, Violation, WAVE_ENRICHED, broken, chain, field, number,
    record_of, servers, shards_of, text, violation, waves_of,
};
use crate::ports::{Launch, State};
use crate::tables::Item;
use serde_json::{Value, json};
use tidegate_simulator::wire::{DescribeJobs, JobFilters, LaunchActionRunStatus, ParticipatingServer};
use tidegate_simulator::{Operation, Scope};

/// A server that is ready on record, and the launch its instance came from.
struct Ready {
    server: String,
    scope: Scope,
    job: String,
}

pub(super) fn check(state: &mut State, id: &str, plan: &Planned) -> Result<(), Violation> {
    let ready = on_record(state, id, plan)?;
    if plan.is_drill {
        return Ok(());
    }
    ready.iter().try_for_each(|ready| actions_are_done(state, ready))
}

/// Every wave that was begun has the plan's servers; every ready one was launched once, and once more at most for each retry.
fn on_record(state: &State, id: &str, plan: &Planned) -> Result<Vec<Ready>, Violation> {
    let mut ready = Vec::new();
    let Some(record) = record_of(&state.tables, id).filter(|record| has_begun(record)) else { return Ok(ready) };
    let all_settled =
        record.get("outcome").and_then(|outcome| outcome.get("reason")?.as_str()) == Some("ALL_WAVES_SETTLED");
    let chain = chain(&state.tables, id);
    let ours: Vec<&Launch> = state.launches.all().iter().filter(|launch| chain.contains(&&*launch.by)).collect();
    for (wave_number, planned) in &plan.waves {
        let begun = waves_of(state, id).find(|wave| number(wave, "waveNumber") == *wave_number);
        let Some(wave) = begun.filter(|wave| number(wave, "attempt") > 0) else {
            if all_settled {
                return Err(violation(EVERY_SERVER, format!("wave {wave_number} was never begun")));
            }
            continue;
        };
        has_its_servers(state, id, planned, wave)?;
        let total = wave.get("counts").and_then(|counts| counts.get("total")?.as_u64());
        if total != Some(planned.servers.len() as u64) {
            return Err(violation(COUNTS, format!("wave {wave_number} counts {total:?} servers")));
        }
        if plan.launches && matches!(text(wave, "status"), "COMPLETED" | "PARTIAL") {
            launched_once(state, id, plan, planned, wave, &ours, &mut ready)?;
        }
    }
    Ok(ready)
}

fn launched_once(
    state: &State,
    id: &str,
    plan: &Planned,
    planned: &PlannedWave,
    wave: &Item,
    ours: &[&Launch],
    ready: &mut Vec<Ready>,
) -> Result<(), Violation> {
    let attempts = number(wave, "attempt");
    for server in shards_of(state, id, text(wave, "waveKey")).flat_map(servers) {
        let name = field(server, "sourceServerId");
        if !planned.servers.contains_key(name) || !is_ready(server, plan.is_drill) {
            continue;
        }
        let times: Vec<&Launch> =
            ours.iter().copied().filter(|launch| launch.servers.iter().any(|one| one.as_str() == name)).collect();
        let job = field(server, "recoveryJobId");
        let last = times.last().filter(|last| last.job.as_str() == job && times.len() as u64 <= attempts);
        let Some(last) = last else {
            let jobs: Vec<&str> = times.iter().map(|launch| launch.job.as_str()).collect();
            return broken(LAUNCHED_ONCE, format!("{name}, of job {job}, in {attempts} attempts by {jobs:?}"));
        };
        let told = |name: &str| server.get(name).is_some_and(Value::is_string);
        if state.plain && !(told("instanceId") && told("instanceType") && told("privateIp")) {
            return broken(WAVE_ENRICHED, format!("{name}, although nothing kept EC2 from answering"));
        }
        ready.push(Ready { server: name.to_owned(), scope: last.scope.clone(), job: job.to_owned() });
    }
    Ok(())
}

fn has_begun(record: &Item) -> bool {
    let timeline = record.get("timeline").and_then(Value::as_array).into_iter().flatten();
    timeline.filter_map(|entry| entry.get("event")?.as_str()).any(|event| event == "PREPARED")
}

/// What DRS says of a recovered server's actions: none of the required ones failed or is missing.
fn actions_are_done(state: &mut State, ready: &Ready) -> Result<(), Violation> {
    let now = jiff::Timestamp::MAX;
    let filters = JobFilters { job_ids: Some(vec![ready.job.clone()]), ..Default::default() };
    let input = DescribeJobs { filters: Some(filters), ..Default::default() };
    let Ok(listed) = state.drs.describe_jobs(&ready.scope, input, now) else { return Ok(()) };
    // A job DRS has forgotten says nothing.
    let Some(job) = listed.items.into_iter().next() else { return Ok(()) };
    let of_server = |server: &&ParticipatingServer| server.source_server_id == ready.server;
    let runs =
        job.participating_servers.iter().find(of_server).and_then(|server| server.launch_actions_status.as_ref());
    let runs = runs.map_or(&[][..], |actions| &actions.runs);
    let required = || runs.iter().filter(|run| !run.action.optional);
    if let Some(run) = required().find(|run| run.status != LaunchActionRunStatus::Succeeded) {
        return broken(ACTIONS_DONE, format!("{}: {} is {:?}", ready.server, run.action.name, run.status));
    }
    let mut told = |operation, question| {
        state.drs.operation(&ready.scope, operation, question, now).ok().flatten().unwrap_or_default()
    };
    let settings = told(Operation::GetLaunchConfiguration, json!({ "sourceServerID": ready.server }));
    let actions = told(Operation::ListLaunchActions, json!({ "resourceId": ready.server }));
    let mut actions = actions["items"].as_array().into_iter().flatten();
    let expected = settings["postLaunchEnabled"] == true
        && settings["launchDisposition"] == "STARTED"
        && actions.any(|action| action["active"] == true && action["optional"] == false);
    if expected && runs.is_empty() {
        return broken(ACTIONS_DONE, format!("{}: no action has run", ready.server));
    }
    Ok(())
}
