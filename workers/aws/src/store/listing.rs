//! What the operator's tool asks beyond the workers' ports: lists by status and plan.

use super::{DynamoStore, Item, collect, from_item, text};
use crate::error::PortError;
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionStatus, PlanId};

/// One line of a list. An item that cannot be read is one of them, never the end of the list.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    Execution(Box<ExecutionRecord>),
    Unreadable(Unreadable),
}

/// An item that is no record, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub execution_id: String,
    pub plan_id: String,
    pub why: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { execution_id, plan_id, why } = self;
        write!(f, "unreadable: execution {execution_id:?} of plan {plan_id:?}: {why}")
    }
}

impl DynamoStore {
    /// Name of a deployed table, for commands that people copy.
    pub fn table_name(&self, key: TableKey) -> &str {
        self.table(key)
    }

    /// Executions of one status, newest first, at most `limit`. The index lags the table by moments.
    pub async fn list_by_status(&self, status: ExecutionStatus, limit: usize) -> Result<Vec<Listed>, PortError> {
        self.list("StatusIndex", ("status", status.as_str()), limit).await
    }

    /// Executions of one plan, newest first, at most `limit`.
    pub async fn list_by_plan(&self, plan: &PlanId, limit: usize) -> Result<Vec<Listed>, PortError> {
        self.list("planIdIndex", ("planId", plan.as_str()), limit).await
    }

    async fn list(&self, index: &str, partition: (&str, &str), limit: usize) -> Result<Vec<Listed>, PortError> {
        let call = self
            .client
            .query()
            .table_name(self.table(TableKey::ExecutionHistory))
            .index_name(index)
            .scan_index_forward(false)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", partition.0)
            .expression_attribute_values(":pk", text(partition.1));
        Ok(collect(call, limit).await?.into_iter().map(listed).collect())
    }
}

fn listed(item: Item) -> Listed {
    let key = |name: &str| item.get(name).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
    let (execution_id, plan_id) = (key("executionId"), key("planId"));
    match from_item(item) {
        Ok(record) => Listed::Execution(Box::new(record)),
        Err(error) => Listed::Unreadable(Unreadable { execution_id, plan_id, why: error.message }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::AttributeValue;

    #[test]
    fn an_item_that_is_no_record_is_a_line_with_its_key_and_why() {
        let mut item = Item::new();
        item.insert("executionId".to_owned(), text("drill-1"));
        item.insert("planId".to_owned(), text("crm"));
        item.insert("endTime".to_owned(), AttributeValue::N("1".to_owned()));
        let said = match listed(item) {
            Listed::Unreadable(line) => line.to_string(),
            Listed::Execution(record) => format!("that was a record: {record:?}"),
        };
        assert!(said.starts_with("unreadable: execution \"drill-1\" of plan \"crm\": "), "{said}");
    }
}
