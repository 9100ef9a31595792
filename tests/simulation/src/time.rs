//! The virtual clock: nothing here ever waits. A future that sleeps leaves its waker under a time; the run moves the clock
//! to the next such time and wakes what is due.

use jiff::{SignedDuration, Timestamp};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks without a panic: one thread only, so a poisoned lock means a test has failed already.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    sequence: u64,
    sleepers: BinaryHeap<Reverse<Sleeper>>,
}

/// Who wants to wake when; of two at one moment, who lay down first.
#[derive(Debug)]
struct Sleeper {
    at: Timestamp,
    sequence: u64,
    waker: Waker,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// The clock of one run; cheap to clone.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Inner>>);

impl VirtualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner { now, sequence: 0, sleepers: BinaryHeap::new() })))
    }

    pub fn now(&self) -> Timestamp {
        lock(&self.0).now
    }

    /// When the next sleeper wants to wake.
    pub fn next_wake(&self) -> Option<Timestamp> {
        lock(&self.0).sleepers.peek().map(|Reverse(first)| first.at)
    }

    /// Moves the clock forward and wakes everything due, in order.
    pub fn move_to(&self, now: Timestamp) {
        let mut inner = lock(&self.0);
        inner.now = inner.now.max(now);
        // Waking only puts a task on a list, so it may be done under the lock.
        while inner.sleepers.peek().is_some_and(|Reverse(first)| first.at <= now) {
            if let Some(Reverse(first)) = inner.sleepers.pop() {
                first.waker.wake();
            }
        }
    }

    /// Ready once `milliseconds` have passed.
    pub fn sleep(&self, milliseconds: i64) -> Sleep {
        Sleep { clock: self.clone(), at: after(self.now(), milliseconds) }
    }
}

/// `at` plus milliseconds.
pub fn after(at: Timestamp, milliseconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(at)
}

/// See [`VirtualClock::sleep`].
#[derive(Debug)]
pub struct Sleep {
    clock: VirtualClock,
    at: Timestamp,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.clock.0);
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        inner.sequence += 1;
        let sleeper = Sleeper { at: self.at, sequence: inner.sequence, waker: context.waker().clone() };
        inner.sleepers.push(Reverse(sleeper));
        Poll::Pending
    }
}
