//! Counts of one worker's life, for its summary.

use crate::telemetry::TaskResult;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters shared by pollers and tasks. Relaxed: they are read once, after every task has ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    polls: AtomicU64,
    taken: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
}

/// What a worker did between its start and its return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerSummary {
    /// Polls that came to an end, well or not.
    pub polls: u64,
    /// Tasks the service handed to this worker. The three numbers below add up to it.
    pub tasks_taken: u64,
    /// Answered with a success that the service accepted.
    pub succeeded: u64,
    /// Answered with a failure that the service accepted.
    pub failed: u64,
    /// No answer is known to have been accepted.
    pub abandoned: u64,
}

impl Tally {
    pub(crate) fn polled(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn finished(&self, result: TaskResult) {
        let counter = match result {
            TaskResult::Success => &self.succeeded,
            TaskResult::Failure => &self.failed,
            TaskResult::Abandoned => &self.abandoned,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn summary(&self) -> WorkerSummary {
        WorkerSummary {
            polls: self.polls.load(Ordering::Relaxed),
            tasks_taken: self.taken.load(Ordering::Relaxed),
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
        }
    }
}
