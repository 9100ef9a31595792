//! Source servers, their launch configuration, actions and snapshots.

use super::{
    DataReplicationState, LastLaunchResult, LastLaunchType, LaunchActionCategory, LaunchActionType, LaunchDisposition,
    LaunchStatus, RecoveryMode, RightSizing, Tags,
};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A source server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceServer {
    /// `s-…`.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// ARN.
    pub arn: String,
    /// Tags.
    pub tags: Tags,
    /// Its newest recovery instance. Only here the name ends in `Id` and not in `ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_instance_id: Option<String>,
    /// Result of the last launch.
    pub last_launch_result: LastLaunchResult,
    /// Replication.
    pub data_replication_info: DataReplicationInfo,
    /// History.
    pub life_cycle: LifeCycle,
    /// What the agent reported.
    pub source_properties: SourceProperties,
    /// Staging.
    pub staging_area: StagingArea,
    /// Where it comes from, for a source on AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_cloud_properties: Option<SourceCloudProperties>,
    /// FAILOVER.
    pub replication_direction: &'static str,
    /// Agent.
    pub agent_version: &'static str,
}

/// Replication of a source server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataReplicationInfo {
    /// ISO 8601; absent for a disconnected server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_duration: Option<String>,
    /// State.
    pub data_replication_state: DataReplicationState,
    /// Disks.
    pub replicated_disks: Vec<ReplicatedDisk>,
    /// Why it stalls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_replication_error: Option<DataReplicationError>,
    /// Where the staging area is.
    pub staging_availability_zone: String,
}

/// A replicated disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicatedDisk {
    /// Device.
    pub device_name: String,
    /// Size.
    pub total_storage_bytes: i64,
    /// Done.
    pub replicated_storage_bytes: i64,
    /// Rescanned.
    pub rescanned_storage_bytes: i64,
    /// Waiting.
    pub backlogged_storage_bytes: i64,
    /// Whether the volume can be launched.
    pub volume_status: &'static str,
}

/// Why replication stalls.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataReplicationError {
    /// Name.
    pub error: &'static str,
}

/// History of a source server. There is no state in it, unlike in MGN.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LifeCycle {
    /// Added.
    pub added_to_service_date_time: Stamp,
    /// First byte.
    pub first_byte_date_time: Stamp,
    /// Since then.
    pub elapsed_replication_duration: String,
    /// Last contact.
    pub last_seen_by_service_date_time: Stamp,
    /// Last launch.
    pub last_launch: LastLaunch,
}

/// The last launch; `{"initiated":{}}` when there was none, as in captured data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastLaunch {
    /// How it began.
    pub initiated: LastLaunchInitiated,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<LaunchStatus>,
}

/// How the last launch began.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastLaunchInitiated {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_call_date_time: Option<Stamp>,
    /// Which job.
    #[serde(rename = "jobID", skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Drill or recovery.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<LastLaunchType>,
}

/// What the agent on the source reported.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProperties {
    /// When.
    pub last_updated_date_time: Stamp,
    /// The type DRS would launch.
    pub recommended_instance_type: String,
    /// Names.
    pub identification_hints: IdentificationHints,
    /// Addresses.
    pub network_interfaces: Vec<NetworkInterface>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Processors.
    pub cpus: Vec<Cpu>,
    /// Memory.
    pub ram_bytes: i64,
    /// Operating system.
    pub os: Os,
    /// Whether it can run on a Nitro instance.
    pub supports_nitro_instances: bool,
    /// Of its processor.
    pub architecture: &'static str,
}

/// Names of a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentificationHints {
    /// Full name.
    pub fqdn: String,
    /// Host name.
    pub hostname: String,
    /// EC2 id, for an instance.
    #[serde(rename = "awsInstanceID", skip_serializing_if = "Option::is_none")]
    pub aws_instance_id: Option<String>,
    /// VMware's id, for a machine that is not on AWS.
    #[serde(rename = "vmWareUuid", skip_serializing_if = "Option::is_none")]
    pub vmware_uuid: Option<String>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// MAC address.
    pub mac_address: String,
    /// Addresses.
    pub ips: Vec<String>,
    /// Primary or not.
    pub is_primary: bool,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Device.
    pub device_name: String,
    /// Size.
    pub bytes: i64,
}

/// A processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Cores.
    pub cores: i64,
    /// Model.
    pub model_name: &'static str,
}

/// An operating system.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    /// As the agent reports it.
    pub full_string: String,
}

/// Staging.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StagingArea {
    /// The simulator has no extended source servers.
    pub status: &'static str,
    /// Account of the staging area.
    #[serde(rename = "stagingAccountID")]
    pub staging_account_id: String,
}

/// Where a source on AWS comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCloudProperties {
    /// Account.
    #[serde(rename = "originAccountID", skip_serializing_if = "Option::is_none")]
    pub origin_account_id: Option<String>,
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_region: Option<String>,
    /// Zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_availability_zone: Option<String>,
}

/// Launch configuration of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchConfiguration {
    /// Which server.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// Name.
    pub name: String,
    /// Its EC2 launch template.
    #[serde(rename = "ec2LaunchTemplateID")]
    pub ec2_launch_template_id: String,
    /// Whether a launched instance is left running.
    pub launch_disposition: LaunchDisposition,
    /// How the instance type is chosen.
    pub target_instance_type_right_sizing_method: RightSizing,
    /// Whether the instance gets the source's address.
    pub copy_private_ip: bool,
    /// Whether the instance gets the source's tags.
    pub copy_tags: bool,
    /// Licensing.
    pub licensing: Licensing,
    /// Whether post-launch actions run.
    pub post_launch_enabled: bool,
    /// Launch into an existing instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_into_instance_properties: Option<LaunchIntoInstance>,
    /// Conversion or not.
    pub recovery_mode: RecoveryMode,
}

/// Licensing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Licensing {
    /// Own licence.
    pub os_byol: bool,
}

/// An existing instance to launch into.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchIntoInstance {
    /// Which.
    #[serde(rename = "launchIntoEC2InstanceID", skip_serializing_if = "Option::is_none")]
    pub launch_into_ec2_instance_id: Option<String>,
}

/// A post-launch action.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchAction {
    /// UUID.
    pub action_id: String,
    /// SSM document.
    pub action_code: String,
    /// Kind of document.
    #[serde(rename = "type")]
    pub kind: LaunchActionType,
    /// Name.
    pub name: String,
    /// Whether it runs.
    pub active: bool,
    /// Place among the actions, from 2.
    pub order: i32,
    /// Version of the document.
    pub action_version: String,
    /// Whether the launch survives its failure.
    pub optional: bool,
    /// Parameters; the simulator has none.
    pub parameters: BTreeMap<String, String>,
    /// For people.
    pub description: String,
    /// What for.
    pub category: LaunchActionCategory,
}

/// A point in time of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoverySnapshot {
    /// `pit-…`.
    #[serde(rename = "snapshotID")]
    pub snapshot_id: String,
    /// Which server.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// When it was due.
    pub expected_timestamp: Stamp,
    /// When it was taken.
    pub timestamp: Stamp,
    /// EBS snapshots, one per disk.
    pub ebs_snapshots: Vec<String>,
}
