//! Mistakes in what activities read from the store and write to it, at the store's port.

use super::ports::{Result, Slip, Slipping};
use crate::time::lock;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use tidegate_aws::ports::{
    Created, ExecutionReader, ExecutionWriter, Finish, GoodRun, Lock, LockStore, PlanReader, RequestReader, RunItems,
    StartRequest, Store, WaveStore, Written,
};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, GroupRecord, JobRecord, LockRecord, MembersRecord, PlanRecord, RecordKey, ReplacedBy,
    Requests, ShardRecord, TimelineEntry, WaveRecord,
};
use tidegate_contract::{ActivityName, ExecutionId, JobId, LaunchStatus, PlanId, WaveStatus};
use tidegate_core::observed::JobStatus;
use tidegate_core::wave_start::SETTLE_SECONDS;

#[async_trait]
impl ExecutionReader for Slipping<dyn Store> {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>> {
        let found = self.inner.find_execution(id).await?;
        let counts_stored =
            self.slip == Slip::FinalizeCountsStoredWaves && self.activity == ActivityName::FinalizeExecution;
        match found {
            Some(mut record) if counts_stored => {
                let stored = self.inner.load_run(id).await?.waves.len();
                record.waves.truncate(stored);
                record.total_waves = u32::try_from(stored).unwrap_or(u32::MAX);
                Ok(Some(record))
            }
            found => Ok(found),
        }
    }
}

#[async_trait]
impl RequestReader for Slipping<dyn Store> {
    async fn requests(&self, id: &ExecutionId) -> Result<Requests> {
        self.inner.requests(id).await
    }
}

#[async_trait]
impl ExecutionWriter for Slipping<dyn Store> {
    async fn claim_record(&self, key: &RecordKey) -> Result<RecordKey> {
        if self.slip == Slip::KeyNotSettled {
            return Ok(key.clone());
        }
        self.inner.claim_record(key).await
    }

    async fn create_execution(&self, record: &ExecutionRecord) -> Result<Created> {
        self.inner.create_execution(record).await
    }

    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written> {
        self.inner.begin_execution(record, entry).await
    }

    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written> {
        self.inner.finish_execution(finish).await
    }

    async fn claim_continuation(
        &self,
        record: &ExecutionRecord,
        by: &ExecutionId,
        entry: &TimelineEntry,
    ) -> Result<Written> {
        self.inner.claim_continuation(record, by, entry).await
    }

    async fn note_replaced(&self, record: &ExecutionRecord, by: &ReplacedBy, entry: &TimelineEntry) -> Result<Written> {
        self.inner.note_replaced(record, by, entry).await
    }

    async fn put_cleanup(
        &self,
        record: &ExecutionRecord,
        cleanup: &Cleanup,
        entry: Option<&TimelineEntry>,
    ) -> Result<Written> {
        self.inner.put_cleanup(record, cleanup, entry).await
    }
}

#[async_trait]
impl WaveStore for Slipping<dyn Store> {
    async fn put_members(&self, members: &MembersRecord) -> Result<Written> {
        let mut members = members.clone();
        if self.slip == Slip::MembersLoseAServer && members.members.len() > 1 {
            members.members.pop();
        }
        self.inner.put_members(&members).await
    }

    async fn load_members(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<MembersRecord>> {
        self.inner.load_members(id, wave_number).await
    }

    async fn load_wave(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<(WaveRecord, Vec<ShardRecord>)>> {
        let mut found = self.inner.load_wave(id, wave_number).await?;
        let retried = self.slip == Slip::RetryRelaunchesAll && self.activity == ActivityName::StartWave;
        if let Some((wave, shards)) = found.as_mut().filter(|(wave, _)| retried && wave.status == WaveStatus::Failed) {
            // A settled wave comes back to start-wave only when an operator says retry.
            wave.attempt = wave.attempt.max(1);
            for shard in shards {
                for server in &mut shard.server_statuses {
                    server.launch_status = LaunchStatus::Failed;
                    server.recovery_instance_id = None;
                }
                if let Some(job) = &mut shard.job {
                    job.status = JobStatus::Completed.as_str().to_owned();
                }
            }
        }
        let settles = self.slip == Slip::SettlesAtOnce && self.activity == ActivityName::StartWave;
        for shard in found.iter_mut().filter(|_| settles).flat_map(|(_, shards)| shards) {
            let long_ago = |sent: &String| {
                let sent = tidegate_core::time::parse(sent)?;
                Some(tidegate_core::time::format(tidegate_core::time::before(sent, SETTLE_SECONDS)))
            };
            shard.intent.last_sent_at = shard.intent.last_sent_at.as_ref().and_then(long_ago);
        }
        Ok(found)
    }

    async fn load_run(&self, id: &ExecutionId) -> Result<RunItems> {
        let mut run = self.inner.load_run(id).await?;
        let stale = self.slip == Slip::FinalizeReadsStale && self.activity == ActivityName::FinalizeExecution;
        if let Some(last) = run.waves.last_mut().filter(|wave| stale && wave.status.is_settled()) {
            last.status = WaveStatus::Polling;
            last.version -= 1;
        }
        Ok(run)
    }

    async fn create_wave(&self, wave: &WaveRecord) -> Result<Created> {
        self.inner.create_wave(wave).await
    }

    async fn create_shard(&self, shard: &ShardRecord) -> Result<Created> {
        let mut shard = shard.clone();
        match self.slip {
            Slip::LaunchBeforeIntent => self.launch(&shard).await?,
            Slip::ShardLosesAServer if shard.server_statuses.len() > 1 => {
                shard.server_statuses.pop();
                shard.intent.source_server_ids.pop();
            }
            Slip::FormerInstanceCounts => self.count_former_instances(&mut shard),
            _ => {}
        }
        self.inner.create_shard(&shard).await
    }

    async fn update_wave(&self, wave: &WaveRecord) -> Result<Written> {
        if std::mem::take(&mut lock(&self.world.state).bug.ec2_failed) {
            return Err(PortError {
                class: ErrorClass::Transient,
                ..PortError::unreadable("ec2:DescribeInstances", "the instances could not be read")
            });
        }
        self.inner.update_wave(wave).await
    }

    async fn update_shard(&self, shard: &ShardRecord) -> Result<Written> {
        self.inner.update_shard(shard).await
    }

    async fn create_job(&self, job: &JobRecord) -> Result<Created> {
        self.inner.create_job(job).await
    }

    async fn find_job(&self, id: &JobId) -> Result<Option<JobRecord>> {
        self.inner.find_job(id).await
    }
}

#[async_trait]
impl LockStore for Slipping<dyn Store> {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock> {
        match self.inner.acquire_lock(lock).await? {
            Lock::Held(_) if self.slip == Slip::HeldLockIsOurs => Ok(Lock::Acquired),
            answer => Ok(answer),
        }
    }

    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock> {
        self.inner.take_over_lock(lock, from).await
    }

    async fn find_lock(&self, server: &str) -> Result<Option<LockRecord>> {
        self.inner.find_lock(server).await
    }

    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<()> {
        self.inner.release_lock(server, id).await
    }
}

#[async_trait]
impl PlanReader for Slipping<dyn Store> {
    async fn load_plan(&self, id: &PlanId) -> Result<Option<PlanRecord>> {
        self.inner.load_plan(id).await
    }

    async fn load_group(&self, id: &str) -> Result<Option<GroupRecord>> {
        self.inner.load_group(id).await
    }

    async fn last_good_run(&self, plan: &PlanId) -> Result<Option<GoodRun>> {
        self.inner.last_good_run(plan).await
    }
}

impl Slipping<dyn Store> {
    async fn launch(&self, shard: &ShardRecord) -> Result<()> {
        let request = StartRequest {
            servers: shard.intent.source_server_ids.iter().map(|id| (id.clone(), None)).collect(),
            is_drill: shard.server_statuses.iter().any(|server| server.is_drill),
            not_after: Timestamp::MAX,
            tags: BTreeMap::new(),
        };
        let (drs, ec2) = (self.targets.drs(&shard.target).await?, self.targets.ec2(&shard.target).await?);
        // It looks what DRS would delete, as the shipped code does: the intent is all it forgets.
        drs.recovery_instances(&shard.intent.source_server_ids).await?;
        ec2.instances_of_servers(&shard.intent.source_server_ids).await?;
        drs.start_recovery(&request).await.map(drop)
    }

    fn count_former_instances(&self, shard: &mut ShardRecord) {
        let state = lock(&self.world.state);
        let runs = |id: &str| {
            let mut instances = state.ec2.all();
            instances.any(|instance| instance.launch.source_server_id == id && instance.state != "terminated")
        };
        shard.intent.source_server_ids.retain(|id| !runs(id.as_str()));
        for server in shard.server_statuses.iter_mut().filter(|server| runs(server.source_server_id.as_str())) {
            server.launch_status = LaunchStatus::Launched;
            server.launched_time = Some(shard.intent.recorded_at.clone());
        }
    }
}
