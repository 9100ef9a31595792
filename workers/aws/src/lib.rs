//! The ports to AWS and the only code that names `aws_sdk_*` (EC2's crate sits one step further away, in `tidegate-ec2`,
//! because it costs minutes to compile).
//!
//! - [`ports`]: the traits activities see. The deterministic simulation implements them without AWS.
//! - [`drs`], [`store`], [`targets`], [`stepfunctions`]: the implementations.
//! - [`acceptance`]: what `tidegate accept` alone asks.
//! - [`error`]: what went wrong, and whether the call may have had its effect.
//!
//! What may not live here: an `if` about waves. Adapters translate; unknown enum values become `Unrecognised`.

pub mod acceptance;
pub mod clock;
pub mod config;
pub mod drs;
pub mod error;
pub mod ports;
mod recent;
mod retry_after;
pub mod stepfunctions;
pub mod store;
pub mod targets;

pub use error::{ErrorClass, PortError, Sent};
