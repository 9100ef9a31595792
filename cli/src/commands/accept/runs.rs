//! CHECK and DRY_RUN of the plan, and waiting for executions.

use super::{Bench, Writing};
use crate::accept::{handover, runs};
use crate::answer::Said;
use crate::args::Decision;
use crate::commands::gate;
use crate::error::CliError;
use crate::looking::pause;
use crate::naming::accept_name;
use crate::session::Session;
use serde_json::{Value, json};
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_contract::records::{ExecutionRecord, Gate, GateKind};
use tidegate_contract::{ExecutionStatus, Mode};
use tidegate_core::time::seconds_between;

/// A dry run with every gate answered at once takes a minute; workers that are not there take for ever.
const PATIENCE_SECONDS: u32 = 900;

/// An execution that was started here.
pub(super) struct Started {
    pub(super) name: String,
    pub(super) arn: String,
}

pub(super) async fn run(bench: &Bench<'_>, writing: &mut Writing<'_>) -> Result<(), CliError> {
    let plan_id = bench.plan.plan_id.as_str();
    let stored =
        |mode: Mode| json!({ "planId": plan_id, "executionType": "DRILL", "mode": mode, "initiatedBy": "accept" });
    let checked = match start(bench.session, "check", &stored(Mode::Check)).await {
        Ok(started) => ended(bench.session, &started, Gates::Open).await,
        Err(error) => Err(error),
    };
    writing.add(vec![runs::judge("CHECK", plan_id, checked.map(told))])?;
    let started = start(bench.session, "dry-run", &stored(Mode::DryRun)).await;
    let walked = match &started {
        Ok(started) => ended(bench.session, started, Gates::Answered).await,
        Err(error) => Err(error.clone()),
    };
    writing.add(vec![runs::judge("DRY_RUN", plan_id, walked.map(told))])?;
    let history = match started {
        Ok(started) => bench.machines.history(&started.arn).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    writing.add(vec![handover::judge(history.map(|history| handover::hand_overs(&history)))])
}

fn told(ended: MachineStatus) -> (String, String) {
    let words: Vec<String> = [ended.error, ended.cause].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    (ended.status, words.join(": "))
}

pub(super) async fn start(session: &Session, what: &str, input: &Value) -> Result<Started, String> {
    let name = accept_name(what, session.now());
    let machine = session.machine_arn().map_err(|error| error.to_string())?;
    let arn = session.executions.start(machine, &name, &input.to_string()).await.map_err(|error| error.to_string())?;
    Ok(Started { name, arn })
}

/// What to do about gates on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gates {
    /// There are none, or they have been answered.
    Open,
    Answered,
}

/// Waits for the end of an execution.
pub(super) async fn ended(session: &Session, started: &Started, gates: Gates) -> Result<MachineStatus, String> {
    let began = session.now();
    loop {
        let status = session.describe(&started.arn).await.map_err(|error| error.to_string())?;
        if let Some(status) = status.filter(|status| status.status != "RUNNING") {
            return Ok(status);
        }
        if gates == Gates::Answered
            && let Some((record, gate)) = open_gate(session, &started.name).await?
        {
            let decision = (gate.kind == GateKind::Decision).then_some(Decision::Abort);
            let said = Said { by: Some("accept"), comment: None, decision, output: None };
            // Somebody else may have answered it meanwhile: the next look tells.
            let _ = gate::send(session, &record, &gate, &said).await;
        }
        wait(session, began, "it has not ended").await?;
    }
}

/// Waits for an execution's gate.
pub(super) async fn gate_of(session: &Session, started: &Started) -> Result<(ExecutionRecord, Gate), String> {
    let began = session.now();
    loop {
        if let Some(open) = open_gate(session, &started.name).await? {
            return Ok(open);
        }
        let status = session.describe(&started.arn).await.map_err(|error| error.to_string())?;
        if let Some(status) = status.filter(|status| status.status != "RUNNING") {
            let (status, why) = told(status);
            return Err(format!("{} ended before its gate opened: {status}: {why}", started.name));
        }
        wait(session, began, "its gate has not opened").await?;
    }
}

async fn open_gate(session: &Session, name: &str) -> Result<Option<(ExecutionRecord, Gate)>, String> {
    let record = session.find(name).await.map_err(|error| error.to_string())?;
    let paused = record.filter(|record| record.status == ExecutionStatus::Paused);
    Ok(paused.and_then(|record| record.gate.clone().map(|gate| (record, gate))))
}

async fn wait(session: &Session, began: jiff::Timestamp, missing: &str) -> Result<(), String> {
    let waited = seconds_between(began, session.now());
    if waited >= PATIENCE_SECONDS {
        return Err(format!("{missing} within {PATIENCE_SECONDS} s: do the workers run?"));
    }
    tokio::time::sleep(pause(waited)).await;
    Ok(())
}
