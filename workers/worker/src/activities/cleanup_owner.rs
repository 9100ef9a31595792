//! Whose a drill's instances are by the time they are cleaned up: a continuation may have taken them over, and another
//! execution may hold their servers, because the locks of this one went with its outcome.

use crate::activities::cleanup_view::{self, CleanupView, Step};
use crate::activities::prepare_look::CONCURRENCY;
use crate::error::ActivityError;
use crate::world::{self, Holder, World};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::activities::{CleanupInput, CleanupVerdict};
use tidegate_contract::records::Cleanup;
use tidegate_contract::{ErrorName, ExecutionId};
use tidegate_core::continuation::{self, Instances};
use tidegate_core::{cleanup, membership};
use tracing::{info, warn};

/// Recovery instances of ours whose servers other executions hold, and who.
pub(super) type Held = BTreeMap<String, ExecutionId>;

/// The verdict for a run whose instances are not its own (any more); None for one that may terminate them.
pub(super) async fn not_ours(
    world: &World,
    view: &CleanupView,
    input: &CleanupInput,
) -> Result<Option<CleanupVerdict>, ActivityError> {
    let record = &view.record;
    let by = match &record.continued_by {
        Some(id) => world.store.find_execution(id).await?,
        None => None,
    };
    let owner = continuation::instances_of(record, by.as_ref());
    if let (Instances::Of(other) | Instances::Undecided(other), true) = (owner, input.reopen) {
        let message = format!(
            "the instances of {} belong to {other}, which continues it: clean up that one",
            record.execution_id
        );
        return Err(ActivityError::new(ErrorName::InvalidInput, message));
    }
    let now = world.clock.now();
    match owner {
        Instances::Own => Ok(None),
        Instances::Undecided(other) => {
            info!(execution_id = %record.execution_id, %other, "CleanupWaits: a continuation is being prepared");
            let state = record.cleanup.clone().unwrap_or_else(|| cleanup::open(now));
            let mut verdict = cleanup::verdict(&state, view.left().count(), input.polls_used, now);
            verdict.start_pending = !verdict.settled;
            Ok(Some(verdict))
        }
        Instances::Of(other) => {
            let state = match &record.cleanup {
                Some(state) => state.clone(),
                None => {
                    let mut state = cleanup::not_needed(now);
                    cleanup_view::store(world, record, &mut state, Step::First).await?;
                    info!(execution_id = %record.execution_id, %other, "CleanupNotNeeded: continued by another execution");
                    state
                }
            };
            Ok(Some(cleanup::verdict(&state, 0, input.polls_used, now)))
        }
    }
}

/// Our instances no call covers yet whose servers another execution holds: it may launch them any moment, and a TERMINATE job
/// would be in its way. (Should its lock come right after this look, its start-wave waits for the job to end.)
pub(super) async fn held_by_others(world: &World, view: &CleanupView, state: &Cleanup) -> Result<Held, ActivityError> {
    let mut keys: Vec<(String, String)> = Vec::new();
    for (target, found) in &view.found {
        let sent = |id: &String| {
            state
                .jobs
                .iter()
                .any(|job| job.job_id.is_some() && job.target == *target && job.recovery_instance_ids.contains(id))
        };
        for id in found.iter().filter(|id| !sent(id)) {
            if let Some(server) = view.server_of.get(id) {
                keys.push((id.clone(), membership::server_key(target, server)));
            }
        }
    }
    let locked: Vec<(String, Option<ExecutionId>)> = stream::iter(keys)
        .map(|(id, key)| async move {
            let lock = world.store.find_lock(&key).await?;
            Ok::<_, ActivityError>((id, lock.map(|lock| lock.execution_id)))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut held: Held = locked
        .into_iter()
        .filter_map(|(id, holder)| Some((id, holder?)))
        .filter(|(_, holder)| *holder != view.record.execution_id)
        .collect();
    let holders: BTreeSet<ExecutionId> = held.values().cloned().collect();
    for holder in holders {
        match world::holder(world.store.as_ref(), &holder).await? {
            // A lock of an execution that has ended is nobody's.
            Holder::Ended => held.retain(|_, other| *other != holder),
            Holder::Running => {
                info!(execution_id = %view.record.execution_id, %holder, "CleanupWaits: another execution holds servers");
            }
            Holder::Unreadable(why) => {
                warn!(execution_id = %view.record.execution_id, %holder, why, "CleanupWaits: nobody can tell whether it runs");
            }
        }
    }
    Ok(held)
}

/// A cleanup that ran out of time because of others says because of whom.
pub(super) fn name_holders(state: &mut Cleanup, held: &Held) {
    if state.error.is_empty() || held.is_empty() {
        return;
    }
    let holders: BTreeSet<&str> = held.values().map(ExecutionId::as_str).collect();
    let holders: Vec<&str> = holders.into_iter().collect();
    state.error.push_str(&format!("; servers are held by {}", holders.join(", ")));
}
