//! What goes wrong, when: drawn from the seed at every call an activity makes, until faults stop. After that the world is
//! well, and every execution has to end.

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate_aws::{ErrorClass, PortError, Sent};

/// One thing that goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call never has its effect, and nobody knows (a write) or it is an ordinary 5xx (a read).
    LostBefore,
    /// The effect happens, the answer is lost.
    LostAfter,
    /// Refused without effect.
    Throttled,
    /// No answer until the task's own timeout.
    Hang,
    /// The worker dies before the effect.
    CrashBefore,
    /// The worker dies after the effect, before it can use the answer.
    CrashAfter,
    /// The worker freezes (SIGSTOP) for this many seconds, then goes on as if nothing had been: a zombie by then.
    Freeze(u32),
}

/// How often what goes wrong, per thousand calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub lost_before: u32,
    pub lost_after: u32,
    pub throttled: u32,
    pub hang: u32,
    pub crash: u32,
    pub freeze: u32,
    /// Tokens lost between the service and the worker, per thousand hand-outs.
    pub lost_token: u32,
    /// Faults of the state machine's own DynamoDB calls, per thousand.
    pub integration: u32,
}

impl Rates {
    /// A world without faults.
    pub const NONE: Self = Self {
        lost_before: 0,
        lost_after: 0,
        throttled: 0,
        hang: 0,
        crash: 0,
        freeze: 0,
        lost_token: 0,
        integration: 0,
    };
}

/// Faults of one run.
#[derive(Debug)]
pub struct Faults {
    rng: StdRng,
    rates: Rates,
    /// From here on nothing goes wrong any more.
    pub until: Timestamp,
    /// Exactly one fault, at this call (counted from 1), instead of random ones.
    single: Option<(u64, Fault)>,
    pub calls: u64,
    pub injected: u64,
}

impl Faults {
    pub fn random(seed: u64, rates: Rates, until: Timestamp) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), rates, until, single: None, calls: 0, injected: 0 }
    }

    /// One fault at one call: for sweeps over every call of a run.
    pub fn single(seed: u64, call: u64, fault: Fault) -> Self {
        Self { single: Some((call, fault)), ..Self::random(seed, Rates::NONE, Timestamp::MAX) }
    }

    /// Latency of the call in milliseconds (before and after its effect), and what goes wrong with it.
    pub fn at_call(&mut self, now: Timestamp, changes_the_world: bool) -> (i64, i64, Option<Fault>) {
        self.calls += 1;
        let latency = (self.rng.random_range(1..=40), self.rng.random_range(1..=40));
        let fault = match self.single {
            Some((call, fault)) => (call == self.calls).then_some(fault),
            None if now >= self.until => None,
            None => self.draw(changes_the_world),
        };
        self.injected += u64::from(fault.is_some());
        (latency.0, latency.1, fault)
    }

    fn draw(&mut self, changes_the_world: bool) -> Option<Fault> {
        let rates = self.rates;
        let mut roll = self.rng.random_range(0..1_000u32);
        let mut hit = |rate: u32| {
            let hit = roll < rate;
            roll = roll.saturating_sub(rate);
            // A roll that fell into an earlier band must not reach the next one.
            if hit {
                roll = u32::MAX;
            }
            hit
        };
        if hit(rates.lost_before) {
            return Some(Fault::LostBefore);
        }
        if hit(rates.lost_after) {
            return Some(if changes_the_world { Fault::LostAfter } else { Fault::LostBefore });
        }
        if hit(rates.throttled) {
            return Some(Fault::Throttled);
        }
        if hit(rates.hang) {
            return Some(Fault::Hang);
        }
        if hit(rates.crash) {
            return Some(if self.rng.random_bool(0.5) { Fault::CrashBefore } else { Fault::CrashAfter });
        }
        if hit(rates.freeze) {
            return Some(Fault::Freeze(self.rng.random_range(20..400)));
        }
        None
    }

    /// Whether a task's token is lost on its way to the worker.
    pub fn token_is_lost(&mut self, now: Timestamp) -> bool {
        now < self.until && self.rng.random_range(0..1_000u32) < self.rates.lost_token
    }

    /// Whether a call of the state machine itself fails; true: after its effect.
    pub fn integration_fails(&mut self, now: Timestamp) -> Option<bool> {
        let fails = now < self.until && self.rng.random_range(0..1_000u32) < self.rates.integration;
        fails.then(|| self.rng.random_bool(0.5))
    }

    /// A number of the run's own luck: operators, latencies of the service.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }
}

/// The error a caller sees.
pub fn port_error(action: &'static str, fault: Fault) -> PortError {
    let (class, sent) = match fault {
        Fault::Throttled => (ErrorClass::Throttled, Sent::Rejected),
        Fault::LostBefore
        | Fault::LostAfter
        | Fault::Hang
        | Fault::CrashBefore
        | Fault::CrashAfter
        | Fault::Freeze(_) => (ErrorClass::Transient, Sent::Unknown),
    };
    PortError { class, sent, ..PortError::unreadable(action, format!("injected: {fault:?}")) }
}
