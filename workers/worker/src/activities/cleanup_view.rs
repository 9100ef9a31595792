//! What start-cleanup and poll-cleanup see: this run's drill instances that are still there, and LAUNCH jobs of this run
//! that may bring up more. DRS says what there is to terminate, EC2 whether it is terminated.

use crate::activities::enrichment::save_shard;
use crate::error::ActivityError;
use crate::world::{World, load_execution, timeline};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_aws::PortError;
use tidegate_aws::ports::Written;
use tidegate_contract::records::{Cleanup, ExecutionRecord, ReplacedInstance, ShardRecord, Target};
use tidegate_contract::{CleanupStatus, ExecutionId, JobId, SourceServerId};
use tidegate_core::cleanup::{self, Left, LostJob, Stranded};
use tidegate_core::observed::{InstanceState, Job, JobStatus};
use tidegate_core::wave_start;
use tracing::{info, warn};

/// The state of one run's cleanup, as observed now.
pub(super) struct CleanupView {
    pub(super) record: ExecutionRecord,
    pub(super) shards: Vec<ShardRecord>,
    /// Our instances that DRS lists as alive, by target.
    pub(super) found: BTreeMap<Target, Vec<String>>,
    /// Those that are on their way down already.
    dying: BTreeSet<String>,
    /// Instances of our servers that DRS lists under jobs of others: nothing of ours any more, if they ever were.
    others: BTreeMap<String, (SourceServerId, Option<JobId>)>,
    /// Ours, alive in EC2 and not listed; and whether EC2 did not say.
    stranded: Vec<Stranded>,
    unread: bool,
    /// Servers behind them, by target.
    pub(super) servers: BTreeMap<Target, Vec<SourceServerId>>,
    /// The server of each of our instances.
    pub(super) server_of: BTreeMap<String, SourceServerId>,
    /// LAUNCH jobs of this run that have not ended, and calls without an answer that may still become one.
    pub(super) launching: usize,
    /// LAUNCH jobs of this run that were never seen to end and that DRS lists no more.
    lost: Vec<LostJob>,
    /// What is concluded from an answer counts from when it was asked: a worker may be frozen in between.
    pub(super) asked_at: Timestamp,
}

impl CleanupView {
    /// What stands between here and done.
    pub(super) fn left(&self) -> Left {
        let listed = self.found.values().flatten().chain(&self.dying).cloned().collect();
        Left {
            listed,
            launching: self.launching,
            lost: self.lost.clone(),
            stranded: self.stranded.clone(),
            unread: self.unread,
        }
    }

    /// DRS has nothing of ours any more, and nothing is to come: what EC2 says decides.
    pub(super) fn nothing_is_listed(&self) -> bool {
        self.found.is_empty() && self.dying.is_empty() && self.launching == 0
    }

    /// Our instances DRS still lists on a target, with their servers.
    pub(super) fn found_with_servers(&self, target: &Target) -> BTreeMap<&str, &SourceServerId> {
        let found = self.found.get(target).into_iter().flatten();
        found.filter_map(|id| Some((id.as_str(), self.server_of.get(id)?))).collect()
    }

    /// Some of our instances no terminate call covers yet, or more may come up.
    pub(super) fn has_uncovered(&self, state: &Cleanup) -> bool {
        self.launching > 0
            || self.found.iter().any(|(target, found)| !cleanup::uncovered(found, target, Some(state)).is_empty())
    }
}

/// Looks at DRS. Only instances of this run's own jobs, and only drill instances, are ever in the view.
pub(super) async fn observe(world: &World, id: &ExecutionId) -> Result<CleanupView, ActivityError> {
    let record = load_execution(world.store.as_ref(), id).await?;
    let mut shards = world.store.load_run(id).await?.shards;
    // Before the look: only a call that was looked for when it could not become a job any more counts for nothing.
    let asked_at = world.clock.now();
    // Launches no later start-wave adopted, because the run ended first: their instances are this run's, too.
    for shard in &mut shards {
        adopt_unanswered(world, &record, shard).await?;
    }
    let servers = cleanup::launched_servers(&shards);
    let (mut found, mut server_of): (BTreeMap<Target, Vec<String>>, _) = (BTreeMap::new(), BTreeMap::new());
    let (mut dying, mut others, mut lost) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    let (mut ours, mut all_jobs) = (Vec::new(), Vec::new());
    let mut launching = shards.iter().filter(|shard| wave_start::may_still_start(shard, asked_at)).count();
    for (target, ids) in &servers {
        let drs = world.targets.drs(target).await?;
        let jobs = cleanup::run_jobs(&shards, target);
        let wanted: Vec<JobId> = jobs.iter().cloned().collect();
        // Jobs before instances: an instance that appears in between is seen, one that is missed keeps its job open.
        let listed = drs.jobs(&wanted).await?;
        launching += listed.iter().filter(|job| job.status != JobStatus::Completed).count();
        lost.extend(cleanup::lost_jobs(&shards, target, &listed, asked_at));
        all_jobs.extend(listed);
        let listed = drs.recovery_instances(ids).await?;
        ours.extend(listed.iter().filter(|one| cleanup::is_ours(one, &jobs)).cloned());
        for one in listed {
            server_of.insert(one.recovery_instance_id.clone(), one.source_server_id.clone());
            if !cleanup::is_ours(&one, &jobs) {
                others.insert(one.instance_id().to_owned(), (one.source_server_id, one.job_id));
            } else if one.state.is_alive() {
                found.entry(target.clone()).or_default().push(one.recovery_instance_id);
            } else if one.state == InstanceState::ShuttingDown {
                dying.insert(one.recovery_instance_id);
            }
        }
    }
    // Before anything is terminated: what is gone from DRS's list afterwards was there once.
    for shard in &mut shards {
        if cleanup::note_instances(shard, &ours) {
            save_shard(world, shard).await?;
        }
    }
    launching += cleanup::unseen(&shards, &all_jobs, asked_at);
    Ok(CleanupView {
        record,
        shards,
        found,
        dying,
        others,
        stranded: Vec::new(),
        unread: false,
        servers,
        server_of,
        launching,
        lost,
        asked_at,
    })
}

/// Asks EC2 about every instance of this run, on record or with the tags of its jobs. Those it has terminated are found no more,
/// whatever DRS still lists; those it runs although DRS does not list them are stranded.
pub(super) async fn consult_ec2(world: &World, view: &mut CleanupView) -> Result<(), ActivityError> {
    view.stranded.clear();
    view.unread = false;
    for (target, servers) in &view.servers {
        match ask_ec2(world, view, target, servers).await {
            Ok((dead, mut stranded)) => {
                if let Some(found) = view.found.get_mut(target) {
                    found.retain(|id| !dead.contains(id));
                }
                view.stranded.append(&mut stranded);
            }
            // Not to know is no reason to fail: the next look asks again, until the cleanup's own deadline.
            Err(error) => {
                warn!(execution_id = %view.record.execution_id, %error, "CleanupUnread: EC2");
                view.unread = true;
            }
        }
    }
    view.found.retain(|_, found| !found.is_empty());
    Ok(())
}

async fn ask_ec2(
    world: &World,
    view: &CleanupView,
    target: &Target,
    servers: &[SourceServerId],
) -> Result<(BTreeSet<String>, Vec<Stranded>), PortError> {
    let ec2 = world.targets.ec2(target).await?;
    let jobs = cleanup::run_jobs(&view.shards, target);
    let here = view.shards.iter().filter(|shard| shard.target == *target);
    let rows = here.flat_map(|shard| &shard.server_statuses);
    let mut server_of: BTreeMap<String, SourceServerId> = rows
        .filter_map(|row| {
            Some((row.instance_id.clone().or(row.recovery_instance_id.clone())?, row.source_server_id.clone()))
        })
        .collect();
    for id in view.found.get(target).into_iter().flatten() {
        server_of.extend(view.server_of.get(id).map(|server| (id.clone(), server.clone())));
    }
    let ids: Vec<String> = server_of.keys().cloned().collect();
    let known = if ids.is_empty() { Vec::new() } else { ec2.instances(&ids).await? };
    let (alive, dead): (Vec<_>, Vec<_>) = known.into_iter().partition(|one| InstanceState::of(&one.state).is_alive());
    let mut living: BTreeMap<String, SourceServerId> = alive
        .into_iter()
        .filter_map(|one| Some((one.instance_id.clone(), server_of.get(&one.instance_id)?.clone())))
        .collect();
    let tagged = ec2.instances_of_servers(servers).await?.into_iter();
    let ours = tagged.filter(|one| one.job_id.as_ref().is_some_and(|job| jobs.contains(job)));
    living.extend(ours.map(|one| (one.instance_id, one.source_server_id)));
    let listed = |id: &String| {
        view.found.get(target).is_some_and(|found| found.contains(id))
            || view.dying.contains(id)
            || view.others.contains_key(id)
    };
    let stranded = living
        .into_iter()
        .filter(|(id, _)| !listed(id))
        .map(|(instance_id, source_server_id)| Stranded { instance_id, source_server_id })
        .collect();
    Ok((dead.into_iter().map(|one| one.instance_id).collect(), stranded))
}

/// Which of our instances another launch of their servers has had deleted, and whose that was.
pub(super) async fn replaced(
    world: &World,
    view: &CleanupView,
    state: &Cleanup,
) -> Result<Vec<ReplacedInstance>, ActivityError> {
    let mut others = BTreeMap::new();
    for (server, job) in view.others.values() {
        let Some(job) = job else { continue };
        let known = world.store.find_job(job).await?;
        others.insert(server.clone(), known.map_or_else(|| job.to_string(), |job| job.started_by.to_string()));
    }
    Ok(cleanup::replaced(&view.record, &view.shards, state, &others))
}

/// A launch whose answer was lost: its job is looked for, and recorded if DRS lists it.
pub(super) async fn adopt_unanswered(
    world: &World,
    record: &ExecutionRecord,
    shard: &mut ShardRecord,
) -> Result<(), ActivityError> {
    if shard.job.is_some() || shard.intent.last_sent_at.is_none() {
        return Ok(());
    }
    let Some(from) = wave_start::look_from(&shard.intent) else {
        return Ok(());
    };
    let jobs = world.targets.drs(&shard.target).await?.jobs_since(from).await?;
    let candidates = jobs.iter().filter(|job| !shard.earlier_jobs.contains(&job.job_id));
    if let Some(job) = wave_start::find_job(&shard.intent, record.execution_type, candidates) {
        info!(intent = %shard.intent.intent_id, job_id = %job.job_id, "JobAdopted: after the run's end");
        let job = wave_start::shard_job(job, true);
        wave_start::started(shard, job);
        save_shard(world, shard).await?;
    }
    Ok(())
}

/// The server rows say what became of the instances: EC2 has said that all are gone. Losing this write loses a word, not a fact: `cleanup` has it.
pub(super) async fn mark_terminated(world: &World, view: &CleanupView) {
    for stored in &view.shards {
        let mut shard = stored.clone();
        let rows = shard.server_statuses.iter_mut().filter(|server| server.instance_id.is_some());
        rows.for_each(|server| server.instance_state = Some("terminated".to_owned()));
        if shard == *stored {
            continue;
        }
        if let Err(error) = save_shard(world, &mut shard).await {
            warn!(wave = shard.wave_number, error = %error.chain(), "TerminatedStateNotStored");
        }
    }
}

/// TERMINATE jobs of this cleanup as DRS lists them now.
pub(super) async fn terminate_jobs(world: &World, state: &Cleanup) -> Result<Vec<Job>, ActivityError> {
    let mut by_target: BTreeMap<&Target, BTreeSet<JobId>> = BTreeMap::new();
    for job in &state.jobs {
        if let Some(id) = &job.job_id {
            by_target.entry(&job.target).or_default().insert(id.clone());
        }
    }
    let mut jobs = Vec::new();
    for (target, ids) in by_target {
        let ids: Vec<JobId> = ids.into_iter().collect();
        jobs.extend(world.targets.drs(target).await?.jobs(&ids).await?);
    }
    Ok(jobs)
}

/// Which write of a cleanup this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It did not exist.
    First,
    Next,
    /// It had FAILED, and is taken up again.
    Reopened,
}

/// Stores the cleanup as its next version (the first time as it is), with a line in the timeline when it begins or ends.
pub(super) async fn store(
    world: &World,
    record: &ExecutionRecord,
    state: &mut Cleanup,
    step: Step,
) -> Result<(), ActivityError> {
    match step {
        Step::First => {}
        Step::Next | Step::Reopened => state.version += 1,
    }
    let event = match (state.status, step) {
        (CleanupStatus::Running, Step::First) => Some("CLEANUP_STARTED"),
        (CleanupStatus::Running, Step::Reopened) => Some("CLEANUP_REOPENED"),
        (CleanupStatus::Running, Step::Next) => None,
        (CleanupStatus::Completed | CleanupStatus::NotNeeded | CleanupStatus::Failed, _) => Some("CLEANUP_ENDED"),
    };
    put(world, record, state, event).await
}

/// Stores a cleanup that has its version already.
pub(super) async fn store_as_it_is(
    world: &World,
    record: &ExecutionRecord,
    state: &Cleanup,
) -> Result<(), ActivityError> {
    put(world, record, state, Some("CLEANUP_ENDED")).await
}

async fn put(
    world: &World,
    record: &ExecutionRecord,
    state: &Cleanup,
    event: Option<&str>,
) -> Result<(), ActivityError> {
    let detail = if state.status == CleanupStatus::Running { "" } else { state.status.as_str() };
    let entry = event.map(|event| timeline(world.clock.as_ref(), event, 0, detail));
    match world.store.put_cleanup(record, state, entry.as_ref()).await? {
        Written::Stored => Ok(()),
        Written::Stale => Err(ActivityError::superseded("the cleanup")),
    }
}
