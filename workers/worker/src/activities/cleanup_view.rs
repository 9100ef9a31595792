//! What start-cleanup and poll-cleanup see: this run's drill instances that are still listed, and LAUNCH jobs of this run
//! that may bring up more.

use crate::activities::enrichment::save_shard;
use crate::error::ActivityError;
use crate::world::{World, load_execution, timeline};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_aws::ports::Written;
use tidegate_contract::records::{Cleanup, ExecutionRecord, ShardRecord, Target};
use tidegate_contract::{CleanupStatus, ExecutionId, JobId, SourceServerId};
use tidegate_core::cleanup;
use tidegate_core::observed::{Job, JobStatus};
use tidegate_core::wave_start;
use tracing::info;

/// The state of one run's cleanup, as observed now.
pub(super) struct CleanupView {
    pub(super) record: ExecutionRecord,
    pub(super) shards: Vec<ShardRecord>,
    /// Our instances DRS still lists, by target.
    pub(super) found: BTreeMap<Target, Vec<String>>,
    /// Servers behind them, by target.
    pub(super) servers: BTreeMap<Target, Vec<SourceServerId>>,
    /// LAUNCH jobs of this run that have not ended.
    pub(super) launching: usize,
}

impl CleanupView {
    /// Instances and launches that stand between here and done.
    pub(super) fn remaining(&self) -> usize {
        self.found.values().map(Vec::len).sum::<usize>() + self.launching
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
    adopt_unanswered(world, &record, &mut shards).await?;
    let servers = cleanup::launched_servers(&shards);
    let mut found = BTreeMap::new();
    let mut launching = 0;
    for (target, ids) in &servers {
        let drs = world.targets.drs(target).await?;
        let jobs = cleanup::run_jobs(&shards, target);
        let wanted: Vec<JobId> = jobs.iter().cloned().collect();
        // Jobs before instances: an instance that appears in between is seen, one that is missed keeps its job open.
        launching += drs.jobs(&wanted).await?.iter().filter(|job| job.status != JobStatus::Completed).count();
        let ours = cleanup::ours(&drs.recovery_instances(ids).await?, &jobs);
        if !ours.is_empty() {
            found.insert(target.clone(), ours);
        }
    }
    Ok(CleanupView { record, shards, found, servers, launching })
}

/// Launches whose answer was lost and that no later start-wave adopted, because the run ended first: their instances are
/// this run's, too.
async fn adopt_unanswered(
    world: &World,
    record: &ExecutionRecord,
    shards: &mut [ShardRecord],
) -> Result<(), ActivityError> {
    for shard in shards.iter_mut().filter(|shard| shard.job.is_none() && shard.intent.last_sent_at.is_some()) {
        let Some(from) = wave_start::look_from(&shard.intent) else {
            continue;
        };
        let jobs = world.targets.drs(&shard.target).await?.jobs_since(from).await?;
        let candidates = jobs.iter().filter(|job| !shard.earlier_jobs.contains(&job.job_id));
        if let Some(job) = wave_start::find_job(&shard.intent, record.execution_type, candidates) {
            info!(intent = %shard.intent.intent_id, job_id = %job.job_id, "JobAdopted: for its cleanup");
            let job = wave_start::shard_job(job, true);
            wave_start::started(shard, job);
            save_shard(world, shard).await?;
        }
    }
    Ok(())
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

/// Stores the cleanup as its next version (the first time as it is), with a line in the timeline when it ends.
pub(super) async fn store(
    world: &World,
    record: &ExecutionRecord,
    state: &mut Cleanup,
    first: bool,
) -> Result<(), ActivityError> {
    if !first {
        state.version += 1;
    }
    let entry = match state.status {
        CleanupStatus::Running if first => Some(timeline(world.clock.as_ref(), "CLEANUP_STARTED", 0, "")),
        CleanupStatus::Running => None,
        CleanupStatus::Completed | CleanupStatus::NotNeeded | CleanupStatus::Failed => {
            Some(timeline(world.clock.as_ref(), "CLEANUP_ENDED", 0, state.status.as_str()))
        }
    };
    match world.store.put_cleanup(record, state, entry.as_ref()).await? {
        Written::Stored => Ok(()),
        Written::Stale => Err(ActivityError::superseded("the cleanup")),
    }
}
