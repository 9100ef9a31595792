//! Reading instances for enrichment.

use crate::error::Ec2Error;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance};
use std::collections::HashSet;

/// EC2 takes at most 200 values in one filter.
const IDS_PER_CALL: usize = 200;

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
        for batch in unique.chunks(IDS_PER_CALL) {
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
