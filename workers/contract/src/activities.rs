//! The six activities: names, timeouts, what they may answer, which AWS actions they need, and their inputs and outputs.
//!
//! A name carries a version. A breaking change of an input or output is a `-v2` beside `-v1` until no execution runs v1:
//! Step Functions does not version activities. Every field of an output is always present, because a JSONPath that meets
//! a missing field fails the execution with States.Runtime, which nothing can catch.

use crate::IsoTime;
use crate::errors::{COMMON_ACTIVITY_ERRORS, ErrorName};
use crate::ids::{ExecutionId, PlanId, SourceServerId};
use crate::records::{Problem, WaveCounts};
use crate::status::{
    CleanupStatus, ExecutionStatus, ExecutionType, Mode, OnFailure, WavePhase, WaveStatus, closed_set,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

closed_set!(
    /// An activity's name, as in its ARN after the deployment's prefix.
    ActivityName {
        PrepareExecution = "prepare-execution-v1",
        StartWave = "start-wave-v1",
        PollWave = "poll-wave-v1",
        FinalizeExecution = "finalize-execution-v1",
        StartCleanup = "start-cleanup-v1",
        PollCleanup = "poll-cleanup-v1",
    }
);

/// What a repeated call may do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Repeating it changes nothing more.
    Idempotent,
    /// It calls an AWS operation without a client token and is guarded by an intent record.
    Guarded,
}

/// Everything the state machine, Terraform and the worker must agree on about one activity.
#[derive(Debug, Clone, Copy)]
pub struct ActivitySpec {
    pub name: ActivityName,
    pub effect: Effect,
    /// From pick-up to answer, in seconds. No worker call is longer than this; waiting is done by Wait states.
    pub timeout_seconds: u32,
    /// Longest silence of a worker, in seconds: how long a killed worker goes unnoticed.
    pub heartbeat_seconds: u32,
    /// Error names beside [`COMMON_ACTIVITY_ERRORS`].
    pub own_errors: &'static [ErrorName],
    /// IAM actions its AWS calls need (DRS's dependent EC2 actions are listed with the Terraform policies).
    pub aws_actions: &'static [&'static str],
}

impl ActivityName {
    /// The spec of this activity.
    pub const fn spec(self) -> ActivitySpec {
        match self {
            Self::PrepareExecution => ActivitySpec {
                name: self,
                effect: Effect::Idempotent,
                timeout_seconds: 300,
                heartbeat_seconds: 30,
                own_errors: &[ErrorName::PlanRefused, ErrorName::Conflict],
                aws_actions: &[
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "drs:DescribeSourceServers",
                    "drs:GetLaunchConfiguration",
                    "drs:ListLaunchActions",
                    "drs:ListRecoveryPlanExecutions",
                    "drs:ListRecoveryPlanExecutionSteps",
                    "dynamodb:DeleteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "sts:AssumeRole",
                ],
            },
            Self::StartWave => ActivitySpec {
                name: self,
                effect: Effect::Guarded,
                timeout_seconds: 300,
                heartbeat_seconds: 30,
                own_errors: &[ErrorName::Conflict],
                aws_actions: &[
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "drs:ListRecoveryPlanExecutions",
                    "drs:ListRecoveryPlanExecutionSteps",
                    "drs:StartRecovery",
                    "drs:TagResource",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "sts:AssumeRole",
                ],
            },
            Self::PollWave => ActivitySpec {
                name: self,
                effect: Effect::Idempotent,
                timeout_seconds: 120,
                heartbeat_seconds: 30,
                own_errors: &[ErrorName::Conflict],
                aws_actions: &[
                    "drs:DescribeJobLogItems",
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "drs:GetLaunchConfiguration",
                    "drs:ListLaunchActions",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "sts:AssumeRole",
                ],
            },
            Self::FinalizeExecution => ActivitySpec {
                name: self,
                effect: Effect::Idempotent,
                timeout_seconds: 180,
                heartbeat_seconds: 30,
                own_errors: &[ErrorName::Conflict],
                aws_actions: &[
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "dynamodb:DeleteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "states:DescribeExecution",
                    "sts:AssumeRole",
                ],
            },
            Self::StartCleanup => ActivitySpec {
                name: self,
                effect: Effect::Guarded,
                timeout_seconds: 180,
                heartbeat_seconds: 30,
                own_errors: &[],
                aws_actions: &[
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "drs:TerminateRecoveryInstances",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "sts:AssumeRole",
                ],
            },
            Self::PollCleanup => ActivitySpec {
                name: self,
                effect: Effect::Idempotent,
                timeout_seconds: 120,
                heartbeat_seconds: 30,
                own_errors: &[],
                aws_actions: &[
                    "drs:DescribeJobs",
                    "drs:DescribeRecoveryInstances",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                    "ec2:DescribeInstances",
                    "sts:AssumeRole",
                ],
            },
        }
    }

    /// The activity with this name in its ARN, if it is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text)
    }

    /// The placeholder that stands for the ARN in the state machine: `prepare-execution-v1` -> `PrepareExecutionV1ActivityArn`.
    pub fn placeholder(self) -> String {
        let words: String = self
            .as_str()
            .split('-')
            .map(|word| {
                let mut letters = word.chars();
                letters
                    .next()
                    .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                    .unwrap_or_default()
            })
            .collect();
        format!("{words}ActivityArn")
    }
}

impl ActivitySpec {
    /// Every error name this activity may answer with, sorted.
    pub fn errors(&self) -> Vec<ErrorName> {
        let mut all: Vec<ErrorName> = COMMON_ACTIVITY_ERRORS.iter().chain(self.own_errors).copied().collect();
        all.sort_unstable_by_key(|name| name.as_str());
        all
    }
}

/// `prepare-execution-v1`: everything from the context object, so that a caller repeats nothing (lesson c-03).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrepareInput {
    pub execution_id: ExecutionId,
    pub execution_arn: String,
    pub start_time: IsoTime,
    /// The execution's input as it was given, valid or not.
    pub input: serde_json::Value,
}

/// What the machine needs to know of a prepared execution; server lists stay in DynamoDB (lesson c-27).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreparedRun {
    pub plan_id: PlanId,
    pub plan_name: String,
    pub execution_type: ExecutionType,
    pub mode: Mode,
    pub wave_count: u32,
    pub waves: Vec<WaveDescriptor>,
    /// Where the machine's cursor begins, counted from 0: past the waves an execution that is continued has settled.
    pub first_index: u32,
    /// The attempt at which each wave begins: 1, or more for a wave of a continued execution that is tried again.
    pub first_attempts: Vec<u32>,
    /// Waves before `firstIndex` that ended COMPLETED or PARTIAL.
    pub completed_waves: u32,
    /// Digest of the resolved membership.
    pub membership_hash: String,
    /// Digest of the plan; of a CHECK only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_hash: String,
    /// Who is in each wave; of a CHECK only, and only where they are few enough for a machine's output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_server_ids: Vec<Vec<SourceServerId>>,
    /// The plan's last good run, with which the members were compared; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<ExecutionId>,
    /// Worth knowing, not worth refusing.
    pub warnings: Vec<Problem>,
}

/// One wave as the machine sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveDescriptor {
    pub wave_number: u32,
    /// Sort key of the wave's item, for the machine's own writes.
    pub wave_key: String,
    pub wave_name: String,
    pub pause_before_wave: bool,
    pub on_failure: OnFailure,
    pub timeout_seconds: u32,
    pub wait_after_seconds: u32,
    pub gate_timeout_seconds: u32,
    pub server_count: u32,
}

/// `start-wave-v1` and `poll-wave-v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveInput {
    pub execution_id: ExecutionId,
    pub plan_id: PlanId,
    pub execution_type: ExecutionType,
    pub mode: Mode,
    pub wave_number: u32,
    /// 1, and one more for every operator's retry of this wave.
    pub wave_attempt: u32,
    pub wave_count: u32,
    /// Polls of this execution before this wave, for the history budget.
    pub polls_used: u32,
    /// Waves that ended COMPLETED or PARTIAL so far.
    pub completed_waves: u32,
}

/// What a wave looks like now, and how long to wait before looking again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveVerdict {
    pub wave_number: u32,
    pub status: WaveStatus,
    /// Every server is terminal and the result is stored.
    pub settled: bool,
    /// Some jobs are not accepted yet (quota, unknown outcome): the machine goes back to start-wave, not on to poll-wave.
    pub start_pending: bool,
    pub next_poll_seconds: u32,
    pub phase: WavePhase,
    pub counts: WaveCounts,
    /// As given, plus this wave's.
    pub polls_used: u32,
    /// As given, plus one if this wave ended COMPLETED or PARTIAL.
    pub completed_waves: u32,
    /// A person asked for the execution to stop.
    pub cancel_requested: bool,
    /// Why the wave failed; both texts empty unless it did.
    pub failure: Failure,
}

/// The shape of an error in the state machine: Step Functions' own names, so that caught errors and verdicts read alike.
///
/// Both are optional in SendTaskFailure, and Step Functions hands a Catch null for what was not given. Null, absent and empty
/// mean the same: nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    #[serde(rename = "Error", default, deserialize_with = "null_is_empty")]
    #[schemars(with = "Option<String>")]
    pub error: String,
    #[serde(rename = "Cause", default, deserialize_with = "null_is_empty")]
    #[schemars(with = "Option<String>")]
    pub cause: String,
}

fn null_is_empty<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    Option::deserialize(text).map(Option::unwrap_or_default)
}

closed_set!(
    /// Why the machine came to Finalize. The machine states it; finalize turns it and the waves into an outcome.
    EndReason {
        AllWavesSettled = "ALL_WAVES_SETTLED",
        /// Prepare refused or failed.
        Refused = "REFUSED",
        /// A wave's policy says abort.
        AbortedByPolicy = "ABORTED_BY_POLICY",
        /// An operator chose abort at a decision gate.
        AbortedByOperator = "ABORTED_BY_OPERATOR",
        /// cancelRequested was set.
        Cancelled = "CANCELLED",
        /// An operator declined a gate.
        Declined = "DECLINED",
        /// Nobody answered a gate in time.
        GateTimedOut = "GATE_TIMED_OUT",
        /// A task failed past its retries.
        Fault = "FAULT",
        /// StopExecution: the machine got no chance to finalize. Said by reconcile, as are the next two.
        Stopped = "STOPPED",
        /// The execution reached the machine's TimeoutSeconds.
        MachineTimedOut = "MACHINE_TIMED_OUT",
        /// The execution failed on a way that leads past Finalize: States.Runtime, or Finalize itself.
        MachineFailed = "MACHINE_FAILED",
    }
);

impl EndReason {
    /// Said by the reconcile machine about an execution that has ended already, not by the execution about itself.
    pub const fn is_from_outside(self) -> bool {
        match self {
            Self::Stopped | Self::MachineTimedOut | Self::MachineFailed => true,
            Self::AllWavesSettled
            | Self::Refused
            | Self::AbortedByPolicy
            | Self::AbortedByOperator
            | Self::Cancelled
            | Self::Declined
            | Self::GateTimedOut
            | Self::Fault => false,
        }
    }
}

/// How an execution came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub reason: EndReason,
    /// The plan's number of waves as the machine counted them; 0 when it never got that far.
    pub wave_count: u32,
    pub failure: Failure,
}

/// `finalize-execution-v1`. Needs no plan id, because a refused execution may not have one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinalizeInput {
    pub execution_id: ExecutionId,
    pub execution_arn: String,
    /// Not from reconcile: of an execution that has ended, Step Functions is asked when it started, and with which input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<StartTime>,
    /// The execution's input as given, for the record of a refused run. Empty from reconcile.
    pub input: serde_json::Value,
    pub ending: Ending,
    /// The event, from a reconcile machine of before ADR 0021 that is still in flight. Not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<serde_json::Value>,
}

/// When an execution started: the context object says it as text, the status-change event in epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StartTime {
    Iso(IsoTime),
    EpochMillis(i64),
}

/// The outcome as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub status: ExecutionStatus,
    /// Error name for the Fail state; empty for COMPLETED.
    pub error: String,
    pub cause: String,
    /// Drill instances are up and are to be terminated.
    pub cleanup_due: bool,
    pub hold_seconds: u32,
    /// An earlier call wrote this outcome.
    pub already_finalized: bool,
    /// The run was stopped with drill instances up, and nobody terminates them: the record's `cleanup` is FAILED and says
    /// what to do. Only ever true for an end from outside; a run that ends by itself goes on to its cleanup.
    pub cleanup_abandoned: bool,
    pub plan_id: PlanId,
}

/// `start-cleanup-v1` and `poll-cleanup-v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupInput {
    pub execution_id: ExecutionId,
    pub plan_id: PlanId,
    pub polls_used: u32,
    /// start-cleanup only: take a FAILED cleanup up again. An operator's command (`tidegate reconcile --clean-up`); a run
    /// never does it by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reopen: bool,
}

// serde hands a reference to skip_serializing_if.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Where the termination of this run's drill instances stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupVerdict {
    pub status: CleanupStatus,
    pub settled: bool,
    /// Some instances are held by a job of their own still: go back to start-cleanup.
    pub start_pending: bool,
    pub next_poll_seconds: u32,
    pub instances: u32,
    pub remaining: u32,
    pub polls_used: u32,
    pub failure: Failure,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::machines::ReconcileInput;
    use serde_json::{Value, json};

    const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:recovery:r";

    /// The value with the member at `pointer` taken out, or null.
    fn without(value: &Value, pointer: &str, null: bool) -> Value {
        let mut changed = value.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(members.remove(name).is_some(), "{pointer}");
        if null {
            members.insert(name.to_owned(), Value::Null);
        }
        changed
    }

    fn event() -> Value {
        json!({
            "detail": {
                "executionArn": ARN, "stateMachineArn": ARN, "name": "r", "status": "ABORTED", "startDate": 1_795_143_845_678_i64,
                "input": "{}", "error": "E", "cause": "c",
            },
            "cleanUp": false,
        })
    }

    fn ending() -> Value {
        json!({
            "executionId": "r", "executionArn": ARN, "startTime": "2026-11-20T03:04:05Z", "input": {},
            "ending": { "reason": "DECLINED", "waveCount": 0, "failure": { "Error": "E", "Cause": "c" } },
            "stopped": event()["detail"],
        })
    }

    /// What Step Functions and EventBridge may leave out or hand over as null means the same: nothing was said.
    #[test]
    fn null_is_absent_in_everything_aws_may_not_say() {
        for pointer in ["/ending/failure/Error", "/ending/failure/Cause", "/startTime", "/stopped"] {
            let read = |null| serde_json::from_value::<FinalizeInput>(without(&ending(), pointer, null));
            let (absent, null) = (read(false).expect(pointer), read(true).expect(pointer));
            assert_eq!(format!("{absent:?}"), format!("{null:?}"), "{pointer}");
        }
        for pointer in ["/detail/name", "/detail/input", "/detail/error", "/detail/cause", "/cleanUp"] {
            let read = |null| serde_json::from_value::<ReconcileInput>(without(&event(), pointer, null));
            assert_eq!(read(false).expect(pointer), read(true).expect(pointer), "{pointer}");
        }
    }

    #[test]
    fn a_failure_without_words_is_the_empty_one() {
        for said in [json!({}), json!({ "Error": null, "Cause": null }), json!({ "Error": "", "Cause": "" })] {
            assert_eq!(serde_json::from_value::<Failure>(said).unwrap(), Failure::default());
        }
        let half: Failure = serde_json::from_value(json!({ "Error": null, "Cause": "why" })).unwrap();
        assert_eq!((half.error.as_str(), half.cause.as_str()), ("", "why"));
        assert!(serde_json::from_value::<Failure>(json!({ "Error": 5 })).is_err(), "what is no text is refused");
    }
}
