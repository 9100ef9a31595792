//! `tidegate-simulator`: the model of the library behind HTTP, a wall clock and a real EC2 endpoint.
//!
//! Everything impure lives under `shell/`: reading the command line and files, the clock, sockets, launching instances. What
//! may not live there: anything that decides what DRS answers.

mod shell;

use clap::Parser;
use shell::options::Options;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let filter = EnvFilter::try_new(&options.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_env_filter(filter).init();
    match shell::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %error, "cannot run");
            ExitCode::FAILURE
        }
    }
}
