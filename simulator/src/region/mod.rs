//! One account and Region: its servers, jobs, instances and native plans, and the timers that move them.
//!
//! State changes in exactly two ways: an operation (`operations`, `describe`, `configuration`, `native`) or a timer
//! (`launch`, `terminate`, `post_launch`). Neither waits for anything.

mod configuration;
mod deletion;
mod describe;
mod launch;
mod native;
mod operations;
mod post_launch;
mod server;
mod snapshots;
mod summary;
mod terminate;
mod timers;

use crate::faults::FaultBook;
use crate::instances::Effect;
use crate::scenario::Quirks;
use crate::simulator::{Quotas, Scope};
use crate::time::{Dice, Stamp, Timing};
use crate::wire::{
    Ec2InstanceState, InitiatedBy, JobLog, JobLogEvent, JobLogEventData, JobStatus, JobType, LaunchActionsStatus,
    LaunchStatus, Tags,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use timers::{Timer, Timers};

pub(crate) use native::{ExecutionRecord, PlanRecord};
pub(crate) use server::Server;

/// What a change needs beside the Region itself. `now` is the moment of the change: a call's, or a timer's due time.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) dice: &'a Dice,
    pub(crate) timing: &'a Timing,
    pub(crate) quirks: &'a Quirks,
    pub(crate) quotas: &'a Quotas,
    pub(crate) life: u64,
    pub(crate) page_size: usize,
    pub(crate) faults: &'a mut FaultBook,
    pub(crate) outbox: &'a mut Vec<Effect>,
    pub(crate) deletions: &'a mut Vec<Deletion>,
}

/// An instance that a launch deleted first: not an operation's doing, so nothing else tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// `i-…`.
    pub instance_id: String,
    /// Whether a drill had launched it.
    pub is_drill: bool,
    /// Neither it nor its job was listed at the time: nobody who asked DRS could know of it.
    pub was_hidden: bool,
    /// The job that deleted it.
    pub by_job: String,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// 1 for the Region's first job; the order of creation, also within one moment.
    pub(crate) number: u64,
    pub(crate) kind: JobType,
    pub(crate) initiated_by: InitiatedBy,
    pub(crate) created: Stamp,
    pub(crate) ended: Option<Stamp>,
    /// The describing operations know it from here on …
    pub(crate) listed_at: Timestamp,
    /// … until here.
    pub(crate) vanishes_at: Option<Timestamp>,
    pub(crate) status: JobStatus,
    pub(crate) tags: Tags,
    pub(crate) runs: Vec<Run>,
    pub(crate) log: Vec<JobLog>,
}

/// A server in a job.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) server: String,
    pub(crate) snapshot: Option<String>,
    pub(crate) phase: Phase,
    pub(crate) status: LaunchStatus,
    /// The instance, once EC2 said its id (LAUNCH) or from the start (TERMINATE).
    pub(crate) instance: Option<String>,
    /// Whether participatingServers shows it.
    pub(crate) shows_instance: bool,
    /// The moment it is recovered to.
    pub(crate) point_in_time: Option<Stamp>,
    /// Decided at the start of a phase, carried out at its end.
    pub(crate) doomed: Option<Doom>,
    pub(crate) actions: Option<LaunchActionsStatus>,
}

/// How a server in a job will fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doom {
    /// With an event and words.
    Loud(String),
    /// Without a trace.
    Silent,
    /// Of its snapshot only: the source is dead, the launch goes on with the previous one.
    NoSource,
}

/// Where a server in a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The job is PENDING.
    Waiting,
    Cleanup,
    Snapshot,
    Conversion,
    Launching,
    /// The launch has taken its time, but EC2 has not told the instance's id yet.
    AwaitingInstance,
    Terminating,
    /// For ever where it was.
    Stuck,
    Done,
}

/// A recovery instance.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) server: String,
    pub(crate) job: String,
    pub(crate) is_drill: bool,
    pub(crate) state: Ec2InstanceState,
    /// DescribeRecoveryInstances does not list it before.
    pub(crate) listed_at: Timestamp,
    pub(crate) private_ip: Option<String>,
    pub(crate) reported: Option<Stamp>,
    pub(crate) point_in_time: Option<Stamp>,
    /// Taken out of DRS: it may be deleted there.
    pub(crate) disconnected: bool,
    /// Deleted in DRS: no operation knows it any more, but the next launch of its server still deletes it.
    pub(crate) deleted: bool,
    pub(crate) tags: Tags,
}

/// The state of one account and Region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) scope: Scope,
    pub(crate) initialized: bool,
    pub(crate) servers: BTreeMap<String, Server>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) plans: BTreeMap<String, PlanRecord>,
    pub(crate) executions: BTreeMap<String, ExecutionRecord>,
    timers: Timers,
    job_count: u64,
}

impl Region {
    pub(crate) fn hides(&self, instance: &str, now: Timestamp) -> bool {
        self.instances.get(instance).is_some_and(|instance| is_hidden(instance, &self.jobs, now))
    }

    pub(crate) fn new(scope: Scope) -> Self {
        Self {
            scope,
            initialized: true,
            servers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            instances: BTreeMap::new(),
            plans: BTreeMap::new(),
            executions: BTreeMap::new(),
            timers: Timers::default(),
            job_count: 0,
        }
    }

    /// The moment of the next change.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timers.next_due()
    }

    /// Applies every change that is due at `ctx.now`, each at its own moment and in their order.
    pub(crate) fn advance(&mut self, ctx: &mut Context<'_>) {
        let until = ctx.now;
        while let Some((at, timer)) = self.timers.pop_due(until) {
            ctx.now = at;
            match timer {
                Timer::JobStart(job) => self.start_job(&job, ctx),
                Timer::PhaseEnd(job, run) => self.end_phase(&job, run, ctx),
                Timer::JobEndLogged(job) => self.log(&job, at, JobLogEvent::JobEnd, JobLogEventData::default()),
                Timer::AgentDiscovered(job, run) => self.discover_agent(&job, run, ctx),
                Timer::ActionEnd(job, run, action) => self.end_action(&job, run, action, ctx),
                Timer::Booted(instance) => self.boot(&instance, ctx),
                Timer::Stopped(instance) => self.set_state(&instance, Ec2InstanceState::Stopped),
                Timer::Gone(instance) => drop(self.instances.remove(&instance)),
                Timer::Forgotten(instance) => self.forget_in_ec2(&instance),
            }
        }
        ctx.now = until;
    }

    pub(crate) fn arn(&self, kind: &str, id: &str) -> String {
        format!("arn:aws:drs:{}:{}:{kind}/{id}", self.scope.region, self.scope.account)
    }

    /// PENDING is over: every server starts its first phase.
    fn start_job(&mut self, job_id: &str, ctx: &mut Context<'_>) {
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        job.status = JobStatus::Started;
        let (kind, runs) = (job.kind, job.runs.len());
        self.log(job_id, ctx.now, JobLogEvent::JobStart, JobLogEventData::default());
        for run in 0..runs {
            match kind {
                JobType::Terminate if self.run(job_id, run).is_some_and(|run| run.phase == Phase::Done) => {}
                JobType::Terminate => self.enter_termination(job_id, run, ctx),
                _ => self.enter_launch(job_id, run, ctx),
            }
        }
        self.end_job_if_done(job_id, ctx);
    }

    fn end_phase(&mut self, job_id: &str, run: usize, ctx: &mut Context<'_>) {
        let Some(phase) = self.run(job_id, run).map(|run| run.phase) else {
            return;
        };
        match phase {
            Phase::Cleanup => self.end_cleanup(job_id, run, ctx),
            Phase::Snapshot => self.end_snapshot(job_id, run, ctx),
            Phase::Conversion => self.end_conversion(job_id, run, ctx),
            Phase::Launching => self.end_launch(job_id, run, ctx),
            Phase::Terminating => self.end_termination(job_id, run, ctx),
            Phase::Waiting | Phase::AwaitingInstance | Phase::Stuck | Phase::Done => {}
        }
        self.end_job_if_done(job_id, ctx);
    }

    /// A job is COMPLETED when every server is done, whether launched or failed; then it lets go of its servers.
    fn end_job_if_done(&mut self, job_id: &str, ctx: &mut Context<'_>) {
        let Some(job) = self.jobs.get_mut(job_id) else {
            return;
        };
        if job.status != JobStatus::Started || job.runs.iter().any(|run| run.phase != Phase::Done) {
            return;
        }
        job.status = JobStatus::Completed;
        job.ended = Some(Stamp(ctx.now));
        for run in &job.runs {
            if let Some(server) = self.servers.get_mut(&run.server) {
                server.busy_with = None;
            }
        }
        let logged = later(ctx.now, ctx.timing.span(ctx.timing.log_lag_seconds));
        self.timers.arm(logged, Timer::JobEndLogged(job_id.to_owned()));
    }

    fn enter_phase(&mut self, job_id: &str, run: usize, phase: Phase, seconds: f64, ctx: &mut Context<'_>) {
        let Some(record) = self.run_mut(job_id, run) else {
            return;
        };
        record.phase = phase;
        let name = format!("{phase:?}");
        let took = ctx.timing.varied(seconds, ctx.dice, &[job_id, &record.server, &name]);
        self.timers.arm(later(ctx.now, took), Timer::PhaseEnd(job_id.to_owned(), run));
    }

    fn run(&self, job_id: &str, run: usize) -> Option<&Run> {
        self.jobs.get(job_id)?.runs.get(run)
    }

    fn run_mut(&mut self, job_id: &str, run: usize) -> Option<&mut Run> {
        self.jobs.get_mut(job_id)?.runs.get_mut(run)
    }

    fn log(&mut self, job_id: &str, at: Timestamp, event: JobLogEvent, event_data: JobLogEventData) {
        if let Some(job) = self.jobs.get_mut(job_id) {
            job.log.push(JobLog { log_date_time: Stamp(at), event, event_data });
        }
    }

    fn log_server(&mut self, job_id: &str, at: Timestamp, event: JobLogEvent, server: &str) {
        let data = JobLogEventData { source_server_id: Some(server.to_owned()), ..JobLogEventData::default() };
        self.log(job_id, at, event, data);
    }

    fn set_state(&mut self, instance: &str, state: Ec2InstanceState) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.state = state;
        }
    }
}

/// Neither the instance nor its job is listed.
pub(crate) fn is_hidden(instance: &Instance, jobs: &BTreeMap<String, Job>, now: Timestamp) -> bool {
    instance.listed_at > now && jobs.get(&instance.job).is_some_and(|job| !job.is_listed(now))
}

impl Job {
    /// Whether the describing operations know it at this moment.
    pub(crate) fn is_listed(&self, now: Timestamp) -> bool {
        now >= self.listed_at && self.vanishes_at.is_none_or(|at| now < at)
    }
}

impl Instance {
    pub(crate) fn is_live(&self) -> bool {
        !matches!(
            self.state,
            Ec2InstanceState::ShuttingDown | Ec2InstanceState::Terminated | Ec2InstanceState::NotFound
        )
    }
}

/// `at` and `span`; far beyond the calendar the clock stands still instead of failing.
pub(crate) fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}
