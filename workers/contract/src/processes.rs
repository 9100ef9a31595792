//! Who calls AWS, and which IAM actions that takes: the workers, the machines, the rules, and people with the CLI or the
//! console. The policies that Terraform makes are held against this list in both directions, so a call added in code
//! without a right, and a right without a call, both fail a test.

use crate::ActivityName;
use crate::machines::MACHINES;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a process other than a person calls.
#[derive(Debug, Clone, Copy)]
pub struct ProcessSpec {
    pub name: &'static str,
    /// Its own calls, besides those of its activities or of its definition.
    pub aws_actions: &'static [&'static str],
    /// Calls that DRS makes with this process's credentials (a forward access session). They are never in our code, and
    /// lacking one of them lets a launch fail late and silently: Service Authorization Reference, dependent actions of
    /// StartRecovery and TerminateRecoveryInstances, and what CloudTrail has shown beyond it.
    pub forwarded_actions: &'static [&'static str],
    /// What a customer managed key takes besides.
    pub key_actions: &'static [&'static str],
}

const TABLE_KEY: &[&str] = &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"];

/// To publish to a topic that the same key encrypts.
const TOPIC_KEY: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];

/// What Step Functions itself needs of a machine's role, for logs and traces.
const MACHINE_PLATFORM: &[&str] = &[
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// The process that runs the activities. Its rights towards DRS and EC2 are also those of a target account's role.
pub const WORKER: ProcessSpec = ProcessSpec {
    name: "worker",
    aws_actions: &[
        "states:GetActivityTask",
        "states:SendTaskFailure",
        "states:SendTaskHeartbeat",
        "states:SendTaskSuccess",
    ],
    forwarded_actions: &[
        "drs:CreateRecoveryInstanceForDrs",
        "drs:DescribeReplicationConfigurationTemplates",
        "drs:DescribeSourceServers",
        "drs:ListTagsForResource",
        "ec2:AssociateIamInstanceProfile",
        "ec2:AttachVolume",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateFleet",
        "ec2:CreateLaunchTemplate",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:CreateSecurityGroup",
        "ec2:CreateSnapshot",
        "ec2:CreateTags",
        "ec2:CreateVolume",
        "ec2:DeleteLaunchTemplateVersions",
        "ec2:DeleteSnapshot",
        "ec2:DeleteVolume",
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeHosts",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSnapshots",
        "ec2:DescribeSubnets",
        "ec2:DescribeVolumes",
        "ec2:DetachVolume",
        "ec2:GetConsoleOutput",
        "ec2:GetConsoleScreenshot",
        "ec2:GetEbsDefaultKmsKeyId",
        "ec2:GetEbsEncryptionByDefault",
        "ec2:GetInstanceTypesFromInstanceRequirements",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyLaunchTemplate",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RunInstances",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "iam:PassRole",
        "ssm:DescribeDocument",
        "ssm:DescribeInstanceInformation",
        "ssm:DescribeParameters",
        "ssm:GetAutomationExecution",
        "ssm:GetDocument",
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:ListCommandInvocations",
        "ssm:SendCommand",
        "ssm:StartAutomationExecution",
    ],
    key_actions: &[
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ],
};

/// A process that uses no key.
const fn small(name: &'static str, aws_actions: &'static [&'static str]) -> ProcessSpec {
    keyed(name, aws_actions, &[])
}

const fn keyed(
    name: &'static str,
    aws_actions: &'static [&'static str],
    key_actions: &'static [&'static str],
) -> ProcessSpec {
    ProcessSpec { name, aws_actions, forwarded_actions: &[], key_actions }
}

/// The processes around workers and machines.
pub const OTHERS: &[ProcessSpec] = &[
    // ECS, to start a worker.
    small(
        "worker-start",
        &[
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    // EventBridge, after an execution that ended other than SUCCEEDED.
    small("reconcile-rule", &["states:StartExecution"]),
    // EventBridge, to tell people.
    keyed("notification-rules", &["sns:Publish"], TOPIC_KEY),
    // The machine that asks whether a gate stands open too long, and the rule that starts it.
    keyed("pause-watch", &["cloudwatch:PutMetricData", "dynamodb:Query"], TABLE_KEY),
    small("pause-watch-rule", &["states:StartExecution"]),
];

/// A command of the CLI and what it calls.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandSpec {
    pub name: &'static str,
    pub aws_actions: &'static [&'static str],
}

/// Every command of `tidegate`. An answer given while watching is counted as the command `resume` or `decline`.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "start",
        aws_actions: &["dynamodb:GetItem", "states:DescribeExecution", "states:StartExecution"],
    },
    CommandSpec { name: "watch", aws_actions: &["dynamodb:GetItem", "dynamodb:Query", "states:DescribeExecution"] },
    CommandSpec { name: "show", aws_actions: &["dynamodb:GetItem", "dynamodb:Query"] },
    CommandSpec { name: "resume", aws_actions: &["dynamodb:GetItem", "dynamodb:Query", "states:SendTaskSuccess"] },
    CommandSpec { name: "decline", aws_actions: &["dynamodb:GetItem", "dynamodb:Query", "states:SendTaskFailure"] },
    CommandSpec { name: "pause", aws_actions: &["dynamodb:Query", "dynamodb:UpdateItem"] },
    CommandSpec { name: "cancel", aws_actions: &["dynamodb:Query", "dynamodb:UpdateItem"] },
    CommandSpec { name: "list", aws_actions: &["dynamodb:Query"] },
    CommandSpec {
        name: "reconcile",
        aws_actions: &["dynamodb:Query", "states:DescribeExecution", "states:StartExecution"],
    },
    CommandSpec {
        name: ACCEPT,
        aws_actions: &[
            "drs:DescribeJobLogItems",
            "drs:DescribeJobs",
            "drs:DescribeRecoveryInstances",
            "drs:DescribeSourceServers",
            "drs:StartRecovery",
            "drs:TerminateRecoveryInstances",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "ec2:DescribeInstances",
            "events:PutEvents",
            "iam:SimulatePrincipalPolicy",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "states:DescribeExecution",
            "states:DescribeStateMachine",
            "states:GetExecutionHistory",
            "states:SendTaskFailure",
            "states:SendTaskSuccess",
            "states:StartExecution",
            "states:ValidateStateMachineDefinition",
        ],
    },
];

/// Run once by whoever deploys, with the rights of whoever deploys: it starts, answers and launches, which no operator may
/// do all of, so it is in no operator's policy.
const ACCEPT: &str = "accept";

/// What a person may do, as commands and as calls of a console; one policy each, so that starter and approver can be two
/// people.
#[derive(Debug, Clone, Copy)]
pub struct OperatorSpec {
    pub name: &'static str,
    pub commands: &'static [&'static str],
    /// What the consoles of Step Functions and DynamoDB, and the AWS CLI lines of docs/operations.md, call besides.
    pub console_actions: &'static [&'static str],
}

/// Every operator role.
pub const OPERATORS: &[OperatorSpec] = &[
    OperatorSpec { name: "start", commands: &["start", "watch", "show", "list"], console_actions: &[] },
    OperatorSpec {
        name: "approve",
        commands: &["resume", "decline", "watch", "show", "list"],
        console_actions: &["states:GetExecutionHistory"],
    },
    OperatorSpec { name: "request", commands: &["pause", "cancel", "watch", "show", "list"], console_actions: &[] },
    OperatorSpec {
        name: "reconcile",
        commands: &["reconcile", "watch", "show", "list"],
        console_actions: &["states:GetExecutionHistory"],
    },
    OperatorSpec { name: "read-only", commands: &["watch", "show", "list"], console_actions: &["dynamodb:Scan"] },
];

fn sorted<'a>(actions: impl IntoIterator<Item = &'a &'static str>) -> BTreeSet<&'static str> {
    actions.into_iter().copied().collect()
}

fn process(spec: &ProcessSpec, more: impl IntoIterator<Item = &'static str>) -> Value {
    let mut actions = sorted(spec.aws_actions);
    actions.extend(more);
    json!({
        "name": spec.name,
        "awsActions": actions,
        "forwardedActions": spec.forwarded_actions,
        "keyActions": spec.key_actions,
    })
}

/// `processes` of the contract.
pub(crate) fn processes_document() -> Value {
    let of_activities = ActivityName::ALL.iter().flat_map(|name| name.spec().aws_actions.iter().copied());
    let worker = process(&WORKER, of_activities);
    let machines = MACHINES.iter().map(|machine| {
        let name = format!("{}-machine", machine.name);
        let mut actions = sorted(machine.aws_actions);
        actions.extend(MACHINE_PLATFORM);
        json!({ "name": name, "awsActions": actions, "forwardedActions": [], "keyActions": TABLE_KEY })
    });
    let others = OTHERS.iter().map(|other| process(other, []));
    std::iter::once(worker).chain(machines).chain(others).collect()
}

/// `operators` of the contract.
pub(crate) fn operators_document() -> Value {
    let operator = |operator: &OperatorSpec| {
        let commands = COMMANDS.iter().filter(|command| operator.commands.contains(&command.name));
        let mut actions = sorted(commands.flat_map(|command| command.aws_actions));
        actions.extend(operator.console_actions);
        json!({
            "name": operator.name,
            "commands": operator.commands,
            "awsActions": actions,
            "keyActions": TABLE_KEY,
        })
    };
    OPERATORS.iter().map(operator).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn operators_name_commands_that_exist_and_leave_none_to_nobody() {
        let known: BTreeSet<&str> = COMMANDS.iter().map(|command| command.name).collect();
        let given: BTreeSet<&str> = OPERATORS.iter().flat_map(|operator| operator.commands).copied().collect();
        let operators: BTreeSet<&str> = known.into_iter().filter(|name| *name != ACCEPT).collect();
        assert_eq!(operators, given);
    }

    // A key's own policy need not name anybody but the account: then whoever reads an encrypted table needs a right to its key.
    #[test]
    fn whoever_reads_a_table_may_use_its_key() {
        for (document, least) in [(processes_document(), 4), (operators_document(), OPERATORS.len())] {
            let of_tables = |one: &&Value| one["awsActions"].to_string().contains("dynamodb:");
            let readers: Vec<Value> = document.as_array().unwrap().iter().filter(of_tables).cloned().collect();
            assert!(readers.len() >= least, "{readers:?}");
            for one in readers {
                assert!(one["keyActions"].to_string().contains("kms:Decrypt"), "{}", one["name"]);
            }
        }
    }

    #[test]
    fn whoever_starts_cannot_approve_by_that_policy() {
        let answers = ["states:SendTaskSuccess", "states:SendTaskFailure"];
        for operator in OPERATORS.iter().filter(|operator| operator.name != "approve") {
            let commands = COMMANDS.iter().filter(|command| operator.commands.contains(&command.name));
            let actions = sorted(commands.flat_map(|command| command.aws_actions));
            assert!(answers.iter().all(|answer| !actions.contains(answer)), "{}", operator.name);
        }
    }
}
