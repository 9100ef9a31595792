//! A view of an ASL definition: states, what kind they are, where they lead. It accepts anything; what is malformed shows
//! as something missing, and a rule says so.

use super::contract::{text, texts};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A definition with its states by name.
#[derive(Debug)]
pub struct Machine<'a> {
    pub definition: &'a Value,
    pub states: BTreeMap<&'a str, State<'a>>,
}

/// One state.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    pub name: &'a str,
    pub body: &'a Value,
}

/// Why a state leads to another.
#[derive(Debug, Clone, Copy)]
pub enum Via<'a> {
    Next,
    /// A branch of a Choice, with its condition.
    Branch(&'a Value),
    Default,
    /// A catcher.
    Catch(&'a Value),
}

/// A transition.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub via: Via<'a>,
}

impl<'a> Machine<'a> {
    /// The view of a definition.
    pub fn new(definition: &'a Value) -> Self {
        let states = definition.get("States").and_then(Value::as_object).into_iter().flatten();
        Self { definition, states: states.map(|(name, body)| (name.as_str(), State { name, body })).collect() }
    }

    pub fn start(&self) -> &'a str {
        text(self.definition, "StartAt")
    }

    /// Every transition of every state.
    pub fn edges(&self) -> Vec<Edge<'a>> {
        self.states.values().flat_map(|state| state.edges()).collect()
    }

    /// IAM actions the machine's own integrations need, sorted.
    pub fn aws_actions(&self) -> BTreeSet<String> {
        self.tasks().filter_map(|task| iam_action(task.text("Resource"))).collect()
    }

    pub(crate) fn tasks(&self) -> impl Iterator<Item = &State<'a>> {
        self.states.values().filter(|state| state.is("Task"))
    }
}

impl<'a> State<'a> {
    pub fn kind(&self) -> &'a str {
        text(self.body, "Type")
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind() == kind
    }

    pub fn has(&self, field: &str) -> bool {
        self.body.get(field).is_some()
    }

    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.body.get(field)
    }

    pub fn text(&self, field: &str) -> &'a str {
        text(self.body, field)
    }

    pub fn number(&self, field: &str) -> Option<u64> {
        self.body.get(field).and_then(Value::as_u64)
    }

    pub fn list(&self, field: &str) -> &'a [Value] {
        self.body.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A gate: Step Functions waits until somebody sends the task token back.
    pub fn is_gate(&self) -> bool {
        self.text("Resource").ends_with(".waitForTaskToken")
    }

    pub(crate) fn is_announcement(&self) -> bool {
        self.text("Resource").strip_prefix(INTEGRATION) == Some("events:putEvents")
    }

    /// The end of an execution.
    pub fn is_terminal(&self) -> bool {
        self.is("Succeed") || self.is("Fail") || self.has("End")
    }

    /// Names in the ErrorEquals of every retrier or catcher of `field`.
    pub(crate) fn errors(&self, field: &str) -> Vec<&'a str> {
        self.list(field).iter().flat_map(|handler| texts(handler, "ErrorEquals")).collect()
    }

    /// Where the state leads, in the order it is written.
    pub fn edges(&self) -> Vec<Edge<'a>> {
        let from = self.name;
        let mut edges = Vec::new();
        let mut add = |value: &'a Value, field: &str, via: Via<'a>| {
            if let Some(to) = value.get(field).and_then(Value::as_str) {
                edges.push(Edge { from, to, via });
            }
        };
        for branch in self.list("Choices") {
            add(branch, "Next", Via::Branch(branch));
        }
        add(self.body, "Next", Via::Next);
        add(self.body, "Default", Via::Default);
        for catcher in self.list("Catch") {
            add(catcher, "Next", Via::Catch(catcher));
        }
        edges
    }
}

/// What the Resource of a service integration begins with. With the wrong partition an execution ends at run time with
/// States.Runtime, which nothing catches ("The resource belongs to a different partition from the running execution").
pub(crate) const INTEGRATION: &str = "arn:${Partition}:states:::";

/// `arn:…:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken` -> `dynamodb:UpdateItem`. None for an activity.
fn iam_action(resource: &str) -> Option<String> {
    let call = resource.strip_prefix(INTEGRATION)?;
    let call = call.strip_prefix("aws-sdk:").unwrap_or(call);
    let (service, action) = call.split('.').next()?.split_once(':')?;
    // The SDK names the client, IAM the service.
    let service = if service == "sfn" { "states" } else { service };
    let (first, rest) = action.split_at_checked(1)?;
    Some(format!("{service}:{}{rest}", first.to_ascii_uppercase()))
}

/// Every text below a value, with the key it stands under.
pub(crate) fn strings(value: &Value) -> Vec<(&str, &str)> {
    fn walk<'a>(key: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
        match value {
            Value::String(text) => found.push((key, text)),
            Value::Array(items) => items.iter().for_each(|item| walk(key, item, found)),
            Value::Object(fields) => fields.iter().for_each(|(key, field)| walk(key, field, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found
}
