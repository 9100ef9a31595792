//! `execution-requests`: written by people, who may write anything, so it is read by [`Requests::read`] and never decoded.

use super::{DynamoStore, Item, outcome, text};
use crate::error::PortError;
use crate::ports::{RequestReader, Written};
use async_trait::async_trait;
use serde_json::{Map, Value};
use tidegate_contract::ExecutionId;
use tidegate_contract::records::{Flag, Requests};
use tidegate_contract::tables::TableKey;

const TABLE: TableKey = TableKey::ExecutionRequests;

/// A request an operator may make; the state machine looks for both before each wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorFlag {
    Pause,
    Cancel,
}

#[async_trait]
impl RequestReader for DynamoStore {
    async fn requests(&self, id: &ExecutionId) -> Result<Requests, PortError> {
        let item = self.get(TABLE, &[("executionId", id.as_str())]).await?;
        Ok(item.map(|item| Requests::read(&loosely(&item))).unwrap_or_default())
    }
}

impl DynamoStore {
    /// Asks for a pause before the next wave, or for the end of the execution. Stale: somebody asked already.
    pub async fn request(&self, id: &ExecutionId, flag: OperatorFlag, by: Option<&str>) -> Result<Written, PortError> {
        let (name, by_name) = match flag {
            OperatorFlag::Pause => (Requests::PAUSE, Requests::PAUSE_BY),
            OperatorFlag::Cancel => (Requests::CANCEL, Requests::CANCEL_BY),
        };
        let call = self
            .client
            .update_item()
            .table_name(self.table(TABLE))
            .key("executionId", text(id.as_str()))
            .condition_expression("attribute_not_exists(#flag) OR #flag <> :on")
            .expression_attribute_names("#flag", name)
            .expression_attribute_names("#by", by_name)
            .expression_attribute_values(":on", text(Flag::On.as_str()));
        let call = match by {
            Some(by) => {
                call.update_expression("SET #flag = :on, #by = :by").expression_attribute_values(":by", text(by))
            }
            None => call.update_expression("SET #flag = :on REMOVE #by"),
        };
        Ok(outcome(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))?.written())
    }
}

/// Text as it is; that there is anything else is all that matters of it.
fn loosely(item: &Item) -> Map<String, Value> {
    item.iter()
        .map(|(name, value)| (name.clone(), value.as_s().map_or(Value::Null, |text| text.as_str().into())))
        .collect()
}
