//! The work side: what a handler gets and what it may answer.

use async_trait::async_trait;
use std::fmt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One activity: raw JSON in, raw JSON out. Typed wrappers live with the handlers.
///
/// A handler runs as its own tokio task inside the task's span, so `tracing::Span::current().record("execution_id", …)`
/// fills the fields declared in [`crate::telemetry::task_span`]. It may be dropped at any `.await` once
/// [`TaskContext::cancelled`] has fired and the patience is over, so effects must be safe to resume.
#[async_trait]
pub trait ActivityHandler: Send + Sync + 'static {
    /// Runs one task.
    async fn handle(&self, input: serde_json::Value, ctx: TaskContext) -> Result<serde_json::Value, TaskFailure>;
}

/// What a handler may know about its task. It holds no token: only the runtime answers.
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// Fires when the answer is no longer wanted, the local deadline passed, or the drain grace is over. A success returned
    /// soon after is still sent; a failure is answered under the reason's own error name.
    pub cancelled: CancellationToken,
    /// The local deadline, a little before the service's timeout.
    pub deadline: Instant,
    /// The worker's name as the service knows it.
    pub worker_name: String,
    /// Fires when the worker starts draining: finish what is under way, start nothing long.
    pub draining: CancellationToken,
}

impl TaskContext {
    /// A context that nothing cancels, for calling a handler outside a worker.
    #[must_use]
    pub fn detached(worker_name: impl Into<String>, deadline: Instant) -> Self {
        Self {
            cancelled: CancellationToken::new(),
            deadline,
            worker_name: worker_name.into(),
            draining: CancellationToken::new(),
        }
    }
}

/// A failure answered to Step Functions. The machine decides by `error`, so it must be a name of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// The error name.
    pub error: String,
    /// The detail, JSON by convention. Cut to the service's limit when sent.
    pub cause: String,
}

impl TaskFailure {
    /// A failure named `error`.
    #[must_use]
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.cause)
    }
}

impl std::error::Error for TaskFailure {}
