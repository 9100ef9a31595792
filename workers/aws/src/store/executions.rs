//! `execution-history`: who writes what is said at [`tidegate_contract::records::ExecutionRecord`].

use super::{DynamoStore, attribute, from_item, number, text, to_item, written};
use crate::error::PortError;
use crate::ports::{Created, ExecutionReader, ExecutionWriter, Finish, Written};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use tidegate_contract::records::{Cleanup, ExecutionRecord, TimelineEntry};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionId, ExecutionStatus};

const TABLE: TableKey = TableKey::ExecutionHistory;

#[async_trait]
impl ExecutionReader for DynamoStore {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>, PortError> {
        // One execution has one plan, so the partition holds one item.
        let items = self.query(TABLE, ("executionId", id.as_str()), None).await?;
        items.into_iter().next().map(from_item).transpose()
    }
}

#[async_trait]
impl ExecutionWriter for DynamoStore {
    async fn create_execution(&self, record: &ExecutionRecord) -> Result<Created, PortError> {
        let call = self
            .client
            .put_item()
            .table_name(self.table(TABLE))
            .set_item(Some(to_item(record)?))
            .condition_expression("attribute_not_exists(executionId)");
        let result = call.send().await.map_err(|error| PortError::from_sdk("dynamodb:PutItem", error));
        Ok(match written(result)? {
            Written::Stored => Created::New,
            Written::Stale => Created::Existed,
        })
    }

    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written, PortError> {
        let call = self
            .update(record)
            .update_expression("SET #status = :inProgress, #timeline = list_append(#timeline, :entry)")
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#timeline", "timeline")
            .expression_attribute_values(":inProgress", text(ExecutionStatus::InProgress.as_str()))
            .expression_attribute_values(":pending", text(ExecutionStatus::Pending.as_str()))
            .expression_attribute_values(":entry", AttributeValue::L(vec![attribute(entry)?]));
        written(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))
    }

    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written, PortError> {
        let mut call = self
            .update(finish.record)
            .update_expression(
                "SET #status = :status, #endTime = :endTime, #completedTime = :endTime, #duration = :duration, \
                 #completedWaves = :completedWaves, #failedWaves = :failedWaves, #outcome = :outcome, #report = :report, \
                 #timeline = list_append(#timeline, :entry) REMOVE #gate",
            )
            .expression_attribute_values(":status", text(finish.decision.status.as_str()))
            .expression_attribute_values(":endTime", text(finish.end_time))
            .expression_attribute_values(":duration", number(finish.duration_seconds))
            .expression_attribute_values(":completedWaves", number(finish.completed_waves))
            .expression_attribute_values(":failedWaves", number(finish.failed_waves))
            .expression_attribute_values(":outcome", attribute(&finish.decision.outcome)?)
            .expression_attribute_values(":report", attribute(finish.report)?)
            .expression_attribute_values(":entry", AttributeValue::L(vec![attribute(finish.entry)?]));
        for (alias, name) in [
            ("#status", "status"),
            ("#endTime", "endTime"),
            ("#completedTime", "completedTime"),
            ("#duration", "durationSeconds"),
            ("#completedWaves", "completedWaves"),
            ("#failedWaves", "failedWaves"),
            ("#outcome", "outcome"),
            ("#report", "report"),
            ("#timeline", "timeline"),
            ("#gate", "gate"),
        ] {
            call = call.expression_attribute_names(alias, name);
        }
        // Terminal states are never left; endTime is written once.
        let mut open = Vec::new();
        for (index, status) in ExecutionStatus::ALL.iter().filter(|status| !status.is_terminal()).enumerate() {
            call = call.expression_attribute_values(format!(":open{index}"), text(status.as_str()));
            open.push(format!(":open{index}"));
        }
        let call = call
            .condition_expression(format!("#status IN ({}) AND attribute_not_exists(#endTime)", open.join(", ")));
        written(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))
    }

    async fn put_cleanup(
        &self,
        record: &ExecutionRecord,
        cleanup: &Cleanup,
        entry: Option<&TimelineEntry>,
    ) -> Result<Written, PortError> {
        let set = if entry.is_some() {
            "SET #cleanup = :cleanup, #timeline = list_append(#timeline, :entry)"
        } else {
            "SET #cleanup = :cleanup"
        };
        let mut call = self
            .update(record)
            .update_expression(set)
            .expression_attribute_names("#cleanup", "cleanup")
            .expression_attribute_values(":cleanup", attribute(cleanup)?);
        if let Some(entry) = entry {
            call = call
                .expression_attribute_names("#timeline", "timeline")
                .expression_attribute_values(":entry", AttributeValue::L(vec![attribute(entry)?]));
        }
        call = if cleanup.version == 1 {
            call.condition_expression("attribute_not_exists(#cleanup)")
        } else {
            call.condition_expression("#cleanup.#version = :expected")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", number(cleanup.version - 1))
        };
        written(call.send().await.map_err(|error| PortError::from_sdk("dynamodb:UpdateItem", error)))
    }
}

impl DynamoStore {
    pub(super) fn update(
        &self,
        record: &ExecutionRecord,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(self.table(TABLE))
            .key("executionId", text(record.execution_id.as_str()))
            .key("planId", text(record.plan_id.as_str()))
    }
}
