//! Prepare of an execution that continues an earlier one: over the same plan and the same members, at the wave where that
//! one ended, adopting what it launched.
//!
//! ```text
//!   members ──> record PENDING ──> old record's continuedBy ──> locks ──> shards fenced and taken over ──> waves ──> IN_PROGRESS
//! ```
//! - `continuedBy` is the one conditional write of which two continuations can only win one. It counts once this execution
//!   has begun; if it ends before that, the old one may be continued by another ([`continuation::successor`]).
//! - A worker that was frozen in the old run's start-wave may wake up at any time. Each shard of an unfinished wave is
//!   therefore stored anew under its next version before it is copied: the sleeper's own write then fails, so it does not send;
//!   and if it had marked its call as sent before, the copy says so and start-wave looks for that call.
//! - Copies are created, never overwritten, shards before their wave: a prepare that died half way is finished by the next,
//!   and where the run goes on is read from the copies alone.

use crate::activities::enrichment::save_shard;
use crate::activities::prepare_confirmed::refuse_unexpected;
use crate::activities::prepare_execution::{
    count, create, prepared, reached, refuse, refuse_if_ended, refuse_unready, set_begun, stored_membership, targets_of,
};
use crate::activities::prepare_locks::lock_servers;
use crate::activities::prepare_look::{CONCURRENCY, Continued, Terms, judge, observe};
use crate::error::ActivityError;
use crate::world::{World, timeline};
use futures::stream::{self, StreamExt, TryStreamExt};
use tidegate_aws::ports::{RunItems, Written};
use tidegate_contract::activities::{PrepareInput, PreparedRun};
use tidegate_contract::input::ContinueInput;
use tidegate_contract::records::{ExecutionRecord, Flag, Problem, ShardRecord, WaveRecord};
use tidegate_contract::{ErrorName, ExecutionId, ExecutionStatus, Mode, SCHEMA_VERSION};
use tidegate_core::confirmation::Found;
use tidegate_core::continuation::{self, OldRun, Standing, Successor};
use tidegate_core::membership::{self, Membership};
use tidegate_core::poll_interval::expected_wave_seconds;
use tidegate_core::readiness::{self, Readiness};
use tracing::{info, warn};

/// The execution that is continued, as it was read.
struct Old {
    record: ExecutionRecord,
    items: RunItems,
}

impl Old {
    async fn load(world: &World, id: &ExecutionId) -> Result<Option<Self>, ActivityError> {
        let Some(record) = world.store.find_execution(id).await? else { return Ok(None) };
        let items = world.store.load_run(id).await?;
        Ok(Some(Self { record, items }))
    }

    fn run(&self) -> OldRun<'_> {
        OldRun {
            execution_type: self.record.execution_type,
            waves: &self.record.waves,
            items: &self.items.waves,
            shards: &self.items.shards,
        }
    }
}

/// The first call: nothing of this execution is stored yet.
pub(super) async fn prepare(
    world: &World,
    input: &PrepareInput,
    request: &ContinueInput,
    start_time: String,
) -> Result<PreparedRun, ActivityError> {
    let Some(old) = Old::load(world, &request.continue_execution).await? else {
        return Err(unknown(&request.continue_execution));
    };
    let contradictions = continuation::contradictions(request, &old.record);
    if !contradictions.is_empty() {
        return Err(refuse(ErrorName::InvalidInput, "the input contradicts the continued execution", contradictions));
    }
    check_old(world, &old.record).await?;
    if old.run().standings().iter().all(|standing| *standing == Standing::Done) {
        let problem = Problem {
            field: "continueExecution".to_owned(),
            message: format!(
                "every wave of {} is COMPLETED, PARTIAL or skipped by an operator: none is left to continue at",
                old.record.execution_id
            ),
            remedy: "start a plan with the servers that are missing".to_owned(),
        };
        return Err(refuse(ErrorName::PlanRefused, "the execution cannot be continued", vec![problem]));
    }
    let membership = stored_membership(world, &old.record).await?;
    refuse_unexpected(request.expected.as_ref(), &Found::carried(&old.record, &membership))?;
    let readiness = look(world, request, &old, &membership).await?;
    let record = ExecutionRecord {
        // An earlier release's digest covers roles, which are not copied.
        membership_hash: Some(membership::hash(&membership)),
        ..new_record(world, input, request, &old, &readiness, start_time)
    };
    create(world, &record, &membership).await?;
    info!(execution_id = %record.execution_id, continues = %old.record.execution_id, plan_id = %record.plan_id, "ExecutionCreated");
    begin(world, record, &old, &membership, readiness).await
}

/// A call after one that has written the record.
pub(super) async fn repeat(
    world: &World,
    request: &ContinueInput,
    record: ExecutionRecord,
) -> Result<PreparedRun, ActivityError> {
    refuse_if_ended(&record)?;
    let membership = stored_membership(world, &record).await?;
    if record.status != ExecutionStatus::Pending {
        lock_servers(world, &record, &membership).await?;
        let run = world.store.load_run(&record.execution_id).await?;
        return Ok(prepared(&record, &run.waves));
    }
    let Some(old) = Old::load(world, &request.continue_execution).await? else {
        return Err(unknown(&request.continue_execution));
    };
    let readiness = look(world, request, &old, &membership).await?;
    begin(world, record, &old, &membership, readiness).await
}

fn unknown(id: &ExecutionId) -> ActivityError {
    let problem = Problem {
        field: "continueExecution".to_owned(),
        message: format!("there is no execution {id}"),
        remedy: "correct the name; `tidegate list` shows what there is".to_owned(),
    };
    refuse(ErrorName::InvalidInput, "the execution cannot be continued", vec![problem])
}

/// Refuses an execution that cannot be continued; of one that can, says who had claimed it and never began.
async fn check_old(world: &World, old: &ExecutionRecord) -> Result<(), ActivityError> {
    let by = match &old.continued_by {
        Some(id) => world.store.find_execution(id).await?,
        None => None,
    };
    let successor = continuation::successor(old, by.as_ref());
    let problems = continuation::refusals(old, &successor);
    if problems.is_empty() {
        return Ok(());
    }
    let name = match successor {
        Successor::Preparing(_) | Successor::Owner(_) => ErrorName::Conflict,
        Successor::None | Successor::NeverBegan(_) => ErrorName::PlanRefused,
    };
    Err(refuse(name, "the execution cannot be continued", problems))
}

/// Could DRS launch what is still to be launched, and is the rest still there?
async fn look(
    world: &World,
    request: &ContinueInput,
    old: &Old,
    membership: &Membership,
) -> Result<Readiness, ActivityError> {
    let (run, terms) = (old.run(), Terms::of_continuation(request, old.record.execution_type));
    let to_launch = run.to_launch(membership, world.clock.now());
    reached(world.reach.check_targets(&targets_of(membership)))?;
    let observed = observe(world, &targets_of(&to_launch), terms).await?.1;
    let continued = Continued { run, membership };
    let mut readiness = judge(world, terms, &observed, &to_launch, Some(&continued)).await?;
    for (target, servers) in run.ready_servers() {
        let instances = world.targets.drs(&target).await?.recovery_instances(&servers).await?;
        readiness.warnings.extend(run.vanished(&target, &instances));
    }
    readiness.warnings = readiness::cap(readiness.warnings);
    Ok(readiness)
}

fn new_record(
    world: &World,
    input: &PrepareInput,
    request: &ContinueInput,
    old: &Old,
    readiness: &Readiness,
    start_time: String,
) -> ExecutionRecord {
    let (first, old_run) = (&old.record, old.run());
    let (terms, weakened) = continuation::terms_of(request, first);
    let left = count(old_run.standings().iter().filter(|standing| **standing != Standing::Done).count());
    let kept: Vec<WaveRecord> = old
        .items
        .waves
        .iter()
        .filter_map(|wave| {
            let standing = old_run.standing_of(wave.wave_number);
            continuation::carry_wave(wave, standing, &input.execution_id, world.clock.now())
        })
        .collect();
    ExecutionRecord {
        execution_id: input.execution_id.clone(),
        schema_version: SCHEMA_VERSION,
        execution_arn: input.execution_arn.clone(),
        mode: Mode::Run,
        status: ExecutionStatus::Pending,
        initiated_by: request.initiated_by.clone(),
        // The machine's own count, as it will begin.
        completed_waves: continuation::starting_point(&first.waves, &kept, false).completed_waves,
        failed_waves: 0,
        current_wave: 0,
        first_start_time: Some(first.first_start_time.clone().unwrap_or_else(|| first.start_time.clone())),
        start_time,
        expected_duration: expected_wave_seconds(first.execution_type) * left,
        completed_time: None,
        end_time: None,
        duration_seconds: None,
        gate: None,
        pause_requested: Flag::Off,
        cancel_requested: Flag::Off,
        last_answer: None,
        timeline: vec![
            timeline(world.clock.as_ref(), "CREATED", 0, request.initiated_by.clone().unwrap_or_default()),
            timeline(world.clock.as_ref(), "CONTINUES", 0, first.execution_id.as_str()),
        ],
        continues: Some(first.execution_id.clone()),
        continued_by: None,
        hold_seconds: terms.hold_seconds,
        keep_instances: terms.keep_instances,
        weakened,
        // What may be deleted is said anew for each execution.
        replace_recovered: request.options.replace_recovered,
        replace_drill: request.options.replace_drill,
        replaced_by: Vec::new(),
        warnings: readiness.warnings.clone(),
        outcome: None,
        report: None,
        cleanup: None,
        // Plan, members and their digest, waves, type: the run goes on as it was planned.
        ..first.clone()
    }
}

/// Everything from the claim on; each step may have been done by an earlier call.
async fn begin(
    world: &World,
    record: ExecutionRecord,
    old: &Old,
    membership: &Membership,
    readiness: Readiness,
) -> Result<PreparedRun, ActivityError> {
    claim(world, &record, old).await?;
    lock_servers(world, &record, membership).await?;
    refuse_unready(readiness)?;
    let carried = take_over(world, &record, old).await?;
    let answer = prepared(&record, &carried);
    let detail = format!(
        "{} servers in {} waves; goes on at wave {}",
        record.total_servers,
        record.total_waves,
        answer.first_index + 1
    );
    set_begun(world, &record, &detail).await?;
    Ok(answer)
}

/// Writes this execution's name into the old record, once.
async fn claim(world: &World, record: &ExecutionRecord, old: &Old) -> Result<(), ActivityError> {
    if old.record.continued_by.as_ref() == Some(&record.execution_id) {
        return Ok(());
    }
    check_old(world, &old.record).await?;
    if let Some(before) = &old.record.continued_by {
        warn!(old = %old.record.execution_id, %before, "ContinuationNeverBegan: another one takes its place");
    }
    let entry = timeline(world.clock.as_ref(), "CONTINUED", 0, record.execution_id.to_string());
    match world.store.claim_continuation(&old.record, &record.execution_id, &entry).await? {
        Written::Stored => Ok(()),
        // The next call reads who was faster, and says so.
        Written::Stale => Err(ActivityError::superseded("the continued execution's record")),
    }
}

/// Copies what the old run left, and returns the waves as they lie in the new one.
async fn take_over(world: &World, record: &ExecutionRecord, old: &Old) -> Result<Vec<WaveRecord>, ActivityError> {
    let id = &record.execution_id;
    let run = old.run();
    let there = world.store.load_run(id).await?;
    let copied = |key: &str| there.shards.iter().any(|shard| shard.wave_key == key);
    let missing: Vec<(ShardRecord, Standing)> = old
        .items
        .shards
        .iter()
        .filter(|shard| !copied(&shard.wave_key))
        .map(|shard| (shard.clone(), run.standing_of(shard.wave_number)))
        .filter(|(_, standing)| *standing != Standing::Untouched)
        .collect();
    stream::iter(missing)
        .map(Ok::<_, ActivityError>)
        .try_for_each_concurrent(CONCURRENCY, |(mut shard, standing)| async move {
            if standing != Standing::Done {
                // The fence: from here on no attempt of the old run can store this shard, so none can send its call.
                save_shard(world, &mut shard).await?;
            }
            let next_attempt = run.next_attempt(shard.wave_number);
            world.store.create_shard(&continuation::carry_shard(&shard, standing, next_attempt, id)).await?;
            Ok(())
        })
        .await?;
    for wave in old.items.waves.iter().filter(|wave| !there.waves.iter().any(|is| is.wave_number == wave.wave_number)) {
        let standing = run.standing_of(wave.wave_number);
        if let Some(item) = continuation::carry_wave(wave, standing, id, world.clock.now()) {
            world.store.create_wave(&item).await?;
        }
    }
    let taken = world.store.load_run(id).await?;
    info!(execution_id = %id, continues = %old.record.execution_id, waves = taken.waves.len(), shards = taken.shards.len(), "TakenOver");
    Ok(taken.waves)
}
