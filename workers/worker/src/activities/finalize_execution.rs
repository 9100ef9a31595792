//! `finalize-execution-v1`: the outcome, once. The only writer of terminal statuses, for success, failure, cancellation
//! and time-out alike (NFR-4.3).
//!
//! Succeeds: the record is terminal, its gate and locks are gone, the report is stored. A second or concurrent call
//! returns what the first one stored (FR-5.4). Fails: the record may still be open; calling again is right.
//!
//! The execution itself calls it as its last step but cleanup. When it got no chance to (StopExecution, a time-out, a fault
//! of the machine) the reconcile machine does, once Step Functions has said that the execution is over.

use crate::activities::{cleanup_view, finalize_waves};
use crate::error::ActivityError;
use crate::metrics;
use crate::world::{World, timeline};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use tidegate_aws::PortError;
use tidegate_aws::ports::{Created, Finish, RunItems, Written};
use tidegate_contract::activities::{EndReason, Ending, FinalizeInput, Outcome};
use tidegate_contract::foreign::echo;
use tidegate_contract::records::{Cleanup, ExecutionRecord, RecordKey, TimelineEntry};
use tidegate_contract::{
    CleanupStatus, ErrorName, ExecutionId, ExecutionStatus, ExecutionType, Mode, PlanId, WaveStatus,
};
use tidegate_core::continuation::{self, Instances};
use tidegate_core::finalize::{self, Decision};
use tidegate_core::provenance::{self, Ended, Unproven};
use tidegate_core::{cleanup, membership, time};
use tracing::{info, warn};

/// Lock releases in flight at once: a plan may hold thousands of servers.
const CONCURRENCY: usize = 16;
/// Stands in for the plan id of a refused execution whose input names none: the table's key needs a value.
const NO_PLAN: &str = "unknown";

/// What is finalized: by its own word, or by that of Step Functions.
struct Case<'a> {
    id: &'a ExecutionId,
    arn: &'a str,
    end: Ended,
}

/// Runs the activity.
pub async fn run(world: World, input: FinalizeInput) -> Result<Outcome, ActivityError> {
    let outside = input.ending.reason.is_from_outside();
    let (id, arn) = (&input.execution_id, input.execution_arn.as_str());
    if !provenance::is_name(id.as_str()) || !provenance::belong_together(id, arn) {
        let cause = "an execution of such a name has no record; give it 1 to 80 letters, digits, - and _";
        if outside {
            return Err(ActivityError::new(ErrorName::Conflict, cause));
        }
        return Ok(outcome(ExecutionStatus::Failed, ErrorName::InvalidInput.as_str(), cause, NO_PLAN.into(), false));
    }
    let record = world.store.find_execution(id).await?;
    let end = if outside {
        let seen = world.witness.look_at(arn).await?;
        provenance::prove(&input, seen.as_ref(), record.as_ref(), world.clock.now()).map_err(unproven)?
    } else {
        Ended { ending: input.ending.clone(), input: input.input.clone(), start: input.start_time.clone() }
    };
    let case = Case { id, arn, end };
    let ending = &case.end.ending;
    match record {
        None => refuse(&world, &case).await,
        Some(record) if !is_of(&record, &case) => {
            // Step Functions lets a name be used again after 90 days; the older execution's record is not ours to touch.
            let cause = format!("an earlier execution {id} has a record already: start again under another name");
            if outside {
                // Nobody would read this outcome: whoever reconciles must hear that nothing was done.
                return Err(ActivityError::new(ErrorName::Conflict, cause));
            }
            Ok(outcome(ExecutionStatus::Failed, ErrorName::Conflict.as_str(), &cause, record.plan_id, false))
        }
        Some(record) if record.status.is_terminal() => {
            let mut run = world.store.load_run(&record.execution_id).await?;
            // A start-wave that looked a moment before the end may have opened its wave a moment after it.
            if run.waves.iter().any(|wave| !wave.status.is_settled()) {
                finalize_waves::close(&world, ending, &record, &mut run).await?;
            }
            release_locks(&world, &record, &run).await?;
            let cleanup_abandoned = outside && abandon_cleanup(&world, &record, ending).await?;
            Ok(Outcome { cleanup_abandoned, ..stored_outcome(record) })
        }
        Some(record) => finish(&world, ending, record).await,
    }
}

/// Why nothing is done about an execution that is said to be over.
fn unproven(why: Unproven) -> ActivityError {
    match why {
        Unproven::Runs(cause) => ActivityError::new(ErrorName::Superseded, cause),
        Unproven::Refused(cause) => ActivityError::new(ErrorName::Conflict, cause),
    }
}

/// Whether the record is this very execution's.
fn is_of(record: &ExecutionRecord, case: &Case<'_>) -> bool {
    let same_start = case.end.start.as_ref().is_none_or(|start| time::is_same_start(start, &record.start_time));
    record.execution_arn == case.arn && same_start
}

async fn finish(world: &World, ending: &Ending, record: ExecutionRecord) -> Result<Outcome, ActivityError> {
    let mut run = world.store.load_run(&record.execution_id).await?;
    finalize_waves::close(world, ending, &record, &mut run).await?;
    finalize_waves::fill_gaps(world, &mut run.shards).await;

    let now = world.clock.now();
    let cleanup_due = finalize::cleanup_due(&record, &run.shards);
    let decision = finalize::decide(ending, &record, &run.waves, cleanup_due);
    let report = finalize::report(&record, &run.waves, &run.shards, now);
    let end_time = time::format(now);
    let event = if ending.reason.is_from_outside() { "RECONCILED" } else { "FINALIZED" };
    let entry = timeline(world.clock.as_ref(), event, 0, decision.status.as_str());
    let finish = Finish {
        record: &record,
        decision: &decision,
        end_time: &end_time,
        duration_seconds: time::seconds_since(&record.start_time, now),
        completed_waves: finalize_waves::count(&run, &[WaveStatus::Completed, WaveStatus::Partial]),
        failed_waves: finalize_waves::count(&run, &[WaveStatus::Failed]),
        report: &report,
        entry: &entry,
    };
    let written = world.store.finish_execution(&finish).await?;
    release_locks(world, &record, &run).await?;
    if written == Written::Stale {
        let stored =
            world.store.find_execution(&record.execution_id).await?.filter(|record| record.status.is_terminal());
        let Some(stored) = stored else {
            return Err(ActivityError::superseded("the execution's status"));
        };
        if stored.outcome.as_ref().is_some_and(|outcome| outcome.reason != ending.reason) {
            warn!(execution_id = %stored.execution_id, stored = %stored.status, "FinalizedOtherwise: another call ended this execution for another reason");
        }
        let cleanup_abandoned = ending.reason.is_from_outside() && abandon_cleanup(world, &stored, ending).await?;
        return Ok(Outcome { cleanup_abandoned, ..stored_outcome(stored) });
    }
    let waves: Vec<String> = run.waves.iter().map(|wave| format!("{} {}", wave.wave_number, wave.status)).collect();
    info!(execution_id = %record.execution_id, status = %decision.status, reason = %ending.reason, waves = %waves.join(", "), "ExecutionFinalized");
    metrics::execution_finalized(world.metrics.as_ref(), &record, decision.status, &report, now);
    let cleanup_abandoned =
        cleanup_due && ending.reason.is_from_outside() && abandon(world, &record, ending.reason).await?;
    Ok(Outcome {
        hold_seconds: continuation::terms(&record).hold_seconds,
        cleanup_abandoned,
        ..decided(decision, record.plan_id)
    })
}

/// What a stopped run leaves of its cleanup, for a record that was terminal already. True: instances may be up, and nobody
/// is at work.
async fn abandon_cleanup(world: &World, record: &ExecutionRecord, ending: &Ending) -> Result<bool, ActivityError> {
    if !record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due) {
        return Ok(false);
    }
    if let Some(by) = &record.continued_by {
        let by = world.store.find_execution(by).await?;
        if let Instances::Of(other) = continuation::instances_of(record, by.as_ref()) {
            info!(execution_id = %record.execution_id, %other, "CleanupIsAnothers: the instances went to a continuation");
            return Ok(false);
        }
    }
    info!(execution_id = %record.execution_id, reason = %ending.reason, "CleanupLookedAt: the execution is over");
    abandon(world, record, ending.reason).await
}

async fn abandon(world: &World, record: &ExecutionRecord, reason: EndReason) -> Result<bool, ActivityError> {
    let now = world.clock.now();
    match cleanup::abandon(&record.execution_id, record.cleanup.as_ref(), now) {
        Some(abandoned) => {
            cleanup_view::store_as_it_is(world, record, &abandoned).await?;
            warn!(execution_id = %record.execution_id, "CleanupAbandoned: drill instances may still run");
            Ok(true)
        }
        // An earlier call has recorded it and may not have come to tell people: they are told (again). A cleanup that failed by
        // itself was announced by its machine before that ended in its Fail state; one that was stopped may not have come to it.
        None => {
            let failed = record.cleanup.as_ref().filter(|cleanup| cleanup.status == CleanupStatus::Failed);
            let ours = cleanup::abandon(&record.execution_id, None, now);
            let abandoned = |state: &Cleanup| ours.as_ref().is_some_and(|ours| ours.error == state.error);
            Ok(failed.is_some_and(|state| reason != EndReason::MachineFailed || abandoned(state)))
        }
    }
}

/// Releases what this execution holds; a lock held by another one is left alone. The record is terminal by now.
async fn release_locks(world: &World, record: &ExecutionRecord, run: &RunItems) -> Result<(), ActivityError> {
    if record.mode != Mode::Run {
        return Ok(());
    }
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

/// An execution that was refused or stopped before it had a record gets one now, so that it can be found and understood. A
/// check writes nothing.
async fn refuse(world: &World, case: &Case<'_>) -> Result<Outcome, ActivityError> {
    let (given, ending) = (&case.end.input, &case.end.ending);
    let text = |key: &str| given.get(key).and_then(Value::as_str);
    let mode = match text("mode") {
        Some("CHECK") => Mode::Check,
        Some("DRY_RUN") => Mode::DryRun,
        _ => Mode::Run,
    };
    // A refused continuation is listed under the plan and type of the run it was to continue.
    let continued = match text("continueExecution") {
        Some(id) => world.store.find_execution(&ExecutionId::from(id)).await?,
        None => None,
    };
    let inline = given.get("plan").and_then(|plan| plan.get("planId")).and_then(Value::as_str);
    let of_continued = continued.as_ref().map(|old| old.plan_id.as_str());
    let named = text("planId").or(inline).or(of_continued).filter(|id| provenance::is_plan_id(id));
    let plan_id = PlanId::from(named.unwrap_or(NO_PLAN));
    let now = world.clock.now();
    let start = case.end.start.as_ref().map_or_else(|| time::format(now), time::start_time);
    let mut record = refused_record(case, mode, plan_id.clone(), start);
    if let Some(old) = continued {
        record.execution_type = old.execution_type;
    }
    let decision = finalize::decide(ending, &record, &[], false);
    if mode == Mode::Check {
        return Ok(decided(decision, plan_id));
    }
    close_refused(&mut record, &decision, now);
    // The plan is part of the key, and another attempt may know another plan (that of a continued run which had no record
    // yet): one execution must not get two records. A prepare that is still at work may have settled the key.
    record.plan_id = world.store.claim_record(&RecordKey::of(&record)).await?.plan_id;
    let other = world.store.find_execution(case.id).await?;
    if other.is_some() || world.store.create_execution(&record).await? == Created::Existed {
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
    Ok(decided(decision, record.plan_id))
}

fn refused_record(case: &Case<'_>, mode: Mode, plan_id: PlanId, start_time: String) -> ExecutionRecord {
    let given = &case.end.input;
    let recovery = given.get("executionType").and_then(Value::as_str) == Some("RECOVERY");
    let execution_type = if recovery { ExecutionType::Recovery } else { ExecutionType::Drill };
    let (id, arn) = (case.id.clone(), case.arn.to_owned());
    ExecutionRecord {
        // Of an input that was refused, so that it may be anything.
        initiated_by: given.get("initiatedBy").and_then(Value::as_str).map(echo),
        ..ExecutionRecord::pending(id, arn, plan_id, execution_type, mode, start_time)
    }
}

fn close_refused(record: &mut ExecutionRecord, decision: &Decision, now: Timestamp) {
    let at = time::format(now);
    record.status = decision.status;
    record.outcome = Some(decision.outcome.clone());
    record.duration_seconds = Some(time::seconds_since(&record.start_time, now));
    record.timeline.push(TimelineEntry {
        at: at.clone(),
        event: if decision.outcome.reason.is_from_outside() { "RECONCILED" } else { "REFUSED" }.to_owned(),
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
        cleanup_abandoned: false,
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
    let hold_seconds = continuation::terms(&record).hold_seconds;
    let stored = record.outcome;
    let text = |pick: fn(&tidegate_contract::records::StoredOutcome) -> &String| {
        stored.as_ref().map(pick).cloned().unwrap_or_default()
    };
    Outcome {
        cleanup_due: stored.as_ref().is_some_and(|outcome| outcome.cleanup_due),
        hold_seconds,
        ..outcome(record.status, &text(|outcome| &outcome.error), &text(|outcome| &outcome.cause), record.plan_id, true)
    }
}
