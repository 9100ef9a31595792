//! Starting a wave without ever launching twice. StartRecovery takes no client token, so an intent is written first:
//!
//! ```text
//!   (nothing) ──record──> INTENDED ──mark sent──> INTENDED+sentAt ──call──> STARTED | REFUSED
//!                                                      │ crash, timeout, 5xx: nobody knows
//!                                                      └──look for a job of this intent──> adopt | wait | send again
//! ```
//!
//! Decided here: what an intent allows now, which looked-up job is ours, what an operator's retry launches again.

use crate::membership::{required_servers, shards};
use crate::observed::{Job, JobStatus, JobType, Looked, MISSING_JOB_SECONDS, NativeExecution};
use crate::time;
use crate::wave_poll::is_gone;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::plan::Wave;
use tidegate_contract::records::{
    ExecutionRecord, Intent, IntentState, Member, ServerStatus, ShardJob, ShardRecord, TimelineEntry, Transition,
    WaveCounts, WaveRecord,
};
use tidegate_contract::tables::{shard_key, wave_key};
use tidegate_contract::{
    ExecutionId, ExecutionType, IsoTime, JobId, LaunchStatus, Mode, PostLaunchStatus, SourceServerId, WavePhase,
    WaveStatus,
};

/// How long a StartRecovery that was sent may still turn into a listed job: a worker gives it 120 s to answer (big batches
/// are slow, AWS fact sheet 2.8), a dead worker's call runs on at AWS, and DescribeJobs lags. A second call is made only after this; a
/// server in a job would refuse it anyway (ConflictException), this is the first of two nets.
pub const SETTLE_SECONDS: u32 = 150;
/// How long after its intent was marked as sent a call may still be made. A worker that was frozen in between (SIGSTOP, a
/// paused machine) wakes up as a zombie: by then another attempt may have looked, found nothing, and sent. A request frozen
/// after it was signed is refused by AWS five minutes later (Signature Version 4), long before a job it could repeat ends.
pub const SEND_WINDOW_SECONDS: u32 = 15;
/// How long after the mark a call may still become a job: the window above, five minutes until AWS refuses the signature, and
/// the clocks' difference, rounded up. A job younger than that is somebody else's: servers are locked while an execution runs,
/// but not between a run's end and its continuation.
const ADOPT_WINDOW_SECONDS: u32 = 600;
/// How far the clocks of a worker and of DRS may differ when jobs are matched by time.
const CLOCK_SKEW_SECONDS: u32 = 60;
/// Job tag that carries the intent id, when tagging is on.
pub const INTENT_TAG: &str = "tidegate:intent";

/// An id as the value of a tag: AWS allows letters, digits, spaces and `+ - = . _ : / @` (AWS General Reference, tags), an
/// intent has a `#` and an execution's name may have more.
pub fn tag_value(id: &str) -> String {
    id.chars().map(|one| if one.is_alphanumeric() || " +-=._:/@".contains(one) { one } else { '.' }).collect()
}

/// What to do for one shard now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartDecision {
    /// It has a job, was refused, or is never to be sent.
    Settled,
    /// Record that the call is under way, then call.
    Send,
    /// This job is the intent's: record it.
    Adopt(Box<Job>),
    /// A call may be under way or not yet listed: come back after this many seconds.
    Wait(u32),
}

/// `looked`: jobs DRS listed since the intent was recorded, or None if nobody looked yet. A look counts for the moment at which
/// it was asked: one from before the call had settled says nothing, however late its answer is read.
pub fn decide_start(
    shard: &ShardRecord,
    execution_type: ExecutionType,
    looked: Option<&Looked>,
    now: Timestamp,
) -> StartDecision {
    match shard.intent.state {
        IntentState::Started | IntentState::Refused | IntentState::Withheld => return StartDecision::Settled,
        IntentState::Intended => {}
    }
    let Some(sent_at) = shard.intent.last_sent_at.as_deref() else {
        return StartDecision::Send;
    };
    // A job of an earlier attempt may hold the same servers and be younger than the clocks' difference.
    let known = |job: &&Job| !shard.earlier_jobs.contains(&job.job_id);
    let found = |looked: &'_ Looked| find_job(&shard.intent, execution_type, looked.jobs.iter().filter(known)).cloned();
    if let Some(job) = looked.and_then(found) {
        return StartDecision::Adopt(Box::new(job));
    }
    if looked.is_some_and(|looked| time::seconds_since(sent_at, looked.asked_at) >= SETTLE_SECONDS) {
        StartDecision::Send
    } else {
        StartDecision::Wait(SETTLE_SECONDS.saturating_sub(time::seconds_since(sent_at, now)).max(1))
    }
}

/// True when DescribeJobs has to be asked before this shard can be decided.
pub fn needs_look(shard: &ShardRecord) -> bool {
    shard.intent.state == IntentState::Intended && shard.intent.last_sent_at.is_some()
}

/// The word with which an operator closed a wave at its decision gate: skip, continue or abort. The machine's timeline has it
/// before anything else of the decision is written. Only a retry makes start-wave welcome after it, so a start-wave that finds
/// another word is one nobody waits for any more.
pub fn closed_with(record: &ExecutionRecord, wave_number: u32) -> Option<&str> {
    let decided = |entry: &&TimelineEntry| entry.event == DECIDED && entry.wave_number == wave_number;
    record.timeline.iter().rev().find(decided).map(|entry| entry.detail.as_str()).filter(|word| *word != RETRY)
}

/// Timeline entry of the machine's RecordDecision.
pub(crate) const DECIDED: &str = "DECIDED";
/// Its detail when the wave is to be tried again.
const RETRY: &str = "retry";

/// True while a call that nobody answered may still become a job, whatever was concluded from it since. Who counts what a run
/// has launched counts it as a launch under way.
pub fn may_still_start(shard: &ShardRecord, now: Timestamp) -> bool {
    shard.job.is_none()
        && shard.intent.last_sent_at.as_deref().is_some_and(|sent| time::seconds_since(sent, now) < SETTLE_SECONDS)
}

/// True for a job that DRS has not listed for so long that its servers were given up (lesson c-11).
pub fn has_vanished(shard: &ShardRecord, now: Timestamp) -> bool {
    let missing_since = shard.job.as_ref().and_then(|job| job.missing_since.as_deref());
    missing_since.is_some_and(|since| time::seconds_since(since, now) >= MISSING_JOB_SECONDS)
}

/// Earliest creation time of a job that can be this intent's.
pub fn look_from(intent: &Intent) -> Option<Timestamp> {
    time::parse(&intent.recorded_at).map(|at| time::before(at, CLOCK_SKEW_SECONDS))
}

/// The job of this intent among `jobs`: by tag where there is one, else a LAUNCH job of the same kind and the same
/// servers, not older than the intent and not younger than its call can make it. The execution holds the servers' locks, so
/// no other execution can own such a job; a console user can. Where every call was tagged, a job without a tag is theirs.
pub fn find_job<'a>(
    intent: &Intent,
    execution_type: ExecutionType,
    jobs: impl IntoIterator<Item = &'a Job>,
) -> Option<&'a Job> {
    let initiated_by = match execution_type {
        ExecutionType::Drill => "START_DRILL",
        ExecutionType::Recovery => "START_RECOVERY",
    };
    let wanted: BTreeSet<&SourceServerId> = intent.source_server_ids.iter().collect();
    let from = look_from(intent)?;
    let until = intent.last_sent_at.as_deref().and_then(time::parse).map(|at| time::after(at, ADOPT_WINDOW_SECONDS));
    let in_time = |created| created >= from && until.is_none_or(|until| created <= until);
    let foreign = |job: &&Job| intent.not_ours.contains(&job.job_id);
    jobs.into_iter().filter(|job| !foreign(job)).find(|job| match job.tags.get(INTENT_TAG) {
        // Of both: an earlier release tagged with the id as it is.
        Some(tag) => tag_value(tag) == tag_value(&intent.intent_id),
        None => {
            !intent.tagged
                && job.job_type == JobType::Launch
                && job.initiated_by == initiated_by
                && job.created_at.is_some_and(in_time)
                && job.servers.iter().map(|server| &server.source_server_id).collect::<BTreeSet<_>>() == wanted
        }
    })
}

/// Notes which of the jobs that are listed before the intent's first call could be taken for its own afterwards: a console user
/// may have launched the very same servers a minute ago.
pub fn note_not_ours(intent: &mut Intent, execution_type: ExecutionType, listed: &[Job]) {
    if intent.last_sent_at.is_none() {
        let alike = listed.iter().filter(|job| find_job(intent, execution_type, [*job]).is_some());
        let alike: Vec<JobId> = alike.map(|job| job.job_id.clone()).collect();
        intent.not_ours.extend(alike);
    }
}

/// Unfinished jobs that hold servers of an intent: who stands in the way of a ConflictException. Several may, each with servers
/// of its own, because DRS refuses the whole call for any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders<'a> {
    intent: &'a Intent,
    /// TERMINATE jobs end by themselves, within minutes.
    pub terminating: Vec<&'a Job>,
    /// Anybody else's jobs.
    pub others: Vec<&'a Job>,
}

/// Sorts the unfinished jobs that hold one of the intent's servers.
pub fn holders<'a>(intent: &'a Intent, jobs: &'a [Job]) -> Holders<'a> {
    let holds =
        |job: &&Job| job.servers.iter().any(|server| intent.source_server_ids.contains(&server.source_server_id));
    let unfinished = jobs.iter().filter(|job| job.status != JobStatus::Completed).filter(holds);
    let (terminating, others) = unfinished.partition(|job| job.job_type == JobType::Terminate);
    Holders { intent, terminating, others }
}

/// Whether a refusal says who holds a server: worth more than a later "try again", which says nothing of that.
pub fn names_holder(refusal: &str) -> bool {
    refusal.contains(FOREIGN) || refusal.contains(NATIVE)
}

const FOREIGN: &str = "which is not ours";
const NATIVE: &str = "held by the native recovery plan execution";

impl Holders<'_> {
    /// Why DRS refused the launch, with everybody who holds a server; None if nobody is known.
    pub fn reason(&self, native: &[NativeExecution]) -> Option<String> {
        let jobs = self.others.iter().filter_map(|job| {
            let servers: Vec<_> = job.servers.iter().map(|server| &server.source_server_id).collect();
            Some(format!("{} in job {} ({}), {FOREIGN}", self.held(&servers)?, job.job_id, job.initiated_by))
        });
        let plans = native.iter().filter_map(|execution| {
            let servers: Vec<_> = execution.source_server_ids.iter().collect();
            let held = self.held(&servers)?;
            Some(format!("{held} {NATIVE} {}", execution.execution_arn))
        });
        let all: Vec<String> = jobs.chain(plans).collect();
        (!all.is_empty()).then(|| format!("DRS refused the launch: {}", all.join("; ")))
    }

    /// The first of the intent's servers among these, and how many more there are: a job may hold a hundred.
    fn held(&self, servers: &[&SourceServerId]) -> Option<String> {
        let mut ours = self.intent.source_server_ids.iter().filter(|id| servers.contains(id));
        let first = ours.next()?;
        Some(match ours.count() {
            0 => format!("{first} is"),
            more => format!("{first} and {more} more are"),
        })
    }
}

/// The shard's job as recorded.
pub fn shard_job(job: &Job, adopted: bool) -> ShardJob {
    ShardJob {
        job_id: job.job_id.clone(),
        status: job.status.as_str().to_owned(),
        start_time: job.created_at.map(time::format),
        end_time: job.ended_at.map(time::format),
        completed_seen_at: None,
        adopted,
        log_read_at_end: false,
        missing_since: None,
    }
}

/// Marks the intent before its call is sent; returns the mark it had. One that is there was never answered.
pub fn mark_sent(intent: &mut Intent, tagged: bool, now: Timestamp) -> Option<IsoTime> {
    let before = intent.last_sent_at.replace(time::format(now));
    // The job of an earlier call without an answer may be found as well: only if that carried a tag, all do.
    intent.tagged = tagged && (before.is_none() || intent.tagged);
    before
}

/// Records that the intent has its job.
pub fn started(shard: &mut ShardRecord, job: ShardJob) {
    for server in shard
        .server_statuses
        .iter_mut()
        .filter(|server| shard.intent.source_server_ids.contains(&server.source_server_id))
    {
        server.recovery_job_id = Some(job.job_id.clone());
    }
    shard.job = Some(job);
    shard.intent.state = IntentState::Started;
    // What DRS said while it was not to be launched yet.
    shard.intent.refusal = String::new();
    shard.intent.refused_since = None;
    shard.phase = WavePhase::Snapshot;
}

/// How long a refusal that may pass is tried again: a right that is being granted (IAM is eventually consistent), a code we do
/// not know. One 403 must not end a recovery, and a right that is missing must not use up a wave's hours.
pub const REFUSAL_PATIENCE_SECONDS: u32 = 180;

/// Takes in a refusal that may pass. True once it has lasted too long.
pub fn refused_for_long(intent: &mut Intent, reason: &str, now: Timestamp) -> bool {
    intent.refusal = short(reason);
    let since = intent.refused_since.get_or_insert_with(|| time::format(now));
    time::seconds_since(since, now) >= REFUSAL_PATIENCE_SECONDS
}

/// Records that DRS refused the intent for good: its servers failed, with the reason.
pub fn refused(shard: &mut ShardRecord, reason: &str, now: Timestamp) {
    shard.intent.state = IntentState::Refused;
    shard.intent.refusal = short(reason);
    for server in &mut shard.server_statuses {
        if shard.intent.source_server_ids.contains(&server.source_server_id) {
            fail_server(server, reason, now);
        }
    }
}

/// Records that nobody is to send the intent any more: the run is cancelled, or at its end. Its servers are FAILED, as after a
/// refusal of DRS, but a continuation counts them as not tried yet.
pub fn withdrawn(shard: &mut ShardRecord, reason: &str, now: Timestamp) {
    refused(shard, reason, now);
    shard.intent.withdrawn = true;
}

/// DRS may give 64 KiB of error text per server (API model, rawError); an item holds 400 KB, counted in bytes of UTF-8, and a
/// shard a hundred servers.
pub(crate) const MAX_ERROR_BYTES: usize = 1_000;

/// The beginning of a text, as long as a record keeps it.
pub fn short(text: &str) -> String {
    beginning(&spell_out(text), MAX_ERROR_BYTES)
}

/// The whole characters of a text that fit into so many bytes.
pub fn beginning(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

/// Marks a server FAILED with its reason, keeping the first reason given.
pub fn fail_server(server: &mut ServerStatus, reason: &str, now: Timestamp) {
    if server.launch_status != LaunchStatus::Failed {
        server.launch_status = LaunchStatus::Failed;
        server.transition_history.push(Transition { status: LaunchStatus::Failed, at: time::format(now) });
    }
    server.error.get_or_insert_with(|| short(reason));
}

/// A wave about to begin: its item and its shards, every intent recorded, nothing sent.
pub fn open_wave(
    execution_id: &ExecutionId,
    execution_type: ExecutionType,
    mode: Mode,
    wave: &Wave,
    members: &[Member],
    now: Timestamp,
) -> (WaveRecord, Vec<ShardRecord>) {
    let at = time::format(now);
    let withheld = mode != Mode::Run;
    let shards: Vec<ShardRecord> = shards(members)
        .into_iter()
        .zip(1u32..)
        .map(|((target, members), shard_number)| ShardRecord {
            execution_id: execution_id.clone(),
            wave_key: shard_key(wave.wave_number, shard_number),
            wave_number: wave.wave_number,
            shard_number,
            target,
            intent: Intent {
                intent_id: intent_id(execution_id, wave.wave_number, shard_number, 1),
                attempt: 1,
                state: if withheld { IntentState::Withheld } else { IntentState::Intended },
                recorded_at: at.clone(),
                last_sent_at: None,
                tagged: false,
                not_ours: Vec::new(),
                source_server_ids: members.iter().map(|member| member.source_server_id.clone()).collect(),
                refusal: String::new(),
                refused_since: None,
                withdrawn: false,
            },
            job: None,
            earlier_jobs: Vec::new(),
            lost_jobs: Vec::new(),
            phase: if withheld { WavePhase::Settled } else { WavePhase::Starting },
            server_statuses: members.iter().map(|member| new_server(member, execution_type, withheld, &at)).collect(),
            version: 1,
        })
        .collect();
    let total = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let record = WaveRecord {
        execution_id: execution_id.clone(),
        wave_key: wave_key(wave.wave_number),
        wave_number: wave.wave_number,
        wave_name: wave.wave_name.clone(),
        status: if withheld { WaveStatus::Skipped } else { WaveStatus::Starting },
        phase: if withheld { WavePhase::Settled } else { WavePhase::Starting },
        attempt: 1,
        start_time: at.clone(),
        attempt_start_time: at.clone(),
        end_time: withheld.then(|| at.clone()),
        last_polled_time: None,
        poll_attempts: 0,
        counts: WaveCounts {
            total,
            active: if withheld { 0 } else { total },
            skipped: if withheld { total } else { 0 },
            ..WaveCounts::default()
        },
        shard_count: u32::try_from(shards.len()).unwrap_or(u32::MAX),
        on_failure: wave.on_failure,
        min_launched: wave.min_launched.clone().map(|min| {
            tidegate_contract::plan::MinLaunched::Count(required_servers(Some(&min), total).unwrap_or(total))
        }),
        timeout_seconds: wave.timeout_seconds,
        jobs: Vec::new(),
        error: String::new(),
        version: 1,
    };
    (record, shards)
}

/// The id of an attempt to start one shard's job; the same inputs give the same id, whichever worker asks.
pub fn intent_id(execution_id: &ExecutionId, wave_number: u32, shard_number: u32, attempt: u32) -> String {
    format!("{execution_id}/{}/{attempt}", shard_key(wave_number, shard_number))
}

fn new_server(member: &Member, execution_type: ExecutionType, withheld: bool, at: &str) -> ServerStatus {
    let launch_status = if withheld { LaunchStatus::Skipped } else { LaunchStatus::Pending };
    ServerStatus {
        source_server_id: member.source_server_id.clone(),
        server_name: member.server_name.clone(),
        hostname: member.hostname.clone(),
        importance: member.importance,
        launch_status,
        is_drill: execution_type.is_drill(),
        recovery_job_id: None,
        recovery_instance_id: None,
        instance_id: None,
        ec2_instance_id: None,
        recovered_instance_id: None,
        instance_type: None,
        private_ip: None,
        launch_time: None,
        instance_state: None,
        last_polled_time: None,
        poll_attempts: 0,
        launched_time: None,
        post_launch_actions_status: expected_actions(execution_type.is_drill()),
        post_launch_actions_completed: false,
        point_in_time: None,
        transition_history: vec![Transition { status: launch_status, at: at.to_owned() }],
        error: None,
        recovery_snapshot_id: member.recovery_snapshot_id.clone(),
        post_launch_expected: None,
        warning: None,
        attempt: 1,
    }
}

/// An operator's retry. Servers whose job is still under way are looked at again; servers that failed for good and left
/// no instance are launched again under a new intent; what runs already is left alone. A job that has vanished is not under way:
/// nothing would ever end it. Returns true if anything changed.
pub fn retry_shard(shard: &mut ShardRecord, attempt: u32, now: Timestamp) -> bool {
    if shard.intent.attempt >= attempt {
        return false;
    }
    let job_running =
        !has_vanished(shard, now) && shard.job.as_ref().is_some_and(|job| job.status != JobStatus::Completed.as_str());
    // A call was made and there is no job on record. Whatever was concluded from that (a refusal, the wave's deadline), the
    // intent stays and is looked for first: a look is cheap, a second launch is not.
    let call_unanswered = shard.job.is_none() && shard.intent.last_sent_at.is_some();
    let relaunch: Vec<SourceServerId> = if job_running || call_unanswered {
        Vec::new()
    } else {
        shard
            .server_statuses
            .iter()
            .filter(|server| wants_launch(server))
            .map(|server| server.source_server_id.clone())
            .collect()
    };
    let asked_job = if relaunch.is_empty() { shard.job.as_ref().map(|job| job.job_id.clone()) } else { None };
    for server in &mut shard.server_statuses {
        if call_unanswered && !shard.intent.source_server_ids.contains(&server.source_server_id) {
            continue;
        }
        let actions_failed = server.post_launch_actions_status == PostLaunchStatus::Failed;
        if wants_launch(server) {
            server.attempt = attempt;
            forget_instance(server);
            reopen(server, LaunchStatus::Pending, now);
        } else if server.launch_status == LaunchStatus::Failed {
            // Its instance is there: launching it again would make two.
            server.attempt = attempt;
            server.launched_time.get_or_insert_with(|| time::format(now));
            reopen(server, LaunchStatus::Launched, now);
        } else if !actions_failed {
            continue;
        }
        // DRS may report the action's run anew, but only in a job that is still asked.
        if actions_failed
            && server.launch_status == LaunchStatus::Launched
            && asked_job.is_some()
            && server.recovery_job_id == asked_job
        {
            server.attempt = attempt;
            server.error = None;
            server.post_launch_actions_status = PostLaunchStatus::Pending;
        }
    }
    shard.intent.attempt = attempt;
    if call_unanswered {
        shard.intent.state = IntentState::Intended;
        shard.intent.refusal = String::new();
        shard.intent.refused_since = None;
        shard.intent.withdrawn = false;
        shard.phase = WavePhase::Starting;
    }
    if relaunch.is_empty() {
        if let Some(job) = &mut shard.job {
            // Grace periods start again with the attempt.
            job.completed_seen_at = None;
            job.missing_since = None;
        }
    } else {
        let job = shard.job.take();
        shard.earlier_jobs.extend(job.as_ref().map(|job| job.job_id.clone()));
        shard.lost_jobs.extend(job.filter(|job| job.status != JobStatus::Completed.as_str()));
        shard.intent = Intent {
            intent_id: intent_id(&shard.execution_id, shard.wave_number, shard.shard_number, attempt),
            attempt,
            state: IntentState::Intended,
            recorded_at: time::format(now),
            last_sent_at: None,
            tagged: false,
            not_ours: Vec::new(),
            source_server_ids: relaunch,
            refusal: String::new(),
            refused_since: None,
            withdrawn: false,
        };
        shard.phase = WavePhase::Starting;
    }
    true
}

/// True for a server that failed and has no instance, or none any more.
fn wants_launch(server: &ServerStatus) -> bool {
    is_gone(server) || (server.launch_status == LaunchStatus::Failed && server.recovery_instance_id.is_none())
}

fn reopen(server: &mut ServerStatus, status: LaunchStatus, now: Timestamp) {
    server.launch_status = status;
    server.transition_history.push(Transition { status, at: time::format(now) });
    if server.post_launch_actions_status != PostLaunchStatus::Failed {
        server.error = None;
    }
}

/// Clears what was true of an instance that is gone, or never was, before another is launched.
fn forget_instance(server: &mut ServerStatus) {
    server.recovery_instance_id = None;
    server.instance_id = None;
    server.ec2_instance_id = None;
    server.recovered_instance_id = None;
    server.instance_type = None;
    server.private_ip = None;
    server.launch_time = None;
    server.instance_state = None;
    server.launched_time = None;
    server.point_in_time = None;
    server.error = None;
    server.post_launch_actions_status = expected_actions(server.is_drill);
    server.post_launch_actions_completed = false;
    server.post_launch_expected = None;
    server.warning = None;
}

/// A drill waits for no action; a recovery does, until it has read that there is none.
const fn expected_actions(is_drill: bool) -> PostLaunchStatus {
    if is_drill { PostLaunchStatus::NotConfigured } else { PostLaunchStatus::Pending }
}

/// Opens the next attempt of a settled wave.
pub fn retry_wave(wave: &mut WaveRecord, attempt: u32, now: Timestamp) {
    wave.attempt = attempt;
    wave.attempt_start_time = time::format(now);
    wave.status = WaveStatus::Starting;
    wave.phase = WavePhase::Starting;
    wave.end_time = None;
    wave.error = String::new();
}

#[cfg(test)]
#[path = "wave_start_tests.rs"]
pub(crate) mod tests;
