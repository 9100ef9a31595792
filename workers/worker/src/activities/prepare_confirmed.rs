//! Is what prepare found what somebody confirmed, and who was in the plan's last good run? Asked before anything is written.

use crate::activities::prepare_execution::refuse;
use crate::error::ActivityError;
use crate::world::World;
use tidegate_contract::input::{ExecutionInput, Expected};
use tidegate_contract::{ErrorName, ExecutionId, PlanId};
use tidegate_core::confirmation::{self, Asked, Earlier, Found};
use tidegate_core::membership::Membership;
use tidegate_core::readiness::Readiness;

/// Refuses what is not what was confirmed.
pub(super) fn refuse_unexpected(expected: Option<&Expected>, found: &Found) -> Result<(), ActivityError> {
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
    plan: &PlanId,
    found: &Found,
    membership: &Membership,
) -> Result<(Option<ExecutionId>, Readiness), ActivityError> {
    let asked = Asked {
        execution_type: request.execution_type,
        mode: request.mode,
        confirmed: request.expected.as_ref().is_some_and(|expected| expected.membership_hash.is_some()),
    };
    let Some(run) = world.store.last_good_run(plan).await? else {
        return Ok((None, refuse_unjudged(confirmation::judge(membership, None, asked))?));
    };
    let stored: Membership;
    let members = if run.membership_hash.as_deref() == Some(found.membership_hash.as_str()) {
        membership
    } else {
        let mut items = world.store.load_run(&run.execution_id).await?.members;
        items.sort_by_key(|members| members.wave_number);
        stored = items.into_iter().map(|members| members.members).collect();
        &stored
    };
    let earlier = Earlier { id: &run.execution_id, members: Some(members).filter(|members| !members.is_empty()) };
    let readiness = refuse_unjudged(confirmation::judge(membership, Some(&earlier), asked))?;
    Ok((Some(run.execution_id), readiness))
}

fn refuse_unjudged(readiness: Readiness) -> Result<Readiness, ActivityError> {
    if readiness.problems.is_empty() {
        return Ok(readiness);
    }
    Err(refuse(ErrorName::PlanRefused, "who is in the plan needs to be confirmed", readiness.problems))
}
