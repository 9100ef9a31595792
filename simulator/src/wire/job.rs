//! Jobs, their logs, and the recovery instances they make.

use super::{
    Cpu, Ec2InstanceState, FailbackState, InitiatedBy, JobLogEvent, JobStatus, JobType, LaunchAction,
    LaunchActionRunStatus, LaunchStatus, NetworkInterface, Os, Tags,
};
use crate::time::Stamp;
use serde::Serialize;

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    #[serde(rename = "jobID")]
    #[allow(missing_docs)]
    pub job_id: String,
    /// ARN.
    pub arn: String,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: JobType,
    /// By which operation.
    pub initiated_by: InitiatedBy,
    /// When the job was accepted.
    pub creation_date_time: Stamp,
    /// When its last server was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date_time: Option<Stamp>,
    /// PENDING, STARTED, COMPLETED.
    pub status: JobStatus,
    /// Its servers.
    pub participating_servers: Vec<ParticipatingServer>,
    /// Tags; present also when empty, as in captured data.
    pub tags: Tags,
}

/// A server in a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipatingServer {
    /// Which.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// Its instance, while DRS cares to show it.
    #[serde(rename = "recoveryInstanceID", skip_serializing_if = "Option::is_none")]
    pub recovery_instance_id: Option<String>,
    /// Where it stands.
    pub launch_status: LaunchStatus,
    /// Its post-launch actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_actions_status: Option<LaunchActionsStatus>,
}

/// Post-launch actions of a server in a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchActionsStatus {
    /// When the SSM agent was discovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssm_agent_discovery_datetime: Option<Stamp>,
    /// The runs.
    pub runs: Vec<LaunchActionRun>,
}

/// A run of an action.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchActionRun {
    /// The action, as it was when it ran.
    pub action: LaunchAction,
    /// Id of the SSM run.
    pub run_id: String,
    /// Where it stands.
    pub status: LaunchActionRunStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
}

/// A log item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLog {
    /// When.
    pub log_date_time: Stamp,
    /// What.
    pub event: JobLogEvent,
    /// About what.
    pub event_data: JobLogEventData,
}

/// What a log item is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLogEventData {
    /// The server; absent for the job itself.
    #[serde(rename = "sourceServerID", skip_serializing_if = "Option::is_none")]
    pub source_server_id: Option<String>,
    /// Of CONVERSION_END.
    #[serde(rename = "conversionServerID", skip_serializing_if = "Option::is_none")]
    pub conversion_server_id: Option<String>,
    /// Of LAUNCH_END.
    #[serde(rename = "targetInstanceID", skip_serializing_if = "Option::is_none")]
    pub target_instance_id: Option<String>,
    /// Of failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_error: Option<String>,
}

/// A recovery instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryInstance {
    /// EC2's id.
    #[serde(rename = "ec2InstanceID")]
    pub ec2_instance_id: String,
    /// Upper case.
    pub ec2_instance_state: Ec2InstanceState,
    /// The job that launched it.
    #[serde(rename = "jobID")]
    pub job_id: String,
    /// DRS's id, equal to EC2's.
    #[serde(rename = "recoveryInstanceID")]
    pub recovery_instance_id: String,
    /// The server it recovers.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// ARN.
    pub arn: String,
    /// Tags.
    pub tags: Tags,
    /// Failback.
    pub failback: Failback,
    /// Replication back.
    pub data_replication_info: RecoveryInstanceReplication,
    /// What the agent reported; absent until it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_instance_properties: Option<RecoveryInstanceProperties>,
    /// The moment it was recovered to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_in_time_snapshot_date_time: Option<Stamp>,
    /// Drill or not.
    pub is_drill: bool,
    /// Where the source lives.
    pub origin_environment: &'static str,
    /// In which zone, on AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_availability_zone: Option<String>,
    /// Version of the agent on it.
    pub agent_version: &'static str,
}

/// Failback state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failback {
    /// Where it stands.
    pub state: FailbackState,
}

/// Replication of a recovery instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryInstanceReplication {
    /// Only said, never done: the simulator reverses no replication.
    pub data_replication_state: &'static str,
}

/// What the agent on a recovery instance reported.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryInstanceProperties {
    /// When.
    pub last_updated_date_time: Stamp,
    /// Names.
    pub identification_hints: super::IdentificationHints,
    /// Addresses.
    pub network_interfaces: Vec<NetworkInterface>,
    /// Disks.
    pub disks: Vec<RecoveryInstanceDisk>,
    /// Processors.
    pub cpus: Vec<Cpu>,
    /// Memory.
    pub ram_bytes: i64,
    /// Operating system.
    pub os: Os,
}

/// A disk of a recovery instance. Its volume is left out: EC2 knows of none that the simulator could name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryInstanceDisk {
    /// Device.
    pub internal_device_name: String,
    /// Size.
    pub bytes: i64,
}
