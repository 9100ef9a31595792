//! Reading instances: the facts of some for enrichment, and those that DRS's tags call a server's.

use crate::error::Ec2Error;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance};
use std::collections::{BTreeMap, HashSet};

/// EC2 takes at most 200 values in one filter.
const VALUES_PER_FILTER: usize = 200;

/// What enrichment wants to know about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFacts {
    /// `i-…`.
    pub instance_id: String,
    /// For example `m5.large`; empty when EC2 did not say.
    pub instance_type: String,
    /// Primary private IPv4 address, absent once the instance is terminated.
    pub private_ip: Option<String>,
    /// Private DNS name; EC2 sends an empty string for "none", which becomes `None` here.
    pub private_dns_name: Option<String>,
    /// Launch time, RFC 3339 in UTC.
    pub launch_time: Option<String>,
    /// Lower case as in EC2: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    pub state: String,
    /// For example `us-west-2a`.
    pub availability_zone: Option<String>,
}

/// The tags by which DRS marks an instance with its source server: the launch template's, and the one DRS sets itself. Either
/// may be missing, because a template can be edited and tags taken away.
const SERVER_TAGS: [&str; 2] = ["drs.amazonaws.com-source-server", "AWSElasticDisasterRecoverySourceServerID"];
/// The tag that names the job which launched it.
const JOB_TAG: &str = "drs.amazonaws.com-job";
/// States of an instance that still has its volumes.
const LIVING: [&str; 4] = ["pending", "running", "stopping", "stopped"];

/// An instance that DRS's tags call a server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedInstance {
    /// `i-…`.
    pub instance_id: String,
    /// `s-…`.
    pub source_server: String,
    /// `drsjob-…`, where it carries that tag.
    pub job: Option<String>,
}

/// Reads instance facts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ec2Reader {
    client: Client,
}

impl Ec2Reader {
    /// A reader for the account, Region and endpoint of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The facts of those of `instance_ids` that EC2 knows, in no particular order. Unknown ids are simply absent: EC2
    /// lists an instance some seconds after DRS names it, and forgets it an hour after termination.
    ///
    /// The ids go in as a filter and not as `InstanceIds`, because one unknown id there fails the whole call with
    /// `InvalidInstanceID.NotFound`.
    pub async fn describe_instances(&self, instance_ids: &[String]) -> Result<Vec<InstanceFacts>, Ec2Error> {
        let mut found = Vec::with_capacity(instance_ids.len());
        let mut wanted: HashSet<&str> = instance_ids.iter().map(String::as_str).collect();
        let unique: Vec<&String> = {
            let mut seen = HashSet::new();
            instance_ids.iter().filter(|id| seen.insert(id.as_str())).collect()
        };
        for batch in unique.chunks(VALUES_PER_FILTER) {
            let by_id = Filter::builder()
                .name("instance-id")
                .set_values(Some(batch.iter().map(|id| (*id).clone()).collect()))
                .build();
            let mut pages = self.client.describe_instances().filters(by_id).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Ec2Error::from_sdk("DescribeInstances", error))?;
                for instance in page.reservations().iter().flat_map(|reservation| reservation.instances()) {
                    // MiniStack ignores the filter `instance-id` and lists everything, so the answer is filtered again.
                    // Taking the id out also keeps an instance from being reported by two batches.
                    if instance.instance_id().is_some_and(|id| wanted.remove(id)) {
                        found.push(facts(instance));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The instances that run, or are stopped, for these source servers by DRS's tags, each once. DRS need not list them.
    pub async fn instances_of_servers(&self, servers: &[String]) -> Result<Vec<TaggedInstance>, Ec2Error> {
        let mut found: BTreeMap<String, TaggedInstance> = BTreeMap::new();
        for batch in servers.chunks(VALUES_PER_FILTER) {
            for tag in SERVER_TAGS {
                let filters = [
                    Filter::builder().name(format!("tag:{tag}")).set_values(Some(batch.to_vec())).build(),
                    Filter::builder()
                        .name("instance-state-name")
                        .set_values(Some(LIVING.iter().map(|state| (*state).to_owned()).collect()))
                        .build(),
                ];
                let mut pages =
                    self.client.describe_instances().set_filters(Some(filters.into())).into_paginator().send();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| Ec2Error::from_sdk("DescribeInstances", error))?;
                    let instances = page.reservations().iter().flat_map(|reservation| reservation.instances());
                    for one in instances.filter_map(|instance| tagged(instance, tag)) {
                        // An engine that ignores a filter lists everything.
                        if batch.contains(&one.source_server) {
                            found.entry(one.instance_id.clone()).or_insert(one);
                        }
                    }
                }
            }
        }
        Ok(found.into_values().collect())
    }
}

fn tagged(instance: &Instance, server_tag: &str) -> Option<TaggedInstance> {
    let tag = |key: &str| {
        let found = instance.tags().iter().find(|tag| tag.key() == Some(key));
        found.and_then(|tag| tag.value()).map(str::to_owned)
    };
    let state = instance.state().and_then(|state| state.name()).map(|name| name.as_str().to_lowercase());
    if !LIVING.contains(&state.unwrap_or_default().as_str()) {
        return None;
    }
    Some(TaggedInstance {
        instance_id: instance.instance_id()?.to_owned(),
        source_server: tag(server_tag)?,
        job: tag(JOB_TAG),
    })
}

fn facts(instance: &Instance) -> InstanceFacts {
    let said = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
    InstanceFacts {
        instance_id: instance.instance_id().unwrap_or_default().to_owned(),
        instance_type: instance.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        private_ip: said(instance.private_ip_address()),
        private_dns_name: said(instance.private_dns_name()),
        launch_time: instance.launch_time().map(ToString::to_string),
        state: instance
            .state()
            .and_then(|state| state.name())
            .map(|name| name.as_str().to_lowercase())
            .unwrap_or_default(),
        availability_zone: said(instance.placement().and_then(|placement| placement.availability_zone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance that tells nothing is in no state: neither running nor terminated.
    #[test]
    fn an_instance_that_says_less_is_in_no_state() {
        let silent = facts(&Instance::builder().build());
        assert_eq!((silent.instance_type.as_str(), silent.state.as_str()), ("", ""));
        let given = [silent.private_ip, silent.private_dns_name, silent.launch_time, silent.availability_zone];
        assert!(given.iter().all(Option::is_none));
        let nameless = aws_sdk_ec2::types::InstanceState::builder().code(16).build();
        assert_eq!(facts(&Instance::builder().state(nameless).build()).state, "");
    }
}
