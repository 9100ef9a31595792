//! Names of executions, and the ARNs that follow from them.

use crate::error::CliError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_contract::ExecutionType;

/// StartExecution: at most 80 characters.
const MAX_NAME: usize = 80;

/// `crm-drill-20260102-030405`, in UTC.
pub(crate) fn default_name(plan_id: &str, execution_type: ExecutionType, now: Timestamp) -> String {
    named(plan_id, &format!("-{}-{}", execution_type.as_str().to_ascii_lowercase(), digits(now)))
}

/// Name of the reconcile machine's execution about one of ours: `<name>-20260102-030405-678`.
pub(crate) fn reconcile_name(name: &str, now: Timestamp) -> String {
    named(name, &format!("-{}-{:03}", digits(now), now.as_millisecond().rem_euclid(1_000)))
}

/// Name of the check that is made before a recovery is confirmed: `<name>-check-20260102-030405`.
pub(crate) fn check_run_name(name: &str, now: Timestamp) -> String {
    named(name, &format!("-check-{}", digits(now)))
}

/// Name of an execution that `accept` starts: `accept-check-20260102-030405`.
pub(crate) fn accept_name(what: &str, now: Timestamp) -> String {
    named(&format!("accept-{what}"), &format!("-{}", digits(now)))
}

/// `tidegate-accept-dev-20260102-030405.json`
pub(crate) fn accept_file(environment: &str, now: Timestamp) -> String {
    format!("{}.json", named(&format!("tidegate-accept-{environment}"), &format!("-{}", digits(now))))
}

/// `20260102-030405`
fn digits(now: Timestamp) -> String {
    let at = now.to_zoned(TimeZone::UTC).datetime();
    let (year, month, day) = (at.year(), at.month(), at.day());
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", at.hour(), at.minute(), at.second())
}

/// As much of `head` as there is room for, and all of `tail`.
fn named(head: &str, tail: &str) -> String {
    let letters = head.chars().map(|letter| if is_allowed(letter) { letter } else { '-' });
    let head: String = letters.take(MAX_NAME.saturating_sub(tail.len())).collect();
    head + tail
}

/// Step Functions takes more, but a name outside this set cannot be logged to CloudWatch (API reference, StartExecution).
pub(crate) fn check_name(name: &str) -> Result<(), CliError> {
    let refuse = |reason: String| Err(CliError::BadName { name: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("is empty; leave --name out for a name made of plan, type and time".to_owned());
    }
    if let Some(letter) = name.chars().find(|letter| !is_allowed(*letter)) {
        return refuse(format!("holds {letter:?}; use letters, digits, - and _"));
    }
    if name.len() > MAX_NAME {
        return refuse(format!("has {} characters, more than {MAX_NAME}", name.len()));
    }
    Ok(())
}

const fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
}

/// The ARN of an execution of this machine. A version or alias at the end of the machine's ARN is no part of it.
pub(crate) fn execution_arn(machine_arn: &str, name: &str) -> Option<String> {
    let parts: Vec<&str> = machine_arn.split(':').collect();
    match parts.as_slice() {
        [arn, partition, service, region, account, "stateMachine", machine, ..] => {
            Some([arn, partition, service, region, account, "execution", machine, name].join(":"))
        }
        _ => None,
    }
}

/// The machine an execution belongs to.
pub(crate) fn machine_of(execution_arn: &str) -> Option<String> {
    let parts: Vec<&str> = execution_arn.split(':').collect();
    match parts.as_slice() {
        [arn, partition, service, region, account, "execution", machine, ..] => {
            Some([arn, partition, service, region, account, "stateMachine", machine].join(":"))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    #[test]
    fn a_name_tells_plan_type_and_time() {
        assert_eq!(default_name("crm", ExecutionType::Drill, at()), "crm-drill-20260102-030405");
    }

    #[test]
    fn any_plan_id_makes_a_name_step_functions_takes() {
        for plan in ["erp.v2", &"p".repeat(64), "a_b"] {
            let name = default_name(plan, ExecutionType::Recovery, at());
            assert!(check_name(&name).is_ok(), "{name}");
            assert!(name.ends_with("-recovery-20260102-030405"), "{name}");
        }
    }

    #[test]
    fn a_reconcile_run_is_named_after_what_it_is_about() {
        assert_eq!(reconcile_name("run-1", at()), "run-1-20260102-030405-678");
        assert!(check_name(&reconcile_name(&"x".repeat(80), at())).is_ok());
        let execution = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";
        let machine = machine_of(execution).unwrap();
        assert_eq!(execution_arn(&machine, "run-1").unwrap(), execution);
        assert_eq!(machine_of("run-1"), None);
    }

    #[test]
    fn names_that_would_be_refused_later_are_refused_here() {
        for (name, why) in
            [("", "empty"), ("a b", "' '"), ("drill/1", "'/'"), ("dríll", "'í'"), (&"x".repeat(81), "81")]
        {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn executions_belong_to_the_machine_not_to_its_alias() {
        let machine = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-recovery";
        let wanted = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";
        assert_eq!(execution_arn(machine, "run-1").unwrap(), wanted);
        assert_eq!(execution_arn(&format!("{machine}:live"), "run-1").unwrap(), wanted);
        assert_eq!(execution_arn("tidegate-recovery", "run-1"), None);
    }
}
