//! The contract's generated half is fresh, its schemas are schemas, the examples people copy are accepted by the very checks
//! a run makes, and inputs of the first version still parse (FR-1.4, TC-1.3, TC-3.4).

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::activities::{CleanupInput, FinalizeInput, PrepareInput, WaveInput};
use tidegate_contract::input::Request;
use tidegate_contract::machines::{MACHINES, RULES, ReconcileInput};
use tidegate_contract::plan::{Plan, ProtectionGroup};
use tidegate_contract::records::Problem;
use tidegate_contract::tables::{self, TableKey};
use tidegate_contract::{ActivityName, document};
use tidegate_core::{input_check, membership, plan_check};
use tidegate_tests::asl::{Contract, Machine};
use tidegate_tests::repository;

const FOLDER: &str = "statemachine/contract";

fn schema(name: &str) -> Value {
    repository::json(&format!("{FOLDER}/schemas/{name}.schema.json")).unwrap()
}

/// Everything a schema says against a document.
fn complaints(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect()
}

#[test]
fn the_committed_contract_is_what_the_code_says() {
    let stated = document::files();
    let committed: BTreeSet<String> = repository::files(FOLDER, &["json"])
        .unwrap()
        .into_iter()
        .filter_map(|path| path.strip_prefix(FOLDER)?.strip_prefix('/').map(str::to_owned))
        .collect();
    let expected: BTreeSet<String> = stated.keys().cloned().collect();
    assert_eq!(committed, expected, "run `make contract` and commit the result");
    for (path, text) in stated {
        let found = repository::text(&format!("{FOLDER}/{path}")).unwrap();
        assert!(found == text, "{FOLDER}/{path} is stale: run `make contract` and commit the result");
    }
}

/// One contract, two machines: what the contract says of each is read off its definition, so that neither a role nor a
/// deployment misses a call (design section 1, tenet 8).
#[test]
fn the_contract_knows_what_each_machine_calls() {
    let contract = Contract::shipped();
    let listed: BTreeSet<String> =
        MACHINES.iter().map(|machine| format!("statemachine/{}.asl.json", machine.name)).collect();
    let there = repository::files("statemachine", &["json"]).unwrap();
    assert_eq!(there.into_iter().filter(|path| path.ends_with(".asl.json")).collect::<BTreeSet<_>>(), listed);
    for machine in MACHINES {
        let definition = repository::json(&format!("statemachine/{}.asl.json", machine.name)).unwrap();
        let view = Machine::new(&definition);
        let stated: BTreeSet<String> = machine.aws_actions.iter().map(|action| (*action).to_owned()).collect();
        assert_eq!(view.aws_actions(), stated, "{}: awsActions", machine.name);
        let called: BTreeSet<&str> =
            view.states.values().filter_map(|state| contract.activity_name(state.text("Resource"))).collect();
        let stated: BTreeSet<&str> = machine.activities.iter().map(|name| name.as_str()).collect();
        assert_eq!(called, stated, "{}: activities", machine.name);
    }
}

/// A plan that the plan check accepts must fit the machine that runs it.
#[test]
fn the_machine_waits_as_long_as_the_plan_check_allows() {
    let recovery = MACHINES.iter().find(|machine| machine.name == "recovery").unwrap();
    assert_eq!(recovery.timeout_seconds, plan_check::MACHINE_TIMEOUT_SECONDS);
}

/// What AWS sends is what the machine reads: a documented event of each kind fits the schema of the machine's input, and the
/// pattern of the rule names machines and fields that are there.
#[test]
fn status_change_events_are_inputs_of_reconcile() {
    let schema = schema("reconcile-input");
    for (path, golden) in ["reconcile-input", "reconcile-input-encrypted"].map(|name| {
        let path = format!("tests/golden/{name}.v1.json");
        (path.clone(), repository::json(&path).unwrap())
    }) {
        assert_eq!(complaints(&schema, &golden), [""; 0], "{path}");
        let read: ReconcileInput =
            serde_json::from_value(golden.clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(golden["detail"]["executionArn"], read.detail.execution_arn.as_str());
    }
    for rule in RULES {
        for name in [rule.watches, rule.starts] {
            assert!(MACHINES.iter().any(|machine| machine.name == name), "{}: there is no machine {name}", rule.name);
        }
    }
    let contract = Contract::shipped().document;
    let pattern = &contract["rules"][0]["eventPattern"];
    assert_eq!(pattern["detail"]["stateMachineArn"], serde_json::json!(["${RecoveryStateMachineArn}"]));
    // Only the rule reads these; the machine reads the ARN and asks for the rest.
    let event = repository::json("tests/golden/reconcile-input.v1.json").unwrap();
    for field in pattern["detail"].as_object().unwrap().keys() {
        assert!(event["detail"].get(field).is_some(), "events have no {field}");
    }
}

#[test]
fn every_schema_is_a_schema() {
    for path in repository::files(&format!("{FOLDER}/schemas"), &["json"]).unwrap() {
        let schema = repository::json(&path).unwrap();
        assert!(jsonschema::meta::validate(&schema).is_ok(), "{path} breaks its own meta schema");
        // A schema that allows anything would pass the meta schema too.
        assert!(!complaints(&schema, &Value::Bool(true)).is_empty(), "{path} accepts anything");
    }
}

#[test]
fn every_table_key_of_the_layout_has_its_table() {
    let laid_out: BTreeSet<&str> = tables::TABLES.iter().map(|table| table.key.as_str()).collect();
    assert_eq!(laid_out, TableKey::ALL.iter().map(|key| key.as_str()).collect());
    let placeholders: BTreeSet<&str> = tables::TABLES.iter().map(|table| table.placeholder).collect();
    assert_eq!(placeholders.len(), tables::TABLES.len(), "two tables share a placeholder");
}

/// The examples, by the folder that says what they are.
fn examples(kind: &str) -> Vec<(String, Value)> {
    let paths = repository::files(&format!("statemachine/inputs/{kind}"), &["json"]).unwrap();
    assert!(!paths.is_empty(), "there is no example under statemachine/inputs/{kind}");
    paths.into_iter().map(|path| (path.clone(), repository::json(&path).unwrap())).collect()
}

fn groups() -> BTreeMap<String, ProtectionGroup> {
    let parse = |(path, value): &(String, Value)| input_check::parse_group(&value.to_string(), path).unwrap();
    examples("protection-groups").iter().map(parse).map(|group| (group.group_id.clone(), group)).collect()
}

fn assert_good_plan(path: &str, plan: &Plan) {
    assert_eq!(told(&plan_check::check_plan(plan, "plan")), [""; 0], "{path}");
    for group in membership::group_ids(plan) {
        assert!(
            groups().contains_key(&group),
            "{path} names the protection group {group}, of which there is no example"
        );
    }
}

#[test]
fn example_plans_are_accepted() {
    for (path, value) in examples("plans") {
        assert_eq!(complaints(&schema("plan"), &value), [""; 0], "{path}");
        let plan = input_check::parse_plan(&value.to_string())
            .unwrap_or_else(|problems| panic!("{path}: {:?}", told(&problems)));
        assert_good_plan(&path, &plan);
        assert!(path.ends_with(&format!("/{}.json", plan.plan_id)), "{path} holds the plan {}", plan.plan_id);
    }
}

#[test]
fn example_protection_groups_are_accepted() {
    for (path, value) in examples("protection-groups") {
        assert_eq!(complaints(&schema("protection-group"), &value), [""; 0], "{path}");
        let group = input_check::parse_group(&value.to_string(), "group")
            .unwrap_or_else(|problems| panic!("{path}: {:?}", told(&problems)));
        assert!(path.ends_with(&format!("/{}.json", group.group_id)), "{path} holds the group {}", group.group_id);
    }
}

#[test]
fn example_executions_are_accepted_and_name_example_plans() {
    let plans: BTreeSet<String> =
        examples("plans").iter().map(|(_, plan)| plan["planId"].as_str().unwrap().to_owned()).collect();
    for (path, value) in examples("executions") {
        assert_eq!(complaints(&schema("execution-input"), &value), [""; 0], "{path}");
        let request =
            input_check::parse_request(&value).unwrap_or_else(|problems| panic!("{path}: {:?}", told(&problems)));
        // The execution a continuation names is some earlier one: there is nothing here it could be held against.
        let Request::Plan(input) = request else { continue };
        match (&input.plan_id, &input.plan) {
            (Some(id), None) => {
                assert!(plans.contains(id.as_str()), "{path} names the plan {id}, of which there is no example")
            }
            (None, Some(plan)) => assert_good_plan(&path, plan),
            _ => panic!("{path} names no plan, or two"),
        }
    }
}

#[test]
fn no_example_lies_outside_the_known_folders() {
    let known =
        ["statemachine/inputs/plans/", "statemachine/inputs/protection-groups/", "statemachine/inputs/executions/"];
    for path in repository::files("statemachine/inputs", &["json"]).unwrap() {
        assert!(known.iter().any(|folder| path.starts_with(folder)), "{path} is checked by nobody");
    }
}

/// What a golden becomes after one way through the types.
fn through_the_types(name: ActivityName, golden: &Value) -> serde_json::Result<Value> {
    let text = golden.to_string();
    match name {
        ActivityName::PrepareExecution => serde_json::to_value(serde_json::from_str::<PrepareInput>(&text)?),
        ActivityName::StartWave | ActivityName::PollWave => {
            serde_json::to_value(serde_json::from_str::<WaveInput>(&text)?)
        }
        ActivityName::FinalizeExecution => serde_json::to_value(serde_json::from_str::<FinalizeInput>(&text)?),
        ActivityName::StartCleanup | ActivityName::PollCleanup => {
            serde_json::to_value(serde_json::from_str::<CleanupInput>(&text)?)
        }
    }
}

// FR-1.4, AC-7.7, FR-8.10: executions in flight keep the definition they started with, so their tasks arrive in the shape of
// that day. A golden is never edited; a shape that no longer parses needs a `-v2` beside the `-v1`.
#[test]
fn inputs_of_the_first_version_still_parse_and_lose_nothing() {
    for name in ActivityName::ALL.iter().copied() {
        let base =
            name.as_str().strip_suffix("-v1").unwrap_or_else(|| panic!("{name} needs a golden of its own version"));
        let path = format!("tests/golden/{base}.v1.json");
        let golden = repository::json(&path).unwrap();
        assert_eq!(complaints(&schema(&format!("{name}.input")), &golden), [""; 0], "{path}");
        let kept = through_the_types(name, &golden).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(kept, golden, "{path} comes out of the types another");
    }
}

// The same activity, as reconcile calls it: with the event's own number for the start, and the event itself.
#[test]
fn finalize_is_called_by_reconcile_in_its_own_way() {
    let path = "tests/golden/finalize-execution-by-reconcile.v1.json";
    let golden = repository::json(path).unwrap();
    assert_eq!(complaints(&schema("finalize-execution-v1.input"), &golden), [""; 0], "{path}");
    assert_eq!(through_the_types(ActivityName::FinalizeExecution, &golden).unwrap(), golden, "{path}");
}

#[test]
fn an_execution_input_without_a_schema_version_is_version_one() {
    let old = repository::json("tests/golden/execution-input.v1.json").unwrap();
    let input = input_check::parse_input(&old).unwrap_or_else(|problems| panic!("{:?}", told(&problems)));
    assert_eq!(input.schema_version.unwrap_or(1), tidegate_contract::SCHEMA_VERSION);
}
