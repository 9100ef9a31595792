//! What DRS would delete before it launches a server, and whether this run may let it.
//!
//! AWS's quick start guide: each new drill first deletes any earlier drill *or recovery* instance of the server, with its volumes;
//! each new recovery any earlier recovery instance. The page on recovery instances adds: even one that was disconnected from or
//! deleted in DRS. Nobody here has tried it, so that reading holds (ADR 0015).
//!
//! ```text
//!                     over a recovery instance              over a drill instance of another run
//!   DRILL             refused, whatever the input says      refused, unless options.replaceDrill
//!   RECOVERY          refused, unless replaceRecovered      allowed, with a warning that names the run
//! ```
//! An instance of the run itself is never launched over: it is what a launch is for.

use crate::input_check::problem;
use crate::membership::Membership;
use crate::observed::{Instance, InstanceState, Job, JobStatus, JobType, Launch, RecoveryInstance, TaggedInstance};
use crate::time;
use crate::wave_start::fail_server;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::records::{ExecutionRecord, IntentState, Problem, ShardRecord, Target};
use tidegate_contract::{ExecutionId, ExecutionType, JobId, SourceServerId};

/// How old a look may be when StartRecovery is called. A gate may lie days between prepare and a wave.
pub const LOOK_SECONDS: u32 = 60;
/// How long after its job's end an instance may still be missing from the lists of DRS and EC2 (seconds, by what the field saw;
/// a quarter of an hour here, because what is not waited for is deleted).
pub const LISTED_SECONDS: u32 = 900;
/// How far back jobs are asked for: one that ended a quarter of an hour ago may have begun many hours before.
pub const JOBS_SECONDS: u32 = 86_400;
/// Job tag that carries the execution's name, when tagging is on.
pub const EXECUTION_TAG: &str = "tidegate:execution";

/// What one look at a target showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// The servers looked for.
    pub servers: BTreeSet<SourceServerId>,
    /// What DRS lists of them.
    pub listed: Vec<RecoveryInstance>,
    /// What EC2 has of them by DRS's tags, pending, running, stopping or stopped.
    pub tagged: Vec<TaggedInstance>,
    /// What EC2 says of [`Look::doubtful`].
    pub asked: Vec<Instance>,
    /// Jobs of the last day or more, and those of [`Look::unknown_jobs`].
    pub jobs: Vec<Job>,
}

/// Kind of an instance. One of which nobody knows is a recovery's: that is the reading that cannot hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Drill,
    Recovery,
}

/// Who knows of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// DRS lists it.
    Listed,
    /// Only EC2 has it, with DRS's tags.
    TaggedOnly,
    /// A job launched it, and nobody lists it yet.
    LaunchedJustNow,
}

/// An instance that runs, or is stopped, and that DRS would delete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doomed {
    pub source_server_id: SourceServerId,
    /// Empty where only its job is known.
    pub instance_id: String,
    pub kind: Kind,
    pub known: Known,
    pub job_id: Option<JobId>,
    /// The execution that launched it, if that is known.
    pub launched_by: Option<ExecutionId>,
}

impl Look {
    /// Instances DRS calls alive and EC2's tags do not show: removed tags, EC2's list lags, or DRS's does. EC2 is asked by id.
    pub fn doubtful(&self) -> Vec<String> {
        let shown = |id: &str| self.tagged.iter().any(|one| one.instance_id == id);
        let alive = self.listed.iter().filter(|one| one.state.is_alive() && !shown(one.instance_id()));
        alive.map(|one| one.instance_id().to_owned()).collect()
    }

    /// Jobs of living instances that are not among the jobs looked at: they say of what kind an instance is, and whose.
    pub fn unknown_jobs(&self, ours: &BTreeSet<JobId>) -> Vec<JobId> {
        let wanted: BTreeSet<JobId> = self
            .instances()
            .into_iter()
            .filter_map(|one| one.job_id)
            .filter(|job| !ours.contains(job) && self.job(job).is_none())
            .collect();
        wanted.into_iter().collect()
    }

    fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.job_id == *id)
    }

    /// Everything that lives, this run's own (`ours`) apart.
    pub fn doomed(&self, ours: &BTreeSet<JobId>, now: Timestamp) -> (Vec<Doomed>, Vec<Doomed>) {
        let mut all = self.instances();
        all.extend(self.launched_just_now(now));
        all.sort();
        all.into_iter().partition(|one| one.job_id.as_ref().is_some_and(|job| ours.contains(job)))
    }

    /// Servers whose instance a TERMINATE job is at: it is on its way down, and DRS refuses to launch them until that has ended.
    pub fn terminating(&self) -> BTreeSet<SourceServerId> {
        let open = |job: &&Job| job.job_type == JobType::Terminate && job.status != JobStatus::Completed;
        let servers = self.jobs.iter().filter(open).flat_map(|job| &job.servers);
        servers.map(|server| server.source_server_id.clone()).collect()
    }

    fn instances(&self) -> Vec<Doomed> {
        let dead_in_ec2 = |id: &str| {
            let asked = self.asked.iter().find(|one| one.instance_id == id);
            asked.is_some_and(|one| !InstanceState::of(&one.state).is_alive())
        };
        let tagged = |id: &str| self.tagged.iter().any(|one| one.instance_id == id);
        let listed = self.listed.iter().filter(|one| {
            let id = one.instance_id();
            tagged(id) || (one.state.is_alive() && !dead_in_ec2(id))
        });
        let mut found: Vec<Doomed> = listed
            .map(|one| Doomed {
                source_server_id: one.source_server_id.clone(),
                instance_id: one.instance_id().to_owned(),
                kind: if one.is_drill { Kind::Drill } else { Kind::Recovery },
                known: Known::Listed,
                job_id: one.job_id.clone(),
                launched_by: self.run_of(one.job_id.as_ref()),
            })
            .collect();
        let is_listed = |id: &str| self.listed.iter().any(|one| one.instance_id() == id);
        found.extend(self.tagged.iter().filter(|one| !is_listed(&one.instance_id)).map(|one| Doomed {
            source_server_id: one.source_server_id.clone(),
            instance_id: one.instance_id.clone(),
            kind: self.kind_of(one.job_id.as_ref()),
            known: Known::TaggedOnly,
            job_id: one.job_id.clone(),
            launched_by: self.run_of(one.job_id.as_ref()),
        }));
        found
    }

    fn kind_of(&self, job: Option<&JobId>) -> Kind {
        let job = job.and_then(|id| self.job(id));
        if job.is_some_and(|job| job.initiated_by == "START_DRILL") { Kind::Drill } else { Kind::Recovery }
    }

    fn run_of(&self, job: Option<&JobId>) -> Option<ExecutionId> {
        self.job(job?)?.tags.get(EXECUTION_TAG).map(|name| ExecutionId::from(name.as_str()))
    }

    /// Servers whose last job has just launched them, and whose instance neither DRS nor EC2 shows yet.
    fn launched_just_now(&self, now: Timestamp) -> Vec<Doomed> {
        let shown = |job: &JobId, server: &SourceServerId| {
            let listed = |one: &RecoveryInstance| one.job_id.as_ref() == Some(job) && one.source_server_id == *server;
            let tagged = |one: &TaggedInstance| one.job_id.as_ref() == Some(job) && one.source_server_id == *server;
            self.listed.iter().any(listed) || self.tagged.iter().any(tagged)
        };
        let mut found = Vec::new();
        for server in &self.servers {
            // A later TERMINATE job, or a later launch that failed, has deleted what was launched before it.
            let takes_part = |job: &&Job| job.servers.iter().any(|one| one.source_server_id == *server);
            let Some(last) = self.jobs.iter().filter(takes_part).max_by_key(|job| job.created_at) else { continue };
            let part = last.servers.iter().find(|one| one.source_server_id == *server);
            let launched = part.filter(|one| last.job_type == JobType::Launch && one.launch == Launch::Launched);
            let just_now = last.status == JobStatus::Completed
                && last.ended_at.is_some_and(|end| time::after(end, LISTED_SECONDS) > now);
            if let (Some(part), true) = (launched, just_now && !shown(&last.job_id, server)) {
                found.push(Doomed {
                    source_server_id: server.clone(),
                    instance_id: part.recovery_instance_id.clone().unwrap_or_default(),
                    kind: self.kind_of(Some(&last.job_id)),
                    known: Known::LaunchedJustNow,
                    job_id: Some(last.job_id.clone()),
                    launched_by: self.run_of(Some(&last.job_id)),
                });
            }
        }
        found
    }
}

/// What the person who started the run said may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub execution_type: ExecutionType,
    pub replace_recovered: bool,
    pub replace_drill: bool,
}

impl Terms {
    /// Of a run that has its record.
    pub fn of(record: &ExecutionRecord) -> Self {
        Self {
            execution_type: record.execution_type,
            replace_recovered: record.replace_recovered,
            replace_drill: record.replace_drill,
        }
    }

    /// The decision about one instance of somebody else: the table above.
    pub const fn allow(self, kind: Kind) -> bool {
        match (self.execution_type, kind) {
            (ExecutionType::Drill, Kind::Recovery) => false,
            (ExecutionType::Drill, Kind::Drill) => self.replace_drill,
            (ExecutionType::Recovery, Kind::Recovery) => self.replace_recovered,
            (ExecutionType::Recovery, Kind::Drill) => true,
        }
    }

    /// What a person is told of it: why it is refused and what to do, or what is going to happen.
    pub fn tell(self, field: &str, one: &Doomed) -> Problem {
        let (server, what) = (&one.source_server_id, one.describe());
        if self.allow(one.kind) {
            let said = match (self.execution_type, one.kind) {
                (ExecutionType::Recovery, Kind::Drill) => "a recovery replaces what a drill has left",
                (_, Kind::Recovery) => "options.replaceRecovered allows it",
                (ExecutionType::Drill, Kind::Drill) => "options.replaceDrill allows it",
            };
            let message = format!("{server} has {what}: DRS deletes it before it launches the server");
            return problem(field, &message, &format!("nothing, if it may go; {said}"));
        }
        let message = format!("{server} has {what} already, and DRS would delete it before it launches the server");
        let remedy = match (self.execution_type, one.kind) {
            (ExecutionType::Drill, Kind::Recovery) => {
                "leave the server out; it can be drilled again once it is protected from where it runs now (reprotect) and \
                 this instance is needed no more and terminated"
                    .to_owned()
            }
            (ExecutionType::Recovery, _) => "leave the server out, or set options.replaceRecovered to true if that \
                 instance may be deleted, with everything written to it since"
                .to_owned(),
            (ExecutionType::Drill, Kind::Drill) => match &one.launched_by {
                Some(run) => format!(
                    "wait until {run} is cleaned up, clean it up (tidegate reconcile {run} --clean-up), or set \
                     options.replaceDrill to true"
                ),
                None => "terminate it, or set options.replaceDrill to true".to_owned(),
            },
        };
        problem(field, &message, &remedy)
    }
}

impl Doomed {
    /// `the recovery instance i-… of execution crm-1`.
    pub fn describe(&self) -> String {
        let kind = match self.kind {
            Kind::Drill => "drill",
            Kind::Recovery => "recovery",
        };
        let whose = match (&self.launched_by, &self.job_id) {
            (Some(run), _) => format!(" of execution {run}"),
            (None, Some(job)) => format!(" of DRS job {job}"),
            (None, None) => String::new(),
        };
        match self.known {
            Known::Listed => format!("the {kind} instance {}{whose}", self.instance_id),
            Known::TaggedOnly => {
                format!(
                    "the {kind} instance {}{whose}, which runs in EC2 although DRS lists it no more,",
                    self.instance_id
                )
            }
            Known::LaunchedJustNow => format!("a {kind} instance that was launched just now{whose}"),
        }
    }
}

/// Problems and warnings of a membership about to be launched, wave by wave. `doomed`: what lives of others, by target.
pub fn check(
    membership: &Membership,
    terms: Terms,
    doomed: &BTreeMap<Target, Vec<Doomed>>,
) -> (Vec<Problem>, Vec<Problem>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for (index, members) in membership.iter().enumerate() {
        let field = format!("plan.waves[{index}]");
        for member in members {
            let of_member = doomed.get(&member.target).into_iter().flatten();
            for one in of_member.filter(|one| one.source_server_id == member.source_server_id) {
                let told = terms.tell(&field, one);
                if terms.allow(one.kind) { warnings.push(told) } else { problems.push(told) }
            }
        }
    }
    (problems, warnings)
}

/// What a look right before the call makes of an intent: servers that would lose an instance unasked are FAILED with the reason
/// and leave the intent, the others are sent. An intent that was sent before keeps its servers, because its job is found by
/// them: it is refused as a whole. True: something is left to send.
pub fn withhold(shard: &mut ShardRecord, terms: Terms, own: &[Doomed], others: &[Doomed], now: Timestamp) -> bool {
    let mut reasons: BTreeMap<SourceServerId, String> = BTreeMap::new();
    let intended = |one: &&Doomed| shard.intent.source_server_ids.contains(&one.source_server_id);
    for one in others.iter().filter(intended).filter(|one| !terms.allow(one.kind)) {
        let told = terms.tell("", one);
        let reason = format!("not launched: {}. Remedy: {}", told.message, told.remedy);
        reasons.entry(one.source_server_id.clone()).or_insert(reason);
    }
    for one in own.iter().filter(intended) {
        let reason = format!(
            "not launched again: {} has {}, which this run launched; a retry takes it as it is",
            one.source_server_id,
            one.describe()
        );
        reasons.entry(one.source_server_id.clone()).or_insert(reason);
    }
    if reasons.is_empty() {
        return true;
    }
    let sent_before = shard.intent.last_sent_at.is_some();
    let whole = sent_before || shard.intent.source_server_ids.iter().all(|id| reasons.contains_key(id));
    let text = reasons.values().cloned().collect::<Vec<_>>().join("; ");
    for server in shard.server_statuses.iter_mut() {
        let id = &server.source_server_id;
        match reasons.get(id) {
            Some(reason) => fail_server(server, reason, now),
            None if whole && shard.intent.source_server_ids.contains(id) => fail_server(server, &text, now),
            None => {}
        }
    }
    if whole {
        shard.intent.state = IntentState::Refused;
        shard.intent.refusal = crate::wave_start::short(&text);
        return false;
    }
    shard.intent.source_server_ids.retain(|id| !reasons.contains_key(id));
    true
}

/// Drill instances of other runs that a launch of these servers deletes, by the run that loses them.
pub fn losers(shard: &ShardRecord, others: &[Doomed]) -> BTreeMap<ExecutionId, Vec<String>> {
    let mut losers: BTreeMap<ExecutionId, Vec<String>> = BTreeMap::new();
    for one in others.iter().filter(|one| shard.intent.source_server_ids.contains(&one.source_server_id)) {
        if let Some(run) = &one.launched_by {
            losers.entry(run.clone()).or_default().push(one.instance_id.clone());
        }
    }
    losers
}

#[cfg(test)]
#[path = "deletions_tests.rs"]
mod tests;
