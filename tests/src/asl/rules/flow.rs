//! Where the paths lead, and where they must not.

use crate::asl::contract::text;
use crate::asl::graph;
use crate::asl::{Edge, Machine, Report, State, Subject, Via};
use serde_json::Value;

/// Activities by the part they play here; a version at the end does not matter.
fn calls(subject: &Subject<'_>, state: &State<'_>, activity: &str) -> bool {
    let found = subject.contract.activity_name(state.text("Resource"));
    found.and_then(|name| name.strip_prefix(activity)).is_some_and(|rest| rest.starts_with("-v"))
}

pub(super) fn choice_default(subject: &Subject<'_>, report: &mut Report) {
    for choice in choices(&subject.machine).filter(|choice| !choice.has("Default")) {
        report.add(choice.name, "has no Default: an unknown value would end the execution past Finalize");
    }
}

/// A Default is taken for values nobody thought of, so it must not go on as if all were well. Four roles are allowed:
/// a Pass that ends the run as a FAULT, a Fail state, an announced failure, and going back to the gate that was answered
/// (a Pass on whose straight way a gate lies). And no other branch of the same Choice may lead there.
pub(super) fn default_role(subject: &Subject<'_>, report: &mut Report) {
    for choice in choices(&subject.machine) {
        let Some(target) = subject.machine.states.get(choice.text("Default")) else {
            continue;
        };
        let shared = choice.list("Choices").iter().any(|branch| text(branch, "Next") == target.name);
        if shared {
            report.add(choice.name, format!("Default and another branch both lead to {}", target.name));
        } else if !is_safe_default(&subject.machine, target) {
            report.add(choice.name, format!("Default leads to {}, as if all were well", target.name));
        }
    }
}

fn is_safe_default<'a>(machine: &Machine<'a>, target: &State<'a>) -> bool {
    let is_fault = target.is("Pass")
        && target.text("ResultPath") == "$.ending"
        && target.get("Parameters").is_some_and(|ending| text(ending, "reason") == "FAULT");
    let is_announced = target.is_announcement()
        && target
            .body
            .pointer("/Parameters/Entries/0/DetailType")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.ends_with("Failed"));
    is_fault || target.is("Fail") || is_announced || (target.is("Pass") && leads_straight_to_gate(machine, target))
}

fn leads_straight_to_gate<'a>(machine: &Machine<'a>, from: &State<'a>) -> bool {
    let mut state = *from;
    // A straight way is never longer than the machine.
    for _ in 0..machine.states.len() {
        if state.is_gate() {
            return true;
        }
        match machine.states.get(state.text("Next")) {
            Some(next) => state = *next,
            None => return false,
        }
    }
    false
}

/// The machine whose execution the record is about. The other one looks at executions that have ended: there a Fail state
/// may come before Finalize (it could not even ask), but no success may.
fn is_the_run_itself(subject: &Subject<'_>) -> bool {
    subject.machine.tasks().any(|task| calls(subject, task, "prepare-execution"))
}

pub(super) fn finalize_on_every_path(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let own = is_the_run_itself(subject);
    let is_finalize =
        |name: &str| machine.states.get(name).is_some_and(|state| calls(subject, state, "finalize-execution"));
    let is_excused = |edge: &Edge<'_>| if own { is_check(edge) } else { is_left_alone(edge) };
    let without =
        graph::reachable(machine.start(), &machine.edges(), |edge| !is_finalize(edge.to) && !is_excused(edge));
    for name in without {
        let ends = |state: &State<'_>| state.is_terminal() && (own || state.is("Succeed"));
        if machine.states.get(name).is_some_and(ends) {
            report.add(name, "can be reached without Finalize: the record would stay open and its servers locked");
        }
    }
}

const ASK: &str = "arn:${Partition}:states:::aws-sdk:sfn:describeExecution";

pub(super) fn ask_before_finalize(subject: &Subject<'_>, report: &mut Report) {
    if is_the_run_itself(subject) {
        return;
    }
    let machine = &subject.machine;
    let edges = machine.edges();
    let asks = |name: &str| machine.states.get(name).is_some_and(|state| state.text("Resource") == ASK);
    let finalizes = |from: &str| {
        let reached = graph::reachable(from, &edges, |edge| !asks(edge.to));
        let mut states = reached.into_iter().filter_map(|name| machine.states.get(name));
        states.any(|state| calls(subject, state, "finalize-execution"))
    };
    if !asks(machine.start()) && finalizes(machine.start()) {
        report.add(machine.start(), "leads to Finalize without asking Step Functions whether the execution is over");
    }
    for edge in &edges {
        let Via::Branch(branch) = edge.via else { continue };
        let runs = RUNNING.iter().find(|status| requires(branch, STATUS, status));
        if let Some(status) = runs
            && finalizes(edge.to)
        {
            report.add(edge.from, format!("finalizes an execution that is {status}, through {}", edge.to));
        }
    }
}

/// What Step Functions answered, in the machine's state.
const STATUS: &str = "$.execution.status";
/// Statuses of an execution that goes on.
const RUNNING: &[&str] = &["RUNNING", "PENDING_REDRIVE"];

/// It goes on, or it has finalized itself.
fn is_left_alone(edge: &Edge<'_>) -> bool {
    RUNNING.iter().chain(&["SUCCEEDED"]).any(|status| tests(edge, STATUS, status))
}

/// The condition cannot hold unless the variable has this value.
fn requires(condition: &Value, variable: &str, value: &str) -> bool {
    let all = condition.get("And").and_then(Value::as_array).into_iter().flatten();
    (text(condition, "Variable") == variable && text(condition, "StringEquals") == value)
        || all.into_iter().any(|part| requires(part, variable, value))
}

pub(super) fn after_finalize(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let edges = machine.edges();
    for finalize in machine.states.values().filter(|state| calls(subject, state, "finalize-execution")) {
        for first in edges.iter().filter(|edge| edge.from == finalize.name) {
            for name in graph::reachable(first.to, &edges, |_| true) {
                let early = ["prepare-execution", "start-wave", "poll-wave", "finalize-execution"];
                let state = machine.states.get(name);
                if state.is_some_and(|state| early.iter().any(|activity| calls(subject, state, activity))) {
                    report.add(first.from, format!("leads on to {name} through {}", first.to));
                }
            }
        }
    }
}

pub(super) fn success_is_earned(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let edges = machine.edges();
    for (target, incoming) in graph::incoming(&edges) {
        if !machine.states.get(target).is_some_and(|state| state.is("Succeed")) {
            continue;
        }
        let own = is_the_run_itself(subject);
        let is_earned = |edge: &&&Edge<'_>| {
            if own {
                is_check(edge) || tests(edge, "$.outcome.status", "COMPLETED")
            } else {
                is_left_alone(edge) || nothing_is_left(machine, edge)
            }
        };
        for edge in incoming.iter().filter(|edge| !is_earned(edge)) {
            report.add(edge.from, format!("leads to the success {target} without having earned it"));
        }
    }
}

/// Reconciled: no drill instance is left that nobody works on, or people were told of those that are.
fn nothing_is_left(machine: &Machine<'_>, edge: &Edge<'_>) -> bool {
    let holds = |branch: &Value| {
        text(branch, "Variable") == "$.outcome.cleanupAbandoned"
            && branch.get("BooleanEquals") == Some(&Value::Bool(false))
    };
    matches!(edge.via, Via::Branch(branch) if holds(branch))
        || ["COMPLETED", "NOT_NEEDED"].iter().any(|status| tests(edge, "$.cleanup.status", status))
        || machine.states.get(edge.from).is_some_and(State::is_announcement)
}

fn is_check(edge: &Edge<'_>) -> bool {
    tests(edge, "$.run.mode", "CHECK")
}

/// The branch holds exactly when this field has this value.
fn tests(edge: &Edge<'_>, variable: &str, value: &str) -> bool {
    matches!(edge.via, Via::Branch(branch) if text(branch, "Variable") == variable && text(branch, "StringEquals") == value)
}

pub(super) fn cycle_waits(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let waits = |name: &str| machine.states.get(name).is_some_and(|state| state.is("Wait") || state.is_gate());
    let mut edges = machine.edges();
    edges.retain(|edge| !waits(edge.from) && !waits(edge.to));
    let spinning: Vec<&str> = graph::on_cycles(&edges).into_iter().collect();
    if let Some(first) = spinning.first() {
        report.add(first, format!("a cycle without a Wait or a gate burns the history limit: {}", spinning.join(", ")));
    }
}

fn choices<'m, 'a>(machine: &'m Machine<'a>) -> impl Iterator<Item = &'m State<'a>> {
    machine.states.values().filter(|state| state.is("Choice"))
}
