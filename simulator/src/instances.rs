//! What the model wants done to EC2, and the port through which it is done.

use crate::simulator::{Scope, Simulator};
use crate::time::Dice;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A recovery instance to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchInstance {
    /// Where.
    pub scope: Scope,
    /// The job that launches it.
    pub job_id: String,
    /// The server it recovers.
    pub source_server_id: String,
    /// For example `m5.large`.
    pub instance_type: String,
    /// The address to copy, when the launch configuration says so.
    pub private_ip: Option<String>,
    /// Tags, `Name` and the DRS ones included.
    pub tags: Vec<(String, String)>,
}

/// Something that must be done to EC2. After doing it the caller reports with the method named at each variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run an instance; report [`Simulator::instance_launched`] or [`Simulator::launch_refused`].
    LaunchInstance(LaunchInstance),
    /// Stop an instance (launchDisposition STOPPED). Nothing to report.
    StopInstance {
        /// Where.
        scope: Scope,
        /// Which.
        instance_id: String,
    },
    /// Terminate an instance; report [`Simulator::termination_refused`] when it could not be done.
    TerminateInstance {
        /// Where.
        scope: Scope,
        /// Which.
        instance_id: String,
    },
}

/// The EC2 launch template of a source server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchTemplate {
    /// Where.
    pub scope: Scope,
    /// Its name, which no other has.
    pub name: String,
    /// For example `m5.large`.
    pub instance_type: String,
}

/// A running recovery instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchedInstance {
    /// EC2's id of it.
    pub instance_id: String,
    /// Its address, when known.
    pub private_ip: Option<String>,
}

/// EC2 would not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{raw_error}")]
pub struct InstanceFailure {
    /// The words for the job log.
    pub raw_error: String,
}

/// The port to EC2.
#[async_trait]
pub trait Instances: Send + Sync {
    /// Makes a launch template and says its id; `None` where there is no EC2 to hold it.
    async fn template(&self, template: &LaunchTemplate) -> Result<Option<String>, InstanceFailure>;
    /// Runs an instance. The same launch twice must give the same instance.
    async fn run(&self, launch: &LaunchInstance) -> Result<LaunchedInstance, InstanceFailure>;
    /// Stops an instance.
    async fn stop(&self, scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure>;
    /// Terminates an instance; one that is gone is terminated.
    async fn terminate(&self, scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure>;
}

/// An instance of [`MemoryInstances`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryInstance {
    /// What was asked for.
    pub launch: LaunchInstance,
    /// What came of it.
    pub launched: LaunchedInstance,
    /// When.
    pub launch_time: Timestamp,
    /// As EC2 says it: `running`, `stopped`, `terminated`.
    pub state: &'static str,
}

/// EC2 in memory: mints ids and remembers states. Synchronous, so that it serves a simulation without a runtime.
#[derive(Debug)]
pub struct MemoryInstances {
    dice: Dice,
    instances: BTreeMap<String, MemoryInstance>,
}

impl MemoryInstances {
    /// No instances yet; ids are made from `seed` and the launch.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), instances: BTreeMap::new() }
    }

    /// Runs an instance.
    pub fn run(&mut self, launch: &LaunchInstance, now: Timestamp) -> LaunchedInstance {
        let about = [&launch.scope.account, &launch.scope.region, launch.job_id.as_str(), &launch.source_server_id];
        let instance_id = format!("i-{}", self.dice.hex(&about, 17));
        let number = u32::try_from(self.instances.len()).unwrap_or(u32::MAX);
        let address = std::net::Ipv4Addr::from(0x0A00_0004_u32.wrapping_add(number));
        let private_ip = Some(launch.private_ip.clone().unwrap_or_else(|| address.to_string()));
        let launched = LaunchedInstance { instance_id: instance_id.clone(), private_ip };
        let fresh = MemoryInstance { launch: launch.clone(), launched, launch_time: now, state: "running" };
        self.instances.entry(instance_id).or_insert(fresh).launched.clone()
    }

    /// Stops an instance.
    pub fn stop(&mut self, instance_id: &str) {
        self.set(instance_id, "stopped");
    }

    /// Terminates an instance.
    pub fn terminate(&mut self, instance_id: &str) {
        self.set(instance_id, "terminated");
    }

    /// Everything ever run.
    pub fn all(&self) -> impl Iterator<Item = &MemoryInstance> {
        self.instances.values()
    }

    /// One instance.
    pub fn get(&self, instance_id: &str) -> Option<&MemoryInstance> {
        self.instances.get(instance_id)
    }

    fn set(&mut self, instance_id: &str, state: &'static str) {
        if let Some(instance) = self.instances.get_mut(instance_id).filter(|instance| instance.state != "terminated") {
            instance.state = state;
        }
    }
}

/// Moves `simulator` to `now`, change by change, and does what it wants done at the moment it wants it, so that the result
/// does not depend on how far apart the calls are.
pub fn settle(simulator: &mut Simulator, instances: &mut MemoryInstances, now: Timestamp) {
    while let Some(due) = simulator.next_due().filter(|due| *due <= now) {
        carry_out(simulator, instances, due);
    }
    carry_out(simulator, instances, now);
}

fn carry_out(simulator: &mut Simulator, instances: &mut MemoryInstances, at: Timestamp) {
    for effect in simulator.advance(at) {
        match effect {
            Effect::LaunchInstance(launch) => {
                let launched = instances.run(&launch, at);
                simulator.instance_launched(&launch.scope, &launch.job_id, &launch.source_server_id, launched, at);
            }
            Effect::StopInstance { instance_id, .. } => instances.stop(&instance_id),
            Effect::TerminateInstance { instance_id, .. } => instances.terminate(&instance_id),
        }
    }
}
