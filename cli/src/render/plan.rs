//! What is about to start, before anybody confirms it.

use super::spelled::spelled;
use super::text::{claimed, count};
use tidegate_contract::foreign::spell_out;
use tidegate_contract::input::ExecutionInput;
use tidegate_contract::plan::{Group, Plan, Wave};
use tidegate_contract::records::ExecutionRecord;
use tidegate_core::continuation::Standing;

/// One paragraph: type, plan, waves. `plan` is None when it could not be read here.
pub(crate) fn render_intention(input: &ExecutionInput, plan: Option<&Plan>, name: &str) -> String {
    let (input, plan) = (&spelled(input), &plan.map(spelled));
    let title = match (plan, &input.plan_id) {
        (Some(plan), _) => format!("plan {} {}", plan.plan_id, claimed(&plan.plan_name)),
        (None, Some(id)) => format!("plan {id}"),
        (None, None) => "the plan".to_owned(),
    };
    let mut lines = vec![format!("{} of {title}, as {name}", input.execution_type)];
    for wave in plan.iter().flat_map(|plan| &plan.waves) {
        let pause = if wave.pause_before_wave { ", after a pause" } else { "" };
        lines.push(format!("  wave {} {}: {}{pause}", wave.wave_number, claimed(&wave.wave_name), members(wave)));
    }
    lines.join("\n")
}

/// Which account, Region and state machine would run it, and loudly where it is none of AWS's.
pub(crate) fn render_place(machine_arn: &str, endpoint: Option<&str>) -> String {
    let (machine_arn, endpoint) = (&spell_out(machine_arn), endpoint.map(spell_out));
    let parts: Vec<&str> = machine_arn.split(':').collect();
    let place = match parts.as_slice() {
        [_, _, _, region, account, _, machine @ ..] => {
            format!("  in account {account}, Region {region}, by state machine {}", machine.join(":"))
        }
        _ => format!("  by state machine {machine_arn}"),
    };
    match endpoint {
        Some(url) => format!("{place}\n  NOT AT AWS: calls go to {url} (AWS_ENDPOINT_URL)"),
        None => place,
    }
}

/// The same for a continuation: what becomes of each wave. `standings` is None when the waves could not be read here.
pub(crate) fn render_continuation(old: &ExecutionRecord, standings: Option<&[Standing]>, name: &str) -> String {
    let old = &spelled(old);
    let mut lines = vec![format!(
        "{} of plan {} {}, continued from {} ({}), as {name}",
        old.execution_type,
        old.plan_id,
        claimed(&old.plan_name),
        old.execution_id,
        old.status
    )];
    for (wave, standing) in old.waves.iter().zip(standings.unwrap_or_default()) {
        let what = match standing {
            Standing::Done => "is done, stays as it is",
            Standing::Interrupted => "goes on where it was interrupted",
            Standing::Failed => "is tried again: what failed and left no instance",
            Standing::Untouched if wave.pause_before_wave => "starts, after a pause",
            Standing::Untouched => "starts",
        };
        lines.push(format!("  wave {} {}: {what}", wave.wave_number, claimed(&wave.wave_name)));
    }
    lines.join("\n")
}

fn members(wave: &Wave) -> String {
    wave.groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

fn group(group: &Group) -> String {
    if let Some(id) = &group.protection_group_id {
        return format!("protection group {id}");
    }
    let mut parts = Vec::new();
    if !group.source_server_ids.is_empty() {
        parts.push(count(u32::try_from(group.source_server_ids.len()).unwrap_or(u32::MAX), "server"));
    }
    if !group.tags.is_empty() {
        let tags: Vec<String> = group.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        parts.push(format!("servers with {}", tags.join(" and ")));
    }
    let region = group.region.as_deref().map(|region| format!(" in {region}")).unwrap_or_default();
    parts.join(" and ") + &region
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_core::input_check::parse_input;

    #[test]
    fn a_continuation_says_what_becomes_of_each_wave() {
        let mut old = crate::fixtures::record(tidegate_contract::ExecutionStatus::Failed);
        old.waves[2].pause_before_wave = true;
        let standings = [Standing::Done, Standing::Failed, Standing::Untouched];
        let text = render_continuation(&old, Some(&standings), "run-2");
        for told in [
            &format!("continued from {} (FAILED), as run-2", crate::fixtures::NAME),
            "wave 1 \"database\": is done",
            "wave 2 \"application\": is tried again",
            "wave 3 \"web\": starts, after a pause",
        ] {
            assert!(text.contains(told), "{told} not in\n{text}");
        }
        assert_eq!(render_continuation(&old, None, "run-2").lines().count(), 1);
    }

    #[test]
    fn the_place_is_named_and_an_endpoint_that_is_not_awss_is_said_aloud() {
        let machine = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-prod-recovery:live";
        let place = render_place(machine, None);
        assert_eq!(place, "  in account 111122223333, Region us-west-2, by state machine tidegate-prod-recovery:live");
        let local = render_place(machine, Some("http://127.0.0.1:4566"));
        assert!(local.contains("NOT AT AWS") && local.contains("http://127.0.0.1:4566"), "{local}");
    }

    #[test]
    fn the_question_names_what_will_be_launched() {
        let input = parse_input(&json!({"executionType": "RECOVERY", "plan": {"planId": "crm", "planName": "CRM", "waves": [
            {"waveNumber": 1, "waveName": "db", "groups": [
                {"region": "us-west-2", "sourceServerIds": ["s-00000000000000001"]}, {"protectionGroupId": "shared"}]},
            {"waveNumber": 2, "waveName": "web", "pauseBeforeWave": true, "groups": [{"region": "us-west-2", "tags": {"tier": "web"}}]}
        ]}})).unwrap();
        assert_eq!(
            render_intention(&input, input.plan.as_ref(), "run-1"),
            "RECOVERY of plan crm \"CRM\", as run-1\n  wave 1 \"db\": 1 server in us-west-2; protection group shared\n  \
             wave 2 \"web\": servers with tier=web in us-west-2, after a pause"
        );
    }
}
