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

/// An update without one of its assignments (or removals), and without the names and values that only it used.
fn without(write: &Write, part: &str) -> Option<Vec<Write>> {
    let Change::Update { key, expression } = &write.change else { return None };
    let change = Change::Update { key: key.clone(), expression: expression.replace(part, "") };
    let shorter = Write { change, ..write.clone() };
    let Change::Update { expression, .. } = &shorter.change else { return None };
    let used = |name: &str| {
        let of = |text: &str| {
            text.match_indices(name)
                .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()))
        };
        of(expression) || of(&write.condition)
    };
    let names = write.names.iter().copied().filter(|(alias, _)| used(alias)).collect();
    let values = write.values.iter().filter(|(name, _)| used(name)).cloned().collect();
    Some(vec![Write { names, values, ..shorter }])
}

const FINISHES: &str = "SET #status = :status, #endTime";

pub(super) fn end_without_outcome(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, FINISHES) { without(write, "#outcome = :outcome, ") } else { None }
}

pub(super) fn gate_kept_at_the_end(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, FINISHES) { without(write, " REMOVE #gate") } else { None }
}

pub(super) fn failed_waves_uncounted(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if !updates(write, FINISHES) {
        return None;
    }
    let mut none = write.clone();
    none.values.iter_mut().filter(|(name, _)| name == ":failedWaves").for_each(|(_, value)| *value = json!(0));
    Some(vec![none])
}

pub(super) fn refused_leaves_nothing(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let item = put(write).filter(|_| write.table == TableKey::ExecutionHistory)?;
    item.get("endTime").is_some_and(Value::is_string).then(Vec::new)
}

fn is_abandoned(item: &Value) -> bool {
    is_wave(item)
        && item.get("error").and_then(Value::as_str).is_some_and(|text| text.starts_with("the execution ended"))
}

pub(super) fn open_waves_left(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    put(write).filter(|item| is_abandoned(item)).map(|_| Vec::new())
}

pub(super) fn running_jobs_unnamed(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item = put(write).filter(|item| is_abandoned(item))?.clone();
    (item["error"], item["jobs"]) = (json!("the execution ended"), json!([]));
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

pub(super) fn retry_keeps_attempt(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item = put(write).filter(|item| is_shard(item))?.clone();
    item.pointer("/intent/attempt")?.as_u64().filter(|attempt| *attempt > 1)?;
    item["intent"]["attempt"] = json!(1);
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

pub(super) fn failed_is_partial(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item =
        put(write).filter(|item| is_wave(item) && item["status"] == "FAILED" && !is_abandoned(item))?.clone();
    item["status"] = json!("PARTIAL");
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

pub(super) fn timeout_in_minutes(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item = put(write).filter(|item| is_wave(item) && item["version"] == 1)?.clone();
    item["timeoutSeconds"] = json!(item.get("timeoutSeconds")?.as_u64()? / 60);
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

pub(super) fn shard_unreadable(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let mut item = put(write).filter(|item| is_shard(item))?.clone();
    item.as_object_mut()?.remove("phase");
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}

pub(super) fn termination_unintended(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if !updates(write, "SET #cleanup = :cleanup") {
        return None;
    }
    let mut write = write.clone();
    let cleanup = write.values.iter_mut().find(|(name, _)| name == ":cleanup").map(|(_, value)| value)?;
    cleanup.get_mut("jobs")?.as_array_mut()?.retain(|job| job.get("jobId").is_some_and(Value::is_string));
    Some(vec![write])
}

pub(super) fn claim_unconditionally(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    if updates(write, "SET #continuedBy = :by") { unconditional(write) } else { None }
}

/// A continuation copies the shards of waves that are done, and not how far their servers are.
pub(super) fn carried_servers_reset(write: &Write, _: &Tables) -> Option<Vec<Write>> {
    let creates = write.condition == "attribute_not_exists(executionId)";
    let mut item = put(write).filter(|item| creates && is_shard(item) && !item["job"].is_null())?.clone();
    let servers = item.get_mut("serverStatuses")?.as_array_mut()?;
    servers.iter_mut().for_each(|server| server["launchStatus"] = json!("PENDING"));
    Some(vec![Write { change: Change::Put(item), ..write.clone() }])
}
