//! The plan as it was given to an execution: read anew from its input, so that what the activities made of it (members,
//! shards, intents, counts) is held against what a person asked for, and not against itself.

use crate::scenario::ACCOUNT;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) is_drill: bool,
    /// Not a dry run.
    pub(crate) launches: bool,
    pub(crate) waves: BTreeMap<u64, PlannedWave>,
}

/// One wave of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedWave {
    pub(crate) servers: BTreeMap<String, PlannedServer>,
    /// How many servers have to be ready for the run to go on.
    pub(crate) required: u64,
    pub(crate) on_failure: String,
    pub(crate) pauses: bool,
    pub(crate) gate_timeout_seconds: i64,
}

/// One server of a wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedServer {
    pub(crate) is_critical: bool,
    pub(crate) account: String,
    pub(crate) region: String,
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

impl Planned {
    /// The plan of an input that has one inline, with its servers by id; None for any other.
    pub(crate) fn of(input: &Value) -> Option<Self> {
        let plan = input.get("plan")?;
        let waves = list(plan, "waves").map(|wave| Some((wave.get("waveNumber")?.as_u64()?, PlannedWave::of(wave)?)));
        Some(Self {
            is_drill: text(input, "executionType") == Some("DRILL"),
            launches: matches!(text(input, "mode"), None | Some("RUN")),
            waves: waves.collect::<Option<_>>()?,
        })
    }
}

impl PlannedWave {
    fn of(wave: &Value) -> Option<Self> {
        let tolerates = wave.get("minLaunched").is_some_and(|min| !min.is_null());
        let mut servers = BTreeMap::new();
        for group in list(wave, "groups") {
            if group.get("tags").is_some() || group.get("protectionGroupId").is_some() {
                return None;
            }
            let account = text(group, "accountId").unwrap_or(ACCOUNT);
            for id in list(group, "sourceServerIds").filter_map(Value::as_str) {
                let own = group.get("serverOptions").and_then(|options| text(options.get(id)?, "importance"));
                let importance = own.or_else(|| text(group, "importance"));
                let is_critical = importance.map_or(!tolerates, |importance| importance == "critical");
                let region = text(group, "region").unwrap_or_default().to_owned();
                servers.insert(id.to_owned(), PlannedServer { is_critical, account: account.to_owned(), region });
            }
        }
        let total = servers.len() as u64;
        let required = match wave.get("minLaunched") {
            Some(Value::Number(count)) => count.as_u64()?,
            Some(Value::String(share)) => (total * share.strip_suffix('%')?.parse::<u64>().ok()?).div_ceil(100),
            _ => 0,
        };
        Some(Self {
            servers,
            required: required.max(1),
            on_failure: text(wave, "onFailure").unwrap_or("abort").to_owned(),
            pauses: wave.get("pauseBeforeWave") == Some(&Value::Bool(true)),
            gate_timeout_seconds: wave.get("gateTimeoutSeconds").and_then(Value::as_i64).unwrap_or(86_400),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wave(more: Value) -> PlannedWave {
        let mut wave = json!({ "waveNumber": 1, "groups": [
            { "region": "us-west-2", "sourceServerIds": ["a", "b", "c"], "serverOptions": { "c": { "importance": "optional" } } },
        ]});
        wave.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        PlannedWave::of(&wave).unwrap()
    }

    fn critical(wave: &PlannedWave) -> Vec<&str> {
        wave.servers.iter().filter(|(_, server)| server.is_critical).map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn without_settings_every_server_is_critical_and_one_must_be_ready() {
        let wave = wave(json!({}));
        assert_eq!((critical(&wave), wave.required, wave.on_failure.as_str()), (vec!["a", "b"], 1, "abort"));
        assert!(wave.servers.values().all(|server| server.account == ACCOUNT && server.region == "us-west-2"));
    }

    #[test]
    fn min_launched_makes_unnamed_servers_optional_and_is_rounded_up() {
        let half = wave(json!({ "minLaunched": "50%" }));
        assert_eq!((critical(&half), half.required), (Vec::new(), 2));
        assert_eq!(wave(json!({ "minLaunched": 3 })).required, 3);
    }

    #[test]
    fn what_cannot_be_told_from_the_input_is_not_guessed() {
        let input = json!({ "plan": { "waves": [{ "waveNumber": 1, "groups": [{ "tags": { "a": "b" } }] }] } });
        assert_eq!(Planned::of(&input), None);
        assert_eq!(Planned::of(&json!({ "planId": "stored" })), None);
    }
}
