//! Step Functions: the four activity calls of a worker, and what the operator's tool needs.

use crate::error::PortError;
use crate::ports::Witness;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use jiff::Timestamp;
use std::time::Duration;
use tidegate_core::observed::SeenExecution;

/// The service holds a poll for 60 s; a shorter socket timeout drops answers that carry a task (lesson c-46).
const POLL_TIMEOUT: Duration = Duration::from_secs(70);

/// Activity calls.
#[derive(Debug, Clone)]
pub struct ActivityClient {
    polls: Client,
    answers: Client,
}

impl ActivityClient {
    /// Two clients: polls wait long and are never repeated by the client, answers are short.
    pub fn new(config: &SdkConfig) -> Self {
        let polls = aws_sdk_sfn::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .read_timeout(POLL_TIMEOUT)
                    .disable_operation_timeout()
                    .disable_operation_attempt_timeout()
                    .build(),
            )
            // On by default it ends a poll whose body comes late (measured: after 6 s, AWS fact sheet 10.3).
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let answers = aws_sdk_sfn::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { polls: Client::from_conf(polls), answers: Client::from_conf(answers) }
    }

    /// One long poll: token and input, or None when there was nothing to do.
    pub async fn get_activity_task(&self, arn: &str, worker_name: &str) -> Result<Option<(String, String)>, PortError> {
        let answer = self.polls.get_activity_task().activity_arn(arn).worker_name(worker_name).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk("states:GetActivityTask", error))?;
        // No task: AWS sends null, emulators an empty text.
        let token = answer.task_token.filter(|token| !token.is_empty());
        Ok(token.map(|token| (token, answer.input.unwrap_or_default())))
    }

    pub async fn send_task_success(&self, token: &str, output: &str) -> Result<(), PortError> {
        let answer = self.answers.send_task_success().task_token(token).output(output).send().await;
        answer.map(|_| ()).map_err(|error| PortError::from_sdk("states:SendTaskSuccess", error))
    }

    pub async fn send_task_failure(&self, token: &str, error: &str, cause: &str) -> Result<(), PortError> {
        let answer = self.answers.send_task_failure().task_token(token).error(error).cause(cause).send().await;
        answer.map(|_| ()).map_err(|error| PortError::from_sdk("states:SendTaskFailure", error))
    }

    pub async fn send_task_heartbeat(&self, token: &str) -> Result<(), PortError> {
        let answer = self.answers.send_task_heartbeat().task_token(token).send().await;
        answer.map(|_| ()).map_err(|error| PortError::from_sdk("states:SendTaskHeartbeat", error))
    }
}

/// How an execution stands, in Step Functions' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStatus {
    /// RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED, PENDING_REDRIVE.
    pub status: String,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// Executions, for the operator's tool, and for finalize, which believes nobody else.
#[derive(Debug, Clone)]
pub struct ExecutionClient {
    client: Client,
}

impl ExecutionClient {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Starts an execution; the same name and input while it runs give the same one. Returns its ARN.
    pub async fn start(&self, machine_arn: &str, name: &str, input: &str) -> Result<String, PortError> {
        let answer = self.client.start_execution().state_machine_arn(machine_arn).name(name).input(input).send().await;
        answer
            .map(|answer| answer.execution_arn().to_owned())
            .map_err(|error| PortError::from_sdk("states:StartExecution", error))
    }

    pub async fn describe(&self, execution_arn: &str) -> Result<MachineStatus, PortError> {
        let answer = self.client.describe_execution().execution_arn(execution_arn).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk("states:DescribeExecution", error))?;
        Ok(MachineStatus {
            status: answer.status().as_str().to_owned(),
            error: answer.error().map(str::to_owned),
            cause: answer.cause().map(str::to_owned),
        })
    }

    /// Output of a succeeded execution.
    pub async fn output(&self, execution_arn: &str) -> Result<Option<String>, PortError> {
        let answer = self.client.describe_execution().execution_arn(execution_arn).send().await;
        answer
            .map(|answer| answer.output().map(str::to_owned))
            .map_err(|error| PortError::from_sdk("states:DescribeExecution", error))
    }
}

#[async_trait]
impl Witness for ExecutionClient {
    async fn look_at(&self, execution_arn: &str) -> Result<Option<SeenExecution>, PortError> {
        let answer = self.client.describe_execution().execution_arn(execution_arn).send().await;
        let answer = match answer.map_err(|error| PortError::from_sdk("states:DescribeExecution", error)) {
            Ok(answer) => answer,
            // Nothing else proves that there is none: a 404 may come from anywhere on the way.
            Err(error) if error.code.as_deref() == Some("ExecutionDoesNotExist") => return Ok(None),
            Err(error) => return Err(error),
        };
        // Beyond the year 292,000,000 nothing starts.
        let started_at = answer.start_date().to_millis().ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let started_at =
            started_at.ok_or_else(|| PortError::unreadable("states:DescribeExecution", "the start date is no time"))?;
        Ok(Some(SeenExecution {
            status: answer.status().as_str().to_owned(),
            started_at,
            input: answer.input().map(str::to_owned),
            error: answer.error().map(str::to_owned),
            cause: answer.cause().map(str::to_owned),
        }))
    }
}
