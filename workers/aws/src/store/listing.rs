//! What the operator's tool asks beyond the workers' ports: lists by status and plan, and the two request flags.

use super::{DynamoStore, from_item, outcome, text};
use crate::error::PortError;
use crate::ports::Written;
use tidegate_contract::records::{ExecutionRecord, Flag};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionStatus, PlanId};

/// A flag an operator may set; the state machine reads both before each wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorFlag {
    Pause,
    Cancel,
}

impl DynamoStore {
    /// Name of a deployed table, for commands that people copy.
    pub fn table_name(&self, key: TableKey) -> &str {
        self.table(key)
    }

    /// Executions of one status, newest first, at most `limit`. The index lags the table by moments.
    pub async fn list_by_status(
        &self,
        status: ExecutionStatus,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, PortError> {
        self.list("StatusIndex", ("status", status.as_str()), limit).await
    }

    /// Executions of one plan, newest first, at most `limit`.
    pub async fn list_by_plan(&self, plan: &PlanId, limit: usize) -> Result<Vec<ExecutionRecord>, PortError> {
        self.list("planIdIndex", ("planId", plan.as_str()), limit).await
    }

    async fn list(
        &self,
        index: &str,
        partition: (&str, &str),
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, PortError> {
        let call = self
            .client
            .query()
            .table_name(self.table(TableKey::ExecutionHistory))
            .index_name(index)
            .scan_index_forward(false)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", partition.0)
            .expression_attribute_values(":pk", text(partition.1));
        let items = self.run_query(TableKey::ExecutionHistory, call, limit).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Asks for a pause before the next wave, or for the end of the execution. Stale: it has ended already.
    pub async fn request(&self, record: &ExecutionRecord, flag: OperatorFlag) -> Result<Written, PortError> {
        let name = match flag {
            OperatorFlag::Pause => "pauseRequested",
            OperatorFlag::Cancel => "cancelRequested",
        };
        let call = self
            .update(record)
            .update_expression("SET #flag = :on")
            .condition_expression("attribute_exists(executionId) AND attribute_not_exists(endTime)")
            .expression_attribute_names("#flag", name)
            .expression_attribute_values(":on", text(Flag::On.as_str()));
        Ok(outcome(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))?.written())
    }
}
