//! The operations that start jobs. Both refuse the whole request or accept the whole request.

use super::{Context, Job, Phase, Region, Run, Timer, later};
use crate::error::{ApiError, FieldProblem, Quota};
use crate::faults::FaultKind;
use crate::time::Stamp;
use crate::wire::{
    self, DataReplicationState, FailbackState, InitiatedBy, JobStatus, JobType, LastLaunch, LastLaunchInitiated,
    LastLaunchResult, LastLaunchType, LaunchStatus, StartRecovery, Tags, TerminateRecoveryInstances,
};
use std::collections::BTreeSet;

const BUSY: &str = "One or more of the Source Servers included in API call are currently being processed by a Job";

impl Region {
    pub(crate) fn start_recovery(
        &mut self,
        input: StartRecovery,
        ctx: &mut Context<'_>,
    ) -> Result<wire::Job, ApiError> {
        let mut named = BTreeSet::new();
        let twice: Vec<FieldProblem> = input
            .source_servers
            .iter()
            .enumerate()
            .filter(|(_, server)| !named.insert(server.source_server_id.as_str()))
            .map(|(index, _)| FieldProblem {
                name: format!("sourceServers[{index}].sourceServerID"),
                message: "names a server twice".to_owned(),
            })
            .collect();
        if !twice.is_empty() {
            return Err(ApiError::validation(twice));
        }
        self.check_servers_per_job(named.len(), ctx)?;
        for server in &input.source_servers {
            self.check_launchable(&server.source_server_id, ctx)?;
            if let Some(snapshot) = &server.recovery_snapshot_id {
                let exists = self.snapshot_time(&server.source_server_id, snapshot, ctx).is_some();
                exists.then_some(()).ok_or_else(|| {
                    ApiError::conflict("The recovery snapshot does not exist", "RecoverySnapshot", snapshot)
                })?;
            }
        }
        self.check_job_quotas(named.len(), ctx)?;

        let initiated_by = if input.is_drill { InitiatedBy::StartDrill } else { InitiatedBy::StartRecovery };
        let kind = if input.is_drill { LastLaunchType::Drill } else { LastLaunchType::Recovery };
        let runs = input
            .source_servers
            .into_iter()
            .map(|server| Run::new(server.source_server_id, server.recovery_snapshot_id))
            .collect();
        let job_id = self.accept(JobType::Launch, initiated_by, input.tags, runs, ctx);
        for server in self.servers.values_mut().filter(|server| server.busy_with.as_deref() == Some(job_id.as_str())) {
            server.last_result = LastLaunchResult::Pending;
            server.last_launch = LastLaunch {
                initiated: LastLaunchInitiated {
                    api_call_date_time: Some(Stamp(ctx.now)),
                    job_id: Some(job_id.clone()),
                    kind: Some(kind),
                },
                status: Some(LaunchStatus::Pending),
            };
        }
        self.accepted(&job_id, ctx)
    }

    pub(crate) fn terminate_recovery_instances(
        &mut self,
        input: TerminateRecoveryInstances,
        ctx: &mut Context<'_>,
    ) -> Result<wire::Job, ApiError> {
        let ids: BTreeSet<&String> = input.recovery_instance_ids.iter().collect();
        self.check_servers_per_job(ids.len(), ctx)?;
        let mut runs = Vec::new();
        for id in ids {
            let refuse = |message: &str| Err(ApiError::conflict(message, "RecoveryInstance", id));
            let known = self.instances.get(id).filter(|instance| !instance.deleted);
            let gone = known.is_none_or(|instance| !instance.is_live());
            if gone && !ctx.quirks.terminates_gone_instances {
                return refuse("The recovery instance does not exist or is being terminated");
            }
            let Some(instance) = known else { continue };
            if self.is_failing_back(&instance.server, ctx) {
                return refuse("The recovery instance cannot be terminated during failback");
            }
            if self.servers.get(&instance.server).is_some_and(|server| server.busy_with.is_some()) {
                return Err(ApiError::conflict(BUSY, "SourceServer", &instance.server));
            }
            let mut run = Run::new(instance.server.clone(), None);
            run.instance = Some(id.clone());
            run.shows_instance = true;
            if gone {
                (run.phase, run.status) = (Phase::Done, LaunchStatus::Terminated);
            }
            runs.push(run);
        }
        self.check_job_quotas(runs.len(), ctx)?;
        let job_id = self.accept(JobType::Terminate, InitiatedBy::TerminateRecoveryInstances, Tags::new(), runs, ctx);
        self.accepted(&job_id, ctx)
    }

    fn check_servers_per_job(&self, servers: usize, ctx: &Context<'_>) -> Result<(), ApiError> {
        let limit = ctx.quotas.servers_per_job;
        (servers <= limit).then_some(()).ok_or_else(|| ApiError::quota(Quota::ServersPerJob, limit, "Job", ""))
    }

    /// The reasons for which AWS refuses a server (recovery-plans-validation.html: "same checks as individual recovery").
    fn check_launchable(&self, id: &str, ctx: &Context<'_>) -> Result<(), ApiError> {
        let refuse = |message: &str| Err(ApiError::conflict(message, "SourceServer", id));
        let Some(server) = self.servers.get(id) else {
            return refuse("One or more of the Source Servers included in API call do not exist");
        };
        if server.busy_with.is_some() || self.held_by_native_execution(id) {
            return refuse(BUSY);
        }
        if self.is_failing_back(id, ctx) {
            return refuse("The Source Server cannot be launched during failback");
        }
        use DataReplicationState::*;
        match server.facts.replication_state {
            Initiating | InitialSync => refuse("The Source Server has no consistent recovery point yet"),
            Disconnected | Stopped => refuse("The Source Server is disconnected or its replication is stopped"),
            Backlog | CreatingSnapshot | Continuous | Paused | Rescan | Stalled => Ok(()),
        }
    }

    /// "cannot be terminated during failback": the field reports the words, the API's model names no states. A failback that
    /// ended well is over; one that ended in an error may be tried again, so it still holds its server.
    fn is_failing_back(&self, server: &str, ctx: &Context<'_>) -> bool {
        !matches!(self.failback(server, ctx), FailbackState::NotStarted | FailbackState::Completed)
    }

    fn check_job_quotas(&self, servers: usize, ctx: &Context<'_>) -> Result<(), ApiError> {
        let open: Vec<&Job> = self.jobs.values().filter(|job| job.status != JobStatus::Completed).collect();
        let quotas = ctx.quotas;
        if open.len() >= quotas.concurrent_jobs {
            return Err(ApiError::quota(Quota::JobsInProgress, quotas.concurrent_jobs, "Job", ""));
        }
        let in_jobs: usize = open.iter().map(|job| job.runs.len()).sum();
        if in_jobs + servers > quotas.servers_in_all_jobs {
            return Err(ApiError::quota(Quota::ServersInAllJobs, quotas.servers_in_all_jobs, "SourceServer", ""));
        }
        Ok(())
    }

    fn accept(
        &mut self,
        kind: JobType,
        initiated_by: InitiatedBy,
        tags: Tags,
        runs: Vec<Run>,
        ctx: &mut Context<'_>,
    ) -> String {
        self.job_count += 1;
        let number = match ctx.life {
            0 => self.job_count.to_string(),
            life => format!("{}, life {life}", self.job_count),
        };
        let id = format!("drsjob-{}", ctx.dice.hex(&["job", &self.scope.account, &self.scope.region, &number], 17));
        for run in &runs {
            if let Some(server) = self.servers.get_mut(&run.server) {
                server.busy_with = Some(id.clone());
            }
        }
        let mut until = |kind: FaultKind, seconds: f64| {
            let struck = |run: &Run| ctx.faults.strike_server(kind, &self.scope, &run.server, |_| true);
            let rule = runs.iter().find_map(struck)?;
            Some(later(ctx.now, ctx.timing.span(rule.seconds.unwrap_or(seconds))))
        };
        let listed_at = until(FaultKind::JobListLag, 120.0).unwrap_or(ctx.now);
        let vanishes_at = until(FaultKind::JobVanishes, 600.0);
        let job = Job {
            id: id.clone(),
            number: self.job_count,
            kind,
            initiated_by,
            created: Stamp(ctx.now),
            ended: None,
            listed_at,
            vanishes_at,
            status: JobStatus::Pending,
            tags,
            runs,
            log: Vec::new(),
        };
        self.jobs.insert(id.clone(), job);
        let start = ctx.timing.varied(ctx.timing.start_seconds, ctx.dice, &[&id, "start"]);
        self.timers.arm(later(ctx.now, start), Timer::JobStart(id.clone()));
        id
    }

    fn accepted(&self, job_id: &str, ctx: &Context<'_>) -> Result<wire::Job, ApiError> {
        let job = self.jobs.get(job_id).ok_or_else(|| ApiError::internal(500, None))?;
        Ok(self.job_view(job, ctx.quirks))
    }
}

impl Run {
    fn new(server: String, snapshot: Option<String>) -> Self {
        Self {
            server,
            snapshot,
            phase: Phase::Waiting,
            status: LaunchStatus::Pending,
            instance: None,
            shows_instance: false,
            point_in_time: None,
            doomed: None,
            actions: None,
        }
    }
}
