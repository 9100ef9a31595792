//! Calls that nobody but `tidegate accept` makes: what AWS thinks of the definitions, of the roles' rights and of a
//! notification, and an execution's history.
//!
//! IAM, EventBridge and SQS are called over [`signed`], not with their SDKs: three crates for four calls cost every build
//! minutes (aws-sdk-iam alone is larger than all of aws-sdk-drs).

mod account;
mod machines;
mod signed;

pub use account::{AccountClient, ContextEntry, Decision};
pub use machines::{Definition, HistoryEvent, MachineClient, Validation};
