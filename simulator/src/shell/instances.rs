//! Where recovery instances come from: an EC2 endpoint, or memory.

use super::now;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tidegate_ec2::{Ec2Error, Ec2Launcher, LaunchRequest};
use tidegate_simulator::{
    InstanceFailure, Instances, LaunchInstance, LaunchTemplate, LaunchedInstance, MemoryInstances, Scope,
};

/// Instances of an EC2 endpoint, in the account and Region of each launch.
pub(crate) struct Ec2Instances {
    endpoint: String,
    launchers: Mutex<BTreeMap<Scope, Ec2Launcher>>,
}

impl Ec2Instances {
    pub(crate) fn new(endpoint: String) -> Self {
        Self { endpoint, launchers: Mutex::new(BTreeMap::new()) }
    }

    fn launcher(&self, scope: &Scope) -> Ec2Launcher {
        let mut launchers = self.launchers.lock().unwrap_or_else(PoisonError::into_inner);
        let connect = || Ec2Launcher::local(&self.endpoint, &scope.account, &scope.region);
        launchers.entry(scope.clone()).or_insert_with(connect).clone()
    }
}

#[async_trait]
impl Instances for Ec2Instances {
    async fn template(&self, template: &LaunchTemplate) -> Result<Option<String>, InstanceFailure> {
        let launcher = self.launcher(&template.scope);
        let made = launcher.create_launch_template(&template.name, &template.instance_type).await;
        made.map(Some).map_err(as_drs_tells_it)
    }

    async fn run(&self, launch: &LaunchInstance) -> Result<LaunchedInstance, InstanceFailure> {
        let request = LaunchRequest {
            instance_type: launch.instance_type.clone(),
            private_ip: launch.private_ip.clone(),
            tags: launch.tags.clone(),
            // A job launches a server once, so the pair names the launch.
            client_token: format!("{}-{}", launch.job_id, launch.source_server_id),
        };
        let launched = self.launcher(&launch.scope).run_instance(&request).await.map_err(as_drs_tells_it)?;
        Ok(LaunchedInstance { instance_id: launched.instance_id, private_ip: launched.private_ip })
    }

    async fn stop(&self, scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure> {
        self.launcher(scope).stop_instance(instance_id).await.map_err(as_drs_tells_it)
    }

    async fn terminate(&self, scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure> {
        self.launcher(scope).terminate_instance(instance_id).await.map_err(as_drs_tells_it)
    }
}

/// DRS passes EC2's error on in boto's words (captured rawError, facts 2.4).
fn as_drs_tells_it(error: Ec2Error) -> InstanceFailure {
    let code = error.code.as_deref().unwrap_or("Unknown");
    InstanceFailure {
        raw_error: format!(
            "An error occurred ({code}) when calling the {} operation: {}",
            error.operation, error.message
        ),
    }
}

/// Instances in memory: the simulator without an EC2.
pub(crate) struct InMemory {
    instances: Mutex<MemoryInstances>,
}

impl InMemory {
    pub(crate) fn new(seed: u64) -> Self {
        Self { instances: Mutex::new(MemoryInstances::new(seed)) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut MemoryInstances) -> T) -> T {
        act(&mut self.instances.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Instances for InMemory {
    async fn template(&self, _template: &LaunchTemplate) -> Result<Option<String>, InstanceFailure> {
        Ok(None)
    }

    async fn run(&self, launch: &LaunchInstance) -> Result<LaunchedInstance, InstanceFailure> {
        Ok(self.with(|instances| instances.run(launch, now())))
    }

    async fn stop(&self, _scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure> {
        self.with(|instances| instances.stop(instance_id));
        Ok(())
    }

    async fn terminate(&self, _scope: &Scope, instance_id: &str) -> Result<(), InstanceFailure> {
        self.with(|instances| instances.terminate(instance_id));
        Ok(())
    }
}
