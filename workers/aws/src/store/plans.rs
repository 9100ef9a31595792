//! `recovery-plans` and `protection-groups`, read only: people and Terraform write them.

use super::{DynamoStore, Item, collect, from_item, text};
use crate::error::PortError;
use crate::ports::{GoodRun, PlanReader, RUNS_LOOKED_THROUGH};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::Select;
use tidegate_contract::records::{GroupRecord, PlanRecord};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionStatus, PlanId};

#[async_trait]
impl PlanReader for DynamoStore {
    async fn load_plan(&self, id: &PlanId) -> Result<Option<PlanRecord>, PortError> {
        self.get(TableKey::RecoveryPlans, &[("planId", id.as_str())]).await?.map(from_item).transpose()
    }

    async fn load_group(&self, id: &str) -> Result<Option<GroupRecord>, PortError> {
        self.get(TableKey::ProtectionGroups, &[("groupId", id)]).await?.map(from_item).transpose()
    }

    async fn last_good_run(&self, plan: &PlanId) -> Result<Option<GoodRun>, PortError> {
        let call = self
            .client
            .query()
            .table_name(self.table(TableKey::ExecutionHistory))
            .index_name("planIdIndex")
            .scan_index_forward(false)
            .limit(i32::try_from(RUNS_LOOKED_THROUGH).unwrap_or(i32::MAX))
            .key_condition_expression("#planId = :planId")
            .select(Select::SpecificAttributes)
            .projection_expression("executionId, #status, membershipHash")
            .expression_attribute_names("#planId", "planId")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":planId", text(plan.as_str()));
        let items = collect(call, RUNS_LOOKED_THROUGH).await?;
        let told = |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let good = |item: &&Item| told(item, "status").as_deref() == Some(ExecutionStatus::Completed.as_str());
        Ok(items.iter().find(good).and_then(|item| {
            let execution_id = told(item, "executionId")?.as_str().into();
            Some(GoodRun { execution_id, membership_hash: told(item, "membershipHash") })
        }))
    }
}
