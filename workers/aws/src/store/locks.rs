//! `server-locks`: at most one execution may launch a server.

use super::{DynamoStore, Item, Outcome, writes};
use crate::error::{ErrorClass, PortError};
use crate::ports::{Lock, LockStore};
use async_trait::async_trait;
use tidegate_contract::records::LockRecord;
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionId, PlanId};

impl DynamoStore {
    async fn put_lock(&self, lock: &LockRecord, holder: &ExecutionId) -> Result<Lock, PortError> {
        match self.write(writes::put_lock(lock, holder)).await? {
            Outcome::Done => Ok(Lock::Acquired),
            Outcome::Lost(Some(item)) => Ok(Lock::Held(held(&lock.server, &item))),
            // Released between the check and the answer: asking again is right.
            Outcome::Lost(None) => Err(PortError {
                class: ErrorClass::Transient,
                ..PortError::unreadable("dynamodb:PutItem", format!("the lock of {} changed hands", lock.server))
            }),
        }
    }
}

/// A lock item as it is read: total, because a server whose lock nobody can read is held by nobody knows whom, and says so.
fn held(server: &str, item: &Item) -> LockRecord {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    LockRecord {
        server: server.to_owned(),
        execution_id: ExecutionId::from(text("executionId").as_str()),
        plan_id: PlanId::from(text("planId").as_str()),
        locked_at: text("lockedAt"),
    }
}

#[async_trait]
impl LockStore for DynamoStore {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock, PortError> {
        self.put_lock(lock, &lock.execution_id).await
    }

    async fn find_lock(&self, server: &str) -> Result<Option<LockRecord>, PortError> {
        Ok(self.get(TableKey::ServerLocks, &[("server", server)]).await?.map(|item| held(server, &item)))
    }

    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock, PortError> {
        self.put_lock(lock, from).await
    }

    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<(), PortError> {
        // Lost: not ours (any more), so there is nothing to release.
        self.write(writes::release_lock(server, id)).await.map(|_| ())
    }
}
