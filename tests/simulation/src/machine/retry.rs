//! Retry and Catch: which errors they take, and how long a retry waits.

use jiff::SignedDuration;
use rand::{Rng as _, RngCore};

use super::fault::{DATA_LIMIT_EXCEEDED, HEARTBEAT_TIMEOUT, RUNTIME, TIMEOUT};
use super::readings::Readings;

/// The error names of a retrier or catcher.
#[derive(Clone, Debug)]
pub(crate) struct ErrorEquals(pub(crate) Vec<String>);

/// One entry of `Retry`.
#[derive(Clone, Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: ErrorEquals,
    pub(crate) interval_seconds: u32,
    pub(crate) max_attempts: u32,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<u32>,
    pub(crate) full_jitter: bool,
}

/// One entry of `Catch`.
#[derive(Clone, Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: ErrorEquals,
    /// `None` discards the error; no fields replace the data by it.
    pub(crate) result_path: Option<Vec<String>>,
    pub(crate) next: usize,
}

/// The longest a timer may be; AWS bounds every number of seconds by it.
pub(crate) const MAX_SECONDS: u32 = 99_999_999;

impl ErrorEquals {
    /// `States.Runtime` is taken by nothing (recorded), `States.DataLimitExceeded` by its own name and, as AWS is read, by
    /// `States.ALL`. `States.TaskFailed` takes everything but timeouts; the guide is not clear whether that includes
    /// `States.HeartbeatTimeout`, nor whether `States.Timeout` takes it, so neither does here: a definition that works this
    /// way works either way.
    ///
    /// An error without a name is taken by `States.ALL` (recorded), and so, we assume, by `States.TaskFailed`.
    pub(crate) fn takes(&self, error: Option<&str>, readings: Readings) -> bool {
        let error = error.unwrap_or_default();
        if error == RUNTIME {
            return false;
        }
        self.0.iter().any(|name| match name.as_str() {
            "States.ALL" => readings.all_takes_data_limit || error != DATA_LIMIT_EXCEEDED,
            "States.TaskFailed" => ![DATA_LIMIT_EXCEEDED, TIMEOUT, HEARTBEAT_TIMEOUT].contains(&error),
            name => name == error,
        })
    }
}

impl Retrier {
    /// The pause before retry number `count`, from 0.
    pub(crate) fn delay(&self, count: u32, rng: &mut dyn RngCore) -> SignedDuration {
        let ceiling = f64::from(self.max_delay_seconds.unwrap_or(MAX_SECONDS));
        let exponent = i32::try_from(count).unwrap_or(i32::MAX);
        let mut seconds = (f64::from(self.interval_seconds) * self.backoff_rate.powi(exponent)).min(ceiling);
        if self.full_jitter {
            seconds *= rng.random::<f64>();
        }
        // In whole milliseconds: finer than AWS shows times, and exact to compare.
        #[allow(clippy::cast_possible_truncation)]
        SignedDuration::from_millis((seconds * 1000.0) as i64)
    }
}
