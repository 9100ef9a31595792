//! Retry and Catch. What is not caught skips Finalize, and the record says POLLING for ever (lessons c-05, c-06).

use super::time::activities;
use crate::asl::contract::texts;
use crate::asl::{Report, State, Subject};
use std::collections::BTreeSet;

/// Names of the States language that can occur in our Tasks and that Retry and Catch see. Not among them: States.Runtime, which
/// nothing takes, so naming it would promise what does not happen. States.DataLimitExceeded is named where it matters: the guide
/// says that States.ALL does not take it, and AWS was recorded to do so.
const STATES_ERRORS: &[&str] = &[
    "States.ALL",
    "States.DataLimitExceeded",
    "States.HeartbeatTimeout",
    "States.Timeout",
    "States.TaskFailed",
    "States.Permissions",
];

/// What DynamoDB calls an error that is not in its model: Step Functions says `DynamoDb.DynamoDbException` instead (recorded).
const UNMODELLED: &[&str] = &["DynamoDb.ValidationException"];

/// Error prefixes by what a Resource calls: SDK integrations use the SDK's service name.
const SERVICE_ERRORS: &[(&str, &str)] =
    &[(":aws-sdk:dynamodb:", "DynamoDb."), (":aws-sdk:sfn:", "Sfn."), (":events:", "EventBridge.")];

pub(super) fn retry_bounded(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        for retrier in task.list("Retry") {
            for field in ["MaxAttempts", "MaxDelaySeconds"] {
                if retrier.get(field).is_none() {
                    report.add(task.name, format!("a retrier for {:?} has no {field}", texts(retrier, "ErrorEquals")));
                }
            }
            if retrier.get("JitterStrategy").and_then(|jitter| jitter.as_str()) != Some("FULL") {
                report.add(task.name, format!("a retrier for {:?} has no full jitter", texts(retrier, "ErrorEquals")));
            }
        }
    }
}

pub(super) fn retry_present(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks().filter(|task| !task.is_gate() && task.list("Retry").is_empty()) {
        report.add(task.name, "has no Retry: one dropped connection would decide");
    }
}

pub(super) fn gate_retries_its_write(subject: &Subject<'_>, report: &mut Report) {
    for gate in subject.machine.tasks().filter(|task| task.is_gate()) {
        for error in gate.errors("Retry").into_iter().filter(|error| !error.starts_with("DynamoDb.")) {
            report.add(gate.name, format!("is retried after {error}, so that a person's no is asked for again"));
        }
    }
}

pub(super) fn retry_unmodelled(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks().filter(|task| task.text("Resource").contains(":aws-sdk:dynamodb:")) {
        // Throttling and 5xx may come under it, depending on the model Step Functions' SDK was built from.
        let named = task.errors("Retry");
        if (task.is_gate() || !named.is_empty()) && !named.contains(&"DynamoDb.DynamoDbException") {
            report.add(task.name, "is not retried after DynamoDb.DynamoDbException");
        }
    }
}

pub(super) fn retry_both_timeouts(subject: &Subject<'_>, report: &mut Report) {
    for (task, _) in activities(subject) {
        let named = task.errors("Retry");
        // States.Timeout also matches a missed heartbeat on AWS, but not everywhere: name both.
        for error in ["States.HeartbeatTimeout", "States.Timeout"] {
            if !named.is_empty() && !named.contains(&error) {
                report.add(task.name, format!("is not retried after {error}"));
            }
        }
    }
}

pub(super) fn retry_failed_entry(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks().filter(|task| task.is_announcement()) {
        // PutEvents answers 200 with a refused entry; the optimized integration turns that into this error.
        if !task.errors("Retry").contains(&"EventBridge.FailedEntry") {
            report.add(task.name, "is not retried after EventBridge.FailedEntry");
        }
    }
}

pub(super) fn catch_all(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        if !task.list("Catch").last().is_some_and(|last| texts(last, "ErrorEquals").contains(&"States.ALL")) {
            report.add(task.name, "does not end its Catch with States.ALL");
        }
    }
}

pub(super) fn all_alone_and_last(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        for field in ["Retry", "Catch"] {
            let handlers = task.list(field);
            for (index, handler) in handlers.iter().enumerate() {
                let errors = texts(handler, "ErrorEquals");
                if errors.contains(&"States.ALL") && (errors.len() > 1 || index + 1 < handlers.len()) {
                    report.add(task.name, format!("States.ALL must stand alone and last in its {field}"));
                }
            }
        }
    }
}

pub(super) fn error_known(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        let named: BTreeSet<&str> = task.errors("Retry").into_iter().chain(task.errors("Catch")).collect();
        for error in named.into_iter().filter(|error| !is_known(subject, task, error)) {
            report.add(task.name, format!("names {error:?}, which cannot occur here"));
        }
    }
}

fn is_known(subject: &Subject<'_>, task: &State<'_>, error: &str) -> bool {
    let resource = task.text("Resource");
    let of_service = |&(service, prefix): &(&str, &str)| {
        resource.contains(service)
            && !UNMODELLED.contains(&error)
            && error
                .strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(char::is_alphanumeric))
    };
    STATES_ERRORS.contains(&error)
        || (subject.contract.activity(resource).is_some() && subject.contract.errors().contains(error))
        || SERVICE_ERRORS.iter().any(of_service)
}

pub(super) fn error_named(subject: &Subject<'_>, report: &mut Report) {
    for (task, activity) in activities(subject) {
        let mut named = task.errors("Retry");
        named.extend(task.errors("Catch"));
        // States.ALL would take it too. But what to do about each error is a decision, and it has to be made.
        for error in texts(activity, "errors").into_iter().filter(|error| !named.contains(error)) {
            if !task.list("Retry").is_empty() {
                report.add(task.name, format!("may answer {error}, which neither Retry nor Catch names"));
            }
        }
    }
}

pub(super) fn error_once(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        for field in ["Retry", "Catch"] {
            let mut seen = BTreeSet::new();
            for error in task.errors(field).into_iter().filter(|error| !seen.insert(*error)) {
                report.add(task.name, format!("names {error} twice in its {field}; only the first counts"));
            }
        }
    }
}
