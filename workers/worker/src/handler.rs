//! From JSON to an activity's types and back. An input that does not parse is answered with its JSON path.

use crate::error::ActivityError;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_contract::foreign::echo;
use tidegate_contract::{ActivityName, ErrorName};
use tidegate_runtime::{ActivityHandler, TaskContext, TaskFailure};
use tracing::{Span, error, warn};

type Answer = Pin<Box<dyn Future<Output = Result<Value, ActivityError>> + Send>>;

/// One activity as the runtime sees it.
pub struct Handler {
    name: ActivityName,
    run: Box<dyn Fn(Value) -> Answer + Send + Sync>,
}

impl Handler {
    /// Wraps a typed function.
    pub fn new<I, O, F, Fut>(name: ActivityName, run: F) -> Arc<Self>
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, ActivityError>> + Send + 'static,
    {
        Arc::new(Self {
            name,
            run: Box::new(move |input| {
                let run = run.clone();
                Box::pin(async move {
                    let input = serde_json::from_value(input).map_err(|error| {
                        ActivityError::new(
                            ErrorName::InvalidInput,
                            // serde quotes the value it cannot read.
                            format!("the input of {name} cannot be read: {}", echo(&error.to_string())),
                        )
                    })?;
                    let output = run(input).await?;
                    serde_json::to_value(output).map_err(|error| {
                        ActivityError::new(
                            ErrorName::Internal,
                            format!("the output of {name} cannot be written: {error}"),
                        )
                    })
                })
            }),
        })
    }

    /// Runs the activity once, outside a worker: for the simulation and tests.
    pub async fn run(&self, input: Value) -> Result<Value, ActivityError> {
        (self.run)(input).await
    }
}

#[async_trait]
impl ActivityHandler for Handler {
    async fn handle(&self, input: Value, _context: TaskContext) -> Result<Value, TaskFailure> {
        let span = Span::current();
        for (field, key) in [("execution_id", "executionId")] {
            if let Some(value) = input.get(key).and_then(Value::as_str) {
                span.record(field, value);
            }
        }
        if let Some(wave) = input.get("waveNumber").and_then(Value::as_u64) {
            span.record("wave", wave);
        }
        self.run(input).await.map_err(|failure| {
            match failure.name {
                ErrorName::Internal => {
                    error!(activity = %self.name, error = %failure.name, chain = %failure.chain(), "ActivityFailed")
                }
                _ => warn!(activity = %self.name, error = %failure.name, chain = %failure.chain(), "ActivityFailed"),
            }
            TaskFailure::new(failure.name.as_str(), failure.cause())
        })
    }
}
