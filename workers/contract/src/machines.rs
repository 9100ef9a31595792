//! The two state machines: what each calls, how long it may take, what starts it.
//!
//! `recovery` is started by people. `reconcile` is started by EventBridge when an execution of `recovery` has ended ABORTED,
//! TIMED_OUT or FAILED, and by `tidegate reconcile`. The rule is data, so that the local deploy and Terraform make the same.

use crate::{ActivityName, document};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Everything a deployment must know of one state machine. What it calls is derived from its definition by a test.
#[derive(Debug, Clone, Copy)]
pub struct MachineSpec {
    /// Name after the deployment's prefix; its definition is `<name>.asl.json`.
    pub name: &'static str,
    /// Stands for the machine's ARN in event patterns.
    pub placeholder: &'static str,
    /// The definition's own TimeoutSeconds.
    pub timeout_seconds: u64,
    pub activities: &'static [ActivityName],
    /// Placeholders of its definition that are neither an activity nor a table.
    pub placeholders: &'static [&'static str],
    /// IAM actions its own SDK integrations need.
    pub aws_actions: &'static [&'static str],
    /// Schema of the input, below `schemas/`.
    pub input_schema: &'static str,
}

/// Both machines.
pub const MACHINES: &[MachineSpec] = &[
    MachineSpec {
        name: "recovery",
        placeholder: "RecoveryStateMachineArn",
        timeout_seconds: 2_592_000,
        activities: ActivityName::ALL,
        placeholders: &["EventBusName", "Partition"],
        aws_actions: &["dynamodb:Query", "dynamodb:UpdateItem", "events:PutEvents"],
        input_schema: "execution-input",
    },
    MachineSpec {
        name: "reconcile",
        placeholder: "ReconcileStateMachineArn",
        // As long as Redrive is possible. An activity nobody polls never times out, and a Region that is down comes back.
        timeout_seconds: 1_209_600,
        activities: &[ActivityName::FinalizeExecution, ActivityName::StartCleanup, ActivityName::PollCleanup],
        placeholders: &["EventBusName", "Partition", "RecoveryStateMachineArn"],
        aws_actions: &["dynamodb:UpdateItem", "events:PutEvents", "states:DescribeExecution"],
        input_schema: "reconcile-input",
    },
];

/// An EventBridge rule of the deployment, on the default bus: AWS's own events go nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct RuleSpec {
    /// Name after the deployment's prefix.
    pub name: &'static str,
    /// Executions of this machine are watched.
    pub watches: &'static str,
    /// Their statuses that matter.
    pub statuses: &'static [&'static str],
    /// The machine that is started with the event as it is.
    pub starts: &'static str,
}

/// Every rule that makes the machines work (notifications are a deployment's own business).
pub const RULES: &[RuleSpec] = &[RuleSpec {
    name: "reconcile",
    watches: "recovery",
    statuses: &["ABORTED", "TIMED_OUT", "FAILED"],
    starts: "reconcile",
}];

/// What AWS calls the event (EventBridge integration, Step Functions Developer Guide).
pub const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// Input of the reconcile machine: the event as AWS sends it, or one of the same shape from `tidegate reconcile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileInput {
    pub detail: StatusChange,
    /// Terminate the drill instances that are left. Never in AWS's event: StopExecution is the emergency brake, and what
    /// was stopped is touched again by a person's word only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_up: Option<bool>,
}

/// `detail` of the event. Only which execution it is about is read: whoever may start the machine writes the rest as they
/// like, so Step Functions is asked for it (ADR 0021).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusChange {
    pub execution_arn: String,
}

/// `stateMachines` of the contract.
pub(crate) fn machines_document() -> Value {
    MACHINES
        .iter()
        .map(|machine| {
            json!({
                "name": machine.name,
                "definition": format!("{}.asl.json", machine.name),
                "placeholder": machine.placeholder,
                "timeoutSeconds": machine.timeout_seconds,
                "activities": machine.activities,
                "placeholders": machine.placeholders,
                "awsActions": machine.aws_actions,
                "inputSchema": format!("{}/{}.schema.json", document::SCHEMAS, machine.input_schema),
            })
        })
        .collect()
}

/// `rules` of the contract. The pattern is complete but for the machine's ARN, for which its placeholder stands.
pub(crate) fn rules_document() -> Value {
    RULES
        .iter()
        .map(|rule| {
            let watched = MACHINES.iter().find(|machine| machine.name == rule.watches);
            json!({
                "name": rule.name,
                "eventPattern": {
                    "source": ["aws.states"],
                    "detail-type": [STATUS_CHANGE],
                    "detail": {
                        "status": rule.statuses,
                        "stateMachineArn": watched.map(|machine| format!("${{{}}}", machine.placeholder)).as_slice(),
                    },
                },
                "starts": rule.starts,
            })
        })
        .collect()
}
