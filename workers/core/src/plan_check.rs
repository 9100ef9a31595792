//! What must hold of a plan by itself, before anything is looked up.

use crate::input_check::problem;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::plan::{Group, MAX_TARGETS, MinLaunched, Plan, Wave};
use tidegate_contract::records::Problem;

/// The state machine's own TimeoutSeconds: 30 days. A plan whose waits add up to more is refused, because the machine
/// would be cut off in the middle of it.
pub const MACHINE_TIMEOUT_SECONDS: u64 = 2_592_000;

/// Everything wrong with the plan, in plan order; empty for a good one. `prefix` is `plan` or empty.
pub fn check_plan(plan: &Plan, prefix: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut first_seen: BTreeMap<&str, String> = BTreeMap::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        let field = join(prefix, &format!("waves[{index}]"));
        let expected = index + 1;
        if wave.wave_number as usize != expected {
            problems.push(problem(
                &format!("{field}.waveNumber"),
                &format!("is {}, expected {expected}", wave.wave_number),
                "number the waves 1, 2, 3 ... in the order they run",
            ));
        }
        check_wave(wave, &field, &mut problems);
        for (group_index, group) in wave.groups.iter().enumerate() {
            let group_field = format!("{field}.groups[{group_index}]");
            check_group(group, &group_field, &mut problems);
            for (server_index, server) in group.source_server_ids.iter().enumerate() {
                let place = format!("{group_field}.sourceServerIds[{server_index}]");
                if let Some(first) = first_seen.get(server.as_str()) {
                    problems.push(problem(
                        &place,
                        &format!("{server} is already in the plan, at {first}"),
                        "name each server once in a plan",
                    ));
                } else {
                    first_seen.insert(server.as_str(), place);
                }
            }
        }
    }
    let groups = plan.waves.iter().flat_map(|wave| &wave.groups);
    let targets: BTreeSet<_> = groups.filter_map(|group| Some((&group.account_id, group.region.as_ref()?))).collect();
    problems.extend(too_many_targets(targets.len(), if prefix.is_empty() { "waves" } else { prefix }));
    let longest: u64 = plan.waves.iter().map(longest_wave_seconds).sum();
    if longest > MACHINE_TIMEOUT_SECONDS {
        problems.push(problem(
            &join(prefix, "waves"),
            &format!(
                "timeouts, gates and waits add up to {longest} s, more than the machine's {MACHINE_TIMEOUT_SECONDS} s"
            ),
            "lower timeoutSeconds, gateTimeoutSeconds or waitAfterSeconds, or split the plan",
        ));
    }
    problems
}

pub(crate) fn too_many_targets(targets: usize, field: &str) -> Option<Problem> {
    (targets > MAX_TARGETS).then(|| {
        let message = format!("leads to {targets} places (account and Region), more than {MAX_TARGETS}");
        problem(field, &message, "split it into several plans")
    })
}

fn longest_wave_seconds(wave: &Wave) -> u64 {
    let gate = if wave.pause_before_wave { u64::from(wave.gate_timeout_seconds) } else { 0 };
    gate + u64::from(wave.timeout_seconds) + u64::from(wave.wait_after_seconds)
}

fn check_wave(wave: &Wave, field: &str, problems: &mut Vec<Problem>) {
    if let Some(MinLaunched::Count(0)) = wave.min_launched {
        problems.push(problem(
            &format!("{field}.minLaunched"),
            "is 0, so the wave could not fail",
            "use at least 1, or onFailure continue",
        ));
    }
}

fn check_group(group: &Group, field: &str, problems: &mut Vec<Problem>) {
    let by_members = !group.source_server_ids.is_empty() || !group.tags.is_empty();
    match (&group.protection_group_id, by_members) {
        (None, false) => {
            problems.push(problem(field, "has no servers", "give sourceServerIds, tags or protectionGroupId"))
        }
        (Some(_), true) => problems.push(problem(
            field,
            "has protectionGroupId and members of its own",
            "keep protectionGroupId alone, or sourceServerIds and tags",
        )),
        (Some(_), false) if group.region.is_some() || group.account_id.is_some() => problems.push(problem(
            field,
            "has protectionGroupId and a region or accountId",
            "remove them: the protection group has its own",
        )),
        (None, true) if group.region.is_none() => {
            problems.push(problem(
                &format!("{field}.region"),
                "is missing",
                "name the recovery Region, such as us-west-2",
            ));
        }
        (Some(_), false) | (None, true) => {}
    }
}

fn join(prefix: &str, field: &str) -> String {
    if prefix.is_empty() { field.to_owned() } else { format!("{prefix}.{field}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(waves: serde_json::Value) -> Vec<String> {
        let plan = serde_json::from_value(json!({"planId": "p", "planName": "p", "waves": waves})).unwrap();
        check_plan(&plan, "plan").into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn waves_are_numbered_from_one_without_gaps() {
        let group = json!([{"region": "us-west-2", "tags": {"tier": "db"}}]);
        let waves = json!([{"waveNumber": 1, "waveName": "a", "groups": group}, {"waveNumber": 3, "waveName": "b", "groups": group}]);
        assert_eq!(check(waves), ["plan.waves[1].waveNumber"]);
    }

    #[test]
    fn a_server_may_be_in_one_wave_only() {
        let group = json!([{"region": "us-west-2", "sourceServerIds": ["s-00000000000000001"]}]);
        let waves = json!([{"waveNumber": 1, "waveName": "a", "groups": group}, {"waveNumber": 2, "waveName": "b", "groups": group}]);
        assert_eq!(check(waves), ["plan.waves[1].groups[0].sourceServerIds[0]"]);
    }

    #[test]
    fn a_group_names_its_servers_and_region_once() {
        let wave = |group: serde_json::Value| json!([{"waveNumber": 1, "waveName": "a", "groups": [group]}]);
        assert_eq!(check(wave(json!({"region": "us-west-2"}))), ["plan.waves[0].groups[0]"]);
        assert_eq!(check(wave(json!({"tags": {"a": "b"}}))), ["plan.waves[0].groups[0].region"]);
        assert_eq!(check(wave(json!({"protectionGroupId": "g", "tags": {"a": "b"}}))), ["plan.waves[0].groups[0]"]);
        assert_eq!(check(wave(json!({"protectionGroupId": "g", "region": "us-west-2"}))), ["plan.waves[0].groups[0]"]);
        assert!(check(wave(json!({"protectionGroupId": "g"}))).is_empty());
    }

    #[test]
    fn a_plan_that_leads_to_too_many_places_is_refused() {
        let group = |n: usize| json!({"accountId": format!("{n:012}"), "region": "us-west-2", "tags": {"tier": "db"}});
        let waves = |last: usize| {
            let waves = (0..3).map(|n| {
                let groups: Vec<_> = (n * 34..last.min(n * 34 + 34)).map(group).collect();
                json!({"waveNumber": n + 1, "waveName": "w", "groups": groups})
            });
            json!(waves.collect::<Vec<_>>())
        };
        assert!(check(waves(MAX_TARGETS)).is_empty());
        assert_eq!(check(waves(MAX_TARGETS + 1)), ["plan"]);
    }

    #[test]
    fn a_plan_longer_than_the_machine_is_refused() {
        let group = json!([{"region": "us-west-2", "tags": {"tier": "db"}}]);
        let waves: Vec<_> = (1..=40)
            .map(|n| json!({"waveNumber": n, "waveName": "w", "groups": group, "pauseBeforeWave": true, "gateTimeoutSeconds": 86400}))
            .collect();
        assert_eq!(check(json!(waves)), ["plan.waves"]);
    }
}
