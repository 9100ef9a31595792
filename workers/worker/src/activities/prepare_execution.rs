//! `prepare-execution-v1`: validate, resolve membership once, look whether DRS could launch, lock the servers.
//!
//! Succeeds: members are stored, the record is IN_PROGRESS, every server is locked by this execution (RUN only).
//! Fails: nothing was launched; a record and some locks may exist, and finalize closes and releases them.
//!
//! ```text
//!   members ──> record PENDING (with the membership's digest) ──> locks ──> IN_PROGRESS
//! ```
//! The record is the point of no return for the membership: a repeated call finds it and uses the stored members, so
//! the same input gives the same run even if tags changed in between.

use crate::error::ActivityError;
use crate::world::{World, timeline};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tidegate_aws::ErrorClass;
use tidegate_aws::ports::{Created, Lock, Written};
use tidegate_contract::activities::{PrepareInput, PreparedRun, WaveDescriptor};
use tidegate_contract::input::ExecutionInput;
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{ExecutionRecord, Flag, LockRecord, MembersRecord, Problem, Target};
use tidegate_contract::tables::{members_key, wave_key};
use tidegate_contract::{ErrorName, ExecutionStatus, ExecutionType, Mode, SCHEMA_VERSION, SourceServerId};
use tidegate_core::membership::{self, Groups, Inventory, Membership};
use tidegate_core::observed::JobStatus;
use tidegate_core::poll_interval::expected_wave_seconds;
use tidegate_core::readiness::{self, Readiness, TargetState};
use tidegate_core::{input_check, plan_check, time};
use tracing::{info, warn};

/// How far back unfinished jobs are looked for: a hung conversion was seen for hours (AWS fact sheet 2.4).
const ACTIVE_JOB_WINDOW_SECONDS: u32 = 3 * 86_400;
/// Calls in flight at once, for locks and launch configurations.
const CONCURRENCY: usize = 16;

/// Runs the activity.
pub async fn run(world: World, input: PrepareInput) -> Result<PreparedRun, ActivityError> {
    let request = input_check::parse_input(&input.input)
        .map_err(|problems| refuse(ErrorName::InvalidInput, "the execution's input is not valid", problems))?;
    let start_time = time::normalise(&input.start_time).unwrap_or_else(|| input.start_time.clone());

    if let Some(record) = world.store.find_execution(&input.execution_id).await? {
        if record.execution_arn != input.execution_arn || record.start_time != start_time {
            return Err(ActivityError::new(
                ErrorName::Conflict,
                format!(
                    "an earlier execution {} has a record already: start again under another name",
                    input.execution_id
                ),
            ));
        }
        let membership = stored_membership(&world, &record).await?;
        let readiness = if record.mode == Mode::Run && record.status == ExecutionStatus::Pending {
            let observed = observe(&world, &membership_targets(&membership), &request).await?.1;
            judge(&world, &request, &observed, &membership).await?
        } else {
            Readiness::default()
        };
        return begin(&world, record, &membership, readiness).await;
    }

    let plan = load_plan(&world, &request).await?;
    let (groups, home_account) = (load_groups(&world, &plan).await?, account_of(&input.execution_arn)?);
    let targets: Vec<Target> = membership::targets(&plan, &groups, home_account).into_iter().collect();
    let (inventory, observed) = observe(&world, &targets, &request).await?;
    let mut membership = membership::resolve(&plan, &groups, &inventory, home_account)
        .map_err(|problems| refuse(ErrorName::PlanRefused, "the plan does not fit what DRS knows", problems))?;
    let readiness = judge(&world, &request, &observed, &membership).await?;

    if request.mode == Mode::Check {
        return check_report(&plan, &request, &membership, readiness);
    }
    if request.execution_type == ExecutionType::Recovery && request.mode == Mode::Run {
        read_launch_configurations(&world, &mut membership).await?;
    }
    let record = new_record(&input, &request, &plan, &membership, &readiness, start_time, world.clock.now())?;
    check_size(&record)?;
    store_membership(&world, &record, &membership).await?;
    if world.store.create_execution(&record).await? == Created::Existed {
        return Err(ActivityError::superseded("the execution's record"));
    }
    info!(execution_id = %record.execution_id, plan_id = %record.plan_id, waves = record.total_waves, servers = record.total_servers, "ExecutionCreated");
    begin(&world, record, &membership, readiness).await
}

/// Locks the servers, then judges readiness (so that two runs that start together see each other as such), then begins.
async fn begin(
    world: &World,
    record: ExecutionRecord,
    membership: &Membership,
    readiness: Readiness,
) -> Result<PreparedRun, ActivityError> {
    if record.status.is_terminal() {
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("execution {} has ended already", record.execution_id),
        ));
    }
    if record.mode == Mode::Run {
        lock_servers(world, &record, membership).await?;
        if !readiness.problems.is_empty() {
            return Err(refuse(ErrorName::PlanRefused, "DRS could not launch this plan now", readiness.problems));
        }
    }
    if record.status == ExecutionStatus::Pending {
        let entry = timeline(
            world.clock.as_ref(),
            "PREPARED",
            0,
            format!("{} servers in {} waves", record.total_servers, record.total_waves),
        );
        if world.store.begin_execution(&record, &entry).await? == Written::Stale {
            return Err(ActivityError::superseded("the execution's status"));
        }
    }
    Ok(prepared(&record))
}

fn prepared(record: &ExecutionRecord) -> PreparedRun {
    PreparedRun {
        plan_id: record.plan_id.clone(),
        plan_name: record.plan_name.clone(),
        execution_type: record.execution_type,
        mode: record.mode,
        wave_count: record.total_waves,
        waves: record.waves.clone(),
        membership_hash: record.membership_hash.clone().unwrap_or_default(),
        warnings: record.warnings.clone(),
    }
}

fn check_report(
    plan: &Plan,
    request: &ExecutionInput,
    membership: &Membership,
    readiness: Readiness,
) -> Result<PreparedRun, ActivityError> {
    if !readiness.problems.is_empty() {
        return Err(refuse(ErrorName::PlanRefused, "DRS could not launch this plan now", readiness.problems));
    }
    Ok(PreparedRun {
        plan_id: plan.plan_id.clone(),
        plan_name: plan.plan_name.clone(),
        execution_type: request.execution_type,
        mode: request.mode,
        wave_count: count(plan.waves.len()),
        waves: descriptors(plan, membership),
        membership_hash: membership::hash(membership),
        warnings: readiness.warnings,
    })
}

fn refuse(name: ErrorName, message: &str, problems: Vec<Problem>) -> ActivityError {
    ActivityError::refused(name, message, problems)
}

/// `arn:aws:states:REGION:ACCOUNT:execution:…`: the account the workers live in, without asking STS.
fn account_of(execution_arn: &str) -> Result<&str, ActivityError> {
    execution_arn
        .split(':')
        .nth(4)
        .filter(|account| !account.is_empty())
        .ok_or_else(|| ActivityError::new(ErrorName::InvalidInput, "executionArn is not an execution's ARN"))
}

async fn load_plan(world: &World, request: &ExecutionInput) -> Result<Plan, ActivityError> {
    let invalid = |problems| refuse(ErrorName::InvalidInput, "the plan is not valid", problems);
    let plan = match (&request.plan, &request.plan_id) {
        (Some(plan), _) => plan.clone(),
        (None, Some(id)) => {
            let missing = || Problem {
                field: "planId".to_owned(),
                message: format!("there is no stored plan {id}"),
                remedy: "store it in the recovery-plans table, or correct the id".to_owned(),
            };
            let stored = world.store.load_plan(id).await?.ok_or_else(|| invalid(vec![missing()]))?;
            let plan = input_check::parse_plan(&stored.plan).map_err(invalid)?;
            if plan.plan_id != *id {
                let problem = Problem {
                    field: "plan.planId".to_owned(),
                    message: format!("is {}, but it is stored under {id}", plan.plan_id),
                    remedy: "store it under its own id".to_owned(),
                };
                return Err(invalid(vec![problem]));
            }
            plan
        }
        (None, None) => return Err(ActivityError::new(ErrorName::InvalidInput, "no plan is named")),
    };
    let problems = plan_check::check_plan(&plan, "plan");
    if problems.is_empty() { Ok(plan) } else { Err(invalid(problems)) }
}

async fn load_groups(world: &World, plan: &Plan) -> Result<Groups, ActivityError> {
    let mut groups = Groups::new();
    for id in membership::group_ids(plan) {
        // A group that is not there is told by `resolve`, together with everything else.
        if let Some(stored) = world.store.load_group(&id).await? {
            let group = input_check::parse_group(&stored.group, &format!("protectionGroup {id}"))
                .map_err(|problems| refuse(ErrorName::InvalidInput, "a protection group is not valid", problems))?;
            groups.insert(id, group);
        }
    }
    Ok(groups)
}

/// What was seen of every target, before it is judged.
struct Observed {
    states: BTreeMap<Target, TargetState>,
    unread: Readiness,
}

impl Observed {
    fn judge(&self, membership: &Membership) -> Readiness {
        let mut readiness = readiness::check(membership, &self.states);
        readiness.problems.extend(self.unread.problems.iter().cloned());
        readiness.warnings.extend(self.unread.warnings.iter().cloned());
        readiness
    }
}

/// Judges what was seen, and for a recovery asks which servers have been recovered already.
async fn judge(
    world: &World,
    request: &ExecutionInput,
    observed: &Observed,
    membership: &Membership,
) -> Result<Readiness, ActivityError> {
    let mut readiness = observed.judge(membership);
    if request.execution_type == ExecutionType::Recovery {
        let mut servers: BTreeMap<&Target, Vec<SourceServerId>> = BTreeMap::new();
        for member in membership.iter().flatten() {
            servers.entry(&member.target).or_default().push(member.source_server_id.clone());
        }
        for (target, ids) in servers {
            let instances = world.targets.drs(target).await?.recovery_instances(&ids).await?;
            let recovered = readiness::already_recovered(membership, &instances);
            if request.options.relaunch_recovered {
                readiness.warnings.extend(recovered);
            } else {
                readiness.problems.extend(recovered);
            }
        }
    }
    readiness.warnings = readiness::cap(readiness.warnings);
    Ok(readiness)
}

async fn observe(
    world: &World,
    targets: &[Target],
    request: &ExecutionInput,
) -> Result<(Inventory, Observed), ActivityError> {
    let mut observed = Observed { states: BTreeMap::new(), unread: Readiness::default() };
    let mut inventory = Inventory::new();
    for target in targets {
        let drs = world.targets.drs(target).await?;
        let since = time::before(world.clock.now(), ACTIVE_JOB_WINDOW_SECONDS);
        let (servers, jobs, native) =
            futures::join!(drs.source_servers(), drs.jobs_since(since), drs.native_executions());
        let servers = servers?;
        let native = match native {
            Ok(native) => native,
            // Fail closed, with a named override that is recorded (lesson c-18).
            Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::NotFound) => {
                let problem = Problem {
                    field: "options.ignoreNativePlans".to_owned(),
                    message: format!(
                        "native recovery plans of {} in account {} cannot be read: {error}",
                        target.region, target.account_id
                    ),
                    remedy: "grant drs:ListRecoveryPlanExecutions, or set ignoreNativePlans to true".to_owned(),
                };
                if request.options.ignore_native_plans {
                    observed.unread.warnings.push(problem);
                } else {
                    observed.unread.problems.push(problem);
                }
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        inventory.insert(target.clone(), servers.clone());
        let active_jobs = jobs?.into_iter().filter(|job| job.status != JobStatus::Completed).collect();
        observed.states.insert(target.clone(), TargetState { servers, active_jobs, native_executions: native });
    }
    Ok((inventory, observed))
}

async fn read_launch_configurations(world: &World, membership: &mut Membership) -> Result<(), ActivityError> {
    let members: Vec<_> = membership.iter_mut().flatten().collect();
    stream::iter(members)
        .map(Ok::<_, ActivityError>)
        .try_for_each_concurrent(CONCURRENCY, |member| async move {
            let drs = world.targets.drs(&member.target).await?;
            member.post_launch_expected = drs.post_launch_enabled(&member.source_server_id).await?;
            Ok(())
        })
        .await
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn descriptors(plan: &Plan, membership: &Membership) -> Vec<WaveDescriptor> {
    plan.waves
        .iter()
        .zip(membership)
        .map(|(wave, members)| WaveDescriptor {
            wave_number: wave.wave_number,
            wave_key: wave_key(wave.wave_number),
            wave_name: wave.wave_name.clone(),
            pause_before_wave: wave.pause_before_wave,
            on_failure: wave.on_failure,
            timeout_seconds: wave.timeout_seconds,
            wait_after_seconds: wave.wait_after_seconds,
            gate_timeout_seconds: wave.gate_timeout_seconds,
            server_count: count(members.len()),
        })
        .collect()
}

fn new_record(
    input: &PrepareInput,
    request: &ExecutionInput,
    plan: &Plan,
    membership: &Membership,
    readiness: &Readiness,
    start_time: String,
    now: Timestamp,
) -> Result<ExecutionRecord, ActivityError> {
    let snapshot = serde_json::to_string(plan)
        .map_err(|error| ActivityError::new(ErrorName::Internal, format!("the plan cannot be stored: {error}")))?;
    let total_waves = count(plan.waves.len());
    Ok(ExecutionRecord {
        execution_id: input.execution_id.clone(),
        plan_id: plan.plan_id.clone(),
        schema_version: SCHEMA_VERSION,
        plan_name: plan.plan_name.clone(),
        execution_arn: input.execution_arn.clone(),
        execution_type: request.execution_type,
        mode: request.mode,
        status: ExecutionStatus::Pending,
        initiated_by: request.initiated_by.clone(),
        total_waves,
        completed_waves: 0,
        failed_waves: 0,
        current_wave: 0,
        total_servers: membership.iter().map(|members| count(members.len())).sum(),
        start_time,
        expected_duration: expected_wave_seconds(request.execution_type) * total_waves,
        completed_time: None,
        end_time: None,
        duration_seconds: None,
        gate: None,
        pause_requested: Flag::Off,
        cancel_requested: Flag::Off,
        last_answer: None,
        timeline: vec![tidegate_contract::records::TimelineEntry {
            at: time::format(now),
            event: "CREATED".to_owned(),
            wave_number: 0,
            detail: request.initiated_by.clone().unwrap_or_default(),
        }],
        waves: descriptors(plan, membership),
        plan: snapshot,
        membership_hash: Some(membership::hash(membership)),
        hold_seconds: request.options.hold_seconds,
        keep_instances: request.options.keep_instances,
        warnings: readiness.warnings.clone(),
        outcome: None,
        report: None,
        cleanup: None,
    })
}

/// The record grows with timeline and report, an item holds 400 KB, and the machine reads it through 256 KiB of state.
const MAX_RECORD_BYTES: usize = 150_000;

fn check_size(record: &ExecutionRecord) -> Result<(), ActivityError> {
    let bytes = serde_json::to_string(record).map_or(usize::MAX, |text| text.len());
    if bytes <= MAX_RECORD_BYTES {
        return Ok(());
    }
    let problem = Problem {
        field: "plan".to_owned(),
        message: format!("makes a record of {bytes} bytes, more than {MAX_RECORD_BYTES}"),
        remedy: "choose servers by tag or protection group instead of by id, or split the plan".to_owned(),
    };
    Err(refuse(ErrorName::InvalidInput, "the plan is too large", vec![problem]))
}

async fn store_membership(
    world: &World,
    record: &ExecutionRecord,
    membership: &Membership,
) -> Result<(), ActivityError> {
    for (descriptor, members) in record.waves.iter().zip(membership) {
        let item = MembersRecord {
            execution_id: record.execution_id.clone(),
            wave_key: members_key(descriptor.wave_number),
            wave_number: descriptor.wave_number,
            membership_hash: record.membership_hash.clone().unwrap_or_default(),
            members: members.clone(),
        };
        if world.store.put_members(&item).await? == Written::Stale {
            return Err(ActivityError::new(
                ErrorName::Conflict,
                "an earlier attempt to prepare this execution resolved other members: start again under another name",
            ));
        }
    }
    Ok(())
}

async fn stored_membership(world: &World, record: &ExecutionRecord) -> Result<Membership, ActivityError> {
    let mut run = world.store.load_run(&record.execution_id).await?;
    run.members.sort_by_key(|members| members.wave_number);
    let membership: Membership = run.members.into_iter().map(|members| members.members).collect();
    if record.membership_hash.as_deref() == Some(membership::hash(&membership).as_str()) {
        return Ok(membership);
    }
    Err(ActivityError::new(
        ErrorName::Internal,
        "the stored members do not match the record's digest: two attempts to prepare ran against each other; start again",
    ))
}

fn membership_targets(membership: &Membership) -> Vec<Target> {
    let mut targets: Vec<Target> = membership.iter().flatten().map(|member| member.target.clone()).collect();
    targets.sort();
    targets.dedup();
    targets
}

async fn lock_servers(world: &World, record: &ExecutionRecord, membership: &Membership) -> Result<(), ActivityError> {
    let locked_at = time::format(world.clock.now());
    let locks: Vec<LockRecord> = membership
        .iter()
        .flatten()
        .map(|member| LockRecord {
            server: membership::lock_key(member),
            execution_id: record.execution_id.clone(),
            plan_id: record.plan_id.clone(),
            locked_at: locked_at.clone(),
        })
        .collect();
    let answers: Vec<Option<LockRecord>> = stream::iter(locks)
        .map(|lock| async move { lock_server(world, &lock).await })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut held: Vec<LockRecord> = answers.into_iter().flatten().collect();
    if held.is_empty() {
        return Ok(());
    }
    held.sort_by(|a, b| a.server.cmp(&b.server));
    let problems = held
        .into_iter()
        .map(|holder| Problem {
            field: "plan".to_owned(),
            message: format!(
                "{} is locked by execution {} of plan {}",
                holder.server, holder.execution_id, holder.plan_id
            ),
            remedy: "wait until that execution ends, or cancel it".to_owned(),
        })
        .collect();
    Err(refuse(ErrorName::Conflict, "another execution holds servers of this plan", problems))
}

/// None: ours. Some: who holds it.
async fn lock_server(world: &World, lock: &LockRecord) -> Result<Option<LockRecord>, ActivityError> {
    let holder = match world.store.acquire_lock(lock).await? {
        Lock::Acquired => return Ok(None),
        Lock::Held(holder) => holder,
    };
    let ended =
        world.store.find_execution(&holder.execution_id).await?.is_none_or(|record| record.status.is_terminal());
    if !ended {
        return Ok(Some(holder));
    }
    warn!(server = %lock.server, holder = %holder.execution_id, "StaleLockTakenOver");
    match world.store.take_over_lock(lock, &holder.execution_id).await? {
        Lock::Acquired => Ok(None),
        Lock::Held(holder) => Ok(Some(holder)),
    }
}
