//! One execution's record, its waves and its servers.

use super::planned::Planned;
use super::verdict::is_judged_right;
use super::{
    COMPLETED_WAVES, COMPLETED_WAVES_RISE, FINISHED_HAS_NO_GATE, KNOWN_STATUS, OPEN_HAS_NO_END, OWN_INSTANCES,
    PAUSED_HAS_GATE, TERMINAL_BY_FINALIZE, TERMINAL_ONCE, TERMINAL_WHOLE, Violation, WAVE_ORDER, WHO_IS_IN_A_WAVE,
    broken, chain, number, record_of, servers, text, waves_of,
};
use crate::ports::State;
use crate::promises::Promises;
use crate::tables::{Item, from_item};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_contract::records::MembersRecord;
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ActivityName, ExecutionStatus, WaveStatus};
use tidegate_core::membership::{self, Membership};

/// What has been seen of one execution.
#[derive(Debug, Default)]
pub(super) struct RunWatch {
    status: String,
    terminal: Option<(String, String)>,
    completed_waves: u64,
    /// By the waves' sort keys.
    settled: BTreeMap<String, bool>,
    /// What a person asked for, as far as the input says.
    pub(super) plan: Option<Arc<Planned>>,
    pub(super) promises: Promises,
}

pub(super) fn is_settled(status: &str) -> bool {
    WaveStatus::ALL.iter().any(|known| known.as_str() == status && known.is_settled())
}

impl RunWatch {
    pub(super) fn record_changed(&mut self, state: &State, id: &str, by: &str) -> Result<(), Violation> {
        let Some(record) = record_of(&state.tables, id) else {
            return Ok(());
        };
        let status = text(record, "status");
        let Some(known) = ExecutionStatus::ALL.iter().find(|known| known.as_str() == status) else {
            return broken(KNOWN_STATUS, status);
        };
        if let Some((terminal, end_time)) = &self.terminal {
            if terminal != status || end_time != text(record, "endTime") {
                return broken(TERMINAL_ONCE, format!("{terminal} became {status}"));
            }
        } else if known.is_terminal() {
            self.terminal = Some((status.to_owned(), text(record, "endTime").to_owned()));
            if by != ActivityName::FinalizeExecution.as_str() {
                return broken(TERMINAL_BY_FINALIZE, format!("{status} by {by}"));
            }
            if text(record, "endTime").is_empty() || !record.contains_key("outcome") {
                return broken(TERMINAL_WHOLE, status);
            }
        } else if record.contains_key("endTime") {
            return broken(OPEN_HAS_NO_END, status);
        }
        if status == "PAUSED" && !record.contains_key("gate") {
            return broken(PAUSED_HAS_GATE, "no gate");
        }
        if known.is_terminal() && record.contains_key("gate") {
            return broken(FINISHED_HAS_NO_GATE, status);
        }
        let completed = number(record, "completedWaves");
        if completed < self.completed_waves {
            return broken(COMPLETED_WAVES_RISE, format!("{} became {completed}", self.completed_waves));
        }
        if self.status == "PENDING" && status == "IN_PROGRESS" {
            members_are_those_of_the_record(state, id, record)?;
        }
        self.status.replace_range(.., status);
        // A continuation's count before it begins is what it is about to take over; it may be refused before it does.
        if status != "PENDING" {
            self.completed_waves = completed;
        }
        completed_means_completed(state, id, record)
    }

    /// A wave's own item or one of its shards was written.
    pub(super) fn wave_changed(&mut self, state: &State, id: &str, key: &str, by: &str) -> Result<(), Violation> {
        let Some(item) = state.tables.get(TableKey::ExecutionWaves, id, key) else {
            return Ok(());
        };
        match key.split_once('#') {
            None => {
                // The order can only be broken by a wave that is settled, or open, for the first time.
                let settled = is_settled(text(item, "status"));
                if let Some(plan) = self.plan.as_deref().filter(|_| settled) {
                    is_judged_right(state, id, plan, item, by)?;
                }
                if self.settled.insert(key.to_owned(), settled) != Some(settled) {
                    waves_run_in_order(state, id)?;
                }
            }
            Some((_, "members")) => {
                return match record_of(&state.tables, id) {
                    Some(record) if !matches!(self.status.as_str(), "" | "PENDING") => {
                        members_are_those_of_the_record(state, id, record)
                    }
                    _ => Ok(()),
                };
            }
            Some(_) => instances_carry_their_job(state, id, item)?,
        }
        match record_of(&state.tables, id) {
            Some(record) => completed_means_completed(state, id, record),
            None => Ok(()),
        }
    }
}

fn completed_means_completed(state: &State, id: &str, record: &Item) -> Result<(), Violation> {
    if text(record, "status") != "COMPLETED" || text(record, "mode") != "RUN" {
        return Ok(());
    }
    let total = number(record, "totalWaves");
    let done = waves_of(state, id).filter(|wave| text(wave, "status") == "COMPLETED").count() as u64;
    if total == 0 || done != total {
        return broken(COMPLETED_WAVES, format!("{done} of {total}"));
    }
    Ok(())
}

fn waves_run_in_order(state: &State, id: &str) -> Result<(), Violation> {
    let mut before: Option<&Item> = None;
    // A continuation goes back to a wave that failed; later ones may have been settled by the execution it continues.
    let continues = record_of(&state.tables, id).is_some_and(|record| record.contains_key("continues"));
    for wave in waves_of(state, id).filter(|wave| !continues || !is_settled(text(wave, "status"))) {
        if let Some(before) = before.filter(|before| !is_settled(text(before, "status"))) {
            let (key, status) = (text(before, "waveKey"), text(before, "status"));
            return broken(WAVE_ORDER, format!("{key} is {status} and {} exists", text(wave, "waveKey")));
        }
        before = Some(wave);
    }
    Ok(())
}

/// The members of all waves are, to the letter, what prepare made the record's digest of.
fn members_are_those_of_the_record(state: &State, id: &str, record: &Item) -> Result<(), Violation> {
    let hash = text(record, "membershipHash");
    if hash.is_empty() {
        // Refused: a prepare that was frozen meanwhile may still store its members, which nobody reads.
        return Ok(());
    }
    let items = state.tables.query_keyed(TableKey::ExecutionWaves, id, "");
    let members = items.filter(|(key, _)| key.ends_with("#members")).map(|(_, item)| item);
    let stored =
        members.map(|item| Ok(from_item::<MembersRecord>(item)?.members)).collect::<Result<Membership, String>>();
    match stored {
        Ok(stored) if membership::hash(&stored) == hash => Ok(()),
        Ok(_) => broken(WHO_IS_IN_A_WAVE, "the members are not those of the record's digest"),
        Err(problem) => broken(WHO_IS_IN_A_WAVE, problem),
    }
}

fn instances_carry_their_job(state: &State, id: &str, shard: &Item) -> Result<(), Violation> {
    let mut own: Option<Vec<&str>> = None;
    for server in servers(shard) {
        let field = |name: &str| server.get(name).and_then(Value::as_str);
        let Some(instance_id) = field("instanceId") else { continue };
        let chain = own.get_or_insert_with(|| chain(&state.tables, id));
        let ours = state.ec2.get(instance_id).is_some_and(|instance| {
            let job = instance.launch.job_id.as_str();
            state.launches.of_job(job).is_some_and(|launch| chain.contains(&&*launch.by))
                && Some(job) == field("recoveryJobId")
                && Some(instance.launch.source_server_id.as_str()) == field("sourceServerId")
        });
        if !ours || field("ec2InstanceId") != Some(instance_id) || field("recoveredInstanceId") != Some(instance_id) {
            return broken(OWN_INSTANCES, instance_id);
        }
    }
    Ok(())
}
