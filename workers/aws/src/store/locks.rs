//! `server-locks`: at most one execution may launch a server.

use super::{DynamoStore, from_item, text, to_item, written};
use crate::error::{ErrorClass, PortError};
use crate::ports::{Lock, LockStore};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use tidegate_contract::ExecutionId;
use tidegate_contract::records::LockRecord;
use tidegate_contract::tables::TableKey;

const TABLE: TableKey = TableKey::ServerLocks;

impl DynamoStore {
    async fn put_lock(&self, lock: &LockRecord, condition: &str, holder: &ExecutionId) -> Result<Lock, PortError> {
        let call = self
            .client
            .put_item()
            .table_name(self.table(TABLE))
            .set_item(Some(to_item(lock)?))
            .condition_expression(condition)
            .expression_attribute_values(":holder", text(holder.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match call.send().await {
            Ok(_) => return Ok(Lock::Acquired),
            Err(error) => error,
        };
        if let Some(PutItemError::ConditionalCheckFailedException(failure)) = error.as_service_error() {
            if let Some(item) = failure.item() {
                return Ok(Lock::Held(from_item(item.clone())?));
            }
            // Released between the check and the answer: asking again is right.
            return Err(PortError {
                class: ErrorClass::Transient,
                ..PortError::unreadable("dynamodb:PutItem", format!("the lock of {} changed hands", lock.server))
            });
        }
        Err(PortError::from_sdk("dynamodb:PutItem", error))
    }
}

#[async_trait]
impl LockStore for DynamoStore {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock, PortError> {
        self.put_lock(lock, "attribute_not_exists(server) OR executionId = :holder", &lock.execution_id).await
    }

    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock, PortError> {
        self.put_lock(lock, "attribute_not_exists(server) OR executionId = :holder", from).await
    }

    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<(), PortError> {
        let call = self
            .client
            .delete_item()
            .table_name(self.table(TABLE))
            .key("server", text(server))
            .condition_expression("executionId = :holder")
            .expression_attribute_values(":holder", text(id.as_str()));
        // Stale: not ours (any more), so there is nothing to release.
        written(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:DeleteItem", error)))?;
        Ok(())
    }
}
