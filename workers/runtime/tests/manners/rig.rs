//! A worker running against the fake, and handlers made from closures.

use crate::fake_service::FakeTaskService;
use async_trait::async_trait;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_runtime::{
    ActivityHandler, ActivityRegistration, ErrorNames, HealthState, MetricSink, TaskContext, TaskFailure, Worker,
    WorkerError, WorkerOptions, WorkerSummary,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SHUTDOWN: &str = "Test.WorkerShutdown";
pub(crate) const INTERNAL: &str = "Test.Internal";
pub(crate) const INVALID_INPUT: &str = "Test.InvalidInput";
pub(crate) const DEADLINE: &str = "Test.Deadline";

pub(crate) const TIMEOUT: Duration = Duration::from_secs(600);
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(60);
pub(crate) const HOLD: Duration = Duration::from_secs(60);

pub(crate) type Outcome = Result<Value, TaskFailure>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

struct FnHandler<F>(F);

#[async_trait]
impl<F: Fn(Value, TaskContext) -> Running + Send + Sync + 'static> ActivityHandler for FnHandler<F> {
    async fn handle(&self, input: Value, ctx: TaskContext) -> Outcome {
        (self.0)(input, ctx).await
    }
}

/// A handler from an async closure.
pub(crate) fn handler<F, R>(work: F) -> Arc<dyn ActivityHandler>
where
    F: Fn(Value, TaskContext) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(FnHandler(move |input, ctx| Box::pin(work(input, ctx)) as Running))
}

/// A handler that gives its input back.
pub(crate) fn echo() -> Arc<dyn ActivityHandler> {
    handler(|input, _| async move { Ok(input) })
}

/// A handler that works for `time` and does not listen to its cancel token.
pub(crate) fn working_for(time: Duration) -> Arc<dyn ActivityHandler> {
    handler(move |input, _| async move {
        tokio::time::sleep(time).await;
        Ok(input)
    })
}

pub(crate) fn service() -> Arc<FakeTaskService> {
    FakeTaskService::new(TIMEOUT, HEARTBEAT, HOLD)
}

pub(crate) fn registration(handler: Arc<dyn ActivityHandler>) -> ActivityRegistration {
    ActivityRegistration {
        name: "poll-wave-v1".to_owned(),
        arn: "arn:aws:states:eu-west-1:111122223333:activity:poll-wave-v1".to_owned(),
        timeout: TIMEOUT,
        heartbeat: HEARTBEAT,
        pollers: 1,
        slots: 1,
        handler,
    }
}

pub(crate) fn options(worker_name: &str) -> WorkerOptions {
    let mut options = WorkerOptions::new(
        worker_name,
        ErrorNames {
            shutdown: SHUTDOWN.to_owned(),
            internal: INTERNAL.to_owned(),
            invalid_input: INVALID_INPUT.to_owned(),
            deadline: DEADLINE.to_owned(),
        },
    );
    options.jitter_seed = Some(1);
    options
}

/// A metric sink that keeps its lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl MetricSink for Lines {
    fn write_line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// A running worker.
pub(crate) struct Rig {
    pub(crate) shutdown: CancellationToken,
    pub(crate) health: HealthState,
    running: JoinHandle<Result<WorkerSummary, WorkerError>>,
}

impl Rig {
    pub(crate) fn start(service: &Arc<FakeTaskService>, registration: ActivityRegistration) -> Self {
        Self::start_with(service, registration, options("w1"))
    }

    pub(crate) fn start_with(
        service: &Arc<FakeTaskService>,
        registration: ActivityRegistration,
        options: WorkerOptions,
    ) -> Self {
        let worker = Worker::new(Arc::clone(service) as _, vec![registration], options);
        let (shutdown, health) = (CancellationToken::new(), worker.health());
        let running = tokio::spawn(worker.run(shutdown.clone()));
        Self { shutdown, health, running }
    }

    /// Waits for the worker to end by itself; one that does not fails after a virtual day.
    pub(crate) async fn ended(self) -> Result<WorkerSummary, WorkerError> {
        let ended = tokio::time::timeout(Duration::from_secs(86_400), self.running).await;
        ended.expect("the worker ends").expect("the worker does not panic")
    }

    /// Fires the shutdown and waits for the end.
    pub(crate) async fn stop(self) -> WorkerSummary {
        self.shutdown.cancel();
        self.ended().await.expect("the worker ends in order")
    }
}
