//! The tables' ports: the very writes the store sends to DynamoDB, carried out in memory.

use super::Ports;
use crate::expression::Refusal;
use crate::narration::{self, Told};
use crate::tables::{Item, Refused, Tables, from_item};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_aws::ports::{
    Created, ExecutionReader, ExecutionWriter, Finish, GoodRun, Lock, LockStore, PlanReader, RequestReader, RunItems,
    WaveStore, Written,
};
use tidegate_aws::store::writes::{self, Write};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, GroupRecord, JobRecord, LockRecord, MembersRecord, PlanRecord, RecordKey, ReplacedBy,
    Requests, ShardRecord, TimelineEntry, WaveRecord,
};
use tidegate_contract::tables::{JOB_KEY, TableKey, members_key, wave_key};
use tidegate_contract::{ExecutionId, ExecutionStatus, JobId, PlanId};

type Result<T> = super::Result<T>;

impl Ports {
    async fn write(&self, action: &'static str, write: Write) -> Result<std::result::Result<(), Refused>> {
        let about = narration::is_on().then(|| narration::write(&write));
        let mut write = Some(write);
        self.call(action, about, true, move |state, _| {
            // An answer that gets lost is asked for again, so then the write is needed once more.
            let given = if state.answer_is_lost { write.clone() } else { write.take() };
            let Some(given) = given else {
                return Err(PortError::unreadable(action, "an answered write is not sent again"));
            };
            match state.write(given, self.activity) {
                Err(Refused { refusal: Refusal::Invalid(message), .. }) => Err(PortError::unreadable(action, message)),
                other => Ok(other),
            }
        })
        .await
    }

    async fn written(&self, write: Write) -> Result<Written> {
        Ok(if self.write("dynamodb:UpdateItem", write).await?.is_ok() { Written::Stored } else { Written::Stale })
    }

    async fn created(&self, write: Write) -> Result<Created> {
        Ok(if self.write("dynamodb:PutItem", write).await?.is_ok() { Created::New } else { Created::Existed })
    }

    async fn read<T: DeserializeOwned + Clone + Send + Told + 'static>(
        &self,
        table: TableKey,
        partition: &str,
        sort: &str,
    ) -> Result<Option<T>> {
        let action = "dynamodb:GetItem";
        let about = narration::is_on().then(|| format!("{table:?} {partition} {sort}"));
        self.call(action, about, false, |state, _| {
            state.tables.record(table, partition, sort).map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

#[async_trait]
impl ExecutionReader for Ports {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>> {
        let action = "dynamodb:Query";
        let about = narration::is_on().then(|| format!("ExecutionHistory {id}"));
        self.call(action, about, false, |state, _| {
            let found = state.tables.query_records(TableKey::ExecutionHistory, id.as_str(), "").next();
            found.map(|(_, row)| row.record()).transpose().map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

#[async_trait]
impl RequestReader for Ports {
    async fn requests(&self, id: &ExecutionId) -> Result<Requests> {
        let about = narration::is_on().then(|| format!("ExecutionRequests {id}"));
        self.call("dynamodb:GetItem", about, false, |state, _| {
            let item = state.tables.get(TableKey::ExecutionRequests, id.as_str(), "");
            Ok(item.map(Requests::read).unwrap_or_default())
        })
        .await
    }
}

#[async_trait]
impl ExecutionWriter for Ports {
    async fn claim_record(&self, key: &RecordKey) -> Result<RecordKey> {
        match self.write("dynamodb:PutItem", writes::claim_record(key)).await? {
            Ok(()) => Ok(key.clone()),
            Err(Refused { item: Some(item), .. }) => {
                from_item(&item).map_err(|error| PortError::unreadable("dynamodb:PutItem", error))
            }
            Err(_) => Err(PortError::unreadable("dynamodb:PutItem", "the key of the record was not told")),
        }
    }

    async fn create_execution(&self, record: &ExecutionRecord) -> Result<Created> {
        self.created(writes::create(TableKey::ExecutionHistory, record)).await
    }

    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written> {
        self.written(writes::begin_execution(record, entry)).await
    }

    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written> {
        self.written(writes::finish_execution(finish)).await
    }

    async fn claim_continuation(
        &self,
        record: &ExecutionRecord,
        by: &ExecutionId,
        entry: &TimelineEntry,
    ) -> Result<Written> {
        self.written(writes::claim_continuation(record, by, entry)).await
    }

    async fn note_replaced(&self, record: &ExecutionRecord, by: &ReplacedBy, entry: &TimelineEntry) -> Result<Written> {
        self.written(writes::note_replaced(record, by, entry)).await
    }

    async fn put_cleanup(
        &self,
        record: &ExecutionRecord,
        cleanup: &Cleanup,
        entry: Option<&TimelineEntry>,
    ) -> Result<Written> {
        self.written(writes::put_cleanup(record, cleanup, entry)).await
    }
}

#[async_trait]
impl WaveStore for Ports {
    async fn put_members(&self, members: &MembersRecord) -> Result<Written> {
        self.written(writes::put_members(members)).await
    }

    async fn load_members(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<MembersRecord>> {
        self.read(TableKey::ExecutionWaves, id.as_str(), &members_key(wave_number)).await
    }

    async fn load_wave(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<(WaveRecord, Vec<ShardRecord>)>> {
        let mut run = self.load(id, &wave_key(wave_number)).await?;
        Ok(run.waves.pop().map(|wave| (wave, run.shards)))
    }

    async fn load_run(&self, id: &ExecutionId) -> Result<RunItems> {
        self.load(id, "").await
    }

    async fn create_wave(&self, wave: &WaveRecord) -> Result<Created> {
        self.created(writes::create(TableKey::ExecutionWaves, wave)).await
    }

    async fn create_shard(&self, shard: &ShardRecord) -> Result<Created> {
        self.created(writes::create(TableKey::ExecutionWaves, shard)).await
    }

    async fn update_wave(&self, wave: &WaveRecord) -> Result<Written> {
        self.written(writes::replace(TableKey::ExecutionWaves, wave, wave.version)).await
    }

    async fn update_shard(&self, shard: &ShardRecord) -> Result<Written> {
        self.written(writes::replace(TableKey::ExecutionWaves, shard, shard.version)).await
    }

    async fn create_job(&self, job: &JobRecord) -> Result<Created> {
        self.created(writes::create(TableKey::ExecutionWaves, job)).await
    }

    async fn find_job(&self, id: &JobId) -> Result<Option<JobRecord>> {
        self.read(TableKey::ExecutionWaves, id.as_str(), JOB_KEY).await
    }
}

impl Ports {
    async fn load(&self, id: &ExecutionId, prefix: &str) -> Result<RunItems> {
        let action = "dynamodb:Query";
        let about = narration::is_on().then(|| format!("ExecutionWaves {id} {prefix}"));
        self.call(action, about, false, |state, _| {
            run_items(&state.tables, id.as_str(), prefix).map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

/// Items of `execution-waves`, told apart by their sort key as the store does.
fn run_items(tables: &Tables, id: &str, prefix: &str) -> std::result::Result<RunItems, String> {
    let mut run = RunItems::default();
    for (key, row) in tables.query_records(TableKey::ExecutionWaves, id, prefix) {
        match key.split_once('#') {
            None => run.waves.push(row.record()?),
            // As the store: who asks for one wave wants no members.
            Some((_, "members")) if prefix.is_empty() => run.members.push(row.record()?),
            Some((_, "members")) => {}
            Some(_) => run.shards.push(row.record()?),
        }
    }
    Ok(run)
}

#[async_trait]
impl LockStore for Ports {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock> {
        self.put_lock(lock, &lock.execution_id).await
    }

    async fn find_lock(&self, server: &str) -> Result<Option<LockRecord>> {
        self.read(TableKey::ServerLocks, server, "").await
    }

    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock> {
        self.put_lock(lock, from).await
    }

    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<()> {
        self.write("dynamodb:DeleteItem", writes::release_lock(server, id)).await.map(|_| ())
    }
}

impl Ports {
    async fn put_lock(&self, lock: &LockRecord, holder: &ExecutionId) -> Result<Lock> {
        match self.write("dynamodb:PutItem", writes::put_lock(lock, holder)).await? {
            Ok(()) => Ok(Lock::Acquired),
            Err(Refused { item: Some(item), .. }) => {
                from_item(&item).map(Lock::Held).map_err(|error| PortError::unreadable("dynamodb:PutItem", error))
            }
            Err(_) => Err(PortError {
                class: ErrorClass::Transient,
                ..PortError::unreadable("dynamodb:PutItem", "the lock changed hands")
            }),
        }
    }
}

#[async_trait]
impl PlanReader for Ports {
    async fn load_plan(&self, id: &PlanId) -> Result<Option<PlanRecord>> {
        self.read(TableKey::RecoveryPlans, id.as_str(), "").await
    }

    async fn load_group(&self, id: &str) -> Result<Option<GroupRecord>> {
        self.read(TableKey::ProtectionGroups, id, "").await
    }

    async fn last_good_run(&self, plan: &PlanId) -> Result<Option<GoodRun>> {
        let about = narration::is_on().then(|| format!("planIdIndex {plan}"));
        self.call("dynamodb:Query", about, false, |state, _| {
            let said = |item: &Item, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
            let of_plan = state.tables.all(TableKey::ExecutionHistory).filter(|item| {
                said(item, "planId").as_deref() == Some(plan.as_str())
                    && said(item, "status").as_deref() == Some(ExecutionStatus::Completed.as_str())
            });
            Ok(of_plan.max_by_key(|item| said(item, "startTime")).and_then(|item| {
                let execution_id = said(item, "executionId")?.as_str().into();
                Some(GoodRun { execution_id, membership_hash: said(item, "membershipHash") })
            }))
        })
        .await
    }
}
