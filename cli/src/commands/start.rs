//! `tidegate start`: check, confirm, send, and follow if asked to.

use super::follow;
use super::prompt::confirm;
use crate::args::{Approve, Following, Global, StartArgs};
use crate::error::CliError;
use crate::input::{check_input, check_stored_plan, make_input, read_json, unknown_plan};
use crate::looking::pause;
use crate::naming::{check_name, default_name};
use crate::output::Output;
use crate::render::check::{read_prepared, render_prepared, render_refusal};
use crate::render::plan::render_intention;
use crate::render::problems::render_problems;
use crate::render::text::shell_word;
use crate::session::Session;
use std::process::ExitCode;
use tidegate_aws::ports::PlanReader;
use tidegate_aws::{PortError, Sent};
use tidegate_contract::input::ExecutionInput;
use tidegate_contract::plan::Plan;
use tidegate_contract::records::Problem;
use tidegate_contract::{ExecutionType, Mode};
use tidegate_core::time::seconds_between;

pub(super) async fn run(global: &Global, output: &Output, args: &StartArgs) -> Result<ExitCode, CliError> {
    let document = args.input.as_deref().or(args.plan_file.as_deref()).map(read_json).transpose()?;
    let document = make_input(args, document);
    let input = check_input(&document).or_else(|problems| refuse(output, &problems))?;
    if let Some(name) = &args.name {
        check_name(name)?;
    }
    let session = Session::open(global).await?;
    let machine = session.machine_arn()?;
    let plan = plan(&session, output, &input).await?;
    let plan_id = input.plan_id.as_ref().or(plan.as_ref().map(|plan| &plan.plan_id)).map_or("run", |id| id.as_str());
    let name = args.name.clone().unwrap_or_else(|| default_name(plan_id, input.execution_type, session.now()));
    confirm_launch(output, args, &render_intention(&input, plan.as_ref(), &name), &input)?;
    let started = session.executions.start(machine, &name, &document.to_string()).await;
    let arn = started.map_err(|error| not_started(error, &name))?;
    output.result(&name)?;
    if input.mode == Mode::Check {
        return await_check(&session, output, &arn).await;
    }
    if args.watch {
        let approve = if output.can_ask() { Approve::Ask } else { Approve::Never };
        let following = Following { approve, by: args.by.clone(), ..Following::default() };
        return follow::run(&session, output, follow::Target::started(&name, arn), &following).await;
    }
    output.note(&format!("started; follow it with: tidegate watch {}", shell_word(&name)))?;
    Ok(ExitCode::SUCCESS)
}

fn refuse<T>(output: &Output, problems: &[Problem]) -> Result<T, CliError> {
    output.note(&render_problems(problems, output.width()))?;
    Err(CliError::Refused { count: problems.len() })
}

/// The plan that will run: inline, or stored and checked as the workers will. None if it may not be read from here.
async fn plan(session: &Session, output: &Output, input: &ExecutionInput) -> Result<Option<Plan>, CliError> {
    let Some(id) = &input.plan_id else { return Ok(input.plan.clone()) };
    match session.store.load_plan(id).await {
        Ok(Some(stored)) => check_stored_plan(&stored.plan).map(Some).or_else(|problems| refuse(output, &problems)),
        Ok(None) => refuse(output, &[unknown_plan(id.as_str())]),
        // Whoever may start executions need not be allowed to read plans; prepare checks it in any case.
        Err(error) => {
            output.note(&format!("the stored plan could not be checked from here: {error}"))?;
            Ok(None)
        }
    }
}

fn confirm_launch(output: &Output, args: &StartArgs, intention: &str, input: &ExecutionInput) -> Result<(), CliError> {
    if input.execution_type != ExecutionType::Recovery || input.mode != Mode::Run {
        return Ok(());
    }
    output.note(intention)?;
    if args.yes {
        return Ok(());
    }
    if !output.can_ask() {
        return Err(CliError::NeedsYes);
    }
    if confirm(output, "This launches the real thing. Type yes to start:")? {
        Ok(())
    } else {
        Err(CliError::NotConfirmed)
    }
}

fn not_started(error: PortError, name: &str) -> CliError {
    let name = name.to_owned();
    match (error.code.as_deref(), error.sent) {
        (Some("ExecutionAlreadyExists"), _) => CliError::NameTaken { name },
        (_, Sent::Unknown) => CliError::StartUnknown { name, source: Box::new(error) },
        _ => CliError::port("cannot start the execution")(error),
    }
}

/// A check writes no record: its result is the execution's output.
async fn await_check(session: &Session, output: &Output, arn: &str) -> Result<ExitCode, CliError> {
    let began = session.now();
    let mut ended = None;
    while ended.is_none() {
        tokio::time::sleep(pause(seconds_between(began, session.now()))).await;
        ended = session.describe(arn).await?.filter(|status| status.status != "RUNNING");
    }
    let Some(ended) = ended else { return Ok(ExitCode::FAILURE) };
    if ended.status != "SUCCEEDED" {
        output.result(&render_refusal(&ended, output.width()))?;
        return Ok(ExitCode::FAILURE);
    }
    let said =
        session.executions.output(arn).await.map_err(CliError::port("cannot read the result"))?.unwrap_or_default();
    let text = read_prepared(&said).map_or(said, |run| render_prepared(&run, output.width()));
    output.result(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_not_called_a_failure_to_start() {
        let mut error = PortError::unreadable("states:StartExecution", "timed out");
        error.sent = Sent::Unknown;
        let text = not_started(error, "run-1").to_string();
        assert!(text.contains("may or may not have started") && text.contains("tidegate show run-1"), "{text}");
        let mut error = PortError::unreadable("states:StartExecution", "exists");
        error.code = Some("ExecutionAlreadyExists".to_owned());
        assert!(matches!(not_started(error, "run-1"), CliError::NameTaken { .. }));
    }
}
