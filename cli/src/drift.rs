//! Where a record and Step Functions disagree, and what the reconcile machine is told about it. Pure.

use crate::verdict::Machine;
use tidegate_aws::stepfunctions::{Beginning, MachineStatus};
use tidegate_contract::CleanupStatus;
use tidegate_contract::machines::{ReconcileInput, StatusChange};
use tidegate_contract::records::ExecutionRecord;
use tidegate_core::time;

/// What is wrong with a record whose execution is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The record is open: nobody has finalized, and its servers are locked.
    Open,
    /// A drill's instances may be up. The cleanup never began, or stands still, or has failed.
    Cleanup(Option<CleanupStatus>),
}

/// What is to be asked about: a record that may have drifted, if its execution is over.
pub(crate) fn suspicion(record: &ExecutionRecord) -> Option<Drift> {
    if !record.status.is_terminal() {
        return Some(Drift::Open);
    }
    // The instances of a run that was continued are the other run's.
    let due = record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due) && record.continued_by.is_none();
    let status = record.cleanup.as_ref().map(|cleanup| cleanup.status);
    match status {
        Some(CleanupStatus::Completed | CleanupStatus::NotNeeded) => None,
        None | Some(CleanupStatus::Running | CleanupStatus::Failed) => due.then_some(Drift::Cleanup(status)),
    }
}

/// What is wrong, now that Step Functions was asked. `Unknown` is an execution it has forgotten: 90 days have passed.
pub(crate) fn drift(record: &ExecutionRecord, machine: &Machine) -> Option<Drift> {
    match machine {
        Machine::Running => None,
        Machine::Ended(_) | Machine::Unknown => suspicion(record),
    }
}

/// Whether starting the reconcile machine would change anything. A FAILED cleanup is taken up by `--clean-up` only.
pub(crate) const fn can_repair(drift: Drift, clean_up: bool) -> bool {
    match drift {
        Drift::Open => true,
        Drift::Cleanup(Some(CleanupStatus::Failed)) => clean_up,
        Drift::Cleanup(_) => true,
    }
}

/// An execution, as far as an event about it needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) execution_arn: String,
    pub(crate) machine_arn: String,
    pub(crate) start_millis: i64,
    pub(crate) input: Option<String>,
}

impl Subject {
    /// From its record; it needs no input, since there is a record. None: the record holds no ARN or time.
    pub(crate) fn of_record(record: &ExecutionRecord) -> Option<Self> {
        Some(Self {
            name: record.execution_id.to_string(),
            execution_arn: record.execution_arn.clone(),
            machine_arn: crate::naming::machine_of(&record.execution_arn)?,
            start_millis: time::parse(&record.start_time)?.as_millisecond(),
            input: None,
        })
    }

    /// From Step Functions alone: it ended before it had a record.
    pub(crate) fn without_record(name: &str, execution_arn: String, beginning: Beginning) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            machine_arn: crate::naming::machine_of(&execution_arn)?,
            execution_arn,
            start_millis: beginning.start_millis,
            input: beginning.input,
        })
    }
}

/// An event of the shape AWS sends.
pub(crate) fn event(subject: Subject, ended: Option<&MachineStatus>, clean_up: bool) -> ReconcileInput {
    let forgotten = || "Step Functions does not know this execution any more".to_owned();
    ReconcileInput {
        detail: StatusChange {
            execution_arn: subject.execution_arn,
            state_machine_arn: subject.machine_arn,
            name: subject.name.into(),
            status: ended.map_or_else(|| "FAILED".to_owned(), |ended| ended.status.clone()),
            start_date: subject.start_millis,
            input: subject.input,
            error: ended.and_then(|ended| ended.error.clone()),
            cause: ended.map_or_else(|| Some(forgotten()), |ended| ended.cause.clone()),
        },
        clean_up: clean_up.then_some(true),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{cleanup, outcome, record};
    use tidegate_contract::ExecutionStatus;

    fn ended(status: &str) -> Machine {
        Machine::of(MachineStatus { status: status.to_owned(), error: Some("E".to_owned()), cause: None })
    }

    #[test]
    fn an_open_record_drifts_once_its_execution_is_over() {
        let open = record(ExecutionStatus::Polling);
        for status in ["ABORTED", "TIMED_OUT", "FAILED"] {
            assert_eq!(drift(&open, &ended(status)), Some(Drift::Open), "{status}");
        }
        assert_eq!(drift(&open, &Machine::Unknown), Some(Drift::Open), "forgotten after 90 days");
        for status in ["RUNNING", "PENDING_REDRIVE"] {
            assert_eq!(drift(&open, &ended(status)), None, "{status}");
        }
        assert_eq!(drift(&record(ExecutionStatus::Completed), &ended("SUCCEEDED")), None);
    }

    #[test]
    fn instances_nobody_cleans_up_are_told() {
        let mut done = record(ExecutionStatus::Cancelled);
        done.outcome = Some(outcome("", "", true));
        assert_eq!(drift(&done, &ended("ABORTED")), Some(Drift::Cleanup(None)));
        assert_eq!(drift(&done, &Machine::Running), None, "it is held, or being cleaned up");
        for status in [CleanupStatus::Running, CleanupStatus::Failed] {
            done.cleanup = Some(cleanup(status));
            assert_eq!(drift(&done, &ended("FAILED")), Some(Drift::Cleanup(Some(status))));
        }
        assert!(!can_repair(Drift::Cleanup(Some(CleanupStatus::Failed)), false), "nothing is terminated unasked");
        assert!(can_repair(Drift::Cleanup(Some(CleanupStatus::Failed)), true));
        done.continued_by = Some("run-2".into());
        assert_eq!(drift(&done, &ended("FAILED")), None, "they are run-2's now");
        done.continued_by = None;
        done.cleanup = Some(cleanup(CleanupStatus::Completed));
        assert_eq!(drift(&done, &ended("FAILED")), None);
    }

    /// The machine reads this as it reads AWS's own event.
    #[test]
    fn the_event_is_of_awss_shape() {
        let mut open = record(ExecutionStatus::Paused);
        open.execution_arn = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1".to_owned();
        let Machine::Ended(aborted) = ended("ABORTED") else { unreachable!() };
        let told = serde_json::to_value(event(Subject::of_record(&open).unwrap(), Some(&aborted), true)).unwrap();
        assert_eq!(told["detail"]["status"], "ABORTED");
        assert_eq!(told["detail"]["startDate"], 1_767_322_800_000_i64);
        assert_eq!(
            told["detail"]["stateMachineArn"],
            "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-recovery"
        );
        assert_eq!(told["cleanUp"], true);
        let forgotten = event(Subject::of_record(&open).unwrap(), None, false);
        assert_eq!(forgotten.detail.status, "FAILED");
        assert!(forgotten.detail.cause.unwrap().contains("any more"));
        assert!(serde_json::to_value(forgotten.clean_up).unwrap().is_null());
        open.execution_arn = String::new();
        assert_eq!(Subject::of_record(&open), None);
    }
}
