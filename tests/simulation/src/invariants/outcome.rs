//! Whether a run ended for the reason its record gives, and whether it had any reason at all to end badly.

use super::planned::Planned;
use super::{ENDED_FOR_THAT, Ended, OWN_FAULT, Violation, broken, field, number, record_of, text, timeline};
use crate::faults::Rates;
use crate::people::ActKind;
use crate::ports::State;
use crate::scenario::Story;
use crate::script::{Answer, Happening, Word};
use crate::tables::Item;
use jiff::Timestamp;
use serde_json::Value;
use tidegate_contract::ErrorName;
use tidegate_contract::tables::TableKey;

/// Longer than any willing person waits before answering.
const PATIENCE_SECONDS: i64 = 1_000;
/// Longer than any launch without faults takes, at the reference timings.
const LAUNCH_SECONDS: f64 = 3_600.0;

/// Names that say that we made a mistake: in a world whose inputs are right no execution, record or activity says them.
const OURS: &[ErrorName] = &[ErrorName::Internal, ErrorName::InvalidInput];

/// No activity answers with a fault of our own. To continue what cannot be continued is the operator's mistake.
pub(crate) fn is_no_fault_of_ours(name: ErrorName, cause: &str) -> Result<(), Violation> {
    if !OURS.contains(&name) || (name == ErrorName::InvalidInput && cause.contains("cannot be continued")) {
        return Ok(());
    }
    broken(OWN_FAULT, format!("{}: {cause}", name.as_str()))
}

pub(super) fn check(state: &State, plan: Option<&Planned>, ended: &Ended<'_>) -> Result<(), Violation> {
    let Some(record) = record_of(&state.tables, ended.execution_id) else { return Ok(()) };
    let outcome =
        |name: &str| record.get("outcome").and_then(|outcome| outcome.get(name)?.as_str()).unwrap_or_default();
    for error in [ended.error, outcome("error")] {
        if let Some(name) = OURS.iter().find(|name| name.as_str() == error) {
            is_no_fault_of_ours(*name, outcome("cause"))?;
        }
    }
    let id = ended.execution_id;
    let did =
        |wanted: &dyn Fn(&ActKind) -> bool| state.people.iter().any(|act| act.execution_id == id && wanted(&act.what));
    let said = |wanted: fn(Word) -> bool| did(&|what| matches!(what, ActKind::Answer { word, .. } if wanted(*word)));
    let reason = outcome("reason");
    let so = match reason {
        "DECLINED" => said(Word::declines),
        "CANCELLED" => did(&|what| *what == ActKind::Request("cancelRequested")),
        "ABORTED_BY_OPERATOR" => said(|word| word == Word::Abort),
        "ABORTED_BY_POLICY" => failed_by_policy(state, plan, id),
        "GATE_TIMED_OUT" => gate_was_open_long_enough(record, plan, state.clocks_differ),
        _ => true,
    };
    // Whoever declines ends the run, unless something else ends it while its outcome is written.
    let declined = said(Word::declines) && ended.cut.is_none() && ended.error != ErrorName::FinalizeFailed.as_str();
    if !so || (declined && reason != "DECLINED") {
        return broken(ENDED_FOR_THAT, format!("{reason} ({})", outcome("cause")));
    }
    Ok(())
}

fn failed_by_policy(state: &State, plan: Option<&Planned>, id: &str) -> bool {
    let Some(plan) = plan else { return true };
    let aborts = |wave: &Item| {
        let planned = plan.waves.get(&number(wave, "waveNumber"));
        text(wave, "status") == "FAILED" && planned.is_some_and(|planned| planned.on_failure == "abort")
    };
    state.tables.query(TableKey::ExecutionWaves, id, "").any(aborts)
}

/// A worker writes the end, by its own clock.
fn gate_was_open_long_enough(record: &Item, plan: Option<&Planned>, clocks_differ: i64) -> bool {
    let opens = |entry: &&Value| matches!(field(entry, "event"), "PAUSED" | "DECISION_NEEDED");
    let opened = timeline(record).rev().find(opens);
    let (Some(opened), Some(plan)) = (opened, plan) else { return plan.is_none() };
    let at = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let wave = opened.get("waveNumber").and_then(Value::as_u64).and_then(|number| plan.waves.get(&number));
    match (at(opened.get("at")), at(record.get("endTime")), wave) {
        (Some(opened), Some(end), Some(wave)) => {
            end.duration_since(opened).as_secs() + clocks_differ >= wave.gate_timeout_seconds
        }
        _ => false,
    }
}

/// Nothing goes wrong in this story, and nobody stands in its way: it has no excuse for ending other than COMPLETED.
pub fn is_plain(story: &Story) -> bool {
    let seconds = |wave: &Value, name: &str| wave.get(name).and_then(Value::as_i64).unwrap_or(i64::MAX);
    let waves = story.input.pointer("/plan/waves").and_then(Value::as_array).into_iter().flatten();
    let willing = |answer: &Answer| matches!(answer.word, Word::Resume | Word::ResumeNamed | Word::ResumeNumber);
    let quiet = story.script.iter().flatten().all(|entry| match &entry.what {
        Happening::Fault(_) => false,
        Happening::Answer(answer) => willing(answer) && i64::from(answer.after_seconds) < PATIENCE_SECONDS,
    });
    let asked = story.requests.iter().any(|(_, flag)| *flag == "pauseRequested");
    let pauses = |wave: &Value| asked || wave.get("pauseBeforeWave") == Some(&Value::Bool(true));
    let mut waves = waves.into_iter();
    story.is_sound()
        && (Rates { late_seconds: 0, ..story.rates } == Rates::NONE || story.script.is_some())
        && quiet
        && story.outages.is_empty()
        && story.ec2_lag_seconds == 0
        && story.server_faults.is_empty()
        && story.cuts.is_empty()
        && story.requests.iter().all(|(_, flag)| *flag != "cancelRequested")
        && waves.all(|wave| {
            let patient = story.contrary_operator == 0 && seconds(wave, "gateTimeoutSeconds") >= PATIENCE_SECONDS;
            seconds(wave, "timeoutSeconds") as f64 * story.drs_speed >= LAUNCH_SECONDS && (patient || !pauses(wave))
        })
}
