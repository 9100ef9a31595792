//! Records to text: pure functions, no colours (see [`paint`]), no clock, no terminal; width and time are arguments.

pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod drift;
pub(crate) mod gate;
pub(crate) mod list;
pub(crate) mod paint;
pub(crate) mod plan;
pub(crate) mod problems;
pub(crate) mod progress;
pub(crate) mod redact;
pub(crate) mod show;
pub(crate) mod spelled;
pub(crate) mod table;
pub(crate) mod text;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod foreign_tests;
