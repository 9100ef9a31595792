//! How long a task waits until a worker has it, from the history of an execution.

use super::Line;
use super::assumptions::HAND_OVER;
use tidegate_aws::acceptance::HistoryEvent;

/// As HAND_OVER says.
const LONGEST_MILLIS: i64 = 2_000;

/// Milliseconds from each ActivityScheduled to its ActivityStarted. The machines run one branch, so the one before is its own.
pub(crate) fn hand_overs(history: &[HistoryEvent]) -> Vec<i64> {
    let mut scheduled = None;
    let mut waits = Vec::new();
    for event in history {
        match event.kind.as_str() {
            "ActivityScheduled" => scheduled = Some(event.at_millis),
            "ActivityStarted" => waits.extend(scheduled.take().map(|at| event.at_millis - at)),
            _ => {}
        }
    }
    waits
}

pub(crate) fn judge(waits: Result<Vec<i64>, String>) -> Line {
    let check = "measure how long tasks wait for a worker";
    let mut waits = match waits {
        Ok(waits) => waits,
        Err(error) => return Line::unanswered(check, &HAND_OVER, &error),
    };
    waits.sort_unstable();
    match (waits.get(waits.len() / 2), waits.last()) {
        (Some(median), Some(longest)) => {
            let told = format!("median {median} ms, longest {longest} ms of {} tasks", waits.len());
            Line::compared(check, &HAND_OVER, *longest <= LONGEST_MILLIS, told)
        }
        _ => Line::unanswered(check, &HAND_OVER, "no task was handed over"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::accept::Verdict;

    pub(crate) fn event(id: i64, kind: &str, at_millis: i64, data: Option<&str>) -> HistoryEvent {
        HistoryEvent {
            id,
            previous: id - 1,
            kind: kind.to_owned(),
            at_millis,
            state: None,
            data: data.map(str::to_owned),
        }
    }

    #[test]
    fn a_task_waits_from_its_scheduling_to_its_start() {
        let history = [
            event(1, "ExecutionStarted", 0, None),
            event(2, "ActivityScheduled", 10, None),
            event(3, "ActivityStarted", 40, None),
            event(4, "ActivitySucceeded", 900, None),
            event(5, "ActivityScheduled", 1_000, None),
            event(6, "ActivityTimedOut", 4_000, None),
            event(7, "ActivityScheduled", 5_000, None),
            event(8, "ActivityStarted", 6_500, None),
        ];
        assert_eq!(hand_overs(&history), [30, 1_500], "one that nobody took counts for nothing");
        let line = judge(Ok(hand_overs(&history)));
        assert_eq!(line.verdict, Verdict::AsAssumed);
        assert!(line.observed.contains("longest 1500 ms of 2 tasks"), "{}", line.observed);
        assert_eq!(judge(Ok(vec![1, 2, 61_000])).verdict, Verdict::Differs);
        assert_eq!(judge(Ok(Vec::new())).verdict, Verdict::NotAnswered);
        assert_eq!(judge(Err("denied".to_owned())).verdict, Verdict::NotAnswered);
    }
}
