//! `execution-waves`: a wave's own item, its shards, its members. Separate items, because an item holds 400 KB at most, a
//! write costs by the item's size, and a list rewritten by several writers loses waves (lesson c-15).

use super::{DynamoStore, Item, from_item, writes};
use crate::error::PortError;
use crate::ports::{Created, RunItems, WaveStore, Written};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use tidegate_contract::records::{JobRecord, MembersRecord, ShardRecord, WaveRecord};
use tidegate_contract::tables::{JOB_KEY, TableKey, members_key, wave_key};
use tidegate_contract::{ExecutionId, JobId};

const TABLE: TableKey = TableKey::ExecutionWaves;

/// The kind of an item is in its sort key: `0001`, `0001#01`, `0001#members`.
fn sort_into(run: &mut RunItems, item: Item) -> Result<(), PortError> {
    let key = item.get("waveKey").and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
    match key.split_once('#') {
        None => run.waves.push(from_item(item)?),
        Some((_, "members")) => run.members.push(from_item(item)?),
        Some(_) => run.shards.push(from_item(item)?),
    }
    Ok(())
}

#[async_trait]
impl WaveStore for DynamoStore {
    async fn put_members(&self, members: &MembersRecord) -> Result<Written, PortError> {
        Ok(self.write(writes::put_members(members)).await?.written())
    }

    async fn load_members(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<MembersRecord>, PortError> {
        let key = members_key(wave_number);
        self.get(TABLE, &[("executionId", id.as_str()), ("waveKey", &key)]).await?.map(from_item).transpose()
    }

    async fn load_wave(
        &self,
        id: &ExecutionId,
        wave_number: u32,
    ) -> Result<Option<(WaveRecord, Vec<ShardRecord>)>, PortError> {
        let key = wave_key(wave_number);
        let mut run = RunItems::default();
        let items = self.query(TABLE, ("executionId", id.as_str()), Some(("waveKey", &key))).await?;
        // The members item may be large and is not wanted here, but a key condition cannot leave it out.
        for item in items.into_iter().filter(|item| !is_members(item)) {
            sort_into(&mut run, item)?;
        }
        Ok(run.waves.pop().map(|wave| (wave, run.shards)))
    }

    async fn load_run(&self, id: &ExecutionId) -> Result<RunItems, PortError> {
        let mut run = RunItems::default();
        for item in self.query(TABLE, ("executionId", id.as_str()), None).await? {
            sort_into(&mut run, item)?;
        }
        Ok(run)
    }

    async fn create_wave(&self, wave: &WaveRecord) -> Result<Created, PortError> {
        Ok(self.write(writes::create(TABLE, wave)).await?.created())
    }

    async fn create_shard(&self, shard: &ShardRecord) -> Result<Created, PortError> {
        Ok(self.write(writes::create(TABLE, shard)).await?.created())
    }

    async fn update_wave(&self, wave: &WaveRecord) -> Result<Written, PortError> {
        Ok(self.write(writes::replace(TABLE, wave, wave.version)).await?.written())
    }

    async fn update_shard(&self, shard: &ShardRecord) -> Result<Written, PortError> {
        Ok(self.write(writes::replace(TABLE, shard, shard.version)).await?.written())
    }

    async fn create_job(&self, job: &JobRecord) -> Result<Created, PortError> {
        Ok(self.write(writes::create(TABLE, job)).await?.created())
    }

    async fn find_job(&self, id: &JobId) -> Result<Option<JobRecord>, PortError> {
        self.get(TABLE, &[("executionId", id.as_str()), ("waveKey", JOB_KEY)]).await?.map(from_item).transpose()
    }
}

impl DynamoStore {
    /// For people: what can be read of an execution's waves, and a line for each item that cannot.
    pub async fn load_readable(&self, id: &ExecutionId) -> Result<(RunItems, Vec<String>), PortError> {
        let (mut run, mut unreadable) = (RunItems::default(), Vec::new());
        for item in self.query(TABLE, ("executionId", id.as_str()), None).await? {
            let key = item.get("waveKey").and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
            if let Err(error) = sort_into(&mut run, item) {
                unreadable.push(format!("unreadable: {key:?} of execution-waves: {}", error.message));
            }
        }
        Ok((run, unreadable))
    }
}

fn is_members(item: &Item) -> bool {
    matches!(item.get("waveKey"), Some(AttributeValue::S(key)) if key.ends_with("#members"))
}
