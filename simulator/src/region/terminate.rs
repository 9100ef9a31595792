//! A recovery instance's way through a TERMINATE job. The job log is an assumption (facts, section 12): JOB_START,
//! CLEANUP_START and CLEANUP_END or CLEANUP_FAIL per server, JOB_END.

use super::{Context, Doom, Phase, Region, Timer, later};
use crate::faults::FaultKind;
use crate::instances::Effect;
use crate::wire::{Ec2InstanceState, JobLogEvent, JobLogEventData, LaunchStatus};

impl Region {
    pub(super) fn enter_termination(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some((server, instance)) = self.run(job_id, run).map(|run| (run.server.clone(), run.instance.clone()))
        else {
            return;
        };
        self.log_server(job_id, ctx.now, JobLogEvent::CleanupStart, &server);
        let fault = ctx.faults.strike_server(FaultKind::TerminationFails, &self.scope, &server, |_| true);
        let refused = "An error occurred (UnauthorizedOperation) when calling the TerminateInstances operation: You are not authorized to \
                       perform this operation";
        let doomed = fault.map(|rule| Doom::Loud(rule.raw_error.unwrap_or_else(|| refused.to_owned())));
        if let (None, Some(instance_id)) = (&doomed, instance) {
            self.set_state(&instance_id, Ec2InstanceState::ShuttingDown);
            ctx.outbox.push(Effect::TerminateInstance { scope: self.scope.clone(), instance_id });
        }
        if let Some(record) = self.run_mut(job_id, run) {
            record.doomed = doomed;
            record.status = LaunchStatus::InProgress;
        }
        self.enter_phase(job_id, run, Phase::Terminating, ctx.timing.terminate_seconds, ctx);
    }

    pub(super) fn end_termination(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(record) = self.run_mut(job_id, run) else {
            return;
        };
        record.phase = Phase::Done;
        let (server, instance, doomed) = (record.server.clone(), record.instance.clone(), record.doomed.clone());
        let Some(instance) = instance else { return };
        if let Some(Doom::Loud(raw_error)) = doomed {
            record.status = LaunchStatus::Failed;
            let data = JobLogEventData {
                source_server_id: Some(server),
                raw_error: Some(raw_error),
                ..JobLogEventData::default()
            };
            return self.log(job_id, ctx.now, JobLogEvent::CleanupFail, data);
        }
        record.status = LaunchStatus::Terminated;
        self.log_server(job_id, ctx.now, JobLogEvent::CleanupEnd, &server);
        self.set_state(&instance, Ec2InstanceState::Terminated);
        if let Some(server) = self.servers.get_mut(&server)
            && server.newest_instance.as_deref() == Some(instance.as_str())
        {
            server.newest_instance = None;
            server.last_launch.status = Some(LaunchStatus::Terminated);
        }
        // The record shows TERMINATED for a moment before it is gone.
        let gone = later(ctx.now, ctx.timing.span(ctx.timing.list_lag_seconds));
        self.timers.arm(gone, Timer::Gone(instance));
    }

    /// EC2 would not terminate the instance: the job that wanted it must not say that it is gone.
    pub(crate) fn termination_refused(&mut self, instance: &str, raw_error: String) {
        self.set_state(instance, Ec2InstanceState::Running);
        let runs = self.jobs.values_mut().flat_map(|job| &mut job.runs);
        for run in runs.filter(|run| run.phase == Phase::Terminating && run.instance.as_deref() == Some(instance)) {
            run.doomed = Some(Doom::Loud(raw_error.clone()));
        }
    }
}
