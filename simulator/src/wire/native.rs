//! Native recovery plans and their executions (the API of August 2026), as far as reading them goes.

use super::{ExecutionMode, ExecutionStatus, ImpactLevel, PlanStatus, StepStatus, Tags};
use crate::time::Stamp;
use serde::Serialize;

/// A plan in a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPlanSummary {
    /// ARN.
    pub recovery_plan_arn: String,
    /// Name.
    pub name: String,
    /// ACTIVE or INVALID.
    pub status: PlanStatus,
    /// Created.
    pub created_at: Stamp,
    /// Changed.
    pub updated_at: Stamp,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPlan {
    /// What a listing shows.
    #[serde(flatten)]
    pub summary: RecoveryPlanSummary,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPlanStep {
    /// ARN.
    pub recovery_plan_step_arn: String,
    /// Place, from 1.
    pub step_order: i32,
    /// Name.
    pub step_name: String,
    /// Servers, or a wait.
    pub configuration: StepConfiguration<PlanServer>,
    /// Created.
    pub created_at: Stamp,
    /// Changed.
    pub updated_at: Stamp,
}

/// What a step does: a union, one member of it present. Plans and executions name the server member differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StepConfiguration<S> {
    /// Recovers servers.
    Servers(S),
    /// Waits.
    Wait {
        /// How long.
        #[serde(rename = "waitStepConfiguration")]
        wait: WaitStep,
    },
}

/// The server step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanServer {
    /// Its servers.
    #[serde(rename = "serverStepConfiguration")]
    pub step: ServerStep,
}

/// The server step of an execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionServers {
    /// Its servers.
    #[serde(rename = "executionServerStepConfiguration")]
    pub step: ServerStep,
}

/// Servers of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStep {
    /// 1 to 100.
    pub servers: Vec<StepServer>,
}

/// A server of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepServer {
    /// ARN of the source server.
    pub server_arn: String,
    /// Impact.
    pub impact_level: ImpactLevel,
    /// The job that recovers it, in an execution.
    #[serde(rename = "jobID", skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitStep {
    /// 1 to 120.
    pub wait_duration_minutes: i32,
}

/// An execution in a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionSummary {
    /// ARN.
    pub recovery_plan_execution_arn: String,
    /// Its plan.
    pub recovery_plan_arn: String,
    /// Drill or recovery.
    pub mode: ExecutionMode,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// Started.
    pub started_at: Stamp,
}

/// An execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPlanExecution {
    /// What a listing shows.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// Ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Stamp>,
    /// Tags.
    pub tags: Tags,
}

/// A step of an execution in a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionStepSummary {
    /// ARN.
    pub recovery_plan_execution_step_arn: String,
    /// Name.
    pub step_name: String,
    /// Place, from 1.
    pub step_index: i32,
    /// Where it stands.
    pub status: StepStatus,
    /// Servers, or a wait.
    pub configuration: StepConfiguration<ExecutionServers>,
}

/// A step of an execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionStep {
    /// What a listing shows.
    #[serde(flatten)]
    pub summary: ExecutionStepSummary,
    /// From 1.
    pub attempt: i32,
    /// Created.
    pub created_at: Stamp,
    /// Changed.
    pub updated_at: Stamp,
}
