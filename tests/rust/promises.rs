//! What the records and the contract promise to readers of the record, in names and shapes: consoles, scripts and
//! dashboards read these fields, so a field that goes or changes its form is a breaking change and needs a version.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidegate_contract::tables::{self, TableKey};
use tidegate_contract::{ActivityName, ExecutionStatus, WaveStatus, document};
use tidegate_core::input_check;
use tidegate_tests::{repository, scan};

fn schema(name: &str) -> Value {
    serde_json::from_str(&document::files()[&format!("schemas/{name}.schema.json")]).unwrap()
}

/// Every object a schema describes: itself and its definitions.
fn objects(schema: &Value) -> Vec<(&str, &Value)> {
    let definitions = schema.get("$defs").and_then(Value::as_object).into_iter().flatten();
    let named = definitions.map(|(name, definition)| (name.as_str(), definition));
    let all = std::iter::once((schema["title"].as_str().unwrap_or_default(), schema)).chain(named);
    all.filter(|(_, object)| object.get("properties").is_some()).collect()
}

fn object<'a>(schema: &'a Value, title: &str) -> &'a Value {
    objects(schema).into_iter().find(|(name, _)| *name == title).unwrap_or_else(|| panic!("no {title}")).1
}

fn names(object: &Value, field: &str) -> BTreeSet<String> {
    match &object[field] {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

fn assert_has(object: &Value, always: &[&str], in_time: &[&str]) {
    let (properties, required) = (names(object, "properties"), names(object, "required"));
    for field in always {
        assert!(required.contains(*field), "{} does not always have {field}", object["title"]);
    }
    for field in in_time {
        assert!(properties.contains(*field), "{} never has {field}", object["title"]);
    }
}

/// FR-6.3, FR-6.4, AC-6.4, S002 2.3, S002 5.2, FR-5.3, c-30, c-32.
#[test]
fn an_execution_says_how_far_it_is() {
    let schema = schema("execution-record");
    let always = [
        "status",
        "executionType",
        "totalWaves",
        "completedWaves",
        "currentWave",
        "startTime",
        "expectedDuration",
        "waves",
    ];
    let in_time = ["completedTime", "endTime", "durationSeconds", "timeline", "gate", "report", "cleanup"];
    assert_has(&schema, &always, &in_time);
    assert_has(object(&schema, "TimelineEntry"), &["at", "event", "waveNumber"], &["detail"]);
}

/// FR-6.1, AC-6.5, AC-2.4, AC-3A.7, FR-2.3.
#[test]
fn a_wave_is_an_item_of_its_own_with_status_and_jobs() {
    let schema = schema("wave-record");
    let always = [
        "executionId",
        "waveKey",
        "waveNumber",
        "waveName",
        "status",
        "phase",
        "counts",
        "startTime",
        "pollAttempts",
        "jobs",
    ];
    assert_has(&schema, &always, &["endTime", "lastPolledTime", "error"]);
    assert_has(object(&schema, "WaveJob"), &["jobId", "status", "participatingServers"], &["startTime", "endTime"]);
}

/// FR-2.9, FR-3.3, FR-3.4, AC-3A.3..3A.6, S002 2.2, S000: one item is enough to draw the table of servers.
#[test]
fn a_server_is_stored_with_all_an_operator_asks_for() {
    let schema = schema("shard-record");
    assert_has(&schema, &["serverStatuses"], &[]);
    let always =
        ["sourceServerId", "serverName", "hostname", "launchStatus", "isDrill", "pollAttempts", "transitionHistory"];
    let in_time = [
        "recoveryJobId",
        "recoveryInstanceId",
        "instanceId",
        "ec2InstanceId",
        "recoveredInstanceId",
        "instanceType",
        "privateIp",
        "launchTime",
        "launchedTime",
        "instanceState",
        "lastPolledTime",
        "pointInTime",
        "error",
    ];
    let server = object(&schema, "ServerStatus");
    assert_has(server, &always, &in_time);
    assert_has(server, &["postLaunchActionsStatus", "postLaunchActionsCompleted"], &[]);
}

/// TC-1.4, TC-3.2: scripts that read the history table keep finding their keys and indexes.
#[test]
fn the_history_table_keeps_its_keys() {
    let history = tables::TABLES.iter().find(|table| table.key == TableKey::ExecutionHistory).unwrap();
    assert_eq!((history.partition_key, history.sort_key), ("executionId", Some("planId")));
    let indexes: Vec<_> =
        history.indexes.iter().map(|index| (index.name, index.partition_key, index.sort_key)).collect();
    assert_eq!(indexes, [("StatusIndex", "status", "startTime"), ("planIdIndex", "planId", "startTime")]);
}

/// FR-2.8, FR-3.5, c-28: camelCase everywhere. `Error` and `Cause` are Step Functions' own words.
#[test]
fn every_field_is_camel_case() {
    for path in document::files().keys().filter(|path| path.starts_with("schemas/")) {
        let schema: Value = serde_json::from_str(&document::files()[path]).unwrap();
        for (title, object) in objects(&schema) {
            for field in names(object, "properties").iter().filter(|field| !matches!(field.as_str(), "Error" | "Cause"))
            {
                let is_camel = field.starts_with(|letter: char| letter.is_ascii_lowercase())
                    && field.chars().all(|letter| letter.is_ascii_alphanumeric())
                    && !field.contains("ID");
                assert!(is_camel, "{path}: {title}.{field}");
            }
        }
    }
}

/// c-29: a point in time is text, a duration is a whole number of seconds; nothing is sometimes this and sometimes that.
#[test]
fn times_are_text_and_durations_are_seconds() {
    let mut times = 0;
    for name in ["execution-record", "wave-record", "shard-record"] {
        let schema = schema(name);
        for (title, object) in objects(&schema) {
            for (field, form) in object["properties"].as_object().unwrap() {
                let expected =
                    if field.ends_with("Time") || field.ends_with("At") || matches!(field.as_str(), "at" | "since") {
                        times += 1;
                        "string"
                    } else if field.ends_with("Seconds") || field.ends_with("Duration") {
                        "integer"
                    } else {
                        continue;
                    };
                let types = &form["type"];
                assert!(types == expected || *types == json!([expected, "null"]), "{name}: {title}.{field} is {types}");
            }
        }
    }
    assert!(times > 10, "only {times} fields were looked at");
}

/// S002 2.1, FR-6.2, c-07, c-32: a pause somebody asked for is a flag beside the status, not a status that the next write loses.
#[test]
fn statuses_are_few_and_wishes_are_flags() {
    let execution: BTreeSet<&str> = ExecutionStatus::ALL.iter().map(|status| status.as_str()).collect();
    assert!(execution.is_superset(&BTreeSet::from([
        "PENDING",
        "IN_PROGRESS",
        "POLLING",
        "COMPLETED",
        "PARTIAL",
        "FAILED"
    ])));
    let wave: BTreeSet<&str> = WaveStatus::ALL.iter().map(|status| status.as_str()).collect();
    assert!(wave.is_superset(&BTreeSet::from(["PENDING", "POLLING", "COMPLETED", "FAILED"])));
    for word in execution.iter().chain(&wave) {
        assert!(
            !["REQUESTED", "PENDING_", "_PENDING", "CANCELLING", "PAUSING"].iter().any(|wish| word.contains(wish)),
            "{word} is a wish"
        );
    }
    assert_has(&schema("execution-record"), &["pauseRequested", "cancelRequested"], &[]);
}

/// c-21: waves are numbered from 1 wherever a person writes or reads a number.
#[test]
fn waves_are_numbered_from_one() {
    let plan = |number: u32| {
        let group = json!({"region": "us-west-2", "tags": {"tier": "web"}});
        json!({"planId": "p", "planName": "p", "waves": [{"waveNumber": number, "waveName": "w", "groups": [group]}]})
            .to_string()
    };
    assert!(input_check::parse_plan(&plan(1)).is_ok());
    let problems = input_check::parse_plan(&plan(0)).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["plan.waves[0].waveNumber"]);
    assert_eq!(tables::wave_key(1), "0001");
}

/// AC-1.1, FR-1.1..1.3: every operation has a name, a handler in a file of that name, and one place that routes to it.
/// Pausing and resuming are the machine's own gates, which the ASL rules look at.
#[test]
fn every_activity_has_one_handler() {
    let folder = "workers/worker/src/activities";
    let routes = repository::text(&format!("{folder}/mod.rs")).unwrap();
    for name in ActivityName::ALL {
        let file = name.as_str().rsplit_once("-v").unwrap().0.replace('-', "_");
        let source = repository::text(&format!("{folder}/{file}.rs")).unwrap();
        assert_eq!(scan::mentions(&source, &["pub async fn run"]).len(), 1, "{folder}/{file}.rs has no `run`");
        let variant = format!("ActivityName::{name:?}");
        assert_eq!(scan::mentions(&routes, &[&variant]).len(), 1, "{variant} is not routed once");
        assert!(!scan::mentions(&routes, &[&format!("{file}::run")]).is_empty(), "{file}::run is called by nobody");
    }
}

/// S002 5.1: dashboards and alarms are built on these names.
#[test]
fn metrics_keep_their_names() {
    let source = repository::text("workers/worker/src/metrics.rs").unwrap();
    for metric in
        ["ExecutionDuration", "ServerLaunchSuccess", "ServerLaunchFailure", "WaveCompletionTime", "FinalizationCount"]
    {
        assert!(!scan::mentions(&source, &[&format!("\"{metric}\"")]).is_empty(), "{metric} is gone");
    }
}
