//! `recovery-plans` and `protection-groups`, read only: people and Terraform write them.

use super::{DynamoStore, from_item};
use crate::error::PortError;
use crate::ports::PlanReader;
use async_trait::async_trait;
use tidegate_contract::PlanId;
use tidegate_contract::records::{GroupRecord, PlanRecord};
use tidegate_contract::tables::TableKey;

#[async_trait]
impl PlanReader for DynamoStore {
    async fn load_plan(&self, id: &PlanId) -> Result<Option<PlanRecord>, PortError> {
        self.get(TableKey::RecoveryPlans, &[("planId", id.as_str())]).await?.map(from_item).transpose()
    }

    async fn load_group(&self, id: &str) -> Result<Option<GroupRecord>, PortError> {
        self.get(TableKey::ProtectionGroups, &[("groupId", id)]).await?.map(from_item).transpose()
    }
}
