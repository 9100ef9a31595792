//! Is the worker alive? Liveness means that every poll loop turned lately; it says nothing about AWS, because a health check
//! that fails on AWS errors makes the orchestrator kill every worker during the very outage they are needed for.

use crate::clock;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a poller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PollerState {
    /// Every slot is taken. Legitimate for as long as a task may run.
    WaitingForSlot,
    /// A poll is open.
    Polling,
    /// Waiting after a failed or an early empty poll.
    BackingOff,
    /// Ended, in a drain.
    Stopped,
}

#[derive(Debug, Clone)]
struct Beat {
    activity: String,
    state: PollerState,
    since: Instant,
    slot_limit: Duration,
    poll_accepted: bool,
}

#[derive(Debug)]
struct Inner {
    liveness_limit: Duration,
    draining: bool,
    beats: Vec<Beat>,
}

/// The shared record of when each poller turned last. Cheap to clone; the health endpoint holds one.
#[derive(Debug, Clone)]
pub struct HealthState(Arc<Mutex<Inner>>);

/// The whole answer of the health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// The verdict.
    pub status: HealthStatus,
    /// Pollers in all.
    pub pollers: usize,
    /// Pollers that have not turned in time.
    pub stalled: Vec<StalledPoller>,
    /// By activity: has the service accepted a poll yet? False for long means a missing permission or a wrong ARN.
    pub poll_accepted: BTreeMap<String, bool>,
}

/// The verdict of a health report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// `run` has not been called yet.
    Starting,
    /// Every poller turned lately.
    Ok,
    /// Shutting down in order.
    Draining,
    /// At least one poller hangs.
    Stalled,
}

/// A poller that hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StalledPoller {
    /// Its activity.
    pub activity: String,
    /// What it was doing when it hung.
    pub state: &'static str,
    /// For how long.
    pub seconds_since_turn: u64,
}

impl HealthReport {
    /// Whether the endpoint answers 200. Draining is healthy: killing a draining worker loses its answers.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.status, HealthStatus::Ok | HealthStatus::Draining)
    }
}

impl PollerState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForSlot => "waitingForSlot",
            Self::Polling => "polling",
            Self::BackingOff => "backingOff",
            Self::Stopped => "stopped",
        }
    }
}

impl HealthState {
    pub(crate) fn new(liveness_limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner { liveness_limit, draining: false, beats: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a poller. `slot_limit` bounds its wait for a slot: the activity's timeout.
    pub(crate) fn register(&self, activity: &str, slot_limit: Duration) -> PollerBeat {
        let mut inner = self.lock();
        inner.beats.push(Beat {
            activity: activity.to_owned(),
            state: PollerState::WaitingForSlot,
            since: clock::now(),
            slot_limit,
            poll_accepted: false,
        });
        PollerBeat { health: self.clone(), index: inner.beats.len() - 1 }
    }

    pub(crate) fn draining(&self) {
        self.lock().draining = true;
    }

    /// The state of the worker now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let inner = self.lock();
        decide_health(&inner, clock::now())
    }
}

/// One poller's handle on the record.
#[derive(Debug)]
pub(crate) struct PollerBeat {
    health: HealthState,
    index: usize,
}

impl PollerBeat {
    /// The poller turned: it enters `state` now.
    pub(crate) fn turn(&self, state: PollerState) {
        if let Some(beat) = self.health.lock().beats.get_mut(self.index) {
            beat.state = state;
            beat.since = clock::now();
        }
    }

    /// The service accepted a poll.
    pub(crate) fn accepted(&self) {
        if let Some(beat) = self.health.lock().beats.get_mut(self.index) {
            beat.poll_accepted = true;
        }
    }
}

fn decide_health(inner: &Inner, now: Instant) -> HealthReport {
    let limit_of = |beat: &Beat| match beat.state {
        PollerState::Polling | PollerState::BackingOff => Some(inner.liveness_limit),
        // A full worker is a healthy one, until a task outlives its own timeout: then a handler blocks its thread.
        PollerState::WaitingForSlot => Some(beat.slot_limit.saturating_add(inner.liveness_limit)),
        PollerState::Stopped => None,
    };
    let stalled: Vec<StalledPoller> = inner
        .beats
        .iter()
        .filter_map(|beat| {
            let silent = now.saturating_duration_since(beat.since);
            let limit = limit_of(beat)?;
            (silent > limit).then(|| StalledPoller {
                activity: beat.activity.clone(),
                state: beat.state.as_str(),
                seconds_since_turn: silent.as_secs(),
            })
        })
        .collect();
    let mut poll_accepted = BTreeMap::new();
    for beat in &inner.beats {
        *poll_accepted.entry(beat.activity.clone()).or_insert(false) |= beat.poll_accepted;
    }
    let status = if !stalled.is_empty() {
        HealthStatus::Stalled
    } else if inner.draining {
        HealthStatus::Draining
    } else if inner.beats.is_empty() {
        HealthStatus::Starting
    } else {
        HealthStatus::Ok
    };
    HealthReport { status, pollers: inner.beats.len(), stalled, poll_accepted }
}

/// `GET /healthz`: 200 when alive, 503 otherwise, with the report as JSON.
pub fn health_router(state: HealthState) -> Router {
    Router::new().route("/healthz", get(healthz)).with_state(state)
}

async fn healthz(State(state): State<HealthState>) -> (StatusCode, Json<HealthReport>) {
    let report = state.report();
    let code = if report.is_alive() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(150);
    const TASK: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn a_worker_not_yet_running_is_not_alive() {
        let report = HealthState::new(LIMIT).report();
        assert_eq!(report.status, HealthStatus::Starting);
        assert!(!report.is_alive());
    }

    #[tokio::test(start_paused = true)]
    async fn a_poller_that_hangs_past_the_limit_is_stalled_and_recovers_when_it_turns() {
        let health = HealthState::new(LIMIT);
        let (hanging, turning) = (health.register("start", TASK), health.register("poll", TASK));
        hanging.turn(PollerState::Polling);
        turning.turn(PollerState::Polling);
        tokio::time::advance(LIMIT).await;
        assert_eq!(health.report().status, HealthStatus::Ok);
        turning.turn(PollerState::BackingOff);
        tokio::time::advance(Duration::from_secs(1)).await;
        let report = health.report();
        assert_eq!(report.status, HealthStatus::Stalled);
        assert_eq!(
            report.stalled,
            [StalledPoller { activity: "start".to_owned(), state: "polling", seconds_since_turn: 151 }]
        );
        hanging.turn(PollerState::Polling);
        assert_eq!(health.report().status, HealthStatus::Ok);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_slot_is_healthy_for_as_long_as_a_task_may_run() {
        let health = HealthState::new(LIMIT);
        let full = health.register("start", TASK);
        full.turn(PollerState::WaitingForSlot);
        tokio::time::advance(TASK + LIMIT).await;
        assert_eq!(health.report().status, HealthStatus::Ok);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.report().status, HealthStatus::Stalled);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_is_alive_and_stopped_pollers_do_not_stall() {
        let health = HealthState::new(LIMIT);
        let poller = health.register("start", TASK);
        poller.accepted();
        poller.turn(PollerState::Stopped);
        health.draining();
        tokio::time::advance(Duration::from_secs(10_000)).await;
        let report = health.report();
        assert_eq!(report.status, HealthStatus::Draining);
        assert!(report.is_alive());
        assert_eq!(report.poll_accepted, BTreeMap::from([("start".to_owned(), true)]));
    }
}
