//! The workers: who takes a task, beats for it, works at it, dies or freezes over it, and answers. One queue stands for the
//! activities' queues, because every worker serves every activity.

use super::World;
use super::agenda::{Due, Which};
use crate::bugs::{self, Manner};
use crate::invariants::leaks;
use crate::machine::{Event, Handled, Token};
use crate::outage::Dependency;
use crate::ports::{Control, Ports};
use crate::time::{after, lock};
use futures::task::{ArcWake, waker};
use jiff::Timestamp;
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tidegate_contract::{ActivityName, ErrorName};
use tidegate_runtime::DiscardMetrics;
use tidegate_worker::activities;
use tidegate_worker::error::ActivityError;
use tidegate_worker::world::{Settings, World as Ground};

type Work = Pin<Box<dyn Future<Output = Result<Value, ActivityError>> + Send>>;

/// Puts its task on the list of those that can go on.
struct Wake {
    task: u64,
    listed: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl ArcWake for Wake {
    fn wake_by_ref(this: &Arc<Self>) {
        if !this.listed.swap(true, Ordering::Relaxed) {
            lock(&this.ready).push(this.task);
        }
    }
}

/// A task nobody has taken yet.
pub(crate) struct Queued {
    pub(crate) of: Which,
    pub(crate) token: Token,
    pub(crate) resource: String,
    pub(crate) input: Value,
}

/// A task in a worker's hands.
pub(crate) struct Slot {
    of: Which,
    /// How often the execution had ended (and been redriven) when the task was taken.
    ends: u32,
    token: Token,
    worker: usize,
    work: Work,
    wake: Arc<Wake>,
    waker: Waker,
    beat_every_ms: i64,
    frozen_until: Option<Timestamp>,
    activity: ActivityName,
}

/// The workers and what lies before them.
pub(crate) struct Crew {
    pub(crate) queue: VecDeque<Queued>,
    slots: BTreeMap<u64, Slot>,
    ready: Arc<Mutex<Vec<u64>>>,
    next_task: u64,
    up: Vec<bool>,
    /// Tasks in each worker's hands, and how many that may be.
    busy: Vec<usize>,
    slots_per_worker: usize,
}

impl Crew {
    pub(crate) fn new(workers: usize, slots_per_worker: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            slots: BTreeMap::new(),
            ready: Arc::new(Mutex::new(Vec::new())),
            next_task: 0,
            up: vec![true; workers],
            busy: vec![0; workers],
            slots_per_worker,
        }
    }

    /// Nobody works.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn has(&self, task: u64) -> bool {
        self.slots.contains_key(&task)
    }

    fn release(&mut self, task: u64) -> Option<Slot> {
        let slot = self.slots.remove(&task)?;
        if let Some(busy) = self.busy.get_mut(slot.worker) {
            *busy = busy.saturating_sub(1);
        }
        Some(slot)
    }
}

impl World {
    /// A free worker takes the next task. Without one the task waits for a slot, or for a worker to come up.
    pub(super) fn dispatch(&mut self) {
        let crew = &self.crew;
        let free: Vec<usize> = (0..crew.up.len())
            .filter(|worker| crew.up[*worker] && crew.busy[*worker] < crew.slots_per_worker)
            .collect();
        let Some(worker) = free.choose(&mut self.rng).copied() else {
            return;
        };
        let Some(task) = self.crew.queue.pop_front() else {
            return;
        };
        let now = self.now();
        if self.tell(task.of, Event::ActivityStarted { token: task.token.clone() }) != Handled::Accepted {
            return;
        }
        let Some(activity) = task.resource.rsplit(':').next().and_then(ActivityName::parse) else {
            return;
        };
        if lock(&self.sim.state).faults.token_is_lost(now, activity.as_str()) {
            return; // Nobody runs it until its heartbeat expires.
        }
        self.crew.next_task += 1;
        let id = self.crew.next_task;
        let execution = task.input.get("executionId").and_then(Value::as_str).unwrap_or_default();
        let ports = Ports {
            world: self.sim.clone(),
            task: id,
            activity,
            execution: execution.into(),
            worker,
            skew: self.setup.skews.get(worker).copied().unwrap_or_default(),
        };
        let ground = Ground {
            store: Arc::new(ports.clone()),
            targets: Arc::new(ports.clone()),
            clock: Arc::new(ports),
            metrics: Arc::new(DiscardMetrics),
            settings: Settings { tag_jobs: self.setup.seed.is_multiple_of(2) },
        };
        let handler = activities::handler(activity, &bugs::wrap(ground, &self.sim, activity));
        let spec = activity.spec();
        let wake = Arc::new(Wake { task: id, listed: AtomicBool::new(true), ready: self.crew.ready.clone() });
        lock(&self.crew.ready).push(id);
        let slot = Slot {
            of: task.of,
            ends: self.executions[task.of].ends,
            token: task.token,
            worker,
            work: Box::pin(async move { handler.run(task.input).await }),
            waker: waker(wake.clone()),
            wake,
            beat_every_ms: i64::from(spec.heartbeat_seconds) * 1_000 / 3,
            frozen_until: None,
            activity,
        };
        self.agenda.add(after(now, slot.beat_every_ms), Due::Beat(id));
        // The runtime keeps a tenth of the timeout, 15 s at most, for answering.
        let kept = (i64::from(spec.timeout_seconds) * 100).min(15_000);
        self.agenda.add(after(now, i64::from(spec.timeout_seconds) * 1_000 - kept), Due::Deadline(id));
        self.crew.busy[worker] += 1;
        self.crew.slots.insert(id, slot);
    }

    /// Drops a task; its slot takes the next one.
    fn release(&mut self, task: u64) -> Option<Slot> {
        let slot = self.crew.release(task)?;
        if !self.crew.queue.is_empty() {
            self.soon(Due::Dispatch);
        }
        Some(slot)
    }

    pub(super) fn beat(&mut self, task: u64) {
        let now = self.now();
        let Some(slot) = self.crew.slots.get(&task) else {
            return;
        };
        let (of, token, every) = (slot.of, slot.token.clone(), slot.beat_every_ms);
        if let Some(until) = slot.frozen_until.filter(|until| *until > now) {
            // The ticker was frozen, too: the work goes on before the next beat tells that its token is dead.
            let late = self.rng.random_range(1..every);
            self.agenda.add(after(until, late), Due::Beat(task));
            return;
        }
        let forgotten = lock(&self.sim.state).bug.has(Manner::NoHeartbeat);
        if forgotten || self.tell(of, Event::Heartbeat { token }) == Handled::Accepted {
            self.agenda.add(after(now, every), Due::Beat(task));
        } else {
            // The token is dead: somebody else took over, or the execution is over. The work is cancelled.
            self.release(task);
        }
    }

    /// The runtime's local deadline: the work is dropped and answered, before the service gives up.
    pub(super) fn deadline(&mut self, task: u64) {
        if let Some(slot) = self.release(task) {
            let failure = Event::Failure {
                token: slot.token,
                error: ErrorName::Transient.as_str().to_owned(),
                cause: "the local deadline passed".to_owned(),
            };
            let (of, failure, alive) = (slot.of, Box::new(failure), slot.frozen_until.is_none());
            self.soon(if alive { Due::TellAlive(of, slot.ends, failure) } else { Due::Tell(of, failure) });
        }
    }

    pub(super) fn worker_is_up(&mut self, worker: usize) {
        self.crew.up[worker] = true;
        for _ in 0..self.crew.queue.len().clamp(1, self.crew.slots_per_worker) {
            self.soon(Due::Dispatch);
        }
    }

    pub(super) fn poll_tasks(&mut self) {
        loop {
            let mut due = std::mem::take(&mut *lock(&self.crew.ready));
            if due.is_empty() {
                return;
            }
            due.sort_unstable();
            for id in due {
                let Some(slot) = self.crew.slots.get_mut(&id) else { continue };
                slot.wake.listed.store(false, Ordering::Relaxed);
                let polled = slot.work.as_mut().poll(&mut Context::from_waker(&slot.waker));
                if let Poll::Ready(result) = polled
                    && let Some(slot) = self.release(id)
                {
                    self.answer(id, &slot, result);
                }
                self.obey();
            }
        }
    }

    /// Crashes and freezes that calls asked for.
    fn obey(&mut self) {
        let controls = std::mem::take(&mut lock(&self.sim.state).controls);
        for control in controls {
            match control {
                Control::Crash { worker } => {
                    self.crew.slots.retain(|_, slot| slot.worker != worker);
                    self.crew.busy[worker] = 0;
                    self.crew.up[worker] = false;
                    let downtime = self.rng.random_range(1_000..120_000);
                    self.agenda.add(after(self.now(), downtime), Due::WorkerUp(worker));
                }
                Control::Freeze { task, until } => {
                    if let Some(slot) = self.crew.slots.get_mut(&task) {
                        slot.frozen_until = Some(until);
                    }
                }
            }
        }
    }

    fn answer(&mut self, task: u64, slot: &Slot, result: Result<Value, ActivityError>) {
        if lock(&self.sim.state).faults.answer_is_lost(self.now(), slot.activity.as_str()) {
            return; // Nobody beats for it any more: its heartbeat expires.
        }
        let token = slot.token.clone();
        let event = match result {
            Ok(output) => Event::Success { token, output },
            Err(failure) => {
                self.check_failure(task, slot.activity, &failure);
                Event::Failure { token, error: failure.name.as_str().to_owned(), cause: failure.cause() }
            }
        };
        let event = Box::new(event);
        let alive = slot.frozen_until.is_none();
        self.soon(if alive { Due::TellAlive(slot.of, slot.ends, event) } else { Due::Tell(slot.of, event) });
    }

    /// No error holds a token. Enrichment never fails a poll: a poll that met no failure but EC2's has an answer.
    fn check_failure(&mut self, task: u64, activity: ActivityName, failure: &ActivityError) {
        if let Some(leak) = leaks::in_text("an activity's error", &failure.chain()) {
            self.breach.get_or_insert(leak);
        }
        let state = lock(&self.sim.state);
        let met = state.faults.met_by(task);
        let only_ec2 = met.is_some_and(|met| met.iter().all(|dependency| *dependency == Dependency::Ec2));
        let passing = matches!(failure.name, ErrorName::Transient | ErrorName::Throttled);
        drop(state);
        if only_ec2 && passing && activity == ActivityName::PollWave {
            self.breach
                .get_or_insert(crate::invariants::violation(crate::invariants::EC2_FAILS_NO_POLL, failure.cause()));
        }
    }
}
