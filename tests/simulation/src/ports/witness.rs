//! Step Functions as finalize asks it: what DescribeExecution says of an execution of the recovery machine.

use super::{Ports, Result};
use crate::luck::Luck;
use crate::narration;
use crate::script::Place;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tidegate_aws::ports::Witness;
use tidegate_core::observed::SeenExecution;

/// An execution of the recovery machine, as Step Functions has it.
#[derive(Debug, Clone)]
pub struct Known {
    pub name: String,
    pub began: Timestamp,
    pub input: Value,
    pub status: &'static str,
    pub error: String,
    pub cause: String,
    pub ended: Option<Timestamp>,
}

impl Known {
    /// One that goes on, or has ended without a word.
    pub fn new(name: &str, began: Timestamp, input: Value, status: &'static str) -> Self {
        Self { name: name.to_owned(), began, input, status, error: String::new(), cause: String::new(), ended: None }
    }

    /// DescribeExecution is eventually consistent: shortly after the end it may still say RUNNING.
    pub fn status_at(&self, seed: u64, now: Timestamp) -> &'static str {
        let lag = i64::from(Luck::new(seed, Place { by: "lag", to: &self.name }.key(), 1).below(20)) - 15;
        let lags = self.ended.is_some_and(|ended| now.duration_since(ended).as_secs() < lag);
        if lags { "RUNNING" } else { self.status }
    }
}

#[async_trait]
impl Witness for Ports {
    async fn look_at(&self, execution_arn: &str) -> Result<Option<SeenExecution>> {
        let about = narration::is_on().then(|| execution_arn.to_owned());
        self.call("states:DescribeExecution", about, false, |state, now| {
            let seed = state.ec2_lag.seed;
            Ok(state.known.get(execution_arn).map(|known| SeenExecution {
                status: known.status_at(seed, now).to_owned(),
                started_at: known.began,
                input: Some(known.input.to_string()),
                error: Some(known.error.clone()),
                cause: Some(known.cause.clone()),
            }))
        })
        .await
    }
}
