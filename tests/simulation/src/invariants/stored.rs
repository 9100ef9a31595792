//! What a wave has stored: its servers and their details once it is COMPLETED, and the jobs it names.

use super::{
    OWN_JOBS, Violation, WAVE_ENRICHED, WAVE_STORED, broken, chain, field, number, seconds_between, servers, shards_of,
    text,
};
use crate::ports::State;
use crate::tables::Item;
use tidegate_core::wave_poll::ENRICHMENT_GRACE_SECONDS;

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
    for server in shards_of(state, id, text(wave, "waveKey")).flat_map(servers) {
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

pub(crate) fn jobs_are_ours<'a>(state: &State, id: &str, jobs: impl Iterator<Item = &'a str>) -> Result<(), Violation> {
    for job in jobs {
        let by = state.launches.of_job(job).map(|launch| &*launch.by);
        if by.is_none_or(|by| by != id && !chain(&state.tables, id).contains(&by)) {
            return broken(OWN_JOBS, job);
        }
    }
    Ok(())
}
