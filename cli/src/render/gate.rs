//! An open gate: what it asks, until when, and the exact commands that answer it. The token is named by where it lies,
//! never by its value.

use super::spelled::spelled;
use super::text::{claimed, clock, duration, shell_word};
use jiff::Timestamp;
use serde_json::json;
use tidegate_contract::records::{ExecutionRecord, Gate, GateKind};
use tidegate_core::time;

/// The gate of a paused execution, if one is open. `table` is the execution-gates table's name.
pub(crate) fn render_gate(record: &ExecutionRecord, table: &str, now: Timestamp) -> Option<String> {
    let record = &spelled(record);
    let gate = record.gate.as_ref()?;
    let name = shell_word(record.execution_id.as_str());
    let (headline, answers, output) = match gate.kind {
        GateKind::Resume => (
            format!("PAUSED before {}", wave_title(record, gate.wave_number)),
            vec![
                format!("resume   tidegate resume {name}"),
                format!("decline  tidegate decline {name} --reason 'why not'"),
            ],
            "{}".to_owned(),
        ),
        GateKind::Decision => (
            format!("PAUSED for a decision about {}", wave_title(record, gate.wave_number)),
            vec![
                format!("decide   tidegate resume {name} --decision retry|skip|continue|abort"),
                format!("decline  tidegate decline {name} --reason 'why not'"),
            ],
            json!({"decision": "retry"}).to_string(),
        ),
    };
    let weakened = record.weakened.map(|terms| {
        let after = if terms.hold_seconds > 0 {
            format!(" {} after its end", duration(terms.hold_seconds))
        } else {
            " at its end".to_owned()
        };
        let first = record.continues.as_ref().map_or("the continued run", |id| id.as_str());
        format!("resume   also lets it terminate{after} the drill instances that {first} was to keep or hold longer")
    });
    let mut lines = vec![format!("{headline} since {} UTC: {}", clock(&gate.since), gate.reason), left(gate, now)];
    lines.extend(weakened);
    lines.extend(answers);
    lines.push(format!("or       {}", aws_command(record, table, &output)));
    Some(lines.join("\n  "))
}

/// The same answer with the AWS CLI, for whoever has no `tidegate` at hand. The token goes through a pipe: arguments are seen by
/// everybody on the computer (`ps`). Not with `--cli-input-json`, which the AWS CLI reads twice (aws/aws-cli issue 5982).
pub(crate) fn aws_command(record: &ExecutionRecord, table: &str, output: &str) -> String {
    let key = json!({ "executionId": { "S": record.execution_id.as_str() } });
    format!(
        "aws dynamodb get-item --consistent-read --table-name {} --key {} --query 'Item.token.S' --output text \
         | tr -d '\\n' | aws stepfunctions send-task-success --task-token file:///dev/stdin --task-output {}",
        shell_word(table),
        shell_word(&key.to_string()),
        shell_word(output),
    )
}

fn left(gate: &Gate, now: Timestamp) -> String {
    let stood = time::seconds_since(&gate.since, now);
    match gate.timeout_seconds.checked_sub(stood) {
        Some(seconds) if seconds > 0 => {
            format!("open for {}, ends TIMED_OUT in {}", duration(stood), duration(seconds))
        }
        _ => format!("open for {}, past its {}", duration(stood), duration(gate.timeout_seconds)),
    }
}

/// `wave 2 "application"`.
pub(crate) fn wave_title(record: &ExecutionRecord, number: u32) -> String {
    match record.waves.iter().find(|wave| wave.wave_number == number) {
        Some(wave) => format!("wave {number} {}", claimed(&wave.wave_name)),
        None => format!("wave {number}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{SECRET, now, paused_view, record};
    use tidegate_contract::ExecutionStatus;

    #[test]
    fn a_pause_names_wave_reason_deadline_and_both_commands() {
        let text = render_gate(&paused_view(GateKind::Resume).record, "tidegate-execution-gates", now()).unwrap();
        assert_eq!(
            text,
            "PAUSED before wave 2 \"application\" since 03:21:00 UTC: the plan pauses before this wave\n  \
             open for 20m 00s, ends TIMED_OUT in 23h 40m\n  \
             resume   tidegate resume crm-drill-20260102-030000\n  \
             decline  tidegate decline crm-drill-20260102-030000 --reason 'why not'\n  \
             or       aws dynamodb get-item --consistent-read --table-name tidegate-execution-gates --key \
             '{\"executionId\":{\"S\":\"crm-drill-20260102-030000\"}}' \
             --query 'Item.token.S' --output text | tr -d '\\n' | aws stepfunctions send-task-success \
             --task-token file:///dev/stdin --task-output '{}'"
        );
        assert!(!text.contains(SECRET));
    }

    #[test]
    fn a_decision_names_its_words() {
        let text = render_gate(&paused_view(GateKind::Decision).record, "t", now()).unwrap();
        assert!(text.contains("--decision retry|skip|continue|abort"), "{text}");
        assert!(text.contains(r#"--task-output '{"decision":"retry"}'"#), "{text}");
    }

    #[test]
    fn no_gate_no_text() {
        assert_eq!(render_gate(&record(ExecutionStatus::Polling), "t", now()), None);
    }
}
