//! The pump: moves the model along with the wall clock and carries its effects to EC2.

use super::{Shared, now};
use std::sync::Arc;
use std::time::Duration;
use tidegate_simulator::{Effect, Instances};
use tokio::sync::Semaphore;

/// EC2 calls at once. A wave launches a hundred instances in one moment; EC2 stand-ins answer one after the other anyway.
const EC2_CALLS: usize = 8;

/// The longest sleep, so that a clock that was set back cannot keep the pump asleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

pub(crate) struct Pump {
    shared: Shared,
    instances: Arc<dyn Instances>,
    calls: Arc<Semaphore>,
}

impl Pump {
    pub(crate) fn new(shared: Shared, instances: Arc<dyn Instances>) -> Self {
        Self { shared, instances, calls: Arc::new(Semaphore::new(EC2_CALLS)) }
    }

    /// Runs until dropped.
    pub(crate) async fn run(self) {
        loop {
            let (effects, due) = {
                let mut model = self.shared.model();
                let effects = model.advance(now());
                (effects, model.next_due())
            };
            for effect in effects {
                let carrier = Carrier { shared: self.shared.clone(), instances: self.instances.clone() };
                let calls = self.calls.clone();
                tokio::spawn(async move {
                    let _permit = calls.acquire().await;
                    carrier.carry(effect).await;
                });
            }
            let sleep = due
                .map_or(LONGEST_SLEEP, |due| Duration::try_from(due.duration_since(now())).unwrap_or(Duration::ZERO));
            tokio::select! {
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => {}
                () = self.shared.changed.notified() => {}
            }
        }
    }
}

struct Carrier {
    shared: Shared,
    instances: Arc<dyn Instances>,
}

impl Carrier {
    async fn carry(self, effect: Effect) {
        match effect {
            Effect::LaunchInstance(launch) => {
                let result = self.instances.run(&launch).await;
                let (scope, job, server) = (&launch.scope, &launch.job_id, &launch.source_server_id);
                let mut model = self.shared.model();
                match result {
                    Ok(launched) => {
                        tracing::debug!(job, server, instance = launched.instance_id, "instance launched");
                        model.instance_launched(scope, job, server, launched, now());
                    }
                    Err(failure) => {
                        tracing::warn!(job, server, error = %failure, "EC2 refused to run an instance");
                        model.launch_refused(scope, job, server, &failure.raw_error, now());
                    }
                }
            }
            Effect::StopInstance { scope, instance_id } => {
                if let Err(failure) = self.instances.stop(&scope, &instance_id).await {
                    tracing::warn!(instance = instance_id, error = %failure, "EC2 refused to stop an instance");
                }
            }
            Effect::TerminateInstance { scope, instance_id } => {
                if let Err(failure) = self.instances.terminate(&scope, &instance_id).await {
                    tracing::warn!(instance = instance_id, error = %failure, "EC2 refused to terminate an instance");
                    self.shared.model().termination_refused(&scope, &instance_id, &failure.raw_error, now());
                }
            }
        }
        self.shared.changed.notify_one();
    }
}
