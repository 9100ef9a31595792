//! What is sent to an open gate. Pure: the token is added where it is sent.

use crate::args::Decision;
use crate::error::CliError;
use serde_json::{Value, json};
use tidegate_contract::records::{Gate, GateKind};

/// What an operator said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said<'a> {
    pub(crate) by: Option<&'a str>,
    pub(crate) comment: Option<&'a str>,
    pub(crate) decision: Option<Decision>,
    /// JSON text instead of all of it.
    pub(crate) output: Option<&'a str>,
}

/// The output for SendTaskSuccess, or why this is no answer to this gate.
pub(crate) fn compose(gate: &Gate, said: &Said<'_>) -> Result<Value, CliError> {
    let answer = match said.output {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| CliError::BadAnswer { reason: format!("is not JSON: {error}") })?,
        None => spoken(said),
    };
    match (gate.kind, answer.get("decision")) {
        (GateKind::Resume, None) => Ok(answer),
        // Any output resumes, so an "abort" sent here would start the wave.
        (GateKind::Resume, Some(_)) => Err(CliError::NoDecisionWanted { wave: gate.wave_number }),
        (GateKind::Decision, None) => Err(CliError::DecisionWanted { wave: gate.wave_number }),
        (GateKind::Decision, Some(word)) => {
            if Decision::ALL.iter().any(|known| word.as_str() == Some(known.as_str())) {
                Ok(answer)
            } else {
                Err(CliError::BadAnswer {
                    reason: format!("holds the decision {word}; use retry, skip, continue or abort"),
                })
            }
        }
    }
}

fn spoken(said: &Said<'_>) -> Value {
    let mut answer = json!({});
    let decision = said.decision.map(Decision::as_str);
    for (field, value) in [("decision", decision), ("approvedBy", said.by), ("comment", said.comment)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            answer[field] = json!(value);
        }
    }
    answer
}

/// Error and cause for SendTaskFailure.
pub(crate) fn refusal(reason: &str, by: Option<&str>) -> (&'static str, String) {
    let by = by.filter(|by| !by.is_empty()).map(|by| format!(" (says {by})")).unwrap_or_default();
    ("Declined", format!("{reason}{by}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::gate;

    #[test]
    fn a_resume_needs_nothing_and_records_who_and_why() {
        let resume = gate(GateKind::Resume);
        assert_eq!(compose(&resume, &Said::default()).unwrap(), json!({}));
        let said = Said { by: Some("ann"), comment: Some("checked"), ..Said::default() };
        assert_eq!(compose(&resume, &said).unwrap(), json!({"approvedBy": "ann", "comment": "checked"}));
        let said = Said { output: Some("\"go\""), ..Said::default() };
        assert_eq!(compose(&resume, &said).unwrap(), json!("go"));
    }

    #[test]
    fn an_abort_is_never_sent_to_a_gate_that_would_take_it_for_yes() {
        let resume = gate(GateKind::Resume);
        for said in [
            Said { decision: Some(Decision::Abort), ..Said::default() },
            Said { output: Some(r#"{"decision":"abort"}"#), ..Said::default() },
        ] {
            assert!(matches!(compose(&resume, &said), Err(CliError::NoDecisionWanted { wave: 2 })));
        }
    }

    #[test]
    fn a_failed_wave_needs_a_known_decision() {
        let decision = gate(GateKind::Decision);
        assert!(matches!(compose(&decision, &Said::default()), Err(CliError::DecisionWanted { wave: 2 })));
        assert!(compose(&decision, &Said { output: Some(r#"{"decision":"later"}"#), ..Said::default() }).is_err());
        assert!(compose(&decision, &Said { output: Some("{"), ..Said::default() }).is_err());
        for known in Decision::ALL {
            let answer = compose(&decision, &Said { decision: Some(known), ..Said::default() }).unwrap();
            assert_eq!(answer, json!({"decision": known.as_str()}));
        }
    }

    #[test]
    fn a_refusal_names_reason_and_person() {
        assert_eq!(refusal("database is wrong", Some("ann")), ("Declined", "database is wrong (says ann)".to_owned()));
        assert_eq!(refusal("no", None).1, "no");
    }
}
