//! When to look again, at what, and when to ask Step Functions. The record is the truth and is read often;
//! DescribeExecution has a quota shared by the whole account (15 a second in some Regions), so it is asked only when the
//! record cannot tell: it does not exist, stands still, or is final while the execution may still be cleaning up.

use crate::verdict::Machine;
use crate::view::WaveItems;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{CleanupStatus, ExecutionStatus};
use tidegate_core::time::seconds_between;

/// Reads that fail in passing are forgiven for this long.
pub(crate) const PATIENCE_SECONDS: u32 = 120;

/// After Step Functions has ended without a terminal record, the reconcile machine has this long to write one.
const RECONCILE_SECONDS: u32 = 45;

/// How long until the next look at the record, by how long nothing has changed.
pub(crate) fn pause(quiet_seconds: u32) -> Duration {
    Duration::from_millis(match quiet_seconds {
        0..15 => 500,
        15..90 => 1_000,
        90..900 => 3_000,
        _ => 10_000,
    })
}

/// Waves to read again: those begun whose last reading may be out of date. `timeline_read` is how much of the timeline was
/// there at the last reading.
pub(crate) fn unread_waves(
    record: &ExecutionRecord,
    known: &BTreeMap<u32, WaveItems>,
    timeline_read: usize,
) -> Vec<u32> {
    let touched = |number: u32| record.timeline.iter().skip(timeline_read).any(|entry| entry.wave_number == number);
    (1..=record.current_wave)
        .filter(|number| {
            let settled = known.get(number).is_some_and(|(wave, _)| wave.status.is_settled());
            // An operator's decision changes a settled wave: a retry while it is the current one, a skip as it is closed.
            !settled
                || touched(*number)
                || (*number == record.current_wave && record.status == ExecutionStatus::Polling)
        })
        .collect()
}

/// Where the watching stands with Step Functions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    began: Timestamp,
    changed: Timestamp,
    asked: Option<Timestamp>,
    /// When Step Functions was first seen to have ended.
    ended: Option<Timestamp>,
}

impl Asking {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { began: now, changed: now, asked: None, ended: None }
    }

    pub(crate) const fn change_seen(&mut self, now: Timestamp) {
        self.changed = now;
    }

    pub(crate) fn quiet_seconds(&self, now: Timestamp) -> u32 {
        seconds_between(self.changed, now)
    }

    pub(crate) fn answered(&mut self, now: Timestamp, machine: &Machine) {
        self.asked = Some(now);
        if matches!(machine, Machine::Ended(_)) {
            self.ended.get_or_insert(now);
        }
    }

    /// Whether to ask Step Functions now.
    pub(crate) fn is_due(&self, record: Option<&ExecutionRecord>, now: Timestamp) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let (quiet_first, again_after) = match record {
            None => (3, if seconds_between(self.began, now) < 60 { 3 } else { 15 }),
            Some(record) if !record.status.is_terminal() => (60, 60),
            Some(record) if cleanup_is_open(record) => (60, 60),
            // Final, and about to end.
            Some(_) => (0, 2),
        };
        let rested = self.asked.is_none_or(|asked| seconds_between(asked, now) >= again_after);
        rested && self.quiet_seconds(now) >= quiet_first
    }

    /// Whether there is nothing more to wait for.
    pub(crate) fn is_over(&self, record: Option<&ExecutionRecord>, machine: &Machine, now: Timestamp) -> bool {
        match (record, machine) {
            (Some(record), Machine::Ended(_)) if record.status.is_terminal() => true,
            // Whoever may not ask Step Functions goes by the record.
            (Some(record), Machine::Unknown) if record.status.is_terminal() && self.asked.is_some() => {
                !cleanup_is_open(record)
            }
            // It came to an end of its own and left no record: it was a check, or its refusal could not be written.
            (None, Machine::Ended(ended)) if ended.status == "SUCCEEDED" || ended.status == "FAILED" => true,
            (_, Machine::Ended(_)) => self.ended.is_some_and(|ended| seconds_between(ended, now) >= RECONCILE_SECONDS),
            (_, Machine::Running | Machine::Unknown) => false,
        }
    }
}

/// Instances are up and are to go: held, or being terminated.
pub(crate) fn cleanup_is_open(record: &ExecutionRecord) -> bool {
    let due = record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due);
    due && record.cleanup.as_ref().is_none_or(|cleanup| cleanup.status == CleanupStatus::Running)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{cleanup, entry, outcome, record, wave};
    use tidegate_aws::stepfunctions::MachineStatus;
    use tidegate_contract::WaveStatus;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn ended() -> Machine {
        Machine::of(MachineStatus { status: "ABORTED".to_owned(), error: None, cause: None })
    }

    #[test]
    fn a_lively_record_is_never_a_reason_to_ask_step_functions() {
        let mut asking = Asking::new(at(0));
        let running = record(ExecutionStatus::Polling);
        for second in 0..600 {
            if second % 10 == 0 {
                asking.change_seen(at(second));
            }
            assert!(!asking.is_due(Some(&running), at(second)), "{second}");
        }
        assert!(asking.is_due(Some(&running), at(660)));
        asking.answered(at(660), &Machine::Running);
        assert!(!asking.is_due(Some(&running), at(661)));
        assert!(asking.is_due(Some(&running), at(720)));
    }

    #[test]
    fn a_final_record_is_over_once_step_functions_has_ended() {
        let mut asking = Asking::new(at(0));
        let done = record(ExecutionStatus::Completed);
        assert!(asking.is_due(Some(&done), at(1)));
        asking.answered(at(1), &Machine::Running);
        assert!(!asking.is_over(Some(&done), &Machine::Running, at(1)));
        assert!(asking.is_due(Some(&done), at(3)));
        assert!(asking.is_over(Some(&done), &ended(), at(3)));
    }

    #[test]
    fn a_cleanup_is_followed_to_its_end() {
        let mut done = record(ExecutionStatus::Completed);
        done.outcome = Some(outcome("", "", true));
        let mut asking = Asking::new(at(0));
        assert!(!asking.is_due(Some(&done), at(5)), "held: nothing to ask");
        asking.answered(at(6), &Machine::Unknown);
        assert!(!asking.is_over(Some(&done), &Machine::Unknown, at(7)));
        done.cleanup = Some(cleanup(CleanupStatus::Completed));
        assert!(asking.is_due(Some(&done), at(10)));
        assert!(asking.is_over(Some(&done), &Machine::Unknown, at(10)), "who may not ask goes by the record");
    }

    #[test]
    fn an_execution_that_ended_without_a_record_of_it_gets_time_to_reconcile() {
        let mut asking = Asking::new(at(0));
        let stuck = record(ExecutionStatus::Polling);
        asking.answered(at(60), &ended());
        assert!(!asking.is_over(Some(&stuck), &ended(), at(61)));
        assert!(!asking.is_due(Some(&stuck), at(200)));
        assert!(asking.is_over(Some(&stuck), &ended(), at(60 + i64::from(RECONCILE_SECONDS))));
    }

    #[test]
    fn settled_waves_are_not_read_again() {
        let mut running = record(ExecutionStatus::Polling);
        running.current_wave = 2;
        let mut known = BTreeMap::new();
        assert_eq!(unread_waves(&running, &known, 0), [1, 2]);
        known.insert(1, (wave(1, WaveStatus::Completed), Vec::new()));
        known.insert(2, (wave(2, WaveStatus::Failed), Vec::new()));
        assert_eq!(unread_waves(&running, &known, 0), [2], "a retry may begin it anew");
        running.status = ExecutionStatus::Paused;
        assert!(unread_waves(&running, &known, 0).is_empty());
        running.timeline = vec![entry("WAVE_CLOSED", 1), entry("PAUSED", 2)];
        assert_eq!(unread_waves(&running, &known, 0), [1, 2], "a skip is seen when the wave is closed");
        assert!(unread_waves(&running, &known, 2).is_empty());
    }
}
