//! `execution-history`: who writes what is said at [`tidegate_contract::records::ExecutionRecord`], how in [`super::writes`].

use super::{DynamoStore, Item, Outcome, from_item, writes};
use crate::error::PortError;
use crate::ports::{Created, ExecutionReader, ExecutionWriter, Finish, Written};
use async_trait::async_trait;
use tidegate_contract::ExecutionId;
use tidegate_contract::records::{Cleanup, ExecutionRecord, RecordKey, ReplacedBy, TimelineEntry};
use tidegate_contract::tables::{RECORD_KEY, TableKey, record_partition};

const TABLE: TableKey = TableKey::ExecutionHistory;

/// Whether an item is a record. Earlier versions let people set flags by UpdateItem, which makes an item where there is none.
fn is_record(item: &Item) -> bool {
    ["executionArn", "schemaVersion"].iter().all(|name| item.contains_key(*name))
}

#[async_trait]
impl ExecutionReader for DynamoStore {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>, PortError> {
        let mut records = self.query(TABLE, ("executionId", id.as_str()), None).await?;
        records.retain(is_record);
        if records.len() > 1 {
            // Nothing kept a second one out before ADR 0021. Since then the execution's own is settled before it is created.
            let partition = record_partition(id);
            let key = [("executionId", partition.as_str()), ("waveKey", RECORD_KEY)];
            let settled = self.get(TableKey::ExecutionWaves, &key).await?.and_then(|key| key.get("planId").cloned());
            if settled.is_some()
                && let Some(own) = records.iter().position(|item| item.get("planId") == settled.as_ref())
            {
                tracing::warn!(execution_id = %id, records = records.len(), "RecordNotAlone: another record is under this execution's id");
                return from_item(records.swap_remove(own)).map(Some);
            }
            let plans: Vec<&str> =
                records.iter().filter_map(|item| item.get("planId")?.as_s().ok()).map(String::as_str).collect();
            return Err(PortError::unreadable(
                "dynamodb:Query",
                format!(
                    "{id} has {} records, under the plans {}, and one of them is not of it; see docs/troubleshooting.md",
                    plans.len(),
                    plans.join(" and ")
                ),
            ));
        }
        records.pop().map(from_item).transpose()
    }
}

#[async_trait]
impl ExecutionWriter for DynamoStore {
    async fn claim_record(&self, key: &RecordKey) -> Result<RecordKey, PortError> {
        match self.write(writes::claim_record(key)).await? {
            Outcome::Done => Ok(key.clone()),
            Outcome::Lost(Some(item)) => from_item(item),
            Outcome::Lost(None) => Err(PortError::unreadable("dynamodb:PutItem", "the key of the record was not told")),
        }
    }

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
