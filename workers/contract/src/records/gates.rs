//! A gate: what it asks is in the record, its token is not.

use crate::IsoTime;
use crate::ids::ExecutionId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An open gate. Its task token, a capability, is an item of `execution-gates`. (Earlier versions wrote it in here.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// `RESUME` or `DECISION`.
    pub kind: GateKind,
    pub reason: String,
    pub wave_number: u32,
    pub since: IsoTime,
    pub timeout_seconds: u32,
}

/// Item of `execution-gates`: the task token of an execution's last gate, written by Step Functions itself. A token is worth
/// nothing once its gate was answered or its execution ended, so nothing removes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateToken {
    pub execution_id: ExecutionId,
    /// Never logged, never printed except on request.
    pub token: String,
    /// Not before the `since` of the gate it opens; an earlier one is the token of the gate before.
    pub since: IsoTime,
}

impl GateToken {
    /// Whether it opens this gate, and not the one before it.
    pub fn opens(&self, gate: &Gate) -> bool {
        self.since >= gate.since
    }
}

impl std::fmt::Debug for GateToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateToken")
            .field("execution_id", &self.execution_id)
            .field("token", &"<redacted>")
            .field("since", &self.since)
            .finish()
    }
}

/// What a gate asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GateKind {
    /// Go on or decline.
    #[serde(rename = "RESUME")]
    Resume,
    /// A wave failed: retry, skip, continue or abort.
    #[serde(rename = "DECISION")]
    Decision,
}
