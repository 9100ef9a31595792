//! Records that drifted, a line each, and what each needs.

use super::spelled::spelled;
use super::table::{left, render_table, whole};
use super::text::shell_word;
use crate::drift::Drift;
use crate::verdict::Machine;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{CleanupStatus, ExecutionId, ExecutionStatus};

/// The list, or a sentence when there is nothing to repair.
pub(crate) fn render_drifts(found: &[(ExecutionRecord, Machine, Drift)], width: usize) -> String {
    if found.is_empty() {
        return "nothing to reconcile: records and Step Functions agree".to_owned();
    }
    let columns = [whole("execution"), left("record"), left("Step Functions"), left("what is wrong")];
    let rows = found.iter().map(|(record, machine, drift)| {
        let said = match machine {
            Machine::Ended(ended) => ended.status.clone(),
            Machine::Running => "RUNNING".to_owned(),
            Machine::Unknown => "forgotten".to_owned(),
        };
        let record = spelled(record);
        vec![record.execution_id.to_string(), record.status.to_string(), said, render_drift(*drift).to_owned()]
    });
    render_table(&columns, rows, width)
}

/// A record that needs no repair. `elsewhere`: the execution that has taken its drill instances over, or is about to.
pub(crate) fn render_agreed(name: &str, status: ExecutionStatus, elsewhere: Option<&ExecutionId>) -> String {
    let instances = elsewhere
        .map_or_else(String::new, |other| format!("; its drill instances went to {}", spell_out(other.as_str())));
    format!("{name} is {status}: nothing to reconcile{instances}")
}

/// What a search did not reach.
pub(crate) fn render_unseen(statuses: &[ExecutionStatus], most: usize) -> String {
    let statuses: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
    format!(
        "only the newest {most} executions that are {} were looked at; of an older one, give the name: tidegate reconcile NAME",
        statuses.join(", ")
    )
}

/// What is wrong, in a few words.
pub(crate) const fn render_drift(drift: Drift) -> &'static str {
    match drift {
        Drift::Open => "never finalized; its servers are locked",
        Drift::Cleanup(None) => "drill instances may be up; their cleanup never began",
        Drift::Cleanup(Some(CleanupStatus::Running)) => "drill instances may be up; their cleanup was not finished",
        Drift::Cleanup(Some(_)) => "drill instances may be up; their cleanup failed",
    }
}

/// The command that helps.
pub(crate) fn remedy(name: &str, drift: Drift) -> String {
    let name = shell_word(name);
    match drift {
        Drift::Open => format!("tidegate reconcile {name}"),
        Drift::Cleanup(_) => format!("tidegate reconcile {name} --clean-up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::record;

    #[test]
    fn a_line_says_what_is_wrong_and_a_command_what_to_do() {
        assert!(render_drifts(&[], 120).starts_with("nothing to reconcile"));
        let open = record(ExecutionStatus::Polling);
        let name = open.execution_id.to_string();
        let text = render_drifts(&[(open, Machine::Unknown, Drift::Open)], 120);
        for told in [name.as_str(), "POLLING", "forgotten", "never finalized"] {
            assert!(text.contains(told), "{told} not in {text}");
        }
        let unseen = render_unseen(&[ExecutionStatus::Completed, ExecutionStatus::Failed], 1_000);
        assert!(unseen.contains("newest 1000 executions that are COMPLETED, FAILED"), "{unseen}");
        let other = ExecutionId::from("run-2");
        assert!(render_agreed("run-1", ExecutionStatus::Failed, Some(&other)).ends_with("instances went to run-2"));
        assert_eq!(render_agreed("run-1", ExecutionStatus::Failed, None), "run-1 is FAILED: nothing to reconcile");
        assert_eq!(remedy("run-1", Drift::Open), "tidegate reconcile run-1");
        assert!(remedy("run-1", Drift::Cleanup(None)).ends_with("--clean-up"));
    }
}
