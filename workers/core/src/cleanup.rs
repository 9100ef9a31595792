//! Terminating a drill's instances: only those this run launched, proven by job id and isDrill (lesson c-33), followed to
//! the end of the TERMINATE job (c-34: requested is not terminated).

use crate::observed::{Job, JobStatus, JobType, Launch, Looked, RecoveryInstance};
use crate::poll_interval::{CLEANUP_TIMEOUT_SECONDS, next_cleanup_poll_seconds};
use crate::time;
use crate::wave_start;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::activities::{CleanupVerdict, Failure};
use tidegate_contract::records::{Cleanup, CleanupJob, ShardRecord, Target};
use tidegate_contract::{CleanupStatus, ErrorName, ExecutionId, JobId, SourceServerId};

/// Most instances per TerminateRecoveryInstances call. The API takes 200; a job holds 100 servers (quota L-B827C881).
pub const MAX_PER_CALL: usize = 100;

/// Every LAUNCH job of this run on one target.
pub fn run_jobs(shards: &[ShardRecord], target: &Target) -> BTreeSet<JobId> {
    shards
        .iter()
        .filter(|shard| shard.target == *target)
        .flat_map(|shard| shard.earlier_jobs.iter().chain(shard.job.as_ref().map(|job| &job.job_id)))
        .cloned()
        .collect()
}

/// Servers this run may have launched, by target: those of shards with a job.
pub fn launched_servers(shards: &[ShardRecord]) -> BTreeMap<Target, Vec<SourceServerId>> {
    let mut servers: BTreeMap<Target, Vec<SourceServerId>> = BTreeMap::new();
    for shard in shards.iter().filter(|shard| shard.job.is_some() || !shard.earlier_jobs.is_empty()) {
        let ids = shard.server_statuses.iter().map(|server| server.source_server_id.clone());
        servers.entry(shard.target.clone()).or_default().extend(ids);
    }
    servers
}

/// Instances of this run among those DRS lists: ours by job id, and a drill's.
pub fn ours(instances: &[RecoveryInstance], jobs: &BTreeSet<JobId>) -> Vec<String> {
    instances
        .iter()
        .filter(|instance| instance.is_drill && instance.job_id.as_ref().is_some_and(|job| jobs.contains(job)))
        .map(|instance| instance.recovery_instance_id.clone())
        .collect()
}

/// Instances no TERMINATE job of this run covers yet, in call-sized portions.
pub fn uncovered(found: &[String], target: &Target, cleanup: Option<&Cleanup>) -> Vec<Vec<String>> {
    let covered: BTreeSet<&String> = cleanup
        .iter()
        .flat_map(|cleanup| &cleanup.jobs)
        .filter(|job| job.target == *target)
        .flat_map(|job| &job.recovery_instance_ids)
        .collect();
    let open: Vec<String> = found.iter().filter(|id| !covered.contains(id)).cloned().collect();
    open.chunks(MAX_PER_CALL).map(<[String]>::to_vec).collect()
}

/// How long a call that nobody answered may still become a job that DescribeJobs lists: as long as a launch.
pub const SETTLE_SECONDS: u32 = wave_start::SETTLE_SECONDS;

/// What to do with a recorded intent to terminate that has no job id: its call's answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminateDecision {
    Adopt(JobId),
    /// The instances are gone: another call did it.
    Done,
    Send,
    Wait(u32),
}

/// `servers`: those this run may have launched on the target; `looked`: jobs since the intent, without those that are recorded;
/// `found`: our instances that are still listed, with their servers.
///
/// A TERMINATE job is certain to name source servers, and any run that launched one of our servers later terminates it in a job of
/// its own. So a job is the intent's if it has as many servers, all of them ours, *and* the server of every instance of the
/// intent that is still listed: whoever launched that server since would have removed our instance of it first. Where the job
/// names instances, they have to be the intent's.
pub fn decide_terminate(
    intent: &CleanupJob,
    servers: &BTreeSet<SourceServerId>,
    looked: &Looked,
    found: &BTreeMap<&str, &SourceServerId>,
) -> TerminateDecision {
    let left: Vec<&SourceServerId> =
        intent.recovery_instance_ids.iter().filter_map(|id| found.get(id.as_str()).copied()).collect();
    if left.is_empty() {
        return TerminateDecision::Done;
    }
    let since = time::parse(&intent.intended_at).map(|at| time::before(at, 60));
    let matching = looked.jobs.iter().find(|job| {
        job.job_type == JobType::Terminate
            && job.created_at.zip(since).is_some_and(|(created, since)| created >= since)
            && job.servers.len() == intent.recovery_instance_ids.len()
            && job.servers.iter().all(|server| {
                let instance = server.recovery_instance_id.as_ref();
                servers.contains(&server.source_server_id)
                    && instance.is_none_or(|id| intent.recovery_instance_ids.contains(id))
            })
            && left.iter().all(|left| job.servers.iter().any(|server| server.source_server_id == **left))
    });
    if let Some(job) = matching {
        return TerminateDecision::Adopt(job.job_id.clone());
    }
    let age = time::seconds_since(&intent.intended_at, looked.asked_at);
    if age >= SETTLE_SECONDS { TerminateDecision::Send } else { TerminateDecision::Wait(SETTLE_SECONDS - age) }
}

/// Judges a cleanup: `jobs` are its TERMINATE jobs as DRS lists them, `remaining` our instances DRS still lists.
/// Absence is success: a terminated recovery instance disappears (lesson c-34).
pub fn judge(cleanup: &mut Cleanup, jobs: &[Job], remaining: usize, now: Timestamp) {
    if cleanup.status != CleanupStatus::Running {
        return;
    }
    if remaining == 0 {
        cleanup.status = CleanupStatus::Completed;
        cleanup.end_time = Some(time::format(now));
        return;
    }
    let elapsed = time::seconds_since(&cleanup.start_time, now);
    let failed: Vec<&str> = jobs
        .iter()
        .filter(|job| job.status == JobStatus::Completed)
        .flat_map(|job| job.servers.iter().filter(|server| server.launch == Launch::Failed))
        .map(|server| server.source_server_id.as_str())
        .collect();
    let every_job_ended = !cleanup.jobs.is_empty()
        && cleanup.jobs.iter().all(|ours| {
            jobs.iter().any(|job| Some(&job.job_id) == ours.job_id.as_ref() && job.status == JobStatus::Completed)
        });
    if every_job_ended && !failed.is_empty() {
        fail(cleanup, format!("DRS could not terminate the instances of {}", failed.join(", ")), now);
    } else if elapsed >= CLEANUP_TIMEOUT_SECONDS {
        fail(cleanup, format!("{remaining} instances are still there after {elapsed} s"), now);
    }
}

fn fail(cleanup: &mut Cleanup, error: String, now: Timestamp) {
    cleanup.status = CleanupStatus::Failed;
    cleanup.error = error;
    cleanup.end_time = Some(time::format(now));
}

/// What the machine is told.
pub fn verdict(cleanup: &Cleanup, remaining: usize, polls_used: u32, now: Timestamp) -> CleanupVerdict {
    let settled = match cleanup.status {
        CleanupStatus::Running => false,
        CleanupStatus::NotNeeded | CleanupStatus::Completed | CleanupStatus::Failed => true,
    };
    let polls_used = polls_used + 1;
    let failure = if cleanup.status == CleanupStatus::Failed {
        Failure { error: ErrorName::Internal.as_str().to_owned(), cause: cleanup.error.clone() }
    } else {
        Failure::default()
    };
    CleanupVerdict {
        status: cleanup.status,
        settled,
        start_pending: !settled && cleanup.jobs.iter().any(|job| job.job_id.is_none()),
        next_poll_seconds: if settled {
            1
        } else {
            next_cleanup_poll_seconds(polls_used, time::seconds_since(&cleanup.start_time, now))
        },
        instances: cleanup.instances,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        polls_used,
        failure,
    }
}

/// The cleanup of a run that ended from outside with instances up, if nobody works on it any more: FAILED, and it says what
/// to do. StopExecution is the emergency brake, so nothing is terminated after it but by a person's word (ADR 0013).
/// None: there is nothing to change; an operator's own clean-up is not taken away from under him.
pub fn abandon(execution: &ExecutionId, cleanup: Option<&Cleanup>, now: Timestamp) -> Option<Cleanup> {
    let mut abandoned = match cleanup {
        None => open(now),
        Some(running) if running.status == CleanupStatus::Running && !running.reopened => {
            Cleanup { version: running.version + 1, ..running.clone() }
        }
        Some(_) => return None,
    };
    let error = format!(
        "the execution was stopped before its drill instances were terminated, so they may still run: \
         tidegate reconcile {execution} --clean-up"
    );
    fail(&mut abandoned, error, now);
    Some(abandoned)
}

/// Takes a FAILED cleanup up again; false if it is in any other state. TERMINATE jobs that are over cover nothing any more:
/// what they left is terminated anew. Calls without an answer stay, to be looked for.
pub fn reopen(cleanup: &mut Cleanup, jobs: &[Job], found: &BTreeMap<Target, Vec<String>>, now: Timestamp) -> bool {
    if cleanup.status != CleanupStatus::Failed {
        return false;
    }
    cleanup.jobs.retain(|ours| {
        let over = ours.job_id.as_ref().is_some_and(|id| {
            jobs.iter().find(|job| job.job_id == *id).is_none_or(|job| job.status == JobStatus::Completed)
        });
        if over {
            // Counted again when they are requested again.
            let left = found
                .get(&ours.target)
                .map_or(0, |found| ours.recovery_instance_ids.iter().filter(|id| found.contains(id)).count());
            cleanup.instances = cleanup.instances.saturating_sub(u32::try_from(left).unwrap_or(u32::MAX));
        }
        !over
    });
    cleanup.status = CleanupStatus::Running;
    cleanup.start_time = time::format(now);
    cleanup.end_time = None;
    cleanup.error = String::new();
    cleanup.reopened = true;
    true
}

/// The cleanup of a drill that was continued: its instances are the continuation's, and nothing is left to do here.
pub fn not_needed(now: Timestamp) -> Cleanup {
    Cleanup { status: CleanupStatus::NotNeeded, end_time: Some(time::format(now)), ..open(now) }
}

/// A cleanup with nothing done yet.
pub fn open(now: Timestamp) -> Cleanup {
    Cleanup {
        status: CleanupStatus::Running,
        start_time: time::format(now),
        end_time: None,
        instances: 0,
        jobs: Vec::new(),
        error: String::new(),
        reopened: false,
        version: 1,
    }
}

#[cfg(test)]
#[path = "cleanup_tests.rs"]
mod tests;
