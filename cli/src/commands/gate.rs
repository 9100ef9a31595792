//! `tidegate resume` and `tidegate decline`, and what `watch` needs to answer a gate.

use crate::answer::{Said, compose, refusal};
use crate::args::{DeclineArgs, ResumeArgs};
use crate::error::{CliError, without_token};
use crate::looking::pause;
use crate::output::Output;
use crate::session::Session;
use std::process::ExitCode;
use tidegate_aws::PortError;
use tidegate_contract::ExecutionStatus;
use tidegate_contract::records::{ExecutionRecord, Gate};
use tidegate_core::time::seconds_between;

/// The machine needs one state transition to leave a gate, and finalize a few seconds more to end the execution.
const LEAVE_SECONDS: u64 = 30;

pub(super) async fn resume(session: &Session, output: &Output, args: &ResumeArgs) -> Result<ExitCode, CliError> {
    let record = session.record(&args.name).await?;
    let gate = open_gate(&record)?;
    let said = Said {
        by: args.by.as_deref(),
        comment: args.comment.as_deref(),
        decision: args.decision,
        output: args.output.as_deref(),
    };
    send(session, &record, gate, &said).await?;
    let status = wait_until_left(session, &args.name, gate).await?;
    output.result(&format!("{} has left the gate of wave {}: it is {status}", args.name, gate.wave_number))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn decline(session: &Session, output: &Output, args: &DeclineArgs) -> Result<ExitCode, CliError> {
    let record = session.record(&args.name).await?;
    let gate = open_gate(&record)?;
    let (error, cause) = refusal(&args.reason, args.by.as_deref());
    let token = session.gate_token(&record, gate).await?;
    let sent = session.answers.send_task_failure(&token, error, &cause).await;
    sent.map_err(|error| refused(error, &token))?;
    let status = wait_until_left(session, &args.name, gate).await?;
    output.result(&format!("{} was declined at wave {}: it is {status}", args.name, gate.wave_number))?;
    Ok(ExitCode::SUCCESS)
}

/// Answers the gate; a refusal of the answer is an error.
pub(super) async fn send(
    session: &Session,
    record: &ExecutionRecord,
    gate: &Gate,
    said: &Said<'_>,
) -> Result<(), CliError> {
    let answer = compose(gate, said)?;
    let token = session.gate_token(record, gate).await?;
    let sent = session.answers.send_task_success(&token, &answer.to_string()).await;
    sent.map_err(|error| refused(error, &token))
}

/// The gate of a paused execution.
fn open_gate(record: &ExecutionRecord) -> Result<&Gate, CliError> {
    match &record.gate {
        Some(gate) if record.status == ExecutionStatus::Paused => Ok(gate),
        Some(_) | None => {
            Err(CliError::NotPaused { name: record.execution_id.to_string(), status: record.status.as_str() })
        }
    }
}

/// The three names Step Functions and its emulators have for "not waiting for this any more".
fn refused(error: PortError, token: &str) -> CliError {
    match error.code.as_deref() {
        Some(code @ ("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")) => {
            CliError::GateClosed { detail: code.to_owned() }
        }
        _ => CliError::port("cannot answer the gate")(without_token(error, token)),
    }
}

/// A 200 is no proof: the record is. Waits until it shows another gate, or none.
async fn wait_until_left(session: &Session, name: &str, gate: &Gate) -> Result<ExecutionStatus, CliError> {
    let sent = session.now();
    loop {
        let record = session.record(name).await?;
        if has_left(&record, gate) {
            return Ok(record.status);
        }
        let waited = seconds_between(sent, session.now());
        if u64::from(waited) >= LEAVE_SECONDS {
            return Err(CliError::GateStands { name: name.to_owned(), seconds: LEAVE_SECONDS });
        }
        tokio::time::sleep(pause(waited)).await;
    }
}

fn has_left(record: &ExecutionRecord, gate: &Gate) -> bool {
    record.gate.as_ref().is_none_or(|standing| standing.since != gate.since)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{gate, paused_view, record};
    use tidegate_contract::records::GateKind;

    #[test]
    fn only_a_paused_execution_has_a_gate_to_answer() {
        assert!(open_gate(&paused_view(GateKind::Resume).record).is_ok());
        for status in ExecutionStatus::ALL.iter().copied() {
            let error = open_gate(&record(status)).unwrap_err().to_string();
            assert!(error.contains(status.as_str()), "{error}");
        }
    }

    #[test]
    fn a_gate_is_left_when_it_is_gone_or_another_one_stands() {
        let standing = gate(GateKind::Resume);
        let mut record = paused_view(GateKind::Resume).record;
        assert!(!has_left(&record, &standing));
        record.gate = Some(Gate { since: "2026-01-02T03:22:00.000Z".to_owned(), ..gate(GateKind::Resume) });
        assert!(has_left(&record, &standing));
        record.gate = None;
        assert!(has_left(&record, &standing));
    }

    #[test]
    fn a_dead_token_is_a_closed_gate_not_a_fault() {
        for code in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
            let mut error = PortError::unreadable("states:SendTaskSuccess", "gone");
            error.code = Some(code.to_owned());
            assert!(matches!(refused(error, "token"), CliError::GateClosed { .. }), "{code}");
        }
    }
}
