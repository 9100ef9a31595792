//! CHECK and DRY_RUN of the plan: the machine, its integrations and the workers at work, and nothing launched.

use super::Line;
use super::assumptions::MACHINE_RUNS;

/// How an execution ended: Step Functions' status, and error and cause if there are any.
pub(crate) fn judge(mode: &str, plan_id: &str, ended: Result<(String, String), String>) -> Line {
    let check = format!("{mode} of plan {plan_id}");
    match ended {
        Ok((status, why)) => {
            let told = if why.is_empty() { status.clone() } else { format!("{status}: {why}") };
            Line::compared(check, &MACHINE_RUNS, status == "SUCCEEDED", told)
        }
        Err(error) => Line::unanswered(check, &MACHINE_RUNS, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::Verdict;

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let ended = |status: &str, why: &str| judge("CHECK", "crm", Ok((status.to_owned(), why.to_owned())));
        assert_eq!(ended("SUCCEEDED", "").verdict, Verdict::AsAssumed);
        let refused = ended("FAILED", "Tidegate.PlanRefused: server s-1 is unknown");
        assert_eq!(refused.verdict, Verdict::Differs);
        assert!(refused.observed.contains("s-1 is unknown"));
        assert_eq!(ended("TIMED_OUT", "").verdict, Verdict::Differs);
        assert_eq!(judge("CHECK", "crm", Err("no worker".to_owned())).verdict, Verdict::NotAnswered);
    }
}
