//! How the checks read what the tables hold.

use crate::ports::State;
use crate::tables::{Item, Tables};
use jiff::Timestamp;
use serde_json::Value;
use tidegate_contract::tables::TableKey;

/// A text of an item; empty if there is none.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text of a value in an item; empty if there is none.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number of an item; 0 if there is none.
pub(crate) fn number(item: &Item, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Servers of a shard.
pub(crate) fn servers(shard: &Item) -> impl Iterator<Item = &Value> {
    shard.get("serverStatuses").and_then(Value::as_array).into_iter().flatten()
}

/// Timeline of a record.
pub(crate) fn timeline(record: &Item) -> impl DoubleEndedIterator<Item = &Value> {
    record.get("timeline").and_then(Value::as_array).into_iter().flatten()
}

/// An execution's record.
pub(crate) fn record_of<'a>(tables: &'a Tables, execution_id: &str) -> Option<&'a Item> {
    tables.query(TableKey::ExecutionHistory, execution_id, "").next()
}

/// The waves of an execution.
pub(crate) fn waves_of<'a>(state: &'a State, id: &str) -> impl Iterator<Item = &'a Item> + use<'a> {
    let items = state.tables.query_keyed(TableKey::ExecutionWaves, id, "");
    items.filter(|(key, _)| !key.contains('#')).map(|(_, item)| item)
}

/// The shards of an execution's wave; of all its waves if the key is empty.
pub(crate) fn shards_of<'a>(state: &'a State, id: &str, wave_key: &'a str) -> impl Iterator<Item = &'a Item> + use<'a> {
    let items = state.tables.query_keyed(TableKey::ExecutionWaves, id, wave_key);
    items.filter(|(key, _)| key.contains('#') && !key.ends_with("#members")).map(|(_, item)| item)
}

/// None: one of the two is no moment.
pub(crate) fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some(to.duration_since(from).as_secs())
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
