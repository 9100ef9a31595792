//! What prepare looks at before it lets a run begin: could DRS launch these servers now, and what would it delete for it?

use crate::activities::deletion_look;
use crate::error::ActivityError;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::input::{ContinueInput, ExecutionInput};
use tidegate_contract::records::{Problem, Target};
use tidegate_contract::{ErrorName, ExecutionType, SourceServerId};
use tidegate_core::cleanup::run_jobs;
use tidegate_core::continuation::{self, OldRun};
use tidegate_core::deletions;
use tidegate_core::membership::{Inventory, Membership};
use tidegate_core::observed::{Job, JobStatus, SourceServer};
use tidegate_core::readiness::{self, Readiness, TargetState};
use tidegate_core::{time, wave_start};

/// How far back unfinished jobs are looked for: a hung conversion was seen for hours (AWS fact sheet 2.4).
const ACTIVE_JOB_WINDOW_SECONDS: u32 = 3 * 86_400;
/// Calls in flight at once, for locks and items that are taken over.
pub(super) const CONCURRENCY: usize = 16;

/// What the person who started the run said about the checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    deletions: deletions::Terms,
    ignore_native_plans: bool,
}

impl Terms {
    /// Of a plan's run.
    pub(super) fn of(request: &ExecutionInput) -> Self {
        Self {
            deletions: deletions::Terms {
                execution_type: request.execution_type,
                replace_recovered: request.options.replace_recovered,
                replace_drill: request.options.replace_drill,
            },
            ignore_native_plans: request.options.ignore_native_plans,
        }
    }

    /// Of a continuation.
    pub(super) fn of_continuation(request: &ContinueInput, execution_type: ExecutionType) -> Self {
        Self {
            deletions: deletions::Terms {
                execution_type,
                replace_recovered: request.options.replace_recovered,
                replace_drill: request.options.replace_drill,
            },
            ignore_native_plans: request.options.ignore_native_plans,
        }
    }
}

/// What was seen of every target, before it is judged.
pub(super) struct Observed {
    states: BTreeMap<Target, TargetState>,
    /// Jobs of the last days, ended or not.
    jobs: BTreeMap<Target, Vec<Job>>,
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

/// The run that is continued.
pub(super) struct Continued<'a> {
    pub(super) run: OldRun<'a>,
    /// All of its members, launched or not.
    pub(super) membership: &'a Membership,
}

/// Judges what was seen, and asks what DRS would delete: instances of anybody, or, if this run continues an `old` one, of
/// anybody else.
pub(super) async fn judge(
    world: &World,
    terms: Terms,
    observed: &Observed,
    membership: &Membership,
    old: Option<&Continued<'_>>,
) -> Result<Readiness, ActivityError> {
    let mut readiness = observed.judge(membership);
    let may_launch = match old {
        None => membership.clone(),
        Some(old) => with_unanswered(world, old, membership).await?,
    };
    let mut servers: BTreeMap<&Target, Vec<SourceServerId>> = BTreeMap::new();
    for member in may_launch.iter().flatten() {
        servers.entry(&member.target).or_default().push(member.source_server_id.clone());
    }
    let mut doomed = BTreeMap::new();
    for (target, ids) in servers {
        let ours = old.map_or_else(BTreeSet::new, |old| run_jobs(old.run.shards, target));
        let jobs = observed.jobs.get(target).cloned();
        doomed.insert(target.clone(), deletion_look::look(world, target, &ids, jobs, &ours).await?.others);
    }
    let (problems, warnings) = deletions::check(&may_launch, terms.deletions, &doomed);
    readiness.problems.extend(problems);
    readiness.warnings.extend(warnings);
    readiness.warnings = readiness::cap(readiness.warnings);
    Ok(readiness)
}

/// What a continuation may launch: `to_launch`, and servers of a call that nobody answered and of which DRS lists no job.
/// Start-wave sends such a call again, long after it was made perhaps; somebody may have recovered the servers meanwhile.
async fn with_unanswered(
    world: &World,
    old: &Continued<'_>,
    to_launch: &Membership,
) -> Result<Membership, ActivityError> {
    let mut again = Vec::new();
    for shard in old.run.unanswered(world.clock.now()) {
        let jobs = match wave_start::look_from(&shard.intent) {
            Some(from) => world.targets.drs(&shard.target).await?.jobs_since(from).await?,
            None => Vec::new(),
        };
        let candidates = jobs.iter().filter(|job| !shard.earlier_jobs.contains(&job.job_id));
        if wave_start::find_job(&shard.intent, old.run.execution_type, candidates).is_none() {
            again.push(shard);
        }
    }
    let waves = to_launch.iter().zip(old.membership);
    Ok(waves.map(|(wave, members)| [wave.clone(), continuation::of_shards(members, &again)].concat()).collect())
}

/// Asks every target for its servers, its unfinished jobs and its native executions. Every account that refuses is told at once:
/// whoever mends roles and rights on the day would else find them one run after the other.
pub(super) async fn observe(
    world: &World,
    targets: &[Target],
    terms: Terms,
) -> Result<(Inventory, Observed), ActivityError> {
    let mut observed = Observed { states: BTreeMap::new(), jobs: BTreeMap::new(), unread: Readiness::default() };
    let (mut inventory, mut refused) = (Inventory::new(), Vec::new());
    for target in targets {
        match observe_target(world, target, terms, &mut observed).await {
            Ok(servers) => drop(inventory.insert(target.clone(), servers)),
            Err(error) if error.class == ErrorClass::Denied => refused.push(cannot_be_read(target, &error)),
            Err(error) => return Err(error.into()),
        }
    }
    if refused.is_empty() {
        return Ok((inventory, observed));
    }
    let message = format!("{} of the {} places the plan leads to cannot be read", refused.len(), targets.len());
    Err(ActivityError::refused(ErrorName::Denied, message, refused))
}

fn cannot_be_read(target: &Target, error: &PortError) -> Problem {
    Problem {
        field: format!("account {}, {}", target.account_id, target.region),
        message: error.to_string(),
        remedy:
            "the account's owner: see to the role there, its trust and its rights, or take its servers out of the plan"
                .to_owned(),
    }
}

async fn observe_target(
    world: &World,
    target: &Target,
    terms: Terms,
    observed: &mut Observed,
) -> Result<Vec<SourceServer>, PortError> {
    let drs = world.targets.drs(target).await?;
    let since = time::before(world.clock.now(), ACTIVE_JOB_WINDOW_SECONDS);
    // One after the other: while DRS is out each of them is repeated, and the first one that fails is enough.
    let servers = drs.source_servers().await?;
    let jobs = drs.jobs_since(since).await?;
    let native = match drs.native_executions().await {
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
            if terms.ignore_native_plans {
                observed.unread.warnings.push(problem);
            } else {
                observed.unread.problems.push(problem);
            }
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let active_jobs = jobs.iter().filter(|job| job.status != JobStatus::Completed).cloned().collect();
    observed.jobs.insert(target.clone(), jobs);
    let state = TargetState { servers: servers.clone(), active_jobs, native_executions: native };
    observed.states.insert(target.clone(), state);
    Ok(servers)
}
