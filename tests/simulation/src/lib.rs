//! Deterministic simulation: the shipped state machine, interpreted; the real activity code on its ports; the simulator's own
//! DRS model; an in-memory store with real conditional semantics; a virtual clock. One thread, one seed.
//!
//! - [`machine`]: the Amazon States Language, interpreted strictly, with history counted as AWS counts it.
//! - [`tables`], [`expression`]: DynamoDB, as far as the state machine and the activities use it.
//! - [`time`]: the virtual clock and the tasks that sleep on it.
//! - [`ports`]: the activities' ports over all of that, with the faults of [`faults`] at every call.
//! - [`run`]: one seed, one execution, from start to end. [`invariants`]: what must hold after every event.
//! - `narration`: a run told line by line, for people.
//!
//! What may not live here: a second copy of any decision or of the activities. What is tested is what ships.

/// The activities allocate and free all the time, and a run does little else: a quarter of its time goes with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod bugs;
pub mod crowd;
pub mod expression;
pub mod faults;
pub mod foreign;
mod forgers;
pub mod hunt;
pub mod invariants;
pub mod luck;
pub mod machine;
mod narration;
pub mod outage;
pub mod parts;
pub mod people;
pub mod ports;
pub mod promises;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod script;
pub mod shrink;
pub mod sweep;
pub mod tables;
pub mod time;
mod translation;
pub mod world;
