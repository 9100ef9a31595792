//! The worker process: configuration, ports, runtime, health endpoint, signals. Nothing else.

use clap::Parser;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tidegate_aws::clock::SystemClock;
use tidegate_aws::ports::Store;
use tidegate_aws::stepfunctions::{ActivityClient, ExecutionClient};
use tidegate_aws::store::DynamoStore;
use tidegate_aws::targets::AwsTargets;
use tidegate_contract::{ActivityName, ErrorName};
use tidegate_runtime::{
    ActivityRegistration, ErrorNames, MetricSink, Worker, WorkerOptions, WriterMetrics, health_router,
};
use tidegate_worker::activities;
use tidegate_worker::config::{Cli, Command, Config};
use tidegate_worker::tasks::StepFunctionsTasks;
use tidegate_worker::telemetry;
use tidegate_worker::world::{Settings, World, WorldOf};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(config) => run(config),
        Command::Check(config) => check(&config),
        Command::Healthcheck { health_addr } => healthcheck(health_addr),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "tidegate-worker: {message}");
            ExitCode::FAILURE
        }
    }
}

fn check(config: &Config) -> Result<(), String> {
    let unknown = config.activities()?.unknown;
    if !unknown.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "tidegate-worker: not polled, because this release does not know them: {unknown:?}"
        );
    }
    config.reach()?;
    config.table_names().map(|_| ())
}

fn run(config: Config) -> Result<(), String> {
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("no async runtime: {error}"))?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), String> {
    // First of all: the first process of a container ignores a SIGTERM it has no handler for, and would go on to poll
    // until it is killed with tasks in hand. Loading the SDK's configuration may take seconds.
    let shutdown = shutdown_signal()?;
    let sdk = tidegate_aws::config::load().await;
    let metrics: Arc<dyn MetricSink> = Arc::new(WriterMetrics::stdout());
    let reach = Arc::new(config.reach()?);
    let targets = AwsTargets::new(sdk.clone(), reach.clone());
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(&sdk, config.table_names()?));
    let witness = Arc::new(ExecutionClient::new(&sdk));
    let (counters, settings) = (metrics.clone(), Settings { tag_jobs: config.tag_jobs });
    let world: WorldOf = Arc::new(move |execution| World {
        store: store.clone(),
        targets: targets.of(execution),
        witness: witness.clone(),
        clock: Arc::new(SystemClock),
        metrics: counters.clone(),
        reach: reach.clone(),
        settings,
    });
    let given = config.activities()?;
    if !given.unknown.is_empty() {
        tracing::warn!(activities = ?given.unknown, "ActivitiesUnknown");
    }
    let registrations = given.arns.into_iter().map(|(name, arn)| registration(&config, &world, name, arn)).collect();
    let options = WorkerOptions { metrics, ..WorkerOptions::new(config.worker_name(), error_names()) };
    let worker = Worker::new(Arc::new(StepFunctionsTasks(ActivityClient::new(&sdk))), registrations, options);

    let listener = tokio::net::TcpListener::bind(config.health_addr).await.map_err(|error| {
        format!("the health endpoint cannot listen on {}: {error}; set TIDEGATE_HEALTH_ADDR", config.health_addr)
    })?;
    let router = health_router(worker.health());
    let health = tokio::spawn(async move { axum::serve(listener, router).await });
    let summary = worker.run(shutdown).await.map_err(|error| error.to_string());
    health.abort();
    summary.map(|_| ())
}

/// Fires on SIGTERM (ECS stop, deploys) and SIGINT.
fn shutdown_signal() -> Result<CancellationToken, String> {
    let shutdown = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| format!("signals cannot be handled: {error}"))?;
        let token = shutdown.clone();
        tokio::spawn(async move {
            signals.recv().await;
            token.cancel();
        });
    }
    Ok(shutdown)
}

fn registration(config: &Config, world: &WorldOf, name: ActivityName, arn: String) -> ActivityRegistration {
    let spec = name.spec();
    ActivityRegistration {
        name: name.as_str().to_owned(),
        arn,
        timeout: Duration::from_secs(u64::from(spec.timeout_seconds)),
        heartbeat: Duration::from_secs(u64::from(spec.heartbeat_seconds)),
        pollers: config.pollers,
        slots: config.slots,
        handler: activities::handler(name, world),
    }
}

fn error_names() -> ErrorNames {
    ErrorNames {
        shutdown: ErrorName::WorkerShutdown.as_str().to_owned(),
        internal: ErrorName::Internal.as_str().to_owned(),
        invalid_input: ErrorName::InvalidInput.as_str().to_owned(),
        // Every activity is safe to run again: an effect with an unknown outcome is found by its intent record.
        deadline: ErrorName::Transient.as_str().to_owned(),
    }
}

/// A minimal HTTP request: a distroless image has no curl.
fn healthcheck(addr: SocketAddr) -> Result<(), String> {
    let limit = Duration::from_secs(3);
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&addr, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {addr}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("no answer from {addr}: {error}"))?;
    if answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(answer.lines().next().unwrap_or("empty answer").to_owned())
    }
}
