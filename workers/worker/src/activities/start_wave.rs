//! `start-wave-v1`: every job of the wave gets its intent, then its DRS job, or the reason why there is none.
//!
//! Order of writes for each shard, and the whole point of this file:
//!
//! ```text
//!   shard item with intent ──> look for what DRS would delete ──> intent marked as sent ──> StartRecovery (sent once) ──> job id recorded
//! ```
//! A server that would lose an instance nobody gave up is not sent ([`deletion_look`]).
//! Whatever dies when, the next call finds the intent and looks for its job before it sends again ([`wave_start`]).
//!
//! Succeeds: the verdict says whether some jobs are still to be started (quota, lost answer); the machine then comes
//! back. A refusal of DRS is no error of the activity: the servers are FAILED with the reason and the wave's policy
//! applies, because other shards may be on their way. Fails: every intent that may have been sent is on record.

use crate::activities::deletion_look::{self, Cleared};
use crate::activities::enrichment::{save_shard, save_wave};
use crate::error::ActivityError;
use crate::world::{World, cancel_requested, load_execution};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tidegate_aws::ports::{Drs, StartRequest};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::activities::{WaveInput, WaveVerdict};
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{ExecutionRecord, IntentState, ShardRecord, WaveRecord};
use tidegate_contract::{ErrorName, ExecutionType, LaunchStatus, SourceServerId};
use tidegate_core::deletions::{EXECUTION_TAG, LOOK_SECONDS};
use tidegate_core::observed::{Job, Looked, NativeExecution};
use tidegate_core::wave_start::{self, INTENT_TAG, SEND_WINDOW_SECONDS, StartDecision};
use tidegate_core::{time, wave_poll, wave_verdict};
use tracing::{info, warn};

/// Runs the activity.
pub async fn run(world: World, input: WaveInput) -> Result<WaveVerdict, ActivityError> {
    let record = running(&world, &input).await?;
    let (mut wave, shards) = open(&world, &record, &input).await?;
    // Again, after the wave: a worker that was frozen since its first look must not open what finalize has closed.
    let record = running(&world, &input).await?;
    let cancelled = cancel_requested(world.store.as_ref(), &record).await?;
    if wave.attempt == 0 {
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("wave {} was closed before it began: the execution is ending", wave.wave_number),
        ));
    }
    let (mut shards, retried) = retry(&world, &mut wave, shards, &input).await?;
    if wave.status.is_settled() && !retried {
        let now = world.clock.now();
        return Ok(wave_verdict::verdict(&wave, &shards, &input, cancelled, now));
    }

    let started = futures::future::join_all(
        shards.drain(..).map(|shard| start_shard(&world, &record, &wave, shard, &input, cancelled)),
    )
    .await;
    let mut shards = started.into_iter().collect::<Result<Vec<_>, _>>()?;

    let now = world.clock.now();
    if wave_verdict::is_overdue(&wave, now) {
        for shard in shards.iter_mut().filter(|shard| shard.intent.state == IntentState::Intended) {
            // The intent stays: should its job exist after all, an operator's retry looks for it first.
            wave_poll::apply_timeout(shard, input.execution_type, wave.timeout_seconds, now);
            save_shard(&world, shard).await?;
        }
    }
    wave_verdict::judge(&mut wave, &shards, input.execution_type, now);
    wave.poll_attempts += 1;
    save_wave(&world, &mut wave).await?;
    info!(
        execution_id = %wave.execution_id, wave = wave.wave_number, status = %wave.status, jobs = wave.jobs.len(),
        "WaveStarted: the wave's status changed, the execution's is the state machine's"
    );
    Ok(wave_verdict::verdict(&wave, &shards, &input, cancelled, now))
}

/// The execution, as long as it has not ended and no operator has closed the wave at its gate. A worker that was frozen past
/// either finds out here.
async fn running(world: &World, input: &WaveInput) -> Result<ExecutionRecord, ActivityError> {
    let record = load_execution(world.store.as_ref(), &input.execution_id).await?;
    if record.status.is_terminal() {
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("execution {} has ended as {}", record.execution_id, record.status),
        ));
    }
    if let Some(word) = wave_start::closed_with(&record, input.wave_number) {
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("wave {} was closed at its decision gate: {word}", input.wave_number),
        ));
    }
    Ok(record)
}

/// The wave as stored, created on the first call. Shards first: a wave's item is there only when all its shards are.
async fn open(
    world: &World,
    record: &ExecutionRecord,
    input: &WaveInput,
) -> Result<(WaveRecord, Vec<ShardRecord>), ActivityError> {
    if let Some(found) = world.store.load_wave(&input.execution_id, input.wave_number).await? {
        return Ok(found);
    }
    let missing = |what: &str| {
        ActivityError::new(ErrorName::Internal, format!("wave {} has no {what} on record", input.wave_number))
    };
    let members =
        world.store.load_members(&input.execution_id, input.wave_number).await?.ok_or_else(|| missing("members"))?;
    let plan: Plan =
        serde_json::from_str(&record.plan).map_err(|error| missing(&format!("readable plan ({error})")))?;
    let wave = plan.waves.iter().find(|wave| wave.wave_number == input.wave_number).ok_or_else(|| missing("plan"))?;
    let (item, shards) = wave_start::open_wave(
        &input.execution_id,
        input.execution_type,
        input.mode,
        wave,
        &members.members,
        world.clock.now(),
    );
    for shard in &shards {
        // Existed: a worker died half way through, or another attempt is doing the same; what is stored counts.
        world.store.create_shard(shard).await?;
    }
    world.store.create_wave(&item).await?;
    world.store.load_wave(&input.execution_id, input.wave_number).await?.ok_or_else(|| missing("item"))
}

/// Applies an operator's retry, once: shards and wave remember the attempt they are at.
async fn retry(
    world: &World,
    wave: &mut WaveRecord,
    mut shards: Vec<ShardRecord>,
    input: &WaveInput,
) -> Result<(Vec<ShardRecord>, bool), ActivityError> {
    if input.wave_attempt <= wave.attempt {
        return Ok((shards, false));
    }
    let now = world.clock.now();
    for shard in &mut shards {
        // A launch may have ended since the last poll of a wave that timed out: what runs is not launched again.
        let lost: Vec<_> = shard
            .server_statuses
            .iter()
            .filter(|server| server.launch_status == LaunchStatus::Failed && server.recovery_instance_id.is_none())
            .map(|server| server.source_server_id.clone())
            .collect();
        if !lost.is_empty() {
            let drs = world.targets.drs(&shard.target).await?;
            if wave_start::has_vanished(shard, now) {
                look_for_vanished(drs.as_ref(), shard).await?;
            }
            let mut instances = drs.recovery_instances(&lost).await?;
            // A record of an instance that is gone keeps no server from being launched again.
            instances.retain(|instance| instance.state.is_alive());
            wave_poll::apply_recovery_instances(shard, &instances);
        }
        if wave_start::retry_shard(shard, input.wave_attempt, now) {
            save_shard(world, shard).await?;
        }
    }
    wave_start::retry_wave(wave, input.wave_attempt, now);
    save_wave(world, wave).await?;
    info!(execution_id = %wave.execution_id, wave = wave.wave_number, attempt = wave.attempt, "WaveRetried");
    Ok((shards, true))
}

/// Nobody has asked for this job since its servers were given up. If DRS lists it again, it is polled again: its servers are
/// its business, and none of them is launched anew.
async fn look_for_vanished(drs: &dyn Drs, shard: &mut ShardRecord) -> Result<(), PortError> {
    if let Some(job) = &mut shard.job
        && !drs.jobs(std::slice::from_ref(&job.job_id)).await?.is_empty()
    {
        job.missing_since = None;
    }
    Ok(())
}

async fn start_shard(
    world: &World,
    record: &ExecutionRecord,
    wave: &WaveRecord,
    shard: ShardRecord,
    input: &WaveInput,
    cancelled: bool,
) -> Result<ShardRecord, ActivityError> {
    if shard.intent.state != IntentState::Intended {
        return Ok(shard);
    }
    let drs = world.targets.drs(&shard.target).await?;
    let looked = if wave_start::needs_look(&shard) { Some(look(world, drs.as_ref(), &shard).await?) } else { None };
    match wave_start::decide_start(&shard, input.execution_type, looked.as_ref(), world.clock.now()) {
        StartDecision::Settled | StartDecision::Wait(_) => Ok(shard),
        StartDecision::Adopt(job) => {
            let shard = adopt(world, shard, &job).await?;
            deletion_look::remember_job(world, record, &shard).await;
            Ok(shard)
        }
        // Too late or not wanted any more: what was sent is still looked for and adopted above, nothing new is sent.
        StartDecision::Send if cancelled => withdraw(world, shard, "cancelled before the launch was sent").await,
        StartDecision::Send if wave_verdict::is_overdue(wave, world.clock.now()) => Ok(shard),
        StartDecision::Send => {
            let cleared = deletion_look::clear(world, record, shard).await?;
            if cleared.nothing_left {
                return Ok(cleared.shard);
            }
            let shard = send(world, drs.as_ref(), wave, cleared, input).await?;
            deletion_look::remember_job(world, record, &shard).await;
            Ok(shard)
        }
    }
}

async fn look(world: &World, drs: &dyn Drs, shard: &ShardRecord) -> Result<Looked, PortError> {
    let asked_at = world.clock.now();
    let jobs = match wave_start::look_from(&shard.intent) {
        Some(from) => drs.jobs_since(from).await?,
        None => Vec::new(),
    };
    Ok(Looked { jobs, asked_at })
}

async fn adopt(world: &World, mut shard: ShardRecord, job: &Job) -> Result<ShardRecord, ActivityError> {
    info!(intent = %shard.intent.intent_id, job_id = %job.job_id, "JobAdopted");
    wave_start::started(&mut shard, wave_start::shard_job(job, true));
    save_shard(world, &mut shard).await?;
    Ok(shard)
}

async fn send(
    world: &World,
    drs: &dyn Drs,
    wave: &WaveRecord,
    cleared: Cleared,
    input: &WaveInput,
) -> Result<ShardRecord, ActivityError> {
    let Cleared { mut shard, looked_at, .. } = cleared;
    let sent_at = world.clock.now();
    let sent_before = wave_start::mark_sent(&mut shard.intent, world.settings.tag_jobs, sent_at);
    // Marked before and still without a job: that call's answer was lost.
    let unanswered = sent_before.is_some();
    // The condition on this write is the fence: of two attempts only one gets past it.
    save_shard(world, &mut shard).await?;
    info!(intent = %shard.intent.intent_id, servers = shard.intent.source_server_ids.len(), "IntentRecorded");
    // Once more, after the mark: while this worker was frozen before it, the wave may have been closed and the run have ended
    // with this very version of the shard. What comes after the mark finds it, and reckons with a launch.
    if let Err(error) = running(world, input).await {
        shard.intent.last_sent_at = sent_before;
        save_shard(world, &mut shard).await?;
        return Err(error);
    }
    // What was seen before the mark holds for a while only.
    let not_after = time::after(sent_at, SEND_WINDOW_SECONDS).min(time::after(looked_at, LOOK_SECONDS));
    let request = request(world, wave, &shard, input.execution_type, not_after);
    match drs.start_recovery(&request).await {
        Ok(job) => {
            info!(intent = %shard.intent.intent_id, job_id = %job.job_id, "EffectSent");
            wave_start::started(&mut shard, wave_start::shard_job(&job, false));
            save_shard(world, &mut shard).await?;
            Ok(shard)
        }
        Err(error) if error.class == ErrorClass::Conflict => {
            warn!(intent = %shard.intent.intent_id, error = %error, "JobNotStarted: a server is busy");
            busy(world, drs, shard, input.execution_type, error, unanswered).await
        }
        Err(error) => not_started(world, shard, error, unanswered).await,
    }
}

fn request(
    world: &World,
    wave: &WaveRecord,
    shard: &ShardRecord,
    execution_type: ExecutionType,
    not_after: Timestamp,
) -> StartRequest {
    let snapshot = |id: &SourceServerId| {
        shard
            .server_statuses
            .iter()
            .find(|server| server.source_server_id == *id)
            .and_then(|server| server.recovery_snapshot_id.clone())
    };
    let tags = if world.settings.tag_jobs {
        BTreeMap::from([
            (INTENT_TAG.to_owned(), wave_start::tag_value(&shard.intent.intent_id)),
            (EXECUTION_TAG.to_owned(), wave_start::tag_value(shard.execution_id.as_str())),
            ("tidegate:wave".to_owned(), wave.wave_number.to_string()),
        ])
    } else {
        BTreeMap::new()
    };
    StartRequest {
        servers: shard.intent.source_server_ids.iter().map(|id| (id.clone(), snapshot(id))).collect(),
        is_drill: execution_type.is_drill(),
        not_after,
        tags,
    }
}

/// DRS refused the call because a server is in a job: our own, whose answer was lost; a cleanup's, which ends by itself within
/// minutes; or somebody else's, who is named.
async fn busy(
    world: &World,
    drs: &dyn Drs,
    mut shard: ShardRecord,
    execution_type: ExecutionType,
    error: PortError,
    unanswered: bool,
) -> Result<ShardRecord, ActivityError> {
    if !unanswered {
        // No call of this intent did anything, so no job can be ours: a console user may have launched the very same servers a
        // moment ago. On record at once, so that nobody who comes later, cleanup included, looks for one and finds theirs.
        shard.intent.last_sent_at = None;
        save_shard(world, &mut shard).await?;
    }
    let jobs = if unanswered { look(world, drs, &shard).await?.jobs } else { Vec::new() };
    // A failed job of an earlier attempt may have the very same servers.
    let candidates = jobs.iter().filter(|job| !shard.earlier_jobs.contains(&job.job_id));
    if let Some(job) = wave_start::find_job(&shard.intent, execution_type, candidates) {
        return adopt(world, shard, &job.clone()).await;
    }
    let asked_at = world.clock.now();
    let running = drs.jobs_since(time::before(asked_at, 3 * 86_400)).await?;
    let holders = wave_start::holders(&shard.intent, &running);
    if let (true, Some(job)) = (holders.others.is_empty(), holders.terminating.first()) {
        info!(intent = %shard.intent.intent_id, job_id = %job.job_id, "WaitsForTermination");
        return Ok(shard);
    }
    let reason = holders
        .reason(&native_executions(drs, &shard).await)
        .unwrap_or_else(|| format!("DRS refused the launch: {}", error.message));
    // No job is listed: it has just ended, or is not listed yet. Come back, until that is settled, counted from the refusal: a
    // worker may have waited long before it was told. Should the wave's time or the run end before, the record tells what DRS
    // said last, and not what it had said before.
    if holders.others.is_empty() && !wave_start::refused_for_long(&mut shard.intent, &reason, asked_at) {
        save_shard(world, &mut shard).await?;
        return Ok(shard);
    }
    refuse(world, shard, &reason).await
}

/// Native recovery plan executions under way. One that has a server began after prepare had looked, so they are only asked for
/// to be named: not to know them changes nothing.
async fn native_executions(drs: &dyn Drs, shard: &ShardRecord) -> Vec<NativeExecution> {
    drs.native_executions().await.unwrap_or_else(|error| {
        warn!(intent = %shard.intent.intent_id, %error, "NativeExecutionsUnread: who holds the server stays unnamed");
        Vec::new()
    })
}

/// StartRecovery gave no job. Three cases: nobody knows (come back and look), it may pass (come back and send), refused.
async fn not_started(
    world: &World,
    mut shard: ShardRecord,
    error: PortError,
    unanswered: bool,
) -> Result<ShardRecord, ActivityError> {
    warn!(intent = %shard.intent.intent_id, error = %error, sent = ?error.sent, "JobNotStarted");
    if error.sent == Sent::Unknown {
        // The intent stays marked as sent: the next call looks first.
        return Ok(shard);
    }
    let reason = format!("DRS refused the launch: {error}");
    let come_back = match error.class {
        ErrorClass::Throttled | ErrorClass::Quota | ErrorClass::Transient => {
            // A call that never left, or that DRS is too busy for, tells nothing of who holds a server: what is known of that stays.
            let known = &shard.intent.refusal;
            if known.is_empty() || (error.sent != Sent::NotSent && !wave_start::names_holder(known)) {
                shard.intent.refusal = wave_start::short(&reason);
            }
            shard.intent.refused_since = None;
            true
        }
        ErrorClass::Denied | ErrorClass::Unrecognised => {
            !wave_start::refused_for_long(&mut shard.intent, &reason, world.clock.now())
        }
        ErrorClass::Conflict | ErrorClass::NotFound | ErrorClass::Invalid => false,
    };
    if come_back {
        // DRS said it did nothing, so the next call may send without waiting for anything to settle.
        shard.intent.last_sent_at = None;
        save_shard(world, &mut shard).await?;
        return Ok(shard);
    }
    if !unanswered {
        shard.intent.last_sent_at = None;
    }
    refuse(world, shard, &reason).await
}

async fn withdraw(world: &World, mut shard: ShardRecord, reason: &str) -> Result<ShardRecord, ActivityError> {
    wave_start::withdrawn(&mut shard, reason, world.clock.now());
    save_shard(world, &mut shard).await?;
    Ok(shard)
}

async fn refuse(world: &World, mut shard: ShardRecord, reason: &str) -> Result<ShardRecord, ActivityError> {
    wave_start::refused(&mut shard, reason, world.clock.now());
    save_shard(world, &mut shard).await?;
    Ok(shard)
}
