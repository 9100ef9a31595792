//! `tidegate`, the operator's tool: start, watch, show, resume, decline, pause, cancel, list and
//! reconcile executions, and accept a deployment.
//!
//! ```text
//!   args ──> commands/* ──> Session (tables, Step Functions, clock)      thin: they ask and print
//!                 │
//!                 ├──> accept/*                                          pure: what was observed beside what is assumed
//!                 ├──> input, naming, answer, verdict, drift, looking          pure: what to send, when to look, how it ended
//!                 └──> render/*                                          pure: records to text
//! ```
//!
//! What may not live here: a decision about a wave or an execution (those are the state machine's and `tidegate-core`'s),
//! `aws_sdk_*` (that is `tidegate-aws`), and any way for a task token to reach the terminal, a log or an error.

mod accept;
mod answer;
mod args;
mod commands;
mod drift;
mod error;
mod input;
mod looking;
mod naming;
mod output;
mod render;
mod session;
mod verdict;
mod view;

#[cfg(test)]
mod fixtures;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let output = output::Output::new(&cli.global);
    let verbose = cli.global.verbose;
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(error::CliError::Output)
        .and_then(|runtime| runtime.block_on(commands::run(cli, &output)));
    match result {
        Ok(code) => code,
        // The reader of a pipe has gone away; there is nobody left to tell.
        Err(error) if error.is_broken_pipe() => ExitCode::FAILURE,
        Err(error) => {
            output.error(&error, verbose);
            ExitCode::FAILURE
        }
    }
}
