//! One file per command, thin: read, ask a pure function, print or send.

mod accept;
mod bars;
mod display;
mod follow;
mod gate;
mod list;
mod prompt;
mod reconcile;
mod request;
mod show;
mod start;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::output::Output;
use crate::session::Session;
use std::process::ExitCode;
use tidegate_aws::store::OperatorFlag;

/// Runs the command.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<ExitCode, CliError> {
    let global = cli.global;
    match cli.command {
        // Opens its session later: what is wrong with an input can be told without one.
        Command::Start(args) => start::run(&global, output, &args).await,
        Command::Watch(args) => {
            let session = Session::open(&global).await?;
            follow::run(&session, output, follow::Target::found(&args.name), &args.following).await
        }
        Command::Show(args) => show::run(&Session::open(&global).await?, output, &args).await,
        Command::Resume(args) => gate::resume(&Session::open(&global).await?, output, &args).await,
        Command::Decline(args) => gate::decline(&Session::open(&global).await?, output, &args).await,
        Command::Pause(args) => request::run(&Session::open(&global).await?, output, &args, OperatorFlag::Pause).await,
        Command::Cancel(args) => {
            request::run(&Session::open(&global).await?, output, &args, OperatorFlag::Cancel).await
        }
        Command::List(args) => list::run(&Session::open(&global).await?, output, &args).await,
        Command::Reconcile(args) => reconcile::run(&Session::open(&global).await?, output, &args).await,
        Command::Accept(args) => accept::run(&Session::open(&global).await?, output, &args).await,
    }
}
