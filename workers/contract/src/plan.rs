//! The plan model: what an author writes. Unknown fields are refused, because a misspelt `pauseBeforeWave` that is
//! silently ignored launches a wave nobody approved.

use crate::foreign::SHOWN_PATTERN;
use crate::ids::{PlanId, SourceServerId};
use crate::status::{Importance, OnFailure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most waves a plan may have; the machine's history budget is proven for it (see `core::poll_interval`).
pub const MAX_WAVES: usize = 100;
/// Most servers one wave may hold: the DRS quota of servers in all jobs of an account and Region (L-05AFA8C6).
pub const MAX_SERVERS_PER_WAVE: usize = 500;
/// Most servers in one DRS job (quota L-B827C881); bigger waves are sharded.
pub const MAX_SERVERS_PER_JOB: usize = 100;
/// Jobs in progress per account and Region (quota L-D88FAC3A).
pub const MAX_CONCURRENT_JOBS: usize = 20;
/// Most places, each an account and Region, that a plan may lead to. Prepare asks each of them one after the other, and its
/// time is limited.
pub const MAX_TARGETS: usize = 100;

/// An account's id.
pub const ACCOUNT_PATTERN: &str = "^[0-9]{12}$";

/// A Region's name. Wide on purpose: `eusc-de-east-1` is one, and whether one exists is AWS's to say. It ends in a number, so that
/// an Availability Zone is none. Terraform takes it from `contract.json`.
pub const REGION_PATTERN: &str = "^[a-z]{2,}(-[a-z]+)+-[0-9]+$";

/// A recovery plan: waves that run one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Letters, digits, dot, dash, underscore; at most 64.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub plan_id: PlanId,
    /// Shown to people; at most 128 characters.
    #[schemars(length(min = 1, max = 128), regex(pattern = SHOWN_PATTERN))]
    pub plan_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[schemars(length(min = 1, max = 100))]
    pub waves: Vec<Wave>,
}

/// One wave: its groups launch in parallel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// 1-based position; the only numbering anywhere.
    #[schemars(range(min = 1, max = 100))]
    pub wave_number: u32,
    #[schemars(length(min = 1, max = 128), regex(pattern = SHOWN_PATTERN))]
    pub wave_name: String,
    /// Wait for a person before this wave starts. On wave 1 it pauses before anything starts.
    #[serde(default)]
    pub pause_before_wave: bool,
    /// At least one group.
    #[schemars(length(min = 1, max = 50))]
    pub groups: Vec<Group>,
    /// What to do when the wave's policy is not met; `abort` unless given.
    #[serde(default = "default_on_failure")]
    pub on_failure: OnFailure,
    /// How many servers must make it, as a count (`2`) or a share (`"80%"`). Unless given: every critical server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_launched: Option<MinLaunched>,
    /// Longest time from the wave's start until every server is settled, in seconds.
    #[serde(default = "default_timeout_seconds")]
    #[schemars(range(min = 5, max = 86_400))]
    pub timeout_seconds: u32,
    /// Pause of the clock, not of a person, after this wave succeeded, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub wait_after_seconds: u32,
    /// How long a gate of this wave waits for a person, in seconds; a day unless given.
    #[serde(default = "default_gate_timeout_seconds")]
    #[schemars(range(min = 5, max = 604_800))]
    pub gate_timeout_seconds: u32,
}

/// Servers of one account and Region that launch together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = SHOWN_PATTERN))]
    pub group_name: Option<String>,
    /// The recovery Region, where DRS launches. With `protectionGroupId` the protection group's own Region is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = REGION_PATTERN))]
    pub region: Option<String>,
    /// The account that owns the servers; absent: the workers' own. Which role leads there is the deployment's to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ACCOUNT_PATTERN))]
    pub account_id: Option<String>,
    /// Members by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^s-[0-9a-zA-Z]{17}$")))]
    pub source_server_ids: Vec<SourceServerId>,
    /// Members by tag: every pair must match exactly, case included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Members of a stored protection group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = SHOWN_PATTERN))]
    pub protection_group_id: Option<String>,
    /// Importance of servers not named in `serverOptions`. Unless given: `critical`, or `optional` in a wave that has
    /// `minLaunched`, whose number then decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    /// Per-server settings, by source server id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub server_options: BTreeMap<SourceServerId, ServerOptions>,
}

/// What may differ from server to server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    /// Launch this point in time instead of the latest state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^pit-[0-9a-zA-Z]{17}$"))]
    pub recovery_snapshot_id: Option<String>,
}

/// A stored protection group: a group with a name of its own, shared by plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProtectionGroup {
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub group_id: String,
    #[schemars(length(min = 1, max = 128), regex(pattern = SHOWN_PATTERN))]
    pub group_name: String,
    #[schemars(regex(pattern = REGION_PATTERN))]
    pub region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ACCOUNT_PATTERN))]
    pub account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^s-[0-9a-zA-Z]{17}$")))]
    pub source_server_ids: Vec<SourceServerId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A count or a share of the wave's servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MinLaunched {
    /// At least this many.
    Count(u32),
    /// At least this share, rounded up: `"80%"`.
    Share(#[schemars(regex(pattern = r"^(100|[0-9]{1,2})%$"))] String),
}

const fn default_on_failure() -> OnFailure {
    OnFailure::Abort
}
/// Two hours: four times the 30 minutes a recovery takes in the field, and most of the slow Windows conversions seen.
const fn default_timeout_seconds() -> u32 {
    7_200
}
const fn default_gate_timeout_seconds() -> u32 {
    86_400
}
