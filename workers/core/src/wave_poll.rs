//! What a poll asks, and what the answers make of a shard. Pure: the activity only carries questions and answers.
//!
//! At most three describe calls a shard: while nothing has launched, the job and its log (for the phase); afterwards the
//! job, the recovery instances and EC2. A finished job with failures has its log read once, in place of the job.

use crate::observed::{
    ActionRun, ActionRunStatus, Instance, Job, JobLogItem, JobStatus, Launch, LaunchAction, LaunchSettings,
    MISSING_JOB_SECONDS, RecoveryInstance,
};
use crate::time;
use crate::wave_start::{fail_server, short};
use jiff::Timestamp;
use tidegate_contract::records::{ServerStatus, ShardJob, ShardRecord, Transition};
use tidegate_contract::{ExecutionType, LaunchStatus, PostLaunchStatus, SourceServerId, WavePhase};

/// A server the COMPLETED job left unfinished is given this long (eventual consistency), then it failed (lesson c-12).
pub const COMPLETED_GRACE_SECONDS: u32 = 120;
/// Post-launch actions that never begin are waited for this long after the job ended; then nobody can say that they should
/// have, and the launched server counts, with a warning.
pub const ACTIONS_GRACE_SECONDS: u32 = 900;
/// How long a launched server may lack EC2's details before its wave completes without them (S000: enrichment failure
/// never holds a wave up for good; finalize tries once more).
pub const ENRICHMENT_GRACE_SECONDS: u32 = 180;

/// The first questions of a poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollQuestions {
    pub job: bool,
    pub log: bool,
    /// Servers whose recovery instance is not known.
    pub instances_of: Vec<SourceServerId>,
}

/// What to ask DRS about a shard with a job.
pub fn plan_poll(shard: &ShardRecord) -> PollQuestions {
    let Some(job) = &shard.job else {
        return PollQuestions::default();
    };
    let ended = job.status == JobStatus::Completed.as_str();
    let actions_open = shard.server_statuses.iter().any(actions_open);
    let unfinished = shard.server_statuses.iter().any(|server| is_open(server.launch_status));
    let any_launched = shard.server_statuses.iter().any(|server| server.launch_status == LaunchStatus::Launched);
    let wants_error_text = ended && !job.log_read_at_end && has_failures(shard);
    let ask_job = !ended || actions_open || unfinished;
    let mut instances_of = unresolved(shard);
    // Job, log, instances and EC2 would be four calls: the reasons wait until the instances are known.
    let ask_log = if ended { wants_error_text && (!ask_job || instances_of.is_empty()) } else { !any_launched };
    if ask_log && !ask_job {
        instances_of.extend(failed_without_instance(shard));
    }
    PollQuestions { job: ask_job, log: ask_log, instances_of }
}

/// Launched servers whose instance DRS has not told yet, or whose EC2 id is still unknown.
fn unresolved(shard: &ShardRecord) -> Vec<SourceServerId> {
    shard
        .server_statuses
        .iter()
        .filter(|server| server.launch_status == LaunchStatus::Launched)
        .filter(|server| {
            server.recovery_instance_id.is_none() || server.instance_id.is_none() || server.point_in_time.is_none()
        })
        .map(|server| server.source_server_id.clone())
        .collect()
}

/// Failed servers that may have left an instance all the same (a required action failed, a late permission failure): a
/// retry must not launch a second one, so DRS is asked once, together with the reasons.
fn failed_without_instance(shard: &ShardRecord) -> impl Iterator<Item = SourceServerId> + '_ {
    shard
        .server_statuses
        .iter()
        .filter(|server| server.launch_status == LaunchStatus::Failed && server.recovery_instance_id.is_none())
        .filter(|server| server.recovery_job_id.is_some())
        .map(|server| server.source_server_id.clone())
}

/// Servers of which nobody has read whether post-launch actions run, and has to: DRS has listed no run of them.
pub fn unread_settings(shard: &ShardRecord) -> Vec<SourceServerId> {
    shard
        .server_statuses
        .iter()
        .filter(|server| is_open(server.launch_status) || server.launch_status == LaunchStatus::Launched)
        .filter(|server| {
            server.post_launch_expected.is_none() && server.post_launch_actions_status == PostLaunchStatus::Pending
        })
        .map(|server| server.source_server_id.clone())
        .collect()
}

/// Whether the server's actions matter: the switch for all of them is on, and there is a running instance for them.
pub const fn may_run_actions(settings: LaunchSettings) -> bool {
    settings.post_launch_enabled && !settings.leaves_stopped
}

/// Takes in a server's launch configuration and actions. One whose active actions are all optional is not waited for; runs
/// of theirs that DRS lists are.
pub fn apply_settings(
    shard: &mut ShardRecord,
    id: &SourceServerId,
    settings: LaunchSettings,
    actions: &[LaunchAction],
) {
    let expected = may_run_actions(settings) && actions.iter().any(|action| action.active && !action.optional);
    for server in shard.server_statuses.iter_mut().filter(|server| server.source_server_id == *id) {
        server.post_launch_expected = Some(expected);
        if !expected && server.post_launch_actions_status == PostLaunchStatus::Pending {
            server.post_launch_actions_status = PostLaunchStatus::NotConfigured;
        }
    }
}

/// Instances EC2 is asked about: details missing, or a state that will still change (FR-3.7).
pub fn plan_ec2(shard: &ShardRecord) -> Vec<String> {
    shard
        .server_statuses
        .iter()
        .filter(|server| {
            !server.is_enriched()
                || !matches!(server.instance_state.as_deref(), Some("running" | "stopped" | "terminated"))
        })
        .filter_map(|server| server.instance_id.clone())
        .collect()
}

/// True while DRS may still say something new about post-launch actions.
fn actions_open(server: &ServerStatus) -> bool {
    server.launch_status == LaunchStatus::Launched
        && match server.post_launch_actions_status {
            PostLaunchStatus::Pending | PostLaunchStatus::InProgress => true,
            PostLaunchStatus::NotConfigured
            | PostLaunchStatus::Succeeded
            | PostLaunchStatus::PartiallySucceeded
            | PostLaunchStatus::Failed => false,
        }
}

fn is_open(status: LaunchStatus) -> bool {
    match status {
        LaunchStatus::Pending | LaunchStatus::InProgress => true,
        LaunchStatus::Launched | LaunchStatus::Failed | LaunchStatus::Terminated | LaunchStatus::Skipped => false,
    }
}

fn has_failures(shard: &ShardRecord) -> bool {
    shard.server_statuses.iter().any(|server| server.launch_status == LaunchStatus::Failed)
}

/// Takes in what DescribeJobs said of this shard's job; None: DRS does not list it.
pub fn apply_job(shard: &mut ShardRecord, observed: Option<&Job>, now: Timestamp) {
    let Some(job) = &mut shard.job else {
        return;
    };
    let Some(observed) = observed else {
        job.missing_since.get_or_insert_with(|| time::format(now));
        return;
    };
    job.missing_since = None;
    job.status = observed.status.as_str().to_owned();
    job.start_time = observed.created_at.map(time::format).or(job.start_time.take());
    job.end_time = observed.ended_at.map(time::format).or(job.end_time.take());
    if observed.status == JobStatus::Completed {
        job.completed_seen_at.get_or_insert_with(|| time::format(now));
    }
    let job_id = job.job_id.clone();
    for server in &mut shard.server_statuses {
        if server.recovery_job_id.as_ref() != Some(&job_id) {
            continue;
        }
        if let Some(told) = observed.servers.iter().find(|told| told.source_server_id == server.source_server_id) {
            apply_launch(server, &told.launch, now);
            if let Some(id) = &told.recovery_instance_id {
                server.recovery_instance_id.get_or_insert_with(|| id.clone());
            }
            if let Some(runs) = &told.actions {
                apply_actions(server, runs);
            }
        }
    }
}

fn apply_launch(server: &mut ServerStatus, launch: &Launch, now: Timestamp) {
    let status = match launch {
        Launch::Pending => LaunchStatus::Pending,
        Launch::InProgress => LaunchStatus::InProgress,
        Launch::Launched => LaunchStatus::Launched,
        Launch::Failed => LaunchStatus::Failed,
        Launch::Terminated => LaunchStatus::Terminated,
        // A word DRS may add one day: not a success, not a failure; the wave's deadline decides.
        Launch::Unrecognised(_) => return,
    };
    // An ended server is not opened again by PENDING: DRS may answer from an older copy, and a server that a grace period
    // ended would otherwise turn over at every poll that asks its job for another server's sake.
    if server.launch_status == status || (is_open(status) && !is_open(server.launch_status)) {
        return;
    }
    server.launch_status = status;
    server.transition_history.push(Transition { status, at: time::format(now) });
    if status == LaunchStatus::Launched {
        server.launched_time.get_or_insert_with(|| time::format(now));
        // What we had concluded from a missing job or a silent one did not come true.
        server.error = None;
    }
    if status == LaunchStatus::Terminated {
        server.error.get_or_insert_with(|| "the instance was terminated during the run".to_owned());
    }
}

fn apply_actions(server: &mut ServerStatus, runs: &[ActionRun]) {
    if runs.is_empty() {
        return;
    }
    let failed = |optional: bool| {
        runs.iter().filter(move |run| run.optional == optional && run.status == ActionRunStatus::Failed)
    };
    let open = runs.iter().any(|run| match run.status {
        ActionRunStatus::InProgress | ActionRunStatus::Unrecognised(_) => true,
        ActionRunStatus::Succeeded | ActionRunStatus::Failed => false,
    });
    let required_failure = failed(false).next();
    server.post_launch_actions_status = if required_failure.is_some() {
        PostLaunchStatus::Failed
    } else if open {
        PostLaunchStatus::InProgress
    } else if failed(true).next().is_some() {
        PostLaunchStatus::PartiallySucceeded
    } else {
        PostLaunchStatus::Succeeded
    };
    server.post_launch_actions_completed = !open;
    server.warning = None;
    if let Some(run) = required_failure {
        let reason = run.failure_reason.as_deref().unwrap_or("no reason given");
        server.error.get_or_insert_with(|| short(&format!("post-launch action \"{}\" failed: {reason}", run.name)));
    }
}

/// Takes in the job's log: the phase, and why servers failed. Event names are compared whole (lesson c-31).
pub fn apply_log(shard: &mut ShardRecord, items: &[JobLogItem]) {
    for item in items {
        let phase = match item.event.as_str() {
            "SNAPSHOT_START" | "CLEANUP_START" => Some(WavePhase::Snapshot),
            "CONVERSION_START" => Some(WavePhase::Conversion),
            "LAUNCH_START" => Some(WavePhase::Launching),
            _ => None,
        };
        if let Some(phase) = phase {
            shard.phase = shard.phase.max(phase);
        }
    }
    // The last failure is the reason: SNAPSHOT_FAIL and CLEANUP_FAIL do not end a launch (USING_PREVIOUS_SNAPSHOT).
    for item in items.iter().rev() {
        let failure = matches!(
            item.event.as_str(),
            "SNAPSHOT_FAIL"
                | "CONVERSION_FAIL"
                | "LAUNCH_FAILED"
                | "CLEANUP_FAIL"
                | "USING_PREVIOUS_SNAPSHOT_FAILED"
                | "SERVER_SKIPPED"
        );
        if failure {
            let text = match &item.raw_error {
                Some(raw) => short(&format!("{}: {raw}", item.event)),
                None => item.event.clone(),
            };
            for server in &mut shard.server_statuses {
                if Some(&server.source_server_id) == item.source_server_id.as_ref()
                    && server.launch_status == LaunchStatus::Failed
                {
                    server.error.get_or_insert_with(|| text.clone());
                }
            }
        }
    }
    // The log lags the job's fields by up to seconds: without its last line the reasons may still come.
    let ended = items.iter().any(|item| item.event == "JOB_END");
    if let Some(job) = &mut shard.job
        && ended
        && job.status == JobStatus::Completed.as_str()
    {
        job.log_read_at_end = true;
        for server in &mut shard.server_statuses {
            if server.launch_status == LaunchStatus::Failed {
                // Seen in the field when the caller lacks an EC2 permission: no LAUNCH event, no error text.
                server.error.get_or_insert_with(|| {
                    "DRS gives no reason; the usual one is a missing EC2 permission of the role that called StartRecovery".to_owned()
                });
            }
        }
    }
}

/// Takes in recovery instances. Only those of this shard's jobs count: an older drill instance of the same server may be
/// listed, too (lesson c-26).
pub fn apply_recovery_instances(shard: &mut ShardRecord, instances: &[RecoveryInstance]) {
    for server in &mut shard.server_statuses {
        let ours = instances.iter().find(|instance| {
            instance.source_server_id == server.source_server_id
                && instance.job_id.is_some()
                && instance.job_id == server.recovery_job_id
                && instance.is_drill == server.is_drill
        });
        let Some(instance) = ours else {
            continue;
        };
        server.recovery_instance_id = Some(instance.recovery_instance_id.clone());
        if let Some(id) = &instance.ec2_instance_id {
            server.set_instance(id);
        }
        server.point_in_time = instance.point_in_time.map(time::format).or(server.point_in_time.take());
    }
}

/// Takes in EC2's details.
pub fn apply_instances(shard: &mut ShardRecord, instances: &[Instance]) {
    for server in &mut shard.server_statuses {
        let Some(instance) =
            instances.iter().find(|instance| server.instance_id.as_ref() == Some(&instance.instance_id))
        else {
            continue;
        };
        server.instance_type = Some(instance.instance_type.clone());
        server.private_ip = instance.private_ip.clone().or(server.private_ip.take());
        server.launch_time = instance.launch_time.map(time::format).or(server.launch_time.take());
        server.instance_state = Some(instance.state.clone());
        if server.launch_status == LaunchStatus::Launched && is_gone(server) {
            // Seen when EBS cannot use the KMS key: RunInstances succeeds, the instance ends at once.
            server.error.get_or_insert_with(|| format!("EC2 instance {} is {}", instance.instance_id, instance.state));
        }
    }
}

/// True once the server's instance is no more, whatever DRS says of its launch.
pub fn is_gone(server: &ServerStatus) -> bool {
    server.launch_status == LaunchStatus::Terminated
        || matches!(server.instance_state.as_deref(), Some("terminated" | "shutting-down"))
}

/// Ends what will not end by itself: servers a finished or vanished job left behind, actions that never begin.
pub fn apply_graces(shard: &mut ShardRecord, execution_type: ExecutionType, now: Timestamp) {
    let Some(job) = shard.job.clone() else {
        return;
    };
    let overdue = |since: &Option<String>, grace: u32| {
        since.as_deref().is_some_and(|since| time::seconds_since(since, now) >= grace)
    };
    for server in shard.server_statuses.iter_mut().filter(|server| server.recovery_job_id.as_ref() == Some(&job.job_id))
    {
        if is_open(server.launch_status) {
            if overdue(&job.completed_seen_at, COMPLETED_GRACE_SECONDS) {
                fail_server(
                    server,
                    &format!("DRS job {} is COMPLETED but never said how this server ended", job.job_id),
                    now,
                );
            } else if overdue(&job.missing_since, MISSING_JOB_SECONDS) {
                fail_server(server, &format!("DRS no longer lists job {}", job.job_id), now);
            }
        } else if execution_type == ExecutionType::Recovery
            && server.launch_status == LaunchStatus::Launched
            && server.post_launch_actions_status == PostLaunchStatus::Pending
            && overdue(&job.completed_seen_at, ACTIONS_GRACE_SECONDS)
        {
            count_without_actions(server);
        }
    }
}

/// DRS lists no run of an action and never will. Whether one should have begun is not ours to say: an action may be switched
/// off, or its server have no SSM agent, and the server is up.
fn count_without_actions(server: &mut ServerStatus) {
    server.post_launch_actions_status = PostLaunchStatus::NotConfigured;
    let warning = match server.post_launch_expected {
        Some(_) => "post-launch actions are configured but none began: is the SSM agent online?",
        None => {
            "no post-launch action began, and whether one should have could not be read: \
                 see drs:GetLaunchConfiguration and drs:ListLaunchActions in the worker's log"
        }
    };
    server.warning = Some(warning.to_owned());
}

/// Ends every unfinished server at the wave's deadline, naming the job that may still run.
pub fn apply_timeout(shard: &mut ShardRecord, execution_type: ExecutionType, timeout_seconds: u32, now: Timestamp) {
    let job: Option<ShardJob> = shard.job.clone();
    let job_text = match job {
        Some(job) => format!("DRS job {} is {}", job.job_id, job.status),
        None if shard.intent.refusal.is_empty() => "no DRS job was accepted".to_owned(),
        None => format!("no DRS job was accepted: {}", shard.intent.refusal),
    };
    let job_ended = shard.job.as_ref().is_some_and(|job| job.completed_seen_at.is_some());
    for server in &mut shard.server_statuses {
        let none_began = server.post_launch_actions_status == PostLaunchStatus::Pending;
        if is_open(server.launch_status) {
            fail_server(server, &format!("not launched within the wave's {timeout_seconds} s; {job_text}"), now);
        } else if execution_type == ExecutionType::Recovery && actions_open(server) && none_began && job_ended {
            count_without_actions(server);
        } else if execution_type == ExecutionType::Recovery && actions_open(server) {
            server.post_launch_actions_status = PostLaunchStatus::Failed;
            server.error.get_or_insert_with(|| {
                format!("post-launch actions not done within the wave's {timeout_seconds} s; {job_text}")
            });
        }
    }
}

/// Counts this poll on every server that is looked at.
pub fn count_poll(shard: &mut ShardRecord, now: Timestamp) {
    for server in &mut shard.server_statuses {
        server.poll_attempts += 1;
        server.last_polled_time = Some(time::format(now));
    }
}

/// True when two versions of a shard differ in more than the counters of [`count_poll`]. A shard of 100 servers costs
/// about 100 write units, so polls that learn nothing write only the wave's own small item.
pub fn learned_something(before: &ShardRecord, after: &ShardRecord) -> bool {
    let mut servers = after.server_statuses.iter().zip(&before.server_statuses);
    let counted = servers.any(|(server, old)| {
        (server.poll_attempts, &server.last_polled_time) != (old.poll_attempts, &old.last_polled_time)
    });
    if !counted {
        // The usual case, and shards are large: no copy.
        return after != before;
    }
    let mut plain = after.clone();
    for (server, old) in plain.server_statuses.iter_mut().zip(&before.server_statuses) {
        server.poll_attempts = old.poll_attempts;
        server.last_polled_time.clone_from(&old.last_polled_time);
    }
    plain != *before
}

#[cfg(test)]
#[path = "wave_poll_tests.rs"]
mod tests;
