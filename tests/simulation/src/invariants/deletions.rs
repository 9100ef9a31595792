//! What a launch costs others: what DRS deletes before it launches a server, held against what the run's input gave up and
//! against the look that came before the call. Judged from the inputs, the calls and DRS's own account of what it deleted.

use super::{LOOKED_FIRST, NOTHING_DELETED, Violation, broken, chain};
use crate::ports::{LookedLaunch, State};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How old a look may be, in seconds; and the parts of one that the clock of the simulation shows.
const FRESH_MS: i64 = 60_000;

/// What an input gives up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct GivenUp {
    is_drill: bool,
    recovered: bool,
    drills: bool,
}

/// What has been seen of it.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    given_up: BTreeMap<String, GivenUp>,
    deletions_seen: usize,
}

impl Deletions {
    /// An execution begins; `first`: the one it continues, whose type it has.
    pub(super) fn begins(&mut self, name: &str, input: &Value, first: Option<&str>) {
        let says = |option: &str| input.pointer(&format!("/options/{option}")) == Some(&Value::Bool(true));
        let continued = first.and_then(|first| self.given_up.get(first)).map(|first| first.is_drill);
        let is_drill = continued.unwrap_or(input["executionType"] == "DRILL");
        let given_up = GivenUp { is_drill, recovered: says("replaceRecovered"), drills: says("replaceDrill") };
        self.given_up.insert(name.to_owned(), given_up);
    }

    pub(super) fn check(&mut self, state: &mut State) -> Result<(), Violation> {
        for left in std::mem::take(&mut state.left) {
            self.was_looked_first(state, &left)?;
        }
        let deletions = state.drs.deletions();
        for deletion in deletions.get(self.deletions_seen..).unwrap_or_default() {
            if let Some(launch) = state.launches.of_job(&deletion.by_job).filter(|_| !state.console) {
                let given_up = self.given_up.get(&*launch.by).copied().unwrap_or_default();
                // What EC2 showed of it all the same is judged by the look.
                if !deletion.is_drill && !deletion.was_hidden && (launch.is_drill || !given_up.recovered) {
                    let (id, by) = (&deletion.instance_id, &launch.by);
                    return broken(NOTHING_DELETED, format!("{id} by {by}, drill: {}", launch.is_drill));
                }
            }
        }
        self.deletions_seen = deletions.len();
        Ok(())
    }

    fn was_looked_first(&self, state: &State, left: &LookedLaunch) -> Result<(), Violation> {
        let fresh = |at: &Timestamp| left.at.duration_since(*at).as_millis() <= i128::from(FRESH_MS);
        let mut shown: BTreeSet<&String> = BTreeSet::new();
        for look in [&left.looks.listed, &left.looks.tagged] {
            match look.as_ref().filter(|(at, _)| fresh(at)) {
                Some((_, instances)) => shown.extend(instances),
                None => return broken(LOOKED_FIRST, format!("{} by {}: no look", left.server, left.by)),
            }
        }
        let given_up = self.given_up.get(&*left.by).copied().unwrap_or_default();
        let chain = chain(&state.tables, &left.by);
        for id in shown {
            // What EC2 has terminated is nobody's loss, whatever DRS shows of it.
            let Some(instance) = state.ec2.get(id).filter(|instance| instance.state != "terminated") else { continue };
            let launch = state.launches.of_job(&instance.launch.job_id);
            // That a run launches nothing over its own is a promise of its own.
            if launch.is_some_and(|launch| chain.contains(&&*launch.by)) {
                continue;
            }
            let is_drill = state.drs.was_drill(&instance.launch.job_id);
            let allowed = match (given_up.is_drill, is_drill) {
                (true, false) => false,
                (true, true) => given_up.drills,
                (false, false) => given_up.recovered,
                (false, true) => true,
            };
            if !allowed {
                return broken(LOOKED_FIRST, format!("{id} of {} by {}", left.server, left.by));
            }
        }
        Ok(())
    }
}
