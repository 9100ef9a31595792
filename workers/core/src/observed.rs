//! What DRS and EC2 say, in our words. The adapters of `tidegate-aws` fill these; values AWS may add later arrive as
//! `Unrecognised` and are never taken for success.

use jiff::Timestamp;
use std::collections::BTreeMap;
use tidegate_contract::{JobId, SourceServerId};

/// A DRS job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub job_id: JobId,
    pub job_type: JobType,
    /// START_DRILL, START_RECOVERY, TERMINATE_RECOVERY_INSTANCES ...
    pub initiated_by: String,
    pub status: JobStatus,
    pub created_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub servers: Vec<JobServer>,
    pub tags: BTreeMap<String, String>,
}

/// An execution as Step Functions knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenExecution {
    /// RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED, PENDING_REDRIVE.
    pub status: String,
    pub started_at: Timestamp,
    /// JSON text.
    pub input: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// The jobs DRS listed, and when it was asked. An answer is as old as its question: the worker may be frozen before it concludes
/// anything, so what follows from a job that is *not* listed is counted from the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub jobs: Vec<Job>,
    pub asked_at: Timestamp,
}

/// A job DRS does not list is waited for this long, then its servers failed (lesson c-11).
pub const MISSING_JOB_SECONDS: u32 = 600;

/// The job types that hold a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobType {
    Launch,
    Terminate,
    CreateConvertedSnapshot,
    Unrecognised(String),
}

/// There is no FAILED: a job of servers that all failed is COMPLETED (API model).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    Pending,
    Started,
    Completed,
    Unrecognised(String),
}

impl JobStatus {
    /// DRS's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Started => "STARTED",
            Self::Completed => "COMPLETED",
            Self::Unrecognised(word) => word,
        }
    }
}

/// One server within a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobServer {
    pub source_server_id: SourceServerId,
    pub launch: Launch,
    /// May vanish from the finished job (lesson c-26).
    pub recovery_instance_id: Option<String>,
    /// None: DRS says nothing of post-launch actions for this server (yet).
    pub actions: Option<Vec<ActionRun>>,
}

/// `launchStatus`; stays PENDING through snapshot and conversion (lesson c-26d).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    Pending,
    InProgress,
    Launched,
    Failed,
    Terminated,
    Unrecognised(String),
}

/// What of a server's launch configuration says whether post-launch actions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchSettings {
    /// Post-launch actions are switched on. Each action has a switch of its own besides.
    pub post_launch_enabled: bool,
    /// `launchDisposition` STOPPED: no action can run on the instance.
    pub leaves_stopped: bool,
}

/// A post-launch action of a server, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchAction {
    pub active: bool,
    pub optional: bool,
}

/// One run of a post-launch action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRun {
    pub name: String,
    pub optional: bool,
    pub status: ActionRunStatus,
    pub failure_reason: Option<String>,
}

/// Status of an action's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionRunStatus {
    InProgress,
    Succeeded,
    Failed,
    Unrecognised(String),
}

/// One line of a job's log. Event names are matched whole: `LAUNCH` as a substring also hits UPDATE_LAUNCH_TEMPLATE_END
/// (lesson c-31), and LAUNCH_END is real although the API model does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLogItem {
    pub event: String,
    pub source_server_id: Option<SourceServerId>,
    pub raw_error: Option<String>,
}

/// A recovery instance as DRS lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryInstance {
    pub recovery_instance_id: String,
    pub ec2_instance_id: Option<String>,
    pub job_id: Option<JobId>,
    pub source_server_id: SourceServerId,
    pub is_drill: bool,
    pub point_in_time: Option<Timestamp>,
    /// `ec2InstanceState`: DRS lists records of instances that EC2 has terminated or does not know any more.
    pub state: InstanceState,
}

impl RecoveryInstance {
    /// The EC2 instance behind it; the two ids are the same (AWS fact sheet 2.3).
    pub fn instance_id(&self) -> &str {
        self.ec2_instance_id.as_deref().unwrap_or(&self.recovery_instance_id)
    }
}

/// The state of an EC2 instance, as DRS (`SHUTTING-DOWN`, `NOT_FOUND`) or EC2 (`shutting-down`) says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
    NotFound,
    Unrecognised(String),
}

impl InstanceState {
    /// Of EC2's or DRS's word.
    pub fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().replace('_', "-").as_str() {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "shutting-down" => Self::ShuttingDown,
            "terminated" => Self::Terminated,
            "not-found" => Self::NotFound,
            _ => Self::Unrecognised(word.to_owned()),
        }
    }

    /// EC2's word.
    pub fn word(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::NotFound => "not-found",
            Self::Unrecognised(word) => word,
        }
    }

    /// False once its volumes are gone or going. A stopped instance is alive, and so is one of which nobody can tell.
    pub const fn is_alive(&self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Stopping | Self::Stopped | Self::Unrecognised(_) => true,
            Self::ShuttingDown | Self::Terminated | Self::NotFound => false,
        }
    }
}

/// An EC2 instance that DRS's tags call a server's. DRS need not list it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedInstance {
    pub instance_id: String,
    pub source_server_id: SourceServerId,
    /// The job that launched it, where it carries that tag.
    pub job_id: Option<JobId>,
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub instance_id: String,
    pub instance_type: String,
    pub private_ip: Option<String>,
    pub launch_time: Option<Timestamp>,
    /// pending, running, shutting-down, terminated, stopping, stopped.
    pub state: String,
}

/// A source server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceServer {
    pub source_server_id: SourceServerId,
    pub tags: BTreeMap<String, String>,
    pub hostname: Option<String>,
    /// `dataReplicationState`.
    pub replication_state: String,
    pub lag_seconds: Option<u32>,
}

/// A native DRS recovery plan execution that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeExecution {
    pub execution_arn: String,
    pub plan_arn: String,
    pub source_server_ids: Vec<SourceServerId>,
}
