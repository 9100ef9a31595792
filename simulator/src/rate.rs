//! The request rate of an account and Region: a token bucket for each operation, as EC2's documentation describes its own. DRS
//! has ThrottlingException with `Retry-After` in its model and publishes no figures, so the figures here are assumed: of the
//! order of EC2's published buckets.

use crate::operation::Operation;
use crate::simulator::Scope;
use crate::time::Timing;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestRate {
    /// Requests that come back in a second of AWS.
    pub per_second: f64,
    /// Requests a full bucket holds.
    pub burst: f64,
}

/// The buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RequestRates {
    /// Of each operation that only reads.
    pub reads: RequestRate,
    /// Of each operation that may change something.
    pub writes: RequestRate,
    /// Of single operations, by name.
    pub operations: BTreeMap<String, RequestRate>,
}

impl Default for RequestRates {
    fn default() -> Self {
        Self {
            reads: RequestRate { per_second: 10.0, burst: 50.0 },
            writes: RequestRate { per_second: 5.0, burst: 20.0 },
            operations: BTreeMap::new(),
        }
    }
}

impl RequestRates {
    /// What is wrong with them, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let named = self.operations.iter().map(|(name, rate)| (name.as_str(), rate));
        let mut all = [("reads", &self.reads), ("writes", &self.writes)].into_iter().chain(named);
        if let Some(name) = self.operations.keys().find(|name| Operation::from_name(name).is_none()) {
            return Some(format!("requestRates.operations: {name} is not one of the simulator's operations"));
        }
        let sane = |rate: &RequestRate| rate.per_second.is_finite() && rate.per_second > 0.0 && rate.burst >= 1.0;
        let (name, _) = all.find(|(_, rate)| !sane(rate))?;
        Some(format!("requestRates: {name} needs a perSecond above 0 and a burst of at least 1"))
    }

    fn of(&self, operation: Operation) -> RequestRate {
        let default = if operation.mutating() { self.writes } else { self.reads };
        self.operations.get(operation.name()).copied().unwrap_or(default)
    }
}

/// What is left in the buckets.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    left: BTreeMap<(Scope, Operation), (f64, Timestamp)>,
}

impl Buckets {
    /// Takes one request from its bucket, or says after how many seconds of the caller's clock there will be one.
    pub(crate) fn take(
        &mut self,
        rates: &RequestRates,
        scope: &Scope,
        operation: Operation,
        timing: &Timing,
        now: Timestamp,
    ) -> Result<(), u64> {
        let rate = rates.of(operation);
        let (left, at) = self.left.entry((scope.clone(), operation)).or_insert((rate.burst, now));
        let back = now.duration_since(*at).as_secs_f64().max(0.0) * rate.per_second * timing.factor();
        (*left, *at) = ((*left + back).min(rate.burst), now);
        if *left < 1.0 {
            return Err(((1.0 - *left) / (rate.per_second * timing.factor())).ceil().max(1.0) as u64);
        }
        *left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jiff::SignedDuration;

    fn taken(
        buckets: &mut Buckets,
        rates: &RequestRates,
        speed: f64,
        requests: u32,
        milliseconds: i64,
    ) -> Vec<Result<(), u64>> {
        let began: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let timing = Timing { speed, ..Timing::default() };
        let scope = Scope::new("000000000000", "us-west-2");
        let at = began + SignedDuration::from_millis(milliseconds);
        let take = |_| buckets.take(rates, &scope, Operation::GetLaunchConfiguration, &timing, at);
        (0..requests).map(take).collect()
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_retry_after_is_the_wait_for_the_next() {
        let rates: RequestRates =
            serde_json::from_str(r#"{"operations": {"GetLaunchConfiguration": {"perSecond": 0.25, "burst": 2}}}"#)
                .unwrap();
        let mut buckets = Buckets::default();
        assert_eq!(taken(&mut buckets, &rates, 1.0, 4, 0), [Ok(()), Ok(()), Err(4), Err(4)]);
        assert_eq!(taken(&mut buckets, &rates, 1.0, 1, 3_000), [Err(1)]);
        assert_eq!(taken(&mut buckets, &rates, 1.0, 2, 4_000), [Ok(()), Err(4)]);
        assert_eq!(
            taken(&mut buckets, &rates, 1.0, 3, 60_000),
            [Ok(()), Ok(()), Err(4)],
            "no more than a burst is kept"
        );
    }

    #[test]
    fn a_faster_simulation_serves_as_much_more() {
        let rates = RequestRates::default();
        let served = |speed| {
            let mut buckets = Buckets::default();
            let all = (0..1_000).flat_map(|ms| taken(&mut buckets, &rates, speed, 10, ms)).collect::<Vec<_>>();
            all.iter().filter(|taken| taken.is_ok()).count()
        };
        assert!((59..=61).contains(&served(1.0)), "50 and 10 more in a second");
        assert!((1_245..=1_255).contains(&served(120.0)));
    }

    #[test]
    fn each_operation_account_and_region_has_a_bucket_of_its_own() {
        let rates = RequestRates { reads: RequestRate { per_second: 1.0, burst: 1.0 }, ..RequestRates::default() };
        let mut buckets = Buckets::default();
        let timing = Timing { speed: 1.0, ..Timing::default() };
        let now = "2026-11-20T03:00:00Z".parse().unwrap();
        for (account, region, operation) in [
            ("111122223333", "us-west-2", Operation::DescribeJobs),
            ("111122223333", "us-west-2", Operation::DescribeSourceServers),
            ("111122223333", "eu-west-1", Operation::DescribeJobs),
            ("444455556666", "us-west-2", Operation::DescribeJobs),
        ] {
            let scope = Scope::new(account, region);
            assert_eq!(buckets.take(&rates, &scope, operation, &timing, now), Ok(()));
            assert_eq!(buckets.take(&rates, &scope, operation, &timing, now), Err(1));
        }
    }

    #[test]
    fn rates_that_cannot_work_are_refused() {
        let problem = |text: &str| serde_json::from_str::<RequestRates>(text).unwrap().problem();
        assert_eq!(problem("{}"), None);
        assert!(
            problem(r#"{"operations": {"DescribeJob": {"perSecond": 1, "burst": 1}}}"#)
                .unwrap()
                .contains("DescribeJob")
        );
        assert!(problem(r#"{"reads": {"perSecond": 0, "burst": 1}}"#).unwrap().contains("reads"));
        assert!(problem(r#"{"writes": {"perSecond": 1, "burst": 0.5}}"#).unwrap().contains("writes"));
    }
}
