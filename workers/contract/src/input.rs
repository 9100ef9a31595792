//! What a person types into StartExecution. `executionId` is the execution's name; nothing has to be repeated.

use crate::foreign::SHOWN_PATTERN;
use crate::ids::{ExecutionId, PlanId};
use crate::plan::Plan;
use crate::status::{ExecutionType, Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Input of the recovery state machine: a plan to run, or an earlier execution to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Request {
    Plan(Box<ExecutionInput>),
    Continue(ContinueInput),
}

/// Runs a plan. Exactly one of `planId` and `plan` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecutionInput {
    /// A stored plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub plan_id: Option<PlanId>,
    /// A plan given inline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// There is no default: nobody starts a real recovery by leaving a field out.
    pub execution_type: ExecutionType,
    #[serde(default = "default_mode")]
    pub mode: Mode,
    /// Who asked for it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = SHOWN_PATTERN))]
    pub initiated_by: Option<String>,
    #[serde(default)]
    pub options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// Version of this shape; inputs without it are version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: Option<u32>,
}

/// What was shown to whoever confirmed the start, as a CHECK told it. Prepare refuses anything else; what is left out is not
/// compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    /// Digest of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub plan_hash: Option<String>,
    /// Digest of who is in which wave. Given, it also confirms that they may be others than in the plan's last good run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub membership_hash: Option<String>,
}

/// Settings of one execution.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Drill only: how long the instances stay up for checks before they are terminated, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800))]
    pub hold_seconds: u32,
    /// Drill only: leave the instances running.
    #[serde(default)]
    pub keep_instances: bool,
    /// Recovery only: the recovery instances that servers have already may be deleted, with their data: DRS does that before
    /// it launches such a server again. Without it such a run is refused: the instance may serve production by now.
    #[serde(default)]
    pub replace_recovered: bool,
    /// Drill only: drill instances of other runs may be deleted: DRS does that before it launches their servers again.
    #[serde(default)]
    pub replace_drill: bool,
    /// Launch although DRS's native recovery plans could not be read; recorded in the execution.
    #[serde(default)]
    pub ignore_native_plans: bool,
}

/// Continues an execution that ended without having recovered everything, at its failed wave. Plan, membership, type and
/// mode are those of that execution; what it launched is adopted, not launched again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContinueInput {
    /// Name of the execution to continue.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,80}$"))]
    pub continue_execution: ExecutionId,
    /// Not needed; refused if it is not that execution's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_type: Option<ExecutionType>,
    /// Not needed; only RUN can be continued, and a continuation runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Who asked for it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = SHOWN_PATTERN))]
    pub initiated_by: Option<String>,
    #[serde(default)]
    pub options: ContinueOptions,
    /// Of the continued execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// Version of this shape; inputs without it are version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: Option<u32>,
}

/// Settings of a continuation. What is left out stays as the continued execution had it. A shorter hold, or instances that are not
/// kept any more, come into force once somebody has answered a gate of the continuation; it pauses before its first wave for that.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContinueOptions {
    /// Drill only: how long the instances stay up for checks before they are terminated, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604_800))]
    pub hold_seconds: Option<u32>,
    /// Drill only: leave the instances running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_instances: Option<bool>,
    /// Recovery only: of servers that are still to be launched, the recovery instances of other runs may be deleted.
    #[serde(default)]
    pub replace_recovered: bool,
    /// Drill only: of servers that are still to be launched, the drill instances of other runs may be deleted.
    #[serde(default)]
    pub replace_drill: bool,
    /// Launch although DRS's native recovery plans could not be read; recorded in the execution.
    #[serde(default)]
    pub ignore_native_plans: bool,
}

const fn default_mode() -> Mode {
    Mode::Run
}
