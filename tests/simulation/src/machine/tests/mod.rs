//! Tests of the interpreter: one behaviour per small machine, the shipped machine, the corpus, and no panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corpus;
mod data;
mod driver;
mod limits;
mod never_panics;
#[cfg(feature = "recordings")]
mod recordings;
mod refusals;
mod shipped;
mod tasks;
