//! The one crate that names `aws_sdk_ec2`.
//!
//! `aws-sdk-ec2` costs minutes and gigabytes to compile, so it stands behind this small wall: nothing of it appears in a
//! public signature, and everything else in the workspace compiles without looking at it.
//!
//! * [`Ec2Reader`] is what the worker needs: the facts of a handful of instances, for enrichment.
//! * [`Ec2Launcher`] (feature `launch`) is what the simulator needs: to do to EC2 what the DRS service does.
//!
//! What may not live here: decisions about waves or servers, and any retry policy beyond the SDK's own.

mod error;
#[cfg(feature = "launch")]
mod launcher;
mod reader;

pub use error::{Delivery, Ec2Error};
#[cfg(feature = "launch")]
pub use launcher::{Ec2Launcher, LaunchRequest, RunningInstance};
pub use reader::{Ec2Reader, InstanceFacts, TaggedInstance};
