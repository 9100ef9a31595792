//! What a world is made from.

use super::{Forgery, NativeHold, Sequel, Start};
use crate::bugs::Bug;
use crate::faults::Faults;
use crate::foreign::{ConsoleLaunch, LostInstance};
use crate::luck::Luck;
use crate::machine::{Definition, Readings};
use crate::scenario::{ACCOUNT, REGION};
use crate::script::Place;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_core::reach::{Reach, TargetRole};
use tidegate_simulator::{FaultRule, Inventory, Quirks};

/// The machines of the deployment.
#[derive(Debug, Clone)]
pub struct Machines {
    pub recovery: Arc<Definition>,
    pub reconcile: Arc<Definition>,
}

/// A deployment that reaches every account and Region in which there are servers.
pub fn reach_of(inventory: &Inventory) -> Reach {
    let own = |name: &Option<String>, shared: &Option<String>, usual: &str| {
        name.as_ref().or(shared.as_ref()).map_or(usual, String::as_str).to_owned()
    };
    let (mut roles, mut regions) = (BTreeMap::new(), BTreeSet::from([REGION.to_owned()]));
    for server in &inventory.servers {
        regions.insert(own(&server.region, &inventory.region, REGION));
        let account = own(&server.account, &inventory.account, ACCOUNT);
        if account != ACCOUNT {
            let role_arn = format!("arn:aws:iam::{account}:role/recovery");
            roles.insert(account, TargetRole { role_arn, external_id: None });
        }
    }
    Reach::new(ACCOUNT.to_owned(), roles, regions)
}

/// Each seed reads AWS its own way.
fn readings(seed: u64) -> Readings {
    let mut luck = Luck::new(seed, Place { by: "aws", to: "readings" }.key(), 0);
    let mut either = || luck.below(2) == 0;
    Readings { all_takes_data_limit: either(), lost_heartbeat_is_timeout: either() }
}

/// Everything a world is made from, but for what happens in it.
#[derive(Debug)]
pub struct Setup {
    pub seed: u64,
    pub start: Timestamp,
    pub inventory: Inventory,
    pub server_faults: Vec<FaultRule>,
    pub faults: Faults,
    pub bug: Option<&'static Bug>,
    pub workers: usize,
    pub slots_per_worker: usize,
    /// Clock error of each worker, in milliseconds.
    pub skews: Vec<i64>,
    /// See [`crate::foreign`].
    pub recovered: Vec<String>,
    pub drilled: Vec<String>,
    pub console: Vec<ConsoleLaunch>,
    pub native: Vec<NativeHold>,
    pub forgeries: Vec<Forgery>,
    pub sequels: Vec<Sequel>,
    /// The rule's events are late, or come twice, or both, in so many of a hundred cases.
    pub odd_events: u32,
    /// How many times faster than the reference timings DRS is.
    pub drs_speed: f64,
    /// EC2 tells of an instance so late, at most.
    pub ec2_lag_seconds: u32,
    /// Which of two readings of AWS holds.
    pub quirks: Quirks,
    /// See [`crate::scenario::Story`].
    pub afterwards: Option<Start>,
    pub lost: Vec<LostInstance>,
    /// How AWS is read where its sources differ.
    pub readings: Readings,
}

impl Setup {
    /// An empty account, two workers, no faults.
    pub fn new(seed: u64, start: Timestamp) -> Self {
        Self {
            seed,
            start,
            inventory: Inventory::default(),
            server_faults: Vec::new(),
            faults: Faults::scripted(seed, Default::default(), start),
            bug: None,
            workers: 2,
            slots_per_worker: usize::MAX,
            skews: Vec::new(),
            recovered: Vec::new(),
            drilled: Vec::new(),
            console: Vec::new(),
            native: Vec::new(),
            forgeries: Vec::new(),
            sequels: Vec::new(),
            odd_events: 0,
            drs_speed: 1.0,
            ec2_lag_seconds: 0,
            quirks: Quirks::default(),
            afterwards: None,
            lost: Vec::new(),
            readings: readings(seed),
        }
    }
}
