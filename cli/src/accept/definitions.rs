//! What ValidateStateMachineDefinition says of what is deployed.

use super::Line;
use super::assumptions::DEFINITIONS;
use tidegate_aws::acceptance::Validation;

pub(crate) fn judge(machine: &str, said: Result<Validation, String>) -> Line {
    let check = format!("validate the definition of {machine}");
    match said {
        Ok(said) => {
            let told =
                if said.diagnostics.is_empty() { "no diagnostics".to_owned() } else { said.diagnostics.join("; ") };
            Line::compared(check, &DEFINITIONS, said.result == "OK", format!("{}: {told}", said.result))
        }
        Err(error) => Line::unanswered(check, &DEFINITIONS, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::Verdict;

    #[test]
    fn only_ok_is_ok() {
        let said = |result: &str, told: &[&str]| {
            let diagnostics = told.iter().map(|&one| one.to_owned()).collect();
            judge("reconcile", Ok(Validation { result: result.to_owned(), diagnostics }))
        };
        assert_eq!(said("OK", &[]).verdict, Verdict::AsAssumed);
        assert_eq!(said("OK", &["WARNING NO_DOLLAR at /a: b"]).verdict, Verdict::AsAssumed);
        let failed = said("FAIL", &["ERROR SCHEMA_VALIDATION_FAILED at /States/Look/Parameters/IncludedData: unknown"]);
        assert_eq!(failed.verdict, Verdict::Differs);
        assert!(failed.observed.contains("IncludedData") && failed.check.contains("reconcile"));
        assert_eq!(said("NEW_WORD", &[]).verdict, Verdict::Differs, "what AWS may add is never taken for success");
        let denied =
            judge("recovery", Err("states:ValidateStateMachineDefinition failed with AccessDenied".to_owned()));
        assert_eq!(denied.verdict, Verdict::NotAnswered);
        assert!(denied.observed.contains("AccessDenied"));
    }
}
