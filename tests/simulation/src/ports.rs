//! The activities' ports over the simulated world. Every call takes virtual time and passes the faults.

use crate::expression::Refusal;
use crate::faults::{Fault, Faults, port_error};
use crate::tables::{Refused, Tables, from_item};
use crate::time::{VirtualClock, after, lock};
use crate::translation::{instance, job, log_item, recovery_instance, refused, source_server};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex};
use tidegate_aws::ports::{
    Clock, Created, Drs, Ec2, ExecutionReader, ExecutionWriter, Finish, Lock, LockStore, PlanReader, RunItems,
    StartRequest, Targets, WaveStore, Written,
};
use tidegate_aws::store::writes::{self, Write};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, GroupRecord, LockRecord, MembersRecord, PlanRecord, ShardRecord, Target, TimelineEntry,
    WaveRecord,
};
use tidegate_contract::tables::{TableKey, members_key, wave_key};
use tidegate_contract::{ExecutionId, JobId, PlanId, SourceServerId};
use tidegate_core::observed::{Instance, Job, JobLogItem, NativeExecution, RecoveryInstance, SourceServer};
use tidegate_core::time as core_time;
use tidegate_simulator::wire;
use tidegate_simulator::{MemoryInstances, Scope, Simulator, settle};

/// What a port call asks of the run, beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// This worker dies now.
    Crash { worker: usize },
    /// This task's worker stops beating for it until then.
    Freeze { task: u64, until: Timestamp },
}

/// Everything that exists, behind one lock: there is one thread.
#[derive(Debug)]
pub struct State {
    pub tables: Tables,
    pub drs: Simulator,
    pub ec2: MemoryInstances,
    pub faults: Faults,
    pub controls: Vec<Control>,
    /// Accepted StartRecovery calls: servers, and the job.
    pub launches: Vec<(Vec<SourceServerId>, JobId)>,
    /// A StartRecovery that was sent although a job of this run held one of its servers: DRS refuses it, and it should never
    /// have been sent.
    pub sent_again: Option<String>,
    /// Instances TerminateRecoveryInstances was asked for.
    pub terminations: Vec<String>,
}

/// The world of one run.
#[derive(Debug)]
pub struct SimWorld {
    pub clock: VirtualClock,
    pub state: Mutex<State>,
}

impl SimWorld {
    /// Brings DRS up to the clock.
    pub fn settle(&self) {
        let mut state = lock(&self.state);
        let State { drs, ec2, .. } = &mut *state;
        settle(drs, ec2, self.clock.now());
    }
}

/// The ports of one task on one worker.
#[derive(Debug, Clone)]
pub struct Ports {
    pub world: Arc<SimWorld>,
    pub task: u64,
    pub worker: usize,
    /// How far this worker's clock is off, in milliseconds.
    pub skew: i64,
}

type Result<T> = std::result::Result<T, PortError>;

impl Ports {
    /// An idempotent call: the SDK tries it four times, seconds apart, before an activity hears of a fault.
    async fn call<T>(
        &self,
        action: &'static str,
        changes_the_world: bool,
        mut effect: impl FnMut(&mut State, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let result = self.call_once(action, changes_the_world, &mut effect).await;
            match result {
                Err(error) if attempt < 4 && matches!(error.class, ErrorClass::Throttled | ErrorClass::Transient) => {
                    self.world.clock.sleep(500 << attempt).await;
                }
                other => return other,
            }
        }
    }

    /// A call that is sent once.
    async fn call_once<T>(
        &self,
        action: &'static str,
        changes_the_world: bool,
        mut effect: impl FnMut(&mut State, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let clock = &self.world.clock;
        let (before, after_effect, fault) = lock(&self.world.state).faults.at_call(clock.now(), changes_the_world);
        clock.sleep(before).await;
        match fault {
            Some(Fault::LostBefore | Fault::Throttled) => {
                return Err(port_error(action, fault.unwrap_or(Fault::LostBefore)));
            }
            Some(Fault::Hang) => {
                // The task's own timeout ends this; a client timeout would, too.
                clock.sleep(3_600_000).await;
                return Err(port_error(action, Fault::Hang));
            }
            Some(Fault::CrashBefore) => self.crash().await,
            Some(Fault::Freeze(seconds)) => {
                let milliseconds = i64::from(seconds) * 1_000;
                let until = after(clock.now(), milliseconds);
                lock(&self.world.state).controls.push(Control::Freeze { task: self.task, until });
                clock.sleep(milliseconds).await;
            }
            Some(Fault::LostAfter | Fault::CrashAfter) | None => {}
        }
        self.world.settle();
        let result = effect(&mut lock(&self.world.state), clock.now());
        if fault == Some(Fault::CrashAfter) {
            self.crash().await;
        }
        clock.sleep(after_effect).await;
        if fault == Some(Fault::LostAfter) {
            return Err(port_error(action, Fault::LostAfter));
        }
        result
    }

    /// Never returns: the run drops this task with its worker.
    async fn crash(&self) {
        lock(&self.world.state).controls.push(Control::Crash { worker: self.worker });
        std::future::pending::<()>().await;
    }

    async fn write(&self, action: &'static str, write: Write) -> Result<std::result::Result<(), Refused>> {
        self.call(action, true, |state, _| match state.tables.write(&write) {
            Err(Refused { refusal: Refusal::Invalid(message), .. }) => Err(PortError::unreadable(action, message)),
            other => Ok(other),
        })
        .await
    }

    async fn written(&self, write: Write) -> Result<Written> {
        Ok(if self.write("dynamodb:UpdateItem", write).await?.is_ok() { Written::Stored } else { Written::Stale })
    }

    async fn created(&self, write: Write) -> Result<Created> {
        Ok(if self.write("dynamodb:PutItem", write).await?.is_ok() { Created::New } else { Created::Existed })
    }

    async fn read<T: DeserializeOwned + Send>(
        &self,
        table: TableKey,
        partition: &str,
        sort: &str,
    ) -> Result<Option<T>> {
        let action = "dynamodb:GetItem";
        self.call(action, false, |state, _| {
            state
                .tables
                .get(table, partition, sort)
                .map(from_item)
                .transpose()
                .map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        after(self.world.clock.now(), self.skew)
    }
}

#[async_trait]
impl ExecutionReader for Ports {
    async fn find_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>> {
        let action = "dynamodb:Query";
        self.call(action, false, |state, _| {
            let mut found = state.tables.query(TableKey::ExecutionHistory, id.as_str(), "");
            found.next().map(from_item).transpose().map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

#[async_trait]
impl ExecutionWriter for Ports {
    async fn create_execution(&self, record: &ExecutionRecord) -> Result<Created> {
        self.created(writes::create(TableKey::ExecutionHistory, record)).await
    }

    async fn begin_execution(&self, record: &ExecutionRecord, entry: &TimelineEntry) -> Result<Written> {
        self.written(writes::begin_execution(record, entry)).await
    }

    async fn finish_execution(&self, finish: &Finish<'_>) -> Result<Written> {
        self.written(writes::finish_execution(finish)).await
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
}

impl Ports {
    async fn load(&self, id: &ExecutionId, prefix: &str) -> Result<RunItems> {
        let action = "dynamodb:Query";
        self.call(action, false, |state, _| {
            run_items(&state.tables, id.as_str(), prefix).map_err(|error| PortError::unreadable(action, error))
        })
        .await
    }
}

/// Items of `execution-waves`, told apart by their sort key as the store does.
pub fn run_items(tables: &Tables, id: &str, prefix: &str) -> std::result::Result<RunItems, String> {
    let mut run = RunItems::default();
    for item in tables.query(TableKey::ExecutionWaves, id, prefix) {
        let key = item.get("waveKey").and_then(|key| key.as_str()).unwrap_or_default();
        match key.split_once('#') {
            None => run.waves.push(from_item(item)?),
            Some((_, "members")) => run.members.push(from_item(item)?),
            Some(_) => run.shards.push(from_item(item)?),
        }
    }
    Ok(run)
}

#[async_trait]
impl LockStore for Ports {
    async fn acquire_lock(&self, lock: &LockRecord) -> Result<Lock> {
        self.put_lock(lock, &lock.execution_id).await
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
}

#[async_trait]
impl Targets for Ports {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>> {
        Ok(Arc::new(TargetPorts { ports: self.clone(), scope: Scope::new(&target.account_id, &target.region) }))
    }

    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>> {
        Ok(Arc::new(TargetPorts { ports: self.clone(), scope: Scope::new(&target.account_id, &target.region) }))
    }
}

struct TargetPorts {
    ports: Ports,
    scope: Scope,
}

#[async_trait]
impl Drs for TargetPorts {
    async fn source_servers(&self) -> Result<Vec<SourceServer>> {
        let action = "drs:DescribeSourceServers";
        self.ports
            .call(action, false, |state, now| {
                let answer =
                    state.drs.describe_source_servers(&self.scope, wire::DescribeSourceServers::default(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(source_server).collect())
            })
            .await
    }

    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let job_ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
        self.describe_jobs(wire::JobFilters { job_ids: Some(job_ids), ..Default::default() }).await
    }

    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>> {
        self.describe_jobs(wire::JobFilters { from_date: Some(core_time::format(since)), ..Default::default() }).await
    }

    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>> {
        let action = "drs:DescribeJobLogItems";
        let input = wire::DescribeJobLogItems { job_id: job.as_str().to_owned(), ..Default::default() };
        self.ports
            .call(action, false, |state, now| {
                let answer = state.drs.describe_job_log_items(&self.scope, input.clone(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(log_item).collect())
            })
            .await
    }

    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>> {
        let action = "drs:DescribeRecoveryInstances";
        let ids = servers.iter().map(|id| id.as_str().to_owned()).collect();
        let filters = wire::RecoveryInstanceFilters { source_server_ids: Some(ids), ..Default::default() };
        let input = wire::DescribeRecoveryInstances { filters: Some(filters), ..Default::default() };
        self.ports
            .call(action, false, |state, now| {
                let answer = state.drs.describe_recovery_instances(&self.scope, input.clone(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(recovery_instance).collect())
            })
            .await
    }

    async fn post_launch_enabled(&self, server: &SourceServerId) -> Result<bool> {
        let action = "drs:GetLaunchConfiguration";
        let input = serde_json::json!({ "sourceServerID": server.as_str() });
        self.ports
            .call(action, false, |state, now| {
                let operation = tidegate_simulator::Operation::GetLaunchConfiguration;
                let answer = state
                    .drs
                    .operation(&self.scope, operation, input.clone(), now)
                    .map_err(|error| refused(action, error))?;
                Ok(answer.and_then(|answer| answer.get("postLaunchEnabled")?.as_bool()).unwrap_or(false))
            })
            .await
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>> {
        self.ports.call("drs:ListRecoveryPlanExecutions", false, |_, _| Ok(Vec::new())).await
    }

    async fn start_recovery(&self, request: &StartRequest) -> Result<Job> {
        let action = "drs:StartRecovery";
        let source_servers = request
            .servers
            .iter()
            .map(|(id, snapshot)| wire::StartRecoverySourceServer {
                source_server_id: id.as_str().to_owned(),
                recovery_snapshot_id: snapshot.clone(),
            })
            .collect();
        let tags = request.tags.clone();
        let input = wire::StartRecovery { source_servers, is_drill: request.is_drill, tags };
        self.ports
            .call_once(action, true, |state, now| {
                if after(now, self.ports.skew) > request.not_after {
                    return Err(PortError::too_late(action));
                }
                note_if_sent_again(state, &self.scope, request, now);
                let answer = state
                    .drs
                    .start_recovery(&self.scope, input.clone(), now)
                    .map_err(|error| refused(action, error))?;
                let servers = request.servers.iter().map(|(id, _)| id.clone()).collect();
                state.launches.push((servers, JobId::from(answer.job_id.as_str())));
                Ok(job(answer))
            })
            .await
    }

    async fn terminate_recovery_instances(&self, recovery_instance_ids: &[String]) -> Result<Job> {
        let action = "drs:TerminateRecoveryInstances";
        let input = wire::TerminateRecoveryInstances { recovery_instance_ids: recovery_instance_ids.to_vec() };
        self.ports
            .call_once(action, true, |state, now| {
                let answer = state
                    .drs
                    .terminate_recovery_instances(&self.scope, input.clone(), now)
                    .map_err(|error| refused(action, error))?;
                state.terminations.extend(recovery_instance_ids.iter().cloned());
                Ok(job(answer))
            })
            .await
    }
}

fn note_if_sent_again(state: &mut State, scope: &Scope, request: &StartRequest, now: Timestamp) {
    let ours: Vec<&JobId> = state
        .launches
        .iter()
        .filter(|(servers, _)| request.servers.iter().any(|(id, _)| servers.contains(id)))
        .map(|(_, job)| job)
        .collect();
    if ours.is_empty() {
        return;
    }
    let job_ids = ours.iter().map(|id| id.as_str().to_owned()).collect();
    let filters = wire::JobFilters { job_ids: Some(job_ids), ..Default::default() };
    let jobs = state.drs.describe_jobs(scope, wire::DescribeJobs { filters: Some(filters), ..Default::default() }, now);
    let running =
        jobs.ok().and_then(|jobs| jobs.items.into_iter().find(|job| job.status != wire::JobStatus::Completed));
    if let Some(job) = running {
        state.sent_again = Some(job.job_id);
    }
}

impl TargetPorts {
    async fn describe_jobs(&self, filters: wire::JobFilters) -> Result<Vec<Job>> {
        let action = "drs:DescribeJobs";
        let input = wire::DescribeJobs { filters: Some(filters), ..Default::default() };
        self.ports
            .call(action, false, |state, now| {
                let answer =
                    state.drs.describe_jobs(&self.scope, input.clone(), now).map_err(|error| refused(action, error))?;
                Ok(answer.items.into_iter().map(job).collect())
            })
            .await
    }
}

#[async_trait]
impl Ec2 for TargetPorts {
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>> {
        self.ports
            .call("ec2:DescribeInstances", false, |state, _| {
                Ok(ids.iter().filter_map(|id| state.ec2.get(id)).map(instance).collect())
            })
            .await
    }
}
