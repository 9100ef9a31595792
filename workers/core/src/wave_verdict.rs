//! From servers to a wave's fate. Waits until every server is terminal, then applies the wave's policy (lesson c-10:
//! never fail a wave while others still launch, never complete it because the job is COMPLETED).

use crate::poll_interval::{Pace, next_poll_seconds};
use crate::time;
use crate::wave_poll::{ENRICHMENT_GRACE_SECONDS, is_gone};
use jiff::Timestamp;
use tidegate_contract::activities::{Failure, WaveInput, WaveVerdict};
use tidegate_contract::plan::MinLaunched;
use tidegate_contract::records::{IntentState, ServerStatus, ShardRecord, WaveCounts, WaveJob, WaveRecord};
use tidegate_contract::{ErrorName, ExecutionType, Importance, LaunchStatus, PostLaunchStatus, WavePhase, WaveStatus};

/// Where one server stands for its wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFate {
    Ready,
    Failed,
    Active,
    Skipped,
}

/// DRILL: launched. RECOVERY: launched and every non-optional post-launch action SUCCEEDED (S002). Either way the
/// instance must still be there.
pub fn fate(server: &ServerStatus, execution_type: ExecutionType) -> ServerFate {
    match server.launch_status {
        LaunchStatus::Pending | LaunchStatus::InProgress => ServerFate::Active,
        LaunchStatus::Failed | LaunchStatus::Terminated => ServerFate::Failed,
        LaunchStatus::Skipped => ServerFate::Skipped,
        LaunchStatus::Launched if is_gone(server) => ServerFate::Failed,
        LaunchStatus::Launched => match (execution_type, server.post_launch_actions_status) {
            (ExecutionType::Drill, _) => ServerFate::Ready,
            (ExecutionType::Recovery, PostLaunchStatus::Failed) => ServerFate::Failed,
            (ExecutionType::Recovery, PostLaunchStatus::Pending | PostLaunchStatus::InProgress) => ServerFate::Active,
            (
                ExecutionType::Recovery,
                PostLaunchStatus::NotConfigured | PostLaunchStatus::Succeeded | PostLaunchStatus::PartiallySucceeded,
            ) => ServerFate::Ready,
        },
    }
}

/// Counts that add up to the wave's servers.
pub fn count(shards: &[ShardRecord], execution_type: ExecutionType) -> WaveCounts {
    let mut counts = WaveCounts::default();
    for server in shards.iter().flat_map(|shard| &shard.server_statuses) {
        counts.total += 1;
        match fate(server, execution_type) {
            ServerFate::Ready => counts.ready += 1,
            ServerFate::Failed => counts.failed += 1,
            ServerFate::Active => counts.active += 1,
            ServerFate::Skipped => counts.skipped += 1,
        }
    }
    counts
}

/// True once the wave's deadline has passed.
pub fn is_overdue(wave: &WaveRecord, now: Timestamp) -> bool {
    time::seconds_since(&wave.attempt_start_time, now) >= wave.timeout_seconds
}

/// True while something is still to be learned before the wave may be closed: EC2's details of launched servers, the
/// reasons of failed ones; each within its grace, because a missing permission must not keep a wave open.
fn still_learning(shard: &ShardRecord, now: Timestamp) -> bool {
    let in_grace =
        |since: Option<&str>| since.is_none_or(|since| time::seconds_since(since, now) < ENRICHMENT_GRACE_SECONDS);
    let log_due = shard.job.as_ref().is_some_and(|job| {
        job.status == "COMPLETED" && !job.log_read_at_end && in_grace(job.completed_seen_at.as_deref())
    }) && shard
        .server_statuses
        .iter()
        .any(|server| server.launch_status == LaunchStatus::Failed && server.error.is_none());
    let enriching = shard.server_statuses.iter().any(|server| {
        server.launch_status == LaunchStatus::Launched
            && !server.is_enriched()
            && in_grace(server.launched_time.as_deref())
    });
    log_due || enriching
}

/// The wave's policy over settled servers.
pub fn apply_policy(
    shards: &[ShardRecord],
    min_launched: Option<&MinLaunched>,
    execution_type: ExecutionType,
) -> WaveStatus {
    let counts = count(shards, execution_type);
    if counts.total > 0 && counts.ready == counts.total {
        return WaveStatus::Completed;
    }
    let critical_made_it = shards
        .iter()
        .flat_map(|shard| &shard.server_statuses)
        .filter(|server| server.importance == Importance::Critical)
        .all(|server| fate(server, execution_type) == ServerFate::Ready);
    // open_wave has turned shares into counts.
    let required = match min_launched {
        Some(MinLaunched::Count(count)) => *count,
        Some(MinLaunched::Share(_)) => counts.total,
        None => 1,
    };
    if critical_made_it && counts.ready >= required.max(1) { WaveStatus::Partial } else { WaveStatus::Failed }
}

/// Judges the wave and updates its item: status, phase, counts, jobs, end. A settled wave is left as it is.
///
/// From the deadline on nothing is waited for any more, so that a wave never needs a poll after it.
pub fn judge(wave: &mut WaveRecord, shards: &[ShardRecord], execution_type: ExecutionType, now: Timestamp) {
    if wave.status.is_settled() {
        return;
    }
    wave.counts = count(shards, execution_type);
    wave.jobs = wave_jobs(shards);
    // Against the number start-wave recorded, not against those that happen to be stored (lesson c-02).
    let complete = shards.len() == wave.shard_count as usize;
    let starts_open = shards.iter().any(is_start_open);
    let learning = !complete || shards.iter().any(|shard| still_learning(shard, now));
    let settled = wave.counts.active == 0 && (!learning || is_overdue(wave, now));
    if settled {
        wave.status = if complete {
            apply_policy(shards, wave.min_launched.as_ref(), execution_type)
        } else {
            WaveStatus::Failed
        };
        wave.phase = WavePhase::Settled;
        wave.end_time = Some(time::format(now));
        if !complete {
            wave.error = format!("only {} of {} shards are stored", shards.len(), wave.shard_count);
        } else if wave.status != WaveStatus::Completed {
            wave.error = describe_failures(shards, execution_type);
        }
    } else {
        wave.status = if starts_open { WaveStatus::Starting } else { WaveStatus::Polling };
        wave.phase = phase(shards, wave.counts, execution_type);
    }
}

fn phase(shards: &[ShardRecord], counts: WaveCounts, execution_type: ExecutionType) -> WavePhase {
    if counts.active == 0 {
        return WavePhase::Enriching;
    }
    let servers = || shards.iter().flat_map(|shard| &shard.server_statuses);
    let launching =
        servers().any(|server| matches!(server.launch_status, LaunchStatus::Pending | LaunchStatus::InProgress));
    if !launching && execution_type == ExecutionType::Recovery {
        return WavePhase::PostLaunch;
    }
    if servers().any(|server| matches!(server.launch_status, LaunchStatus::InProgress | LaunchStatus::Launched)) {
        return WavePhase::Launching;
    }
    shards.iter().map(|shard| shard.phase).min().unwrap_or(WavePhase::Starting)
}

/// A launch is still to be sent, or to be found: start-wave has something to do. Once the wave's deadline has ended its
/// servers there is nothing left to start, though the intent stays; jobs of other shards are polled to their own end.
fn is_start_open(shard: &ShardRecord) -> bool {
    let waits = |server: &ServerStatus| {
        shard.intent.source_server_ids.contains(&server.source_server_id)
            && matches!(server.launch_status, LaunchStatus::Pending | LaunchStatus::InProgress)
    };
    shard.intent.state == IntentState::Intended && shard.server_statuses.iter().any(waits)
}

/// The shards' jobs as the wave's item shows them to readers.
pub fn wave_jobs(shards: &[ShardRecord]) -> Vec<WaveJob> {
    shards.iter().filter_map(wave_job).collect()
}

fn wave_job(shard: &ShardRecord) -> Option<WaveJob> {
    let job = shard.job.as_ref()?;
    Some(WaveJob {
        job_id: job.job_id.clone(),
        region: shard.target.region.clone(),
        account_id: shard.target.account_id.clone(),
        status: job.status.clone(),
        participating_servers: u32::try_from(shard.intent.source_server_ids.len()).unwrap_or(u32::MAX),
        start_time: job.start_time.clone(),
        end_time: job.end_time.clone(),
    })
}

/// Failed servers and why, as far as a person reads on: the first three, and how many more.
fn describe_failures(shards: &[ShardRecord], execution_type: ExecutionType) -> String {
    let failed: Vec<String> = shards
        .iter()
        .flat_map(|shard| &shard.server_statuses)
        .filter(|server| fate(server, execution_type) == ServerFate::Failed)
        .map(|server| {
            let name =
                if server.server_name.is_empty() { server.source_server_id.as_str() } else { &server.server_name };
            format!("{name}: {}", server.error.as_deref().unwrap_or("failed"))
        })
        .collect();
    let more = failed.len().saturating_sub(3);
    let shown = failed.into_iter().take(3).collect::<Vec<_>>().join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

/// What the machine is told.
pub fn verdict(
    wave: &WaveRecord,
    shards: &[ShardRecord],
    input: &WaveInput,
    cancel_requested: bool,
    now: Timestamp,
) -> WaveVerdict {
    let settled = wave.status.is_settled();
    let polls_used = input.polls_used.saturating_add(wave.poll_attempts);
    let succeeded = matches!(wave.status, WaveStatus::Completed | WaveStatus::Partial);
    let pace = Pace {
        phase: wave.phase,
        execution_type: input.execution_type,
        elapsed_seconds: time::seconds_since(&wave.attempt_start_time, now),
        timeout_seconds: wave.timeout_seconds,
        polls_used,
        wave_polls: wave.poll_attempts,
        attempt: wave.attempt,
        wave_number: wave.wave_number,
        wave_count: input.wave_count,
    };
    let failure = if wave.status == WaveStatus::Failed {
        Failure {
            error: ErrorName::RecoveryFailed.as_str().to_owned(),
            cause: format!("wave {} ({}) failed: {}", wave.wave_number, wave.wave_name, wave.error),
        }
    } else {
        Failure::default()
    };
    WaveVerdict {
        wave_number: wave.wave_number,
        status: wave.status,
        settled,
        start_pending: !settled && shards.iter().any(is_start_open),
        next_poll_seconds: if settled { 1 } else { next_poll_seconds(&pace) },
        phase: wave.phase,
        counts: wave.counts,
        polls_used,
        completed_waves: input.completed_waves + u32::from(succeeded),
        cancel_requested,
        failure,
    }
}

/// Seconds until a service that did not answer is asked again. A wave that lacks details is polled every five seconds, each
/// question tried four times: a service that is out would be called more often than one that is well.
const UNANSWERED_SECONDS: u32 = 30;

/// The verdict of a poll in which DRS or EC2 left a question open; never past the wave's timeout.
pub fn patient(mut verdict: WaveVerdict, wave: &WaveRecord, now: Timestamp) -> WaveVerdict {
    if !verdict.settled {
        let elapsed = time::seconds_since(&wave.attempt_start_time, now);
        let longest = wave.timeout_seconds.saturating_sub(elapsed).max(1);
        verdict.next_poll_seconds = verdict.next_poll_seconds.max(UNANSWERED_SECONDS.min(longest));
    }
    verdict
}

#[cfg(test)]
#[path = "wave_verdict_tests.rs"]
mod tests;
