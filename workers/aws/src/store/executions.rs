//! `execution-history`: who writes what is said at [`tidegate_contract::records::ExecutionRecord`], how in [`super::writes`].

use super::{DynamoStore, from_item, writes};
use crate::error::PortError;
use crate::ports::{Created, ExecutionReader, ExecutionWriter, Finish, Written};
use async_trait::async_trait;
use tidegate_contract::ExecutionId;
use tidegate_contract::records::{Cleanup, ExecutionRecord, ReplacedBy, TimelineEntry};
use tidegate_contract::tables::TableKey;

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
        Ok(self.write(writes::create(TABLE, record)).await?.created())
    }

    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written, PortError> {
        Ok(self.write(writes::begin_execution(record, entry)).await?.written())
    }

    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written, PortError> {
        Ok(self.write(writes::finish_execution(finish)).await?.written())
    }

    async fn claim_continuation(
        &self,
        record: &ExecutionRecord,
        by: &ExecutionId,
        entry: &TimelineEntry,
    ) -> Result<Written, PortError> {
        Ok(self.write(writes::claim_continuation(record, by, entry)).await?.written())
    }

    async fn note_replaced(
        &self,
        record: &ExecutionRecord,
        by: &ReplacedBy,
        entry: &TimelineEntry,
    ) -> Result<Written, PortError> {
        Ok(self.write(writes::note_replaced(record, by, entry)).await?.written())
    }

    async fn put_cleanup(
        &self,
        record: &ExecutionRecord,
        cleanup: &Cleanup,
        entry: Option<&TimelineEntry>,
    ) -> Result<Written, PortError> {
        Ok(self.write(writes::put_cleanup(record, cleanup, entry)).await?.written())
    }
}
