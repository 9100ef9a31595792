//! The result of a CHECK execution, which has no record: what the state machine returned, or why it refused.

use super::problems::render_problems;
use super::spelled::spelled;
use super::table::{left, render_table, right};
use super::text::{claimed, count, duration, render_cause, wrapped};
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_contract::activities::PreparedRun;
use tidegate_contract::foreign::spell_out;

/// What a run of this plan would do now.
pub(crate) fn render_prepared(run: &PreparedRun, width: usize) -> String {
    let run = &spelled(run);
    let servers = run.waves.iter().map(|wave| wave.server_count).sum();
    let columns = [
        right("wave"),
        left("name"),
        right("servers"),
        left("gate before"),
        left("on failure"),
        right("timeout"),
        right("wait after"),
    ];
    let rows = run.waves.iter().map(|wave| {
        vec![
            wave.wave_number.to_string(),
            wave.wave_name.clone(),
            wave.server_count.to_string(),
            if wave.pause_before_wave {
                format!("yes, {}", duration(wave.gate_timeout_seconds))
            } else {
                "-".to_owned()
            },
            wave.on_failure.to_string(),
            duration(wave.timeout_seconds),
            if wave.wait_after_seconds > 0 { duration(wave.wait_after_seconds) } else { "-".to_owned() },
        ]
    });
    let mut text = format!(
        "{} of plan {} {} could run now: {}, {}\n\n{}",
        run.execution_type,
        run.plan_id,
        claimed(&run.plan_name),
        count(run.wave_count, "wave"),
        count(servers, "server"),
        render_table(&columns, rows, width)
    );
    text.push_str(&format!("\n\n{}", digests(run)));
    if !run.warnings.is_empty() {
        text.push_str(&format!("\n\nWarnings\n{}", render_problems(&run.warnings, width)));
    }
    text
}

/// Server ids shown of one wave; the digest is of all.
const MOST_IDS: usize = 50;

/// The same before a person confirms it: with who is in each wave, and who they were compared with.
pub(crate) fn render_checked(run: &PreparedRun, width: usize) -> String {
    let mut text = render_prepared(run, width);
    for (wave, ids) in run.waves.iter().zip(&run.source_server_ids) {
        let shown: Vec<&str> = ids.iter().take(MOST_IDS).map(|id| id.as_str()).collect();
        let more = ids.len().saturating_sub(MOST_IDS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!("\n  wave {}: {}{more}", wave.wave_number, shown.join(" ")));
    }
    text
}

/// With whom the members were compared, and what confirms them.
fn digests(run: &PreparedRun) -> String {
    let compared = match &run.compared_with {
        Some(id) => format!("servers compared with those of {id}, the plan's last good run"),
        None => "no earlier good run of this plan to compare its servers with".to_owned(),
    };
    format!("{compared}\n  planHash        {}\n  membershipHash  {}", run.plan_hash, run.membership_hash)
}

/// The machine's output, if it is what a check returns.
pub(crate) fn read_prepared(output: &str) -> Option<PreparedRun> {
    serde_json::from_str(output).ok()
}

/// Why it refused, with every reason.
pub(crate) fn render_refusal(ended: &MachineStatus, width: usize) -> String {
    let headline = format!("{} {}", ended.status, spell_out(ended.error.as_deref().unwrap_or_default()));
    let cause = render_cause(ended.cause.as_deref().unwrap_or_default(), width);
    format!("{}\n{cause}", wrapped(headline.trim_end(), width, 2)).trim_end().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn prepared() -> Value {
        json!({
            "planId": "crm", "planName": "CRM platform", "executionType": "DRILL", "mode": "CHECK", "waveCount": 1,
            "membershipHash": "x", "firstIndex": 0, "firstAttempts": [1], "completedWaves": 0,
            "waves": [{"waveNumber": 1, "waveKey": "0001", "waveName": "database", "pauseBeforeWave": true, "onFailure": "gate",
                       "timeoutSeconds": 7200, "waitAfterSeconds": 0, "gateTimeoutSeconds": 86400, "serverCount": 2}],
            "warnings": [{"field": "plan.waves[0]", "message": "server s-1 lags 3h", "remedy": "wait"}]
        })
    }

    #[test]
    fn a_passed_check_tells_what_would_run() {
        let run = read_prepared(&prepared().to_string()).unwrap();
        let text = render_prepared(&run, 80);
        for told in ["DRILL of plan crm", "1 wave, 2 servers", "database", "yes, 1d 00h", "gate", "lags 3h"] {
            assert!(text.contains(told), "{told} not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(read_prepared("{}").is_none());
    }

    #[test]
    fn what_is_confirmed_has_its_servers_and_its_digests() {
        let mut told = prepared();
        told["sourceServerIds"] = json!([["s-00000000000000001", "s-00000000000000002"]]);
        told["planHash"] = json!("abc");
        let text = render_checked(&read_prepared(&told.to_string()).unwrap(), 100);
        for told in ["wave 1: s-00000000000000001 s-00000000000000002", "planHash        abc", "no earlier good run"] {
            assert!(text.contains(told), "{told} not in\n{text}");
        }
        told["comparedWith"] = json!("drill-7");
        assert!(
            render_prepared(&read_prepared(&told.to_string()).unwrap(), 100)
                .contains("drill-7, the plan's last good run")
        );
    }

    #[test]
    fn a_refusal_lists_every_problem() {
        let ended = MachineStatus {
            status: "FAILED".to_owned(),
            error: Some("Tidegate.PlanRefused".to_owned()),
            cause: Some("the plan does not fit\n- planId: is unknown. Remedy: store it.".to_owned()),
        };
        assert_eq!(
            render_refusal(&ended, 80),
            "FAILED Tidegate.PlanRefused\n  | the plan does not fit\n  | - planId: is unknown. Remedy: store it."
        );
        let ended = MachineStatus { status: "ABORTED".to_owned(), error: None, cause: None };
        assert_eq!(render_refusal(&ended, 80), "ABORTED");
    }
}
