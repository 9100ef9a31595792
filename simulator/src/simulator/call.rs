//! The way of a call: the request rate and faults that refuse it, validation, the operation, faults that lose its answer, the journal.

use super::{Scope, Simulator};
use crate::error::ApiError;
use crate::faults::{FaultKind, FaultRule};
use crate::operation::Operation;
use crate::time::Stamp;
use crate::validate::validate;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// A call, understood by [`crate::route`] and [`crate::signing_scope`].
#[derive(Debug, Clone)]
pub struct Call {
    /// For whom.
    pub scope: Scope,
    /// The operation, or the unknown name.
    pub operation: Result<Operation, String>,
    /// Its input, or why it cannot be read.
    pub input: Result<Value, ApiError>,
}

/// Whether a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Yes.
    Answer,
    /// The connection is cut instead.
    Cut,
}

/// What comes of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// HTTP status and body (`None`: an empty one), or the error.
    pub reply: Result<(u16, Option<Value>), ApiError>,
    /// Whether it is answered.
    pub delivery: Delivery,
    /// How long to hold the answer back, in wall time.
    pub delay: Duration,
}

impl Simulator {
    /// Takes a call: request rate and faults first, then validation, then the operation; and writes it down.
    pub fn handle(&mut self, call: Call, now: Timestamp) -> Outcome {
        self.apply_due(now);
        let input = call.input.as_ref().map_or(Value::Null, Clone::clone);
        let text = input.to_string();
        let (scope, name) = (&call.scope, call.operation.as_ref().map_or("", |operation| operation.name()).to_owned());
        let mut struck: Vec<FaultRule> = Vec::new();
        let mut delay = Duration::ZERO;
        let (mut reply, mut delivery, mut after) = (None, Delivery::Answer, None);
        let rated = call
            .operation
            .as_ref()
            .map_or(Ok(()), |operation| self.buckets.take(&self.rates, scope, *operation, &self.timing, now));
        if let Err(seconds) = rated {
            reply = Some(Err(ApiError::throttled(Some(seconds))));
        } else if call.operation.is_ok() {
            use FaultKind::*;
            let mut strike = |kinds: &[FaultKind]| {
                self.faults.strike_call(kinds, scope, &name, &text).inspect(|rule| struck.push(rule.clone()))
            };
            if let Some(rule) = strike(&[SlowAnswer]) {
                delay = Duration::try_from_secs_f64(rule.seconds.unwrap_or(60.0)).unwrap_or_default();
            }
            match strike(&[Throttle, ServerError, AccessDenied, InvalidSignature, Uninitialized, DropBeforeEffect]) {
                Some(rule) if rule.fault == DropBeforeEffect => {
                    delivery = Delivery::Cut;
                    reply = Some(Err(ApiError::internal(500, None)));
                }
                Some(rule) => reply = Some(Err(refusal(&rule, &name))),
                None => after = strike(&[DropAfterEffect, ErrorAfterEffect]),
            }
        }
        let mut reply = match reply {
            Some(refused) => refused,
            None => match &call.operation {
                Err(_) => Err(ApiError::unknown_operation()),
                Ok(operation) => call.input.and_then(|input| self.carry_out(*operation, &call.scope, input, now)),
            },
        };
        let effect = reply.is_ok();
        match after.map(|rule| (rule.fault, rule)) {
            Some((FaultKind::DropAfterEffect, _)) => delivery = Delivery::Cut,
            Some((_, rule)) if effect => {
                reply = Err(ApiError::internal(rule.status.unwrap_or(500), rule.retry_after_seconds))
            }
            _ => {}
        }
        let (status, error) = match &reply {
            Ok((status, _)) => (*status, None),
            Err(error) => (error.status, Some(error.name)),
        };
        let faults = struck.into_iter().filter_map(|rule| rule.id).collect();
        let operation = call.operation.as_ref().map(|operation| *operation).map_err(String::as_str);
        let answered = delivery == Delivery::Answer;
        self.journal.record(
            Stamp(now),
            &call.scope,
            operation,
            &input,
            text.len(),
            (status, error),
            (effect, answered),
            faults,
        );
        Outcome { reply, delivery, delay }
    }

    pub(super) fn carry_out(
        &mut self,
        operation: Operation,
        scope: &Scope,
        input: Value,
        now: Timestamp,
    ) -> Result<(u16, Option<Value>), ApiError> {
        validate(operation, &input)?;
        let body = self.run(operation, scope, input, now)?;
        Ok((operation.success_status(), body))
    }

    fn run(
        &mut self,
        operation: Operation,
        scope: &Scope,
        input: Value,
        now: Timestamp,
    ) -> Result<Option<Value>, ApiError> {
        use Operation as O;
        if operation == O::InitializeService {
            self.region(scope).initialized = true;
            return Ok(None);
        }
        let tags = matches!(operation, O::TagResource | O::UntagResource | O::ListTagsForResource);
        if !tags && !self.region(scope).initialized {
            return Err(ApiError::uninitialized());
        }
        self.within(scope, now, |region, ctx| match operation {
            O::StartRecovery => body(json!({"job": region.start_recovery(read(input)?, ctx)?})),
            O::TerminateRecoveryInstances => {
                body(json!({"job": region.terminate_recovery_instances(read(input)?, ctx)?}))
            }
            O::DisconnectRecoveryInstance => region.disconnect_recovery_instance(read(input)?).map(|()| None),
            O::DeleteRecoveryInstance => region.delete_recovery_instance(read(input)?).map(|()| None),
            O::DescribeJobs => body(region.describe_jobs(read(input)?, ctx)?),
            O::DescribeJobLogItems => body(region.describe_job_log_items(read(input)?, ctx)?),
            O::DescribeRecoveryInstances => body(region.describe_recovery_instances(read(input)?, ctx)?),
            O::DescribeSourceServers => body(region.describe_source_servers(read(input)?, ctx)?),
            O::DescribeRecoverySnapshots => body(region.describe_recovery_snapshots(read(input)?, ctx)?),
            O::GetLaunchConfiguration => body(region.get_launch_configuration(read(input)?)?),
            O::GetReplicationConfiguration => body(region.get_replication_configuration(read(input)?, ctx)?),
            O::UpdateLaunchConfiguration => body(region.update_launch_configuration(read(input)?)?),
            O::ListLaunchActions => body(region.list_launch_actions(read(input)?, ctx)?),
            O::TagResource => region.tag_resource(read(input)?).map(|()| None),
            O::UntagResource => region.untag_resource(read(input)?).map(|()| None),
            O::ListTagsForResource => body(region.list_tags_for_resource(read(input)?)?),
            O::ListRecoveryPlans => body(region.list_recovery_plans(read(input)?, ctx)?),
            O::GetRecoveryPlan => body(region.get_recovery_plan(read(input)?)?),
            O::ListRecoveryPlanSteps => body(region.list_recovery_plan_steps(read(input)?, ctx)?),
            O::ListRecoveryPlanExecutions => body(region.list_recovery_plan_executions(read(input)?, ctx)?),
            O::GetRecoveryPlanExecution => body(region.get_recovery_plan_execution(read(input)?)?),
            O::ListRecoveryPlanExecutionSteps => body(region.list_recovery_plan_execution_steps(read(input)?, ctx)?),
            O::GetRecoveryPlanExecutionStep => body(region.get_recovery_plan_execution_step(read(input)?)?),
            O::InitializeService => Ok(None),
        })
    }
}

fn refusal(rule: &FaultRule, operation: &str) -> ApiError {
    match rule.fault {
        FaultKind::Throttle => ApiError::throttled(rule.retry_after_seconds),
        FaultKind::AccessDenied => ApiError::access_denied(operation),
        FaultKind::InvalidSignature => ApiError::invalid_signature(),
        FaultKind::Uninitialized => ApiError::uninitialized(),
        _ => ApiError::internal(rule.status.unwrap_or(500), rule.retry_after_seconds),
    }
}

/// restJson1 takes null for "not given", serde does not: a null list would be refused although validation let it pass.
fn read<T: DeserializeOwned>(input: Value) -> Result<T, ApiError> {
    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key, without_nulls(value)))
                    .collect(),
            ),
            Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
            other => other,
        }
    }
    serde_json::from_value(without_nulls(input)).map_err(|error| ApiError::cannot_parse(error.to_string()))
}

fn body(answer: impl Serialize) -> Result<Option<Value>, ApiError> {
    serde_json::to_value(answer).map(Some).map_err(|_| ApiError::internal(500, None))
}
