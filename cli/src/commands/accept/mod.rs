//! `tidegate accept`: try a deployment on its account and write down what AWS did beside what we assume. What it concludes is
//! in `crate::accept`; here are the calls.

mod gates;
mod questions;
mod runs;
mod throw_away;

use super::prompt::{confirm, confirm_with};
use crate::accept::deployment::Deployment;
use crate::accept::render::{render_line, render_sum};
use crate::accept::{Line, Report, launches};
use crate::args::AcceptArgs;
use crate::error::CliError;
use crate::input::{check_stored_plan, unknown_plan};
use crate::naming::accept_file;
use crate::output::Output;
use crate::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use throw_away::ThrowAway;
use tidegate_aws::acceptance::{AccountClient, MachineClient};
use tidegate_aws::ports::PlanReader;
use tidegate_aws::targets::AwsTargets;
use tidegate_contract::plan::Plan;
use tidegate_contract::{ExecutionId, PlanId};
use tidegate_core::reach::Reach;
use tidegate_core::time;

/// What the checks share.
struct Bench<'a> {
    session: &'a Session,
    deployment: Deployment,
    machines: MachineClient,
    account: AccountClient,
    plan: Plan,
}

pub(super) async fn run(session: &Session, output: &Output, args: &AcceptArgs) -> Result<ExitCode, CliError> {
    let deployment = Deployment::of(session.machine_arn()?, &args.environment)
        .map_err(|reason| CliError::BadSetting { variable: crate::session::MACHINE, reason })?;
    let plan = plan(session, &args.plan).await?;
    let config = tidegate_aws::config::load().await;
    let bench = Bench {
        session,
        machines: MachineClient::new(&config),
        account: AccountClient::new(&config, &deployment.partition),
        deployment,
        plan,
    };
    let throw_away = match &args.throw_away_server {
        Some(server) => {
            let Deployment { account_id, region, .. } = &bench.deployment;
            let reach = Reach::new(account_id.clone(), BTreeMap::new(), BTreeSet::from([region.clone()]));
            let targets = AwsTargets::new(config, Arc::new(reach)).of(&ExecutionId::from("accept"));
            Some(ThrowAway::look(&bench, targets.as_ref(), server).await?)
        }
        None => None,
    };
    ask(output, &bench, throw_away.as_ref(), args.yes)?;
    let now = session.now();
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(accept_file(&args.environment, now)));
    let mut writing = Writing { output, path, report: report(&bench, args) };
    writing.add(Vec::new())?;
    questions::definitions(&bench, &mut writing).await?;
    questions::rights(&bench, args.worker_role.as_deref(), &mut writing).await?;
    questions::foreign_event(&bench, &mut writing).await?;
    runs::run(&bench, &mut writing).await?;
    gates::run(&bench, &mut writing).await?;
    match throw_away {
        Some(server) => server.run(&bench, &mut writing).await?,
        None => writing.add(launches::not_asked())?,
    }
    writing.report.ended = Some(time::format(session.now()));
    writing.add(Vec::new())?;
    output.note(&render_sum(&writing.report))?;
    output.result(&writing.path.display().to_string())?;
    Ok(if writing.report.is_as_assumed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The stored plan, checked as the workers will.
async fn plan(session: &Session, id: &str) -> Result<Plan, CliError> {
    let found = session.store.load_plan(&PlanId::from(id)).await;
    let stored = match found.map_err(CliError::port(format!("cannot read plan {id}")))? {
        Some(stored) => check_stored_plan(&stored.plan),
        None => Err(vec![unknown_plan(id)]),
    };
    stored.map_err(|problems| CliError::Refused { count: problems.len() })
}

/// Everything is asked before anything is done.
fn ask(output: &Output, bench: &Bench<'_>, server: Option<&ThrowAway>, yes: bool) -> Result<(), CliError> {
    let Deployment { prefix, account_id, region, .. } = &bench.deployment;
    output.note(&format!(
        "{prefix} in account {account_id}, {region}: validates definitions, simulates rights, tries to speak on its event bus,\n\
         starts a CHECK, a DRY_RUN and three dry runs with a gate of plan {}. These launch nothing.",
        bench.plan.plan_id
    ))?;
    if let Some(server) = server {
        output.note(&server.intention())?;
    }
    if !yes {
        if !output.can_ask() {
            return Err(CliError::AcceptNeedsYes);
        }
        if !confirm(output, "Type yes to begin:")? {
            return Err(CliError::NotConfirmed);
        }
    }
    if let Some(server) = server {
        if !output.can_ask() {
            let reason = "its id has to be typed, and there is no terminal to ask on".to_owned();
            return Err(CliError::NotThrownAway { server: server.id().to_owned(), reason });
        }
        if !confirm_with(output, "Type the server's id to launch, recover and terminate it:", server.id())? {
            return Err(CliError::NotConfirmed);
        }
    }
    Ok(())
}

fn report(bench: &Bench<'_>, args: &AcceptArgs) -> Report {
    let Deployment { partition, region, account_id, environment, .. } = bench.deployment.clone();
    Report {
        schema_version: 1,
        tidegate: env!("CARGO_PKG_VERSION"),
        environment,
        partition,
        account_id,
        region,
        plan_id: bench.plan.plan_id.to_string(),
        throw_away_server: args.throw_away_server.clone(),
        begun: time::format(bench.session.now()),
        ended: None,
        lines: Vec::new(),
    }
}

/// The report, on disk after every step: what was learnt before an interruption is not lost.
struct Writing<'a> {
    output: &'a Output,
    path: PathBuf,
    report: Report,
}

impl Writing<'_> {
    fn add(&mut self, lines: Vec<Line>) -> Result<(), CliError> {
        for line in &lines {
            self.output.note(&render_line(line))?;
        }
        self.report.lines.extend(lines);
        // Serialising text and numbers cannot fail.
        let text = serde_json::to_string_pretty(&self.report).unwrap_or_default();
        let unwritable = |source| CliError::Unwritable { path: self.path.display().to_string(), source };
        fs::write(&self.path, text + "\n").map_err(unwritable)
    }
}
