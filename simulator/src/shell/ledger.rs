//! Each kind of call of a named caller, once, as a line of JSON: what IAM would be asked. The lines have the form of
//! `local/engine/access.py`, which writes those of every other service; `tests/rights` evaluates both.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tidegate_simulator::{Operation, Scope};

/// The ledger, if one is wanted.
pub(crate) struct Ledger {
    lines: Option<Mutex<(BTreeSet<String>, File)>>,
}

impl Ledger {
    pub(crate) fn new(path: Option<&Path>) -> std::io::Result<Self> {
        let Some(path) = path else { return Ok(Self { lines: None }) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { lines: Some(Mutex::new((BTreeSet::new(), file))) })
    }

    /// Notes a call of whoever names an application in the user agent.
    pub(crate) fn note(&self, user_agent: &str, operation: Operation, scope: &Scope, input: &Value) {
        let (Some(lines), Some(application)) = (&self.lines, application(user_agent)) else { return };
        let mut guard = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, file) = &mut *guard;
        let tags = input.get("tags").and_then(Value::as_object).filter(|tags| !tags.is_empty());
        let kind = format!("{application} {} {} {} {}", operation.name(), scope.account, scope.region, tags.is_some());
        if !seen.insert(kind) {
            return;
        }
        for line in lines_of(application, operation, scope, input, tags) {
            if let Err(error) = writeln!(file, "{line}") {
                tracing::error!(%error, "the ledger of calls cannot be written");
            }
        }
    }
}

/// `app/<name>`, as the SDKs put AWS_SDK_UA_APP_ID into the user agent.
fn application(user_agent: &str) -> Option<&str> {
    user_agent.split_ascii_whitespace().find_map(|part| part.strip_prefix("app/"))
}

fn lines_of(
    application: &str,
    operation: Operation,
    scope: &Scope,
    input: &Value,
    tags: Option<&Map<String, Value>>,
) -> Vec<Value> {
    let arn = |resource: String| format!("arn:aws:drs:{}:{}:{resource}", scope.region, scope.account);
    let line = |action: &str, resource: String, keys: Value| {
        let caller = format!("application/{application}");
        json!({"caller": caller, "account": scope.account, "action": format!("drs:{action}"), "resource": resource,
               "region": scope.region, "keys": keys, "denied": false})
    };
    let request_tags = || {
        let mut keys: Map<String, Value> =
            tags.into_iter().flatten().map(|(name, value)| (format!("aws:RequestTag/{name}"), value.clone())).collect();
        if let Some(tags) = tags {
            keys.insert("aws:TagKeys".to_owned(), tags.keys().cloned().collect());
        }
        keys
    };
    let mut lines = vec![line(
        operation.name(),
        resource(operation, input).map_or_else(|| "*".to_owned(), arn),
        Value::Object(request_tags()),
    )];
    if operation == Operation::StartRecovery && tags.is_some() {
        let mut keys = request_tags();
        keys.insert("drs:CreateAction".to_owned(), json!("StartRecovery"));
        lines.push(line("TagResource", arn("job/drsjob-00000000000000001".to_owned()), Value::Object(keys)));
    }
    lines
}

/// The resource the Service Authorization Reference names for an operation; none for those that are evaluated on `*`.
fn resource(operation: Operation, input: &Value) -> Option<String> {
    let id =
        |kind: &str, pointer: &str| input.pointer(pointer).and_then(Value::as_str).map(|id| format!("{kind}/{id}"));
    match operation {
        Operation::StartRecovery => id("source-server", "/sourceServers/0/sourceServerID"),
        Operation::TerminateRecoveryInstances => id("recovery-instance", "/recoveryInstanceIDs/0"),
        Operation::GetLaunchConfiguration => id("source-server", "/sourceServerID"),
        // Launch actions are those of one server, named so.
        _ => id("source-server", "/resourceId"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scope() -> Scope {
        Scope { account: "111122223333".to_owned(), region: "us-west-2".to_owned() }
    }

    #[test]
    fn the_application_is_what_the_sdk_says() {
        let agent = "aws-sdk-rust/1.10 ua/2.1 api/drs/1.128 os/linux lang/rust/1.95 m/E app/worker-task";
        assert_eq!(application(agent), Some("worker-task"));
        assert_eq!(application("aws-cli/2.1 wrapp/x"), None);
    }

    #[test]
    fn a_recovery_with_tags_tags_its_job() {
        let input = json!({"sourceServers": [{"sourceServerID": "s-1"}], "tags": {"a": "b"}});
        let tags = input["tags"].as_object();
        let lines = lines_of("w", Operation::StartRecovery, &scope(), &input, tags);
        assert_eq!(lines[0]["resource"], "arn:aws:drs:us-west-2:111122223333:source-server/s-1");
        assert_eq!(lines[0]["keys"]["aws:RequestTag/a"], "b");
        assert_eq!(
            (&lines[1]["action"], &lines[1]["keys"]["drs:CreateAction"]),
            (&json!("drs:TagResource"), &json!("StartRecovery"))
        );
        assert_eq!(lines_of("w", Operation::DescribeJobs, &scope(), &json!({}), None)[0]["resource"], "*");
    }
}
