//! A server's way through a LAUNCH job:
//!
//! ```text
//! Waiting ─> (Cleanup of former instances) ─> Snapshot ─> Conversion ─> Launching ─> Done
//!                launchStatus PENDING all along ────────────────────┘  IN_PROGRESS └─> LAUNCHED | FAILED
//! ```
//! Faults are looked up where a stage begins, so that one set while a job runs still strikes the stages to come.

use super::{Context, Deletion, Doom, Instance, Phase, Region, Timer, is_hidden, later};
use crate::faults::{FaultKind, FaultRule, Stage};
use crate::instances::{Effect, LaunchInstance, LaunchedInstance};
use crate::time::Stamp;
use crate::wire::{
    Ec2InstanceState, InitiatedBy, JobLogEvent, JobLogEventData, LastLaunchResult, LaunchDisposition, LaunchStatus,
    RecoverySnapshot, Tags,
};

/// Share of the launch after which the instance runs (and has still to boot its agents before LAUNCH_END).
const BOOT_SHARE: f64 = 0.4;

impl Region {
    /// The first phase of a server. Its former instances go first: a drill's always, a recovery's as the quirk says (quick start
    /// guide), also those that were deleted in DRS (monitoring-recovery-instances).
    pub(super) fn enter_launch(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(server) = self.run(job_id, run).map(|run| run.server.clone()) else {
            return;
        };
        if self.strike_stage(FaultKind::LaunchFails, Stage::Skipped, &server, ctx).is_some() {
            self.log_server(job_id, ctx.now, JobLogEvent::ServerSkipped, &server);
            return self.finish(job_id, run, LaunchStatus::Failed);
        }
        let goes = |instance: &&mut Instance| {
            let kind = instance.is_drill || ctx.quirks.launch_deletes_recovery_instances;
            instance.server == server && kind && instance.is_live()
        };
        let mut former = Vec::new();
        for instance in self.instances.values_mut().filter(goes) {
            instance.state = Ec2InstanceState::ShuttingDown;
            former.push(instance.id.clone());
            let (instance_id, is_drill) = (instance.id.clone(), instance.is_drill);
            let was_hidden = is_hidden(instance, &self.jobs, ctx.now);
            ctx.deletions.push(Deletion { instance_id, is_drill, was_hidden, by_job: job_id.to_owned() });
        }
        if former.is_empty() {
            return self.enter_snapshot(job_id, run, ctx);
        }
        self.log_server(job_id, ctx.now, JobLogEvent::CleanupStart, &server);
        for instance_id in former {
            ctx.outbox.push(Effect::TerminateInstance { scope: self.scope.clone(), instance_id });
        }
        self.enter_phase(job_id, run, Phase::Cleanup, ctx.timing.cleanup_seconds, ctx);
    }

    pub(super) fn end_cleanup(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(server) = self.run(job_id, run).map(|run| run.server.clone()) else {
            return;
        };
        let gone = |instance: &Instance| instance.server == server && instance.state == Ec2InstanceState::ShuttingDown;
        self.instances.retain(|_, instance| !gone(instance));
        if let Some(server) = self.servers.get_mut(&server) {
            server.newest_instance = server.newest_instance.take().filter(|id| self.instances.contains_key(id));
        }
        // One that EC2 would not terminate lives on; that does not keep the new one from launching.
        let stays = |instance: &Instance| instance.is_drill || ctx.quirks.launch_deletes_recovery_instances;
        let left =
            self.instances.values().any(|instance| instance.server == server && instance.is_live() && stays(instance));
        let event = if left { JobLogEvent::CleanupFail } else { JobLogEvent::CleanupEnd };
        self.log_server(job_id, ctx.now, event, &server);
        self.enter_snapshot(job_id, run, ctx);
    }

    fn enter_snapshot(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some((server, pinned)) = self.run(job_id, run).map(|run| (run.server.clone(), run.snapshot.clone())) else {
            return;
        };
        if let Some(snapshot) = pinned {
            // A named point in time needs no new snapshot.
            let taken = self.snapshot_time(&server, &snapshot, ctx);
            if let Some(record) = self.run_mut(job_id, run) {
                record.point_in_time = taken;
            }
            return self.enter_conversion(job_id, run, ctx);
        }
        self.log_server(job_id, ctx.now, JobLogEvent::SnapshotStart, &server);
        if self.sticks(job_id, run, Stage::Snapshot, ctx) {
            return;
        }
        let silent = ctx.faults.strike_server(FaultKind::SilentNoLaunch, &self.scope, &server, |_| true);
        let loud = self.strike_stage(FaultKind::LaunchFails, Stage::Snapshot, &server, ctx);
        let dead = self.dead_since(&server, ctx).is_some();
        if let Some(record) = self.run_mut(job_id, run) {
            record.doomed = match (silent, loud) {
                (Some(_), _) => Some(Doom::Silent),
                (None, Some(rule)) => Some(loudly(rule, "Failed to create a snapshot: RequestLimitExceeded")),
                (None, None) => dead.then_some(Doom::NoSource),
            };
        }
        let timing = ctx.timing;
        let takes = if dead { timing.dead_snapshot_seconds } else { timing.snapshot_seconds };
        self.enter_phase(job_id, run, Phase::Snapshot, takes, ctx);
    }

    pub(super) fn end_snapshot(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some((server, doomed)) = self.run(job_id, run).map(|run| (run.server.clone(), run.doomed.clone())) else {
            return;
        };
        match doomed {
            Some(Doom::Loud(raw_error)) => self.fail(job_id, run, JobLogEvent::SnapshotFail, raw_error, ctx),
            Some(Doom::Silent) => {
                self.log_server(job_id, ctx.now, JobLogEvent::SnapshotEnd, &server);
                self.finish(job_id, run, LaunchStatus::Failed);
            }
            Some(Doom::NoSource) => {
                self.log_server(job_id, ctx.now, JobLogEvent::SnapshotFail, &server);
                self.use_previous_snapshot(job_id, run, &server, ctx);
            }
            None => {
                self.log_server(job_id, ctx.now, JobLogEvent::SnapshotEnd, &server);
                self.keep_snapshot(job_id, &server, ctx);
                if let Some(record) = self.run_mut(job_id, run) {
                    record.point_in_time = Some(Stamp(ctx.now));
                }
                self.enter_conversion(job_id, run, ctx);
            }
        }
    }

    /// Nobody can take a snapshot of a source that is dead: the launch goes on with what there is.
    fn use_previous_snapshot(&mut self, job_id: &str, run: usize, server: &str, ctx: &mut Context<'_>) {
        let previous = self.newest_snapshot(server, ctx);
        let fault = self.strike_stage(FaultKind::LaunchFails, Stage::PreviousSnapshot, server, ctx);
        let (None, Some(taken)) = (&fault, previous) else {
            let raw_error = fault.and_then(|rule| rule.raw_error);
            let raw_error = raw_error.unwrap_or_else(|| "No previous snapshot can be used".to_owned());
            return self.fail(job_id, run, JobLogEvent::UsingPreviousSnapshotFailed, raw_error, ctx);
        };
        self.log_server(job_id, ctx.now, JobLogEvent::UsingPreviousSnapshot, server);
        if let Some(record) = self.run_mut(job_id, run) {
            record.point_in_time = Some(taken);
        }
        self.enter_conversion(job_id, run, ctx);
    }

    fn keep_snapshot(&mut self, job_id: &str, server: &str, ctx: &Context<'_>) {
        let Some(record) = self.servers.get_mut(server) else {
            return;
        };
        let disks = record
            .facts
            .volumes
            .iter()
            .map(|volume| format!("snap-{}", ctx.dice.hex(&[job_id, server, &volume.device_name], 17)));
        let snapshot = RecoverySnapshot {
            snapshot_id: format!("pit-{}", ctx.dice.hex(&[job_id, server, "snapshot"], 17)),
            source_server_id: server.to_owned(),
            expected_timestamp: Stamp(ctx.now),
            timestamp: Stamp(ctx.now),
            ebs_snapshots: disks.collect(),
        };
        record.snapshots.push(snapshot);
    }

    fn enter_conversion(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(server) = self.run(job_id, run).map(|run| run.server.clone()) else {
            return;
        };
        self.log_server(job_id, ctx.now, JobLogEvent::ConversionStart, &server);
        if self.sticks(job_id, run, Stage::Conversion, ctx) {
            return;
        }
        let doomed = self.strike_stage(FaultKind::LaunchFails, Stage::Conversion, &server, ctx).map(|rule| {
            loudly(rule, "The conversion server could not convert the boot volume: unsupported boot loader")
        });
        if let Some(record) = self.run_mut(job_id, run) {
            record.doomed = doomed;
        }
        self.enter_phase(job_id, run, Phase::Conversion, ctx.timing.conversion_seconds, ctx);
    }

    pub(super) fn end_conversion(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some((server, doomed)) = self.run(job_id, run).map(|run| (run.server.clone(), run.doomed.clone())) else {
            return;
        };
        if let Some(Doom::Loud(raw_error)) = doomed {
            return self.fail(job_id, run, JobLogEvent::ConversionFail, raw_error, ctx);
        }
        let data = JobLogEventData {
            source_server_id: Some(server.clone()),
            conversion_server_id: Some(format!("i-{}", ctx.dice.hex(&[job_id, &server, "conversion"], 17))),
            ..JobLogEventData::default()
        };
        self.log(job_id, ctx.now, JobLogEvent::ConversionEnd, data);
        self.enter_launching(job_id, run, &server, ctx);
    }

    fn enter_launching(&mut self, job_id: &str, run: usize, server: &str, ctx: &mut Context<'_>) {
        self.log_server(job_id, ctx.now, JobLogEvent::LaunchStart, server);
        self.set_status(job_id, run, LaunchStatus::InProgress);
        if self.sticks(job_id, run, Stage::Launch, ctx) {
            return;
        }
        let refused = "An error occurred (InsufficientInstanceCapacity) when calling the RunInstances operation: We currently do not have \
                       sufficient capacity in the Availability Zone you requested";
        let doomed =
            self.strike_stage(FaultKind::LaunchFails, Stage::Launch, server, ctx).map(|rule| loudly(rule, refused));
        if doomed.is_none()
            && let Some(launch) = self.launch_of(job_id, server)
        {
            ctx.outbox.push(Effect::LaunchInstance(launch));
        }
        if let Some(record) = self.run_mut(job_id, run) {
            record.doomed = doomed;
        }
        self.enter_phase(job_id, run, Phase::Launching, ctx.timing.launch_seconds, ctx);
    }

    fn launch_of(&self, job_id: &str, server: &str) -> Option<LaunchInstance> {
        let record = self.servers.get(server)?;
        let mut tags = if record.config.copy_tags { record.tags.clone() } else { Tags::new() };
        tags.entry("Name".to_owned()).or_insert_with(|| record.facts.hostname.clone());
        tags.insert("AWSElasticDisasterRecoveryManaged".to_owned(), "drs.amazonaws.com".to_owned());
        tags.insert("drs.amazonaws.com-job".to_owned(), job_id.to_owned());
        tags.insert("drs.amazonaws.com-source-server".to_owned(), server.to_owned());
        Some(LaunchInstance {
            scope: self.scope.clone(),
            job_id: job_id.to_owned(),
            source_server_id: server.to_owned(),
            instance_type: record.facts.recommended_instance_type.clone(),
            private_ip: record.facts.private_ip.clone().filter(|_| record.config.copy_private_ip),
            tags: tags.into_iter().collect(),
        })
    }

    /// EC2 told the instance's id.
    pub(crate) fn instance_launched(
        &mut self,
        job_id: &str,
        server: &str,
        launched: LaunchedInstance,
        ctx: &mut Context<'_>,
    ) {
        let Some(run) = self.launching_run(job_id, server) else {
            return;
        };
        let is_drill = self.jobs.get(job_id).is_some_and(|job| job.initiated_by == InitiatedBy::StartDrill);
        let hidden =
            ctx.faults.strike_server(FaultKind::LosesRecoveryInstanceId, &self.scope, server, |_| true).is_some();
        let lag = ctx.faults.strike_server(FaultKind::ListLag, &self.scope, server, |_| true);
        let lag = lag.map_or(ctx.timing.list_lag_seconds, |rule| rule.seconds.unwrap_or(300.0));
        let Some(record) = self.run_mut(job_id, run) else {
            return;
        };
        record.instance = Some(launched.instance_id.clone());
        record.shows_instance = !hidden;
        let (point_in_time, late) = (record.point_in_time, record.phase == Phase::AwaitingInstance);
        let instance = Instance {
            id: launched.instance_id.clone(),
            server: server.to_owned(),
            job: job_id.to_owned(),
            is_drill,
            state: Ec2InstanceState::Pending,
            listed_at: later(ctx.now, ctx.timing.span(lag)),
            private_ip: launched.private_ip,
            reported: None,
            point_in_time,
            disconnected: false,
            deleted: false,
            tags: self
                .servers
                .get(server)
                .filter(|server| server.config.copy_tags)
                .map(|server| server.tags.clone())
                .unwrap_or_default(),
        };
        self.instances.insert(instance.id.clone(), instance);
        let boot = ctx.timing.varied(ctx.timing.launch_seconds * BOOT_SHARE, ctx.dice, &[job_id, server, "boot"]);
        self.timers.arm(later(ctx.now, boot), Timer::Booted(launched.instance_id));
        if late {
            self.end_launch(job_id, run, ctx);
            self.end_job_if_done(job_id, ctx);
        }
    }

    /// EC2 refused to run the instance.
    pub(crate) fn launch_refused(&mut self, job_id: &str, server: &str, raw_error: String, ctx: &mut Context<'_>) {
        let Some(run) = self.launching_run(job_id, server) else {
            return;
        };
        self.fail(job_id, run, JobLogEvent::LaunchFailed, raw_error, ctx);
        self.end_job_if_done(job_id, ctx);
    }

    fn launching_run(&self, job_id: &str, server: &str) -> Option<usize> {
        let waits = |phase| matches!(phase, Phase::Launching | Phase::AwaitingInstance);
        self.jobs
            .get(job_id)?
            .runs
            .iter()
            .position(|run| run.server == server && run.instance.is_none() && waits(run.phase))
    }

    pub(super) fn boot(&mut self, instance: &str, ctx: &mut Context<'_>) {
        if let Some(instance) =
            self.instances.get_mut(instance).filter(|instance| instance.state == Ec2InstanceState::Pending)
        {
            instance.state = Ec2InstanceState::Running;
            instance.reported = Some(Stamp(ctx.now));
        }
    }

    pub(super) fn end_launch(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(record) = self.run_mut(job_id, run) else {
            return;
        };
        if let Some(Doom::Loud(raw_error)) = record.doomed.clone() {
            return self.fail(job_id, run, JobLogEvent::LaunchFailed, raw_error, ctx);
        }
        let Some(instance_id) = record.instance.clone() else {
            record.phase = Phase::AwaitingInstance;
            return;
        };
        let server = record.server.clone();
        let data = JobLogEventData {
            source_server_id: Some(server.clone()),
            target_instance_id: Some(instance_id.clone()),
            ..JobLogEventData::default()
        };
        self.log(job_id, ctx.now, JobLogEvent::LaunchEnd, data);
        self.boot(&instance_id, ctx);
        let disposition = self.servers.get_mut(&server).map(|record| {
            record.newest_instance = Some(instance_id.clone());
            record.config.launch_disposition
        });
        if disposition == Some(LaunchDisposition::Stopped) {
            self.set_state(&instance_id, Ec2InstanceState::Stopping);
            ctx.outbox.push(Effect::StopInstance { scope: self.scope.clone(), instance_id: instance_id.clone() });
            let stopped = later(ctx.now, ctx.timing.span(ctx.timing.stop_seconds));
            self.timers.arm(stopped, Timer::Stopped(instance_id));
        }
        self.finish(job_id, run, LaunchStatus::Launched);
        // Actions need a running instance with an SSM agent.
        if disposition == Some(LaunchDisposition::Started) {
            self.start_post_launch(job_id, run, ctx);
        }
    }

    fn fail(&mut self, job_id: &str, run: usize, event: JobLogEvent, raw_error: String, ctx: &mut Context<'_>) {
        let server = self.run(job_id, run).map(|run| run.server.clone());
        let data =
            JobLogEventData { source_server_id: server, raw_error: Some(raw_error), ..JobLogEventData::default() };
        self.log(job_id, ctx.now, event, data);
        self.finish(job_id, run, LaunchStatus::Failed);
    }

    fn finish(&mut self, job_id: &str, run: usize, status: LaunchStatus) {
        if let Some(record) = self.run_mut(job_id, run) {
            record.phase = Phase::Done;
        }
        self.set_status(job_id, run, status);
    }

    /// The server's status in its job and in its own history; both say the same.
    pub(super) fn set_status(&mut self, job_id: &str, run: usize, status: LaunchStatus) {
        let Some(record) = self.run_mut(job_id, run) else {
            return;
        };
        record.status = status;
        let server = record.server.clone();
        let Some(server) = self.servers.get_mut(&server) else {
            return;
        };
        if server.last_launch.initiated.job_id.as_deref() == Some(job_id) {
            server.last_launch.status = Some(status);
            server.last_result = match status {
                LaunchStatus::Launched => LastLaunchResult::Succeeded,
                LaunchStatus::Failed => LastLaunchResult::Failed,
                LaunchStatus::Pending | LaunchStatus::InProgress | LaunchStatus::Terminated => server.last_result,
            };
        }
    }

    /// True when a fault leaves the server at this stage for ever.
    fn sticks(&mut self, job_id: &str, run: usize, stage: Stage, ctx: &mut Context<'_>) -> bool {
        let Some(server) = self.run(job_id, run).map(|run| run.server.clone()) else {
            return false;
        };
        let here = |rule: &FaultRule| rule.stage.unwrap_or(Stage::Conversion) == stage;
        let stuck = ctx.faults.strike_server(FaultKind::Stuck, &self.scope, &server, here).is_some();
        if stuck && let Some(record) = self.run_mut(job_id, run) {
            record.phase = Phase::Stuck;
        }
        stuck
    }

    fn strike_stage(&self, kind: FaultKind, stage: Stage, server: &str, ctx: &mut Context<'_>) -> Option<FaultRule> {
        ctx.faults.strike_server(kind, &self.scope, server, |rule| rule.stage.unwrap_or(Stage::Launch) == stage)
    }
}

fn loudly(rule: FaultRule, otherwise: &str) -> Doom {
    Doom::Loud(rule.raw_error.unwrap_or_else(|| otherwise.to_owned()))
}
