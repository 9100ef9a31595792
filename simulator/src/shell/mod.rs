//! The shell around the model: the one place where the simulator reads a clock, opens a socket or calls EC2.

pub(crate) mod accounts;
pub(crate) mod api;
pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod guard;
pub(crate) mod instances;
pub(crate) mod ledger;
pub(crate) mod options;
pub(crate) mod pump;

use accounts::Accounts;
use axum::Router;
use axum::routing::{any, get, post};
use connection::CuttableListener;
use guard::Guard;
use ledger::Ledger;
use options::{Options, OptionsError};
use pump::Pump;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_simulator::{Instances, InventoryError, Operation, Scope, Simulator};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How long answers in flight may hold up the exit.
const DRAIN: Duration = Duration::from_secs(2);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    simulator: Arc<Mutex<Simulator>>,
    accounts: Arc<Accounts>,
    ledger: Arc<Ledger>,
    instances: Arc<dyn Instances>,
    /// Held while a launch template is made, so that each is made once.
    templates: Arc<tokio::sync::Mutex<()>>,
    /// Tells the pump that something may be due earlier than it thought.
    changed: Arc<Notify>,
}

impl Shared {
    /// The model, for a moment; no handler awaits while it holds it.
    pub(crate) fn model(&self) -> MutexGuard<'_, Simulator> {
        // The model's methods do not panic half-way through a change, so a poisoned lock guards a sound state.
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the launch template of a server, before anybody is told its id.
    pub(crate) async fn make_template(&self, scope: &Scope, server: &str) {
        let _one_at_a_time = self.templates.lock().await;
        let Some(template) = self.model().template_to_make(scope, server) else { return };
        match self.instances.template(&template).await {
            Ok(Some(id)) => self.model().template_made(scope, server, id),
            Ok(None) => {}
            Err(failure) => tracing::warn!(server, error = %failure, "EC2 refused to make a launch template"),
        }
    }
}

/// The clock. Everything else gets the time as a value.
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Why the simulator cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// The command line or a file it names.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The inventory or scenario.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A socket or a signal handler.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(options: Options) -> Result<(), ShellError> {
    let io = |doing: &str| {
        let doing = doing.to_owned();
        move |source| ShellError::Io { doing, source }
    };
    if options.list_operations {
        let names: String = Operation::ALL.iter().map(|operation| format!("{}\n", operation.name())).collect();
        return std::io::stdout().write_all(names.as_bytes()).map_err(io("writing to stdout"));
    }
    let simulator = Simulator::new(options.settings()?, options.inventory()?, now())?;
    let instances = options.instances()?;
    let listener = TcpListener::bind(&options.listen).await.map_err(io(&format!("listening on {}", options.listen)))?;
    let address = listener.local_addr().map_err(io("reading the address"))?;
    if !address.ip().is_loopback() {
        if !options.expose {
            return Err(OptionsError::NotLocal { address }.into());
        }
        tracing::warn!(%address, "EXPOSED: whoever reaches this address calls DRS and the control API, which ask for no credentials");
    }

    let ledger = Ledger::new(options.calls.as_deref()).map_err(io("opening the ledger of calls"))?;
    let shared = Shared {
        simulator: Arc::new(Mutex::new(simulator)),
        accounts: Arc::new(Accounts::new(options.sts(), options.account.clone())),
        ledger: Arc::new(ledger),
        instances: instances.clone(),
        templates: Arc::default(),
        changed: Arc::new(Notify::new()),
    };
    let pump = tokio::spawn(Pump::new(shared.clone(), instances).run());
    let router = Router::new()
        .route("/_simulator/health", get(control::health))
        .route("/_simulator/calls", get(control::calls))
        .route("/_simulator/journal", get(control::journal).delete(control::forget_journal))
        .route("/_simulator/faults", get(control::faults).post(control::add_faults).delete(control::clear_faults))
        .route("/_simulator/faults/{id}", axum::routing::delete(control::remove_fault))
        .route("/_simulator/scenario", post(control::play))
        .route("/_simulator/servers", post(control::add_servers))
        .route("/_simulator/native-executions", post(control::put_native_executions))
        .route("/_simulator/ec2-terminated", post(control::terminated_in_ec2))
        .route("/_simulator/state", get(control::state))
        .route("/_simulator/reset", post(control::reset))
        .route("/_simulator/{*unknown}", any(control::unknown))
        .fallback(api::answer)
        .with_state(shared)
        .layer(axum::middleware::from_fn_with_state(Guard { exposed: options.expose }, guard::stand));
    let service = router.into_make_service_with_connect_info::<connection::Wire>();

    let mut terminate = signal(SignalKind::terminate()).map_err(io("handling SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("handling SIGINT"))?;
    let stop = Arc::new(Notify::new());
    let stopping = stop.clone();
    let graceful = axum::serve(CuttableListener::new(listener), service)
        .with_graceful_shutdown(async move { stopping.notified().await });
    let server = tokio::spawn(async move { graceful.await });

    // The line is the promise that calls are answered: whoever started this waits for it.
    let mut out = std::io::stdout();
    writeln!(out, "{{\"listening\":\"http://{address}\"}}")
        .and_then(|()| out.flush())
        .map_err(io("writing to stdout"))?;
    tracing::info!(%address, speed = options.speed, seed = options.seed, "listening");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.notify_one();
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("answers in flight were abandoned");
    }
    pump.abort();
    Ok(())
}
