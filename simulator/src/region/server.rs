//! A source server: what the inventory says, and what happened to it since.

use super::{Context, Region};
use crate::inventory::InventoryServer;
use crate::time::{Dice, Stamp};
use crate::wire::{
    Cpu, DataReplicationError, DataReplicationInfo, DataReplicationState, Disk, IdentificationHints, LastLaunch,
    LastLaunchResult, LaunchAction, LaunchConfiguration, LifeCycle, NetworkInterface, Os, RecoveryMode,
    RecoverySnapshot, ReplicatedDisk, RightSizing, SourceCloudProperties, SourceProperties, SourceServer, StagingArea,
    Tags,
};
use jiff::Timestamp;

pub(super) const AGENT_VERSION: &str = "6.42.20";

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) facts: InventoryServer,
    pub(crate) tags: Tags,
    pub(crate) config: LaunchConfiguration,
    pub(crate) actions: Vec<LaunchAction>,
    pub(crate) last_launch: LastLaunch,
    pub(crate) last_result: LastLaunchResult,
    hints: IdentificationHints,
    /// EC2 has the launch template that the configuration names.
    pub(crate) has_template: bool,
    /// The recovery instance that SourceServer.recoveryInstanceId names.
    pub(crate) newest_instance: Option<String>,
    /// The job that holds it.
    pub(crate) busy_with: Option<String>,
    /// Snapshots taken by launches; those of the point-in-time policy are computed.
    pub(crate) snapshots: Vec<RecoverySnapshot>,
    pub(crate) added: Timestamp,
}

impl Server {
    pub(crate) fn new(facts: InventoryServer, dice: &Dice, now: Timestamp) -> Self {
        let id = facts.source_server_id.clone();
        let actions = facts.launch_actions.iter().enumerate().map(|(index, action)| LaunchAction {
            action_id: dice.uuid(&[&id, "action", &action.name]),
            action_code: action.action_code.clone(),
            kind: action.kind,
            name: action.name.clone(),
            active: action.active,
            // AWS starts at 2.
            order: i32::try_from(index).unwrap_or(9998) + 2,
            action_version: "$DEFAULT".to_owned(),
            optional: action.optional,
            parameters: Default::default(),
            description: action.description.clone(),
            category: action.category,
        });
        let config = LaunchConfiguration {
            source_server_id: id.clone(),
            name: facts.hostname.clone(),
            ec2_launch_template_id: format!("lt-{}", dice.hex(&[&id, "template"], 17)),
            launch_disposition: facts.launch_disposition,
            target_instance_type_right_sizing_method: RightSizing::Basic,
            copy_private_ip: facts.copy_private_ip,
            copy_tags: facts.copy_tags,
            licensing: Default::default(),
            post_launch_enabled: facts.post_launch_enabled,
            launch_into_instance_properties: None,
            recovery_mode: RecoveryMode::Optimal,
        };
        let on_aws = facts.origin_account.is_some() || facts.origin_region.is_some();
        let hints = IdentificationHints {
            fqdn: facts.fqdn.clone().unwrap_or_else(|| facts.hostname.clone()),
            hostname: facts.hostname.clone(),
            aws_instance_id: on_aws.then(|| format!("i-{}", dice.hex(&[&id, "source instance"], 17))),
            vmware_uuid: (!on_aws).then(|| dice.uuid(&[&id, "VMware"])),
        };
        Self {
            hints,
            has_template: false,
            tags: facts.tags.clone(),
            config,
            actions: actions.collect(),
            last_launch: LastLaunch::default(),
            last_result: LastLaunchResult::NotStarted,
            newest_instance: None,
            busy_with: None,
            snapshots: Vec::new(),
            added: now,
            facts,
        }
    }

    /// Whether there is a point in time to recover to.
    pub(crate) fn has_recovery_point(&self) -> bool {
        use DataReplicationState::*;
        !matches!(self.facts.replication_state, Initiating | InitialSync | Disconnected | Stopped)
    }

    pub(crate) fn hints(&self) -> IdentificationHints {
        self.hints.clone()
    }

    /// "Either an EC2 instance id, a VMware uuid or a mac address."
    pub(crate) fn has_hardware_id(&self, id: &str, dice: &Dice) -> bool {
        let known = [self.hints.aws_instance_id.as_deref(), self.hints.vmware_uuid.as_deref()];
        known.contains(&Some(id)) || self.interfaces(dice, None).iter().any(|interface| interface.mac_address == id)
    }

    pub(crate) fn cpus(&self) -> Vec<Cpu> {
        vec![Cpu { cores: self.facts.cpus, model_name: "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz" }]
    }

    /// Of a source on AWS.
    pub(crate) fn origin_zone(&self) -> Option<String> {
        self.facts.origin_region.as_ref().map(|region| format!("{region}a"))
    }

    pub(crate) fn interfaces(&self, dice: &Dice, ip: Option<&str>) -> Vec<NetworkInterface> {
        let mac = dice.hex(&[&self.facts.source_server_id, "mac"], 10);
        let pairs: Vec<&str> = (0..5).filter_map(|at| mac.get(at * 2..at * 2 + 2)).collect();
        vec![NetworkInterface {
            mac_address: format!("02:{}", pairs.join(":")),
            ips: ip.map(str::to_owned).into_iter().collect(),
            is_primary: true,
        }]
    }
}

impl Region {
    /// When the agent of a server was last seen that is not seen any more. A server that is set up as STALLED was never seen.
    pub(super) fn dead_since(&self, server: &str, ctx: &Context<'_>) -> Option<Timestamp> {
        let stalled = |server: &&Server| server.facts.replication_state == DataReplicationState::Stalled;
        let set_up = || self.servers.get(server).filter(stalled).map(|server| server.added);
        ctx.faults.dead_since(&self.scope, server).or_else(set_up)
    }

    pub(super) fn server_view(&self, server: &Server, ctx: &Context<'_>) -> SourceServer {
        let facts = &server.facts;
        let dead = ctx.faults.dead_since(&self.scope, &facts.source_server_id);
        let state = dead.map_or(facts.replication_state, |_| DataReplicationState::Stalled);
        let stalled = state == DataReplicationState::Stalled;
        let lag = match (dead, state) {
            (Some(seen), _) => Some(format!("PT{}S", ctx.now.duration_since(seen).as_secs())),
            (None, DataReplicationState::Disconnected | DataReplicationState::Stopped) => None,
            (None, _) => Some(facts.lag.clone().unwrap_or_else(|| "P0D".to_owned())),
        };
        let started = server.has_recovery_point();
        let disks = facts.volumes.iter().map(|volume| ReplicatedDisk {
            device_name: volume.device_name.clone(),
            total_storage_bytes: volume.bytes,
            replicated_storage_bytes: if started { volume.bytes } else { 0 },
            rescanned_storage_bytes: 0,
            backlogged_storage_bytes: 0,
            volume_status: "REGULAR",
        });
        // Replication began a month before the simulation did.
        let began = server.added.saturating_sub(jiff::SignedDuration::from_hours(30 * 24)).unwrap_or(server.added);
        let elapsed = ctx.now.duration_since(began).as_secs();
        SourceServer {
            source_server_id: facts.source_server_id.clone(),
            arn: self.arn("source-server", &facts.source_server_id),
            tags: server.tags.clone(),
            recovery_instance_id: server.newest_instance.clone(),
            last_launch_result: server.last_result,
            data_replication_info: DataReplicationInfo {
                lag_duration: lag,
                data_replication_state: state,
                replicated_disks: disks.collect(),
                data_replication_error: stalled.then_some(DataReplicationError { error: "AGENT_NOT_SEEN" }),
                staging_availability_zone: format!("{}a", self.scope.region),
            },
            life_cycle: LifeCycle {
                added_to_service_date_time: Stamp(began),
                first_byte_date_time: Stamp(began),
                elapsed_replication_duration: format!("PT{elapsed}S"),
                last_seen_by_service_date_time: Stamp(self.dead_since(&facts.source_server_id, ctx).unwrap_or(ctx.now)),
                last_launch: server.last_launch.clone(),
            },
            source_properties: SourceProperties {
                last_updated_date_time: Stamp(server.added),
                recommended_instance_type: facts.recommended_instance_type.clone(),
                identification_hints: server.hints(),
                network_interfaces: server.interfaces(ctx.dice, facts.private_ip.as_deref()),
                disks: facts
                    .volumes
                    .iter()
                    .map(|v| Disk { device_name: v.device_name.clone(), bytes: v.bytes })
                    .collect(),
                cpus: server.cpus(),
                ram_bytes: facts.ram_bytes,
                os: Os { full_string: facts.os.clone() },
                supports_nitro_instances: true,
                architecture: "x86_64",
            },
            staging_area: StagingArea { status: "NOT_EXTENDED", staging_account_id: self.scope.account.clone() },
            source_cloud_properties: (facts.origin_account.is_some() || facts.origin_region.is_some()).then(|| {
                SourceCloudProperties {
                    origin_account_id: facts.origin_account.clone(),
                    origin_region: facts.origin_region.clone(),
                    origin_availability_zone: server.origin_zone(),
                }
            }),
            replication_direction: "FAILOVER",
            agent_version: AGENT_VERSION,
        }
    }
}
