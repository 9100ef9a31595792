//! An error name and a cause, as Step Functions reports them.

use std::borrow::Cow;

/// Uncatchable: a definition that does not fit its data ends the execution.
pub(crate) const RUNTIME: &str = "States.Runtime";
/// A payload over the quota.
pub(crate) const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
/// A task ran longer than its `TimeoutSeconds`.
pub(crate) const TIMEOUT: &str = "States.Timeout";
/// A task was silent for longer than its `HeartbeatSeconds`, as the guide names it.
pub(crate) const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";

/// Why a state, an attempt or an execution failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `None` when a task failed without giving one; a Catch is handed null.
    pub(crate) error: Option<Cow<'static, str>>,
    pub(crate) cause: Option<String>,
}

impl Fault {
    pub(crate) fn new(error: impl Into<Cow<'static, str>>, cause: impl Into<String>) -> Self {
        Self { error: Some(error.into()), cause: Some(cause.into()) }
    }

    /// What SendTaskFailure was called with.
    pub(crate) fn sent(error: Option<String>, cause: Option<String>) -> Self {
        Self { error: error.map(Cow::Owned), cause }
    }

    pub(crate) fn runtime(cause: impl Into<String>) -> Self {
        Self::new(RUNTIME, cause)
    }

    pub(crate) fn intrinsic(function: &str, cause: impl std::fmt::Display) -> Self {
        Self::new("States.IntrinsicFailure", format!("The function '{function}' had the following error: {cause}"))
    }

    pub(crate) fn too_large(what: &str, size: usize) -> Self {
        let limit = super::payload::MAX_PAYLOAD_BYTES;
        Self::new(DATA_LIMIT_EXCEEDED, format!("The {what} is {size} bytes, over the maximum of {limit} bytes."))
    }
}
