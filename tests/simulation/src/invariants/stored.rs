//! What a wave has stored: its servers and their details once it is COMPLETED, and the jobs it names.

use super::{OWN_JOBS, Violation, WAVE_ENRICHED, WAVE_STORED, broken, chain, number, servers, text};
use crate::ports::State;
use crate::tables::Item;
use jiff::Timestamp;
use serde_json::Value;
use tidegate_contract::tables::TableKey;
use tidegate_core::wave_poll::ENRICHMENT_GRACE_SECONDS;

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some(to.duration_since(from).as_secs())
}

/// A COMPLETED wave has its servers on record, with what EC2 says of them; a wave may end without EC2's word only when EC2
/// was given time to speak.
pub(crate) fn completed_wave_is_stored(state: &State, id: &str, record: &Item, wave: &Item) -> Result<(), Violation> {
    if text(wave, "status") != "COMPLETED" || text(record, "mode") == "DRY_RUN" {
        return Ok(());
    }
    let end = text(wave, "endTime");
    let late = || {
        seconds_between(text(wave, "attemptStartTime"), end).is_some_and(|seconds| {
            seconds + state.clocks_differ >= i64::try_from(number(wave, "timeoutSeconds")).unwrap_or(0)
        })
    };
    let prefix = format!("{}#", text(wave, "waveKey"));
    for server in state.tables.query(TableKey::ExecutionWaves, id, &prefix).flat_map(servers) {
        if field(server, "launchStatus") != "LAUNCHED" {
            return broken(WAVE_STORED, server.to_string());
        }
        let enriched = ["instanceId", "recoveryInstanceId", "instanceType", "privateIp", "launchTime"]
            .iter()
            .all(|name| !field(server, name).is_empty());
        let waited = || {
            seconds_between(field(server, "launchedTime"), end)
                .is_some_and(|seconds| seconds + state.clocks_differ >= i64::from(ENRICHMENT_GRACE_SECONDS))
        };
        if !(enriched || waited() || late()) {
            return broken(WAVE_ENRICHED, server.to_string());
        }
    }
    Ok(())
}

/// Ids of the jobs a wave or a cleanup lists.
pub(crate) fn listed_jobs<'a>(item: impl Listing<'a>) -> impl Iterator<Item = &'a str> {
    let jobs = item.member("jobs").and_then(Value::as_array).into_iter().flatten();
    jobs.filter_map(|job| job.get("jobId")?.as_str())
}

/// An item, or a value in one.
pub(crate) trait Listing<'a> {
    fn member(self, name: &str) -> Option<&'a Value>;
}

impl<'a> Listing<'a> for &'a Item {
    fn member(self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }
}

impl<'a> Listing<'a> for &'a Value {
    fn member(self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }
}

pub(crate) fn jobs_are_ours<'a>(state: &State, id: &str, jobs: impl Iterator<Item = &'a str>) -> Result<(), Violation> {
    for job in jobs {
        let by = state.launches.of_job(job).map(|launch| &*launch.by);
        if by.is_none_or(|by| by != id && !chain(&state.tables, id).contains(&by)) {
            return broken(OWN_JOBS, job);
        }
    }
    Ok(())
}
