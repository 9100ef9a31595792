//! What is due when. Two changes of one moment happen in the order in which they were armed, always.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// A change that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    JobStart(String),
    PhaseEnd(String, usize),
    JobEndLogged(String),
    AgentDiscovered(String, usize),
    ActionEnd(String, usize, usize),
    Booted(String),
    Stopped(String),
    Gone(String),
    Forgotten(String),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeMap<(Timestamp, u64), Timer>,
    count: u64,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Timestamp, timer: Timer) {
        self.count += 1;
        self.armed.insert((at, self.count), timer);
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.armed.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Timer)> {
        let entry = self.armed.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let ((at, _), timer) = entry.remove_entry();
        Some((at, timer))
    }
}
