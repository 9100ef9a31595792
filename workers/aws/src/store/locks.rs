//! `server-locks`: at most one execution may launch a server.

use super::{DynamoStore, Outcome, from_item, writes};
use crate::error::{ErrorClass, PortError};
use crate::ports::{Lock, LockStore};
use async_trait::async_trait;
use tidegate_contract::ExecutionId;
use tidegate_contract::records::LockRecord;
use tidegate_contract::tables::TableKey;

impl DynamoStore {
    async fn put_lock(&self, lock: &LockRecord, holder: &ExecutionId) -> Result<Lock, PortError> {
        match self.write(writes::put_lock(lock, holder)).await? {
            Outcome::Done => Ok(Lock::Acquired),
            Outcome::Lost(Some(item)) => Ok(Lock::Held(from_item(item)?)),
            // Released between the check and the answer: asking again is right.
            Outcome::Lost(None) => Err(PortError {
                class: ErrorClass::Transient,
                ..PortError::unreadable("dynamodb:PutItem", format!("the lock of {} changed hands", lock.server))
            }),
        }
    }
}

#[async_trait]
impl LockStore for DynamoStore {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock, PortError> {
        self.put_lock(lock, &lock.execution_id).await
    }

    async fn find_lock(&self, server: &str) -> Result<Option<LockRecord>, PortError> {
        self.get(TableKey::ServerLocks, &[("server", server)]).await?.map(from_item).transpose()
    }

    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock, PortError> {
        self.put_lock(lock, from).await
    }

    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<(), PortError> {
        // Lost: not ours (any more), so there is nothing to release.
        self.write(writes::release_lock(server, id)).await.map(|_| ())
    }
}
