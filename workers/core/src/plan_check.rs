//! What must hold of a plan by itself, before anything is looked up.

use crate::input_check::problem;
use std::collections::BTreeMap;
use tidegate_contract::plan::{Group, MinLaunched, Plan, Wave};
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
        (Some(_), false) if group.region.is_some() || group.account_role.is_some() => problems.push(problem(
            field,
            "has protectionGroupId and a region or accountRole",
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
    fn a_plan_longer_than_the_machine_is_refused() {
        let group = json!([{"region": "us-west-2", "tags": {"tier": "db"}}]);
        let waves: Vec<_> = (1..=40)
            .map(|n| json!({"waveNumber": n, "waveName": "w", "groups": group, "pauseBeforeWave": true, "gateTimeoutSeconds": 86400}))
            .collect();
        assert_eq!(check(json!(waves)), ["plan.waves"]);
    }
}
