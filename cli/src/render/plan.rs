//! What is about to start, before anybody confirms it.

use super::text::count;
use tidegate_contract::input::ExecutionInput;
use tidegate_contract::plan::{Group, Plan, Wave};

/// One paragraph: type, plan, waves. `plan` is None when it could not be read here.
pub(crate) fn render_intention(input: &ExecutionInput, plan: Option<&Plan>, name: &str) -> String {
    let title = match (plan, &input.plan_id) {
        (Some(plan), _) => format!("plan {} \"{}\"", plan.plan_id, plan.plan_name),
        (None, Some(id)) => format!("plan {id}"),
        (None, None) => "the plan".to_owned(),
    };
    let mut lines = vec![format!("{} of {title}, as {name}", input.execution_type)];
    for wave in plan.iter().flat_map(|plan| &plan.waves) {
        let pause = if wave.pause_before_wave { ", after a pause" } else { "" };
        lines.push(format!("  wave {} \"{}\": {}{pause}", wave.wave_number, wave.wave_name, members(wave)));
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
