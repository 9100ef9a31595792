//! The one place that reads a clock. Monotonic time comes from tokio, so that tests can pause it; wall time is only
//! stamped on metrics, nothing is decided by it.

use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Monotonic now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall-clock milliseconds since 1970, the time stamp of an EMF line. A clock set before 1970 reads as zero.
pub(crate) fn epoch_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
