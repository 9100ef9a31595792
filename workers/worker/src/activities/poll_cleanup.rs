//! `poll-cleanup-v1`: follow the TERMINATE jobs to their end. Requested is not terminated, and neither is absent from DRS's list
//! (lesson c-34): EC2 has the last word.
//!
//! Succeeds: the record's `cleanup` is as true as DRS and EC2 are; once it is COMPLETED the servers read `terminated`.

use crate::activities::cleanup_view::{self, Step};
use crate::error::ActivityError;
use crate::world::World;
use tidegate_contract::activities::{CleanupInput, CleanupVerdict};
use tidegate_contract::{CleanupStatus, ErrorName};
use tidegate_core::cleanup;
use tidegate_core::observed::{Job, JobStatus};
use tracing::info;

/// Runs the activity.
pub async fn run(world: World, input: CleanupInput) -> Result<CleanupVerdict, ActivityError> {
    let mut view = cleanup_view::observe(&world, &input.execution_id).await?;
    let Some(mut state) = view.record.cleanup.clone() else {
        return Err(ActivityError::new(ErrorName::Internal, "the cleanup is polled but was never started"));
    };
    let before = state.status;
    let jobs = cleanup_view::terminate_jobs(&world, &state).await?;
    let over = |job: &Job| job.status == JobStatus::Completed;
    if before == CleanupStatus::Running && (view.nothing_is_listed() || jobs.iter().all(over)) {
        cleanup_view::consult_ec2(&world, &mut view).await?;
    }
    cleanup::judge(&mut state, &jobs, &view.left(), view.asked_at);
    if state.status != before {
        state.replaced = cleanup_view::replaced(&world, &view, &state).await?;
        if state.status == CleanupStatus::Completed {
            cleanup_view::mark_terminated(&world, &view).await;
        }
        cleanup_view::store(&world, &view.record, &mut state, Step::Next).await?;
        info!(execution_id = %input.execution_id, status = %state.status, instances = state.instances, "CleanupEnded");
    }
    let mut verdict = cleanup::verdict(&state, view.left().count(), input.polls_used, world.clock.now());
    verdict.start_pending |= !verdict.settled && view.has_uncovered(&state);
    Ok(verdict)
}
