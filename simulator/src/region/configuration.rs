//! Launch configurations, launch actions and tags.

use super::{Context, Region, Server};
use crate::error::ApiError;
use crate::inventory::Volume;
use crate::paging::{Direction, PageRequest, page};
use crate::wire::{
    Items, LaunchAction, LaunchConfiguration, LaunchConfigurationChange, LaunchDisposition, ListLaunchActions,
    ResourceTags, TagChange, Tags,
};
use serde_json::{Value, json};

impl Region {
    pub(crate) fn get_launch_configuration(
        &self,
        input: LaunchConfigurationChange,
    ) -> Result<LaunchConfiguration, ApiError> {
        Ok(self.server(&input.source_server_id)?.config.clone())
    }

    /// What a server gets that is added with the default replication template; nobody can change it here.
    pub(crate) fn get_replication_configuration(
        &self,
        input: LaunchConfigurationChange,
        ctx: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let server = self.server(&input.source_server_id)?;
        let place = [self.scope.account.as_str(), self.scope.region.as_str()];
        let disk = |(index, volume): (usize, &Volume)| {
            json!({
                "deviceName": volume.device_name, "isBootDisk": index == 0, "stagingDiskType": "AUTO", "iops": 0, "throughput": 0,
                "optimizedStagingDiskType": "GP3",
            })
        };
        let rule = |(id, units, interval, retention): (u8, &str, u8, u8)| json!({"ruleID": id, "units": units, "interval": interval, "retentionDuration": retention, "enabled": true});
        let policy = [(1, "MINUTE", 10, 60), (2, "HOUR", 1, 24), (3, "DAY", 1, 7)].map(rule);
        Ok(json!({
            "sourceServerID": input.source_server_id,
            "name": server.facts.hostname,
            "stagingAreaSubnetId": format!("subnet-{}", ctx.dice.hex(&[place[0], place[1], "staging"], 17)),
            "associateDefaultSecurityGroup": true,
            "replicationServersSecurityGroupsIDs": [],
            "replicationServerInstanceType": "t3.small",
            "useDedicatedReplicationServer": false,
            "defaultLargeStagingDiskType": "AUTO",
            "replicatedDisks": server.facts.volumes.iter().enumerate().map(disk).collect::<Vec<_>>(),
            "ebsEncryption": "DEFAULT",
            "bandwidthThrottling": 0,
            "dataPlaneRouting": "PRIVATE_IP",
            "createPublicIP": false,
            "stagingAreaTags": {},
            "pitPolicy": policy,
            "autoReplicateNewDisks": false,
        }))
    }

    pub(crate) fn update_launch_configuration(
        &mut self,
        input: LaunchConfigurationChange,
    ) -> Result<LaunchConfiguration, ApiError> {
        let id = input.source_server_id;
        let server = self.servers.get_mut(&id).ok_or_else(|| ApiError::not_found("SourceServer", &id))?;
        let config = &mut server.config;
        let into = input.launch_into_instance_properties;
        if into.as_ref().is_some_and(|into| into.launch_into_ec2_instance_id.is_some())
            && input.launch_disposition.unwrap_or(config.launch_disposition) == LaunchDisposition::Stopped
        {
            return Err(ApiError::invalid("launchDisposition", "must be STARTED to launch into an instance"));
        }
        replace(&mut config.name, input.name);
        replace(&mut config.launch_disposition, input.launch_disposition);
        replace(&mut config.target_instance_type_right_sizing_method, input.target_instance_type_right_sizing_method);
        replace(&mut config.copy_private_ip, input.copy_private_ip);
        replace(&mut config.copy_tags, input.copy_tags);
        replace(&mut config.licensing, input.licensing);
        replace(&mut config.post_launch_enabled, input.post_launch_enabled);
        replace(&mut config.recovery_mode, input.recovery_mode);
        config.launch_into_instance_properties = into.or(config.launch_into_instance_properties.take());
        Ok(config.clone())
    }

    pub(crate) fn list_launch_actions(
        &self,
        input: ListLaunchActions,
        ctx: &Context<'_>,
    ) -> Result<Items<LaunchAction>, ApiError> {
        let mut actions = match input.resource_id.starts_with("lct-") {
            true => {
                return Err(ApiError::not_found("LaunchConfigurationTemplate", &input.resource_id));
            }
            false => self.server(&input.resource_id)?.actions.clone(),
        };
        let named = input.filters.unwrap_or_default().action_ids.filter(|ids| !ids.is_empty());
        actions.retain(|action| named.as_ref().is_none_or(|ids| ids.contains(&action.action_id)));
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |action: &LaunchAction| format!("{:010}", action.order);
        let (items, next_token) =
            page("ListLaunchActions", actions, Direction::Ascending, key, &request, ctx.page_size)?;
        Ok(Items { items, next_token })
    }

    pub(crate) fn tag_resource(&mut self, input: TagChange) -> Result<(), ApiError> {
        self.tags_of(&input.resource_arn)?.extend(input.tags);
        Ok(())
    }

    pub(crate) fn untag_resource(&mut self, input: TagChange) -> Result<(), ApiError> {
        self.tags_of(&input.resource_arn)?.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    }

    pub(crate) fn list_tags_for_resource(&mut self, input: TagChange) -> Result<ResourceTags, ApiError> {
        Ok(ResourceTags { tags: self.tags_of(&input.resource_arn)?.clone() })
    }

    fn server(&self, id: &str) -> Result<&Server, ApiError> {
        self.servers.get(id).ok_or_else(|| ApiError::not_found("SourceServer", id))
    }

    /// The tags of a resource of this account and Region.
    fn tags_of(&mut self, arn: &str) -> Result<&mut Tags, ApiError> {
        let own = self.arn("", "");
        let own = own.trim_end_matches('/').to_owned();
        let resource = arn.strip_prefix(&own).and_then(|rest| rest.split_once('/'));
        let tags = match resource {
            Some(("source-server", id)) => self.servers.get_mut(id).map(|server| &mut server.tags),
            Some(("job", id)) => self.jobs.get_mut(id).map(|job| &mut job.tags),
            Some(("recovery-instance", id)) => self.instances.get_mut(id).map(|instance| &mut instance.tags),
            Some(("recovery-plan", id)) => self.plans.get_mut(id).map(|plan| &mut plan.tags),
            Some(("recovery-plan-execution", id)) => self.executions.get_mut(id).map(|execution| &mut execution.tags),
            _ => None,
        };
        tags.ok_or_else(|| ApiError::not_found("Resource", arn))
    }
}

fn replace<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}
