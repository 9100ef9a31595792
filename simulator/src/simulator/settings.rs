//! How the service is set up.

use crate::scenario::Scenario;
use serde::Serialize;

/// An account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Scope {
    /// 12 digits.
    pub account: String,
    /// For example `us-west-2`.
    pub region: String,
}

impl Scope {
    /// An account and Region.
    pub fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }
}

/// The quotas of every account and Region (AWS's values of 2026 unless changed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Concurrent jobs in progress (L-D88FAC3A).
    pub concurrent_jobs: usize,
    /// Source servers in a single job (L-B827C881).
    pub servers_per_job: usize,
    /// Source servers in all jobs (L-05AFA8C6).
    pub servers_in_all_jobs: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { concurrent_jobs: 20, servers_per_job: 100, servers_in_all_jobs: 500 }
    }
}

/// How the simulator is set up. Kept, so that [`crate::Simulator::reset`] can begin again.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of all variety.
    pub seed: u64,
    /// How often it has begun before, all forgotten. The jobs of two lives never share an id: a client that still follows one
    /// must not meet a stranger's.
    pub life: u64,
    /// Times faster than AWS.
    pub speed: f64,
    /// Quirks, timings and faults from the start.
    pub scenario: Scenario,
    /// Quotas.
    pub quotas: Quotas,
    /// Largest page of any listing, and the size of a page when the caller names none.
    pub page_size: usize,
    /// The account of servers and callers that name none.
    pub default_account: String,
    /// Journal entries kept.
    pub journal_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            life: 0,
            speed: 60.0,
            scenario: Scenario::default(),
            quotas: Quotas::default(),
            page_size: 100,
            default_account: "000000000000".to_owned(),
            journal_capacity: 10_000,
        }
    }
}
