//! The records as they lie in DynamoDB, camelCase. Each attribute has one writer, named here; every write is conditional.

mod former;
mod gates;
mod intent;
mod members;
mod requests;

pub use gates::{Gate, GateKind, GateToken};
pub use intent::{Intent, IntentState, ShardJob};
pub use members::{Member, MembersRecord};
pub use requests::{Asked, Requests};

use crate::IsoTime;
use crate::activities::{EndReason, WaveDescriptor};
use crate::foreign::spell_out;
use crate::ids::{ExecutionId, JobId, PlanId, SourceServerId};
use crate::plan::MinLaunched;
use crate::status::{
    CleanupStatus, ExecutionStatus, ExecutionType, Importance, LaunchStatus, Mode, OnFailure, PostLaunchStatus,
    WavePhase, WaveStatus,
};
use crate::tables::{RECORD_KEY, record_partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing wrong, or worth knowing, with the field it is about and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// JSON path in the input or plan: `waves[2].groups[0].region`.
    pub field: String,
    pub message: String,
    pub remedy: String,
}

impl Problem {
    /// Each part in one line: all three may quote what somebody else wrote.
    #[must_use]
    pub fn spelled_out(self) -> Self {
        let told = |text: String| spell_out(&text).into_owned();
        Self { field: told(self.field), message: told(self.message), remedy: told(self.remedy) }
    }
}

/// Item of `execution-history`: one execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionRecord {
    pub execution_id: ExecutionId,
    pub plan_id: PlanId,
    pub schema_version: u32,
    pub plan_name: String,
    pub execution_arn: String,
    pub execution_type: ExecutionType,
    pub mode: Mode,
    /// Writers: see [`ExecutionStatus`].
    pub status: ExecutionStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<String>,
    pub total_waves: u32,
    /// Waves that ended COMPLETED or PARTIAL; written by the machine when a wave closes and by finalize.
    pub completed_waves: u32,
    #[serde(default)]
    pub failed_waves: u32,
    /// 0 until the first wave; written by the machine.
    pub current_wave: u32,
    pub total_servers: u32,
    pub start_time: IsoTime,
    /// Seconds this kind of run usually takes: 1200 a wave for a drill, 1800 for a recovery (S002 2.3).
    pub expected_duration: u32,
    /// Written once, by finalize; equal to `endTime` (the seeds use both names).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_time: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// The open gate, without its token; written and removed by the machine, removed by finalize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Of executions that began under an earlier definition, which reads it here. Today people write [`Requests`], and
    /// prepare writes `"false"` for the sake of those definitions.
    pub pause_requested: Flag,
    /// As above.
    pub cancel_requested: Flag,
    /// The last answer given at a gate, as JSON text; written by the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<String>,
    /// What happened when; appended by prepare, the machine, finalize and cleanup.
    #[serde(default)]
    pub timeline: Vec<TimelineEntry>,
    pub waves: Vec<WaveDescriptor>,
    /// The plan as it was when the execution began, JSON text; edits of the stored plan do not reach a run (lesson c-22).
    #[serde(deserialize_with = "former::plan_of_accounts")]
    pub plan: String,
    /// Digest of `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// `updatedAt` of the stored plan; absent: the plan came with the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_updated_at: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership_hash: Option<String>,
    /// The plan's last good run, with whose members those of this one were compared; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<ExecutionId>,
    /// The execution this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<ExecutionId>,
    /// The execution that continues this one; written by that one's prepare. From then on its instances are the other's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_by: Option<ExecutionId>,
    /// Start of the first execution of a chain of continuations: recovery time is measured from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_start_time: Option<IsoTime>,
    pub hold_seconds: u32,
    pub keep_instances: bool,
    /// What a continuation asked for although the continued run had promised more; in force once a gate of it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weakened: Option<InstanceTerms>,
    /// The input's `options.replaceRecovered`, for the look before each launch; written by prepare.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace_recovered: bool,
    /// The input's `options.replaceDrill`, as above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace_drill: bool,
    /// Runs that launched servers over drill instances of this one, so that DRS deleted these; written by their start-wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced_by: Vec<ReplacedBy>,
    #[serde(default)]
    pub warnings: Vec<Problem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StoredOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
}

/// How long a drill's instances stay up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceTerms {
    pub hold_seconds: u32,
    pub keep_instances: bool,
}

/// What another run's launch costs this one. Written before that run calls StartRecovery: should DRS refuse the call, the
/// instances stay, and this run's cleanup finds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedBy {
    pub execution_id: ExecutionId,
    /// EC2 instance ids.
    pub instance_ids: Vec<String>,
    pub at: IsoTime,
}

/// A flag the machine reads back. Text, because BOOL is spelled differently by the two DynamoDB integrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Flag {
    #[serde(rename = "false")]
    Off,
    #[serde(rename = "true")]
    On,
}

impl Flag {
    pub const fn is_on(self) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "true",
            Self::Off => "false",
        }
    }
}

/// One line of an execution's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    pub at: IsoTime,
    pub event: String,
    /// 0 when it is about the whole execution.
    pub wave_number: u32,
    #[serde(default)]
    pub detail: String,
}

/// The outcome, written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredOutcome {
    pub reason: EndReason,
    pub error: String,
    pub cause: String,
    pub cleanup_due: bool,
}

/// The proof afterwards: what was recovered, how fast, how old the data was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub servers: u32,
    pub launched: u32,
    pub failed: u32,
    /// Start of the execution to the last server's readiness, in seconds; time spent at gates included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<u32>,
    /// Seconds the execution stood at gates.
    pub paused_seconds: u32,
    /// Age of the oldest recovered data at the execution's start, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<u32>,
    pub waves: Vec<WaveReport>,
}

/// One wave of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveReport {
    pub wave_number: u32,
    pub wave_name: String,
    pub status: WaveStatus,
    pub servers: u32,
    pub launched: u32,
    pub failed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
}

/// Termination of this run's drill instances. Writers: start-cleanup, poll-cleanup; the machine and finalize, when those
/// cannot go on or never will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cleanup {
    pub status: CleanupStatus,
    pub start_time: IsoTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<IsoTime>,
    pub instances: u32,
    pub jobs: Vec<CleanupJob>,
    /// Instances of this run that another launch of their servers had deleted before the cleanup came to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedInstance>,
    /// Instances DRS would not terminate, each asked for by itself, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedInstance>,
    #[serde(default)]
    pub error: String,
    /// An operator took it up again after the run had ended (`tidegate reconcile --clean-up`).
    #[serde(default)]
    pub reopened: bool,
    pub version: u64,
}

/// An instance DRS deleted because its server was launched again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedInstance {
    pub instance_id: String,
    pub source_server_id: SourceServerId,
    /// The execution that launched the server, or the DRS job where nobody knows whose it was.
    pub by: String,
}

/// An instance DRS would not terminate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedInstance {
    pub recovery_instance_id: String,
    pub reason: String,
}

/// One TERMINATE job, or the intent to start it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupJob {
    pub target: Target,
    pub recovery_instance_ids: Vec<String>,
    pub intended_at: IsoTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
}

/// Where DRS is called: an account and Region. Which role leads there is the deployment's to say, and on no record; the
/// `role` that earlier releases wrote here is not read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub account_id: String,
    pub region: String,
}

/// Item of `execution-waves` under a DRS job's id: which execution started the job. Nothing else leads from an instance to the
/// run that launched it where jobs are not tagged. Written by start-wave once the job is on its shard's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The job's id, as the table's key has it.
    #[serde(rename = "executionId")]
    pub job_id: JobId,
    pub wave_key: String,
    pub started_by: ExecutionId,
    pub plan_id: PlanId,
    pub wave_number: u32,
}

/// Item of `execution-waves` under `record#<executionId>`: the one key that this execution's record may have. Written before
/// the record, by whoever is about to create it: the record's own key holds the plan as well, so two attempts that know
/// different plans could each create one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordKey {
    /// `record#<executionId>`, see [`crate::tables::record_partition`].
    #[serde(rename = "executionId")]
    pub partition: String,
    pub wave_key: String,
    pub plan_id: PlanId,
    pub execution_arn: String,
    pub start_time: IsoTime,
}

impl RecordKey {
    /// The key under which `record` is about to be created.
    pub fn of(record: &ExecutionRecord) -> Self {
        Self {
            partition: record_partition(&record.execution_id),
            wave_key: RECORD_KEY.to_owned(),
            plan_id: record.plan_id.clone(),
            execution_arn: record.execution_arn.clone(),
            start_time: record.start_time.clone(),
        }
    }
}

/// Item `0001` of `execution-waves`: one wave. Writers: start-wave, poll-wave; finalize for SKIPPED.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveRecord {
    pub execution_id: ExecutionId,
    pub wave_key: String,
    pub wave_number: u32,
    pub wave_name: String,
    pub status: WaveStatus,
    pub phase: WavePhase,
    pub attempt: u32,
    pub start_time: IsoTime,
    /// Start of this attempt; the wave's timeout counts from here.
    pub attempt_start_time: IsoTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_polled_time: Option<IsoTime>,
    pub poll_attempts: u32,
    pub counts: WaveCounts,
    pub shard_count: u32,
    pub on_failure: OnFailure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_launched: Option<MinLaunched>,
    pub timeout_seconds: u32,
    /// A copy of the shards' jobs, for readers.
    pub jobs: Vec<WaveJob>,
    #[serde(default)]
    pub error: String,
    /// Rises with every write; a write that expects an older one fails (fencing).
    pub version: u64,
}

/// A job of a wave as readers see it (AC-3A.7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveJob {
    pub job_id: JobId,
    pub region: String,
    pub account_id: String,
    pub status: String,
    pub participating_servers: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<IsoTime>,
}

/// How many servers stand where. They add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveCounts {
    pub total: u32,
    /// Launched and, for a recovery, through their post-launch actions.
    pub ready: u32,
    pub failed: u32,
    /// On the way.
    pub active: u32,
    /// Left out on purpose (dry run).
    pub skipped: u32,
}

/// Item `0001#01` of `execution-waves`: at most 100 servers of one target that share one DRS job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardRecord {
    pub execution_id: ExecutionId,
    pub wave_key: String,
    pub wave_number: u32,
    pub shard_number: u32,
    pub target: Target,
    pub intent: Intent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ShardJob>,
    /// Jobs of earlier attempts, for cleanup.
    #[serde(default)]
    pub earlier_jobs: Vec<JobId>,
    /// Those of them that DRS listed no more before anybody had seen them end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_jobs: Vec<ShardJob>,
    pub phase: WavePhase,
    pub server_statuses: Vec<ServerStatus>,
    pub version: u64,
}

/// One server of a wave, as enriched from DRS and EC2. Absent fields are not known yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    pub source_server_id: SourceServerId,
    pub server_name: String,
    pub hostname: String,
    pub importance: Importance,
    pub launch_status: LaunchStatus,
    pub is_drill: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_job_id: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_instance_id: Option<String>,
    /// The EC2 instance; the three names hold the same value (S000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_time: Option<IsoTime>,
    /// EC2's word in lower case: running, stopped, terminated ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_polled_time: Option<IsoTime>,
    pub poll_attempts: u32,
    /// When LAUNCHED was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_time: Option<IsoTime>,
    pub post_launch_actions_status: PostLaunchStatus,
    pub post_launch_actions_completed: bool,
    /// The snapshot's time: how old the recovered data is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time: Option<IsoTime>,
    pub transition_history: Vec<Transition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_snapshot_id: Option<String>,
    /// A post-launch action has to succeed before the server counts; absent until a recovery's poll has read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_launch_expected: Option<bool>,
    /// What somebody should know of a server that is none the worse for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    pub attempt: u32,
}

impl ServerStatus {
    /// Records the instance under all three names.
    pub fn set_instance(&mut self, id: &str) {
        self.instance_id = Some(id.to_owned());
        self.ec2_instance_id = Some(id.to_owned());
        self.recovered_instance_id = Some(id.to_owned());
    }

    /// What is to be said of it, if anything: its error, or else its warning.
    pub fn remark(&self) -> Option<&str> {
        self.error.as_deref().or(self.warning.as_deref())
    }

    /// DRS and EC2 have told all a reader of COMPLETED may expect.
    pub fn is_enriched(&self) -> bool {
        self.instance_id.is_some()
            && self.recovery_instance_id.is_some()
            && self.instance_type.is_some()
            && self.private_ip.is_some()
            && self.launch_time.is_some()
    }
}

/// A change of a server's launch status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    pub status: LaunchStatus,
    pub at: IsoTime,
}

/// Item of `recovery-plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanRecord {
    pub plan_id: PlanId,
    #[serde(default)]
    pub plan_name: String,
    /// The plan, JSON text.
    pub plan: String,
    pub version: u64,
    pub updated_at: IsoTime,
}

/// Item of `protection-groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupRecord {
    pub group_id: String,
    #[serde(default)]
    pub group_name: String,
    /// The protection group, JSON text.
    pub group: String,
    pub version: u64,
    pub updated_at: IsoTime,
}

/// Item of `server-locks`: which execution may launch this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockRecord {
    /// `account/region/sourceServerId`.
    pub server: String,
    pub execution_id: ExecutionId,
    pub plan_id: PlanId,
    pub locked_at: IsoTime,
}
