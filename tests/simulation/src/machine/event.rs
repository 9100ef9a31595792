//! What an execution asks of the world, and what the world tells it.

use std::sync::Arc;

use serde_json::Value;

/// What every token begins with, so that one can be recognised wherever it should not be.
pub const TOKEN_PREFIX: &str = "AAAAKgAAAAIAAAAAAAAAA";

/// A task token: a new one per attempt, of an activity or of a callback.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Arc<str>);

impl Token {
    /// The token as it travels to a worker or into a record.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Token {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// A token is a capability, so it is not printed.
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// Identifies a service call within its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What is to be done for an execution.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put a task into the activity's queue. Whoever takes it reports [`Event::ActivityStarted`] first.
    ScheduleActivity {
        /// Of this attempt.
        token: Token,
        /// The activity's ARN.
        resource: String,
        /// What the worker gets.
        input: Value,
    },
    /// Call an AWS service and report [`Event::ServiceResult`].
    CallService {
        /// To be given back with the result.
        call_id: CallId,
        /// As in the resource, such as `dynamodb` or `events`.
        service: String,
        /// As in the resource, such as `updateItem`.
        action: String,
        /// The filled template.
        parameters: Value,
        /// Of a `.waitForTaskToken` state; the parameters hold it too.
        callback_token: Option<Token>,
    },
    /// The execution has reached a terminal status. Told once.
    Ended,
}

/// What happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker took the task: its clocks start. Refused for a dead token, and the queue then offers the next task.
    ActivityStarted {
        /// Of the task.
        token: Token,
    },
    /// `SendTaskHeartbeat`.
    Heartbeat {
        /// Of the task.
        token: Token,
    },
    /// `SendTaskSuccess`.
    Success {
        /// Of the task.
        token: Token,
        /// Parsed; text that is not JSON is refused by the API before it gets here (InvalidOutput).
        output: Value,
    },
    /// `SendTaskFailure`.
    Failure {
        /// Of the task.
        token: Token,
        /// The error name. Optional in the API, as is the cause: a Catch is handed null for what was not given.
        error: Option<String>,
        /// The cause.
        cause: Option<String>,
    },
    /// A service call returned.
    ServiceResult {
        /// From the effect.
        call_id: CallId,
        /// The response, or the error name (such as `DynamoDb.ConditionalCheckFailedException`) and its cause.
        result: Result<Value, (String, String)>,
    },
}

/// What the caller of a task API hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// 200.
    Accepted,
    /// The token was this execution's, and its attempt is over.
    TaskTimedOut,
    /// The token never was this execution's, or nobody was given it.
    TaskDoesNotExist,
}
