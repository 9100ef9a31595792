//! Step Functions, as `tidegate accept` asks it: definitions, their validation, histories, and a refusal with parts left out.

use crate::error::PortError;
use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{StateMachineType, ValidateStateMachineDefinitionSeverity};
use aws_smithy_types::retry::RetryConfig;

/// A deployed machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Rendered, as it runs.
    pub text: String,
    pub role_arn: String,
}

/// What ValidateStateMachineDefinition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// `OK` or `FAIL`.
    pub result: String,
    /// `ERROR SCHEMA_VALIDATION_FAILED at /States/A: …`
    pub diagnostics: Vec<String>,
}

/// One event of an execution's history, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEvent {
    pub id: i64,
    /// 0 for the first.
    pub previous: i64,
    pub kind: String,
    pub at_millis: i64,
    /// Of a state that was entered or left.
    pub state: Option<String>,
    /// Input of a state entered, output of one left: JSON text.
    pub data: Option<String>,
}

/// Step Functions.
#[derive(Debug, Clone)]
pub struct MachineClient {
    client: Client,
    once: Client,
}

impl MachineClient {
    pub fn new(config: &SdkConfig) -> Self {
        let once = aws_sdk_sfn::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::new(config), once: Client::from_conf(once) }
    }

    /// Of a machine, as it was updated last.
    pub async fn definition(&self, machine_arn: &str) -> Result<Definition, PortError> {
        let answer = self.client.describe_state_machine().state_machine_arn(machine_arn).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk("states:DescribeStateMachine", error))?;
        Ok(Definition { text: answer.definition().to_owned(), role_arn: answer.role_arn().to_owned() })
    }

    pub async fn validate(&self, definition: &str) -> Result<Validation, PortError> {
        let asked = self.client.validate_state_machine_definition().definition(definition);
        let asked = asked.r#type(StateMachineType::Standard).severity(ValidateStateMachineDefinitionSeverity::Warning);
        let answer = asked.send().await;
        let answer = answer.map_err(|error| PortError::from_sdk("states:ValidateStateMachineDefinition", error))?;
        let told = answer.diagnostics().iter().map(|one| {
            let place = one.location().map(|place| format!(" at {place}")).unwrap_or_default();
            format!("{} {}{place}: {}", one.severity().as_str(), one.code(), one.message())
        });
        Ok(Validation { result: answer.result().as_str().to_owned(), diagnostics: told.collect() })
    }

    /// The whole history, oldest first.
    pub async fn history(&self, execution_arn: &str) -> Result<Vec<HistoryEvent>, PortError> {
        let pages = self.client.get_execution_history().execution_arn(execution_arn).include_execution_data(true);
        let events = pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let events = events.map_err(|error| PortError::from_sdk("states:GetExecutionHistory", error))?;
        Ok(events.iter().map(event).collect())
    }

    /// SendTaskFailure with what is given, and nothing in the place of what is not.
    pub async fn refuse(&self, token: &str, error: Option<&str>, cause: Option<&str>) -> Result<(), PortError> {
        let sent = self.once.send_task_failure().task_token(token);
        let sent = sent.set_error(error.map(str::to_owned)).set_cause(cause.map(str::to_owned)).send().await;
        sent.map(|_| ()).map_err(|error| PortError::from_sdk("states:SendTaskFailure", error))
    }
}

fn event(event: &aws_sdk_sfn::types::HistoryEvent) -> HistoryEvent {
    let entered = event.state_entered_event_details();
    let exited = event.state_exited_event_details();
    HistoryEvent {
        id: event.id(),
        previous: event.previous_event_id(),
        kind: event.r#type().as_str().to_owned(),
        at_millis: event.timestamp().to_millis().unwrap_or_default(),
        state: entered.map(|state| state.name()).or(exited.map(|state| state.name())).map(str::to_owned),
        data: entered.and_then(|state| state.input()).or(exited.and_then(|state| state.output())).map(str::to_owned),
    }
}
