//! What activities may ask of the world. Small on purpose, and split by right: poll-wave is handed [`ExecutionReader`] and
//! [`WaveStore`] only, so it has no way to write an execution's status (FR-2.4, AC-3.5).

use crate::error::PortError;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, GroupRecord, JobRecord, LockRecord, MembersRecord, PlanRecord, RecordKey, ReplacedBy,
    Requests, ShardRecord, Target, TimelineEntry, WaveRecord,
};
use tidegate_contract::{ExecutionId, JobId, PlanId, SourceServerId};
use tidegate_core::finalize::Decision;
use tidegate_core::observed::{
    Instance, Job, JobLogItem, LaunchAction, LaunchSettings, NativeExecution, RecoveryInstance, SeenExecution,
    SourceServer, TaggedInstance,
};

type Result<T> = std::result::Result<T, PortError>;

/// The clock.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// One StartRecovery call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// Server, and the snapshot to launch it from; None: the latest state.
    pub servers: Vec<(SourceServerId, Option<String>)>,
    pub is_drill: bool,
    /// After this the call is not made any more: another attempt may have concluded that it never was.
    pub not_after: Timestamp,
    /// Empty: no tags are sent (they need drs:TagResource; lesson c-37).
    pub tags: BTreeMap<String, String>,
}

/// DRS in one account and Region. Reads follow every page. The two writes are sent once: their retries are decided by the
/// intent record, never by a client.
#[async_trait]
pub trait Drs: Send + Sync {
    async fn source_servers(&self) -> Result<Vec<SourceServer>>;
    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>>;
    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>>;
    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>>;
    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>>;
    async fn launch_settings(&self, server: &SourceServerId) -> Result<LaunchSettings>;
    /// The server's post-launch actions, active or not.
    async fn launch_actions(&self, server: &SourceServerId) -> Result<Vec<LaunchAction>>;
    /// Native recovery plan executions that are under way.
    async fn native_executions(&self) -> Result<Vec<NativeExecution>>;
    async fn start_recovery(&self, request: &StartRequest) -> Result<Job>;
    /// Not sent any more after `not_after`, see [`StartRequest::not_after`].
    async fn terminate_recovery_instances(&self, recovery_instance_ids: &[String], not_after: Timestamp)
    -> Result<Job>;
}

/// EC2 in one account and Region.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// Unknown ids are simply absent: right after a launch that is normal.
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>>;
    /// What runs or is stopped for these servers by DRS's tags, whether DRS lists it or not.
    async fn instances_of_servers(&self, servers: &[SourceServerId]) -> Result<Vec<TaggedInstance>>;
}

/// The way to DRS and EC2 leads through a target: there is no client with the workers' own credentials that could be used
/// for another account's servers by mistake (lesson c-23).
#[async_trait]
pub trait Targets: Send + Sync {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>>;
    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>>;
}

/// Result of a conditional creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    New,
    Existed,
}

/// Result of a write that expects a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Stored,
    /// Somebody else wrote in between: this attempt has been superseded.
    Stale,
}

/// Step Functions' word on executions of the recovery machine.
#[async_trait]
pub trait Witness: Send + Sync {
    /// None: it knows no execution by this ARN, never has or no more.
    async fn look_at(&self, execution_arn: &str) -> Result<Option<SeenExecution>>;
}

/// Reads executions.
#[async_trait]
pub trait ExecutionReader: Send + Sync {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>>;
}

/// Reads what people asked of a run.
#[async_trait]
pub trait RequestReader: Send + Sync {
    /// Whatever is written there, it is no fault.
    async fn requests(&self, id: &ExecutionId) -> Result<Requests>;
}

/// Writes executions: prepare, finalize, cleanup. POLLING and PAUSED are written by the state machine itself.
#[async_trait]
pub trait ExecutionWriter: ExecutionReader {
    /// Settles under which plan the record of an execution lies, before it is created. Another key than the given one: that
    /// was settled before.
    async fn claim_record(&self, key: &RecordKey) -> Result<RecordKey>;
    async fn create_execution(&self, record: &ExecutionRecord) -> Result<Created>;
    /// PENDING -> IN_PROGRESS. Stale if it is neither.
    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written>;
    /// Any non-terminal status -> the outcome, with its times, counts and report; removes the gate. Stale if terminal.
    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written>;
    /// Writes `by` into `continuedBy` of an execution that has ended. Stale if somebody else was faster, or if its cleanup
    /// moved on since `record` was read.
    async fn claim_continuation(
        &self,
        record: &ExecutionRecord,
        by: &ExecutionId,
        entry: &TimelineEntry,
    ) -> Result<Written>;
    /// Says in the record of a run that another one's launch deletes instances of it. Stale if somebody said so meanwhile.
    async fn note_replaced(&self, record: &ExecutionRecord, by: &ReplacedBy, entry: &TimelineEntry) -> Result<Written>;
    /// Stores the cleanup; expects `cleanup.version - 1`, or no cleanup at version 1, and `continuedBy` as in `record`.
    async fn put_cleanup(
        &self,
        record: &ExecutionRecord,
        cleanup: &Cleanup,
        entry: Option<&TimelineEntry>,
    ) -> Result<Written>;
}

/// The terminal write.
#[derive(Debug, Clone)]
pub struct Finish<'a> {
    pub record: &'a ExecutionRecord,
    pub decision: &'a Decision,
    pub end_time: &'a str,
    pub duration_seconds: u32,
    pub completed_waves: u32,
    pub failed_waves: u32,
    pub report: &'a tidegate_contract::records::Report,
    pub entry: &'a TimelineEntry,
}

/// Everything of an execution in `execution-waves`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunItems {
    pub members: Vec<MembersRecord>,
    pub waves: Vec<WaveRecord>,
    pub shards: Vec<ShardRecord>,
}

/// Waves, shards and members. Writes of existing items expect `version - 1`.
#[async_trait]
pub trait WaveStore: Send + Sync {
    /// Stale: members of another resolution are stored.
    async fn put_members(&self, members: &MembersRecord) -> Result<Written>;
    async fn load_members(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<MembersRecord>>;
    async fn load_wave(&self, id: &ExecutionId, wave_number: u32) -> Result<Option<(WaveRecord, Vec<ShardRecord>)>>;
    async fn load_run(&self, id: &ExecutionId) -> Result<RunItems>;
    async fn create_wave(&self, wave: &WaveRecord) -> Result<Created>;
    async fn create_shard(&self, shard: &ShardRecord) -> Result<Created>;
    async fn update_wave(&self, wave: &WaveRecord) -> Result<Written>;
    async fn update_shard(&self, shard: &ShardRecord) -> Result<Written>;
    /// Remembers which execution started a job; Existed: it is known.
    async fn create_job(&self, job: &JobRecord) -> Result<Created>;
    async fn find_job(&self, id: &JobId) -> Result<Option<JobRecord>>;
}

/// Outcome of asking for a server's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Ours, now or already.
    Acquired,
    Held(LockRecord),
}

/// Server locks.
#[async_trait]
pub trait LockStore: Send + Sync {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock>;
    /// Who holds a server, if anybody.
    async fn find_lock(&self, server: &str) -> Result<Option<LockRecord>>;
    /// Takes over a lock from a holder that ended without releasing it; Held if it changed hands meanwhile.
    async fn take_over_lock(&self, lock: &LockRecord, from: &ExecutionId) -> Result<Lock>;
    /// Releases it if `id` holds it.
    async fn release_lock(&self, server: &str, id: &ExecutionId) -> Result<()>;
}

/// An execution that ended COMPLETED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodRun {
    pub execution_id: ExecutionId,
    pub membership_hash: Option<String>,
}

/// So many of a plan's last executions are looked through for a good one.
pub const RUNS_LOOKED_THROUGH: usize = 50;

/// Stored plans and protection groups, and how the plan's runs went.
#[async_trait]
pub trait PlanReader: Send + Sync {
    async fn load_plan(&self, id: &PlanId) -> Result<Option<PlanRecord>>;
    async fn load_group(&self, id: &str) -> Result<Option<GroupRecord>>;
    /// The newest COMPLETED execution of a plan, among its last ones. The index that tells lags by moments.
    async fn last_good_run(&self, plan: &PlanId) -> Result<Option<GoodRun>>;
}

/// Everything the tables can do, for wiring.
pub trait Store: ExecutionWriter + RequestReader + WaveStore + LockStore + PlanReader {}
impl<T: ExecutionWriter + RequestReader + WaveStore + LockStore + PlanReader> Store for T {}
