//! What DRS was asked to launch and to terminate.

use super::{
    DRILL_ONLY, NO_TWIN, ONCE_PER_ATTEMPT, OWN_ONLY, TERMINATION_INTENDED, Violation, broken, chain, record_of,
    servers, text,
};
use crate::ports::{Launch, Refusal, State, Termination};
use crate::world::NATIVE_EXECUTION;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_contract::SourceServerId;
use tidegate_contract::tables::TableKey;
use tidegate_simulator::Scope;
use tidegate_simulator::wire::{DescribeJobs, Job, JobFilters, JobStatus, JobType, StartRecovery};

/// What has been seen of it.
#[derive(Debug, Default)]
pub(super) struct Launches {
    launches_seen: usize,
    terminations_seen: usize,
    /// By the first execution of a chain, the server and the wave's attempt.
    times: BTreeMap<(Arc<str>, SourceServerId, u64), u32>,
}

impl Launches {
    pub(super) fn has_news(&self, state: &State) -> bool {
        state.launches.all().len() > self.launches_seen || state.terminations.len() > self.terminations_seen
    }

    /// Every accepted call since the last time is held against what was before it. Returns who launched something.
    pub(super) fn check(&mut self, state: &State) -> Result<Vec<Arc<str>>, Violation> {
        let mut launched_by = Vec::new();
        for launch in state.launches.all().get(self.launches_seen..).unwrap_or_default() {
            self.nothing_is_launched_twice(state, launch)?;
            launched_by.push(launch.by.clone());
        }
        self.launches_seen = state.launches.all().len();
        for termination in state.terminations.get(self.terminations_seen..).unwrap_or_default() {
            only_our_drill_instances_are_terminated(state, &termination.by, &termination.instance)?;
            termination_is_intended(state, termination)?;
        }
        self.terminations_seen = state.terminations.len();
        Ok(launched_by)
    }

    fn nothing_is_launched_twice(&mut self, state: &State, launch: &Launch) -> Result<(), Violation> {
        let chain = chain(&state.tables, &launch.by);
        let first: Arc<str> = chain.last().copied().unwrap_or_default().into();
        for server in &launch.servers {
            let names_server =
                |status: &Value| status.get("sourceServerId").and_then(Value::as_str) == Some(server.as_str());
            let attempt = state
                .tables
                .query(TableKey::ExecutionWaves, &launch.by, "")
                .find(|shard| servers(shard).any(names_server))
                .and_then(|shard| shard.get("intent")?.get("attempt")?.as_u64())
                .unwrap_or_default();
            let times = self.times.entry((first.clone(), server.clone(), attempt)).or_insert(0);
            *times += 1;
            if *times > 1 {
                return broken(ONCE_PER_ATTEMPT, format!("{server} by {}", launch.job));
            }
            // What somebody else runs is theirs; DRS itself ends a former drill of the server.
            let ours = |job: &str| {
                job != launch.job.as_str()
                    && state.launches.of_job(job).is_some_and(|other| chain.contains(&&*other.by))
            };
            let twin = state.ec2.all().any(|instance| {
                instance.launch.source_server_id == server.as_str()
                    && instance.state != "terminated"
                    && ours(&instance.launch.job_id)
                    && !state.drs.was_hidden(&instance.launched.instance_id, launch.job.as_str())
            });
            if twin {
                return broken(NO_TWIN, format!("{server} by {}", launch.job));
            }
        }
        Ok(())
    }
}

fn only_our_drill_instances_are_terminated(state: &State, by: &str, id: &str) -> Result<(), Violation> {
    if record_of(&state.tables, by).is_none_or(|record| text(record, "executionType") != "DRILL") {
        return broken(DRILL_ONLY, id);
    }
    let chain = chain(&state.tables, by);
    let ours = state.ec2.get(id).is_some_and(|instance| {
        let job = instance.launch.job_id.as_str();
        state.launches.of_job(job).is_some_and(|launch| launch.is_drill && chain.contains(&&*launch.by))
    });
    if ours { Ok(()) } else { broken(OWN_ONLY, id) }
}

/// The intent is on record before the call, and the job is recorded after it: what is terminated is in an intent without a job.
/// When a call took effect that its caller had lost, the record may have moved on.
fn termination_is_intended(state: &State, termination: &Termination) -> Result<(), Violation> {
    if termination.late {
        return Ok(());
    }
    let cleanup = record_of(&state.tables, &termination.by).and_then(|record| record.get("cleanup"));
    let jobs = cleanup.and_then(|cleanup| cleanup.get("jobs")?.as_array()).into_iter().flatten();
    let mut open = jobs.filter(|job| job.get("jobId").is_none_or(Value::is_null));
    let names = |job: &Value| {
        let ids = job.get("recoveryInstanceIds").and_then(Value::as_array).into_iter().flatten();
        ids.filter_map(Value::as_str).any(|id| id == termination.instance)
    };
    if open.any(names) { Ok(()) } else { broken(TERMINATION_INTENDED, termination.instance.clone()) }
}

fn jobs_named(state: &mut State, scope: &Scope, job_ids: Option<Vec<String>>, now: Timestamp) -> Vec<Job> {
    let input = DescribeJobs { filters: Some(JobFilters { job_ids, ..Default::default() }), ..Default::default() };
    state.drs.describe_jobs(scope, input, now).map(|jobs| jobs.items).unwrap_or_default()
}

/// Before TerminateRecoveryInstances is carried out: is a TERMINATE job of this run at one of the instances?
pub(crate) fn note_if_terminated_again(state: &mut State, execution: &str, instances: &[String], now: Timestamp) {
    let chain = chain(&state.tables, execution);
    let ours = |one: &&Termination| chain.contains(&&*one.by) && instances.contains(&one.instance);
    let before: Vec<(Scope, String)> =
        state.terminations.iter().filter(ours).map(|one| (one.scope.clone(), one.job.clone())).collect();
    for (scope, job) in before {
        let found = jobs_named(state, &scope, Some(vec![job.clone()]), now);
        if found.iter().any(|job| job.status != JobStatus::Completed) {
            state.terminated_again = Some(job);
        }
    }
}

/// After DRS has refused a StartRecovery: who holds the servers, if it is somebody else.
pub(crate) fn note_refusal(
    state: &mut State,
    scope: &Scope,
    execution: &Arc<str>,
    request: &StartRecovery,
    now: Timestamp,
) {
    let native: Vec<String> = state.native_servers(now).map(str::to_owned).collect();
    let jobs = jobs_named(state, scope, None, now);
    for server in request.source_servers.iter().map(|one| one.source_server_id.as_str()) {
        let holds = |job: &&Job| {
            job.status != JobStatus::Completed
                && job.kind != JobType::Terminate
                && state.launches.of_job(&job.job_id).is_none()
                && job.participating_servers.iter().any(|one| one.source_server_id == server)
        };
        let held = native.iter().any(|held| held == server);
        let job = || jobs.iter().find(holds).map(|job| job.job_id.clone());
        let holder = if held { Some(NATIVE_EXECUTION.to_owned()) } else { job() };
        let key = (execution.clone(), server.to_owned());
        match holder {
            Some(holder) => drop(state.refusals.insert(key, Refusal { at: now, holder, scope: scope.clone() })),
            None => drop(state.refusals.remove(&key)),
        }
    }
}

/// When the holder of a refused server let it go; None: it still holds it, or nobody knows.
pub(super) fn released_at(state: &mut State, refusal: &Refusal, server: &str) -> Option<Timestamp> {
    if refusal.holder == NATIVE_EXECUTION {
        let holds = state.native.iter().filter(|(from, until, servers)| {
            (*from..*until).contains(&refusal.at) && servers.iter().any(|one| one == server)
        });
        return holds.map(|(_, until, _)| *until).max();
    }
    let jobs = jobs_named(state, &refusal.scope, Some(vec![refusal.holder.clone()]), Timestamp::MAX);
    jobs.first().and_then(|job| job.end_date_time).map(|end| end.0)
}
