//! What flows through the state: paths, payloads, the token.

use super::time::activities;
use crate::asl::contract::texts;
use crate::asl::machine::strings;
use crate::asl::{Report, State, Subject, expression, shapes};
use serde_json::Value;
use std::collections::BTreeSet;

/// Intrinsics whose behaviour was compared between AWS and the local engine. StringSplit is used on ARNs only, as in the Developer
/// Guide's own example.
const INTRINSICS: &[&str] = &[
    "States.Array",
    "States.ArrayContains",
    "States.ArrayGetItem",
    "States.ArrayLength",
    "States.ArrayPartition",
    "States.ArrayRange",
    "States.ArrayUnique",
    "States.Format",
    "States.JsonMerge",
    "States.JsonToString",
    "States.MathAdd",
    "States.StringSplit",
    "States.StringToJson",
    "States.UUID",
];

/// Comparisons likewise. The Path forms are compared on numbers, and on texts that are there; IsPresent guards what an operator sends.
const COMPARISONS: &[&str] = &[
    "BooleanEquals",
    "IsPresent",
    "NumericEquals",
    "NumericEqualsPath",
    "NumericGreaterThan",
    "NumericGreaterThanPath",
    "NumericLessThan",
    "NumericLessThanPath",
    "StringEquals",
    "StringEqualsPath",
];

const BRANCH_FIELDS: &[&str] = &["And", "Comment", "Next", "Not", "Or", "Variable"];

pub(super) fn result_path(subject: &Subject<'_>, report: &mut Report) {
    let replaces = |value: &Value| value.get("ResultPath").is_none_or(|path| path.as_str() == Some("$"));
    for state in subject.machine.states.values() {
        // The first state takes nothing over from the caller's input: there a replacement is the point.
        let writes = state.has("Result") || state.has("Parameters");
        let is_writer = state.is("Task") || (state.is("Pass") && writes && state.name != subject.machine.start());
        if is_writer && replaces(state.body) {
            report.add(state.name, "has no ResultPath of its own: its result would be the whole state (lesson c-04)");
        }
        if state.list("Catch").iter().any(replaces) {
            report.add(state.name, "has a catcher without a ResultPath: the error would be the whole state");
        }
        if !state.is("Succeed") && (state.has("OutputPath") || state.has("InputPath")) {
            report.add(state.name, "narrows the state with InputPath or OutputPath");
        }
    }
}

pub(super) fn path_plain(subject: &Subject<'_>, report: &mut Report) {
    for state in subject.machine.states.values() {
        for path in expressions(state).into_iter().flat_map(|text| expression::read(text).paths) {
            if !expression::is_plain(&path) {
                report.add(state.name, format!("{path} is more than dotted names"));
            }
        }
    }
}

pub(super) fn intrinsic_safe(subject: &Subject<'_>, report: &mut Report) {
    for state in subject.machine.states.values() {
        for function in expressions(state).into_iter().flat_map(|text| expression::read(text).functions) {
            if !INTRINSICS.contains(&function.as_str()) {
                report.add(state.name, format!("calls {function}, which is not on the list of compared intrinsics"));
            }
        }
    }
}

/// Every text that Step Functions evaluates: `.$` fields, fields that hold a path, and a Choice's variables.
fn expressions<'a>(state: &State<'a>) -> Vec<&'a str> {
    let is_evaluated = |key: &str| key.ends_with(".$") || key.ends_with("Path") || key == "Variable";
    strings(state.body).into_iter().filter(|(key, _)| is_evaluated(key)).map(|(_, text)| text).collect()
}

pub(super) fn choice_operator(subject: &Subject<'_>, report: &mut Report) {
    for state in subject.machine.states.values() {
        for branch in state.list("Choices") {
            for key in condition_keys(branch) {
                if !COMPARISONS.contains(&key) && !BRANCH_FIELDS.contains(&key) {
                    report.add(state.name, format!("uses {key}, which is not on the list of compared comparisons"));
                }
            }
        }
    }
}

fn condition_keys(condition: &Value) -> Vec<&str> {
    let Some(fields) = condition.as_object() else {
        return Vec::new();
    };
    let mut keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    let operands = ["And", "Or"].iter().filter_map(|key| fields.get(*key)?.as_array()).flatten();
    keys.extend(operands.chain(fields.get("Not")).flat_map(condition_keys));
    keys
}

pub(super) fn path_always_there(subject: &Subject<'_>, report: &mut Report) {
    for (name, input) in shapes::inputs(subject) {
        let Some(state) = subject.machine.states.get(name) else {
            continue;
        };
        for path in shapes::uncertain_reads(state, &input) {
            report.add(
                name,
                format!("reads {path}, which not every way here has written: States.Runtime, which nothing catches"),
            );
        }
    }
}

pub(super) fn activity_input(subject: &Subject<'_>, report: &mut Report) {
    for (task, activity) in activities(subject) {
        let Some(given) = task.get("Parameters").and_then(Value::as_object) else {
            report.add(task.name, "hands the whole state to its activity");
            continue;
        };
        let Some(schema) = subject.contract.schema(activity, "inputSchema") else {
            report.add(task.name, "calls an activity without an input schema");
            continue;
        };
        let names: BTreeSet<&str> = given.keys().map(|key| key.strip_suffix(".$").unwrap_or(key)).collect();
        for missing in texts(schema, "required").into_iter().filter(|field| !names.contains(field)) {
            report.add(task.name, format!("does not give {missing}, which the activity requires"));
        }
        let known = schema.get("properties").and_then(Value::as_object);
        for extra in names.iter().filter(|name| !known.is_some_and(|known| known.contains_key(**name))) {
            report.add(task.name, format!("gives {extra}, which the activity does not know"));
        }
        for (key, _) in strings(&Value::Object(given.clone())).iter().filter(|(_, text)| matches!(*text, "$" | "$$")) {
            report.add(task.name, format!("gives everything there is as {key}"));
        }
    }
}

pub(super) fn token_in_gates_only(subject: &Subject<'_>, report: &mut Report) {
    for state in subject.machine.states.values() {
        let uses = strings(state.body).iter().any(|(_, text)| text.contains("$$.Task.Token"));
        match (state.is_gate(), uses) {
            (true, false) => report.add(state.name, "waits for a token nobody gets"),
            (false, true) => report.add(state.name, "hands out a task token outside a gate"),
            (true, true) | (false, false) => {}
        }
    }
}
