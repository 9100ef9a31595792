//! Is what runs what was confirmed, and what ran before? The plan may have been exchanged since somebody said yes, and whoever
//! installs an agent with the right tags joins a wave (ADR 0021).

use crate::input_check::{self, problem};
use crate::membership::{self, Membership, server_key};
use crate::readiness::{Readiness, cap};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tidegate_contract::input::Expected;
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{ExecutionRecord, Member, Problem};
use tidegate_contract::{ExecutionId, ExecutionType, Mode};

/// Digest of a plan: its content, however it was spelled.
pub fn plan_hash(plan: &Plan) -> String {
    // A plan is a struct of text, numbers, lists and maps with text keys: serialising it cannot fail.
    let text = serde_json::to_string(plan).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digests of what would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub plan_hash: String,
    /// When the stored plan was last changed; None: it came with the input.
    pub plan_updated_at: Option<String>,
    pub membership_hash: String,
    pub servers: usize,
}

impl Found {
    /// Of a plan and those who are in it now.
    pub fn of(plan: &Plan, updated_at: Option<String>, membership: &Membership) -> Self {
        Self {
            plan_hash: plan_hash(plan),
            plan_updated_at: updated_at,
            membership_hash: membership::hash(membership),
            servers: membership.iter().map(Vec::len).sum(),
        }
    }

    /// What a continuation goes on with: the digests that its record shows to people. Of an earlier version's record the one of
    /// the members covers roles, and could not be made again; that of the plan is missing.
    pub fn carried(old: &ExecutionRecord, membership: &Membership) -> Self {
        let of_plan = || input_check::parse_plan(&old.plan).map(|plan| plan_hash(&plan)).unwrap_or_default();
        Self {
            plan_hash: old.plan_hash.clone().unwrap_or_else(of_plan),
            plan_updated_at: old.plan_updated_at.clone(),
            membership_hash: old.membership_hash.clone().unwrap_or_else(|| membership::hash(membership)),
            servers: membership.iter().map(Vec::len).sum(),
        }
    }
}

/// Why this is not what was confirmed.
pub fn refusals(expected: Option<&Expected>, found: &Found) -> Vec<Problem> {
    let expected = expected.cloned().unwrap_or_default();
    let remedy = "look again with a CHECK, and start with the digests it tells";
    let mut problems = Vec::new();
    if let Some(confirmed) = expected.plan_hash.filter(|hash| *hash != found.plan_hash) {
        let since = found.plan_updated_at.as_ref().map(|at| format!("; it was last stored {at}")).unwrap_or_default();
        problems.push(problem(
            "expected.planHash",
            &format!("is {confirmed}, but the plan is another one now ({}){since}", found.plan_hash),
            remedy,
        ));
    }
    if let Some(confirmed) = expected.membership_hash.filter(|hash| *hash != found.membership_hash) {
        problems.push(problem(
            "expected.membershipHash",
            &format!(
                "is {confirmed}, but other servers are in the plan now: {}, {}",
                found.servers, found.membership_hash
            ),
            remedy,
        ));
    }
    problems
}

/// What kind of run asks.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub execution_type: ExecutionType,
    pub mode: Mode,
    /// Whoever started it has confirmed these very members.
    pub confirmed: bool,
}

/// An earlier run of the plan, and who was in it; None where its members are not to be had any more.
#[derive(Debug, Clone)]
pub struct Earlier<'a> {
    pub id: &'a ExecutionId,
    pub members: Option<&'a Membership>,
}

/// Judges who is in the plan: against each other, and against the plan's last good run. A recovery does not begin with others than
/// those unless somebody has confirmed them; a drill says so.
pub fn judge(members: &Membership, earlier: Option<&Earlier<'_>>, asked: Asked) -> Readiness {
    let mut readiness = Readiness::default();
    let confirm =
        format!("look that it is right, and confirm it with expected.membershipHash {}", membership::hash(members));
    let changes = earlier.map(|earlier| changes(members, earlier, &confirm)).unwrap_or_default();
    let is_recovery = asked.execution_type == ExecutionType::Recovery && asked.mode == Mode::Run;
    let namesakes = namesakes(members, &confirm);
    for (found, refuses) in [(changes, is_recovery), (namesakes, asked.mode == Mode::Run)] {
        let list = if refuses && !asked.confirmed { &mut readiness.problems } else { &mut readiness.warnings };
        list.extend(found);
    }
    readiness.problems = cap(readiness.problems);
    readiness
}

/// Each member with its wave's number, counted from 0.
fn by_key(members: &Membership) -> BTreeMap<String, (usize, &Member)> {
    let waves = members.iter().enumerate();
    let all = waves.flat_map(|(wave, members)| members.iter().map(move |member| (wave, member)));
    all.map(|(wave, member)| (server_key(&member.target, &member.source_server_id), (wave, member))).collect()
}

fn called(member: &Member) -> String {
    let place = format!("{} of account {}", member.target.region, member.target.account_id);
    match member.server_name.as_str() {
        "" => format!("{} in {place}", member.source_server_id),
        name => format!("{} ({name}) in {place}", member.source_server_id),
    }
}

fn changes(members: &Membership, earlier: &Earlier<'_>, confirm: &str) -> Vec<Problem> {
    let id = earlier.id;
    let Some(before) = earlier.members else {
        let message =
            format!("are others than in {id}, the plan's last good run, whose members are not stored any more");
        return vec![problem("plan", &message, confirm)];
    };
    let (now, before) = (by_key(members), by_key(before));
    let field = |wave: usize| format!("plan.waves[{wave}]");
    let mut found = Vec::new();
    for (key, (wave, member)) in &now {
        match before.get(key) {
            None => {
                let message = format!("{} has joined since {id}, the plan's last good run", called(member));
                found.push(problem(&field(*wave), &message, confirm));
            }
            Some((was, _)) if was != wave => {
                let message = format!("{} was in wave {} in {id}, the plan's last good run", called(member), was + 1);
                found.push(problem(&field(*wave), &message, confirm));
            }
            Some(_) => {}
        }
    }
    for (wave, member) in before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, left)| left) {
        let message = format!("{} has left since {id}, the plan's last good run", called(member));
        found.push(problem(&field(*wave), &message, confirm));
    }
    found
}

/// Servers that people cannot tell apart on a screen, by Name tag or host name.
fn namesakes(members: &Membership, confirm: &str) -> Vec<Problem> {
    let mut seen: BTreeMap<String, (usize, &Member)> = BTreeMap::new();
    let mut found = Vec::new();
    for (wave, member) in members.iter().enumerate().flat_map(|(wave, all)| all.iter().map(move |one| (wave, one))) {
        let mut names = vec![member.server_name.trim().to_lowercase(), member.hostname.trim().to_lowercase()];
        names.dedup();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match seen.get(&name) {
                Some((_, other)) if !std::ptr::eq(*other, member) => {
                    let message = format!("{} and {} have the same name {name:?}", called(other), called(member));
                    found.push(problem(&format!("plan.waves[{wave}]"), &message, confirm));
                    break;
                }
                Some(_) => {}
                None => {
                    seen.insert(name, (wave, member));
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "confirmation_tests.rs"]
mod tests;
