//! `finalize-execution-v1`: the outcome, once. The only writer of terminal statuses, for success, failure, cancellation
//! and time-out alike (NFR-4.3).
//!
//! Succeeds: the record is terminal, its gate and locks are gone, the report is stored. A second or concurrent call
//! returns what the first one stored (FR-5.4). Fails: the record may still be open; calling again is right.

use crate::activities::enrichment::{enrich, save_shard};
use crate::error::ActivityError;
use crate::metrics;
use crate::world::{World, timeline};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use tidegate_aws::PortError;
use tidegate_aws::ports::{Created, Finish, RunItems, Written};
use tidegate_contract::activities::{FinalizeInput, Outcome};
use tidegate_contract::records::{ExecutionRecord, Flag, ShardRecord, TimelineEntry};
use tidegate_contract::{
    ErrorName, ExecutionStatus, ExecutionType, LaunchStatus, Mode, PlanId, SCHEMA_VERSION, WaveStatus,
};
use tidegate_core::finalize::{self, Decision};
use tidegate_core::{membership, time};
use tracing::{info, warn};

/// Lock releases in flight at once: a plan may hold thousands of servers.
const CONCURRENCY: usize = 16;
/// How long finalize fills gaps of enrichment before it writes the outcome all the same. EC2 in an impaired Region answers
/// each call with a time-out, and this task has three minutes.
const FILL_SECONDS: u32 = 20;
/// Stands in for the plan id of a refused execution whose input names none: the table's key needs a value.
const NO_PLAN: &str = "unknown";

/// Runs the activity.
pub async fn run(world: World, input: FinalizeInput) -> Result<Outcome, ActivityError> {
    let start_time = time::normalise(&input.start_time).unwrap_or_else(|| input.start_time.clone());
    match world.store.find_execution(&input.execution_id).await? {
        None => refuse(&world, &input, start_time).await,
        Some(record) if record.execution_arn != input.execution_arn || record.start_time != start_time => {
            // Step Functions lets a name be used again after 90 days; the older execution's record is not ours to touch.
            let name = &input.execution_id;
            let cause = format!("an earlier execution {name} has a record already: start again under another name");
            Ok(outcome(ExecutionStatus::Failed, ErrorName::Conflict.as_str(), &cause, record.plan_id, false))
        }
        Some(record) if record.status.is_terminal() => {
            release_locks(&world, &record, None).await?;
            Ok(stored_outcome(record))
        }
        Some(record) => finish(&world, &input, record).await,
    }
}

async fn finish(world: &World, input: &FinalizeInput, record: ExecutionRecord) -> Result<Outcome, ActivityError> {
    let mut run = world.store.load_run(&record.execution_id).await?;
    close_waves(world, input, &record, &mut run).await?;
    fill_gaps(world, &mut run.shards).await;

    let now = world.clock.now();
    let cleanup_due = finalize::cleanup_due(&record, &run.shards);
    let decision = finalize::decide(&input.ending, &record, &run.waves, cleanup_due);
    let report = finalize::report(&record, &run.waves, &run.shards, now);
    let end_time = time::format(now);
    let count = |wanted: &[WaveStatus]| {
        u32::try_from(run.waves.iter().filter(|wave| wanted.contains(&wave.status)).count()).unwrap_or(u32::MAX)
    };
    let entry = timeline(world.clock.as_ref(), "FINALIZED", 0, decision.status.as_str());
    let finish = Finish {
        record: &record,
        decision: &decision,
        end_time: &end_time,
        duration_seconds: time::seconds_since(&record.start_time, now),
        completed_waves: count(&[WaveStatus::Completed, WaveStatus::Partial]),
        failed_waves: count(&[WaveStatus::Failed]),
        report: &report,
        entry: &entry,
    };
    let written = world.store.finish_execution(&finish).await?;
    release_locks(world, &record, Some(&run)).await?;
    if written == Written::Stale {
        let stored =
            world.store.find_execution(&record.execution_id).await?.filter(|record| record.status.is_terminal());
        let Some(stored) = stored else {
            return Err(ActivityError::superseded("the execution's status"));
        };
        if stored.outcome.as_ref().is_some_and(|outcome| outcome.reason != input.ending.reason) {
            warn!(execution_id = %stored.execution_id, stored = %stored.status, "FinalizedOtherwise: another call ended this execution for another reason");
        }
        return Ok(stored_outcome(stored));
    }
    let waves: Vec<String> = run.waves.iter().map(|wave| format!("{} {}", wave.wave_number, wave.status)).collect();
    info!(execution_id = %record.execution_id, status = %decision.status, reason = %input.ending.reason, waves = %waves.join(", "), "ExecutionFinalized");
    metrics::execution_finalized(world.metrics.as_ref(), &record, decision.status, &report, now);
    Ok(Outcome { hold_seconds: record.hold_seconds, ..decided(decision, record.plan_id) })
}

/// Waves that cannot go on are closed, so that no reader sees one POLLING in an execution that has ended.
async fn close_waves(
    world: &World,
    input: &FinalizeInput,
    record: &ExecutionRecord,
    run: &mut RunItems,
) -> Result<(), ActivityError> {
    for mut wave in finalize::close_waves(record, &run.waves, &input.ending, world.clock.now()) {
        let known = run.waves.iter().position(|stored| stored.wave_number == wave.wave_number);
        let lost = match known {
            Some(_) => {
                wave.version += 1;
                world.store.update_wave(&wave).await? == Written::Stale
            }
            None => world.store.create_wave(&wave).await? == Created::Existed,
        };
        if lost {
            return Err(ActivityError::superseded(&format!("wave {}", wave.wave_number)));
        }
        match known {
            Some(position) => run.waves[position] = wave,
            None => run.waves.push(wave),
        }
    }
    Ok(())
}

/// The fallback enrichment: servers that launched while EC2 or DRS could not be read. Skips what is filled already.
async fn fill_gaps(world: &World, shards: &mut [ShardRecord]) {
    let began = world.clock.now();
    for shard in shards {
        if time::seconds_between(began, world.clock.now()) >= FILL_SECONDS {
            warn!(wave = shard.wave_number, "FallbackEnrichmentCutShort");
            return;
        }
        let gaps: Vec<_> = shard
            .server_statuses
            .iter()
            .filter(|server| server.launch_status == LaunchStatus::Launched && !server.is_enriched())
            .map(|server| server.source_server_id.clone())
            .collect();
        if gaps.is_empty() {
            continue;
        }
        info!(wave = shard.wave_number, servers = gaps.len(), "FallbackEnrichment");
        let before = shard.clone();
        enrich(world.targets.as_ref(), shard, &gaps).await;
        if *shard != before
            && let Err(error) = save_shard(world, shard).await
        {
            // Enrichment never holds the outcome up.
            warn!(wave = shard.wave_number, error = %error.chain(), "FallbackEnrichmentNotStored");
        }
    }
}

/// Releases what this execution holds; a lock held by another one is left alone. The record is terminal by now.
async fn release_locks(world: &World, record: &ExecutionRecord, run: Option<&RunItems>) -> Result<(), ActivityError> {
    if record.mode != Mode::Run {
        return Ok(());
    }
    let loaded;
    let run = match run {
        Some(run) => run,
        None => {
            loaded = world.store.load_run(&record.execution_id).await?;
            &loaded
        }
    };
    let keys: Vec<String> = run.members.iter().flat_map(|members| &members.members).map(membership::lock_key).collect();
    // All are tried before the first failure is told: a repeated call then has less to do.
    let results: Vec<Result<(), PortError>> = stream::iter(keys)
        .map(|key| async move { world.store.release_lock(&key, &record.execution_id).await })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(())
}

/// An execution that was refused before it had a record gets one now, so that it can be found and understood. A check
/// writes nothing.
async fn refuse(world: &World, input: &FinalizeInput, start_time: String) -> Result<Outcome, ActivityError> {
    let text = |key: &str| input.input.get(key).and_then(Value::as_str);
    let mode = match text("mode") {
        Some("CHECK") => Mode::Check,
        Some("DRY_RUN") => Mode::DryRun,
        _ => Mode::Run,
    };
    let inline = input.input.get("plan").and_then(|plan| plan.get("planId")).and_then(Value::as_str);
    let plan_id =
        PlanId::from(text("planId").or(inline).filter(|id| !id.is_empty() && id.len() <= 64).unwrap_or(NO_PLAN));
    let now = world.clock.now();
    let mut record = refused_record(input, mode, plan_id.clone(), start_time);
    let decision = finalize::decide(&input.ending, &record, &[], false);
    if mode == Mode::Check {
        return Ok(decided(decision, plan_id));
    }
    close_refused(&mut record, &decision, now);
    if world.store.create_execution(&record).await? == Created::Existed {
        return Err(ActivityError::superseded("the execution's record"));
    }
    info!(execution_id = %record.execution_id, status = %record.status, "ExecutionRefused");
    metrics::execution_finalized(
        world.metrics.as_ref(),
        &record,
        decision.status,
        &finalize::report(&record, &[], &[], now),
        now,
    );
    Ok(decided(decision, plan_id))
}

fn refused_record(input: &FinalizeInput, mode: Mode, plan_id: PlanId, start_time: String) -> ExecutionRecord {
    let recovery = input.input.get("executionType").and_then(Value::as_str) == Some("RECOVERY");
    ExecutionRecord {
        execution_id: input.execution_id.clone(),
        plan_name: plan_id.to_string(),
        plan_id,
        schema_version: SCHEMA_VERSION,
        execution_arn: input.execution_arn.clone(),
        execution_type: if recovery { ExecutionType::Recovery } else { ExecutionType::Drill },
        mode,
        status: ExecutionStatus::Pending,
        initiated_by: input.input.get("initiatedBy").and_then(Value::as_str).map(str::to_owned),
        total_waves: 0,
        completed_waves: 0,
        failed_waves: 0,
        current_wave: 0,
        total_servers: 0,
        start_time,
        expected_duration: 0,
        completed_time: None,
        end_time: None,
        duration_seconds: None,
        gate: None,
        pause_requested: Flag::Off,
        cancel_requested: Flag::Off,
        last_answer: None,
        timeline: Vec::new(),
        waves: Vec::new(),
        plan: String::new(),
        membership_hash: None,
        hold_seconds: 0,
        keep_instances: false,
        warnings: Vec::new(),
        outcome: None,
        report: None,
        cleanup: None,
    }
}

fn close_refused(record: &mut ExecutionRecord, decision: &Decision, now: Timestamp) {
    let at = time::format(now);
    record.status = decision.status;
    record.outcome = Some(decision.outcome.clone());
    record.duration_seconds = Some(time::seconds_since(&record.start_time, now));
    record.timeline.push(TimelineEntry {
        at: at.clone(),
        event: "REFUSED".to_owned(),
        wave_number: 0,
        detail: decision.outcome.error.clone(),
    });
    record.end_time = Some(at.clone());
    record.completed_time = Some(at);
}

fn outcome(status: ExecutionStatus, error: &str, cause: &str, plan_id: PlanId, already_finalized: bool) -> Outcome {
    Outcome {
        status,
        error: error.to_owned(),
        cause: cause.to_owned(),
        cleanup_due: false,
        hold_seconds: 0,
        already_finalized,
        plan_id,
    }
}

fn decided(decision: Decision, plan_id: PlanId) -> Outcome {
    Outcome {
        cleanup_due: decision.outcome.cleanup_due,
        ..outcome(decision.status, &decision.outcome.error, &decision.outcome.cause, plan_id, false)
    }
}

fn stored_outcome(record: ExecutionRecord) -> Outcome {
    let stored = record.outcome;
    let text = |pick: fn(&tidegate_contract::records::StoredOutcome) -> &String| {
        stored.as_ref().map(pick).cloned().unwrap_or_default()
    };
    Outcome {
        cleanup_due: stored.as_ref().is_some_and(|outcome| outcome.cleanup_due),
        hold_seconds: record.hold_seconds,
        ..outcome(record.status, &text(|outcome| &outcome.error), &text(|outcome| &outcome.cause), record.plan_id, true)
    }
}
