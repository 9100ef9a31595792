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

/// Locks every member for this execution, or says who holds which. One after the other, in the order of their keys: of two
/// executions that start at one moment only one can meet the other's lock, so they never refuse each other. The rest of a
/// refused plan is looked at only, so that every holder is named.
pub(super) async fn lock_servers(
    world: &World,
    record: &ExecutionRecord,
    membership: &Membership,
) -> Result<(), ActivityError> {
    let locked_at = time::format(world.clock.now());
    let mut locks: Vec<LockRecord> = membership
        .iter()
        .flatten()
        .map(|member| LockRecord {
            server: membership::lock_key(member),
            execution_id: record.execution_id.clone(),
            plan_id: record.plan_id.clone(),
            locked_at: locked_at.clone(),
        })
        .collect();
    locks.sort_by(|a, b| a.server.cmp(&b.server));
    let mut rest = locks.into_iter();
    let mut first = None;
    for lock in rest.by_ref() {
        first = lock_server(world, &lock).await?;
        if first.is_some() {
            break;
        }
    }
    let Some(first) = first else { return Ok(()) };
    let others: Vec<Option<LockRecord>> = stream::iter(rest)
        .map(|lock| async move { holder(world, &lock).await })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut held: Vec<LockRecord> = others.into_iter().flatten().chain([first]).collect();
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
    if !has_ended(world, &holder).await? {
        return Ok(Some(holder));
    }
    warn!(server = %lock.server, holder = %holder.execution_id, "StaleLockTakenOver");
    match world.store.take_over_lock(lock, &holder.execution_id).await? {
        Lock::Acquired => Ok(None),
        Lock::Held(holder) => Ok(Some(holder)),
    }
}

/// Who else holds the server of this lock.
async fn holder(world: &World, lock: &LockRecord) -> Result<Option<LockRecord>, ActivityError> {
    let Some(holder) = world.store.find_lock(&lock.server).await? else { return Ok(None) };
    let free = holder.execution_id == lock.execution_id || has_ended(world, &holder).await?;
    Ok((!free).then_some(holder))
}

async fn has_ended(world: &World, holder: &LockRecord) -> Result<bool, ActivityError> {
    let record = world.store.find_execution(&holder.execution_id).await?;
    Ok(record.is_none_or(|record| record.status.is_terminal()))
}
