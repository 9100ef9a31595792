//! Doing to EC2 what the DRS service does with its caller's rights: run, stop and terminate recovery instances.

use crate::error::{Delivery, Ec2Error};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_ec2::types::{InstanceType, RequestLaunchTemplateData, ResourceType, Tag, TagSpecification};

/// EC2 wants an image; DRS launches from volumes it converted, so any id stands in for it.
const CONVERTED_IMAGE: &str = "ami-0drs0c0nverted00";

/// One recovery instance to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchRequest {
    /// For example `m5.large`.
    pub instance_type: String,
    /// The address to copy, when the launch configuration says so.
    pub private_ip: Option<String>,
    /// Tags of the instance: `Name`, `AWSElasticDisasterRecoveryManaged`, `drs.amazonaws.com-job`, ….
    pub tags: Vec<(String, String)>,
    /// Names this launch: EC2 answers the same instance when the same token comes twice.
    pub client_token: String,
}

/// A running instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningInstance {
    /// `i-…`.
    pub instance_id: String,
    /// Its primary private IPv4 address.
    pub private_ip: Option<String>,
}

/// Runs, stops and terminates instances. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ec2Launcher {
    client: Client,
}

impl Ec2Launcher {
    /// A launcher for the account, Region and endpoint of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// A launcher for an EC2 stand-in at `endpoint`. Its convention is that a 12-digit access key is the account, so one
    /// process can launch for many accounts without a role in any of them. It cannot reach AWS: the keys are no secret.
    pub fn local(endpoint: &str, account: &str, region: &str) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(account, "local", None, None, "tidegate-local"))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Runs one instance.
    pub async fn run_instance(&self, request: &LaunchRequest) -> Result<RunningInstance, Ec2Error> {
        let tags = request.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let tags = TagSpecification::builder().resource_type(ResourceType::Instance).set_tags(Some(tags)).build();
        let answer = self
            .client
            .run_instances()
            .image_id(CONVERTED_IMAGE)
            .instance_type(InstanceType::from(request.instance_type.as_str()))
            .min_count(1)
            .max_count(1)
            .set_private_ip_address(request.private_ip.clone())
            .tag_specifications(tags)
            .client_token(&request.client_token)
            .send()
            .await
            .map_err(|error| Ec2Error::from_sdk("RunInstances", error))?;
        let launched = answer.instances().first();
        let named =
            launched.and_then(|instance| Some((instance.instance_id()?.to_owned(), instance.private_ip_address())));
        match named {
            Some((instance_id, ip)) => Ok(RunningInstance { instance_id, private_ip: ip.map(str::to_owned) }),
            None => Err(nameless("RunInstances", "the answer names no instance")),
        }
    }

    /// Makes the launch template of a source server; EC2 says its id.
    pub async fn create_launch_template(&self, name: &str, instance_type: &str) -> Result<String, Ec2Error> {
        let data = RequestLaunchTemplateData::builder().instance_type(InstanceType::from(instance_type)).build();
        let call = self.client.create_launch_template().launch_template_name(name).launch_template_data(data).send();
        let answer = call.await.map_err(|error| Ec2Error::from_sdk("CreateLaunchTemplate", error))?;
        let id = answer.launch_template().and_then(|template| template.launch_template_id());
        id.map(str::to_owned).ok_or_else(|| nameless("CreateLaunchTemplate", "the answer names no launch template"))
    }

    /// Stops one instance.
    pub async fn stop_instance(&self, instance_id: &str) -> Result<(), Ec2Error> {
        let call = self.client.stop_instances().instance_ids(instance_id).send();
        call.await.map(drop).map_err(|error| Ec2Error::from_sdk("StopInstances", error))
    }

    /// Terminates one instance. An instance that EC2 no longer knows is terminated already.
    pub async fn terminate_instance(&self, instance_id: &str) -> Result<(), Ec2Error> {
        let call = self.client.terminate_instances().instance_ids(instance_id).send();
        match call.await.map_err(|error| Ec2Error::from_sdk("TerminateInstances", error)) {
            Ok(_) => Ok(()),
            Err(error) if error.code.as_deref() == Some("InvalidInstanceID.NotFound") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn nameless(operation: &'static str, message: &str) -> Ec2Error {
    Ec2Error {
        operation,
        code: None,
        message: message.to_owned(),
        http_status: Some(200),
        delivery: Delivery::Unknown,
        request_id: None,
    }
}
