//! How an execution ended, for the exit code. Nothing but COMPLETED, with its drill cleaned up, is a success.

use crate::render::text::first_sentence;
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::{Cleanup, ExecutionRecord};
use tidegate_contract::{CleanupStatus, ExecutionStatus};

/// What Step Functions says, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Machine {
    /// Not asked, or may not be asked.
    Unknown,
    Running,
    Ended(MachineStatus),
}

impl Machine {
    pub(crate) fn of(status: MachineStatus) -> Self {
        match status.status.as_str() {
            "RUNNING" | "PENDING_REDRIVE" => Self::Running,
            _ => Self::Ended(status),
        }
    }
}

/// Why the exit code is not 0, in one line; Ok for a success.
pub(crate) fn judge(record: &ExecutionRecord, machine: &Machine) -> Result<(), String> {
    if !record.status.is_terminal() {
        let said = match machine {
            Machine::Ended(ended) => format!("Step Functions says {}{}", ended.status, because(ended)),
            Machine::Running | Machine::Unknown => "it has not ended".to_owned(),
        };
        return Err(format!("the record says {}, but {said}: it was never finalized", record.status));
    }
    if record.status != ExecutionStatus::Completed {
        return Err(format!("{}{}", record.status, outcome(record)));
    }
    let due = record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due);
    if due && let Some(trouble) = unclean(record.cleanup.as_ref()) {
        return Err(format!("COMPLETED, but {trouble}"));
    }
    match machine {
        Machine::Ended(ended) if ended.status != "SUCCEEDED" => {
            Err(format!("the record says COMPLETED, but Step Functions says {}{}", ended.status, because(ended)))
        }
        Machine::Ended(_) | Machine::Running | Machine::Unknown => Ok(()),
    }
}

/// `: Tidegate.Partial: not everything was recovered`, and cleanup trouble, which must not hide behind another failure.
fn outcome(record: &ExecutionRecord) -> String {
    let mut text = String::new();
    if let Some(outcome) = &record.outcome {
        for part in [spell_out(&outcome.error).as_ref(), &first_sentence(&outcome.cause)] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(part);
            }
        }
        if outcome.cleanup_due
            && let Some(trouble) = unclean(record.cleanup.as_ref())
        {
            text.push_str("; and ");
            text.push_str(&trouble);
        }
    }
    text
}

fn unclean(cleanup: Option<&Cleanup>) -> Option<String> {
    let Some(cleanup) = cleanup else {
        return Some("its instances were never cleaned up".to_owned());
    };
    match cleanup.status {
        CleanupStatus::Completed | CleanupStatus::NotNeeded => None,
        CleanupStatus::Running => Some("its cleanup is still running".to_owned()),
        CleanupStatus::Failed => Some(format!("its cleanup FAILED: {}", first_sentence(&cleanup.error))),
    }
}

fn because(ended: &MachineStatus) -> String {
    let cause = first_sentence(ended.cause.as_deref().unwrap_or_default());
    let error = spell_out(ended.error.as_deref().unwrap_or_default());
    match (error.as_ref(), cause.as_str()) {
        ("", "") => String::new(),
        ("", cause) => format!(" ({cause})"),
        (error, "") => format!(" ({error})"),
        (error, cause) => format!(" ({error}: {cause})"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{cleanup, outcome, record};

    fn ended(status: &str) -> Machine {
        Machine::of(MachineStatus { status: status.to_owned(), error: None, cause: None })
    }

    #[test]
    fn only_completed_and_clean_is_a_success() {
        let mut record = record(ExecutionStatus::Completed);
        record.outcome = Some(outcome("", "", true));
        for (cleaned, fine) in [
            (Some(CleanupStatus::Completed), true),
            (Some(CleanupStatus::NotNeeded), true),
            (Some(CleanupStatus::Running), false),
            (Some(CleanupStatus::Failed), false),
            (None, false),
        ] {
            record.cleanup = cleaned.map(cleanup);
            assert_eq!(judge(&record, &ended("SUCCEEDED")).is_ok(), fine, "{cleaned:?}");
        }
        record.outcome = Some(outcome("", "", false));
        record.cleanup = None;
        assert_eq!(judge(&record, &ended("SUCCEEDED")), Ok(()));
        assert_eq!(judge(&record, &Machine::Unknown), Ok(()));
    }

    #[test]
    fn every_other_status_is_a_failure_with_its_reason() {
        for status in ExecutionStatus::ALL.iter().copied().filter(|status| *status != ExecutionStatus::Completed) {
            let mut record = record(status);
            record.outcome = Some(outcome("Tidegate.Partial", "wave 2 PARTIAL. See the report.", false));
            let why = judge(&record, &ended("FAILED")).unwrap_err();
            assert!(why.contains(status.as_str()), "{why}");
            if status.is_terminal() {
                assert_eq!(why, format!("{status}: Tidegate.Partial: wave 2 PARTIAL."));
            }
        }
    }

    #[test]
    fn instances_left_behind_are_told_with_the_failure() {
        let mut record = record(ExecutionStatus::Failed);
        record.outcome = Some(outcome("Tidegate.RecoveryFailed", "wave 1 FAILED", true));
        record.cleanup = Some(cleanup(CleanupStatus::Failed));
        let why = judge(&record, &ended("FAILED")).unwrap_err();
        assert!(why.contains("wave 1 FAILED") && why.contains("cleanup FAILED"), "{why}");
    }

    #[test]
    fn a_record_that_disagrees_with_step_functions_is_a_failure() {
        assert!(judge(&record(ExecutionStatus::Completed), &ended("ABORTED")).unwrap_err().contains("ABORTED"));
        let why = judge(&record(ExecutionStatus::Polling), &ended("ABORTED")).unwrap_err();
        assert!(why.contains("POLLING") && why.contains("ABORTED") && why.contains("never finalized"), "{why}");
    }
}
