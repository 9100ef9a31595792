//! The generated part of `statemachine/README.md`: each machine as two graphs and one table, from its definition alone, and
//! the rules they are held against.

use crate::asl::{Contract, Edge, INTEGRATION, Machine, RULES, State, Via};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The graphs and the table for a definition's text. States come in the order they are written, which is the order the
/// author tells the story in (a parsed JSON object would have lost it).
pub fn render(name: &str, text: &str, definition: &Value, contract: &Contract) -> String {
    let machine = Machine::new(definition);
    let mut order: Vec<&str> = machine.states.keys().copied().collect();
    order.sort_by_key(|name| text.find(&format!("\n    \"{name}\": {{")));
    let ending = after_finalize(&machine, contract);
    let mut page = format!("## `{name}.asl.json`\n\n");
    let before = graph(&machine, contract, &order, |state| !ending.contains(state));
    section(&mut page, &format!("{name}: from the start to Finalize"), &before);
    let after = graph(&machine, contract, &order, |state| ending.contains(state));
    section(&mut page, &format!("{name}: from Finalize on"), &after);
    section(&mut page, &format!("{name}: every state"), &table(&machine, contract, &order));
    page
}

/// What is checked of every machine.
pub fn rules() -> String {
    let lines: Vec<String> = RULES.iter().map(|rule| format!("- `{}`: {}.\n", rule.id, rule.says)).collect();
    format!(
        "## What is checked of them\n\n`tests/rust/asl_rules.rs` holds both machines against these rules, and shows for each a \
         fault it finds.\n\n{}\n",
        lines.concat()
    )
}

fn section(page: &mut String, title: &str, body: &str) {
    // Writing into a String cannot fail.
    let _ = write!(page, "### {title}\n\n{body}\n");
}

/// Finalize and everything after it.
fn after_finalize<'a>(machine: &Machine<'a>, contract: &Contract) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&'a str> = machine
        .states
        .values()
        .filter(|state| {
            contract.activity_name(state.text("Resource")).is_some_and(|name| name.starts_with("finalize-"))
        })
        .map(|state| state.name)
        .collect();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(machine.states.get(name).into_iter().flat_map(|state| state.edges()).map(|edge| edge.to));
        }
    }
    seen
}

fn graph<'a>(machine: &Machine<'a>, contract: &Contract, order: &[&'a str], inside: impl Fn(&str) -> bool) -> String {
    let mut drawn = BTreeSet::new();
    let mut arrows = String::new();
    for state in order.iter().filter(|name| inside(name)).filter_map(|name| machine.states.get(name)) {
        let edges: Vec<Edge<'a>> = state.edges().into_iter().filter(|edge| is_drawn(machine, edge)).collect();
        let mut targets: Vec<&str> = Vec::new();
        for edge in &edges {
            if !targets.contains(&edge.to) {
                targets.push(edge.to);
            }
        }
        for target in targets {
            let parallel: Vec<&Edge<'a>> = edges.iter().filter(|edge| edge.to == target).collect();
            let planned: Vec<&Edge<'a>> =
                parallel.iter().copied().filter(|edge| !matches!(edge.via, Via::Catch(_))).collect();
            let arrow = if planned.is_empty() { "-.->" } else { "-->" };
            let labels: Vec<String> = (if planned.is_empty() { &parallel } else { &planned })
                .iter()
                .filter_map(|edge| label(state, edge))
                .collect();
            let label = if labels.is_empty() { String::new() } else { format!("|\"{}\"|", labels.join(", or ")) };
            let _ = writeln!(arrows, "  {} {arrow}{label} {target}", state.name);
            drawn.extend([state.name, target]);
        }
    }
    let mut text = "```mermaid\nflowchart TD\n".to_owned();
    for state in order.iter().filter(|name| drawn.contains(*name)).filter_map(|name| machine.states.get(name)) {
        let (open, close) = brackets(state, contract);
        let _ = writeln!(text, "  {name}{open}\"{name}\"{close}", name = state.name);
    }
    text + &arrows + "```\n"
}

/// Left out of the graphs, and told in the table: the arrows to the endings of a fault, which leave from nearly everywhere.
fn is_drawn(machine: &Machine<'_>, edge: &Edge<'_>) -> bool {
    let is_fault = machine.states.get(edge.to).is_some_and(|target| {
        target.is("Fail") || target.body.pointer("/Parameters/reason").and_then(Value::as_str) == Some("FAULT")
    });
    match edge.via {
        Via::Next | Via::Branch(_) => true,
        Via::Default | Via::Catch(_) => !is_fault,
    }
}

fn brackets(state: &State<'_>, contract: &Contract) -> (&'static str, &'static str) {
    match state.kind() {
        "Choice" => ("{", "}"),
        "Wait" => ("([", "])"),
        "Succeed" | "Fail" => ("(((", ")))"),
        "Task" if state.is_gate() => ("{{", "}}"),
        "Task" if contract.activity_name(state.text("Resource")).is_some() => ("[[", "]]"),
        _ => ("[", "]"),
    }
}

fn label(state: &State<'_>, edge: &Edge<'_>) -> Option<String> {
    match edge.via {
        Via::Next => None,
        Via::Branch(branch) => Some(condition(branch, false)),
        Via::Default => Some("anything else".to_owned()),
        Via::Catch(catcher) => {
            let errors: Vec<&str> = catcher
                .get("ErrorEquals")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            Some(match errors.as_slice() {
                ["States.ALL"] if state.list("Catch").len() == 1 => "error".to_owned(),
                ["States.ALL"] => "any other error".to_owned(),
                [one] => (*one).to_owned(),
                [first, ..] => format!("{}...", first.split('.').next().unwrap_or_default()),
                [] => String::new(),
            })
        }
    }
}

/// A condition in words; `$.cursor.wave.onFailure` is told by its last name.
fn condition(value: &Value, inner: bool) -> String {
    for (key, word) in [("And", " and "), ("Or", " or ")] {
        if let Some(operands) = value.get(key).and_then(Value::as_array) {
            // IsPresent guards the operand beside it and says nothing of its own.
            let told = operands.iter().filter(|operand| operand.get("IsPresent").is_none());
            let words: Vec<String> = told.map(|operand| condition(operand, true)).collect();
            let joined = words.join(word);
            return if inner && words.len() > 1 { format!("({joined})") } else { joined };
        }
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let variable = value.get("Variable").and_then(Value::as_str).map(last).unwrap_or_default();
    let comparison = value
        .as_object()
        .into_iter()
        .flatten()
        .find(|(key, _)| !matches!(key.as_str(), "Variable" | "Next" | "Comment"));
    let Some((operator, operand)) = comparison else {
        return variable;
    };
    let operand = match operand.as_str() {
        Some(path) if path.starts_with("$.") => last(path),
        Some(text) => text.to_owned(),
        None => operand.to_string(),
    };
    let word = match operator.trim_end_matches("Path") {
        "NumericLessThan" => "below",
        "NumericGreaterThan" => "above",
        _ => "=",
    };
    format!("{variable} {word} {operand}")
}

fn table(machine: &Machine<'_>, contract: &Contract, order: &[&str]) -> String {
    let mut text =
        "| state | is | what holds when it ends, or what it asks | goes on to | in trouble |\n|---|---|---|---|---|\n"
            .to_owned();
    for state in order.iter().filter_map(|name| machine.states.get(name)) {
        let (trouble, on): (Vec<Edge<'_>>, Vec<Edge<'_>>) =
            state.edges().into_iter().partition(|edge| matches!(edge.via, Via::Catch(_) | Via::Default));
        let comment = state.text("Comment").replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {comment} | {} | {} |",
            state.name,
            kind(state, contract),
            names(&on),
            names(&trouble)
        );
    }
    text
}

fn names(edges: &[Edge<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in edges.iter().map(|edge| format!("`{}`", edge.to)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn kind(state: &State<'_>, contract: &Contract) -> String {
    let resource = state.text("Resource");
    match state.kind() {
        "Task" if state.is_gate() => "gate".to_owned(),
        "Task" => match contract.activity_name(resource) {
            Some(name) => format!("activity `{name}`"),
            None => format!(
                "call `{}`",
                resource
                    .rsplit_once("aws-sdk:")
                    .map_or_else(|| resource.trim_start_matches(INTEGRATION), |(_, call)| call)
            ),
        },
        "Pass" => "step".to_owned(),
        "Succeed" => "success".to_owned(),
        "Fail" => "failure".to_owned(),
        other => other.to_lowercase(),
    }
}
