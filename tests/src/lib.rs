//! What must hold between the parts of Tidegate and belongs to none of them: rules for the state machine, freshness of
//! what is generated, the direction of dependencies, documents that name what the code names.
//!
//! The libraries here are pure: text in, findings out. Reading files happens in [`repository`] and in `tests/rust/`.
//! What may not live here: tests of one crate's behaviour (they live with the crate), anything that starts a process of
//! ours (that is `tests/e2e` and `tests/local`, in Python).

pub mod asl;
pub mod diagram;
pub mod repository;
pub mod scan;
