//! No token leaves: every log line of the activities and every error text is searched for the beginning that all task tokens
//! of the interpreter have in common.

use super::{NO_LEAK, Violation, violation};
use crate::machine::TOKEN_PREFIX;
use crate::narration;
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

thread_local! {
    /// A line that was heard with a token in it, and the line being built.
    static HEARD: RefCell<(Option<String>, String)> = const { RefCell::new((None, String::new())) };
}

/// A violation if the text holds a token.
pub fn in_text(place: &str, text: &str) -> Option<Violation> {
    text.contains(TOKEN_PREFIX).then(|| violation(NO_LEAK, place))
}

/// A violation if any text in the value holds a token.
pub fn in_value(place: &str, value: &Value) -> Option<Violation> {
    match value {
        Value::String(text) => in_text(place, text),
        Value::Array(items) => items.iter().find_map(|item| in_value(place, item)),
        Value::Object(fields) => {
            fields.iter().find_map(|(name, field)| in_text(place, name).or_else(|| in_value(place, field)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A log line with a token, heard on this thread since the last call.
pub fn heard() -> Option<Violation> {
    HEARD.with_borrow_mut(|(leak, _)| leak.take()).map(|line| violation(NO_LEAK, line))
}

/// Runs `what` with this thread's log lines listened to.
pub fn listening<T>(what: impl FnOnce() -> T) -> T {
    // One dispatcher for all runs: making one rebuilds every callsite's interest.
    static EAR: OnceLock<Dispatch> = OnceLock::new();
    tracing::dispatcher::with_default(EAR.get_or_init(|| Dispatch::new(Ear)), what)
}

struct Ear;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn listen(target: &str, record: impl FnOnce(&mut Line<'_>)) {
    HEARD.with_borrow_mut(|(leak, line)| {
        line.clear();
        record(&mut Line(line));
        if line.contains(TOKEN_PREFIX) {
            leak.get_or_insert_with(|| format!("a log line of {target}"));
        }
    });
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tidegate")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        listen(span.metadata().target(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        listen("a span", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        listen(event.metadata().target(), |line| event.record(line));
        HEARD.with_borrow(|(_, line)| narration::tell_log(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_in_a_log_line_or_a_value_is_heard() {
        let token = format!("{TOKEN_PREFIX}0123");
        listening(|| tracing::info!(target: "tidegate_worker", %token, "TaskTaken"));
        assert_eq!(heard().unwrap().rule, NO_LEAK);
        listening(|| tracing::info!(target: "tidegate_worker", wave = 1, "TaskTaken"));
        assert!(heard().is_none());
        assert!(in_value("x", &json!({ "a": [{ "b": token }] })).is_some());
        assert!(in_value("x", &json!({ "a": [{ "b": 1 }] })).is_none());
    }
}
