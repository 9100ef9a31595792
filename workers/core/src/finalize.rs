//! The outcome of an execution: one function for success, failure, cancellation and time-out (NFR-4.3).
//!
//! Counts against the plan's wave list, never against the waves that happen to be stored: `all of none` is true, and a
//! three-wave run once ended COMPLETED after wave 1 that way (lessons c-01, c-02).

use crate::continuation::{has_begun, terms};
use crate::wave_verdict::{self, ServerFate, fate};
use crate::{time, wave_start};
use jiff::Timestamp;
use tidegate_contract::activities::{EndReason, Ending, Failure};
use tidegate_contract::foreign::{spell_out, spell_out_lines};
use tidegate_contract::records::{
    ExecutionRecord, IntentState, Report, ServerStatus, ShardRecord, StoredOutcome, TimelineEntry, WaveCounts,
    WaveRecord, WaveReport,
};
use tidegate_contract::tables::wave_key;
use tidegate_contract::{ErrorName, ExecutionStatus, ExecutionType, Mode, WavePhase, WaveStatus};

/// What finalize writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub status: ExecutionStatus,
    pub outcome: StoredOutcome,
}

/// Decides the outcome. `waves` are the stored wave items, closed already ([`close_waves`]).
pub fn decide(ending: &Ending, record: &ExecutionRecord, waves: &[WaveRecord], cleanup_due: bool) -> Decision {
    let (status, error, cause) = match ending.reason {
        EndReason::AllWavesSettled => all_waves(ending.wave_count, record, waves),
        EndReason::Refused | EndReason::Fault => {
            let (error, cause) = our_failure(&ending.failure);
            (ExecutionStatus::Failed, error, cause)
        }
        EndReason::AbortedByPolicy => {
            (ExecutionStatus::Failed, ErrorName::RecoveryFailed, ending.failure.cause.clone())
        }
        EndReason::AbortedByOperator => (
            ExecutionStatus::Failed,
            ErrorName::RecoveryFailed,
            format!("aborted by an operator at a decision gate. {}", ending.failure.cause),
        ),
        EndReason::Cancelled => (ExecutionStatus::Cancelled, ErrorName::Cancelled, "cancelled on request".to_owned()),
        EndReason::Declined => (ExecutionStatus::Cancelled, ErrorName::Cancelled, declined(ending)),
        EndReason::GateTimedOut => (
            ExecutionStatus::TimedOut,
            ErrorName::TimedOut,
            "nobody answered the gate within its gateTimeoutSeconds".to_owned(),
        ),
        EndReason::Stopped => (
            ExecutionStatus::Cancelled,
            ErrorName::Cancelled,
            with_failure("the execution was stopped from outside its state machine (StopExecution)", &ending.failure),
        ),
        EndReason::MachineTimedOut => (
            ExecutionStatus::TimedOut,
            ErrorName::TimedOut,
            "the execution reached the TimeoutSeconds of its state machine".to_owned(),
        ),
        EndReason::MachineFailed => {
            let (error, cause) = machine_failure(&ending.failure);
            (ExecutionStatus::Failed, error, cause)
        }
    };
    let error = if status == ExecutionStatus::Completed { String::new() } else { error.as_str().to_owned() };
    let cause = spell_out_lines(&cause).into_owned();
    Decision { status, outcome: StoredOutcome { reason: ending.reason, error, cause, cleanup_due } }
}

fn declined(ending: &Ending) -> String {
    with_failure("declined at a gate", &ending.failure)
}

/// `what`, and after a colon what was said of it, if anything was.
fn with_failure(what: &str, failure: &Failure) -> String {
    let said = words(failure);
    if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
}

/// Error and cause in one line, whoever wrote them; either may be empty (States.Timeout has no cause at all).
fn words(failure: &Failure) -> String {
    let words = [&failure.error, &failure.cause].into_iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    spell_out(&words.collect::<Vec<_>>().join(": ")).into_owned()
}

fn all_waves(wave_count: u32, record: &ExecutionRecord, waves: &[WaveRecord]) -> (ExecutionStatus, ErrorName, String) {
    let fault = |cause: String| (ExecutionStatus::Failed, ErrorName::MachineFault, cause);
    if wave_count != record.total_waves || wave_count == 0 {
        return fault(format!("the machine counted {wave_count} waves, the plan has {}", record.total_waves));
    }
    if record.waves.len() != wave_count as usize {
        return fault(format!("the machine counted {wave_count} waves, the record lists {}", record.waves.len()));
    }
    let mut statuses = Vec::new();
    for descriptor in &record.waves {
        let number = descriptor.wave_number;
        match waves.iter().find(|wave| wave.wave_number == number) {
            Some(wave) if wave.status.is_settled() => statuses.push((number, wave.status)),
            Some(wave) => {
                return fault(format!("wave {number} is {} although the machine says all are settled", wave.status));
            }
            None => return fault(format!("wave {number} was never started although the machine says all are settled")),
        }
    }
    let done = |status: WaveStatus| match record.mode {
        Mode::DryRun => status == WaveStatus::Skipped,
        Mode::Run | Mode::Check => status == WaveStatus::Completed,
    };
    if statuses.iter().all(|(_, status)| done(*status)) {
        return (ExecutionStatus::Completed, ErrorName::Internal, String::new());
    }
    let short: Vec<String> = statuses
        .iter()
        .filter(|(_, status)| !done(*status))
        .map(|(number, status)| format!("wave {number} {status}"))
        .collect();
    // A FAILED wave may hold servers that are up: then something was recovered (S002).
    let any = waves
        .iter()
        .any(|wave| matches!(wave.status, WaveStatus::Completed | WaveStatus::Partial) || wave.counts.ready > 0);
    if any {
        (ExecutionStatus::Partial, ErrorName::Partial, format!("not everything was recovered: {}", short.join(", ")))
    } else {
        (ExecutionStatus::Failed, ErrorName::RecoveryFailed, format!("nothing was recovered: {}", short.join(", ")))
    }
}

/// Our own names stay; whatever Step Functions or DynamoDB called the fault becomes ours, its own name leading the cause.
fn our_failure(failure: &Failure) -> (ErrorName, String) {
    own_name(failure).unwrap_or_else(|| (ErrorName::Internal, words(failure)))
}

/// The same for an execution that failed past its own Finalize. A name of Step Functions' is then a fault of the machine's
/// definition (States.Runtime: a path that was not there).
fn machine_failure(failure: &Failure) -> (ErrorName, String) {
    own_name(failure)
        .unwrap_or_else(|| (ErrorName::MachineFault, with_failure("the execution failed without finalizing", failure)))
}

fn own_name(failure: &Failure) -> Option<(ErrorName, String)> {
    let name = ErrorName::ALL.iter().copied().find(|name| name.as_str() == failure.error)?;
    Some((name, failure.cause.clone()))
}

/// Shards whose launch a worker that was frozen may still send when it wakes up: every one whose intent is open, and every one
/// of a wave that was not recovered, because the worker may have been about to try that again. Its wave being settled proves
/// nothing: an operator may have skipped it, or gone on past it, while the worker was frozen. Finalize stores each anew,
/// changed or not: the worker meets another version and does not send (NFR-1.2). What was never sent of a wave that is still
/// open is refused, so that nobody looks for it.
pub fn fence_shards(waves: &[WaveRecord], shards: &[ShardRecord], ending: &Ending, now: Timestamp) -> Vec<ShardRecord> {
    let wave_of = |shard: &ShardRecord| waves.iter().find(|wave| wave.wave_number == shard.wave_number);
    let is_intended = |shard: &ShardRecord| shard.intent.state == IntentState::Intended;
    let is_open =
        |shard: &ShardRecord| is_intended(shard) && wave_of(shard).is_some_and(|wave| !wave.status.is_settled());
    let may_be_retried = |shard: &ShardRecord| {
        shard.intent.state != IntentState::Withheld
            && wave_of(shard).is_some_and(|wave| matches!(wave.status, WaveStatus::Failed | WaveStatus::Skipped))
    };
    shards
        .iter()
        .filter(|shard| is_intended(shard) || may_be_retried(shard))
        .map(|shard| {
            let mut fenced = shard.clone();
            if is_open(shard) && fenced.intent.last_sent_at.is_none() {
                let reason = format!("the execution ended ({}) before the launch was sent", ending.reason);
                wave_start::withdrawn(&mut fenced, &reason, now);
            }
            fenced
        })
        .collect()
}

/// Waves that cannot go on: unsettled ones FAILED with what may still run, planned ones without an item SKIPPED.
pub fn close_waves(
    record: &ExecutionRecord,
    waves: &[WaveRecord],
    shards: &[ShardRecord],
    ending: &Ending,
    now: Timestamp,
) -> Vec<WaveRecord> {
    if ending.reason == EndReason::AllWavesSettled {
        return Vec::new();
    }
    let mut closed = Vec::new();
    for descriptor in &record.waves {
        match waves.iter().find(|wave| wave.wave_number == descriptor.wave_number) {
            Some(wave) if wave.status.is_settled() => {}
            Some(wave) => closed.push(abandoned(record, wave, shards, ending, now)),
            None => closed.push(never_started(record, descriptor, now)),
        }
    }
    closed
}

fn abandoned(
    record: &ExecutionRecord,
    wave: &WaveRecord,
    shards: &[ShardRecord],
    ending: &Ending,
    now: Timestamp,
) -> WaveRecord {
    let shards: Vec<ShardRecord> =
        shards.iter().filter(|shard| shard.wave_number == wave.wave_number).cloned().collect();
    // The shards know jobs that the wave's own list, a copy of its last poll, may not have yet.
    let mut running: Vec<&str> = wave
        .jobs
        .iter()
        .filter(|job| job.status != "COMPLETED" && !shards.iter().any(|shard| is_of(shard, job.job_id.as_str())))
        .map(|job| job.job_id.as_str())
        .collect();
    running.extend(
        shards
            .iter()
            .filter_map(|shard| shard.job.as_ref())
            .filter(|job| job.status != "COMPLETED")
            .map(|job| job.job_id.as_str()),
    );
    let unanswered = shards.iter().filter(|shard| shard.job.is_none() && shard.intent.last_sent_at.is_some()).count();
    let mut error = format!("the execution ended ({}) while this wave was {}", ending.reason, wave.status);
    if !running.is_empty() {
        error.push_str(&format!("; DRS jobs that may still run: {}", running.join(", ")));
    }
    if unanswered > 0 {
        error.push_str(&format!("; launches without an answer, which may run all the same: {unanswered}"));
    }
    let mut closed = WaveRecord {
        status: WaveStatus::Failed,
        phase: WavePhase::Settled,
        end_time: Some(time::format(now)),
        error,
        ..wave.clone()
    };
    if !shards.is_empty() {
        closed.counts = wave_verdict::count(&shards, record.execution_type);
        closed.jobs = wave_verdict::wave_jobs(&shards);
    }
    closed
}

fn is_of(shard: &ShardRecord, job: &str) -> bool {
    shard.job.as_ref().is_some_and(|own| own.job_id.as_str() == job)
}

fn never_started(
    record: &ExecutionRecord,
    wave: &tidegate_contract::activities::WaveDescriptor,
    now: Timestamp,
) -> WaveRecord {
    let at = time::format(now);
    WaveRecord {
        execution_id: record.execution_id.clone(),
        wave_key: wave_key(wave.wave_number),
        wave_number: wave.wave_number,
        wave_name: wave.wave_name.clone(),
        status: WaveStatus::Skipped,
        phase: WavePhase::Settled,
        attempt: 0,
        start_time: at.clone(),
        attempt_start_time: at.clone(),
        end_time: Some(at),
        last_polled_time: None,
        poll_attempts: 0,
        counts: WaveCounts { total: wave.server_count, skipped: wave.server_count, ..WaveCounts::default() },
        shard_count: 0,
        on_failure: wave.on_failure,
        min_launched: None,
        timeout_seconds: wave.timeout_seconds,
        jobs: Vec::new(),
        error: "never started".to_owned(),
        version: 1,
    }
}

/// A drill whose instances are up and are not to be kept, whatever its outcome (lesson c-35).
pub fn cleanup_due(record: &ExecutionRecord, shards: &[ShardRecord]) -> bool {
    record.execution_type == ExecutionType::Drill
        && record.mode == Mode::Run
        && !terms(record).keep_instances
        // What a continuation that never began had copied is still the continued execution's.
        && (record.continues.is_none() || has_begun(record))
        && shards.iter().any(may_have_launched)
}

/// A job is on record, or a call was sent of which nobody knows what became.
fn may_have_launched(shard: &ShardRecord) -> bool {
    shard.job.is_some() || !shard.earlier_jobs.is_empty() || shard.intent.last_sent_at.is_some()
}

/// The proof: what was recovered, how fast, how old.
pub fn report(record: &ExecutionRecord, waves: &[WaveRecord], shards: &[ShardRecord], now: Timestamp) -> Report {
    // Of a continuation: since the first run began. Whoever waits for the servers has waited since then.
    let start = time::parse(record.first_start_time.as_ref().unwrap_or(&record.start_time));
    let ready = |server: &&ServerStatus| fate(server, record.execution_type) == ServerFate::Ready;
    let servers = || shards.iter().flat_map(|shard| &shard.server_statuses);
    let last_end = waves
        .iter()
        .filter(|wave| matches!(wave.status, WaveStatus::Completed | WaveStatus::Partial))
        .filter_map(|wave| time::parse(wave.end_time.as_deref()?))
        .max();
    let oldest = servers().filter(ready).filter_map(|server| time::parse(server.point_in_time.as_deref()?)).min();
    let mut rows: Vec<WaveReport> = waves.iter().map(wave_report).collect();
    rows.sort_by_key(|wave| wave.wave_number);
    Report {
        servers: record.total_servers,
        launched: count(servers().filter(ready)),
        failed: count(servers().filter(|server| fate(server, record.execution_type) == ServerFate::Failed)),
        rto_seconds: start.zip(last_end).map(|(start, end)| time::seconds_between(start, end)),
        paused_seconds: paused_seconds(&record.timeline, now),
        rpo_seconds: start.zip(oldest).map(|(start, oldest)| time::seconds_between(oldest, start)),
        waves: rows,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

fn wave_report(wave: &WaveRecord) -> WaveReport {
    let end = wave.end_time.as_deref().and_then(time::parse);
    WaveReport {
        wave_number: wave.wave_number,
        wave_name: wave.wave_name.clone(),
        status: wave.status,
        servers: wave.counts.total,
        launched: wave.counts.ready,
        failed: wave.counts.failed,
        duration_seconds: end.map(|end| time::seconds_since(&wave.start_time, end)),
    }
}

/// Timeline events the state machine appends around gates.
pub const GATE_OPENED: &[&str] = &["PAUSED", "DECISION_NEEDED"];
/// And when they were answered.
pub const GATE_CLOSED: &[&str] = &["RESUMED", wave_start::DECIDED];

fn paused_seconds(timeline: &[TimelineEntry], now: Timestamp) -> u32 {
    let mut open: Option<&str> = None;
    let mut total = 0;
    for entry in timeline {
        if GATE_OPENED.contains(&entry.event.as_str()) {
            open.get_or_insert(&entry.at);
        } else if GATE_CLOSED.contains(&entry.event.as_str())
            && let (Some(since), Some(end)) = (open.take(), time::parse(&entry.at))
        {
            total += time::seconds_since(since, end);
        }
    }
    total + open.map_or(0, |since| time::seconds_since(since, now))
}

#[cfg(test)]
#[path = "finalize_tests.rs"]
mod tests;
