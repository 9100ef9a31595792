//! Step Functions' activity calls as the runtime wants them.

use async_trait::async_trait;
use tidegate_aws::stepfunctions::ActivityClient;
use tidegate_aws::{ErrorClass, PortError};
use tidegate_runtime::{ActivityTask, TaskService, TaskServiceError, TaskServiceErrorClass, TaskToken};

/// The real service.
pub struct StepFunctionsTasks(pub ActivityClient);

#[async_trait]
impl TaskService for StepFunctionsTasks {
    async fn get_activity_task(
        &self,
        activity_arn: &str,
        worker_name: &str,
    ) -> Result<Option<ActivityTask>, TaskServiceError> {
        let task = self.0.get_activity_task(activity_arn, worker_name).await.map_err(classify)?;
        Ok(task.map(|(token, input)| ActivityTask { token: TaskToken::new(token), input }))
    }

    async fn send_task_success(&self, token: &TaskToken, output: &str) -> Result<(), TaskServiceError> {
        self.0.send_task_success(token.expose(), output).await.map_err(classify)
    }

    async fn send_task_failure(&self, token: &TaskToken, error: &str, cause: &str) -> Result<(), TaskServiceError> {
        self.0.send_task_failure(token.expose(), error, cause).await.map_err(classify)
    }

    async fn send_task_heartbeat(&self, token: &TaskToken) -> Result<(), TaskServiceError> {
        self.0.send_task_heartbeat(token.expose()).await.map_err(classify)
    }
}

fn classify(error: PortError) -> TaskServiceError {
    let class = match (error.code.as_deref(), error.class) {
        (Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken"), _) => TaskServiceErrorClass::TokenDead,
        (Some("ActivityDoesNotExist" | "InvalidArn"), _) => TaskServiceErrorClass::Missing,
        (_, ErrorClass::Throttled) => TaskServiceErrorClass::Throttled,
        (_, ErrorClass::Denied) => TaskServiceErrorClass::Denied,
        (_, ErrorClass::Transient | ErrorClass::Unrecognised) => TaskServiceErrorClass::Transient,
        (_, ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Quota | ErrorClass::Invalid) => {
            TaskServiceErrorClass::Rejected
        }
    };
    let code = error.code.clone();
    // Only the sentence and the code go on. The SDK error behind them may hold a request with the token in it.
    let failure = TaskServiceError::new(class, error.to_string());
    match code {
        Some(code) => failure.with_code(code),
        None => failure,
    }
}
