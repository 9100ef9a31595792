//! The server locks of prepare: at most one execution may launch a server. A lock whose holder has ended is taken over.

use crate::activities::prepare_look::CONCURRENCY;
use crate::error::ActivityError;
use crate::world::{self, Holder, World};
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
    let others: Vec<Option<Held>> = stream::iter(rest)
        .map(|lock| async move { holder(world, &lock).await })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut held: Vec<Held> = others.into_iter().flatten().chain([first]).collect();
    held.sort_by(|a, b| a.lock.server.cmp(&b.lock.server));
    let problems = held
        .into_iter()
        .map(|held| Problem {
            field: "plan".to_owned(),
            message: format!(
                "{} is locked by execution {} of plan {}{}",
                held.lock.server,
                held.lock.execution_id,
                held.lock.plan_id,
                held.unreadable.as_ref().map(|why| format!(", of which nothing can be read: {why}")).unwrap_or_default(),
            ),
            remedy: match held.unreadable {
                None => "wait until that execution ends, or cancel it".to_owned(),
                Some(_) => format!(
                    "ask Step Functions whether that execution runs; if it has ended, delete the item {} of server-locks (docs/troubleshooting.md)",
                    held.lock.server
                ),
            },
        })
        .collect();
    Err(ActivityError::refused(ErrorName::Conflict, "another execution holds servers of this plan", problems))
}

/// A lock that somebody else holds, and why nobody can tell whether that execution still runs.
struct Held {
    lock: LockRecord,
    unreadable: Option<String>,
}

/// None: ours. Some: who holds it.
async fn lock_server(world: &World, lock: &LockRecord) -> Result<Option<Held>, ActivityError> {
    let stands = match world.store.acquire_lock(lock).await? {
        Lock::Acquired => return Ok(None),
        Lock::Held(stands) => stands,
    };
    let holder_id = stands.execution_id.clone();
    if let Some(held) = still_held(world, stands).await? {
        return Ok(Some(held));
    }
    warn!(server = %lock.server, holder = %holder_id, "StaleLockTakenOver");
    match world.store.take_over_lock(lock, &holder_id).await? {
        Lock::Acquired => Ok(None),
        Lock::Held(lock) => Ok(Some(Held { lock, unreadable: None })),
    }
}

/// Who else holds the server of this lock.
async fn holder(world: &World, lock: &LockRecord) -> Result<Option<Held>, ActivityError> {
    match world.store.find_lock(&lock.server).await? {
        Some(stands) if stands.execution_id != lock.execution_id => still_held(world, stands).await,
        Some(_) | None => Ok(None),
    }
}

/// None: its holder has ended. An execution of which nothing can be read may run.
async fn still_held(world: &World, lock: LockRecord) -> Result<Option<Held>, ActivityError> {
    Ok(match world::holder(world.store.as_ref(), &lock.execution_id).await? {
        Holder::Ended => None,
        Holder::Running => Some(Held { lock, unreadable: None }),
        Holder::Unreadable(why) => Some(Held { lock, unreadable: Some(why) }),
    })
}
