//! What people are told: the pauses that the gates announce, onto the bus and not into the queue of what could not be
//! delivered; and nothing that anybody else says. Whether a person was told, only a person can say.

use super::Line;
use super::assumptions::{FOREIGN_EVENT, NOTIFICATION};
use tidegate_aws::acceptance::HistoryEvent;
use tidegate_aws::{ErrorClass, PortError};

/// The state that tells people of a pause. What fails in it fails no run, so only the history says.
const ANNOUNCE: &str = "AnnouncePause";

/// Whether the machine put its event onto the bus.
pub(crate) fn announced(history: &[HistoryEvent]) -> Result<(), String> {
    let entered = history.iter().position(|event| event.state.as_deref() == Some(ANNOUNCE));
    let entered = entered.ok_or_else(|| format!("no {ANNOUNCE} is in the history"))?;
    match history[entered..].iter().find(|event| event.kind == "TaskSucceeded" || event.kind.ends_with("StateExited")) {
        Some(event) if event.kind == "TaskSucceeded" => Ok(()),
        _ => Err(format!("{ANNOUNCE} did not succeed: the machine could not put its event onto the bus")),
    }
}

/// The queue's length before and after the gates, or why it is not known.
pub(crate) fn judge(sent: Result<(), String>, before: Result<u64, String>, after: Result<u64, String>) -> Line {
    let check = "announce the pauses of three gates";
    match (sent, before, after) {
        (Err(error), _, _) => Line::unanswered(check, &NOTIFICATION, &error),
        (Ok(()), Err(error), _) | (Ok(()), _, Err(error)) => {
            let told = format!("the bus took them; whether they were delivered is not known: {error}");
            Line::unanswered(check, &NOTIFICATION, &told)
        }
        (Ok(()), Ok(before), Ok(after)) => {
            let told = if after > before {
                format!(
                    "the bus took them, and undelivered events went from {before} to {after}: read one's ERROR_MESSAGE"
                )
            } else {
                "the bus took them and no event is left undelivered; did they reach you?".to_owned()
            };
            Line::compared(check, &NOTIFICATION, after <= before, told)
        }
    }
}

/// What became of an event that the person who runs this put onto the bus. A denial that comes from that person's own policy
/// says nothing of the bus's; AWS's words tell the two apart (IAM user guide, "Troubleshoot access denied error messages").
pub(crate) fn judge_foreign(sent: Result<(), PortError>) -> Line {
    let check = "put an event onto the bus as somebody else";
    match sent {
        Ok(()) => {
            let told = "the bus took it: whoever may call PutEvents here can mail people in our name";
            Line::compared(check, &FOREIGN_EVENT, false, told)
        }
        Err(error) if error.class == ErrorClass::Denied && error.message.contains("resource-based policy") => {
            Line::compared(check, &FOREIGN_EVENT, true, error.to_string())
        }
        Err(error) => Line::unanswered(check, &FOREIGN_EVENT, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::Verdict;
    use crate::accept::handover::tests::event;

    #[test]
    fn an_event_that_waits_undelivered_is_told() {
        assert_eq!(judge(Ok(()), Ok(3), Ok(3)).verdict, Verdict::AsAssumed);
        let lost = judge(Ok(()), Ok(3), Ok(4));
        assert_eq!(lost.verdict, Verdict::Differs);
        assert!(lost.observed.contains("from 3 to 4"));
        let unknown = judge(Ok(()), Err("QueueDoesNotExist".to_owned()), Ok(0));
        assert_eq!(unknown.verdict, Verdict::NotAnswered, "a bus that takes an event delivers nothing yet");
        assert!(unknown.observed.contains("QueueDoesNotExist"));
        assert_eq!(judge(Err("AccessDenied".to_owned()), Ok(0), Ok(0)).verdict, Verdict::NotAnswered);
    }

    #[test]
    fn a_pause_that_was_not_announced_is_seen_in_the_history() {
        let of = |kinds: [&str; 3]| {
            let mut history = vec![event(1, "TaskSucceeded", 0, None)];
            let named = kinds.iter().zip(2..).map(|(kind, id)| {
                let mut event = event(id, kind, 0, None);
                event.state = kind.contains("State").then(|| ANNOUNCE.to_owned());
                event
            });
            history.extend(named);
            history.push(event(9, "TaskSucceeded", 0, None));
            history
        };
        assert_eq!(announced(&of(["TaskStateEntered", "TaskSucceeded", "TaskStateExited"])), Ok(()));
        assert!(announced(&of(["TaskStateEntered", "TaskFailed", "TaskStateExited"])).is_err());
        assert!(announced(&[event(1, "TaskSucceeded", 0, None)]).is_err());
    }

    #[test]
    fn only_a_denial_by_the_buss_own_policy_is_as_assumed() {
        let refused = |class: ErrorClass, message: &str| {
            Err(PortError { class, ..PortError::unreadable("events:PutEvents", message) })
        };
        assert_eq!(judge_foreign(Ok(())).verdict, Verdict::Differs);
        let by_bus = "User: x is not authorized to perform: events:PutEvents on resource: y with an explicit deny in a resource-based policy";
        assert_eq!(judge_foreign(refused(ErrorClass::Denied, by_bus)).verdict, Verdict::AsAssumed);
        let by_own =
            "User: x is not authorized to perform: events:PutEvents because no identity-based policy allows it";
        assert_eq!(judge_foreign(refused(ErrorClass::Denied, by_own)).verdict, Verdict::NotAnswered);
        assert_eq!(judge_foreign(refused(ErrorClass::Transient, "no answer")).verdict, Verdict::NotAnswered);
    }
}
