//! Post-launch actions: they begin when the server is LAUNCHED, run one after the other, and may outlive their job.

use super::{Context, Region, Timer, later};
use crate::faults::FaultKind;
use crate::time::Stamp;
use crate::wire::{
    JobStatus, LastLaunchResult, LaunchActionRun, LaunchActionRunStatus, LaunchActionsStatus, LaunchDisposition,
    LaunchStatus,
};

impl Region {
    pub(super) fn start_post_launch(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(server) = self.run(job_id, run).map(|run| run.server.clone()) else {
            return;
        };
        let active = match self.servers.get(&server) {
            // No action runs on an instance that is not started.
            Some(record)
                if record.config.post_launch_enabled
                    && record.config.launch_disposition == LaunchDisposition::Started =>
            {
                record.actions.iter().filter(|action| action.active).count()
            }
            _ => 0,
        };
        if active == 0 {
            return;
        }
        if !ctx.quirks.late_launch_actions_status {
            self.list_runs(job_id, run, &server, ctx);
        }
        let discovery = ctx.timing.varied(ctx.timing.agent_discovery_seconds, ctx.dice, &[job_id, &server, "agent"]);
        self.timers.arm(later(ctx.now, discovery), Timer::AgentDiscovered(job_id.to_owned(), run));
    }

    fn list_runs(&mut self, job_id: &str, run: usize, server: &str, ctx: &Context<'_>) {
        let Some(actions) = self.servers.get(server).map(|record| record.actions.clone()) else {
            return;
        };
        let started = actions.into_iter().filter(|action| action.active).map(|action| LaunchActionRun {
            run_id: ctx.dice.uuid(&[job_id, server, &action.action_id]),
            action,
            status: LaunchActionRunStatus::InProgress,
            failure_reason: None,
        });
        let runs = started.collect();
        if let Some(record) = self.run_mut(job_id, run) {
            record.actions = Some(LaunchActionsStatus { ssm_agent_discovery_datetime: None, runs });
        }
    }

    pub(super) fn discover_agent(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(record) = self.run(job_id, run) else {
            return;
        };
        let (server, listed) = (record.server.clone(), record.actions.is_some());
        if !listed {
            self.list_runs(job_id, run, &server, ctx);
        }
        let Some(status) = self.run_mut(job_id, run).and_then(|record| record.actions.as_mut()) else {
            return;
        };
        status.ssm_agent_discovery_datetime = Some(Stamp(ctx.now));
        self.arm_action(job_id, run, &server, 0, ctx);
    }

    /// Arms the end of the `action`-th run, when there is one.
    fn arm_action(&mut self, job_id: &str, run: usize, server: &str, action: usize, ctx: &mut Context<'_>) {
        let count =
            self.run(job_id, run).and_then(|record| record.actions.as_ref()).map_or(0, |status| status.runs.len());
        if action >= count {
            return;
        }
        let slow = ctx.faults.strike_server(FaultKind::SlowPostLaunch, &self.scope, server, |_| true);
        let factor = slow.map_or(1.0, |rule| rule.factor.unwrap_or(10.0));
        let all = (ctx.timing.post_launch_seconds - ctx.timing.agent_discovery_seconds).max(0.0);
        let share = all * factor / count as f64;
        let took = ctx.timing.varied(share, ctx.dice, &[job_id, server, "action", &action.to_string()]);
        self.timers.arm(later(ctx.now, took), Timer::ActionEnd(job_id.to_owned(), run, action));
    }

    pub(super) fn end_action(&mut self, job_id: &str, run: usize, action: usize, ctx: &mut Context<'_>) {
        let Some(record) = self.run(job_id, run) else {
            return;
        };
        let server = record.server.clone();
        let Some(name) =
            record.actions.as_ref().and_then(|status| status.runs.get(action)).map(|run| run.action.name.clone())
        else {
            return;
        };
        let fault = ctx.faults.strike_server(FaultKind::ActionFails, &self.scope, &server, |rule| {
            rule.action_name.as_deref().is_none_or(|limited| limited == name)
        });
        let Some(ended) = self.run_mut(job_id, run).and_then(|record| record.actions.as_mut()?.runs.get_mut(action))
        else {
            return;
        };
        ended.status = match fault {
            None => LaunchActionRunStatus::Succeeded,
            Some(rule) => {
                ended.failure_reason =
                    Some(rule.failure_reason.unwrap_or_else(|| "The SSM document returned exit code 1".to_owned()));
                LaunchActionRunStatus::Failed
            }
        };
        if ended.status == LaunchActionRunStatus::Failed && !ended.action.optional {
            self.mark_launch_failed(job_id, run, &server, ctx);
        }
        self.arm_action(job_id, run, &server, action + 1, ctx);
    }

    /// "A failing non-optional action marks the launch as failed" (userguide post-launch-action-settings).
    fn mark_launch_failed(&mut self, job_id: &str, run: usize, server: &str, ctx: &mut Context<'_>) {
        if ctx.quirks.failed_action_fails_launch_status {
            return self.set_status(job_id, run, LaunchStatus::Failed);
        }
        if let Some(record) = self.servers.get_mut(server)
            && record.last_launch.initiated.job_id.as_deref() == Some(job_id)
        {
            record.last_result = LastLaunchResult::Failed;
        }
    }

    /// Whether a job still changes: it runs, or its post-launch actions do.
    pub(crate) fn is_open(&self, job_id: &str) -> bool {
        self.jobs.get(job_id).is_some_and(|job| {
            let running = |status: &LaunchActionsStatus| {
                status.runs.iter().any(|run| run.status == LaunchActionRunStatus::InProgress)
            };
            job.status != JobStatus::Completed || job.runs.iter().any(|run| run.actions.as_ref().is_some_and(running))
        })
    }
}
