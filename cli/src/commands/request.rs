//! `tidegate pause` and `tidegate cancel`: requests the state machine reads; nothing is stopped from here.

use crate::args::RequestArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::session::Session;
use std::process::ExitCode;
use tidegate_aws::ports::Written;
use tidegate_aws::store::OperatorFlag;
use tidegate_contract::ExecutionStatus;
use tidegate_contract::records::ExecutionRecord;

pub(super) async fn run(
    session: &Session,
    output: &Output,
    args: &RequestArgs,
    flag: OperatorFlag,
) -> Result<ExitCode, CliError> {
    let record = running(session, &args.name).await?;
    let by = args.by.as_deref().filter(|by| !by.is_empty());
    let asked = session.store.request(&record.execution_id, flag, by).await;
    let asked = asked.map_err(CliError::port("cannot write the request"))?;
    // Ended meanwhile: what is asked of it now does nothing, and whoever asked should know.
    let record = running(session, &args.name).await?;
    let again = if asked == Written::Stale { "it was asked before; " } else { "" };
    output.result(&format!("{again}{}", expectation(&record, flag)))?;
    Ok(ExitCode::SUCCESS)
}

/// The record of an execution that has not ended.
async fn running(session: &Session, name: &str) -> Result<ExecutionRecord, CliError> {
    let record = session.record(name).await?;
    if record.status.is_terminal() {
        return Err(CliError::Ended { name: name.to_owned(), status: record.status.as_str() });
    }
    Ok(record)
}

/// What will come of it, and when.
fn expectation(record: &ExecutionRecord, flag: OperatorFlag) -> String {
    let name = &record.execution_id;
    let paused = record.status == ExecutionStatus::Paused;
    match flag {
        OperatorFlag::Pause if paused => {
            format!("pause requested: {name} stands at a gate now, and will pause again before its next wave")
        }
        OperatorFlag::Pause if record.current_wave >= record.total_waves => {
            format!("pause requested, but {name} is in its last wave: there is no wave left to pause before")
        }
        OperatorFlag::Pause => {
            format!("pause requested: {name} will pause before its next wave; the wave under way goes on")
        }
        OperatorFlag::Cancel if paused => {
            format!(
                "cancel requested: {name} stands at a gate and ends once that is answered; to end it now: tidegate decline {name} --reason cancelled"
            )
        }
        OperatorFlag::Cancel => {
            format!(
                "cancel requested: {name} starts no further wave and ends at its next poll; DRS jobs that run cannot be called back"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::record;

    #[test]
    fn what_will_come_of_a_request_is_told() {
        let mut running = record(ExecutionStatus::Polling);
        assert!(expectation(&running, OperatorFlag::Pause).contains("before its next wave"));
        running.current_wave = 3;
        assert!(expectation(&running, OperatorFlag::Pause).contains("no wave left"));
        assert!(expectation(&running, OperatorFlag::Cancel).contains("next poll"));
        let paused = record(ExecutionStatus::Paused);
        assert!(expectation(&paused, OperatorFlag::Cancel).contains("tidegate decline"));
    }
}
