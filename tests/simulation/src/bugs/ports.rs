//! Mistakes in the adapters, and in activities as far as they show at their ports: the shipped activity on a port that
//! answers or asks as the mistaken code would.

use crate::bugs::Bug;
use crate::ports::SimWorld;
use crate::time::lock;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tidegate_aws::ports::{
    Created, Drs, Ec2, ExecutionReader, ExecutionWriter, Finish, Lock, LockStore, PlanReader, RunItems, StartRequest,
    Store, Targets, WaveStore, Written,
};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, GroupRecord, LockRecord, MembersRecord, PlanRecord, ShardRecord, Target, TimelineEntry,
    WaveRecord,
};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ActivityName, ExecutionId, JobId, LaunchStatus, PlanId, SourceServerId, WaveStatus};
use tidegate_core::observed::{Instance, Job, JobLogItem, JobStatus, NativeExecution, RecoveryInstance, SourceServer};
use tidegate_core::wave_start::SETTLE_SECONDS;

type Result<T> = std::result::Result<T, PortError>;

/// What a port does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    /// Looking for an intent's job finds nothing.
    LookFindsNothing,
    /// Looking begins an hour late: local time taken for UTC.
    LookInLocalTime,
    /// A failed read is an empty list.
    ErrorsAreEmpty,
    /// Only the first page of a listing, here of two items.
    FirstPageOnly,
    /// Recovery instances are matched by server: whichever job launched them, they are the run's.
    ServerOnlyMatch,
    /// The same, in the cleanup only.
    CleanupTakesAny,
    /// An operator's retry forgets what runs.
    RetryRelaunchesAll,
    /// StartRecovery is repeated by the SDK.
    StartRecoveryRetried,
    /// A conflict means that the job has been started.
    ConflictIsStarted,
    /// A held-up call is sent all the same.
    SendWindowIgnored,
    /// The job is a drill, whatever was asked for.
    AlwaysADrill,
    /// Finalize reads from a replica that lags by a write.
    FinalizeReadsStale,
    /// EC2's failure fails the poll.
    Ec2FailsThePoll,
    /// A lock that is held by another run is taken for one's own.
    HeldLockIsOurs,
    /// Finalize counts the waves that are stored.
    FinalizeCountsStoredWaves,
    /// A lost answer of StartRecovery is a refusal: the next call sends at once.
    UnknownIsRejected,
    /// A call without an answer and without a listed job is not waited for.
    SettlesAtOnce,
}

/// A port with a slip.
pub(super) struct Slipping<P: ?Sized> {
    pub(super) inner: Arc<P>,
    pub(super) slip: Slip,
    pub(super) activity: ActivityName,
    pub(super) world: Arc<SimWorld>,
}

impl<P: ?Sized> Slipping<P> {
    fn around<Q: ?Sized>(&self, inner: Arc<Q>) -> Slipping<Q> {
        Slipping { inner, slip: self.slip, activity: self.activity, world: self.world.clone() }
    }

    fn list<T>(&self, result: Result<Vec<T>>) -> Result<Vec<T>> {
        match (self.slip, result) {
            (Slip::ErrorsAreEmpty, Err(error))
                if matches!(error.class, ErrorClass::Transient | ErrorClass::Throttled) =>
            {
                Ok(Vec::new())
            }
            (Slip::FirstPageOnly, Ok(mut items)) => {
                items.truncate(2);
                Ok(items)
            }
            (_, result) => result,
        }
    }

    fn in_cleanup(&self) -> bool {
        matches!(self.activity, ActivityName::StartCleanup | ActivityName::PollCleanup)
    }
}

/// Whatever runs under the name of bug `bug`, behind its slips.
pub(super) fn slipping(
    bug: &'static Bug,
    store: Arc<dyn Store>,
    targets: Arc<dyn Targets>,
    activity: ActivityName,
    world: &Arc<SimWorld>,
) -> (Arc<dyn Store>, Arc<dyn Targets>) {
    let Some(slip) = bug.slip else { return (store, targets) };
    let world = world.clone();
    (
        Arc::new(Slipping { inner: store, slip, activity, world: world.clone() }),
        Arc::new(Slipping { inner: targets, slip, activity, world }),
    )
}

#[async_trait]
impl Targets for Slipping<dyn Targets> {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>> {
        Ok(Arc::new(self.around(self.inner.drs(target).await?)))
    }

    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>> {
        Ok(Arc::new(self.around(self.inner.ec2(target).await?)))
    }
}

#[async_trait]
impl Drs for Slipping<dyn Drs> {
    async fn source_servers(&self) -> Result<Vec<SourceServer>> {
        self.list(self.inner.source_servers().await)
    }

    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.list(self.inner.jobs(ids).await)
    }

    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>> {
        match self.slip {
            Slip::LookFindsNothing => self.inner.jobs_since(since).await.map(|_| Vec::new()),
            Slip::LookInLocalTime => {
                let late = since.checked_add(SignedDuration::from_hours(1)).unwrap_or(since);
                self.inner.jobs_since(late).await
            }
            _ => self.list(self.inner.jobs_since(since).await),
        }
    }

    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>> {
        self.inner.job_log(job).await
    }

    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>> {
        let forgets = self.slip == Slip::RetryRelaunchesAll && self.activity == ActivityName::StartWave;
        let mut found = self.list(self.inner.recovery_instances(servers).await)?;
        if forgets {
            found.clear();
        }
        let careless = match self.slip {
            Slip::ServerOnlyMatch => !self.in_cleanup() && self.activity != ActivityName::PrepareExecution,
            Slip::CleanupTakesAny => self.in_cleanup(),
            _ => false,
        };
        if careless {
            for instance in &mut found {
                adopt(&self.world, instance);
            }
        }
        Ok(found)
    }

    async fn post_launch_enabled(&self, server: &SourceServerId) -> Result<bool> {
        self.inner.post_launch_enabled(server).await
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>> {
        self.inner.native_executions().await
    }

    async fn start_recovery(&self, request: &StartRequest) -> Result<Job> {
        let mut request = request.clone();
        match self.slip {
            Slip::SendWindowIgnored => request.not_after = Timestamp::MAX,
            Slip::AlwaysADrill => request.is_drill = true,
            _ => {}
        }
        let mut result = self.inner.start_recovery(&request).await;
        match self.slip {
            Slip::StartRecoveryRetried => {
                for _ in 0..2 {
                    if !matches!(&result, Err(error) if error.class == ErrorClass::Transient) {
                        break;
                    }
                    result = self.inner.start_recovery(&request).await;
                }
                result
            }
            Slip::UnknownIsRejected => result.map_err(|error| PortError { sent: Sent::Rejected, ..error }),
            Slip::ConflictIsStarted => match result {
                Err(error) if error.class == ErrorClass::Conflict => {
                    let since = request.not_after.checked_sub(SignedDuration::from_hours(24)).unwrap_or_default();
                    let holds = |job: &Job| {
                        job.status != JobStatus::Completed
                            && job
                                .servers
                                .iter()
                                .any(|held| request.servers.iter().any(|(id, _)| *id == held.source_server_id))
                    };
                    self.inner.jobs_since(since).await?.into_iter().find(holds).ok_or(error)
                }
                result => result,
            },
            _ => result,
        }
    }

    async fn terminate_recovery_instances(&self, recovery_instance_ids: &[String]) -> Result<Job> {
        self.inner.terminate_recovery_instances(recovery_instance_ids).await
    }
}

/// Makes an instance look like the one this run's job launched for its server.
fn adopt(world: &SimWorld, instance: &mut RecoveryInstance) {
    let state = lock(&world.state);
    let server = instance.source_server_id.as_str();
    let statuses = state
        .tables
        .all(TableKey::ExecutionWaves)
        .filter_map(|item| item.get("serverStatuses")?.as_array())
        .flatten()
        .filter(|status| status.get("sourceServerId").and_then(|id| id.as_str()) == Some(server));
    if let Some(job) = statuses.filter_map(|status| status.get("recoveryJobId")?.as_str()).last() {
        instance.job_id = Some(JobId::from(job));
        let kind = state
            .tables
            .all(TableKey::ExecutionHistory)
            .next()
            .and_then(|record| record.get("executionType")?.as_str());
        instance.is_drill = kind == Some("DRILL");
    }
}

#[async_trait]
impl Ec2 for Slipping<dyn Ec2> {
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>> {
        let result = self.list(self.inner.instances(ids).await);
        if self.slip == Slip::Ec2FailsThePoll && result.is_err() {
            lock(&self.world.state).bug.ec2_failed = true;
        }
        result
    }
}

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
impl ExecutionWriter for Slipping<dyn Store> {
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
        self.inner.put_members(members).await
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
        self.inner.create_shard(shard).await
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
}
