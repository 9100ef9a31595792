//! `start-cleanup-v1`: terminate this run's drill instances. The same discipline as for a launch: the intent is stored
//! before TerminateRecoveryInstances is called, and a repeated call looks before it acts.
//!
//! Succeeds: every instance of this run that DRS lists is covered by a TERMINATE job, or the verdict says to come back.
//! Never touches an instance this run did not launch (lesson c-33), nor one of a server that another execution holds now.

use crate::activities::cleanup_owner::{self, Held};
use crate::activities::cleanup_view::{self, CleanupView, Step};
use crate::error::ActivityError;
use crate::world::World;
use std::collections::BTreeSet;
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::CleanupStatus;
use tidegate_contract::activities::{CleanupInput, CleanupVerdict};
use tidegate_contract::records::{Cleanup, CleanupJob};
use tidegate_core::cleanup::{self, TerminateDecision};
use tidegate_core::observed::{Job, Looked};
use tidegate_core::time;
use tidegate_core::wave_start::SEND_WINDOW_SECONDS;
use tracing::{info, warn};

/// Runs the activity.
pub async fn run(world: World, input: CleanupInput) -> Result<CleanupVerdict, ActivityError> {
    let view = cleanup_view::observe(&world, &input.execution_id).await?;
    if let Some(verdict) = cleanup_owner::not_ours(&world, &view, &input).await? {
        return Ok(verdict);
    }
    let mut state = match view.record.cleanup.clone() {
        Some(state) => state,
        None => {
            let mut state = cleanup::open(world.clock.now());
            cleanup_view::store(&world, &view.record, &mut state, Step::First).await?;
            state
        }
    };
    if input.reopen {
        reopen(&world, &view, &mut state).await?;
    }
    if state.status == CleanupStatus::Running {
        let held = cleanup_owner::held_by_others(&world, &view, &state).await?;
        resolve_intents(&world, &view, &held, &mut state).await?;
        terminate_uncovered(&world, &view, &held, &mut state).await?;
        let before = state.status;
        cleanup::judge(&mut state, &[], view.remaining(), view.asked_at);
        if state.status != before {
            if state.status == CleanupStatus::Completed {
                cleanup_view::mark_terminated(&world, &view).await;
            }
            cleanup_owner::name_holders(&mut state, &held);
            cleanup_view::store(&world, &view.record, &mut state, Step::Next).await?;
        }
    }
    let mut verdict = cleanup::verdict(&state, view.remaining(), input.polls_used, world.clock.now());
    verdict.start_pending |= !verdict.settled && view.has_uncovered(&state);
    Ok(verdict)
}

/// An operator's clean-up takes a FAILED one up again. A repeated call finds it RUNNING and goes on like any other.
async fn reopen(world: &World, view: &CleanupView, state: &mut Cleanup) -> Result<(), ActivityError> {
    let jobs = cleanup_view::terminate_jobs(world, state).await?;
    if cleanup::reopen(state, &jobs, &view.found, world.clock.now()) {
        info!(execution_id = %view.record.execution_id, "CleanupReopened");
        cleanup_view::store(world, &view.record, state, Step::Reopened).await?;
    }
    Ok(())
}

/// Intents without a job id: an earlier call's answer was lost.
async fn resolve_intents(
    world: &World,
    view: &CleanupView,
    held: &Held,
    state: &mut Cleanup,
) -> Result<(), ActivityError> {
    for index in 0..state.jobs.len() {
        if state.jobs[index].job_id.is_some() {
            continue;
        }
        let intent = state.jobs[index].clone();
        let drs = world.targets.drs(&intent.target).await?;
        let since =
            time::parse(&intent.intended_at).map(|at| time::before(at, 60)).unwrap_or_else(|| world.clock.now());
        let recorded: BTreeSet<_> = state.jobs.iter().filter_map(|job| job.job_id.clone()).collect();
        let asked_at = world.clock.now();
        // Two portions of a hundred look alike: a job that is recorded already is not looked for again.
        let jobs: Vec<Job> =
            drs.jobs_since(since).await?.into_iter().filter(|job| !recorded.contains(&job.job_id)).collect();
        let servers: BTreeSet<_> = view.servers.get(&intent.target).into_iter().flatten().cloned().collect();
        let found = view.found_with_servers(&intent.target);
        match cleanup::decide_terminate(&intent, &servers, &Looked { jobs, asked_at }, &found) {
            TerminateDecision::Adopt(job_id) => {
                info!(%job_id, "TerminateJobAdopted");
                state.jobs[index].job_id = Some(job_id);
                cleanup_view::store(world, &view.record, state, Step::Next).await?;
            }
            TerminateDecision::Done => {
                state.jobs.remove(index);
                cleanup_view::store(world, &view.record, state, Step::Next).await?;
                // Indexes moved; the rest is looked at by the next call.
                return Ok(());
            }
            TerminateDecision::Wait(_) => {}
            TerminateDecision::Send if intent.recovery_instance_ids.iter().any(|id| held.contains_key(id)) => {}
            TerminateDecision::Send => {
                state.jobs[index].intended_at = time::format(world.clock.now());
                cleanup_view::store(world, &view.record, state, Step::Next).await?;
                // A refusal takes the intent away, so indexes may have moved here, too.
                return call(world, view, state, index).await;
            }
        }
    }
    Ok(())
}

async fn terminate_uncovered(
    world: &World,
    view: &CleanupView,
    held: &Held,
    state: &mut Cleanup,
) -> Result<(), ActivityError> {
    for (target, found) in &view.found {
        let free: Vec<String> = found.iter().filter(|id| !held.contains_key(*id)).cloned().collect();
        for recovery_instance_ids in cleanup::uncovered(&free, target, Some(state)) {
            state.instances += u32::try_from(recovery_instance_ids.len()).unwrap_or(u32::MAX);
            state.jobs.push(CleanupJob {
                target: target.clone(),
                recovery_instance_ids,
                intended_at: time::format(world.clock.now()),
                job_id: None,
            });
            cleanup_view::store(world, &view.record, state, Step::Next).await?;
            call(world, view, state, state.jobs.len() - 1).await?;
        }
    }
    Ok(())
}

async fn call(world: &World, view: &CleanupView, state: &mut Cleanup, index: usize) -> Result<(), ActivityError> {
    let intent = state.jobs[index].clone();
    let drs = world.targets.drs(&intent.target).await?;
    // A worker that was frozen since it stored the intent leaves the call to whoever looked meanwhile, as start-wave does.
    let intended_at = time::parse(&intent.intended_at).unwrap_or_else(|| world.clock.now());
    let not_after = time::after(intended_at, SEND_WINDOW_SECONDS);
    match drs.terminate_recovery_instances(&intent.recovery_instance_ids, not_after).await {
        Ok(Job { job_id, .. }) => {
            info!(%job_id, instances = intent.recovery_instance_ids.len(), "EffectSent: terminate");
            state.jobs[index].job_id = Some(job_id);
            cleanup_view::store(world, &view.record, state, Step::Next).await
        }
        Err(error) => give_up_or_come_back(world, view, state, index, error).await,
    }
}

/// Denied and invalid calls will be refused again: the cleanup has failed, and says so. A refusal that may pass (busy, a
/// job holds a server) did nothing, so its intent goes and the next call sends at once. A lost answer keeps its intent, and
/// the next call looks first. All of it until the cleanup's own deadline.
async fn give_up_or_come_back(
    world: &World,
    view: &CleanupView,
    state: &mut Cleanup,
    index: usize,
    error: PortError,
) -> Result<(), ActivityError> {
    warn!(%error, sent = ?error.sent, "TerminateNotStarted");
    match error.class {
        ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::NotFound => {
            state.status = CleanupStatus::Failed;
            state.error = error.to_string();
            state.end_time = Some(time::format(world.clock.now()));
            cleanup_view::store(world, &view.record, state, Step::Next).await
        }
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Conflict
        | ErrorClass::Quota
        | ErrorClass::Unrecognised => {
            if error.sent != Sent::Rejected {
                return Ok(());
            }
            let intent = state.jobs.remove(index);
            let portion = u32::try_from(intent.recovery_instance_ids.len()).unwrap_or(u32::MAX);
            state.instances = state.instances.saturating_sub(portion);
            cleanup_view::store(world, &view.record, state, Step::Next).await
        }
    }
}
