//! A faithful local AWS Elastic Disaster Recovery (DRS), as a pure model.
//!
//! [`Simulator`] holds what the service would hold: source servers, jobs and their logs, recovery instances, launch
//! configurations, snapshots, native recovery plans; one isolated world per account and Region ([`Scope`]). Every API
//! operation is a method that takes `now`. Time passes only by [`Simulator::advance`], which applies all transitions that
//! are due and returns what must be done to EC2 ([`Effect`]); the caller does it and reports back. The same seed, calls
//! and times give the same answers.
//!
//! What may not live here: a socket, a thread, a clock, an async runtime. Those are the business of the binary (`shell/`),
//! and the deterministic simulation runs this same model without them.
//!
//! ```
//! use tidegate_simulator::{Inventory, MemoryInstances, Scope, Settings, Simulator, settle, wire};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut now: jiff::Timestamp = "2026-11-20T03:00:00Z".parse()?;
//! let mut drs = Simulator::new(Settings::default(), Inventory::generated(2, "us-west-2"), now)?;
//! let mut ec2 = MemoryInstances::new(7);
//! let scope = Scope::new("000000000000", "us-west-2");
//! let source_servers = vec![wire::StartRecoverySourceServer::latest("s-00000000000000001")];
//! drs.start_recovery(&scope, wire::StartRecovery { source_servers, is_drill: true, ..Default::default() }, now)?;
//! while let Some(due) = drs.next_due() {
//!     now = due;
//!     settle(&mut drs, &mut ec2, now);
//! }
//! let jobs = drs.describe_jobs(&scope, wire::DescribeJobs::default(), now)?;
//! assert_eq!(jobs.items[0].status, wire::JobStatus::Completed);
//! assert_eq!(ec2.all().count(), 1);
//! # Ok(())
//! # }
//! ```

mod error;
mod faults;
mod instances;
mod inventory;
mod journal;
mod operation;
mod paging;
mod rate;
mod region;
mod scenario;
mod shapes;
mod simulator;
mod time;
mod validate;
pub mod wire;

pub use error::{ApiError, FieldProblem, Quota};
pub use faults::{FaultBook, FaultKind, FaultRule, FaultRuleError, Stage};
pub use instances::{
    Effect, InstanceFailure, Instances, LaunchInstance, LaunchTemplate, LaunchedInstance, MemoryInstance,
    MemoryInstances, settle,
};
pub use inventory::{Inventory, InventoryError, InventoryServer, NativeExecution, NativePlan, ServerGroup};
pub use journal::{CallCounts, Journal, JournalEntry};
pub use operation::{Operation, Route, SigningScope, route, signing_scope};
pub use rate::{RequestRate, RequestRates};
pub use region::Deletion;
pub use scenario::{Quirks, Scenario};
pub use simulator::{Call, Delivery, Outcome, Quotas, Scope, Settings, Simulator};
pub use time::{Dice, Stamp, Timing};
