//! What DRS was asked to launch and to terminate.

use super::{DRILL_ONLY, NO_TWIN, ONCE_PER_ATTEMPT, OWN_ONLY, Violation, broken, chain, record_of, servers, text};
use crate::ports::{Launch, State};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_contract::SourceServerId;
use tidegate_contract::tables::TableKey;

/// What has been seen of it.
#[derive(Debug, Default)]
pub(super) struct Launches {
    launches_seen: usize,
    terminations_seen: usize,
    /// By the first execution of a chain, the server and the wave's attempt.
    times: BTreeMap<(Arc<str>, SourceServerId, u64), u32>,
}

impl Launches {
    pub(super) fn has_news(&self, state: &State) -> bool {
        state.launches.all().len() > self.launches_seen || state.terminations.len() > self.terminations_seen
    }

    /// Every accepted call since the last time is held against what was before it. Returns who launched something.
    pub(super) fn check(&mut self, state: &State) -> Result<Vec<Arc<str>>, Violation> {
        let mut launched_by = Vec::new();
        for launch in state.launches.all().get(self.launches_seen..).unwrap_or_default() {
            self.nothing_is_launched_twice(state, launch)?;
            launched_by.push(launch.by.clone());
        }
        self.launches_seen = state.launches.all().len();
        for (by, instance) in state.terminations.get(self.terminations_seen..).unwrap_or_default() {
            only_our_drill_instances_are_terminated(state, by, instance)?;
        }
        self.terminations_seen = state.terminations.len();
        Ok(launched_by)
    }

    fn nothing_is_launched_twice(&mut self, state: &State, launch: &Launch) -> Result<(), Violation> {
        let chain = chain(&state.tables, &launch.by);
        let first: Arc<str> = chain.last().copied().unwrap_or_default().into();
        for server in &launch.servers {
            let names_server =
                |status: &Value| status.get("sourceServerId").and_then(Value::as_str) == Some(server.as_str());
            let attempt = state
                .tables
                .query(TableKey::ExecutionWaves, &launch.by, "")
                .find(|shard| servers(shard).any(names_server))
                .and_then(|shard| shard.get("intent")?.get("attempt")?.as_u64())
                .unwrap_or_default();
            let times = self.times.entry((first.clone(), server.clone(), attempt)).or_insert(0);
            *times += 1;
            if *times > 1 {
                return broken(ONCE_PER_ATTEMPT, format!("{server} by {}", launch.job));
            }
            // What somebody else runs is theirs; DRS itself ends a former drill of the server.
            let ours = |job: &str| {
                job != launch.job.as_str()
                    && state.launches.of_job(job).is_some_and(|other| chain.contains(&&*other.by))
            };
            let twin = state.ec2.all().any(|instance| {
                instance.launch.source_server_id == server.as_str()
                    && instance.state != "terminated"
                    && ours(&instance.launch.job_id)
            });
            if twin {
                return broken(NO_TWIN, format!("{server} by {}", launch.job));
            }
        }
        Ok(())
    }
}

fn only_our_drill_instances_are_terminated(state: &State, by: &str, id: &str) -> Result<(), Violation> {
    if record_of(&state.tables, by).is_none_or(|record| text(record, "executionType") != "DRILL") {
        return broken(DRILL_ONLY, id);
    }
    let chain = chain(&state.tables, by);
    let ours = state.ec2.get(id).is_some_and(|instance| {
        let job = instance.launch.job_id.as_str();
        state.launches.of_job(job).is_some_and(|launch| launch.is_drill && chain.contains(&&*launch.by))
    });
    if ours { Ok(()) } else { broken(OWN_ONLY, id) }
}
