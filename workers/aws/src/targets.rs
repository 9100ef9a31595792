//! Clients per account and Region, made once and kept.

use crate::config::in_region;
use crate::drs::DrsClient;
use crate::error::PortError;
use crate::ports::{Drs, Ec2, Targets};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_smithy_types::retry::RetryConfig;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_contract::records::Target;
use tidegate_contract::{JobId, SourceServerId};
use tidegate_core::observed::{Instance, TaggedInstance};
use tidegate_core::time;
use tidegate_ec2::{Ec2Reader, InstanceFacts};
use tokio::sync::Mutex;

/// Name of assumed sessions, as CloudTrail shows them.
const SESSION_NAME: &str = "tidegate-worker";

/// Real DRS and EC2 clients.
pub struct AwsTargets {
    base: SdkConfig,
    clients: Mutex<HashMap<Target, Clients>>,
}

impl AwsTargets {
    /// Targets reached from the workers' own credentials.
    pub fn new(base: SdkConfig) -> Self {
        Self { base, clients: Mutex::new(HashMap::new()) }
    }

    async fn clients(&self, target: &Target) -> Clients {
        let mut clients = self.clients.lock().await;
        if let Some(known) = clients.get(target) {
            return known.clone();
        }
        let credentials = match &target.role {
            Some(role) => {
                let mut builder =
                    AssumeRoleProvider::builder(&role.role_arn).session_name(SESSION_NAME).configure(&self.base);
                if let Some(external_id) = &role.external_id {
                    builder = builder.external_id(external_id);
                }
                Some(builder.build().await)
            }
            None => None,
        };
        let config = in_region(&self.base, &target.region, credentials);
        // While EC2 is asked a poll comes every few seconds, and EC2's failure fails none of them: repeating a call within a
        // poll would make an outage's calls four times as many and find nothing sooner.
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let new = Clients { drs: Arc::new(DrsClient::new(&config)), ec2: Arc::new(Ec2Client::new(&once, &config)) };
        clients.insert(target.clone(), new.clone());
        new
    }
}

/// One of each: a client brings its own connections, so a new one per call would be a new TLS handshake per call.
#[derive(Clone)]
struct Clients {
    drs: Arc<DrsClient>,
    ec2: Arc<Ec2Client>,
}

#[async_trait]
impl Targets for AwsTargets {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>, PortError> {
        Ok(self.clients(target).await.drs)
    }

    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>, PortError> {
        Ok(self.clients(target).await.ec2)
    }
}

struct Ec2Client {
    /// For polls, which ask again by themselves.
    once: Ec2Reader,
    /// For looks that something waits for.
    patient: Ec2Reader,
}

impl Ec2Client {
    fn new(once: &SdkConfig, patient: &SdkConfig) -> Self {
        Self { once: Ec2Reader::new(once), patient: Ec2Reader::new(patient) }
    }
}

#[async_trait]
impl Ec2 for Ec2Client {
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>, PortError> {
        Ok(self.once.describe_instances(ids).await?.into_iter().map(instance).collect())
    }

    async fn instances_of_servers(&self, servers: &[SourceServerId]) -> Result<Vec<TaggedInstance>, PortError> {
        let ids: Vec<String> = servers.iter().map(|id| id.as_str().to_owned()).collect();
        let found = self.patient.instances_of_servers(&ids).await?;
        let known = found.into_iter().map(|one| TaggedInstance {
            instance_id: one.instance_id,
            source_server_id: SourceServerId::from(one.source_server),
            job_id: one.job.map(JobId::from),
        });
        Ok(known.collect())
    }
}

fn instance(facts: InstanceFacts) -> Instance {
    Instance {
        instance_id: facts.instance_id,
        instance_type: facts.instance_type,
        private_ip: facts.private_ip,
        launch_time: facts.launch_time.as_deref().and_then(time::parse),
        state: facts.state,
    }
}
