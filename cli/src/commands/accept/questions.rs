//! What is asked without starting anything: definitions, rights, and an event that has to be refused.

use super::{Bench, Writing};
use crate::accept::deployment::EVENT_SOURCE;
use crate::accept::rights::Question;
use crate::accept::{Line, definitions, notification, rights};
use crate::error::CliError;
use serde_json::json;
use std::time::Duration;
use tidegate_aws::acceptance::{ContextEntry, Decision};
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::machines::MACHINES;
use tidegate_contract::tables::TableKey;

/// The rule of a cleanup that failed is in every deployment that tells people; its words say that it is a test.
const TEST_EVENT: &str = "Tidegate Cleanup Failed";

pub(super) async fn definitions(bench: &Bench<'_>, writing: &mut Writing<'_>) -> Result<(), CliError> {
    let mut lines = Vec::new();
    for name in MACHINES.iter().map(|machine| machine.name).chain(["pause-watch"]) {
        // What DescribeStateMachine answers about an alias is not documented.
        let said = match bench.machines.definition(&bench.deployment.machine_arn(name)).await {
            Ok(definition) => bench.machines.validate(&definition.text).await,
            Err(error) => Err(error),
        };
        lines.push(definitions::judge(name, said.map_err(|error| error.to_string())));
    }
    writing.add(lines)
}

pub(super) async fn rights(
    bench: &Bench<'_>,
    worker_role: Option<&str>,
    writing: &mut Writing<'_>,
) -> Result<(), CliError> {
    let tables = |key: TableKey| bench.session.store.table_name(key);
    let worker = worker_role.map_or_else(|| bench.deployment.worker_role_arn(), str::to_owned);
    let mut lines =
        vec![simulated(bench, "the workers", Ok(worker), rights::of_worker(&bench.deployment, &tables)).await];
    for machine in MACHINES {
        let deployed = bench.machines.definition(&bench.deployment.machine_arn(machine.name)).await;
        let role = deployed.map(|definition| definition.role_arn);
        let questions = rights::of_machine(&bench.deployment, machine, &tables);
        lines.push(simulated(bench, &format!("the {} machine", machine.name), role, questions).await);
    }
    writing.add(lines)
}

async fn simulated(bench: &Bench<'_>, who: &str, role: Result<String, PortError>, questions: Vec<Question>) -> Line {
    let mut answers: Vec<(Question, Result<Vec<Decision>, String>)> = Vec::new();
    for question in questions {
        let answer = match &role {
            Ok(role) => simulate(bench, role, &question).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let gave_up = answer.is_err();
        answers.push((question, answer));
        // Who may not ask once may not ask thirty times.
        if gave_up {
            break;
        }
    }
    rights::judge(who, &answers)
}

async fn simulate(bench: &Bench<'_>, role: &str, question: &Question) -> Result<Vec<Decision>, PortError> {
    let Question { actions, resource, context } = question;
    let together = ask(bench, role, actions, resource.as_deref(), context).await;
    match together {
        // Actions that are authorised on different things may not be simulated together, says IAM.
        Err(error) if error.code.as_deref() == Some("InvalidInput") && actions.len() > 1 => {
            let mut decisions = Vec::new();
            for action in actions {
                decisions.extend(ask(bench, role, &[*action], resource.as_deref(), context).await?);
            }
            Ok(decisions)
        }
        answered => answered,
    }
}

/// IAM is asked some thirty times in a row.
async fn ask(
    bench: &Bench<'_>,
    role: &str,
    actions: &[&str],
    resource: Option<&str>,
    context: &[ContextEntry],
) -> Result<Vec<Decision>, PortError> {
    let mut pauses = [1, 2, 4, 8].into_iter();
    loop {
        match (bench.account.simulate(role, actions, resource, context).await, pauses.next()) {
            (Err(error), Some(seconds)) if error.class == ErrorClass::Throttled => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            (answered, _) => return answered,
        }
    }
}

/// Tries to speak as the machine does; the bus has to refuse it.
pub(super) async fn foreign_event(bench: &Bench<'_>, writing: &mut Writing<'_>) -> Result<(), CliError> {
    let name = "accept-test";
    let detail = json!({ "executionId": name, "planId": bench.plan.plan_id, "reason": "this is only a test" });
    // As whoever wants to be believed: a sender may name any resources.
    let resources = [bench.deployment.executions_arn(name)];
    let bus = bench.deployment.bus_arn();
    let sent = bench.account.put_event(&bus, EVENT_SOURCE, TEST_EVENT, &resources, &detail).await;
    writing.add(vec![notification::judge_foreign(sent)])
}

/// How many events wait undelivered.
pub(super) async fn undelivered(bench: &Bench<'_>) -> Result<u64, String> {
    let queue = bench.deployment.undelivered_queue();
    bench.account.queue_length(&queue).await.map_err(|error| error.to_string())
}
