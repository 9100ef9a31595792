//! How long to wait before trying a call again. This is the only module that may name the `backoff` crate: it is
//! unmaintained (RUSTSEC-2025-0012, it also drags in `instant`, RUSTSEC-2024-0384), so it must be replaceable by editing
//! one file. We take its exponential series only. Its randomness is turned off (it draws from a global source that tests
//! cannot seed; `jitter.rs` does that part), and so is its elapsed-time limit (it reads the real clock even when tokio's is
//! paused; callers bound retries themselves).

use crate::jitter::Jitter;
use crate::service::TaskServiceErrorClass;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use std::sync::Arc;
use std::time::Duration;

/// The bounds of one exponential series: `initial`, doubled at each attempt, never over `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffBounds {
    /// Wait after the first failure (before jitter).
    pub initial: Duration,
    /// The longest wait (before jitter).
    pub max: Duration,
}

impl BackoffBounds {
    /// Bounds from `initial` to `max`.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    fn series(self) -> ExponentialBackoff {
        ExponentialBackoff {
            current_interval: self.initial,
            initial_interval: self.initial,
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: self.max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        }
    }
}

/// One run of failures. Throttling has a slower series of its own: a throttled account is not helped by eager retries.
#[derive(Debug)]
pub(crate) struct RetrySchedule {
    ordinary: ExponentialBackoff,
    throttled: ExponentialBackoff,
    longest: Duration,
    longest_throttled: Duration,
    attempts: u32,
    jitter: Arc<Jitter>,
}

impl RetrySchedule {
    pub(crate) fn new(ordinary: BackoffBounds, throttled: BackoffBounds, jitter: Arc<Jitter>) -> Self {
        Self {
            ordinary: ordinary.series(),
            throttled: throttled.series(),
            longest: ordinary.max,
            longest_throttled: throttled.max,
            attempts: 0,
            jitter,
        }
    }

    /// Counts a failure and returns the wait before the next attempt.
    pub(crate) fn next_wait(&mut self, class: TaskServiceErrorClass) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let (series, longest) = if class == TaskServiceErrorClass::Throttled {
            (&mut self.throttled, self.longest_throttled)
        } else {
            (&mut self.ordinary, self.longest)
        };
        // With no elapsed-time limit the series never ends; the longest wait is the safe reading if it did.
        let interval = series.next_backoff().unwrap_or(longest).min(longest);
        self.jitter.spread(interval)
    }

    /// Failures since the last success.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The call worked: the next failure starts over.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
        self.ordinary.reset();
        self.throttled.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: BackoffBounds = BackoffBounds::new(Duration::from_millis(500), Duration::from_secs(30));
    const THROTTLED: BackoffBounds = BackoffBounds::new(Duration::from_secs(4), Duration::from_secs(60));

    fn schedule() -> RetrySchedule {
        RetrySchedule::new(ORDINARY, THROTTLED, Arc::new(Jitter::new(Some(42))))
    }

    #[test]
    fn waits_double_up_to_the_bound_and_are_spread() {
        let mut schedule = schedule();
        for attempt in 0..20_u32 {
            let full = (ORDINARY.initial * 2_u32.pow(attempt.min(10))).min(ORDINARY.max);
            let wait = schedule.next_wait(TaskServiceErrorClass::Transient);
            let slack = Duration::from_micros(1);
            assert!(wait + slack >= full / 2 && wait <= full + slack, "attempt {attempt}: {wait:?} of {full:?}");
        }
        assert_eq!(schedule.attempts(), 20);
    }

    #[test]
    fn throttling_waits_longer_than_a_passing_fault() {
        let mut schedule = schedule();
        let passing = schedule.next_wait(TaskServiceErrorClass::Transient);
        let throttled = schedule.next_wait(TaskServiceErrorClass::Throttled);
        assert!(throttled >= THROTTLED.initial / 2 && passing <= ORDINARY.initial);
    }

    #[test]
    fn reset_starts_over() {
        let mut schedule = schedule();
        for _ in 0..8 {
            schedule.next_wait(TaskServiceErrorClass::Transient);
        }
        schedule.reset();
        assert_eq!(schedule.attempts(), 0);
        assert!(schedule.next_wait(TaskServiceErrorClass::Transient) <= ORDINARY.initial + Duration::from_micros(1));
    }
}
