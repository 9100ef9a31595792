//! The one contract of Tidegate: names and shapes, nothing that decides and nothing that touches the world.
//!
//! Here live the activity names with their timeouts, the input and output types, the plan model, the records as they
//! lie in DynamoDB, the table layout, the closed sets of statuses and error names. `statemachine/contract/` is generated
//! from it (`make contract`), and the state machine, Terraform, the local stack and the tests read that copy.
//!
//! What may not live here: I/O, a clock, randomness, AWS types, and any `if` about a wave's fate (that is `tidegate-core`).

pub mod activities;
pub mod document;
pub mod errors;
pub mod foreign;
pub mod ids;
pub mod input;
pub mod machines;
mod pending;
pub mod plan;
pub mod processes;
pub mod records;
pub mod status;
pub mod tables;

pub use activities::{ActivityName, ActivitySpec};
pub use errors::ErrorName;
pub use ids::{ExecutionId, JobId, PlanId, SourceServerId};
pub use status::{
    CleanupStatus, ExecutionStatus, ExecutionType, Importance, LaunchStatus, Mode, OnFailure, PostLaunchStatus,
    WavePhase, WaveStatus,
};

/// Version of the shapes in this crate. Rises when a field changes its meaning; additions do not raise it (FR-1.4, TC-1.3).
pub const SCHEMA_VERSION: u32 = 1;

/// A point in time as text: RFC 3339, UTC, exactly three fraction digits, so that text order is time order in every index.
pub type IsoTime = String;
