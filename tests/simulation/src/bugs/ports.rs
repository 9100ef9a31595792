//! Mistakes in the adapters, and in activities as far as they show at their ports: the shipped activity on a port that
//! answers or asks as the mistaken code would. Here DRS and EC2; the store is in [`super::store`].

use crate::bugs::Bug;
use crate::ports::SimWorld;
use crate::time::lock;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tidegate_aws::ports::{Drs, Ec2, StartRequest, Store, Targets, Witness};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::records::Target;
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ActivityName, JobId, SourceServerId};
use tidegate_core::observed::{
    Instance, Job, JobLogItem, JobStatus, LaunchAction, LaunchSettings, NativeExecution, RecoveryInstance,
    SeenExecution, SourceServer, TaggedInstance,
};

pub(super) type Result<T> = std::result::Result<T, PortError>;

/// What a port does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    /// Looking for an intent's job finds nothing.
    LookFindsNothing,
    /// Looking begins an hour late: local time taken for UTC.
    LookInLocalTime,
    /// A failed read is an empty list.
    ErrorsAreEmpty,
    /// Only the first page of source servers, here of two.
    FirstPageOfServers,
    /// A page of jobs is lost, here of one.
    PageOfJobsLost,
    /// A page of instances is lost, here of one, of DRS's list and of EC2's.
    PageOfInstancesLost,
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
    /// The launch is sent before its intent is on record.
    LaunchBeforeIntent,
    /// A shard is written without its last server.
    ShardLosesAServer,
    /// The members are stored without the last one.
    MembersLoseAServer,
    /// A server that runs since an earlier drill counts as launched.
    FormerInstanceCounts,
    /// Every post-launch action is taken for optional.
    ActionsAreOptional,
    /// An execution that Step Functions does not know is taken for one that failed.
    ForgottenIsProof,
    /// Nobody settles under which plan a record lies, and finalize does not know the input.
    KeyNotSettled,
    /// DRS's own recovery plans are not asked for.
    NativeUnasked,
    /// Jobs of others are not listed.
    OthersUnlisted,
    /// TerminateRecoveryInstances is repeated by the SDK.
    TerminateRetried,
    /// The look before a launch shows nothing.
    LooksAtNothing,
    /// What a job has just launched does not count until somebody lists it.
    JustLaunchedUncounted,
    /// Cleanup takes every instance for a drill's.
    CleanupForgetsIsDrill,
}

/// A port with a slip.
pub(super) struct Slipping<P: ?Sized> {
    pub(super) inner: Arc<P>,
    pub(super) slip: Slip,
    pub(super) activity: ActivityName,
    pub(super) world: Arc<SimWorld>,
    pub(super) targets: Arc<dyn Targets>,
}

impl<P: ?Sized> Slipping<P> {
    fn around<Q: ?Sized>(&self, inner: Arc<Q>) -> Slipping<Q> {
        let (world, targets) = (self.world.clone(), self.targets.clone());
        Slipping { inner, slip: self.slip, activity: self.activity, world, targets }
    }

    /// A listing as the mistaken code reads it; `paging`: the mistake in the reading of its pages.
    fn list<T>(&self, paging: Option<Slip>, result: Result<Vec<T>>) -> Result<Vec<T>> {
        match (self.slip, result) {
            (Slip::ErrorsAreEmpty, Err(error))
                if matches!(error.class, ErrorClass::Transient | ErrorClass::Throttled) =>
            {
                Ok(Vec::new())
            }
            (Slip::FirstPageOfServers, Ok(mut items)) if paging == Some(self.slip) => {
                items.truncate(2);
                Ok(items)
            }
            (_, Ok(items)) if paging == Some(self.slip) => Ok(items.into_iter().skip(1).collect()),
            (_, result) => result,
        }
    }

    fn launches(&self) -> bool {
        matches!(self.activity, ActivityName::PrepareExecution | ActivityName::StartWave)
    }

    fn in_cleanup(&self) -> bool {
        matches!(self.activity, ActivityName::StartCleanup | ActivityName::PollCleanup)
    }
}

/// What an activity has of the world beside its clock.
type Outside = (Arc<dyn Store>, Arc<dyn Targets>, Arc<dyn Witness>);

/// Whatever runs under the name of bug `bug`, behind its slips.
pub(super) fn slipping(bug: &'static Bug, of: Outside, activity: ActivityName, world: &Arc<SimWorld>) -> Outside {
    let Some(slip) = bug.slip else { return of };
    let (store, targets, witness) = of;
    let around = Slipping { inner: targets.clone(), slip, activity, world: world.clone(), targets };
    (Arc::new(around.around(store)), Arc::new(around.around(around.inner.clone())), Arc::new(around.around(witness)))
}

#[async_trait]
impl Witness for Slipping<dyn Witness> {
    async fn look_at(&self, execution_arn: &str) -> Result<Option<SeenExecution>> {
        let mut seen = self.inner.look_at(execution_arn).await?;
        if self.slip == Slip::ForgottenIsProof {
            seen.get_or_insert_with(|| SeenExecution {
                status: "FAILED".to_owned(),
                started_at: self.world.clock.now(),
                input: Some(r#"{"planId":"forged","executionType":"RECOVERY"}"#.to_owned()),
                error: None,
                cause: None,
            });
        }
        if let Some(seen) = seen.as_mut().filter(|_| self.slip == Slip::KeyNotSettled) {
            seen.input = None;
        }
        Ok(seen)
    }
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
        self.list(Some(Slip::FirstPageOfServers), self.inner.source_servers().await)
    }

    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let mut jobs = self.list(None, self.inner.jobs(ids).await)?;
        if self.slip == Slip::ActionsAreOptional {
            let servers = jobs.iter_mut().flat_map(|job| &mut job.servers);
            servers.flat_map(|server| server.actions.iter_mut().flatten()).for_each(|run| run.optional = true);
        }
        Ok(jobs)
    }

    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>> {
        match self.slip {
            Slip::LookFindsNothing => self.inner.jobs_since(since).await.map(|_| Vec::new()),
            Slip::LookInLocalTime => {
                let late = since.checked_add(SignedDuration::from_hours(1)).unwrap_or(since);
                self.inner.jobs_since(late).await
            }
            Slip::OthersUnlisted if self.activity == ActivityName::StartWave => {
                let mut jobs = self.inner.jobs_since(since).await?;
                let state = lock(&self.world.state);
                jobs.retain(|job| state.launches.of_job(job.job_id.as_str()).is_some());
                Ok(jobs)
            }
            Slip::JustLaunchedUncounted | Slip::RetryRelaunchesAll if self.launches() => {
                let mut jobs = self.inner.jobs_since(since).await?;
                jobs.iter_mut().for_each(|job| job.ended_at = None);
                Ok(jobs)
            }
            _ => self.list(Some(Slip::PageOfJobsLost), self.inner.jobs_since(since).await),
        }
    }

    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>> {
        self.inner.job_log(job).await
    }

    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>> {
        let forgets = (self.slip == Slip::RetryRelaunchesAll && self.activity == ActivityName::StartWave)
            || (self.slip == Slip::LooksAtNothing && self.launches());
        let mut found = self.list(Some(Slip::PageOfInstancesLost), self.inner.recovery_instances(servers).await)?;
        if forgets {
            found.clear();
        }
        let careless = match self.slip {
            Slip::ServerOnlyMatch => !self.in_cleanup() && !self.launches(),
            Slip::CleanupTakesAny => self.in_cleanup(),
            _ => false,
        };
        if self.slip == Slip::CleanupForgetsIsDrill && self.in_cleanup() {
            found.iter_mut().for_each(|instance| instance.is_drill = true);
        }
        if careless {
            for instance in &mut found {
                adopt(&self.world, instance);
            }
        }
        Ok(found)
    }

    async fn launch_settings(&self, server: &SourceServerId) -> Result<LaunchSettings> {
        self.inner.launch_settings(server).await
    }

    async fn launch_actions(&self, server: &SourceServerId) -> Result<Vec<LaunchAction>> {
        self.inner.launch_actions(server).await
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>> {
        match self.slip {
            Slip::NativeUnasked => Ok(Vec::new()),
            _ => self.inner.native_executions().await,
        }
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

    async fn terminate_recovery_instances(
        &self,
        recovery_instance_ids: &[String],
        not_after: Timestamp,
    ) -> Result<Job> {
        let result = self.inner.terminate_recovery_instances(recovery_instance_ids, not_after).await;
        match &result {
            Err(error) if self.slip == Slip::TerminateRetried && error.class == ErrorClass::Transient => {
                self.inner.terminate_recovery_instances(recovery_instance_ids, not_after).await
            }
            _ => result,
        }
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
        let result = self.list(Some(Slip::PageOfInstancesLost), self.inner.instances(ids).await);
        if self.slip == Slip::Ec2FailsThePoll && result.is_err() {
            lock(&self.world.state).bug.ec2_failed = true;
        }
        result
    }

    async fn instances_of_servers(&self, servers: &[SourceServerId]) -> Result<Vec<TaggedInstance>> {
        let found = self.list(Some(Slip::PageOfInstancesLost), self.inner.instances_of_servers(servers).await)?;
        // A mistake in the reading of DRS's list is one in what is known of EC2, too: the bugs are about the whole look.
        let blind = matches!(self.slip, Slip::RetryRelaunchesAll | Slip::LooksAtNothing) && self.launches();
        Ok(if blind { Vec::new() } else { found })
    }
}
