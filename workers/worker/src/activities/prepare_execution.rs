//! `prepare-execution-v1`: validate, resolve membership once, look whether DRS could launch, lock the servers.
//!
//! Succeeds: members are stored, the record is IN_PROGRESS, every server is locked by this execution (RUN only).
//! Fails: nothing was launched; a record and some locks may exist, and finalize closes and releases them.
//!
//! ```text
//!   members ──> record PENDING (with the membership's digest) ──> locks ──> IN_PROGRESS
//! ```
//! The record is the point of no return for the membership: a repeated call finds it and uses the stored members, so
//! the same input gives the same run even if tags changed in between. An input that continues an earlier execution takes
//! members and plan from there: [`prepare_continuation`].

use crate::activities::prepare_confirmed::{judge_members, refuse_unexpected};
use crate::activities::prepare_continuation;
use crate::activities::prepare_locks::lock_servers;
use crate::activities::prepare_look::{Terms, judge, observe};
use crate::error::ActivityError;
use crate::world::{World, timeline};
use jiff::Timestamp;
use tidegate_aws::PortError;
use tidegate_aws::ports::{Created, Written};
use tidegate_contract::activities::{PrepareInput, PreparedRun, WaveDescriptor};
use tidegate_contract::input::{ExecutionInput, Request};
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{
    ExecutionRecord, Member, MembersRecord, Problem, RecordKey, Target, TimelineEntry, WaveRecord,
};
use tidegate_contract::tables::{members_key, wave_key};
use tidegate_contract::{ErrorName, ExecutionId, ExecutionStatus, Mode};
use tidegate_core::confirmation::Found;
use tidegate_core::continuation::{self, BEGAN};
use tidegate_core::membership::{self, Groups, Membership};
use tidegate_core::poll_interval::expected_wave_seconds;
use tidegate_core::readiness::Readiness;
use tidegate_core::{input_check, plan_check, provenance, readiness, time};
use tracing::info;

/// Runs the activity.
pub async fn run(world: World, input: PrepareInput) -> Result<PreparedRun, ActivityError> {
    let request = input_check::parse_request(&input.input)
        .map_err(|problems| refuse(ErrorName::InvalidInput, "the execution's input is not valid", problems))?;
    if !provenance::is_name(input.execution_id.as_str()) {
        let problem = Problem {
            field: "name".to_owned(),
            message: "the execution's name holds more than letters, digits, - and _, or more than 80 of them"
                .to_owned(),
            remedy: "start again under such a name; it stands in logs, lists and commands".to_owned(),
        };
        return Err(refuse(ErrorName::InvalidInput, "the execution's name is not valid", vec![problem]));
    }
    let start_time = time::normalise(&input.start_time).unwrap_or_else(|| input.start_time.clone());
    let record = world.store.find_execution(&input.execution_id).await?;
    if let Some(record) = &record
        && (record.execution_arn != input.execution_arn || record.start_time != start_time)
    {
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("an earlier execution {} has a record already: start again under another name", input.execution_id),
        ));
    }
    match (request, record) {
        (Request::Plan(request), None) => prepare(&world, &input, &request, start_time).await,
        (Request::Plan(request), Some(record)) => repeat(&world, &request, record).await,
        (Request::Continue(request), None) => prepare_continuation::prepare(&world, &input, &request, start_time).await,
        (Request::Continue(request), Some(record)) => prepare_continuation::repeat(&world, &request, record).await,
    }
}

/// A call after one that has written the record.
async fn repeat(
    world: &World,
    request: &ExecutionInput,
    record: ExecutionRecord,
) -> Result<PreparedRun, ActivityError> {
    // One that was closed before it was prepared has no members.
    refuse_if_ended(&record)?;
    let membership = stored_membership(world, &record).await?;
    let readiness = if record.mode == Mode::Run && record.status == ExecutionStatus::Pending {
        let (terms, targets) = (Terms::of(request), targets_of(&membership));
        reached(world.reach.check_targets(&targets))?;
        let observed = observe(world, &targets, terms).await?.1;
        judge(world, terms, &observed, &membership, None).await?
    } else {
        Readiness::default()
    };
    begin(world, record, &membership, readiness).await
}

async fn prepare(
    world: &World,
    input: &PrepareInput,
    request: &ExecutionInput,
    start_time: String,
) -> Result<PreparedRun, ActivityError> {
    let loaded = load_plan(world, request).await?;
    let plan = &loaded.plan;
    let (groups, home_account) = (load_groups(world, plan).await?, account_of(&input.execution_arn)?);
    reached(world.reach.check_plan(plan, &groups, home_account))?;
    let targets: Vec<Target> = membership::targets(plan, &groups, home_account).into_iter().collect();
    let terms = Terms::of(request);
    let (inventory, observed) = observe(world, &targets, terms).await?;
    let membership = membership::resolve(plan, &groups, &inventory, home_account)
        .map_err(|problems| refuse(ErrorName::PlanRefused, "the plan does not fit what DRS knows", problems))?;
    let found = Found::of(plan, loaded.updated_at.clone(), &membership);
    refuse_unexpected(request.expected.as_ref(), &found)?;
    let (compared_with, members) = judge_members(world, request, &plan.plan_id, &found, &membership).await?;
    let mut readiness = judge(world, terms, &observed, &membership, None).await?;
    readiness.warnings = readiness::cap([members.warnings, readiness.warnings].concat());

    may_read_launch_settings(world, &membership).await?;

    if request.mode == Mode::Check {
        return check_report(plan, request, &membership, found, compared_with, readiness);
    }
    let record = ExecutionRecord {
        plan_hash: Some(found.plan_hash),
        plan_updated_at: found.plan_updated_at,
        compared_with,
        ..new_record(input, request, plan, &membership, &readiness, start_time, world.clock.now())?
    };
    create(world, &record, &membership).await?;
    info!(execution_id = %record.execution_id, plan_id = %record.plan_id, waves = record.total_waves, servers = record.total_servers, "ExecutionCreated");
    begin(world, record, &membership, readiness).await
}

/// Creates the record, after its key is settled and its members are stored.
pub(super) async fn create(
    world: &World,
    record: &ExecutionRecord,
    membership: &Membership,
) -> Result<(), ActivityError> {
    check_size(record)?;
    let key = world.store.claim_record(&RecordKey::of(record)).await?;
    if key != RecordKey::of(record) {
        // Another attempt knew another plan, or the execution was closed before it came so far: its record tells.
        return Err(ActivityError::new(
            ErrorName::Conflict,
            format!("the record of {} lies under the plan {} already", record.execution_id, key.plan_id),
        ));
    }
    store_membership(world, record, membership).await?;
    if world.store.create_execution(record).await? == Created::Existed {
        return Err(ActivityError::superseded("the execution's record"));
    }
    Ok(())
}

/// Locks the servers, then judges readiness (so that two runs that start together see each other as such), then begins.
async fn begin(
    world: &World,
    record: ExecutionRecord,
    membership: &Membership,
    readiness: Readiness,
) -> Result<PreparedRun, ActivityError> {
    refuse_if_ended(&record)?;
    if record.mode == Mode::Run {
        lock_servers(world, &record, membership).await?;
        refuse_unready(readiness)?;
    }
    set_begun(world, &record, &format!("{} servers in {} waves", record.total_servers, record.total_waves)).await?;
    Ok(prepared(&record, &[]))
}

/// Refuses a call that came after the execution's end.
pub(super) fn refuse_if_ended(record: &ExecutionRecord) -> Result<(), ActivityError> {
    if !record.status.is_terminal() {
        return Ok(());
    }
    Err(ActivityError::new(ErrorName::Conflict, format!("execution {} has ended already", record.execution_id)))
}

/// Refuses what DRS could not launch.
pub(super) fn refuse_unready(readiness: Readiness) -> Result<(), ActivityError> {
    if readiness.problems.is_empty() {
        return Ok(());
    }
    Err(refuse(ErrorName::PlanRefused, "DRS could not launch this plan now", readiness.problems))
}

/// PENDING becomes IN_PROGRESS; what has become that already stays.
pub(super) async fn set_begun(world: &World, record: &ExecutionRecord, detail: &str) -> Result<(), ActivityError> {
    if record.status != ExecutionStatus::Pending {
        return Ok(());
    }
    let entry = timeline(world.clock.as_ref(), BEGAN, 0, detail);
    match world.store.begin_execution(record, &entry).await? {
        Written::Stored => Ok(()),
        Written::Stale => Err(ActivityError::superseded("the execution's status")),
    }
}

/// What the machine is told; `carried` are the waves taken over from a continued execution.
pub(super) fn prepared(record: &ExecutionRecord, carried: &[WaveRecord]) -> PreparedRun {
    let start = continuation::starting_point(&record.waves, carried, record.weakened.is_some());
    PreparedRun {
        plan_id: record.plan_id.clone(),
        plan_name: record.plan_name.clone(),
        execution_type: record.execution_type,
        mode: record.mode,
        wave_count: record.total_waves,
        waves: start.waves,
        first_index: start.first_index,
        first_attempts: start.first_attempts,
        completed_waves: start.completed_waves,
        membership_hash: record.membership_hash.clone().unwrap_or_default(),
        plan_hash: String::new(),
        source_server_ids: Vec::new(),
        compared_with: record.compared_with.clone(),
        warnings: record.warnings.clone(),
    }
}

/// Servers a check names. Their ids go with up to 100 waves and 20 warnings into an output of 256 KiB.
const MOST_LISTED: usize = 2_000;

fn check_report(
    plan: &Plan,
    request: &ExecutionInput,
    membership: &Membership,
    found: Found,
    compared_with: Option<ExecutionId>,
    readiness: Readiness,
) -> Result<PreparedRun, ActivityError> {
    let warnings = readiness.warnings.clone();
    refuse_unready(readiness)?;
    let start = continuation::starting_point(&descriptors(plan, membership), &[], false);
    let ids = |members: &Vec<Member>| members.iter().map(|member| member.source_server_id.clone()).collect();
    let few = found.servers <= MOST_LISTED;
    Ok(PreparedRun {
        plan_id: plan.plan_id.clone(),
        plan_name: plan.plan_name.clone(),
        execution_type: request.execution_type,
        mode: request.mode,
        wave_count: count(plan.waves.len()),
        waves: start.waves,
        first_index: start.first_index,
        first_attempts: start.first_attempts,
        completed_waves: start.completed_waves,
        membership_hash: found.membership_hash,
        plan_hash: found.plan_hash,
        source_server_ids: if few { membership.iter().map(ids).collect() } else { Vec::new() },
        compared_with,
        warnings,
    })
}

/// Refuses a plan that leads where the deployment does not, before anything is called there.
pub(super) fn reached(problems: Vec<Problem>) -> Result<(), ActivityError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(refuse(ErrorName::PlanRefused, "the plan leads where this deployment does not", problems))
}

pub(super) fn refuse(name: ErrorName, message: &str, problems: Vec<Problem>) -> ActivityError {
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

/// A plan, and when it was stored; None: it came with the input.
pub(super) struct Loaded {
    pub(super) plan: Plan,
    pub(super) updated_at: Option<String>,
}

async fn load_plan(world: &World, request: &ExecutionInput) -> Result<Loaded, ActivityError> {
    let invalid = |problems| refuse(ErrorName::InvalidInput, "the plan is not valid", problems);
    let mut updated_at = None;
    let plan = match (&request.plan, &request.plan_id) {
        (Some(plan), _) => plan.clone(),
        (None, Some(id)) => {
            let missing = || Problem {
                field: "planId".to_owned(),
                message: format!("there is no stored plan {id}"),
                remedy: "store it in the recovery-plans table, or correct the id".to_owned(),
            };
            let stored = world.store.load_plan(id).await;
            let stored =
                stored.map_err(|error| stored_otherwise("planId", &format!("{id} of recovery-plans"), error))?;
            let stored = stored.ok_or_else(|| invalid(vec![missing()]))?;
            let plan = input_check::parse_plan(&stored.plan).map_err(invalid)?;
            updated_at = Some(stored.updated_at);
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
    if problems.is_empty() { Ok(Loaded { plan, updated_at }) } else { Err(invalid(problems)) }
}

/// People write plans and groups: an item that is none is refused like any other wrong plan, and is no fault of ours.
fn stored_otherwise(field: &str, item: &str, error: PortError) -> ActivityError {
    if !error.is_unreadable() {
        return error.into();
    }
    let problem = Problem {
        field: field.to_owned(),
        message: format!("the item {item} is not what is stored there: {}", error.message),
        remedy: "store it again with all its attributes (docs/records.md)".to_owned(),
    };
    refuse(ErrorName::InvalidInput, "a stored item cannot be read", vec![problem])
}

async fn load_groups(world: &World, plan: &Plan) -> Result<Groups, ActivityError> {
    let mut groups = Groups::new();
    for id in membership::group_ids(plan) {
        // A group that is not there is told by `resolve`, together with everything else.
        let stored = world.store.load_group(&id).await;
        let item = format!("{id} of protection-groups");
        if let Some(stored) = stored.map_err(|error| stored_otherwise("plan.waves", &item, error))? {
            let group = input_check::parse_group(&stored.group, &format!("protectionGroup {id}"))
                .map_err(|problems| refuse(ErrorName::InvalidInput, "a protection group is not valid", problems))?;
            groups.insert(id, group);
        }
    }
    Ok(groups)
}

/// Asks every target once for what a recovery's polls ask of each server. A right that is missing there is found out here, and
/// in drills as well.
async fn may_read_launch_settings(world: &World, membership: &Membership) -> Result<(), ActivityError> {
    for target in targets_of(membership) {
        let Some(member) = membership.iter().flatten().find(|member| member.target == target) else { continue };
        let drs = world.targets.drs(&target).await?;
        drs.launch_settings(&member.source_server_id).await?;
        drs.launch_actions(&member.source_server_id).await?;
    }
    Ok(())
}

pub(super) fn count(length: usize) -> u32 {
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
    let (id, arn, plan_id) = (input.execution_id.clone(), input.execution_arn.clone(), plan.plan_id.clone());
    Ok(ExecutionRecord {
        plan_name: plan.plan_name.clone(),
        initiated_by: request.initiated_by.clone(),
        total_waves,
        total_servers: membership.iter().map(|members| count(members.len())).sum(),
        expected_duration: expected_wave_seconds(request.execution_type) * total_waves,
        timeline: vec![TimelineEntry {
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
        replace_recovered: request.options.replace_recovered,
        replace_drill: request.options.replace_drill,
        warnings: readiness.warnings.clone(),
        ..ExecutionRecord::pending(id, arn, plan_id, request.execution_type, request.mode, start_time)
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
            named_roles: false,
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

pub(super) async fn stored_membership(world: &World, record: &ExecutionRecord) -> Result<Membership, ActivityError> {
    let mut run = world.store.load_run(&record.execution_id).await?;
    run.members.sort_by_key(|members| members.wave_number);
    let digest = record.membership_hash.as_deref();
    // Of one resolution, as far as an earlier release's digest can tell today.
    let of_roles = run.members.len() == record.waves.len()
        && run.members.iter().any(|members| members.named_roles)
        && run.members.iter().all(|members| digest == Some(members.membership_hash.as_str()));
    let membership: Membership = run.members.into_iter().map(|members| members.members).collect();
    if of_roles || digest == Some(membership::hash(&membership).as_str()) {
        return Ok(membership);
    }
    Err(ActivityError::new(
        ErrorName::Internal,
        "the stored members do not match the record's digest: two attempts to prepare ran against each other; start again",
    ))
}

pub(super) fn targets_of(membership: &Membership) -> Vec<Target> {
    let mut targets: Vec<Target> = membership.iter().flatten().map(|member| member.target.clone()).collect();
    targets.sort();
    targets.dedup();
    targets
}
