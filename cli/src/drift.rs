//! Where a record and Step Functions disagree, and what the reconcile machine is told about it. Pure.

use crate::verdict::Machine;
use tidegate_contract::machines::{ReconcileInput, StatusChange};
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{CleanupStatus, ExecutionId};
use tidegate_core::continuation::{self, Instances};

/// What is wrong with a record whose execution is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The record is open: nobody has finalized, and its servers are locked.
    Open,
    /// A drill's instances may be up. The cleanup never began, or stands still, or has failed.
    Cleanup(Option<CleanupStatus>),
}

/// What is to be asked about: a record that may have drifted, if its execution is over and its instances are its own.
pub(crate) fn suspicion(record: &ExecutionRecord) -> Option<Drift> {
    if !record.status.is_terminal() {
        return Some(Drift::Open);
    }
    let due = record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due);
    let status = record.cleanup.as_ref().map(|cleanup| cleanup.status);
    match status {
        Some(CleanupStatus::Completed | CleanupStatus::NotNeeded) => None,
        None | Some(CleanupStatus::Running | CleanupStatus::Failed) => due.then_some(Drift::Cleanup(status)),
    }
}

/// What is wrong, now that Step Functions was asked. `Unknown` is an execution it has forgotten: 90 days have passed. `by` is
/// the record of the execution that continues this one.
pub(crate) fn drift(record: &ExecutionRecord, by: Option<&ExecutionRecord>, machine: &Machine) -> Option<Drift> {
    match machine {
        Machine::Running => None,
        Machine::Ended(_) | Machine::Unknown => match suspicion(record) {
            Some(Drift::Cleanup(_)) if instances_elsewhere(record, by).is_some() => None,
            found => found,
        },
    }
}

/// Who has this execution's drill instances, or is about to take them over, if it is not this execution itself. One that was
/// to continue it and ended before it began has taken nothing.
pub(crate) fn instances_elsewhere<'a>(
    record: &'a ExecutionRecord,
    by: Option<&ExecutionRecord>,
) -> Option<&'a ExecutionId> {
    match continuation::instances_of(record, by) {
        Instances::Own => None,
        Instances::Undecided(other) | Instances::Of(other) => Some(other),
    }
}

/// Whether starting the reconcile machine would change anything. Without `--clean-up` it finalizes what is open, and marks a
/// cleanup that nobody works on any more as FAILED; but it does not look at an execution that SUCCEEDED, and a cleanup that an
/// operator has taken up again is that operator's.
pub(crate) fn can_repair(drift: Drift, record: &ExecutionRecord, machine: &Machine, clean_up: bool) -> bool {
    let succeeded = matches!(machine, Machine::Ended(ended) if ended.status == "SUCCEEDED");
    let reopened = record.cleanup.as_ref().is_some_and(|cleanup| cleanup.reopened);
    match drift {
        Drift::Open => true,
        Drift::Cleanup(Some(CleanupStatus::Failed)) => clean_up,
        Drift::Cleanup(Some(CleanupStatus::Running)) if reopened => clean_up,
        Drift::Cleanup(_) => clean_up || !succeeded,
    }
}

/// What the reconcile machine reads of an event of AWS's, and the operator's word. Everything else it asks itself.
pub(crate) fn event(execution_arn: String, clean_up: bool) -> ReconcileInput {
    ReconcileInput { detail: StatusChange { execution_arn }, clean_up: clean_up.then_some(true) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{cleanup, entry, outcome, record};
    use tidegate_aws::stepfunctions::MachineStatus;
    use tidegate_contract::ExecutionStatus;

    fn ended(status: &str) -> Machine {
        Machine::of(MachineStatus { status: status.to_owned(), error: Some("E".to_owned()), cause: None })
    }

    #[test]
    fn an_open_record_drifts_once_its_execution_is_over() {
        let open = record(ExecutionStatus::Polling);
        for status in ["ABORTED", "TIMED_OUT", "FAILED"] {
            assert_eq!(drift(&open, None, &ended(status)), Some(Drift::Open), "{status}");
        }
        assert_eq!(drift(&open, None, &Machine::Unknown), Some(Drift::Open), "forgotten after 90 days");
        for status in ["RUNNING", "PENDING_REDRIVE"] {
            assert_eq!(drift(&open, None, &ended(status)), None, "{status}");
        }
        assert_eq!(drift(&record(ExecutionStatus::Completed), None, &ended("SUCCEEDED")), None);
    }

    #[test]
    fn instances_nobody_cleans_up_are_told() {
        let mut done = record(ExecutionStatus::Cancelled);
        done.outcome = Some(outcome("", "", true));
        assert_eq!(drift(&done, None, &ended("ABORTED")), Some(Drift::Cleanup(None)));
        assert_eq!(drift(&done, None, &Machine::Running), None, "it is held, or being cleaned up");
        for status in [CleanupStatus::Running, CleanupStatus::Failed] {
            done.cleanup = Some(cleanup(status));
            assert_eq!(drift(&done, None, &ended("FAILED")), Some(Drift::Cleanup(Some(status))));
        }
        done.cleanup = Some(cleanup(CleanupStatus::Completed));
        assert_eq!(drift(&done, None, &ended("FAILED")), None);
    }

    /// c-33: as the workers see it. A continuation that was refused has taken nothing over, whatever `continuedBy` says.
    #[test]
    fn instances_are_told_where_they_belong() {
        let mut done = record(ExecutionStatus::Cancelled);
        done.outcome = Some(outcome("", "", true));
        done.cleanup = Some(cleanup(CleanupStatus::Failed));
        done.continued_by = Some("run-2".into());
        let failed = Some(Drift::Cleanup(Some(CleanupStatus::Failed)));
        let by = |status, begun: bool| {
            let mut by = record(status);
            (by.execution_id, by.continues) = ("run-2".into(), Some(done.execution_id.clone()));
            by.timeline = if begun { vec![entry(continuation::BEGAN, 0)] } else { Vec::new() };
            by
        };
        for (status, begun, told) in [
            (ExecutionStatus::Failed, false, failed),
            (ExecutionStatus::Pending, false, None),
            (ExecutionStatus::Polling, true, None),
            (ExecutionStatus::Failed, true, None),
        ] {
            let by = by(status, begun);
            assert_eq!(drift(&done, Some(&by), &ended("ABORTED")), told, "{status} {begun}");
            let elsewhere = instances_elsewhere(&done, Some(&by)).map(ExecutionId::as_str);
            assert_eq!(elsewhere, told.is_none().then_some("run-2"), "{status} {begun}");
        }
        assert_eq!(drift(&done, None, &ended("ABORTED")), None, "nobody can tell any more what run-2 did");
        let open = ExecutionRecord { status: ExecutionStatus::Polling, ..done };
        assert_eq!(drift(&open, None, &ended("ABORTED")), Some(Drift::Open), "whoever has its instances");
    }

    /// What the machine would leave as it is, it is not started for.
    #[test]
    fn a_cleanup_is_repaired_where_the_machine_would() {
        let mut done = record(ExecutionStatus::Completed);
        let can = |done: &ExecutionRecord, machine: &Machine, clean_up| {
            let status = done.cleanup.as_ref().map(|cleanup| cleanup.status);
            can_repair(Drift::Cleanup(status), done, machine, clean_up)
        };
        let both = |done: &ExecutionRecord, machine: &Machine| (can(done, machine, false), can(done, machine, true));
        for machine in [ended("ABORTED"), ended("FAILED"), Machine::Unknown] {
            done.cleanup = None;
            assert_eq!(both(&done, &machine), (true, true), "{machine:?}: it is marked FAILED");
            done.cleanup = Some(cleanup(CleanupStatus::Running));
            assert_eq!(both(&done, &machine), (true, true), "{machine:?}");
            done.cleanup.as_mut().unwrap().reopened = true;
            assert_eq!(both(&done, &machine), (false, true), "{machine:?}: an operator's own");
            done.cleanup = Some(cleanup(CleanupStatus::Failed));
            assert_eq!(both(&done, &machine), (false, true), "{machine:?}: nothing is terminated unasked");
        }
        for left in [None, Some(cleanup(CleanupStatus::Running))] {
            done.cleanup = left;
            assert_eq!(both(&done, &ended("SUCCEEDED")), (false, true), "reconcile leaves it alone");
        }
    }

    /// The machine reads this as it reads AWS's own event.
    #[test]
    fn the_event_names_the_execution() {
        let arn = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";
        let told = serde_json::to_value(event(arn.to_owned(), true)).unwrap();
        assert_eq!(told, serde_json::json!({"detail": {"executionArn": arn}, "cleanUp": true}));
        assert!(serde_json::to_value(event(arn.to_owned(), false)).unwrap().get("cleanUp").is_none());
    }
}
