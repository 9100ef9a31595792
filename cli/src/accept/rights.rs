//! What each role must be allowed, as questions to IAM's simulator, and what its answers mean.
//!
//! The actions are the contract's, the resources this deployment's. Not asked: `sts:AssumeRole` and everything in target
//! accounts, keys, and SSM documents, which only a deployment's own settings name. The simulator sees a role's policies and
//! its boundary, an organisation's policies in part, and none of a resource.

use super::Line;
use super::assumptions::RIGHTS;
use super::deployment::{Deployment, EVENT_SOURCE, Tables};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_aws::acceptance::{ContextEntry, Decision};
use tidegate_contract::ActivityName;
use tidegate_contract::machines::MachineSpec;
use tidegate_contract::processes::WORKER;
use tidegate_contract::tables::TableKey;

/// Actions on one resource, all under the same circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) actions: Vec<&'static str>,
    /// None: the service knows no resource.
    pub(crate) resource: Option<String>,
    pub(crate) context: Vec<ContextEntry>,
}

/// What the workers call on each table (workers/aws/src/store).
const TABLE_ACTIONS: &[(TableKey, &[&str])] = &[
    (TableKey::ExecutionHistory, &["dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]),
    (TableKey::ExecutionWaves, &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]),
    (TableKey::ExecutionRequests, &["dynamodb:GetItem"]),
    (TableKey::RecoveryPlans, &["dynamodb:GetItem"]),
    (TableKey::ProtectionGroups, &["dynamodb:GetItem"]),
    (TableKey::ServerLocks, &["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]),
];

/// What each machine calls on which table (statemachine/*.asl.json).
const MACHINE_TABLES: &[(&str, &str, TableKey)] = &[
    ("recovery", "dynamodb:Query", TableKey::ExecutionRequests),
    ("recovery", "dynamodb:UpdateItem", TableKey::ExecutionHistory),
    ("recovery", "dynamodb:UpdateItem", TableKey::ExecutionWaves),
    ("recovery", "dynamodb:UpdateItem", TableKey::ExecutionRequests),
    ("recovery", "dynamodb:UpdateItem", TableKey::ExecutionGates),
    ("reconcile", "dynamodb:UpdateItem", TableKey::ExecutionHistory),
];

/// DRS tags what it makes, and calls EC2 with the worker's credentials.
const MANAGED_TAG: &str = "aws:ResourceTag/AWSElasticDisasterRecoveryManaged";

/// The questions about the workers' role.
pub(crate) fn of_worker(deployment: &Deployment, tables: &Tables<'_>) -> Vec<Question> {
    let mut asked = Asked::default();
    for &activity in ActivityName::ALL {
        asked.add("states:GetActivityTask", Some(deployment.activity_arn(activity)), Vec::new());
    }
    for action in WORKER.aws_actions.iter().filter(|action| **action != "states:GetActivityTask") {
        asked.add(action, None, Vec::new());
    }
    for (key, actions) in TABLE_ACTIONS {
        for action in *actions {
            asked.add(action, Some(deployment.table_arn(tables(*key))), Vec::new());
        }
    }
    asked.add("states:DescribeExecution", Some(deployment.executions_arn("any")), Vec::new());
    let own: BTreeSet<&'static str> = ActivityName::ALL
        .iter()
        .flat_map(|activity| activity.spec().aws_actions.iter().copied())
        // Tags are sent only where `tag_jobs` is on.
        .filter(|action| *action != "drs:TagResource" && (action.starts_with("drs:") || action.starts_with("ec2:")))
        .collect();
    for action in own {
        asked.add(action, resource_of(deployment, action), vec![in_region(deployment)]);
    }
    for action in WORKER.forwarded_actions.iter().filter(|action| !action.starts_with("ssm:")) {
        let mut context = through_drs(action);
        context.push(in_region(deployment));
        asked.add(action, resource_of(deployment, action), context);
    }
    asked.questions()
}

/// The questions about a machine's role.
pub(crate) fn of_machine(deployment: &Deployment, machine: &MachineSpec, tables: &Tables<'_>) -> Vec<Question> {
    let mut asked = Asked::default();
    for action in machine.aws_actions {
        match action.split(':').next() {
            Some("dynamodb") => {
                for key in
                    MACHINE_TABLES.iter().filter(|row| row.0 == machine.name && row.1 == *action).map(|row| row.2)
                {
                    // Machines count; what is there they may not read.
                    let counts = *action == "dynamodb:Query";
                    let select = counts.then(|| entry("dynamodb:Select", "string", "COUNT"));
                    asked.add(action, Some(deployment.table_arn(tables(key))), select.into_iter().collect());
                }
            }
            Some("events") => {
                let source = vec![entry("events:source", "stringList", EVENT_SOURCE)];
                asked.add(action, Some(deployment.bus_arn()), source);
            }
            _ => asked.add(action, Some(deployment.executions_arn("any")), Vec::new()),
        }
    }
    asked.questions()
}

/// One resource of the kind the action is authorised on (Service Authorization Reference). None: it takes `*`.
fn resource_of(deployment: &Deployment, action: &str) -> Option<String> {
    let ec2 = |kind: &str, id: &str| Some(deployment.resource_arn("ec2", &format!("{kind}/{id}-0123456789abcdef0")));
    let drs = |kind: &str| Some(deployment.resource_arn("drs", kind));
    match action {
        "iam:PassRole" => Some(deployment.launch_role_arn()),
        "drs:TerminateRecoveryInstances" => drs("recovery-instance/i-0123456789abcdef0"),
        "drs:StartRecovery"
        | "drs:GetLaunchConfiguration"
        | "drs:ListLaunchActions"
        | "drs:CreateRecoveryInstanceForDrs" => drs("source-server/s-0123456789abcdef0"),
        "ec2:DescribeInstanceAttribute" => ec2("instance", "i"),
        "ec2:GetConsoleOutput" | "ec2:GetConsoleScreenshot" => ec2("instance", "i"),
        _ if ["drs:", "ec2:Describe", "ec2:Get"].iter().any(|reads| action.starts_with(reads)) => None,
        _ if action.contains("Volume") => ec2("volume", "vol"),
        _ if action.contains("Snapshot") => ec2("snapshot", "snap"),
        _ if action.contains("LaunchTemplate") => ec2("launch-template", "lt"),
        _ if action.contains("SecurityGroup") => ec2("security-group", "sg"),
        _ if action.contains("NetworkInterface") => ec2("network-interface", "eni"),
        _ if action.contains("Fleet") => ec2("fleet", "fleet"),
        _ => ec2("instance", "i"),
    }
}

fn entry(key: &str, kind: &'static str, value: &str) -> ContextEntry {
    ContextEntry { key: key.to_owned(), kind, values: vec![value.to_owned()] }
}

/// Reads without a resource are allowed in the recovery Regions only; the simulator knows no Region by itself.
fn in_region(deployment: &Deployment) -> ContextEntry {
    entry("aws:RequestedRegion", "string", &deployment.region)
}

/// How a call looks that DRS makes for the worker.
fn through_drs(action: &str) -> Vec<ContextEntry> {
    let mut context = vec![
        entry("aws:ViaAWSService", "boolean", "true"),
        entry("aws:CalledVia", "stringList", "drs.amazonaws.com"),
        entry(MANAGED_TAG, "string", "drs.amazonaws.com"),
    ];
    match action {
        "iam:PassRole" => context.push(entry("iam:PassedToService", "string", "ec2.amazonaws.com")),
        "ec2:CreateTags" => context.push(entry("ec2:CreateAction", "string", "RunInstances")),
        _ => {}
    }
    context
}

/// Gathers actions that may be asked in one call.
#[derive(Debug, Default)]
struct Asked(BTreeMap<(Option<String>, Circumstances), Question>);

/// Condition keys and their values.
type Circumstances = Vec<(String, Vec<String>)>;

impl Asked {
    fn add(&mut self, action: &'static str, resource: Option<String>, context: Vec<ContextEntry>) {
        let key = context.iter().map(|entry| (entry.key.clone(), entry.values.clone())).collect();
        let question = self.0.entry((resource.clone(), key)).or_insert_with(|| Question {
            actions: Vec::new(),
            resource,
            context,
        });
        question.actions.push(action);
    }

    fn questions(self) -> Vec<Question> {
        self.0.into_values().collect()
    }
}

/// One line for a role: everything it may not do, or what kept us from knowing.
pub(crate) fn judge(role: &str, answers: &[(Question, Result<Vec<Decision>, String>)]) -> Line {
    let check = format!("simulate the rights of {role}");
    let (mut denied, mut open, mut asked) = (Vec::new(), Vec::new(), 0);
    for (question, answer) in answers {
        let on = question.resource.as_deref().unwrap_or("*");
        asked += question.actions.len();
        match answer {
            Err(error) => open.push(error.clone()),
            Ok(decisions) => {
                for action in &question.actions {
                    match decisions.iter().find(|said| said.action.eq_ignore_ascii_case(action)) {
                        Some(said) if said.decision == "allowed" => {}
                        Some(said) => denied.push(format!("{action} on {on}: {}", said.decision)),
                        None => open.push(format!("no decision about {action}")),
                    }
                }
            }
        }
    }
    open.dedup();
    if !denied.is_empty() {
        return Line::compared(check, &RIGHTS, false, format!("of {asked} not allowed: {}", denied.join("; ")));
    }
    if !open.is_empty() || asked == 0 {
        return Line::unanswered(check, &RIGHTS, &open.join("; "));
    }
    Line::compared(check, &RIGHTS, true, format!("{asked} of {asked} allowed"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::accept::Verdict;
    use crate::accept::deployment::tests::dev;
    use tidegate_contract::machines::MACHINES;

    fn named(key: TableKey) -> &'static str {
        match key {
            TableKey::ServerLocks => "tidegate-dev-server-locks",
            _ => "other",
        }
    }

    fn answered(questions: Vec<Question>, decide: impl Fn(&str, &str) -> &'static str) -> Line {
        let answers: Vec<_> = questions
            .into_iter()
            .map(|question| {
                let on = question.resource.clone().unwrap_or_default();
                let said = question
                    .actions
                    .iter()
                    .map(|action| Decision { action: (*action).to_owned(), decision: decide(action, &on).to_owned() })
                    .collect();
                (question, Ok(said))
            })
            .collect();
        judge("worker", &answers)
    }

    /// A role that lacked GetItem on server-locks could clean up no drill, and had the action on three other tables.
    #[test]
    fn a_right_that_is_missing_on_one_table_is_told_with_the_table() {
        let line = answered(of_worker(&dev(), &named), |action, on| {
            if action == "dynamodb:GetItem" && on.ends_with("server-locks") { "implicitDeny" } else { "allowed" }
        });
        assert_eq!(line.verdict, Verdict::Differs);
        assert!(
            line.observed.contains(
                "dynamodb:GetItem on arn:aws:dynamodb:us-west-2:111122223333:table/tidegate-dev-server-locks"
            )
        );
        assert!(!line.observed.contains("PutItem"), "{}", line.observed);
        assert_eq!(answered(of_worker(&dev(), &named), |_, _| "allowed").verdict, Verdict::AsAssumed);
        assert_eq!(answered(of_worker(&dev(), &named), |_, _| "explicitDeny").verdict, Verdict::Differs);
        assert_eq!(answered(of_worker(&dev(), &named), |_, _| "newWord").verdict, Verdict::Differs);
    }

    #[test]
    fn what_was_not_decided_is_not_allowed() {
        let questions = of_machine(&dev(), &MACHINES[0], &named);
        let none: Vec<_> = questions.iter().map(|question| (question.clone(), Ok(Vec::new()))).collect();
        assert_eq!(judge("recovery", &none).verdict, Verdict::NotAnswered);
        assert_eq!(judge("recovery", &[]).verdict, Verdict::NotAnswered);
        let error: Vec<_> = questions.into_iter().map(|question| (question, Err("NoSuchEntity".to_owned()))).collect();
        let line = judge("recovery", &error);
        assert_eq!((line.verdict, line.observed.as_str()), (Verdict::NotAnswered, "NoSuchEntity"));
    }

    /// Every action of the contract is asked about, but those that only a deployment's settings name a resource for.
    #[test]
    fn no_action_of_the_contract_is_forgotten() {
        let asked: BTreeSet<&str> = of_worker(&dev(), &named).iter().flat_map(|one| one.actions.clone()).collect();
        let own = ActivityName::ALL.iter().flat_map(|activity| activity.spec().aws_actions);
        for action in own.chain(WORKER.aws_actions).chain(WORKER.forwarded_actions) {
            let left_out = action.starts_with("ssm:") || ["sts:AssumeRole", "drs:TagResource"].contains(action);
            assert_eq!(asked.contains(action), !left_out, "{action}");
        }
        for machine in MACHINES {
            let asked: BTreeSet<&str> =
                of_machine(&dev(), machine, &named).iter().flat_map(|one| one.actions.clone()).collect();
            assert_eq!(asked, machine.aws_actions.iter().copied().collect(), "{}", machine.name);
        }
    }

    /// As the policies of terraform/modules/contract are written: by source server, and by Region where there is no resource.
    #[test]
    fn calls_to_drs_are_asked_about_as_they_are_authorised() {
        let questions = of_worker(&dev(), &named);
        for (action, on) in [
            ("drs:StartRecovery", Some("source-server/")),
            ("drs:ListLaunchActions", Some("source-server/")),
            ("drs:TerminateRecoveryInstances", Some("recovery-instance/")),
            ("drs:DescribeJobs", None),
        ] {
            let question = questions.iter().find(|question| question.actions.contains(&action)).unwrap();
            assert_eq!(question.resource.is_some(), on.is_some(), "{action}");
            assert!(question.resource.iter().all(|resource| resource.contains(on.unwrap())), "{action}");
            let region = question.context.iter().find(|entry| entry.key == "aws:RequestedRegion").unwrap();
            assert_eq!(region.values, ["us-west-2"], "{action}");
        }
    }

    #[test]
    fn a_machine_is_asked_about_its_own_table_bus_and_executions() {
        let reconcile = MACHINES.iter().find(|machine| machine.name == "reconcile").unwrap();
        let questions = of_machine(&dev(), reconcile, &named);
        let on = |action: &str| {
            let found = questions.iter().find(|question| question.actions.contains(&action)).unwrap();
            found.resource.clone().unwrap()
        };
        assert!(on("states:DescribeExecution").contains(":execution:tidegate-dev-recovery:"));
        assert!(on("events:PutEvents").ends_with(":event-bus/tidegate-dev"));
        assert!(on("dynamodb:UpdateItem").contains(":table/"));
    }
}
