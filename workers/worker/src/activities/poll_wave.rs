//! `poll-wave-v1`: ask DRS and EC2, take the answers in, store, judge.
//!
//! Order of writes: shards with their enriched servers first, the wave's own item last. So whoever reads COMPLETED on the
//! wave finds every instance filled in (S000). It holds no port that could write an execution's status (FR-2.4, AC-3.5).
//!
//! Succeeds: what was learned is stored and the verdict fits it. Fails: nothing or only shards are stored; asking again
//! is always right.

use crate::activities::enrichment::{enrich, store_shard, store_wave};
use crate::activities::launch_settings::read_launch_settings;
use crate::error::ActivityError;
use crate::metrics;
use crate::world::{World, cancel_requested, load_execution};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_aws::ports::{Clock, ExecutionReader, RequestReader, Targets, WaveStore};
use tidegate_contract::activities::{WaveInput, WaveVerdict};
use tidegate_contract::records::{ShardRecord, Target};
use tidegate_contract::{ErrorName, JobId};
use tidegate_core::observed::Job;
use tidegate_core::wave_poll::{self, PollQuestions};
use tidegate_core::wave_verdict;
use tidegate_runtime::MetricSink;
use tracing::{info, warn};

/// The narrow view of the world a poll gets.
#[derive(Clone)]
pub struct PollWorld {
    pub executions: Arc<dyn ExecutionReader>,
    pub requests: Arc<dyn RequestReader>,
    pub waves: Arc<dyn WaveStore>,
    pub targets: Arc<dyn Targets>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<dyn MetricSink>,
}

impl From<&World> for PollWorld {
    fn from(world: &World) -> Self {
        Self {
            executions: world.store.clone(),
            requests: world.store.clone(),
            waves: world.store.clone(),
            targets: world.targets.clone(),
            clock: world.clock.clone(),
            metrics: world.metrics.clone(),
        }
    }
}

/// Runs the activity.
pub async fn run(world: PollWorld, input: WaveInput) -> Result<WaveVerdict, ActivityError> {
    let record = load_execution(world.executions.as_ref(), &input.execution_id).await?;
    if record.status.is_terminal() {
        // Reached by a redriven execution that was reconciled before: its waves are closed, and stay as they were closed.
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("execution {} has ended as {}", record.execution_id, record.status),
        ));
    }
    let cancel_requested = cancel_requested(world.requests.as_ref(), &record).await?;
    let Some((mut wave, mut shards)) = world.waves.load_wave(&input.execution_id, input.wave_number).await? else {
        return Err(ActivityError::new(
            ErrorName::Internal,
            format!("wave {} is polled but was never started", input.wave_number),
        ));
    };
    if wave.status.is_settled() {
        // A repeated poll whose answer was lost: the stored verdict stands.
        return Ok(wave_verdict::verdict(&wave, &shards, &input, cancel_requested, world.clock.now()));
    }

    let before = shards.clone();
    let questions: Vec<PollQuestions> = shards.iter().map(wave_poll::plan_poll).collect();
    // What follows from these answers (a job that is missing since, a server that was not launched in time) counts from here: the
    // worker may be frozen before it concludes anything.
    let asked_at = world.clock.now();
    let jobs = ask_for_jobs(&world, &shards, &questions).await?;
    let polls = shards
        .iter_mut()
        .zip(&questions)
        .map(|(shard, questions)| poll_shard(&world, shard, questions, &jobs, asked_at));
    let answered = futures::future::join_all(polls).await.into_iter().all(|answered| answered);

    let now = world.clock.now();
    let overdue = wave_verdict::is_overdue(&wave, asked_at);
    for shard in &mut shards {
        wave_poll::apply_graces(shard, input.execution_type, asked_at);
        if overdue {
            wave_poll::apply_timeout(shard, input.execution_type, wave.timeout_seconds, now);
        }
    }
    wave_verdict::judge(&mut wave, &shards, input.execution_type, now);
    for (shard, before) in shards.iter_mut().zip(&before) {
        if wave_poll::learned_something(before, shard) {
            wave_poll::count_poll(shard, now);
            store_shard(world.waves.as_ref(), shard).await?;
        }
    }
    wave.poll_attempts += 1;
    wave.last_polled_time = Some(tidegate_core::time::format(now));
    store_wave(world.waves.as_ref(), &mut wave).await?;
    if wave.status.is_settled() {
        info!(
            execution_id = %wave.execution_id, wave = wave.wave_number, status = %wave.status, ready = wave.counts.ready,
            failed = wave.counts.failed, "WaveSettled: the execution's status is unchanged, the state machine goes on"
        );
        metrics::wave_settled(world.metrics.as_ref(), &record, &wave, now);
    }
    let verdict = wave_verdict::verdict(&wave, &shards, &input, cancel_requested, now);
    Ok(if answered { verdict } else { wave_verdict::patient(verdict, &wave, now) })
}

/// One DescribeJobs per target for all shards that want one. This answer is the heart of a poll, so its failure is the
/// poll's failure: the machine retries.
async fn ask_for_jobs(
    world: &PollWorld,
    shards: &[ShardRecord],
    questions: &[PollQuestions],
) -> Result<BTreeMap<JobId, Option<Job>>, ActivityError> {
    let mut wanted: BTreeMap<&Target, Vec<JobId>> = BTreeMap::new();
    for (shard, _) in shards.iter().zip(questions).filter(|(_, questions)| questions.job) {
        if let Some(job) = &shard.job {
            wanted.entry(&shard.target).or_default().push(job.job_id.clone());
        }
    }
    let mut answers = BTreeMap::new();
    for (target, ids) in wanted {
        let mut found = world.targets.drs(target).await?.jobs(&ids).await?;
        for id in ids {
            let position = found.iter().position(|job| job.job_id == id);
            answers.insert(id, position.map(|position| found.swap_remove(position)));
        }
    }
    Ok(answers)
}

/// False when a question went unanswered, without which the poll is good all the same.
async fn poll_shard(
    world: &PollWorld,
    shard: &mut ShardRecord,
    questions: &PollQuestions,
    jobs: &BTreeMap<JobId, Option<Job>>,
    asked_at: Timestamp,
) -> bool {
    let Some(job_id) = shard.job.as_ref().map(|job| job.job_id.clone()) else {
        return true;
    };
    let mut answered = true;
    if let Some(observed) = jobs.get(&job_id) {
        wave_poll::apply_job(shard, observed.as_ref(), asked_at);
    }
    if questions.log {
        match read_log(world, shard, &job_id).await {
            Ok(items) => wave_poll::apply_log(shard, &items),
            Err(error) => {
                answered = false;
                warn!(%job_id, %error, "JobLogUnread: the phase is as last seen");
            }
        }
    }
    // What this very answer launched is resolved at once, unless the log already took the third call.
    let fresh = wave_poll::plan_poll(shard).instances_of;
    let servers = if questions.log { &questions.instances_of } else { &fresh };
    read_launch_settings(world, shard).await;
    enrich(world.targets.as_ref(), shard, servers).await && answered
}

async fn read_log(
    world: &PollWorld,
    shard: &ShardRecord,
    job_id: &JobId,
) -> Result<Vec<tidegate_core::observed::JobLogItem>, tidegate_aws::PortError> {
    world.targets.drs(&shard.target).await?.job_log(job_id).await
}
