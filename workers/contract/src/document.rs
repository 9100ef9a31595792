//! The generated half of the contract: `contract.json` and the JSON schemas, as they are committed under
//! `statemachine/contract/`. Pure text; the binary `tidegate-contract` writes or compares it.

use crate::SCHEMA_VERSION;
use crate::activities::{
    ActivityName, CleanupInput, CleanupVerdict, FinalizeInput, Outcome, PrepareInput, PreparedRun, WaveInput,
    WaveVerdict,
};
use crate::errors::ErrorName;
use crate::input::Request;
use crate::machines::{self, ReconcileInput};
use crate::plan::{MAX_TARGETS, Plan, ProtectionGroup, REGION_PATTERN};
use crate::processes;
use crate::records::{ExecutionRecord, MembersRecord, ShardRecord, WaveRecord};
use crate::status::{ExecutionStatus, LaunchStatus, WaveStatus};
use crate::tables::TABLES;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Folder of the schemas, below `statemachine/contract/`.
pub(crate) const SCHEMAS: &str = "schemas";

/// Path below `statemachine/contract/` -> content, ending in a newline.
pub fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([("contract.json".to_owned(), pretty(&contract()))]);
    let mut schema = |name: &str, value: Value| {
        files.insert(format!("{SCHEMAS}/{name}.schema.json"), pretty(&value));
    };
    schema("execution-input", schema_of::<Request>());
    schema("reconcile-input", schema_of::<ReconcileInput>());
    schema("plan", schema_of::<Plan>());
    schema("protection-group", schema_of::<ProtectionGroup>());
    schema("execution-record", schema_of::<ExecutionRecord>());
    schema("wave-record", schema_of::<WaveRecord>());
    schema("shard-record", schema_of::<ShardRecord>());
    schema("members-record", schema_of::<MembersRecord>());
    for name in ActivityName::ALL.iter().copied() {
        let (input, output) = activity_schemas(name);
        schema(&format!("{name}.input"), input);
        schema(&format!("{name}.output"), output);
    }
    files
}

/// JSON schema of a type of this crate.
pub fn schema_of<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn activity_schemas(name: ActivityName) -> (Value, Value) {
    match name {
        ActivityName::PrepareExecution => (schema_of::<PrepareInput>(), schema_of::<PreparedRun>()),
        ActivityName::StartWave | ActivityName::PollWave => (schema_of::<WaveInput>(), schema_of::<WaveVerdict>()),
        ActivityName::FinalizeExecution => (schema_of::<FinalizeInput>(), schema_of::<Outcome>()),
        ActivityName::StartCleanup | ActivityName::PollCleanup => {
            (schema_of::<CleanupInput>(), schema_of::<CleanupVerdict>())
        }
    }
}

fn contract() -> Value {
    let activities: Vec<Value> = ActivityName::ALL
        .iter()
        .map(|name| {
            let spec = name.spec();
            json!({
                "name": name.as_str(),
                "placeholder": name.placeholder(),
                "effect": spec.effect,
                "timeoutSeconds": spec.timeout_seconds,
                "heartbeatSeconds": spec.heartbeat_seconds,
                "errors": spec.errors(),
                "awsActions": spec.aws_actions,
                "inputSchema": format!("{SCHEMAS}/{name}.input.schema.json"),
                "outputSchema": format!("{SCHEMAS}/{name}.output.schema.json"),
            })
        })
        .collect();
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "activities": activities,
        "tables": TABLES,
        "stateMachines": machines::machines_document(),
        "rules": machines::rules_document(),
        "processes": processes::processes_document(),
        "operators": processes::operators_document(),
        "commands": processes::COMMANDS,
        "placeholders": ["EventBusName", "Partition"],
        "regionPattern": REGION_PATTERN,
        "mostTargets": MAX_TARGETS,
        "errors": ErrorName::ALL,
        "executionStatuses": ExecutionStatus::ALL,
        "waveStatuses": WaveStatus::ALL,
        "launchStatuses": LaunchStatus::ALL,
        "events": { "source": "tidegate", "detailTypes": ["Tidegate Execution Paused", "Tidegate Decision Needed", "Tidegate Cleanup Failed"] },
    })
}

fn pretty(value: &Value) -> String {
    // Serialising a Value to text cannot fail: its keys are strings.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
