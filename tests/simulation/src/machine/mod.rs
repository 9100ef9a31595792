//! The Amazon States Language, JSONPath, as AWS runs it: strict, synchronous, deterministic.
//!
//! A [`Definition`] is compiled once; an [`Execution`] of it is driven from outside: [`Execution::advance`] returns what
//! is to be done ([`Effect`]), [`Execution::handle`] takes what happened ([`Event`]), [`Execution::wake_at`] says when
//! time alone moves it on. Where AWS ends an execution over a missing field, so does this; where it counts history events
//! or bytes, so does this; a definition with anything this does not know is refused when it is parsed.
//!
//! - `definition`, `parse`: the compiled form, and how the text becomes it.
//! - `path`, `intrinsic`, `functions`, `template`, `choice`, `payload`: data in, data out, and its size.
//! - `execution`, `walk`, `attempt`, `retry`, `history`: the steps.
//! - `event`: the interface to the world. `fault`: error names. `readings`: where AWS's sources differ.
//!
//! What may not live here: a clock, a source of randomness, I/O, a task, anything about Tidegate. Not supported: Map,
//! Parallel, JSONata, variables, `.sync`.

mod attempt;
mod choice;
mod definition;
mod event;
mod execution;
mod fault;
mod functions;
mod history;
mod intrinsic;
mod parse;
mod path;
mod payload;
mod readings;
mod retry;
mod template;
#[cfg(test)]
mod tests;
mod walk;

pub use definition::{Definition, DefinitionError};
pub use event::{CallId, Effect, Event, Handled, TOKEN_PREFIX, Token};
pub use execution::{Context, Execution, Status};
pub use history::{History, HistoryEntry, HistoryEvent, MAX_HISTORY_EVENTS};
pub use readings::Readings;
