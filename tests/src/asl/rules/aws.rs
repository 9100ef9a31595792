//! What the machine says to AWS: resources, names, table writes, events.

use crate::asl::contract::text;
use crate::asl::machine::{INTEGRATION, strings};
use crate::asl::{Report, State, Subject};
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate_contract::ExecutionStatus;

/// The integrations the machines' roles allow; one more needs its action in the contract, and its errors in `failure.rs`.
const INTEGRATIONS: &[&str] = &[
    "aws-sdk:dynamodb:query",
    "aws-sdk:dynamodb:updateItem",
    "aws-sdk:dynamodb:updateItem.waitForTaskToken",
    "aws-sdk:sfn:describeExecution",
    "events:putEvents",
];

pub(super) fn resource_known(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        let resource = task.text("Resource");
        let known = resource.strip_prefix(INTEGRATION).is_some_and(|call| INTEGRATIONS.contains(&call));
        if subject.contract.activity(resource).is_none() && !known {
            report.add(
                task.name,
                format!("calls {resource:?}, which is no activity of the contract and no known integration"),
            );
        }
    }
}

/// An input of 200 KB is longer than a machine's state takes once it is a text within a text, and no Catch of States.ALL takes
/// that error.
pub(super) fn ask_without_data(subject: &Subject<'_>, report: &mut Report) {
    let asks = |task: &&State<'_>| task.text("Resource").ends_with("sfn:describeExecution");
    for task in subject.machine.tasks().filter(asks) {
        let included = task.body.pointer("/Parameters/IncludedData").and_then(Value::as_str);
        if included != Some("METADATA_ONLY") {
            report.add(task.name, "asks for the execution's data, which may be larger than this machine's state");
        }
    }
}

pub(super) fn no_account_region_or_partition(subject: &Subject<'_>, report: &mut Report) {
    for (key, found) in strings(subject.machine.definition) {
        let words = || found.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let arn = found.match_indices("arn:").any(|(at, _)| !found[at..].starts_with(INTEGRATION));
        if arn || words().any(|word| is_account(word) || is_region(word)) {
            report.add("", format!("{key} {found:?} names an account, a Region, a partition or a literal ARN"));
        }
    }
}

fn is_account(word: &str) -> bool {
    word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`, `mx-central-1`: two letters, directions, one digit.
fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let letters = |part: &&str| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [area, middle @ .., digit] if !middle.is_empty() => {
            area.len() == 2
                && letters(area)
                && middle.iter().all(letters)
                && digit.len() == 1
                && digit.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

pub(super) fn placeholder_whole(subject: &Subject<'_>, report: &mut Report) {
    for (key, found) in strings(subject.machine.definition) {
        let found = found.strip_prefix(INTEGRATION).unwrap_or(found);
        if !found.contains("${") {
            continue;
        }
        let name = found.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            report.add(
                "",
                format!("{key} {found:?}: a placeholder must be the whole text, so that the file stays valid JSON"),
            );
        }
    }
}

pub(super) fn placeholder_contract(subject: &Subject<'_>, report: &mut Report) {
    let due = subject.contract.placeholders_due(subject.name);
    let allowed = subject.contract.placeholders_allowed();
    let used: BTreeSet<&str> =
        strings(subject.machine.definition).into_iter().flat_map(|(_, found)| placeholders(found)).collect();
    for unknown in used.iter().filter(|name| !due.contains(*name) && !allowed.contains(*name)) {
        report.add("", format!("${{{unknown}}} is not in the contract: nobody would fill it in"));
    }
    for unused in due.difference(&used) {
        report.add("", format!("${{{unused}}} of the contract is not used"));
    }
}

fn placeholders(found: &str) -> Vec<&str> {
    found.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

pub(super) fn write_conditional(subject: &Subject<'_>, report: &mut Report) {
    for (task, parameters) in table_calls(subject) {
        if is_write(task) && !parameters.get("ConditionExpression").is_some_and(Value::is_string) {
            report.add(task.name, "writes without a ConditionExpression: a late write would win (lessons c-03b, c-09)");
        }
        let Some(table) = subject.contract.table(text(parameters, "TableName")).filter(|_| is_write(task)) else {
            continue;
        };
        let key: BTreeSet<&str> = parameters
            .get("Key")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let whole: BTreeSet<&str> =
            [text(table, "partitionKey"), text(table, "sortKey")].into_iter().filter(|name| !name.is_empty()).collect();
        if key != whole {
            report.add(task.name, format!("has the key {key:?}, the table's is {whole:?}"));
        }
    }
}

/// Readers see records, and IAM cannot tell parts of an attribute from each other.
pub(super) fn gate_apart(subject: &Subject<'_>, report: &mut Report) {
    for (task, parameters) in table_calls(subject) {
        let table = subject.contract.table(text(parameters, "TableName"));
        let apart = table.is_some_and(|table| text(table, "key") == "executionGates");
        if task.is_gate() != apart {
            report.add(task.name, "is a gate that writes elsewhere than execution-gates, or writes there and is none");
        }
    }
}

/// Items hold more than a machine's state takes, and people write some of them: what a query finds is counted and stays where
/// it is.
pub(super) fn count_only(subject: &Subject<'_>, report: &mut Report) {
    for (task, parameters) in table_calls(subject).filter(|(task, _)| is_read(task)) {
        if text(parameters, "Select") != "COUNT" || !parameters.get("FilterExpression").is_some_and(Value::is_string) {
            report.add(task.name, "takes items into the state instead of counting those that fit");
        }
    }
}

pub(super) fn expression_names(subject: &Subject<'_>, report: &mut Report) {
    for (task, parameters) in table_calls(subject) {
        let expressions = ["UpdateExpression", "ConditionExpression", "KeyConditionExpression", "FilterExpression"];
        let said: Vec<&str> = expressions.iter().map(|field| text(parameters, field)).collect();
        for (mark, field) in [('#', "ExpressionAttributeNames"), (':', "ExpressionAttributeValues")] {
            let used: BTreeSet<&str> = said.iter().flat_map(|expression| marked(expression, mark)).collect();
            let defined: BTreeSet<&str> = parameters
                .get(field)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            // DynamoDB refuses both what is missing and what is left over.
            for name in used.symmetric_difference(&defined) {
                report.add(task.name, format!("{name} is used but not in {field}, or the other way round"));
            }
        }
    }
}

fn marked(expression: &str, mark: char) -> Vec<&str> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '#' || letter == ':';
    expression.split(|letter| !is_word(letter)).filter(|word| word.starts_with(mark)).collect()
}

pub(super) fn status_writes(subject: &Subject<'_>, report: &mut Report) {
    let terminal: Vec<&str> =
        ExecutionStatus::ALL.iter().filter(|status| status.is_terminal()).map(|status| status.as_str()).collect();
    for (task, parameters) in table_calls(subject).filter(|(task, _)| is_write(task)) {
        let table = subject.contract.table(text(parameters, "TableName"));
        if table.is_none_or(|table| text(table, "key") != "executionHistory") {
            continue;
        }
        let values = parameters.get("ExpressionAttributeValues").and_then(Value::as_object);
        let expressions =
            format!("{}, {}", text(parameters, "UpdateExpression"), text(parameters, "ConditionExpression"));
        for (name, value) in values.into_iter().flatten() {
            // Neither written nor accepted as the state before: only finalize ends a run, and ended is ended. A status
            // inside another attribute (`#cleanup.#status`) is not the execution's.
            let elsewhere = format!(".#status = {name}");
            let about_the_run = expressions.replace(&elsewhere, "").contains(name.as_str());
            if terminal.contains(&text(value, "S")) && about_the_run {
                report.add(task.name, format!("{name} is {}, which is finalize's alone", text(value, "S")));
            }
        }
    }
}

pub(super) fn event_contract(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks().filter(|task| task.is_announcement()) {
        let entries = task.body.pointer("/Parameters/Entries").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            if text(entry, "Source") != subject.contract.event_source() {
                report.add(task.name, format!("sends events from {:?}", text(entry, "Source")));
            }
            if !subject.contract.event_types().contains(text(entry, "DetailType")) {
                report.add(task.name, format!("sends {:?}, which no rule waits for", text(entry, "DetailType")));
            }
        }
    }
}

fn table_calls<'s, 'a>(subject: &'s Subject<'a>) -> impl Iterator<Item = (&'s State<'a>, &'a Value)> {
    let tasks = subject.machine.tasks().filter(|task| task.text("Resource").contains(":dynamodb:"));
    tasks.filter_map(|task| Some((task, task.get("Parameters")?)))
}

fn is_read(task: &State<'_>) -> bool {
    [":query", ":getItem", ":scan", ":batchGetItem"].iter().any(|call| task.text("Resource").ends_with(call))
}

fn is_write(task: &State<'_>) -> bool {
    task.text("Resource").contains(":updateItem")
}
