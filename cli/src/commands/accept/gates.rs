//! Dry runs that stop at a gate before their first wave, declined each in another way.

use super::questions::undelivered;
use super::runs::{Gates, Started, ended, gate_of, start};
use super::{Bench, Writing};
use crate::accept::gates::{Ending, Way, caught, judge};
use crate::accept::notification;
use crate::error::{CliError, without_token};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_aws::acceptance::HistoryEvent;
use tidegate_contract::plan::Plan;

pub(super) async fn run(bench: &Bench<'_>, writing: &mut Writing<'_>) -> Result<(), CliError> {
    let input = json!({
        "plan": gated(&bench.plan), "executionType": "DRILL", "mode": "DRY_RUN", "initiatedBy": "accept",
    });
    let before = undelivered(bench).await;
    let mut announced = Ok(());
    for way in Way::ALL {
        let declined = decline(bench, way, &input).await;
        let lines = match declined {
            Ok((history, ending)) => {
                announced = announced.and(history.clone().and_then(|history| notification::announced(&history)));
                judge(way, history.and_then(|history| caught(&history)), ending)
            }
            Err(error) => {
                announced = Err(error.clone());
                judge(way, Err(error.clone()), Err(error))
            }
        };
        writing.add(lines.to_vec())?;
    }
    let after = match (&announced, &before) {
        (Ok(()), Ok(_)) => {
            tokio::time::sleep(DELIVERY).await;
            undelivered(bench).await
        }
        _ => Err("not looked".to_owned()),
    };
    writing.add(vec![notification::judge(announced, before, after)])
}

/// EventBridge tries again for a day by default; a target that refuses outright is in the queue at once.
const DELIVERY: Duration = Duration::from_secs(10);

/// The plan's first wave, with a pause before it.
fn gated(plan: &Plan) -> Plan {
    let mut gated = plan.clone();
    gated.waves.truncate(1);
    for wave in &mut gated.waves {
        wave.pause_before_wave = true;
    }
    gated
}

type Seen = (Result<Vec<HistoryEvent>, String>, Result<Ending, String>);

async fn decline(bench: &Bench<'_>, way: Way, input: &Value) -> Result<Seen, String> {
    let started = start(bench.session, way.short(), input).await?;
    let (record, gate) = gate_of(bench.session, &started).await?;
    let token = bench.session.gate_token(&record, &gate).await.map_err(|error| error.to_string())?;
    let sent = bench.machines.refuse(&token, way.error(), way.cause()).await;
    sent.map_err(|error| without_token(error, &token).to_string())?;
    let ending = ending(bench, &started).await;
    let history = bench.machines.history(&started.arn).await.map_err(|error| error.to_string());
    Ok((history, ending))
}

async fn ending(bench: &Bench<'_>, started: &Started) -> Result<Ending, String> {
    ended(bench.session, started, Gates::Open).await?;
    let record = bench.session.record(&started.name).await.map_err(|error| error.to_string())?;
    let reason = record.outcome.as_ref().map(|outcome| json!(outcome.reason));
    Ok(Ending {
        status: record.status.to_string(),
        reason: reason.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        error: record.outcome.map(|outcome| outcome.error).unwrap_or_default(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_stands_before_anything_starts() {
        let wave =
            |number: u32| json!({ "waveNumber": number, "waveName": "w", "groups": [{ "region": "us-west-2" }] });
        let plan = json!({ "planId": "crm", "planName": "CRM", "waves": [wave(1), wave(2)] });
        let gated = gated(&serde_json::from_value(plan).unwrap());
        assert_eq!(gated.waves.len(), 1);
        assert!(gated.waves.iter().all(|wave| wave.pause_before_wave && wave.wave_number == 1));
    }
}
