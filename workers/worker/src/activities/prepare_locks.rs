//! The server locks of prepare: at most one execution may launch a server. A lock whose holder has ended is taken over.

use crate::activities::prepare_look::CONCURRENCY;
use crate::error::ActivityError;
use crate::world::World;
use futures::stream::{self, StreamExt, TryStreamExt};
use tidegate_aws::ports::Lock;
use tidegate_contract::ErrorName;
use tidegate_contract::records::{ExecutionRecord, LockRecord, Problem};
use tidegate_core::membership::{self, Membership};
use tidegate_core::time;
use tracing::warn;

/// Locks every member for this execution, or says who holds which.
pub(super) async fn lock_servers(
    world: &World,
    record: &ExecutionRecord,
    membership: &Membership,
) -> Result<(), ActivityError> {
    let locked_at = time::format(world.clock.now());
    let locks: Vec<LockRecord> = membership
        .iter()
        .flatten()
        .map(|member| LockRecord {
            server: membership::lock_key(member),
            execution_id: record.execution_id.clone(),
            plan_id: record.plan_id.clone(),
            locked_at: locked_at.clone(),
        })
        .collect();
    let answers: Vec<Option<LockRecord>> = stream::iter(locks)
        .map(|lock| async move { lock_server(world, &lock).await })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut held: Vec<LockRecord> = answers.into_iter().flatten().collect();
    if held.is_empty() {
        return Ok(());
    }
    held.sort_by(|a, b| a.server.cmp(&b.server));
    let problems = held
        .into_iter()
        .map(|holder| Problem {
            field: "plan".to_owned(),
            message: format!(
                "{} is locked by execution {} of plan {}",
                holder.server, holder.execution_id, holder.plan_id
            ),
            remedy: "wait until that execution ends, or cancel it".to_owned(),
        })
        .collect();
    Err(ActivityError::refused(ErrorName::Conflict, "another execution holds servers of this plan", problems))
}

/// None: ours. Some: who holds it.
async fn lock_server(world: &World, lock: &LockRecord) -> Result<Option<LockRecord>, ActivityError> {
    let holder = match world.store.acquire_lock(lock).await? {
        Lock::Acquired => return Ok(None),
        Lock::Held(holder) => holder,
    };
    let ended =
        world.store.find_execution(&holder.execution_id).await?.is_none_or(|record| record.status.is_terminal());
    if !ended {
        return Ok(Some(holder));
    }
    warn!(server = %lock.server, holder = %holder.execution_id, "StaleLockTakenOver");
    match world.store.take_over_lock(lock, &holder.execution_id).await? {
        Lock::Acquired => Ok(None),
        Lock::Held(holder) => Ok(Some(holder)),
    }
}
