//! `tidegate reconcile`: what the event-driven reconcile machine missed, found and handed to that same machine.
//!
//! This tool repairs nothing itself. It asks Step Functions, names the execution as the event that should have come does,
//! starts the machine with it and waits; so a repair by hand and one by the rule are one code path, and both may happen at once.

use crate::args::ReconcileArgs;
use crate::drift::{Drift, can_repair, drift, event, instances_elsewhere, suspicion};
use crate::error::CliError;
use crate::looking::pause;
use crate::naming::{machine_of, reconcile_name};
use crate::output::Output;
use crate::render::drift::{remedy, render_agreed, render_drift, render_drifts, render_unseen};
use crate::session::Session;
use crate::verdict::{Machine, judge};
use std::process::ExitCode;
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_aws::store::Listed;
use tidegate_contract::ExecutionStatus;
use tidegate_contract::machines::ReconcileInput;
use tidegate_contract::records::ExecutionRecord;
use tidegate_core::time::seconds_between;

/// Records looked through per status, newest first.
const MOST_OF_A_STATUS: usize = 1_000;

pub(super) async fn run(session: &Session, output: &Output, args: &ReconcileArgs) -> Result<ExitCode, CliError> {
    if !args.all && args.names.is_empty() {
        let found = search(session, output).await?;
        output.result(&render_drifts(&found, output.width()))?;
        for (record, _, drift) in &found {
            output.note(&remedy(record.execution_id.as_str(), *drift))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let names = if args.all {
        search(session, output).await?.into_iter().map(|(record, ..)| record.execution_id.to_string()).collect()
    } else {
        args.names.clone()
    };
    if names.is_empty() {
        output.result(&render_drifts(&[], output.width()))?;
    }
    let mut failed = None;
    for name in &names {
        // One that cannot be repaired must not keep the others from it.
        match repair(session, output, name, args.clean_up).await {
            Ok(()) => {}
            Err(error) if error.is_broken_pipe() => return Err(error),
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    output.note(&format!("tidegate: {earlier}"))?;
                }
            }
        }
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Every record that may have drifted and whose execution is over. DescribeExecution is asked about those only: its quota is
/// shared by the whole account.
async fn search(session: &Session, output: &Output) -> Result<Vec<(ExecutionRecord, Machine, Drift)>, CliError> {
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    for status in ExecutionStatus::ALL.iter().copied() {
        let of_status = session.store.list_by_status(status, MOST_OF_A_STATUS).await;
        let of_status = of_status.map_err(CliError::port("cannot list executions"))?;
        if of_status.len() >= MOST_OF_A_STATUS {
            unseen.push(status);
        }
        for listed in of_status {
            let listed = match listed {
                Listed::Execution(record) if suspicion(&record).is_some() => record,
                Listed::Execution(_) => continue,
                Listed::Unreadable(item) => {
                    output.note(&item.to_string())?;
                    continue;
                }
            };
            let machine = ask(session, &listed.execution_arn).await?;
            // The index lags; and an execution may have ended, and its record with it, since it was listed.
            let Some(record) = session.find(listed.execution_id.as_str()).await? else { continue };
            if let Some(drift) = drift(&record, continuation_of(session, &record).await?.as_ref(), &machine) {
                found.push((record, machine, drift));
            }
        }
    }
    if !unseen.is_empty() {
        output.note(&render_unseen(&unseen, MOST_OF_A_STATUS))?;
    }
    Ok(found)
}

/// The record of the execution that continues this one, or was to.
async fn continuation_of(session: &Session, record: &ExecutionRecord) -> Result<Option<ExecutionRecord>, CliError> {
    match &record.continued_by {
        Some(by) => session.find(by.as_str()).await,
        None => Ok(None),
    }
}

/// `Unknown`: Step Functions has forgotten it.
async fn ask(session: &Session, arn: &str) -> Result<Machine, CliError> {
    Ok(session.describe(arn).await?.map_or(Machine::Unknown, Machine::of))
}

async fn repair(session: &Session, output: &Output, name: &str, clean_up: bool) -> Result<(), CliError> {
    let not_reconciled = |said: &str| CliError::NotReconciled { name: name.to_owned(), said: said.to_owned() };
    let record = session.find(name).await?;
    let arn = match &record {
        Some(record) => record.execution_arn.clone(),
        None => {
            session.machine_arn()?;
            session.execution_arn(name).ok_or_else(|| CliError::NotFound { name: name.to_owned() })?
        }
    };
    let ended = match ask(session, &arn).await? {
        Machine::Running => {
            return Err(CliError::StillRunning { name: name.to_owned(), status: "RUNNING".to_owned() });
        }
        Machine::Ended(ended) => Some(ended),
        Machine::Unknown => None,
    };
    match &record {
        Some(record) => {
            let machine = ended.clone().map_or(Machine::Unknown, Machine::Ended);
            let by = continuation_of(session, record).await?;
            let Some(drift) = drift(record, by.as_ref(), &machine) else {
                let elsewhere = instances_elsewhere(record, by.as_ref());
                let elsewhere = elsewhere.filter(|_| suspicion(record).is_some());
                return output.result(&render_agreed(name, record.status, elsewhere));
            };
            if !can_repair(drift, record, &machine, clean_up) {
                return output.result(&format!(
                    "{name} is {}, and {}: {}",
                    record.status,
                    render_drift(drift),
                    remedy(name, drift)
                ));
            }
        }
        None if ended.as_ref().is_none_or(|ended| ended.status == "SUCCEEDED") => {
            // A check leaves no record; and what nobody knows cannot be repaired.
            return Err(CliError::NotFound { name: name.to_owned() });
        }
        None => {}
    }
    if machine_of(&arn).is_none() {
        return Err(not_reconciled("its record names no execution of Step Functions"));
    }
    let said = reconcile(session, name, &event(arn, clean_up)).await?;
    conclude(session, output, name, &said).await
}

/// Starts the machine and waits for its end.
async fn reconcile(session: &Session, name: &str, input: &ReconcileInput) -> Result<MachineStatus, CliError> {
    let machine = session.reconcile_arn()?;
    let run = reconcile_name(name, session.now());
    // Serialising text, numbers and a flag cannot fail.
    let input = serde_json::to_string(input).unwrap_or_default();
    let started = session.executions.start(machine, &run, &input).await;
    let arn = started.map_err(CliError::port(format!("cannot start the reconcile machine for {name}")))?;
    let began = session.now();
    loop {
        if let Some(status) = session.describe(&arn).await?
            && let Machine::Ended(ended) = Machine::of(status)
        {
            return Ok(ended);
        }
        tokio::time::sleep(pause(seconds_between(began, session.now()))).await;
    }
}

/// The record is what counts; the machine's end says whether to believe it.
async fn conclude(session: &Session, output: &Output, name: &str, ended: &MachineStatus) -> Result<(), CliError> {
    if ended.status != "SUCCEEDED" {
        let words = [Some(ended.status.as_str()), ended.error.as_deref(), ended.cause.as_deref()];
        let said: Vec<&str> = words.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        return Err(CliError::NotReconciled {
            name: name.to_owned(),
            said: format!("the reconcile machine ended {}", said.join(": ")),
        });
    }
    let record = session.record(name).await?;
    if !record.status.is_terminal() {
        // It was redriven between our question and the machine's.
        return Err(CliError::StillRunning { name: name.to_owned(), status: "RUNNING".to_owned() });
    }
    let outcome = judge(&record, &Machine::Unknown).err().unwrap_or_else(|| record.status.to_string());
    output.result(&format!("{name} {outcome}"))
}
