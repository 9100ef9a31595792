//! The part of the contract the rules need, as the generated documents say it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `contract.json` and the schemas. The fields are public so that a test can bend them.
#[derive(Debug, Clone)]
pub struct Contract {
    /// `statemachine/contract/contract.json`.
    pub document: Value,
    /// `schemas/poll-wave-v1.input.schema.json` -> schema.
    pub schemas: BTreeMap<String, Value>,
}

impl Contract {
    /// The contract as the code states it now.
    pub fn shipped() -> Self {
        let mut files: BTreeMap<String, Value> = tidegate_contract::document::files()
            .into_iter()
            .map(|(path, text)| (path, serde_json::from_str(&text).unwrap_or_default()))
            .collect();
        Self { document: files.remove("contract.json").unwrap_or_default(), schemas: files }
    }

    fn list(&self, field: &str) -> impl Iterator<Item = &Value> {
        self.document.get(field).and_then(Value::as_array).into_iter().flatten()
    }

    /// The activity behind a Task's Resource, which must be its placeholder.
    pub(crate) fn activity(&self, resource: &str) -> Option<&Value> {
        let placeholder = resource.strip_prefix("${")?.strip_suffix('}')?;
        self.list("activities").find(|activity| text(activity, "placeholder") == placeholder)
    }

    /// The name of the activity behind a Task's Resource.
    pub fn activity_name(&self, resource: &str) -> Option<&str> {
        self.activity(resource).map(|activity| text(activity, "name"))
    }

    /// The table behind a TableName, which must be its placeholder.
    pub(crate) fn table(&self, name: &str) -> Option<&Value> {
        let placeholder = name.strip_prefix("${")?.strip_suffix('}')?;
        self.list("tables").find(|table| text(table, "placeholder") == placeholder)
    }

    pub(crate) fn errors(&self) -> BTreeSet<&str> {
        self.list("errors").filter_map(Value::as_str).collect()
    }

    /// A state machine's entry.
    pub(crate) fn machine(&self, name: &str) -> Option<&Value> {
        self.list("stateMachines").find(|machine| text(machine, "name") == name)
    }

    /// Whether a rule starts this machine. AWS sends what it promises; what a person starts a machine with is anything.
    pub(crate) fn is_started_by_rule(&self, name: &str) -> bool {
        self.list("rules").any(|rule| text(rule, "starts") == name)
    }

    /// Placeholders a machine must use: its activities, and what is no table.
    pub(crate) fn placeholders_due(&self, name: &str) -> BTreeSet<&str> {
        let Some(machine) = self.machine(name) else {
            return BTreeSet::new();
        };
        let called = texts(machine, "activities");
        let activities = self.list("activities").filter(|activity| called.contains(&text(activity, "name")));
        activities.map(|activity| text(activity, "placeholder")).chain(texts(machine, "placeholders")).collect()
    }

    /// Placeholders a machine may use besides: the tables; some are read by workers only.
    pub(crate) fn placeholders_allowed(&self) -> BTreeSet<&str> {
        self.list("tables").map(|table| text(table, "placeholder")).collect()
    }

    pub(crate) fn event_source(&self) -> &str {
        self.document.pointer("/events/source").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn event_types(&self) -> BTreeSet<&str> {
        let types = self.document.pointer("/events/detailTypes").and_then(Value::as_array);
        types.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A schema an activity or machine names, by the field that names it.
    pub(crate) fn schema(&self, owner: &Value, field: &str) -> Option<&Value> {
        self.schemas.get(text(owner, field))
    }
}

/// A text field, empty when it is not there.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Every text of a list field.
pub(crate) fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
