//! Every write to the tables, as data: what is written, under which condition. Pure, so that the deterministic simulation
//! executes the very same expressions on its own tables, and a test can read them.

use crate::ports::Finish;
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, LockRecord, MembersRecord, RecordKey, ReplacedBy, TimelineEntry,
};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ExecutionId, ExecutionStatus};

/// A conditional write of one item. Values are plain JSON: text, whole numbers, lists, maps.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub table: TableKey,
    pub change: Change,
    /// Never empty: no write of ours is unconditional.
    pub condition: String,
    pub names: Vec<(&'static str, &'static str)>,
    pub values: Vec<(String, Value)>,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The whole item.
    Put(Value),
    Update {
        key: Vec<(&'static str, String)>,
        expression: String,
    },
    Delete {
        key: Vec<(&'static str, String)>,
    },
}

fn json_of<T: Serialize>(record: &T) -> Value {
    // Records are structs of text, numbers, lists and maps with text keys: serialising them cannot fail.
    serde_json::to_value(record).unwrap_or_default()
}

/// A new item; fails if one with its key is there.
pub fn create<T: Serialize>(table: TableKey, record: &T) -> Write {
    Write {
        table,
        change: Change::Put(json_of(record)),
        condition: "attribute_not_exists(executionId)".to_owned(),
        names: Vec::new(),
        values: Vec::new(),
    }
}

/// Settles under which plan an execution's record lies; fails if that is settled, whichever way.
pub fn claim_record(key: &RecordKey) -> Write {
    create(TableKey::ExecutionWaves, key)
}

/// A wave's members; fails if those of another resolution are there. A prepare that was frozen and comes back late must not
/// change who is in a wave that others have locked by now.
pub fn put_members(members: &MembersRecord) -> Write {
    Write {
        condition: "attribute_not_exists(executionId) OR membershipHash = :hash".to_owned(),
        values: vec![value(":hash", members.membership_hash.as_str())],
        ..create(TableKey::ExecutionWaves, members)
    }
}

/// The next version of an item; fails if the stored one is not exactly one older (fencing).
pub fn replace<T: Serialize>(table: TableKey, record: &T, version: u64) -> Write {
    Write {
        condition: "#version = :expected".to_owned(),
        names: vec![("#version", "version")],
        values: vec![(":expected".to_owned(), json!(version.saturating_sub(1)))],
        ..create(table, record)
    }
}

fn execution_key(record: &ExecutionRecord) -> Vec<(&'static str, String)> {
    vec![("executionId", record.execution_id.to_string()), ("planId", record.plan_id.to_string())]
}

fn value(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

/// PENDING -> IN_PROGRESS.
pub fn begin_execution(record: &ExecutionRecord, entry: &TimelineEntry) -> Write {
    Write {
        table: TableKey::ExecutionHistory,
        change: Change::Update {
            key: execution_key(record),
            expression: "SET #status = :inProgress, #timeline = list_append(#timeline, :entry)".to_owned(),
        },
        condition: "#status = :pending".to_owned(),
        names: vec![("#status", "status"), ("#timeline", "timeline")],
        values: vec![
            value(":inProgress", ExecutionStatus::InProgress.as_str()),
            value(":pending", ExecutionStatus::Pending.as_str()),
            value(":entry", vec![json_of(entry)]),
        ],
    }
}

/// Any open status -> the outcome. Terminal states are never left; `endTime` is written once; the gate's token goes.
pub fn finish_execution(finish: &Finish<'_>) -> Write {
    let open: Vec<(String, Value)> = ExecutionStatus::ALL
        .iter()
        .filter(|status| !status.is_terminal())
        .enumerate()
        .map(|(index, status)| value(&format!(":open{index}"), status.as_str()))
        .collect();
    let open_names: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
    let condition = format!("#status IN ({}) AND attribute_not_exists(#endTime)", open_names.join(", "));
    let expression = "SET #status = :status, #endTime = :endTime, #completedTime = :endTime, #duration = :duration, \
                      #completedWaves = :completedWaves, #failedWaves = :failedWaves, #outcome = :outcome, \
                      #report = :report, #timeline = list_append(#timeline, :entry) REMOVE #gate";
    let mut values = vec![
        value(":status", finish.decision.status.as_str()),
        value(":endTime", finish.end_time),
        value(":duration", finish.duration_seconds),
        value(":completedWaves", finish.completed_waves),
        value(":failedWaves", finish.failed_waves),
        value(":outcome", json_of(&finish.decision.outcome)),
        value(":report", json_of(finish.report)),
        value(":entry", vec![json_of(finish.entry)]),
    ];
    values.extend(open);
    Write {
        table: TableKey::ExecutionHistory,
        change: Change::Update { key: execution_key(finish.record), expression: expression.to_owned() },
        condition,
        names: vec![
            ("#status", "status"),
            ("#endTime", "endTime"),
            ("#completedTime", "completedTime"),
            ("#duration", "durationSeconds"),
            ("#completedWaves", "completedWaves"),
            ("#failedWaves", "failedWaves"),
            ("#outcome", "outcome"),
            ("#report", "report"),
            ("#timeline", "timeline"),
            ("#gate", "gate"),
        ],
        values,
    }
}

/// `record` is continued by this execution; fails if another one was faster, or if its cleanup moved on from what `record`
/// has. A cleanup's own writes ask the same of `continuedBy`, so that of a cleanup and a continuation only one can begin.
pub fn claim_continuation(record: &ExecutionRecord, by: &ExecutionId, entry: &TimelineEntry) -> Write {
    let mut names = vec![("#timeline", "timeline"), ("#endTime", "endTime"), ("#cleanup", "cleanup")];
    let mut values = vec![value(":by", by.as_str()), value(":entry", vec![json_of(entry)])];
    let unclaimed = expect_continued_by(record, &mut names, &mut values);
    let cleanup = match &record.cleanup {
        None => "attribute_not_exists(#cleanup)",
        Some(cleanup) => {
            names.push(("#version", "version"));
            values.push(value(":cleanup", cleanup.version));
            "#cleanup.#version = :cleanup"
        }
    };
    Write {
        table: TableKey::ExecutionHistory,
        change: Change::Update {
            key: execution_key(record),
            expression: "SET #continuedBy = :by, #timeline = list_append(#timeline, :entry)".to_owned(),
        },
        condition: format!("attribute_exists(#endTime) AND {cleanup} AND {unclaimed}"),
        names,
        values,
    }
}

/// The condition that nobody has claimed the record since it was read.
fn expect_continued_by(
    record: &ExecutionRecord,
    names: &mut Vec<(&'static str, &'static str)>,
    values: &mut Vec<(String, Value)>,
) -> &'static str {
    names.push(("#continuedBy", "continuedBy"));
    match &record.continued_by {
        None => "attribute_not_exists(#continuedBy)",
        Some(id) => {
            values.push(value(":continuedBy", id.as_str()));
            "#continuedBy = :continuedBy"
        }
    }
}

/// One more run whose launch deletes instances of this one. Fails if the list is another than the one that was read.
pub fn note_replaced(record: &ExecutionRecord, by: &ReplacedBy, entry: &TimelineEntry) -> Write {
    let mut all = record.replaced_by.clone();
    all.push(by.clone());
    let mut values = vec![value(":replaced", json_of(&all)), value(":entry", vec![json_of(entry)])];
    let condition = if record.replaced_by.is_empty() {
        "attribute_not_exists(#replaced)"
    } else {
        values.push(value(":before", json_of(&record.replaced_by)));
        "#replaced = :before"
    };
    Write {
        table: TableKey::ExecutionHistory,
        change: Change::Update {
            key: execution_key(record),
            expression: "SET #replaced = :replaced, #timeline = list_append(#timeline, :entry)".to_owned(),
        },
        condition: format!("attribute_exists(executionId) AND {condition}"),
        names: vec![("#replaced", "replacedBy"), ("#timeline", "timeline")],
        values,
    }
}

/// The next version of a cleanup; version 1 only where there is none. Fails if the execution was continued since it was read.
pub fn put_cleanup(record: &ExecutionRecord, cleanup: &Cleanup, entry: Option<&TimelineEntry>) -> Write {
    let mut names = vec![("#cleanup", "cleanup")];
    let mut values = vec![value(":cleanup", json_of(cleanup))];
    let mut expression = "SET #cleanup = :cleanup".to_owned();
    if let Some(entry) = entry {
        expression.push_str(", #timeline = list_append(#timeline, :entry)");
        names.push(("#timeline", "timeline"));
        values.push(value(":entry", vec![json_of(entry)]));
    }
    let unclaimed = expect_continued_by(record, &mut names, &mut values);
    let version = if cleanup.version == 1 {
        "attribute_not_exists(#cleanup)"
    } else {
        names.push(("#version", "version"));
        values.push(value(":expected", cleanup.version - 1));
        "#cleanup.#version = :expected"
    };
    let condition = format!("{version} AND {unclaimed}");
    Write {
        table: TableKey::ExecutionHistory,
        change: Change::Update { key: execution_key(record), expression },
        condition,
        names,
        values,
    }
}

/// A server's lock, if it is free or `holder` has it.
pub fn put_lock(lock: &LockRecord, holder: &ExecutionId) -> Write {
    Write {
        condition: "attribute_not_exists(server) OR executionId = :holder".to_owned(),
        values: vec![value(":holder", holder.as_str())],
        ..create(TableKey::ServerLocks, lock)
    }
}

/// Deletes a server's lock if `holder` has it.
pub fn release_lock(server: &str, holder: &ExecutionId) -> Write {
    Write {
        table: TableKey::ServerLocks,
        change: Change::Delete { key: vec![("server", server.to_owned())] },
        condition: "executionId = :holder".to_owned(),
        names: Vec::new(),
        values: vec![value(":holder", holder.as_str())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FR-2.4, AC-3.5: what poll-wave can write goes to `execution-waves` and names no execution attribute. (Its port,
    /// `WaveStore`, offers these three writes and no other.)
    #[test]
    fn the_writes_of_the_wave_store_cannot_name_an_execution_status() {
        let record = MembersRecord {
            execution_id: ExecutionId::from("e"),
            wave_key: "0001#members".to_owned(),
            wave_number: 1,
            membership_hash: String::new(),
            members: Vec::new(),
            named_roles: false,
        };
        let table = TableKey::ExecutionWaves;
        for write in [create(table, &record), put_members(&record), replace(table, &record, 2)] {
            assert_eq!(write.table, TableKey::ExecutionWaves);
            assert!(matches!(write.change, Change::Put(_)), "a put has no update expression at all");
            assert!(write.names.iter().all(|(_, name)| *name == "version"), "{write:?}");
        }
    }
}
