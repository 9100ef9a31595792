//! Everything that exists in a world, behind one lock, and what was done to it.

use super::{Known, Sending};
use crate::bugs::{Bug, Switch};
use crate::faults::Faults;
use crate::luck::Luck;
use crate::people::Act;
use crate::script::Place;
use crate::tables::{Refused, Tables};
use crate::time::{VirtualClock, lock};
use crate::translation;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tidegate_aws::store::writes::Write;
use tidegate_contract::{ActivityName, JobId, SourceServerId};
use tidegate_core::observed::Instance;
use tidegate_simulator::{MemoryInstance, MemoryInstances, Scope, Simulator, settle, wire};

/// What a port call asks of the run, beside its answer.
#[derive(Debug, Clone)]
pub enum Control {
    /// This worker dies now.
    Crash { worker: usize },
    /// This worker stands still until then (SIGSTOP): all its tasks, its heartbeats, its polls.
    Freeze { worker: usize, until: Timestamp },
    /// This call takes effect then.
    Late { at: Timestamp, sending: Arc<Sending> },
}

/// Everything that exists, behind one lock: there is one thread.
#[derive(Debug)]
pub struct State {
    pub tables: Tables,
    pub drs: Simulator,
    pub ec2: MemoryInstances,
    pub faults: Faults,
    /// The seeded bug of this run, if it has one.
    pub bug: Switch,
    /// What people did.
    pub people: Vec<Act>,
    pub controls: Vec<Control>,
    /// The answer of the call that is being carried out will not arrive.
    pub(super) answer_is_lost: bool,
    /// Accepted StartRecovery calls of the runs.
    pub launches: Launches,
    /// A StartRecovery that was sent although a job of this run held one of its servers: DRS refuses it, and it should never
    /// have been sent.
    pub sent_again: Option<String>,
    /// Native recovery plan executions: from when, until when, which servers.
    pub native: Vec<(Timestamp, Timestamp, Vec<String>)>,
    /// Who held a server when DRS last refused to launch it for an execution.
    pub refusals: BTreeMap<(Arc<str>, String), Refusal>,
    /// Accepted TerminateRecoveryInstances calls, an instance each.
    pub terminations: Vec<Termination>,
    /// An instance that was to be terminated although a TERMINATE job of the run was at it.
    pub terminated_again: Option<String>,
    /// Nothing goes wrong in this world, and nobody is in the way: there is no excuse.
    pub plain: bool,
    /// Somebody launches servers from the console meanwhile.
    pub console: bool,
    /// The last look of each execution at each server, by DRS's list and by EC2's tags.
    pub looks: BTreeMap<(Arc<str>, String), Looks>,
    /// StartRecovery calls as they left, each server with what was known of it, since the last check.
    pub left: Vec<LookedLaunch>,
    /// Executions of the recovery machine, by ARN.
    pub known: BTreeMap<String, Known>,
    /// Calls that have left and will take effect.
    pub under_way: Vec<Arc<Sending>>,
    pub ec2_lag: Ec2Lag,
    /// Two workers' clocks differ by so many seconds at most, and a call's time.
    pub clocks_differ: i64,
}

/// EC2 is eventually consistent: DescribeInstances does not know a new instance at once, then knows it as pending.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ec2Lag {
    pub seed: u64,
    /// At most; 0: there is none.
    pub seconds: u32,
}

impl Ec2Lag {
    /// The instance as DescribeInstances has it; None: not yet.
    pub(super) fn seen(self, instance: &MemoryInstance, now: Timestamp) -> Option<Instance> {
        let mut told = translation::instance(instance);
        if self.seconds > 0 {
            let place = Place { by: "ec2", to: &told.instance_id };
            let mut luck = Luck::new(self.seed, place.key(), 1);
            let age = now.duration_since(instance.launch_time).as_secs();
            let listed = luck.range(0, self.seconds);
            if age < listed {
                return None;
            }
            if age < listed + luck.range(0, self.seconds / 4) && told.state == "running" {
                "pending".clone_into(&mut told.state);
                told.private_ip = None;
            }
        }
        Some(told)
    }
}

/// An accepted StartRecovery call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The execution.
    pub by: Arc<str>,
    pub servers: Vec<SourceServerId>,
    pub job: JobId,
    pub is_drill: bool,
    pub scope: Scope,
    /// It took effect when its caller was gone: what was on record is told when the call left.
    pub late: bool,
}

/// An instance a run had terminated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Termination {
    /// The execution.
    pub by: Arc<str>,
    pub instance: String,
    pub job: String,
    pub scope: Scope,
    /// It took effect when its caller was gone.
    pub late: bool,
}

/// When somebody last looked at what lives for a server, and what was shown: instance, and whether it is a drill's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    pub listed: Option<(Timestamp, Vec<String>)>,
    pub tagged: Option<(Timestamp, Vec<String>)>,
}

/// A server of a StartRecovery call, when that left its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedLaunch {
    pub by: Arc<str>,
    pub server: String,
    pub at: Timestamp,
    pub looks: Looks,
}

/// DRS would not launch a server, because it was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub at: Timestamp,
    /// A job, or a native recovery plan execution.
    pub holder: String,
    pub scope: Scope,
}

/// Every accepted call, in order, and by its job.
#[derive(Debug, Default)]
pub struct Launches {
    list: Vec<Launch>,
    by_job: BTreeMap<String, usize>,
}

impl Launches {
    pub(super) fn push(&mut self, launch: Launch) {
        self.by_job.insert(launch.job.as_str().to_owned(), self.list.len());
        self.list.push(launch);
    }

    /// All of them.
    pub fn all(&self) -> &[Launch] {
        &self.list
    }

    /// The one that started this job; None for a job of somebody else.
    pub fn of_job(&self, job: &str) -> Option<&Launch> {
        self.list.get(*self.by_job.get(job)?)
    }
}

impl State {
    /// Empty tables beside this DRS and this EC2.
    pub fn new(drs: Simulator, ec2: MemoryInstances, faults: Faults, bug: Option<&'static Bug>) -> Self {
        Self {
            tables: Tables::default(),
            drs,
            ec2,
            faults,
            bug: Switch::new(bug),
            people: Vec::new(),
            controls: Vec::new(),
            answer_is_lost: false,
            launches: Launches::default(),
            sent_again: None,
            native: Vec::new(),
            refusals: BTreeMap::new(),
            terminations: Vec::new(),
            under_way: Vec::new(),
            ec2_lag: Ec2Lag::default(),
            clocks_differ: 0,
            terminated_again: None,
            known: BTreeMap::new(),
            plain: false,
            console: false,
            looks: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// Servers that a native execution holds at this moment.
    pub fn native_servers(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let holding = self.native.iter().filter(move |(from, until, _)| (*from..*until).contains(&now));
        holding.flat_map(|(_, _, servers)| servers).map(String::as_str)
    }

    /// When each job of an execution ended; None: it still runs.
    pub fn job_ends(&mut self, execution: &str, now: Timestamp) -> Vec<(JobId, Option<Timestamp>)> {
        let ours: Vec<(Scope, JobId)> = self
            .launches
            .all()
            .iter()
            .filter(|launch| *launch.by == *execution)
            .map(|launch| (launch.scope.clone(), launch.job.clone()))
            .collect();
        let mut ends = Vec::new();
        for (scope, job) in ours {
            let filters = wire::JobFilters { job_ids: Some(vec![job.as_str().to_owned()]), ..Default::default() };
            let input = wire::DescribeJobs { filters: Some(filters), ..Default::default() };
            let found = self.drs.describe_jobs(&scope, input, now).ok().and_then(|jobs| jobs.items.into_iter().next());
            ends.push((job, found.and_then(|job| job.end_date_time).map(|end| end.0)));
        }
        ends
    }

    /// A write of the store, as its authors wrote it, or as the seeded bug has it.
    pub(super) fn write(&mut self, write: Write, by: ActivityName) -> std::result::Result<(), Refused> {
        self.tables.writer = by.as_str();
        match self.bug.rewrite(&write, &self.tables) {
            None => self.tables.write(write),
            Some(writes) => writes.into_iter().try_for_each(|write| self.tables.write(write)),
        }
    }
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
        let (now, State { drs, ec2, .. }) = (self.clock.now(), &mut *state);
        if drs.has_effects() || drs.next_due().is_some_and(|due| due <= now) {
            settle(drs, ec2, now);
        }
    }
}
