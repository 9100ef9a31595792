//! The generic Step Functions activity worker: poll, run, heartbeat, cancel, answer, drain.
//!
//! What lives here: the manners of a worker towards the service. What may not: anything about disaster recovery, any
//! `aws_sdk_*` name, any decision about what a task means. The service comes in through [`TaskService`] (four calls), the
//! work through [`ActivityHandler`] (JSON in, JSON out), the contract's error names as strings in [`ErrorNames`].
//!
//! One activity has `slots` (tasks that may run at once) and `pollers` (open long polls):
//!
//! ```text
//!            ┌───────────────────────────── poller (× pollers) ─────────────────────────────┐
//!            │                                                                              │
//!            │   wait for a slot ──> GetActivityTask (≤ 60 s) ──┬─ empty ──> next turn       │
//!            │        ▲   no slot, no poll                      ├─ error ──> backoff+jitter  │
//!            │        │                                         ├─ denied/missing ─> worker  │
//!            │        │                                         │                    ends    │
//!            │        └────────────── next turn <───────────────┴─ task (slot moves along)   │
//!            └──────────────────────────────────────────────────────────┬───────────────────┘
//!                                                                       ▼
//!     taken ──> parse ──> handler (own tokio task) ──> answer ──────────────> TaskFinished (exactly one)
//!       │         │          │ panic   -> internal       │ retried until accepted,
//!       │         │          │ deadline-> cancel         │ token dead, or the
//!       │         │          │ drain   -> cancel         │ service's timeout
//!       │         └ bad JSON -> invalid input            │
//!       └───────── heartbeat every HeartbeatSeconds / 3 ─┘   token dead -> cancel, answer not wanted
//! ```
//!
//! Times of one task, and of a drain:
//!
//! ```text
//!     taken          H/3   2H/3  ...                  deadline   patience          TimeoutSeconds
//!       ├─────────────┴─────┴──────────────────────────────┼──────────┼──────── answer ───────┤
//!
//!     shutdown               grace over                    give up
//!       ├── no new poll,       ├── cancel handlers, wait     ├── no further answer retries
//!       │   polls in flight    │   patience, answer          │
//!       │   are waited out     │   shutdown                  │
//! ```
//!
//! Rules that hold everywhere in this crate:
//! - A task taken is answered once, also on panic, bad input and shutdown; tests in `tests/` hold each manner.
//! - A poll in flight is never dropped: the service hands a token out once, so a task in a dropped response is run by
//!   nobody until its heartbeat expires (AWS step-functions dg, bp-activity-pollers; aws-sdk-go-v2 #150).
//! - Task tokens are capabilities. Only [`TaskToken::expose`] shows one, and only the adapter calls it.
//! - Decisions are synchronous functions (`decide_*`); the clock is read in `clock.rs`, randomness in `jitter.rs`.
//! - Needs `panic = "unwind"`: a panicking handler is answered, not fatal.

mod answer;
mod clock;
mod deliver;
mod handler;
mod health;
mod heartbeat;
mod jitter;
pub mod metrics;
mod options;
mod poller;
mod retry;
mod service;
mod tally;
mod task;
pub mod telemetry;
mod worker;

pub use answer::{MAX_CAUSE_BYTES, MAX_ERROR_BYTES, MAX_OUTPUT_BYTES};
pub use handler::{ActivityHandler, TaskContext, TaskFailure};
pub use health::{HealthReport, HealthState, HealthStatus, StalledPoller, health_router};
pub use metrics::{DiscardMetrics, EmfRecord, MetricSink, WriterMetrics};
pub use options::{ActivityRegistration, ErrorNames, InvalidOption, WorkerOptions};
pub use retry::BackoffBounds;
pub use service::{ActivityTask, TaskService, TaskServiceError, TaskServiceErrorClass, TaskToken};
pub use tally::WorkerSummary;
pub use worker::{Worker, WorkerError};
