//! The test notification: onto the bus, and not into the queue of what could not be delivered. Whether a person was told,
//! only a person can say.

use super::Line;
use super::assumptions::NOTIFICATION;

/// The queue's length before and after, or why it is not known.
pub(crate) fn judge(sent: Result<(), String>, before: Result<u64, String>, after: Result<u64, String>) -> Line {
    let check = "send the test notification";
    match (sent, before, after) {
        (Err(error), _, _) => Line::unanswered(check, &NOTIFICATION, &error),
        (Ok(()), Err(error), _) | (Ok(()), _, Err(error)) => {
            let told = format!("the bus took it; whether it was delivered is not known: {error}");
            Line::unanswered(check, &NOTIFICATION, &told)
        }
        (Ok(()), Ok(before), Ok(after)) => {
            let told = if after > before {
                format!(
                    "the bus took it, and undelivered events went from {before} to {after}: read one's ERROR_MESSAGE"
                )
            } else {
                "the bus took it and no event is left undelivered; did it reach you?".to_owned()
            };
            Line::compared(check, &NOTIFICATION, after <= before, told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::Verdict;

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
}
