//! Is what prepare found what somebody confirmed, and who was in the plan's last good run? Asked before anything is written.

use crate::activities::prepare_execution::{Loaded, refuse};
use crate::error::ActivityError;
use crate::world::World;
use tidegate_contract::input::{ExecutionInput, Expected};
use tidegate_contract::{ErrorName, ExecutionId};
use tidegate_core::confirmation::{self, Asked, Earlier, Found};
use tidegate_core::membership::{self, Membership};
use tidegate_core::readiness::Readiness;

/// Digests of a plan and its members.
pub(super) struct Confirmed {
    pub(super) plan_hash: String,
    pub(super) plan_updated_at: Option<String>,
    pub(super) membership_hash: String,
    pub(super) servers: usize,
}

impl Confirmed {
    pub(super) fn of(plan: &Loaded, membership: &Membership) -> Self {
        Self {
            plan_hash: confirmation::plan_hash(&plan.plan),
            plan_updated_at: plan.updated_at.clone(),
            membership_hash: membership::hash(membership),
            servers: membership.iter().map(Vec::len).sum(),
        }
    }
}

/// Refuses what is not what was confirmed.
pub(super) fn refuse_unexpected(expected: Option<&Expected>, found: &Confirmed) -> Result<(), ActivityError> {
    let found = Found {
        plan_hash: &found.plan_hash,
        plan_updated_at: found.plan_updated_at.as_deref(),
        membership_hash: &found.membership_hash,
        servers: found.servers,
    };
    let problems = confirmation::refusals(expected, found);
    if problems.is_empty() {
        return Ok(());
    }
    Err(refuse(ErrorName::PlanRefused, "this is not what was confirmed", problems))
}

/// Who is in the plan, judged; with the run they were compared with.
pub(super) async fn judge_members(
    world: &World,
    request: &ExecutionInput,
    plan: &Loaded,
    membership: &Membership,
) -> Result<(Option<ExecutionId>, Readiness), ActivityError> {
    let asked = Asked {
        execution_type: request.execution_type,
        mode: request.mode,
        confirmed: request.expected.as_ref().is_some_and(|expected| expected.membership_hash.is_some()),
    };
    let Some(run) = world.store.last_good_run(&plan.plan.plan_id).await? else {
        return Ok((None, refuse_unjudged(confirmation::judge(membership, None, asked))?));
    };
    let members = if run.membership_hash.as_deref() == Some(membership::hash(membership).as_str()) {
        Some(membership.clone())
    } else {
        let mut stored = world.store.load_run(&run.execution_id).await?.members;
        stored.sort_by_key(|members| members.wave_number);
        Some(stored.into_iter().map(|members| members.members).collect())
            .filter(|members: &Membership| !members.is_empty())
    };
    let earlier = Earlier { id: &run.execution_id, members: members.as_ref() };
    let readiness = refuse_unjudged(confirmation::judge(membership, Some(&earlier), asked))?;
    Ok((Some(run.execution_id), readiness))
}

fn refuse_unjudged(readiness: Readiness) -> Result<Readiness, ActivityError> {
    if readiness.problems.is_empty() {
        return Ok(readiness);
    }
    Err(refuse(ErrorName::PlanRefused, "who is in the plan needs to be confirmed", readiness.problems))
}
