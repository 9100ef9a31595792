//! What a shard knows of its one DRS job: the intent to start it, and the job.

use crate::IsoTime;
use crate::ids::{JobId, SourceServerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The intent to start one job, written before StartRecovery is called, which takes no client token (lesson c-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Execution, wave, attempt and shard in one id; goes into the job's tags when tagging is on.
    pub intent_id: String,
    pub attempt: u32,
    pub state: IntentState,
    /// When this intent was first written: jobs older than it are never ours.
    pub recorded_at: IsoTime,
    /// When StartRecovery may last have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<IsoTime>,
    /// Every call of this intent so far carried its id as a tag, so a job without it is somebody else's.
    #[serde(default)]
    pub tagged: bool,
    /// Jobs that look like this intent's and were listed before its first call left: somebody else's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ours: Vec<JobId>,
    /// The servers of this attempt's call.
    pub source_server_ids: Vec<SourceServerId>,
    /// Why it is REFUSED: DRS's reason, or ours. While it is INTENDED: what DRS said last.
    #[serde(default)]
    pub refusal: String,
    /// Since when DRS has been refusing it in a way that may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<IsoTime>,
    /// REFUSED by Tidegate itself (a cancel, the run's end) and not by DRS: its servers did not fail, nobody tried them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// Life of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IntentState {
    /// Recorded; StartRecovery may be under way.
    #[serde(rename = "INTENDED")]
    Intended,
    /// A job id is recorded.
    #[serde(rename = "STARTED")]
    Started,
    /// Nothing was started and nothing will be: DRS refused it, or Tidegate withdrew it.
    #[serde(rename = "REFUSED")]
    Refused,
    /// A dry run: never to be sent.
    #[serde(rename = "WITHHELD")]
    Withheld,
}

/// The shard's DRS job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardJob {
    pub job_id: JobId,
    /// PENDING, STARTED or COMPLETED (there is no FAILED), as DRS last said.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<IsoTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<IsoTime>,
    /// When COMPLETED was first seen, for grace periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_seen_at: Option<IsoTime>,
    /// The intent looked for and found it, instead of starting it.
    #[serde(default)]
    pub adopted: bool,
    /// The job log was read after the job ended, so error texts are as good as they get.
    #[serde(default)]
    pub log_read_at_end: bool,
    /// When DRS last failed to list it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<IsoTime>,
}
