//! Terminating a drill's instances: only those this run launched, proven by job id and isDrill (lesson c-33), followed to
//! the end of the TERMINATE job (c-34: requested is not terminated) and until EC2 says that they are gone.

use crate::deletions::LISTED_SECONDS;
use crate::observed::{Job, JobStatus, JobType, Launch, Looked, RecoveryInstance};
use crate::poll_interval::{CLEANUP_TIMEOUT_SECONDS, next_cleanup_poll_seconds};
use crate::time;
use crate::wave_start;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::activities::{CleanupVerdict, Failure};
use tidegate_contract::records::{
    Cleanup, CleanupJob, ExecutionRecord, ReplacedInstance, ServerStatus, ShardRecord, Target,
};
use tidegate_contract::{CleanupStatus, ErrorName, ExecutionId, JobId, LaunchStatus, SourceServerId};

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

/// How long a LAUNCH job that DRS lists no more may still bring up an instance. Nobody says; a day is far more than any launch.
const LOST_JOB_SECONDS: u32 = 86_400;

/// A LAUNCH job of this run that was never seen to end, and that DRS lists no more: it may still bring up instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostJob {
    pub job_id: JobId,
    /// Those of its servers whose instance nobody has seen.
    pub source_server_ids: Vec<SourceServerId>,
}

/// Lost jobs on one target; `listed` are the jobs of this run that DRS lists there.
pub fn lost_jobs(shards: &[ShardRecord], target: &Target, listed: &[Job], now: Timestamp) -> Vec<LostJob> {
    let mut lost = Vec::new();
    for shard in shards.iter().filter(|shard| shard.target == *target) {
        for job in shard.job.iter().chain(&shard.lost_jobs) {
            let since = job.start_time.as_ref().or(job.missing_since.as_ref());
            let over = since.is_some_and(|since| time::seconds_since(since, now) >= LOST_JOB_SECONDS);
            let ended = job.status == JobStatus::Completed.as_str();
            if over || ended || listed.iter().any(|listed| listed.job_id == job.job_id) {
                continue;
            }
            // A retry gave the servers of an earlier job to a later one, whose instance is not this job's.
            let earlier = shard.job.as_ref().is_none_or(|current| current.job_id != job.job_id);
            let unseen = |row: &&ServerStatus| {
                earlier || (row.recovery_job_id.as_ref() == Some(&job.job_id) && row.recovery_instance_id.is_none())
            };
            let source_server_ids: Vec<SourceServerId> =
                shard.server_statuses.iter().filter(unseen).map(|row| row.source_server_id.clone()).collect();
            if !source_server_ids.is_empty() {
                lost.push(LostJob { job_id: job.job_id.clone(), source_server_ids });
            }
        }
    }
    lost
}

/// Writes down the instance of each server that DRS lists, the first time it does: a job may bring one up after its wave was given
/// up, and what is gone from the list later was there once. False if there is nothing new.
pub fn note_instances(shard: &mut ShardRecord, ours: &[RecoveryInstance]) -> bool {
    let mut noted = false;
    for row in shard.server_statuses.iter_mut().filter(|row| row.instance_state.is_none()) {
        let its = |one: &&RecoveryInstance| {
            one.source_server_id == row.source_server_id && one.job_id.is_some() && one.job_id == row.recovery_job_id
        };
        if let Some(one) = ours.iter().find(its) {
            row.recovery_instance_id.get_or_insert_with(|| one.recovery_instance_id.clone());
            if row.instance_id.is_none() {
                row.set_instance(one.instance_id());
            }
            row.instance_state = Some(one.state.word().to_owned());
            noted = true;
        }
    }
    noted
}

/// Servers DRS says it has launched and whose instance neither DRS nor EC2 has shown: it may still come onto DRS's list, and then it
/// is ours to terminate. `listed` are the run's jobs as DRS lists them now: a job may end long after its wave was given up.
pub fn unseen(shards: &[ShardRecord], listed: &[Job], now: Timestamp) -> usize {
    let ended_now = |row: &ServerStatus| {
        let job = listed.iter().find(|job| Some(&job.job_id) == row.recovery_job_id.as_ref());
        job.is_some_and(|job| {
            job.ended_at.is_some_and(|ended| time::after(ended, LISTED_SECONDS) > now)
                && job
                    .servers
                    .iter()
                    .any(|server| server.source_server_id == row.source_server_id && server.launch == Launch::Launched)
        })
    };
    let launched_now = |row: &ServerStatus| {
        row.launch_status == LaunchStatus::Launched
            && row.launched_time.as_ref().is_some_and(|at| time::seconds_since(at, now) < LISTED_SECONDS)
    };
    let rows = shards.iter().flat_map(|shard| &shard.server_statuses);
    // The job names an instance before DRS lists it, and before EC2 tells of it.
    rows.filter(|row| row.instance_state.is_none() && (launched_now(row) || ended_now(row))).count()
}

/// Whether an instance is this run's: by job id, and a drill's. Whatever a later run launched for the same server, into the same
/// instance even, has another job.
pub fn is_ours(instance: &RecoveryInstance, jobs: &BTreeSet<JobId>) -> bool {
    instance.is_drill && instance.job_id.as_ref().is_some_and(|job| jobs.contains(job))
}

/// Instances no TERMINATE job of this run covers yet, in call-sized portions; without those DRS would not terminate.
pub fn uncovered(found: &[String], target: &Target, cleanup: Option<&Cleanup>) -> Vec<Vec<String>> {
    let jobs = cleanup.iter().flat_map(|cleanup| &cleanup.jobs).filter(|job| job.target == *target);
    let refused = cleanup.iter().flat_map(|cleanup| &cleanup.refused).map(|one| &one.recovery_instance_id);
    let covered: BTreeSet<&String> = jobs.flat_map(|job| &job.recovery_instance_ids).chain(refused).collect();
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

/// How long EC2 may go on to show an instance that DRS has terminated: its list lags by seconds.
const EC2_LAG_SECONDS: u32 = 120;

/// An instance of this run that lives in EC2 and that DRS does not list, or lists as gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stranded {
    pub instance_id: String,
    pub source_server_id: SourceServerId,
}

/// What is left of a run's instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Those DRS lists and EC2 has not got rid of.
    pub listed: Vec<String>,
    /// LAUNCH jobs under way, and calls without an answer that may still become one.
    pub launching: usize,
    /// LAUNCH jobs that DRS lists no more and that may still bring up instances.
    pub lost: Vec<LostJob>,
    /// Asked for only when nothing is listed any more.
    pub stranded: Vec<Stranded>,
    /// EC2 was to be asked, and did not answer: nobody can say that all are gone.
    pub unread: bool,
}

impl Left {
    /// How many stand between here and done, as far as anybody knows.
    pub fn count(&self) -> usize {
        self.listed.len() + self.launching + self.lost.len() + self.stranded.len()
    }
}

/// Judges a cleanup: `jobs` are its TERMINATE jobs as DRS lists them. An instance is terminated when EC2 says so: one that DRS
/// lists no more may have been disconnected and deleted there, and run on.
pub fn judge(cleanup: &mut Cleanup, jobs: &[Job], left: &Left, now: Timestamp) {
    if cleanup.status != CleanupStatus::Running {
        return;
    }
    if left.count() == 0 && !left.unread {
        cleanup.status = CleanupStatus::Completed;
        cleanup.end_time = Some(time::format(now));
        return;
    }
    if left.listed.is_empty() && left.launching == 0 && !left.stranded.is_empty() {
        let ended = jobs.iter().filter_map(|job| job.ended_at).chain(time::parse(&cleanup.start_time)).max();
        if ended.is_none_or(|ended| time::after(ended, EC2_LAG_SECONDS) <= now) {
            return fail(cleanup, stranded(&left.stranded), now);
        }
    }
    let refused = |id: &String| cleanup.refused.iter().find(|one| one.recovery_instance_id == *id);
    let elapsed = time::seconds_since(&cleanup.start_time, now);
    let failed: Vec<&str> = jobs
        .iter()
        .filter(|job| job.status == JobStatus::Completed)
        .flat_map(|job| job.servers.iter().filter(|server| server.launch == Launch::Failed))
        .map(|server| server.source_server_id.as_str())
        .collect();
    let every_job_ended = (!cleanup.jobs.is_empty() || !cleanup.refused.is_empty())
        && cleanup.jobs.iter().all(|ours| {
            jobs.iter().any(|job| Some(&job.job_id) == ours.job_id.as_ref() && job.status == JobStatus::Completed)
        });
    if every_job_ended
        && left.launching == 0
        && !left.listed.is_empty()
        && left.listed.iter().all(|id| refused(id).is_some())
    {
        let reasons = left.listed.iter().filter_map(refused);
        let reasons: Vec<String> = reasons.map(|one| format!("{}: {}", one.recovery_instance_id, one.reason)).collect();
        fail(cleanup, format!("DRS would not terminate {}", reasons.join("; ")), now);
    } else if every_job_ended && !failed.is_empty() {
        fail(cleanup, format!("DRS could not terminate the instances of {}", failed.join(", ")), now);
    } else if elapsed >= CLEANUP_TIMEOUT_SECONDS && left.unread {
        fail(cleanup, format!("after {elapsed} s EC2 has not answered whether the instances are terminated"), now);
    } else if elapsed >= CLEANUP_TIMEOUT_SECONDS && left.count() == left.lost.len() {
        fail(cleanup, lost(&left.lost), now);
    } else if elapsed >= CLEANUP_TIMEOUT_SECONDS {
        fail(cleanup, format!("{} instances are still there after {elapsed} s", left.count()), now);
    }
}

fn stranded(stranded: &[Stranded]) -> String {
    let names: Vec<String> =
        stranded.iter().map(|one| format!("{} ({})", one.instance_id, one.source_server_id)).collect();
    format!(
        "EC2 still runs {}, and DRS lists it no more, so DRS cannot terminate it: terminate it in EC2, then clean up again",
        names.join(", ")
    )
}

fn lost(jobs: &[LostJob]) -> String {
    let names: Vec<String> = jobs
        .iter()
        .map(|job| {
            let servers: Vec<&str> = job.source_server_ids.iter().map(SourceServerId::as_str).collect();
            format!("{} ({})", job.job_id, servers.join(", "))
        })
        .collect();
    format!(
        "DRS lists no more the launch jobs {} and was never seen to end them, so their instances may still come up: look for \
         them in DRS and EC2, then clean up again",
        names.join(", ")
    )
}

/// How a portion that DRS refused is asked for again: one instance in it may be gone, or busy, and the others are not.
pub fn halves(portion: &[String]) -> Vec<Vec<String>> {
    portion.chunks(portion.len().div_ceil(2).max(1)).map(<[String]>::to_vec).collect()
}

/// Instances of this run that are gone without its doing, because their servers were launched again: `others` are the jobs that
/// launched them since, by server. What somebody terminated in EC2 is nobody's replacement.
pub fn replaced(
    record: &ExecutionRecord,
    shards: &[ShardRecord],
    cleanup: &Cleanup,
    others: &BTreeMap<SourceServerId, String>,
) -> Vec<ReplacedInstance> {
    let ours: BTreeSet<&String> = cleanup.jobs.iter().flat_map(|job| &job.recovery_instance_ids).collect();
    let mut replaced = Vec::new();
    for server in shards.iter().flat_map(|shard| &shard.server_statuses) {
        let Some(id) = server.instance_id.as_ref().filter(|id| !ours.contains(id)) else { continue };
        let told = record.replaced_by.iter().find(|by| by.instance_ids.contains(id));
        let by = told.map(|by| by.execution_id.to_string()).or_else(|| others.get(&server.source_server_id).cloned());
        let source_server_id = server.source_server_id.clone();
        replaced.extend(by.map(|by| ReplacedInstance { instance_id: id.clone(), source_server_id, by }));
    }
    replaced
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
    cleanup.refused.clear();
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
        replaced: Vec::new(),
        refused: Vec::new(),
        error: String::new(),
        reopened: false,
        version: 1,
    }
}

#[cfg(test)]
#[path = "cleanup_tests.rs"]
mod tests;
