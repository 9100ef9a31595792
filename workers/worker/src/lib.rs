//! The six activities on their ports, and the wiring of the worker process.
//!
//! - [`activities`]: one file an activity, named after it; each reads top to bottom: observe, decide (in `core`), do, record.
//! - [`world`]: the ports they see. [`error`]: the closed set of answers. [`handler`]: JSON in and out.
//! - [`config`], [`telemetry`], [`tasks`]: the process.
//!
//! What may not live here: decisions (they are pure and in `tidegate-core`), `aws_sdk_*` (in `tidegate-aws`), and any
//! knowledge of which wave is next or whether to pause: the state machine owns that (FR-2.5, NFR-4.1).

pub mod activities;
pub mod config;
pub mod error;
pub mod handler;
pub mod metrics;
pub mod tasks;
pub mod telemetry;
pub mod world;
