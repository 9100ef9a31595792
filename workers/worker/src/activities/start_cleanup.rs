//! `start-cleanup-v1`: terminate this run's drill instances. The same discipline as for a launch: the intent is stored
//! before TerminateRecoveryInstances is called, and a repeated call looks before it acts.
//!
//! Succeeds: every instance of this run that DRS lists is covered by a TERMINATE job, or the verdict says to come back.
//! Never touches an instance this run did not launch (lesson c-33), nor one of a server that another execution holds now.

use crate::activities::cleanup_owner::{self, Held};
use crate::activities::cleanup_view::{self, CleanupView, Step};
use crate::error::ActivityError;
use crate::world::World;
use std::collections::{BTreeSet, VecDeque};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::CleanupStatus;
use tidegate_contract::activities::{CleanupInput, CleanupVerdict};
use tidegate_contract::records::{Cleanup, CleanupJob, RefusedInstance};
use tidegate_core::cleanup::{self, TerminateDecision};
use tidegate_core::observed::{Job, Looked};
use tidegate_core::time;
use tidegate_core::wave_start::{SEND_WINDOW_SECONDS, short};
use tracing::{info, warn};

/// Runs the activity.
pub async fn run(world: World, input: CleanupInput) -> Result<CleanupVerdict, ActivityError> {
    let mut view = cleanup_view::observe(&world, &input.execution_id).await?;
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
        if view.nothing_is_listed() || view.has_uncovered(&state) {
            cleanup_view::consult_ec2(&world, &mut view).await?;
        }
        let held = cleanup_owner::held_by_others(&world, &view, &state).await?;
        resolve_intents(&world, &view, &held, &mut state).await?;
        terminate_uncovered(&world, &view, &held, &mut state).await?;
        let before = state.status;
        cleanup::judge(&mut state, &[], &view.left(), view.asked_at);
        if state.status != before {
            state.replaced = cleanup_view::replaced(&world, &view, &state).await?;
            if state.status == CleanupStatus::Completed {
                cleanup_view::mark_terminated(&world, &view).await;
            }
            cleanup_owner::name_holders(&mut state, &held);
            cleanup_view::store(&world, &view.record, &mut state, Step::Next).await?;
        }
    }
    let mut verdict = cleanup::verdict(&state, view.left().count(), input.polls_used, world.clock.now());
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
                // What is gone by now, or belongs to a later launch, is not asked for again.
                let asked = std::mem::take(&mut state.jobs[index].recovery_instance_ids);
                let (still, gone): (Vec<String>, Vec<String>) =
                    asked.into_iter().partition(|id| found.contains_key(id.as_str()));
                state.jobs[index].recovery_instance_ids = still;
                state.instances = state.instances.saturating_sub(u32::try_from(gone.len()).unwrap_or(u32::MAX));
                state.jobs[index].intended_at = time::format(world.clock.now());
                cleanup_view::store(world, &view.record, state, Step::Next).await?;
                // A refusal takes the intent away, so indexes may have moved here, too. What it refused is uncovered then.
                return call(world, view, state, index).await.map(drop);
            }
        }
    }
    Ok(())
}

/// Refused calls of one visit. One dead instance among a hundred takes fourteen; where everything is busy the next visit goes on.
const MAX_REFUSALS: usize = 16;

async fn terminate_uncovered(
    world: &World,
    view: &CleanupView,
    held: &Held,
    state: &mut Cleanup,
) -> Result<(), ActivityError> {
    let mut refusals = 0;
    for (target, found) in &view.found {
        let free: Vec<String> = found.iter().filter(|id| !held.contains_key(*id)).cloned().collect();
        let mut portions: VecDeque<Vec<String>> = cleanup::uncovered(&free, target, Some(state)).into();
        while let Some(recovery_instance_ids) = portions.pop_front() {
            if state.status != CleanupStatus::Running || refusals == MAX_REFUSALS {
                return Ok(());
            }
            state.instances += u32::try_from(recovery_instance_ids.len()).unwrap_or(u32::MAX);
            state.jobs.push(CleanupJob {
                target: target.clone(),
                recovery_instance_ids: recovery_instance_ids.clone(),
                intended_at: time::format(world.clock.now()),
                job_id: None,
            });
            cleanup_view::store(world, &view.record, state, Step::Next).await?;
            if call(world, view, state, state.jobs.len() - 1).await? == Called::Refused {
                refusals += 1;
                if recovery_instance_ids.len() > 1 {
                    portions.extend(cleanup::halves(&recovery_instance_ids));
                }
            }
        }
    }
    Ok(())
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    /// Its job is known, or may be found later, or it is tried again later.
    Done,
    /// DRS refused it for one of its instances, and did nothing.
    Refused,
}

async fn call(world: &World, view: &CleanupView, state: &mut Cleanup, index: usize) -> Result<Called, ActivityError> {
    let intent = state.jobs[index].clone();
    let drs = world.targets.drs(&intent.target).await?;
    // A worker that was frozen since it stored the intent leaves the call to whoever looked meanwhile, as start-wave does.
    let intended_at = time::parse(&intent.intended_at).unwrap_or_else(|| world.clock.now());
    let not_after = time::after(intended_at, SEND_WINDOW_SECONDS);
    match drs.terminate_recovery_instances(&intent.recovery_instance_ids, not_after).await {
        Ok(Job { job_id, .. }) => {
            info!(%job_id, instances = intent.recovery_instance_ids.len(), "EffectSent: terminate");
            state.jobs[index].job_id = Some(job_id);
            cleanup_view::store(world, &view.record, state, Step::Next).await?;
            Ok(Called::Done)
        }
        Err(error) => give_up_or_come_back(world, view, state, index, error).await,
    }
}

/// A denied call will be denied again: the cleanup has failed, and says so. One that DRS refuses for an instance (unknown, gone,
/// busy) did nothing, so its intent goes and its halves are asked for; a single instance that DRS does not take is put down. A
/// lost answer keeps its intent, and the next call looks first. All of it until the cleanup's own deadline.
async fn give_up_or_come_back(
    world: &World,
    view: &CleanupView,
    state: &mut Cleanup,
    index: usize,
    error: PortError,
) -> Result<Called, ActivityError> {
    warn!(%error, sent = ?error.sent, "TerminateNotStarted");
    if error.class == ErrorClass::Denied {
        state.status = CleanupStatus::Failed;
        state.error = error.to_string();
        state.end_time = Some(time::format(world.clock.now()));
        cleanup_view::store(world, &view.record, state, Step::Next).await?;
        return Ok(Called::Done);
    }
    if error.sent != Sent::Rejected {
        return Ok(Called::Done);
    }
    let intent = state.jobs.remove(index);
    let portion = u32::try_from(intent.recovery_instance_ids.len()).unwrap_or(u32::MAX);
    state.instances = state.instances.saturating_sub(portion);
    let called = match error.class {
        ErrorClass::Invalid | ErrorClass::NotFound => {
            if let [recovery_instance_id] = intent.recovery_instance_ids.as_slice() {
                let (recovery_instance_id, reason) = (recovery_instance_id.clone(), short(&error.to_string()));
                state.refused.push(RefusedInstance { recovery_instance_id, reason });
            }
            Called::Refused
        }
        ErrorClass::Conflict => Called::Refused,
        ErrorClass::Denied
        | ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Quota
        | ErrorClass::Unrecognised => Called::Done,
    };
    cleanup_view::store(world, &view.record, state, Step::Next).await?;
    Ok(called)
}
