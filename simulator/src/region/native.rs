//! Native recovery plans, as far as reading goes. The simulator does not run them: an execution stands where the inventory
//! or the control API put it. Its EXECUTING steps hold their servers, because in AWS they are DRS jobs.

use super::{Context, Region};
use crate::error::ApiError;
use crate::inventory::{InventoryError, NativeExecution, NativePlan, NativeStep};
use crate::paging::{Direction, PageRequest, page};
use crate::time::Stamp;
use crate::wire::{
    ExecutionServers, ExecutionStatus, ExecutionStep, ExecutionStepSummary, ExecutionSummary, NativeRead, PlanServer,
    PlanStatus, RecoveryPlan, RecoveryPlanExecution, RecoveryPlanStep, RecoveryPlanSummary, ServerStep,
    StepConfiguration, StepServer, StepStatus, Tags, WaitStep,
};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) struct PlanRecord {
    pub(crate) plan: NativePlan,
    pub(crate) created: Timestamp,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct ExecutionRecord {
    pub(crate) execution: NativeExecution,
    pub(crate) started: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) tags: Tags,
}

impl ExecutionRecord {
    fn is_running(&self) -> bool {
        matches!(
            self.execution.status,
            ExecutionStatus::Created | ExecutionStatus::InProgress | ExecutionStatus::Cancelling
        )
    }
}

impl Region {
    pub(crate) fn put_native_plan(&mut self, plan: NativePlan, now: Timestamp) {
        self.plans.insert(plan.plan_id.clone(), PlanRecord { plan, created: now, tags: Tags::new() });
    }

    pub(crate) fn put_native_execution(
        &mut self,
        mut execution: NativeExecution,
        now: Timestamp,
    ) -> Result<(), InventoryError> {
        let plan = self.plans.get(&execution.plan_id).ok_or_else(|| InventoryError::UnknownPlan {
            execution: execution.execution_id.clone(),
            plan: execution.plan_id.clone(),
        })?;
        let running = matches!(execution.status, ExecutionStatus::Created | ExecutionStatus::InProgress);
        if execution.steps.is_empty() {
            execution.steps = plan.plan.steps.clone();
            if let Some(first) = execution.steps.first_mut().filter(|_| running) {
                first.status = if first.wait_minutes.is_some() { StepStatus::Waiting } else { StepStatus::Executing };
            }
        }
        let known = self.executions.get(&execution.execution_id);
        let started = known.map_or(now, |known| known.started);
        let tags = known.map(|known| known.tags.clone()).unwrap_or_default();
        self.executions
            .insert(execution.execution_id.clone(), ExecutionRecord { execution, started, changed: now, tags });
        Ok(())
    }

    pub(super) fn held_by_native_execution(&self, server: &str) -> bool {
        let steps =
            self.executions.values().filter(|record| record.is_running()).flat_map(|record| &record.execution.steps);
        steps
            .filter(|step| step.status == StepStatus::Executing)
            .any(|step| step.source_server_ids.iter().any(|id| id == server))
    }

    pub(crate) fn list_recovery_plans(&self, input: NativeRead, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let plans: Vec<RecoveryPlanSummary> = self.plans.values().map(|record| self.plan_summary(record)).collect();
        let key = |plan: &RecoveryPlanSummary| plan.recovery_plan_arn.clone();
        listing(
            "recoveryPlans",
            page("ListRecoveryPlans", plans, Direction::Ascending, key, &request(input), ctx.page_size)?,
        )
    }

    pub(crate) fn get_recovery_plan(&self, input: NativeRead) -> Result<Value, ApiError> {
        let record = self.plan(&input.recovery_plan_arn.unwrap_or_default())?;
        let plan = RecoveryPlan {
            summary: self.plan_summary(record),
            description: record.plan.description.clone(),
            tags: record.tags.clone(),
        };
        Ok(json!({"recoveryPlan": plan}))
    }

    pub(crate) fn list_recovery_plan_steps(&self, input: NativeRead, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let record = self.plan(input.recovery_plan_arn.as_deref().unwrap_or_default())?;
        let steps = record.plan.steps.iter().zip(1..).map(|(step, order)| RecoveryPlanStep {
            recovery_plan_step_arn: self.arn("recovery-plan", &format!("{}/step/{order}", record.plan.plan_id)),
            step_order: order,
            step_name: step.name.clone(),
            configuration: self.configuration(step, |step| PlanServer { step }),
            created_at: Stamp(record.created),
            updated_at: Stamp(record.created),
        });
        let key = |step: &RecoveryPlanStep| format!("{:010}", step.step_order);
        let steps =
            page("ListRecoveryPlanSteps", steps.collect(), Direction::Ascending, key, &request(input), ctx.page_size)?;
        listing("recoveryPlanSteps", steps)
    }

    pub(crate) fn list_recovery_plan_executions(
        &self,
        input: NativeRead,
        ctx: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let executions: Vec<ExecutionSummary> = self
            .executions
            .values()
            .map(|record| self.execution_summary(record))
            .filter(|summary| input.recovery_plan_arn.as_deref().is_none_or(|arn| arn == summary.recovery_plan_arn))
            .filter(|summary| input.status.is_none_or(|status| status == summary.status))
            .collect();
        let key = |execution: &ExecutionSummary| execution.recovery_plan_execution_arn.clone();
        let listed =
            page("ListRecoveryPlanExecutions", executions, Direction::Ascending, key, &request(input), ctx.page_size)?;
        listing("recoveryPlanExecutions", listed)
    }

    pub(crate) fn get_recovery_plan_execution(&self, input: NativeRead) -> Result<Value, ApiError> {
        let record = self.execution(&input.recovery_plan_execution_arn.unwrap_or_default())?;
        let execution = RecoveryPlanExecution {
            summary: self.execution_summary(record),
            completed_at: (!record.is_running()).then_some(Stamp(record.changed)),
            tags: record.tags.clone(),
        };
        Ok(json!({"recoveryPlanExecution": execution}))
    }

    pub(crate) fn list_recovery_plan_execution_steps(
        &self,
        input: NativeRead,
        ctx: &Context<'_>,
    ) -> Result<Value, ApiError> {
        let record = self.execution(input.recovery_plan_execution_arn.as_deref().unwrap_or_default())?;
        let wanted = input.filter.as_ref().and_then(|filter| filter.status);
        let steps: Vec<ExecutionStepSummary> = self
            .execution_steps(record)
            .into_iter()
            .filter(|step| wanted.is_none_or(|status| status == step.status))
            .collect();
        let key = |step: &ExecutionStepSummary| format!("{:010}", step.step_index);
        let listed =
            page("ListRecoveryPlanExecutionSteps", steps, Direction::Ascending, key, &request(input), ctx.page_size)?;
        listing("recoveryPlanExecutionSteps", listed)
    }

    pub(crate) fn get_recovery_plan_execution_step(&self, input: NativeRead) -> Result<Value, ApiError> {
        let arn = input.recovery_plan_execution_step_arn.unwrap_or_default();
        let found = self.executions.values().find_map(|record| {
            let steps = self.execution_steps(record);
            steps.into_iter().find(|step| step.recovery_plan_execution_step_arn == arn).map(|step| (record, step))
        });
        let (record, summary) = found.ok_or_else(|| ApiError::not_found("RecoveryPlanExecutionStep", &arn))?;
        let step =
            ExecutionStep { summary, attempt: 1, created_at: Stamp(record.started), updated_at: Stamp(record.changed) };
        Ok(json!({"recoveryPlanExecutionStep": step}))
    }

    fn plan(&self, arn: &str) -> Result<&PlanRecord, ApiError> {
        let found = self.plans.values().find(|record| self.arn("recovery-plan", &record.plan.plan_id) == arn);
        found.ok_or_else(|| ApiError::not_found("RecoveryPlan", arn))
    }

    fn execution(&self, arn: &str) -> Result<&ExecutionRecord, ApiError> {
        let found = self
            .executions
            .values()
            .find(|record| self.arn("recovery-plan-execution", &record.execution.execution_id) == arn);
        found.ok_or_else(|| ApiError::not_found("RecoveryPlanExecution", arn))
    }

    fn plan_summary(&self, record: &PlanRecord) -> RecoveryPlanSummary {
        RecoveryPlanSummary {
            recovery_plan_arn: self.arn("recovery-plan", &record.plan.plan_id),
            name: record.plan.name.clone(),
            status: PlanStatus::Active,
            created_at: Stamp(record.created),
            updated_at: Stamp(record.created),
        }
    }

    fn execution_summary(&self, record: &ExecutionRecord) -> ExecutionSummary {
        ExecutionSummary {
            recovery_plan_execution_arn: self.arn("recovery-plan-execution", &record.execution.execution_id),
            recovery_plan_arn: self.arn("recovery-plan", &record.execution.plan_id),
            mode: record.execution.mode,
            status: record.execution.status,
            started_at: Stamp(record.started),
        }
    }

    fn execution_steps(&self, record: &ExecutionRecord) -> Vec<ExecutionStepSummary> {
        let execution = &record.execution;
        let step = |(step, index): (&NativeStep, i32)| ExecutionStepSummary {
            recovery_plan_execution_step_arn: self
                .arn("recovery-plan-execution", &format!("{}/step/{index}", execution.execution_id)),
            step_name: step.name.clone(),
            step_index: index,
            status: step.status,
            configuration: self.configuration(step, |step| ExecutionServers { step }),
        };
        execution.steps.iter().zip(1..).map(step).collect()
    }

    fn configuration<S>(&self, step: &NativeStep, servers: impl Fn(ServerStep) -> S) -> StepConfiguration<S> {
        match step.wait_minutes {
            Some(minutes) => StepConfiguration::Wait { wait: WaitStep { wait_duration_minutes: minutes } },
            None => {
                let server = |id: &String| StepServer {
                    server_arn: self.arn("source-server", id),
                    impact_level: step.impact_level,
                    job_id: step.job_id.clone(),
                };
                StepConfiguration::Servers(servers(ServerStep {
                    servers: step.source_server_ids.iter().map(server).collect(),
                }))
            }
        }
    }
}

fn request(input: NativeRead) -> PageRequest {
    PageRequest { max_results: input.max_results, next_token: input.next_token }
}

fn listing<T: serde::Serialize>(name: &str, (items, next_token): (Vec<T>, Option<String>)) -> Result<Value, ApiError> {
    let mut answer = json!({name: items});
    if let (Some(token), Some(members)) = (next_token, answer.as_object_mut()) {
        members.insert("nextToken".to_owned(), Value::String(token));
    }
    Ok(answer)
}
