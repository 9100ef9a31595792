//! A wave's servers, counts and verdict, judged a second time: from the plan as it was given and from the servers as they
//! are stored, by the words of docs/input.md and not by the code that is checked.

use super::planned::{Planned, PlannedWave};
use super::{COUNTS, EVERY_SERVER, VERDICT, Violation, broken, field, number, servers, shards_of, text};
use crate::ports::State;
use crate::tables::Item;
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate_contract::ActivityName;

/// Where a server stands: launched, its instance there, and in a recovery its required actions succeeded, is ready.
fn standing(server: &Value, is_drill: bool) -> &'static str {
    let gone = matches!(field(server, "instanceState"), "terminated" | "shutting-down");
    match (field(server, "launchStatus"), field(server, "postLaunchActionsStatus")) {
        ("PENDING" | "IN_PROGRESS", _) => "active",
        ("SKIPPED", _) => "skipped",
        ("LAUNCHED", _) if gone => "failed",
        ("LAUNCHED", "NOT_CONFIGURED" | "SUCCEEDED" | "PARTIALLY_SUCCEEDED") => "ready",
        ("LAUNCHED", "PENDING" | "IN_PROGRESS") if !is_drill => "active",
        ("LAUNCHED", _) if is_drill => "ready",
        _ => "failed",
    }
}

/// True for a server that counts as ready.
pub(super) fn is_ready(server: &Value, is_drill: bool) -> bool {
    standing(server, is_drill) == "ready"
}

/// A wave has exactly the plan's servers: each on one shard, of its account and Region, with its importance.
pub(super) fn has_its_servers(state: &State, id: &str, plan: &PlannedWave, wave: &Item) -> Result<(), Violation> {
    let key = text(wave, "waveKey");
    let mut seen = BTreeSet::new();
    for shard in shards_of(state, id, key) {
        let target = shard.get("target").unwrap_or(&Value::Null);
        for server in servers(shard) {
            let name = field(server, "sourceServerId");
            let importance = |critical: bool| if critical { "critical" } else { "optional" };
            let fits = plan.servers.get(name).is_some_and(|planned| {
                planned.account == field(target, "accountId")
                    && planned.region == field(target, "region")
                    && field(server, "importance") == importance(planned.is_critical)
            });
            if !fits || !seen.insert(name) {
                return broken(EVERY_SERVER, format!("{key} has {server}"));
            }
        }
    }
    match plan.servers.keys().find(|planned| !seen.contains(planned.as_str())) {
        Some(missing) => broken(EVERY_SERVER, format!("{key} has no {missing}")),
        None => Ok(()),
    }
}

/// A wave that one of its own activities has settled: its counts and its verdict are those of its servers.
pub(super) fn is_judged_right(state: &State, id: &str, plan: &Planned, wave: &Item, by: &str) -> Result<(), Violation> {
    let judges = [ActivityName::StartWave, ActivityName::PollWave];
    let Some(planned) = plan.waves.get(&number(wave, "waveNumber")) else {
        return broken(EVERY_SERVER, format!("{} is in no plan", text(wave, "waveKey")));
    };
    if !judges.iter().any(|activity| activity.as_str() == by) {
        return Ok(());
    }
    has_its_servers(state, id, planned, wave)?;
    let all: Vec<&Value> = shards_of(state, id, text(wave, "waveKey")).flat_map(servers).collect();
    let told = wave.get("counts").unwrap_or(&Value::Null);
    for name in ["ready", "failed", "active", "skipped"] {
        let counted = all.iter().filter(|server| standing(server, plan.is_drill) == name).count() as u64;
        if told.get(name).and_then(Value::as_u64) != Some(counted) {
            return broken(COUNTS, format!("{} has {counted} {name}, told are {told}", text(wave, "waveKey")));
        }
    }
    if told.get("total").and_then(Value::as_u64) != Some(all.len() as u64) {
        return broken(COUNTS, format!("{} has {} servers, told are {told}", text(wave, "waveKey"), all.len()));
    }
    let ready: Vec<&str> =
        all.iter().filter(|server| is_ready(server, plan.is_drill)).map(|one| field(one, "sourceServerId")).collect();
    let critical_made_it =
        planned.servers.iter().all(|(name, server)| !server.is_critical || ready.contains(&name.as_str()));
    let verdict = if !plan.launches {
        "SKIPPED"
    } else if ready.len() == planned.servers.len() {
        "COMPLETED"
    } else if critical_made_it && ready.len() as u64 >= planned.required {
        "PARTIAL"
    } else {
        "FAILED"
    };
    if text(wave, "status") == verdict {
        return Ok(());
    }
    let (status, of) = (text(wave, "status"), planned.servers.len());
    let detail = format!(
        "{} is {status}: {} of {of} are ready, critical ones: {critical_made_it}",
        text(wave, "waveKey"),
        ready.len()
    );
    broken(VERDICT, detail)
}
