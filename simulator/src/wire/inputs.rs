//! Inputs of the operations.

use super::{ExecutionStatus, LaunchDisposition, RecoveryMode, RightSizing, SnapshotsOrder, StepStatus, Tags};
use serde::Deserialize;

/// StartRecovery.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StartRecovery {
    /// 1 to 200 servers; the quota per job is lower.
    pub source_servers: Vec<StartRecoverySourceServer>,
    /// False unless given.
    pub is_drill: bool,
    /// Tags of the job.
    pub tags: Tags,
}

/// A server of StartRecovery.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct StartRecoverySourceServer {
    /// Which.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// Absent: a snapshot of the latest state is taken.
    #[serde(rename = "recoverySnapshotID")]
    pub recovery_snapshot_id: Option<String>,
}

impl StartRecoverySourceServer {
    /// The latest state of a server.
    pub fn latest(source_server_id: &str) -> Self {
        Self { source_server_id: source_server_id.to_owned(), recovery_snapshot_id: None }
    }
}

/// TerminateRecoveryInstances.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TerminateRecoveryInstances {
    /// 1 to 200.
    #[serde(rename = "recoveryInstanceIDs")]
    pub recovery_instance_ids: Vec<String>,
}

/// DisconnectRecoveryInstance and DeleteRecoveryInstance.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RecoveryInstanceRef {
    /// Which.
    #[serde(rename = "recoveryInstanceID")]
    pub recovery_instance_id: String,
}

/// DescribeJobs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeJobs {
    /// Narrowing.
    pub filters: Option<JobFilters>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filters of DescribeJobs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobFilters {
    /// These jobs only.
    #[serde(rename = "jobIDs")]
    pub job_ids: Option<Vec<String>>,
    /// Created at or after.
    pub from_date: Option<String>,
    /// Created at or before.
    pub to_date: Option<String>,
}

/// DescribeJobLogItems.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeJobLogItems {
    /// Which job.
    #[serde(rename = "jobID")]
    pub job_id: String,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// DescribeRecoveryInstances.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeRecoveryInstances {
    /// Narrowing.
    pub filters: Option<RecoveryInstanceFilters>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filters of DescribeRecoveryInstances.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RecoveryInstanceFilters {
    /// These instances only.
    #[serde(rename = "recoveryInstanceIDs")]
    pub recovery_instance_ids: Option<Vec<String>>,
    /// Instances of these servers only.
    #[serde(rename = "sourceServerIDs")]
    pub source_server_ids: Option<Vec<String>>,
}

/// DescribeSourceServers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeSourceServers {
    /// Narrowing.
    pub filters: Option<SourceServerFilters>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filters of DescribeSourceServers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceServerFilters {
    /// These servers only.
    #[serde(rename = "sourceServerIDs")]
    pub source_server_ids: Option<Vec<String>>,
    /// The server of this hardware.
    pub hardware_id: Option<String>,
    /// Servers staged in these accounts.
    #[serde(rename = "stagingAccountIDs")]
    pub staging_account_ids: Option<Vec<String>>,
}

/// DescribeRecoverySnapshots.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeRecoverySnapshots {
    /// Which server.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// Narrowing.
    pub filters: Option<SnapshotFilters>,
    /// Oldest first unless given.
    pub order: Option<SnapshotsOrder>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filters of DescribeRecoverySnapshots.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotFilters {
    /// At or after.
    pub from_date_time: Option<String>,
    /// At or before.
    pub to_date_time: Option<String>,
}

/// GetLaunchConfiguration, and UpdateLaunchConfiguration with the members to change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchConfigurationChange {
    /// Which server.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: String,
    /// Name.
    pub name: Option<String>,
    /// Whether a launched instance is left running.
    pub launch_disposition: Option<LaunchDisposition>,
    /// How the instance type is chosen.
    pub target_instance_type_right_sizing_method: Option<RightSizing>,
    /// Whether the instance gets the source's address.
    pub copy_private_ip: Option<bool>,
    /// Whether the instance gets the source's tags.
    pub copy_tags: Option<bool>,
    /// Licensing.
    pub licensing: Option<super::Licensing>,
    /// Whether post-launch actions run.
    pub post_launch_enabled: Option<bool>,
    /// Launch into an existing instance.
    pub launch_into_instance_properties: Option<super::LaunchIntoInstance>,
    /// Conversion or not.
    pub recovery_mode: Option<RecoveryMode>,
}

/// ListLaunchActions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListLaunchActions {
    /// Which server.
    pub resource_id: String,
    /// Narrowing.
    pub filters: Option<LaunchActionFilters>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filters of ListLaunchActions.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchActionFilters {
    /// These actions only.
    pub action_ids: Option<Vec<String>>,
}

/// TagResource, UntagResource and ListTagsForResource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagChange {
    /// Of which resource.
    pub resource_arn: String,
    /// To set.
    pub tags: Tags,
    /// To take away.
    pub tag_keys: Vec<String>,
}

/// Reads of native recovery plans; each operation uses the members it has.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NativeRead {
    /// The plan.
    pub recovery_plan_arn: Option<String>,
    /// The execution.
    pub recovery_plan_execution_arn: Option<String>,
    /// The step.
    pub recovery_plan_execution_step_arn: Option<String>,
    /// Executions of this status.
    pub status: Option<ExecutionStatus>,
    /// Narrowing of steps.
    pub filter: Option<StepFilter>,
    /// Page size.
    pub max_results: Option<usize>,
    /// Page.
    pub next_token: Option<String>,
}

/// Filter of ListRecoveryPlanExecutionSteps.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepFilter {
    /// Steps of this status.
    pub status: Option<StepStatus>,
}
