//! `execution-gates`: the task tokens of open gates, for whoever answers them. Not behind a port: no activity may read them.

use super::{DynamoStore, from_item};
use crate::error::PortError;
use tidegate_contract::records::{ExecutionRecord, Gate, GateToken};
use tidegate_contract::tables::TableKey;

impl DynamoStore {
    /// The token of this open gate; None in the moment between the record's write and the token's.
    pub async fn gate_token(&self, record: &ExecutionRecord, gate: &Gate) -> Result<Option<GateToken>, PortError> {
        let id = record.execution_id.as_str();
        if let Some(item) = self.get(TableKey::ExecutionGates, &[("executionId", id)]).await? {
            let token: GateToken = from_item(item)?;
            return Ok(token.opens(gate).then_some(token));
        }
        // An execution that began under an earlier definition has it in its record.
        let key = [("executionId", id), ("planId", record.plan_id.as_str())];
        let item = self.get(TableKey::ExecutionHistory, &key).await?;
        let token = item.as_ref().and_then(|item| item.get("gate")?.as_m().ok()?.get("token")?.as_s().ok());
        Ok(token.map(|token| GateToken {
            execution_id: record.execution_id.clone(),
            token: token.clone(),
            since: gate.since.clone(),
        }))
    }
}
