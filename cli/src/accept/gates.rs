//! A gate declined three ways: SendTaskFailure takes an error and a cause, and both may be left out.

use super::Line;
use super::assumptions::{DECLINED, DECLINED_ENDS};
use serde_json::{Value, json};
use tidegate_aws::acceptance::HistoryEvent;

/// What is sent with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    TokenOnly,
    ErrorOnly,
    ErrorAndCause,
}

const ERROR: &str = "Accept.Declined";
const CAUSE: &str = "tidegate accept declines this gate";

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::TokenOnly, Self::ErrorOnly, Self::ErrorAndCause];

    pub(crate) const fn error(self) -> Option<&'static str> {
        match self {
            Self::TokenOnly => None,
            Self::ErrorOnly | Self::ErrorAndCause => Some(ERROR),
        }
    }

    pub(crate) const fn cause(self) -> Option<&'static str> {
        match self {
            Self::TokenOnly | Self::ErrorOnly => None,
            Self::ErrorAndCause => Some(CAUSE),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::TokenOnly => "nothing but its token",
            Self::ErrorOnly => "an error and no cause",
            Self::ErrorAndCause => "an error and a cause",
        }
    }

    /// For the execution's name.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::TokenOnly => "token-only",
            Self::ErrorOnly => "error-only",
            Self::ErrorAndCause => "error-and-cause",
        }
    }
}

/// How a declined run ended, in the record's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) status: String,
    /// DECLINED, if the machine understood; other words, or none.
    pub(crate) reason: String,
    pub(crate) error: String,
}

/// What the machine's Catch was handed: it puts it at `$.error`, and the next event with data shows it.
pub(crate) fn caught(history: &[HistoryEvent]) -> Result<Value, String> {
    let failed = history.iter().position(|event| event.kind == "TaskFailed").ok_or("the history has no TaskFailed")?;
    let data =
        history.iter().skip(failed).filter_map(|event| serde_json::from_str::<Value>(event.data.as_deref()?).ok());
    let mut handed = data.filter_map(|data| data.get("error").cloned());
    handed.next().ok_or_else(|| "no state after it shows what was caught".to_owned())
}

/// Two lines: what the Catch got, and what became of the run.
pub(crate) fn judge(way: Way, caught: Result<Value, String>, ending: Result<Ending, String>) -> [Line; 2] {
    let wanted = json!({ "Error": way.error(), "Cause": way.cause() });
    let check = format!("decline a gate with {}: what is caught", way.words());
    let first = match caught {
        Ok(handed) => {
            let told = format!("{handed}, where {wanted} was expected");
            let told = if handed == wanted { handed.to_string() } else { told };
            Line::compared(check, &DECLINED, handed == wanted, told)
        }
        Err(error) => Line::unanswered(check, &DECLINED, &error),
    };
    let check = format!("decline a gate with {}: how the run ends", way.words());
    let second = match ending {
        Ok(ending) => {
            let told = format!("{} {} {}", ending.status, ending.reason, ending.error);
            let holds = ending.status == "CANCELLED" && ending.reason == "DECLINED";
            Line::compared(check, &DECLINED_ENDS, holds, told.trim_end())
        }
        Err(error) => Line::unanswered(check, &DECLINED_ENDS, &error),
    };
    [first, second]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::accept::Verdict;
    use crate::accept::handover::tests::event;

    fn cancelled() -> Result<Ending, String> {
        let (status, reason) = ("CANCELLED".to_owned(), "DECLINED".to_owned());
        Ok(Ending { status, reason, error: "Tidegate.Cancelled".to_owned() })
    }

    #[test]
    fn null_absent_and_empty_are_three_things() {
        let null = json!({ "Error": null, "Cause": null });
        for (way, handed, verdict) in [
            (Way::TokenOnly, null.clone(), Verdict::AsAssumed),
            (Way::TokenOnly, json!({}), Verdict::Differs),
            (Way::TokenOnly, json!({ "Error": "", "Cause": "" }), Verdict::Differs),
            (Way::TokenOnly, json!({ "Error": null }), Verdict::Differs),
            (Way::ErrorOnly, json!({ "Error": ERROR, "Cause": null }), Verdict::AsAssumed),
            (Way::ErrorOnly, json!({ "Error": ERROR, "Cause": "" }), Verdict::Differs),
            (Way::ErrorAndCause, json!({ "Error": ERROR, "Cause": CAUSE }), Verdict::AsAssumed),
            (Way::ErrorAndCause, null, Verdict::Differs),
        ] {
            let [caught, ends] = judge(way, Ok(handed.clone()), cancelled());
            assert_eq!(caught.verdict, verdict, "{way:?} {handed}");
            assert!(caught.observed.contains(&handed.to_string()), "{}", caught.observed);
            assert_eq!(ends.verdict, Verdict::AsAssumed);
        }
    }

    /// What the bug of the first day looked like: the run FAILED, its drill instances up.
    #[test]
    fn a_run_that_fails_for_a_silent_refusal_is_told() {
        let failed = Ending {
            status: "FAILED".to_owned(),
            reason: "MACHINE_FAILED".to_owned(),
            error: "Tidegate.FinalizeFailed".to_owned(),
        };
        let [_, ends] = judge(Way::TokenOnly, Err("denied".to_owned()), Ok(failed));
        assert_eq!(ends.verdict, Verdict::Differs);
        assert!(ends.observed.contains("Tidegate.FinalizeFailed"));
        let [caught, ends] = judge(Way::TokenOnly, Err("denied".to_owned()), Err("no end".to_owned()));
        assert_eq!((caught.verdict, ends.verdict), (Verdict::NotAnswered, Verdict::NotAnswered));
    }

    #[test]
    fn what_was_caught_is_read_from_the_history() {
        let history = [
            event(1, "TaskStateEntered", 0, Some(r#"{"error":"of somebody else"}"#)),
            event(2, "TaskSubmitted", 0, None),
            event(3, "TaskFailed", 0, None),
            event(4, "TaskStateExited", 0, Some(r#"{"run":{},"error":{"Error":null,"Cause":null}}"#)),
            event(5, "PassStateEntered", 0, Some(r#"{"run":{},"error":{"Error":"later"}}"#)),
        ];
        assert_eq!(caught(&history), Ok(json!({ "Error": null, "Cause": null })));
        assert!(caught(&history[..3]).unwrap_err().contains("shows"));
        assert!(caught(&history[..2]).unwrap_err().contains("TaskFailed"));
    }
}
