//! `tidegate start`: check, show, confirm, send, and follow if asked to.
//!
//! What is sent carries the digests of what was shown, so that nothing else runs. The plan's is taken here. Who is in it only the
//! workers can tell, because people who start need no right in DRS: before a person confirms a recovery, a CHECK of the same input
//! runs, and its digest is sent. It takes as long as the start's own look does, and what it refuses a start would refuse, too.

use super::follow;
use super::prompt::confirm;
use crate::args::{Approve, Following, Global, StartArgs};
use crate::error::CliError;
use crate::input::{check_input, check_stored_plan, expect, make_input, read_json, unknown_execution, unknown_plan};
use crate::looking::pause;
use crate::naming::{check_name, check_run_name, default_name};
use crate::output::Output;
use crate::render::check::{read_prepared, render_checked, render_prepared, render_refusal};
use crate::render::plan::{render_continuation, render_intention, render_place};
use crate::render::problems::render_problems;
use crate::render::text::shell_word;
use crate::session::Session;
use std::process::ExitCode;
use tidegate_aws::ports::{ExecutionReader, PlanReader, WaveStore};
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_aws::{PortError, Sent};
use tidegate_contract::activities::PreparedRun;
use tidegate_contract::input::{ContinueInput, ExecutionInput, Request};
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{ExecutionRecord, Problem};
use tidegate_contract::{ExecutionType, Mode};
use tidegate_core::confirmation;
use tidegate_core::continuation::{self, OldRun, Standing};
use tidegate_core::time::seconds_between;

/// What is about to start, as far as it can be told from here.
struct Announced {
    /// For the name and the question.
    plan_id: String,
    /// None: it could not be read, so the question is asked to be safe.
    execution_type: Option<ExecutionType>,
    mode: Mode,
    /// Recovery instances that servers have already may be deleted.
    replaces_recovered: bool,
}

pub(super) async fn run(global: &Global, output: &Output, args: &StartArgs) -> Result<ExitCode, CliError> {
    let document = args.input.as_deref().or(args.plan_file.as_deref()).map(read_json).transpose()?;
    let mut document = make_input(args, document);
    let request = check_input(&document).or_else(|problems| refuse(output, &problems))?;
    if let Some(name) = &args.name {
        check_name(name)?;
    }
    let session = Session::open(global).await?;
    let machine = session.machine_arn()?;
    let (announced, name) = match &request {
        Request::Plan(input) => {
            let plan = plan(&session, output, input).await?;
            let plan_id = input.plan_id.as_ref().or(plan.as_ref().map(|plan| &plan.plan_id));
            expect(&mut document, "planHash", plan.as_ref().map(confirmation::plan_hash).as_deref());
            let announced = Announced {
                plan_id: plan_id.map_or("run", |id| id.as_str()).to_owned(),
                execution_type: Some(input.execution_type),
                mode: input.mode,
                replaces_recovered: input.options.replace_recovered,
            };
            let name = name_of(&session, args, &announced);
            output.note(&show(&session, machine, &render_intention(input, plan.as_ref(), &name), &announced))?;
            if announced.asks(args) && output.can_ask() {
                let Some(run) = check_first(&session, output, machine, &name, &document).await? else {
                    return Ok(ExitCode::FAILURE);
                };
                output.note(&render_checked(&run, output.width()))?;
                expect(&mut document, "membershipHash", Some(&run.membership_hash));
                expect(
                    &mut document,
                    "planHash",
                    Some(&run.plan_hash).filter(|hash| !hash.is_empty()).map(String::as_str),
                );
            }
            confirm_launch(output, args, &announced)?;
            (announced, name)
        }
        Request::Continue(input) => {
            let old = continued(&session, output, input).await?;
            let announced = Announced {
                plan_id: old.as_ref().map_or("continued", |(old, _)| old.plan_id.as_str()).to_owned(),
                execution_type: old.as_ref().map(|(old, _)| old.execution_type),
                mode: Mode::Run,
                replaces_recovered: input.options.replace_recovered,
            };
            let name = name_of(&session, args, &announced);
            let intention = match &old {
                Some((old, standings)) => {
                    expect(&mut document, "membershipHash", old.membership_hash.as_deref());
                    expect(&mut document, "planHash", old.plan_hash.as_deref());
                    let mut text = render_continuation(old, standings.as_deref(), &name);
                    if continuation::terms_of(input, old).1.is_some() {
                        text.push_str(&format!("\n{}", weakening(old)));
                    }
                    text
                }
                None => format!("{} continued as {name}", input.continue_execution),
            };
            output.note(&show(&session, machine, &intention, &announced))?;
            confirm_launch(output, args, &announced)?;
            (announced, name)
        }
    };
    let started = session.executions.start(machine, &name, &document.to_string()).await;
    let arn = started.map_err(|error| not_started(error, &name))?;
    output.result(&name)?;
    if announced.mode == Mode::Check {
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

fn name_of(session: &Session, args: &StartArgs, announced: &Announced) -> String {
    let execution_type = announced.execution_type.unwrap_or(ExecutionType::Recovery);
    args.name.clone().unwrap_or_else(|| default_name(&announced.plan_id, execution_type, session.now()))
}

/// The execution that is to be continued, checked as the workers will, and where its waves stand. None if it may not be read
/// from here; prepare checks it in any case.
async fn continued(
    session: &Session,
    output: &Output,
    input: &ContinueInput,
) -> Result<Option<(ExecutionRecord, Option<Vec<Standing>>)>, CliError> {
    let id = &input.continue_execution;
    let old = match session.store.find_execution(id).await {
        Ok(Some(old)) => old,
        Ok(None) => return refuse(output, &[unknown_execution(id.as_str())]),
        Err(error) => {
            output.note(&format!("{id} could not be checked from here: {error}"))?;
            return Ok(None);
        }
    };
    let by = match &old.continued_by {
        Some(by) => session.find(by.as_str()).await?,
        None => None,
    };
    let mut problems = continuation::contradictions(input, &old);
    problems.extend(continuation::refusals(&old, &continuation::successor(&old, by.as_ref())));
    if !problems.is_empty() {
        return refuse(output, &problems);
    }
    let standings = session.store.load_run(id).await.ok().map(|items| {
        OldRun { execution_type: old.execution_type, waves: &old.waves, items: &items.waves, shards: &items.shards }
            .standings()
    });
    Ok(Some((old, standings)))
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

impl Announced {
    /// Whether it is the real thing, as far as anybody can tell from here.
    fn is_real(&self) -> bool {
        self.execution_type != Some(ExecutionType::Drill) && self.mode == Mode::Run
    }

    fn asks(&self, args: &StartArgs) -> bool {
        self.is_real() && !args.yes
    }
}

/// What is about to start, and where: in the wrong shell everything else looks the same.
fn show(session: &Session, machine: &str, intention: &str, announced: &Announced) -> String {
    if announced.mode == Mode::Check {
        return render_place(machine, session.endpoint.as_deref());
    }
    format!("{intention}\n{}", render_place(machine, session.endpoint.as_deref()))
}

/// What a continuation asks of an approver.
fn weakening(old: &ExecutionRecord) -> String {
    format!(
        "  it asks for less than {} promised of its drill instances: it pauses before it goes on, and that comes into force once \
         somebody has resumed it",
        old.execution_id
    )
}

/// A CHECK of the very input that is about to be confirmed; None: it was refused, and that was said.
async fn check_first(
    session: &Session,
    output: &Output,
    machine: &str,
    name: &str,
    document: &serde_json::Value,
) -> Result<Option<PreparedRun>, CliError> {
    let mut input = document.clone();
    input["mode"] = serde_json::json!(Mode::Check);
    let check = check_run_name(name, session.now());
    output.note(&format!("checking what would run, as {check}"))?;
    let started = session.executions.start(machine, &check, &input.to_string()).await;
    let arn = started.map_err(|error| not_started(error, &check))?;
    let ended = end_of(session, &arn).await?;
    if ended.status != "SUCCEEDED" {
        output.result(&render_refusal(&ended, output.width()))?;
        return Ok(None);
    }
    let said = session.executions.output(&arn).await.map_err(CliError::port("cannot read the check's result"))?;
    read_prepared(&said.unwrap_or_default()).map(Some).ok_or(CliError::CheckUnread { name: check })
}

fn confirm_launch(output: &Output, args: &StartArgs, announced: &Announced) -> Result<(), CliError> {
    if !announced.asks(args) {
        return Ok(());
    }
    if !output.can_ask() {
        return Err(CliError::NeedsYes);
    }
    let question = if announced.replaces_recovered {
        "This launches the real thing, and lets DRS delete the recovery instances its servers have already, with their data. \
         Type yes to start:"
    } else {
        "This launches the real thing. Type yes to start:"
    };
    if confirm(output, question)? { Ok(()) } else { Err(CliError::NotConfirmed) }
}

fn not_started(error: PortError, name: &str) -> CliError {
    let name = name.to_owned();
    match (error.code.as_deref(), error.sent) {
        (Some("ExecutionAlreadyExists"), _) => CliError::NameTaken { name },
        (_, Sent::Unknown) => CliError::StartUnknown { name, source: Box::new(error) },
        _ => CliError::port("cannot start the execution")(error),
    }
}

/// How an execution ended, once it has.
async fn end_of(session: &Session, arn: &str) -> Result<MachineStatus, CliError> {
    let began = session.now();
    loop {
        tokio::time::sleep(pause(seconds_between(began, session.now()))).await;
        if let Some(ended) = session.describe(arn).await?.filter(|status| status.status != "RUNNING") {
            return Ok(ended);
        }
    }
}

/// A check writes no record: its result is the execution's output.
async fn await_check(session: &Session, output: &Output, arn: &str) -> Result<ExitCode, CliError> {
    let ended = end_of(session, arn).await?;
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
