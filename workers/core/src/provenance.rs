//! Whose word counts about an execution that is finalized from outside. Whoever may start the reconcile machine writes its
//! event as they like, so nothing is believed but Step Functions and our own record (ADR 0021).

use crate::observed::SeenExecution;
use crate::time;
use crate::wave_start::{MAX_ERROR_BYTES, beginning};
use jiff::Timestamp;
use serde_json::Value;
use tidegate_contract::activities::{EndReason, Ending, Failure, FinalizeInput, StartTime};
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{ErrorName, ExecutionId};

/// DescribeExecution is eventually consistent (API reference), so an execution that it does not know may have begun moments ago.
/// It keeps one for 90 days after its end; an hour is far from both.
pub const TOO_YOUNG_TO_BE_FORGOTTEN_SECONDS: u32 = 3_600;

/// StartExecution: at most 80 characters. It takes more of them than these, down to marks that turn the direction of writing.
const MAX_NAME: usize = 80;

/// Whether an execution of this name can have a record: it stands in logs, lists and commands that people copy.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether a plan's id is one, as the schema of plans has it.
pub fn is_plan_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&id.len()) && id.bytes().all(allowed)
}

/// Whether the ARN is that of an execution of this name: `arn:PARTITION:states:REGION:ACCOUNT:execution:MACHINE:NAME`.
pub fn belong_together(name: &ExecutionId, execution_arn: &str) -> bool {
    let parts: Vec<&str> = execution_arn.split(':').collect();
    matches!(parts.as_slice(), ["arn", _, "states", _, _, "execution", _, last] if *last == name.as_str())
}

/// An execution that is over beyond doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub ending: Ending,
    /// Its input as it was given; null when that is no JSON.
    pub input: Value,
    /// None: Step Functions has forgotten it.
    pub start: Option<StartTime>,
}

/// Why nothing is done about an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// It runs: perhaps it was redriven, perhaps DescribeExecution lags. Worth another look.
    Runs(String),
    /// Another look would say the same.
    Refused(String),
}

/// How an execution ended, by Step Functions; by our record if Step Functions has forgotten it. `asked` gives its name, its ARN
/// and the words for an end that Step Functions has none for.
pub fn prove(
    asked: &FinalizeInput,
    seen: Option<&SeenExecution>,
    record: Option<&ExecutionRecord>,
    now: Timestamp,
) -> Result<Ended, Unproven> {
    let id = &asked.execution_id;
    let Some(seen) = seen else {
        return forgotten(asked, record, now);
    };
    let reason = match seen.status.as_str() {
        "ABORTED" => EndReason::Stopped,
        "TIMED_OUT" => EndReason::MachineTimedOut,
        "FAILED" => EndReason::MachineFailed,
        "SUCCEEDED" if record.is_some() => EndReason::MachineFailed,
        "SUCCEEDED" => {
            return Err(Unproven::Refused(format!("{id} SUCCEEDED and has no record: there is nothing to reconcile")));
        }
        "RUNNING" | "PENDING_REDRIVE" => {
            return Err(Unproven::Runs(format!("Step Functions says that {id} is {}", seen.status)));
        }
        other => {
            return Err(Unproven::Refused(format!(
                "Step Functions says {other} of {id}, a status that is not known here"
            )));
        }
    };
    let told = |text: &Option<String>, stated: &str| {
        text.as_deref().filter(|text| !text.is_empty()).unwrap_or(stated).to_owned()
    };
    let stated = &asked.ending.failure;
    let failure = Failure {
        error: told(&seen.error, &stated.error),
        cause: beginning(&told(&seen.cause, &stated.cause), MAX_ERROR_BYTES),
    };
    Ok(Ended {
        ending: Ending { reason, wave_count: 0, failure },
        input: seen.input.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        start: Some(StartTime::EpochMillis(seen.started_at.as_millisecond())),
    })
}

/// Without Step Functions only our record says that there ever was such an execution. How it ended nobody knows any more.
fn forgotten(asked: &FinalizeInput, record: Option<&ExecutionRecord>, now: Timestamp) -> Result<Ended, Unproven> {
    let id = &asked.execution_id;
    let Some(record) = record.filter(|record| record.execution_arn == asked.execution_arn) else {
        return Err(Unproven::Refused(format!(
            "Step Functions knows no execution {}, and no record is of it: nothing was done",
            asked.execution_arn
        )));
    };
    let age = time::seconds_since(&record.start_time, now);
    if !record.status.is_terminal() && age < TOO_YOUNG_TO_BE_FORGOTTEN_SECONDS {
        return Err(Unproven::Refused(format!(
            "Step Functions does not know {id}, but its record is of less than an hour ago: nothing was done; ask again later"
        )));
    }
    let failure = Failure {
        error: ErrorName::MachineFault.as_str().to_owned(),
        cause: "Step Functions does not know this execution any more, so nobody can tell how it ended".to_owned(),
    };
    Ok(Ended {
        ending: Ending { reason: EndReason::MachineFailed, wave_count: 0, failure },
        input: Value::Null,
        start: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::after;
    use serde_json::json;
    use tidegate_contract::{ExecutionStatus, ExecutionType, Mode};

    const ARN: &str = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";

    fn began() -> Timestamp {
        "2026-11-20T03:04:05.678Z".parse().unwrap()
    }

    fn asked() -> FinalizeInput {
        serde_json::from_value(json!({
            "executionId": "run-1", "executionArn": ARN, "input": {},
            "ending": {"reason": "STOPPED", "waveCount": 0, "failure": {"Error": "stated", "Cause": ""}},
            "stopped": {"status": "ABORTED", "input": "{\"planId\":\"forged\"}", "cause": "forged", "startDate": 0},
        }))
        .unwrap()
    }

    fn seen(status: &str) -> SeenExecution {
        SeenExecution {
            status: status.to_owned(),
            started_at: began(),
            input: Some(r#"{"planId":"crm"}"#.to_owned()),
            error: Some("E".to_owned()),
            cause: Some("c".to_owned()),
        }
    }

    fn record(arn: &str, status: ExecutionStatus) -> ExecutionRecord {
        let record = ExecutionRecord::pending(
            "run-1".into(),
            arn.to_owned(),
            "crm".into(),
            ExecutionType::Drill,
            Mode::Run,
            time::format(began()),
        );
        ExecutionRecord { status, ..record }
    }

    #[test]
    fn step_functions_says_how_it_ended_and_the_event_says_nothing() {
        for (status, reason) in [
            ("ABORTED", EndReason::Stopped),
            ("TIMED_OUT", EndReason::MachineTimedOut),
            ("FAILED", EndReason::MachineFailed),
        ] {
            let ended = prove(&asked(), Some(&seen(status)), None, began()).unwrap();
            assert_eq!(ended.ending.reason, reason, "whatever the machine was told");
            assert_eq!((ended.ending.failure.error.as_str(), ended.ending.failure.cause.as_str()), ("E", "c"));
            assert_eq!(ended.input["planId"], "crm");
            assert_eq!(ended.start, Some(StartTime::EpochMillis(began().as_millisecond())));
        }
        let silent = SeenExecution { error: None, cause: None, input: Some("not json".to_owned()), ..seen("FAILED") };
        let ended = prove(&asked(), Some(&silent), None, began()).unwrap();
        assert_eq!((ended.ending.failure.error.as_str(), ended.input), ("stated", Value::Null));
    }

    #[test]
    fn what_goes_on_or_is_not_known_is_left_alone() {
        for status in ["RUNNING", "PENDING_REDRIVE"] {
            assert!(matches!(prove(&asked(), Some(&seen(status)), None, began()), Err(Unproven::Runs(_))), "{status}");
        }
        let open = record(ARN, ExecutionStatus::Polling);
        assert!(matches!(prove(&asked(), Some(&seen("LATER")), Some(&open), began()), Err(Unproven::Refused(_))));
        assert!(prove(&asked(), Some(&seen("SUCCEEDED")), Some(&open), began()).is_ok());
        assert!(prove(&asked(), Some(&seen("SUCCEEDED")), None, began()).is_err(), "a check leaves no record");
    }

    /// P2: an execution that never was leaves no record; one that was is told by our own record, and by that of its ARN only.
    #[test]
    fn what_step_functions_has_forgotten_needs_a_record_of_its_own() {
        let later = after(began(), 91 * 86_400);
        assert!(matches!(prove(&asked(), None, None, later), Err(Unproven::Refused(_))));
        let other = record("arn:aws:states:us-west-2:111122223333:execution:other:run-1", ExecutionStatus::Polling);
        assert!(prove(&asked(), None, Some(&other), later).is_err());
        let open = record(ARN, ExecutionStatus::Polling);
        let ended = prove(&asked(), None, Some(&open), later).unwrap();
        assert_eq!(ended.ending.reason, EndReason::MachineFailed);
        assert_eq!(ended.ending.failure.error, "Tidegate.MachineFault");
        assert!(prove(&asked(), None, Some(&open), after(began(), 60)).is_err(), "DescribeExecution may lag");
        let done = record(ARN, ExecutionStatus::Completed);
        assert!(prove(&asked(), None, Some(&done), after(began(), 60)).is_ok(), "its outcome stands");
    }

    #[test]
    fn name_and_arn_belong_together() {
        assert!(belong_together(&"run-1".into(), ARN));
        for (name, arn) in [
            ("run-2", ARN),
            ("run-1", "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-recovery:run-1"),
            ("run-1", "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-2:run-1"),
            ("", "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery"),
            ("run-1", "run-1"),
        ] {
            assert!(!belong_together(&name.into(), arn), "{name} {arn}");
        }
    }

    #[test]
    fn names_and_plan_ids_are_plain() {
        assert!(is_name("crm-drill-20260102_030405") && is_name(&"x".repeat(80)) && is_plan_id("erp.v2"));
        for name in ["", "a b", "a.b", "x\n2026", "a\u{202e}b", "dr\u{ed}ll", "../..", &"x".repeat(81)] {
            assert!(!is_name(name), "{name:?}");
        }
        for id in ["", "../..\u{202e}\n#members", "a#b", "a/b", &"x".repeat(65)] {
            assert!(!is_plan_id(id), "{id:?}");
        }
    }
}
