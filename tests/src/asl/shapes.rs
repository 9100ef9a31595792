//! What the state's data certainly holds when a state begins, on every path that leads there.
//!
//! A path that leads nowhere ends the execution with States.Runtime, which no Retry and no Catch takes: the record stays
//! behind, locked and POLLING (lessons c-03, c-04, c-09). So the shapes are carried along the graph until they stand still:
//! an activity's output has the fields its schema requires, a Pass has the fields it writes, where two paths meet only what
//! both have is certain, and of what an operator sends nothing is known.

use super::Subject;
use super::contract::Contract;
use super::expression;
use super::machine::{State, Via};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is certain of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It is there; nothing is known of what is in it.
    Something,
    /// It has at least these fields.
    Fields(BTreeMap<String, Shape>),
    /// It is a list of such items.
    List(Box<Shape>),
}

impl Shape {
    fn at(&self, fields: &[&str]) -> Option<&Self> {
        match fields.split_first() {
            None => Some(self),
            Some((first, rest)) => match self {
                Self::Fields(known) => known.get(*first)?.at(rest),
                Self::Something | Self::List(_) => None,
            },
        }
    }

    fn put(&mut self, fields: &[&str], value: Self) {
        let Some((first, rest)) = fields.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Fields(_)) {
            *self = Self::Fields(BTreeMap::new());
        }
        if let Self::Fields(known) = self {
            known.entry((*first).to_owned()).or_insert(Self::Something).put(rest, value);
        }
    }

    /// What both have.
    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Fields(one), Self::Fields(two)) => {
                let both = one.iter().filter_map(|(name, shape)| Some((name.clone(), shape.meet(two.get(name)?))));
                Self::Fields(both.collect())
            }
            (Self::List(one), Self::List(two)) => Self::List(Box::new(one.meet(two))),
            _ => Self::Something,
        }
    }

    fn of_schema(schema: &Value, root: &Value) -> Self {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return target.map_or(Self::Something, |target| Self::of_schema(target, root));
        }
        if let Some(items) = schema.get("items") {
            return Self::List(Box::new(Self::of_schema(items, root)));
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Self::Something;
        };
        let required: BTreeSet<&str> = super::contract::texts(schema, "required").into_iter().collect();
        let sure = properties.iter().filter(|(name, _)| required.contains(name.as_str()));
        Self::Fields(sure.map(|(name, field)| (name.clone(), Self::of_schema(field, root))).collect())
    }

    /// The shape of a literal, or of a payload template over this input.
    fn of_template(template: &Value, input: &Self) -> Self {
        match template {
            Value::Object(fields) => Self::Fields(
                fields
                    .iter()
                    .map(|(key, value)| match (key.strip_suffix(".$"), value.as_str()) {
                        (Some(name), Some(text)) => (name.to_owned(), Self::of_expression(text, input)),
                        _ => (key.clone(), Self::of_template(value, input)),
                    })
                    .collect(),
            ),
            Value::Array(items) => {
                let shapes = items.iter().map(|item| Self::of_template(item, input));
                Self::List(Box::new(shapes.reduce(|one, two| one.meet(&two)).unwrap_or(Self::Something)))
            }
            _ => Self::Something,
        }
    }

    fn of_expression(text: &str, input: &Self) -> Self {
        let read = expression::read(text);
        let first = read.paths.first().and_then(|path| expression::fields(path)).and_then(|fields| input.at(&fields));
        match (read.functions.first().map(String::as_str), first) {
            (None, Some(shape)) => shape.clone(),
            (Some("States.ArrayGetItem"), Some(Self::List(item))) => (**item).clone(),
            _ => Self::Something,
        }
    }
}

/// The certain shape of every reachable state's input.
pub(crate) fn inputs<'a>(subject: &Subject<'a>) -> BTreeMap<&'a str, Shape> {
    let (machine, contract) = (&subject.machine, subject.contract);
    let mut inputs = BTreeMap::from([(machine.start(), of_execution_input(subject))]);
    let mut open = vec![machine.start()];
    while let Some(name) = open.pop() {
        let (Some(state), Some(input)) = (machine.states.get(name), inputs.get(name).cloned()) else {
            continue;
        };
        for edge in state.edges() {
            let output = match edge.via {
                Via::Next => after(state, &input, contract),
                Via::Branch(_) | Via::Default => input.clone(),
                Via::Catch(catcher) => {
                    // An error output has Error; Cause is usual, not promised (ASL specification, "Error Output").
                    let error = Shape::Fields(BTreeMap::from([("Error".to_owned(), Shape::Something)]));
                    stored(catcher.get("ResultPath"), &input, error)
                }
            };
            let met = inputs.get(edge.to).map_or_else(|| output.clone(), |known| known.meet(&output));
            // Shapes only ever lose fields, so this ends.
            if inputs.get(edge.to) != Some(&met) {
                inputs.insert(edge.to, met);
                open.push(edge.to);
            }
        }
    }
    inputs
}

/// Of what a person types nothing is certain; of an event, what its schema requires.
fn of_execution_input(subject: &Subject<'_>) -> Shape {
    let contract = subject.contract;
    let machine = contract.machine(subject.name).filter(|_| contract.is_started_by_rule(subject.name));
    let schema = machine.and_then(|machine| contract.schema(machine, "inputSchema"));
    schema.map_or(Shape::Something, |schema| Shape::of_schema(schema, schema))
}

fn after(state: &State<'_>, input: &Shape, contract: &Contract) -> Shape {
    let result = match state.kind() {
        "Pass" => match (state.get("Parameters"), state.get("Result")) {
            (Some(template), _) => Shape::of_template(template, input),
            (None, Some(literal)) => Shape::of_template(literal, &Shape::Something),
            (None, None) => return input.clone(),
        },
        "Task" => result_of_task(state, contract),
        _ => return input.clone(),
    };
    if state.is("Pass") && !state.has("ResultPath") {
        return result;
    }
    stored(state.get("ResultPath"), input, result)
}

fn result_of_task(state: &State<'_>, contract: &Contract) -> Shape {
    if let Some(selector) = state.get("ResultSelector") {
        return Shape::of_template(selector, &Shape::Something);
    }
    let schema =
        contract.activity(state.text("Resource")).and_then(|activity| contract.schema(activity, "outputSchema"));
    schema.map_or(Shape::Something, |schema| Shape::of_schema(schema, schema))
}

/// The input with a result at ResultPath. A missing one and `$` are taken for null here: `result-path` reports them, and one
/// fault shall give one finding.
fn stored(path: Option<&Value>, input: &Shape, result: Shape) -> Shape {
    let mut output = input.clone();
    let fields = path.and_then(Value::as_str).and_then(expression::fields);
    if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
        output.put(&fields, result);
    }
    output
}

/// Every path the state reads from its input without knowing that it is there.
pub(crate) fn uncertain_reads(state: &State<'_>, input: &Shape) -> Vec<String> {
    let mut reads = Vec::new();
    for field in [
        "SecondsPath",
        "TimeoutSecondsPath",
        "HeartbeatSecondsPath",
        "ErrorPath",
        "CausePath",
        "InputPath",
        "OutputPath",
    ] {
        reads.extend(expression::read(state.text(field)).paths);
    }
    if let Some(template) = state.get("Parameters") {
        let expressions = super::machine::strings(template).into_iter().filter(|(key, _)| key.ends_with(".$"));
        reads.extend(expressions.flat_map(|(_, text)| expression::read(text).paths));
    }
    for branch in state.list("Choices") {
        condition_reads(branch, &mut BTreeSet::new(), &mut reads);
    }
    reads.retain(|path| expression::fields(path).is_some_and(|fields| input.at(&fields).is_none()));
    reads
}

/// What a condition reads; after `IsPresent` in the same And, a path is known to be there.
fn condition_reads(condition: &Value, present: &mut BTreeSet<String>, reads: &mut Vec<String>) {
    for operand in condition.get("And").and_then(Value::as_array).into_iter().flatten() {
        condition_reads(operand, present, reads);
    }
    for operand in condition.get("Or").and_then(Value::as_array).into_iter().flatten() {
        condition_reads(operand, &mut present.clone(), reads);
    }
    if let Some(operand) = condition.get("Not") {
        condition_reads(operand, &mut present.clone(), reads);
    }
    let Some(variable) = condition.get("Variable").and_then(Value::as_str) else {
        return;
    };
    if let Some(is_present) = condition.get("IsPresent") {
        if is_present == &Value::Bool(true) {
            present.insert(variable.to_owned());
        }
        return;
    }
    if !present.contains(variable) {
        reads.push(variable.to_owned());
    }
    let compared = condition.as_object().into_iter().flatten().filter(|(key, _)| key.ends_with("Path"));
    reads.extend(compared.filter_map(|(_, path)| path.as_str()).map(str::to_owned));
}
