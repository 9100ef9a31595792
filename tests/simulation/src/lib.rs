//! Deterministic simulation: the shipped state machine, interpreted; the real activity code on its ports; the simulator's own
//! DRS model; an in-memory store with real conditional semantics; a virtual clock. One thread, one seed.
//!
//! - [`machine`]: the Amazon States Language, interpreted strictly, with history counted as AWS counts it.
//! - [`tables`], [`expression`]: DynamoDB, as far as the state machine and the activities use it.
//! - [`time`]: the virtual clock and the tasks that sleep on it.
//! - [`ports`]: the activities' ports over all of that, with the faults of [`faults`] at every call.
//! - [`run`]: one seed, one execution, from start to end. [`invariants`]: what must hold after every event.
//!
//! What may not live here: a second copy of any decision or of the activities. What is tested is what ships.

pub mod expression;
pub mod faults;
pub mod invariants;
pub mod machine;
pub mod ports;
pub mod run;
pub mod scenario;
pub mod tables;
pub mod time;
mod translation;
