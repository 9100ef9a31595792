//! The look for what DRS would delete before it launches servers: what DRS lists, what EC2 has by DRS's tags, and what a job has
//! launched that neither shows yet. Prepare looks for every execution, start-wave right before each StartRecovery. What is
//! allowed is decided in [`deletions`].

use crate::activities::enrichment::save_shard;
use crate::error::ActivityError;
use crate::world::{World, timeline};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tidegate_aws::ports::{Created, Written};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::records::{ExecutionRecord, JobRecord, ReplacedBy, ShardRecord, Target};
use tidegate_contract::tables::JOB_KEY;
use tidegate_contract::{ExecutionId, JobId, SourceServerId};
use tidegate_core::cleanup::run_jobs;
use tidegate_core::deletions::{self, Doomed, JOBS_SECONDS, Look, Terms};
use tidegate_core::observed::Job;
use tidegate_core::{time, wave_start};
use tracing::{info, warn};

/// What lives for these servers: this run's own (by its jobs), and that of others with the run that launched it, if anybody
/// knows. `jobs`: those of the last day, if the caller has them. Every read that fails fails the look: nothing is launched over
/// what could not be seen.
pub(super) async fn look(
    world: &World,
    target: &Target,
    servers: &[SourceServerId],
    jobs: Option<Vec<Job>>,
    ours: &BTreeSet<JobId>,
) -> Result<Seen, PortError> {
    let (drs, ec2) = (world.targets.drs(target).await?, world.targets.ec2(target).await?);
    // One after the other: while DRS is out each of them is repeated, and the first one that fails is enough.
    let listed = drs.recovery_instances(servers).await?;
    let jobs = match jobs {
        Some(jobs) => jobs,
        None => drs.jobs_since(time::before(world.clock.now(), JOBS_SECONDS)).await?,
    };
    let tagged = ec2.instances_of_servers(servers).await?;
    let servers = servers.iter().cloned().collect();
    let mut look = Look { servers, listed, tagged, asked: Vec::new(), jobs };
    let doubtful = look.doubtful();
    if !doubtful.is_empty() {
        look.asked = ec2.instances(&doubtful).await?;
    }
    let unknown = look.unknown_jobs(ours);
    if !unknown.is_empty() {
        look.jobs.extend(drs.jobs(&unknown).await?);
    }
    let (own, mut others) = look.doomed(ours, world.clock.now());
    for one in others.iter_mut().filter(|one| one.launched_by.is_none()) {
        one.launched_by = run_of(world, one.job_id.as_ref()).await?;
    }
    Ok(Seen { own, others, terminating: look.terminating(), jobs: look.jobs })
}

/// Begins the reason of servers whose look was refused.
const UNSEEN: &str = "not launched: what DRS would delete for it cannot be seen";

/// What a look showed.
pub(super) struct Seen {
    own: Vec<Doomed>,
    pub(super) others: Vec<Doomed>,
    terminating: BTreeSet<SourceServerId>,
    /// Those of the last day, and those that were asked for besides.
    jobs: Vec<Job>,
}

async fn run_of(world: &World, job: Option<&JobId>) -> Result<Option<ExecutionId>, PortError> {
    let Some(job) = job else { return Ok(None) };
    Ok(world.store.find_job(job).await?.map(|job| job.started_by))
}

/// A look that was taken before a call, and what it left of the intent.
pub(super) struct Cleared {
    pub(super) shard: ShardRecord,
    /// When the look began: the call has to be made within [`deletions::LOOK_SECONDS`].
    pub(super) looked_at: Timestamp,
    /// Nothing may be sent, or not yet.
    pub(super) nothing_left: bool,
}

/// The look right before StartRecovery. Servers that would lose an instance unasked are FAILED and stored; runs that are going
/// to lose drill instances are told.
pub(super) async fn clear(
    world: &World,
    record: &ExecutionRecord,
    mut shard: ShardRecord,
) -> Result<Cleared, ActivityError> {
    let looked_at = world.clock.now();
    let ours = run_jobs(std::slice::from_ref(&shard), &shard.target);
    let seen = look(world, &shard.target, &shard.intent.source_server_ids, None, &ours).await;
    let Seen { own, others, terminating, jobs } = match seen {
        Ok(seen) => seen,
        // A right that is missing in one account costs its servers and no others, after some minutes of it: one 403 ends
        // nothing. What may pass is tried again by the machine.
        Err(error) if !matches!(error.class, ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Quota) => {
            let reason = format!("{UNSEEN}: {error}");
            if wave_start::refused_for_long(&mut shard.intent, &reason, world.clock.now()) {
                wave_start::refused(&mut shard, &reason, world.clock.now());
            }
            save_shard(world, &mut shard).await?;
            return Ok(Cleared { shard, looked_at, nothing_left: true });
        }
        Err(error) => return Err(error.into()),
    };
    if shard.intent.refusal.starts_with(UNSEEN) {
        shard.intent.refusal.clear();
        shard.intent.refused_since = None;
    }
    let (before, terms) = (shard.clone(), Terms::of(record));
    let in_the_way = own.iter().chain(others.iter().filter(|one| !terms.allow(one.kind)));
    if in_the_way.map(|one| &one.source_server_id).any(|server| terminating.contains(server)) {
        info!(intent = %shard.intent.intent_id, "WaitsForTermination");
        return Ok(Cleared { shard, looked_at, nothing_left: true });
    }
    let left = deletions::withhold(&mut shard, terms, &own, &others, world.clock.now());
    if shard != before {
        warn!(intent = %shard.intent.intent_id, left = shard.intent.source_server_ids.len(), "LaunchWithheld: DRS would delete what runs");
        save_shard(world, &mut shard).await?;
    }
    if left {
        for (run, instance_ids) in deletions::losers(&shard, &others) {
            tell(world, record, &run, instance_ids).await?;
        }
    }
    // Stored with the mark.
    wave_start::note_not_ours(&mut shard.intent, record.execution_type, &jobs);
    Ok(Cleared { shard, looked_at, nothing_left: !left })
}

/// Says in the record of a run which of its instances are about to go. It is told before the call, because after it nobody may
/// be left to tell it; should DRS refuse the call, its instances stay and its cleanup finds them.
async fn tell(
    world: &World,
    record: &ExecutionRecord,
    loser: &ExecutionId,
    instance_ids: Vec<String>,
) -> Result<(), ActivityError> {
    let Some(losing) = world.store.find_execution(loser).await? else { return Ok(()) };
    let known = losing.replaced_by.iter().filter(|by| by.execution_id == record.execution_id);
    let known: BTreeSet<&String> = known.flat_map(|by| &by.instance_ids).collect();
    let instance_ids: Vec<String> = instance_ids.into_iter().filter(|id| !known.contains(id)).collect();
    if instance_ids.is_empty() {
        return Ok(());
    }
    let detail = format!("{} launches their servers: DRS deletes {}", record.execution_id, instance_ids.join(", "));
    let entry = timeline(world.clock.as_ref(), "INSTANCES_REPLACED", 0, detail);
    let at = time::format(world.clock.now());
    let by = ReplacedBy { execution_id: record.execution_id.clone(), instance_ids, at };
    match world.store.note_replaced(&losing, &by, &entry).await? {
        Written::Stored => {
            info!(execution_id = %record.execution_id, %loser, instances = by.instance_ids.len(), "InstancesReplaced");
            Ok(())
        }
        Written::Stale => Err(ActivityError::superseded("the record of a run that loses instances")),
    }
}

/// Remembers that this run started the shard's job. Not to remember costs a name, so nothing fails for it.
pub(super) async fn remember_job(world: &World, record: &ExecutionRecord, shard: &ShardRecord) {
    let Some(job) = &shard.job else { return };
    let item = JobRecord {
        job_id: job.job_id.clone(),
        wave_key: JOB_KEY.to_owned(),
        started_by: record.execution_id.clone(),
        plan_id: record.plan_id.clone(),
        wave_number: shard.wave_number,
    };
    match world.store.create_job(&item).await {
        Ok(Created::New | Created::Existed) => {}
        Err(error) => warn!(job_id = %job.job_id, %error, "JobNotRemembered: its instances may stay without a name"),
    }
}
