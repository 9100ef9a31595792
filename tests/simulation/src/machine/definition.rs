//! A state machine's definition, compiled: names are indexes, paths and functions are parsed.

use std::sync::Arc;

use serde_json::Value;

use super::{
    choice::Rule,
    intrinsic::Expression,
    parse,
    path::Path,
    retry::{Catcher, Retrier},
    template::Template,
};

/// A definition that runs here as it runs on AWS.
#[derive(Debug)]
pub struct Definition {
    pub(crate) states: Vec<State>,
    pub(crate) start_at: usize,
    pub(crate) timeout_seconds: Option<u32>,
}

/// Why a definition is refused. What this interpreter does not know is refused and never ignored.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The text is not JSON.
    #[error("the definition is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// A part of it is wrong, or not supported here.
    #[error("{at}: {problem}")]
    Refused {
        /// The state, or the machine.
        at: String,
        /// What is wrong.
        problem: String,
    },
}

impl Definition {
    /// Compiles the text of a definition, in which no `${…}` placeholder may be left.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        parse::definition(text)
    }

    /// The names of all states, in the order of their names.
    pub fn state_names(&self) -> impl Iterator<Item = &str> {
        self.states.iter().map(|state| state.name.as_ref())
    }
}

/// One state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Arc<str>,
    /// `None` for null: the state then sees `{}`.
    pub(crate) input_path: Option<Path>,
    pub(crate) output_path: Option<Path>,
    /// Whether it reads `$$.State` or `$$.Task`, or the whole context object: only then they are kept up to date.
    pub(crate) asks_of_itself: bool,
    pub(crate) kind: Kind,
}

/// Where a state leads: to another, or to the end.
pub(crate) type Next = Option<usize>;

#[derive(Debug)]
pub(crate) enum Kind {
    Pass { result: Option<Value>, parameters: Option<Template>, result_path: Option<Vec<String>>, next: Next },
    Choice { choices: Vec<(Rule, usize)>, default: Next },
    Wait { until: Until, next: Next },
    Succeed,
    Fail { error: Text, cause: Text },
    Task(Box<Task>),
}

/// When a Wait state is over.
#[derive(Debug)]
pub(crate) enum Until {
    Seconds(u32),
    SecondsPath(Path),
    Timestamp(jiff::Timestamp),
    TimestampPath(Path),
}

/// The `Error` or `Cause` of a Fail state.
#[derive(Debug)]
pub(crate) enum Text {
    Literal(String),
    Expression(Expression),
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    pub(crate) timeout: Option<Limit>,
    pub(crate) heartbeat: Option<Limit>,
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: Option<Vec<String>>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
    pub(crate) next: Next,
}

/// Who does the work of a Task state.
#[derive(Debug)]
pub(crate) enum Resource {
    Activity { arn: String },
    Service { service: String, action: String, callback: bool },
}

/// A time limit in seconds.
#[derive(Debug)]
pub(crate) enum Limit {
    Seconds(u32),
    Path(Path),
}
