//! Timeouts and heartbeats. A Task without one hangs for a year when its worker dies.

use crate::asl::{Report, State, Subject};
use serde_json::Value;

pub(super) fn machine_timeout(subject: &Subject<'_>, report: &mut Report) {
    let found = subject.machine.definition.get("TimeoutSeconds").and_then(Value::as_u64);
    let stated = subject.contract.machine(subject.name).and_then(|machine| machine.get("timeoutSeconds"));
    let expected = stated.and_then(Value::as_u64);
    if found.is_none() || found != expected {
        report.add("", format!("TimeoutSeconds is {found:?}, the contract says {expected:?}"));
    }
}

pub(super) fn task_timeout(subject: &Subject<'_>, report: &mut Report) {
    for task in subject.machine.tasks() {
        if task.has("TimeoutSeconds") == task.has("TimeoutSecondsPath") {
            report.add(task.name, "needs either TimeoutSeconds or TimeoutSecondsPath");
        }
    }
}

pub(super) fn activity_times(subject: &Subject<'_>, report: &mut Report) {
    for (task, activity) in activities(subject) {
        for (field, stated) in [("TimeoutSeconds", "timeoutSeconds"), ("HeartbeatSeconds", "heartbeatSeconds")] {
            let expected = activity.get(stated).and_then(Value::as_u64);
            if task.number(field) != expected {
                report.add(task.name, format!("{field} is {:?}, the contract says {expected:?}", task.number(field)));
            }
        }
    }
}

pub(super) fn heartbeat_third(subject: &Subject<'_>, report: &mut Report) {
    for (task, _) in activities(subject) {
        let (Some(timeout), Some(heartbeat)) = (task.number("TimeoutSeconds"), task.number("HeartbeatSeconds")) else {
            continue;
        };
        // A killed worker must be noticed early enough for two more tries within one timeout.
        if heartbeat * 3 >= timeout {
            report.add(task.name, format!("a heartbeat of {heartbeat} s is not below a third of {timeout} s"));
        }
    }
}

pub(super) fn gate_no_heartbeat(subject: &Subject<'_>, report: &mut Report) {
    for gate in subject.machine.tasks().filter(|task| task.is_gate()) {
        if gate.has("HeartbeatSeconds") || gate.has("HeartbeatSecondsPath") {
            report.add(gate.name, "has a heartbeat: the gate would close before its timeout");
        }
    }
}

/// The Tasks that call an activity, with the contract's entry for it.
pub(super) fn activities<'s, 'a>(subject: &'s Subject<'a>) -> impl Iterator<Item = (&'s State<'a>, &'a Value)> {
    let contract = subject.contract;
    subject.machine.tasks().filter_map(|task| Some((task, contract.activity(task.text("Resource"))?)))
}
