//! Mistakes in the store's writes: another write than the shipped one, or none at all.

use crate::tables::Tables;
use serde_json::{Value, json};
use tidegate_aws::store::writes::{Change, Write};
use tidegate_contract::tables::TableKey;

/// What is written instead; None: what was meant.
pub(super) type Rewrite = fn(&Write, &Tables) -> Option<Vec<Write>>;

fn unconditional(write: &Write) -> Option<Vec<Write>> {
    let free = Write { condition: String::new(), ..write.clone() };
    // DynamoDB refuses names and values that no expression uses, so a condition's go with it.
    let expression = match &write.change {
        Change::Update { expression, .. } => expression.as_str(),
        Change::Put(_) | Change::Delete { .. } => "",
    };
    let names = write.names.iter().copied().filter(|(alias, _)| expression.contains(alias)).collect();
    let values = write.values.iter().filter(|(name, _)| expression.contains(name.as_str())).cloned().collect();
    Some(vec![Write { names, values, ..free }])
}

fn put(write: &Write) -> Option<&Value> {
    match &write.change {
        Change::Put(item) => Some(item),
        Change::Update { .. } | Change::Delete { .. } => None,
    }
}

fn updates(write: &Write, begins: &str) -> bool {
    matches!(&write.change, Change::Update { expression, .. } if expression.starts_with(begins))
}

fn is_shard(item: &Value) -> bool {
    item.get("serverStatuses").is_some()
}

fn is_wave(item: &Value) -> bool {
    item.get("shardCount").is_some()
}

pub(super) fn no_fencing(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if write.condition == "#version = :expected" { unconditional(write) } else { None }
}

pub(super) fn finish_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, "SET #status = :status, #endTime") { unconditional(write) } else { None }
}

pub(super) fn begin_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, "SET #status = :inProgress") { unconditional(write) } else { None }
}

pub(super) fn cleanup_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, "SET #cleanup = :cleanup") { unconditional(write) } else { None }
}

pub(super) fn create_overwrites(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let creates = write.table == TableKey::ExecutionWaves && write.condition == "attribute_not_exists(executionId)";
    if creates { unconditional(write) } else { None }
}

pub(super) fn lock_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if write.table == TableKey::ServerLocks && put(write).is_some() { unconditional(write) } else { None }
}

pub(super) fn release_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if matches!(write.change, Change::Delete { .. }) { unconditional(write) } else { None }
}

pub(super) fn locks_kept(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    matches!(write.change, Change::Delete { .. }).then(Vec::new)
}

/// The intent is sent without being marked as sent first.
pub(super) fn sent_unmarked(write: &Write, tables: &Tables) -> Option<Vec<Write>> {
    let item = put(write).filter(|item| is_shard(item))?;
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let mark =
        item.pointer("/intent/lastSentAt").is_some_and(Value::is_string) && item.get("job").is_none_or(Value::is_null);
    let stored = tables.get(write.table, text("executionId"), text("waveKey"))?;
    let unmarked = stored.get("intent").and_then(|intent| intent.get("lastSentAt")).is_none_or(Value::is_null);
    if !(mark && unmarked) {
        return None;
    }
    // The version goes up, so that nothing but the mark is missing.
    let mut item = item.clone();
    item.get_mut("intent")?.as_object_mut()?.remove("lastSentAt");
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

/// The wave is COMPLETED on record, its servers are not.
pub(super) fn servers_not_stored_at_the_end(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let item = put(write).filter(|item| is_shard(item))?;
    let ended = item.pointer("/job/status").and_then(Value::as_str) == Some("COMPLETED");
    ended.then(Vec::new)
}

/// "All servers are launched" is taken for "the wave is complete", before EC2 was asked.
pub(super) fn completed_before_enriched(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let item = put(write).filter(|item| is_wave(item))?;
    let all_ready = item.pointer("/counts/ready") == item.pointer("/counts/total");
    if !all_ready || item.get("phase") != Some(&json!("ENRICHING")) {
        return None;
    }
    let mut item = item.clone();
    item["status"] = json!("COMPLETED");
    item["phase"] = json!("SETTLED");
    item["endTime"] = item["lastPolledTime"].clone();
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

/// One wave too few is counted as completed.
pub(super) fn counts_forget_a_server(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item = put(write).filter(|item| is_wave(item))?.clone();
    let failed = item.pointer("/counts/failed")?.as_u64().filter(|failed| *failed > 0)?;
    item["counts"]["failed"] = json!(failed - 1);
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}
