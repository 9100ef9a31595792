//! The definition as a document and as a graph.

use crate::asl::contract::text;
use crate::asl::graph;
use crate::asl::{Report, Subject};

pub(super) fn comment(subject: &Subject<'_>, report: &mut Report) {
    if text(subject.machine.definition, "Comment").trim().is_empty() {
        report.add("", "has no Comment");
    }
    for state in subject.machine.states.values().filter(|state| state.text("Comment").trim().is_empty()) {
        report.add(state.name, "has no Comment: say what is true when it ends");
    }
}

pub(super) fn query_language(subject: &Subject<'_>, report: &mut Report) {
    if text(subject.machine.definition, "QueryLanguage") != "JSONPath" {
        report.add("", "does not declare QueryLanguage JSONPath");
    }
    for state in subject.machine.states.values().filter(|state| state.has("QueryLanguage")) {
        report.add(state.name, "declares a QueryLanguage of its own");
    }
}

pub(super) fn transition_exists(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    if !machine.states.contains_key(machine.start()) {
        report.add("", format!("StartAt names {:?}, which is no state", machine.start()));
    }
    for edge in machine.edges() {
        if !machine.states.contains_key(edge.to) {
            report.add(edge.from, format!("leads to {:?}, which is no state", edge.to));
        }
    }
    for state in
        machine.states.values().filter(|state| !state.is_terminal() && !state.is("Choice") && !state.has("Next"))
    {
        report.add(state.name, "leads nowhere");
    }
}

pub(super) fn reachable(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let seen = graph::reachable(machine.start(), &machine.edges(), |_| true);
    for name in machine.states.keys().filter(|name| !seen.contains(*name)) {
        report.add(name, "cannot be reached");
    }
}

pub(super) fn no_end_field(subject: &Subject<'_>, report: &mut Report) {
    for state in subject.machine.states.values().filter(|state| state.has("End")) {
        report.add(state.name, "ends the execution as a success with End; lead it to Outcome");
    }
}
