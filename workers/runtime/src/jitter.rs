//! The one place that draws random numbers. A worker holds one source; tests seed it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A shared random source for waiting times.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<StdRng>);

impl Jitter {
    /// Seeded by the option (tests), or by the operating system.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let rng = match seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Self(Mutex::new(rng))
    }

    /// A wait between half of `interval` and all of it. Half is kept on purpose: with full jitter a poller may draw
    /// zero several times in a row and hammer a service that is already failing.
    pub(crate) fn spread(&self, interval: Duration) -> Duration {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        interval.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_stays_between_half_and_whole() {
        let jitter = Jitter::new(Some(7));
        let interval = Duration::from_secs(10);
        let waits: Vec<_> = (0..1000).map(|_| jitter.spread(interval)).collect();
        assert!(waits.iter().all(|w| *w >= interval / 2 && *w <= interval));
        assert!(waits.iter().any(|w| *w < interval.mul_f64(0.6)));
        assert!(waits.iter().any(|w| *w > interval.mul_f64(0.9)));
    }

    #[test]
    fn same_seed_draws_the_same_waits() {
        let (a, b) = (Jitter::new(Some(1)), Jitter::new(Some(1)));
        for _ in 0..20 {
            assert_eq!(a.spread(Duration::from_secs(1)), b.spread(Duration::from_secs(1)));
        }
    }
}
