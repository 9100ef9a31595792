//! The workers: who takes a task, beats for it, works at it, dies or freezes over it, and answers. One queue stands for the
//! activities' queues, because every worker serves every activity.

use super::World;
use super::agenda::{Due, Which};
use crate::bugs::{self, Manner};
use crate::faults::Fault;
use crate::invariants::{is_no_fault_of_ours, leaks};
use crate::machine::{Event, Handled, Token};
use crate::narration;
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
use tidegate_contract::{ActivityName, ErrorName, ExecutionId};
use tidegate_runtime::DiscardMetrics;
use tidegate_worker::activities;
use tidegate_worker::error::ActivityError;
use tidegate_worker::world::{Settings, World as Ground, WorldOf};

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
    /// Of its state, from 1.
    pub(crate) attempt: u32,
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
    /// Its token may die without anybody's fault: its worker was frozen, Step Functions was out, another has it, too.
    excused: bool,
    activity: ActivityName,
    /// When the service gives the attempt up.
    until: Timestamp,
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
    frozen: Vec<Option<Frozen>>,
    /// Tasks of frozen workers that could go on.
    parked: Vec<u64>,
}

/// A worker that stands still (SIGSTOP).
#[derive(Debug, Clone, Copy)]
struct Frozen {
    since: Timestamp,
    until: Timestamp,
    /// Step Functions handed a task to the poll it had open.
    was_given: bool,
}

/// How long a poll stays open.
const LONG_POLL_MS: i64 = 60_000;
/// How long the runtime lets cancelled work go on (`cancel_patience`), …
const CANCEL_PATIENCE_MS: i64 = 2_000;
/// … and how long work goes on that is aborted at once: its step runs to the next call.
const ABORT_MS: i64 = 100;

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
            frozen: vec![None; workers],
            parked: Vec::new(),
        }
    }

    /// Until when a worker stands still.
    fn frozen_until(&self, worker: usize, now: Timestamp) -> Option<Timestamp> {
        self.frozen.get(worker).copied().flatten().map(|frozen| frozen.until).filter(|until| *until > now)
    }

    /// A worker with a free slot that polls, or has a poll open although it is frozen.
    fn polls(&self, worker: usize, now: Timestamp) -> bool {
        let open =
            |frozen: &Frozen| now <= frozen.until && (frozen.was_given || now > after(frozen.since, LONG_POLL_MS));
        self.up[worker] && self.busy[worker] < self.slots_per_worker && !self.frozen[worker].as_ref().is_some_and(open)
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

/// What the runtime keeps of an attempt's time for answering: a tenth, 15 s at most.
fn kept_ms(activity: ActivityName) -> i64 {
    (i64::from(activity.spec().timeout_seconds) * 100).min(15_000)
}

impl World {
    /// A free worker takes the next task. Without one the task waits for a slot, or for a worker to come up.
    pub(super) fn dispatch(&mut self) {
        let now = self.now();
        let out = lock(&self.sim.state).faults.no_step_functions(now);
        if let Some(until) = out {
            // Polls fail; the workers ask again within seconds once they are answered.
            let late = self.rng.random_range(1..20_000);
            return self.agenda.add(after(until, late), Due::Dispatch);
        }
        let Some(worker) = self.free_worker(None) else {
            return;
        };
        let Some(task) = self.crew.queue.pop_front() else {
            return;
        };
        if self.tell(task.of, Event::ActivityStarted { token: task.token.clone() }) != Handled::Accepted {
            return;
        }
        let Some(activity) = task.resource.rsplit(':').next().and_then(ActivityName::parse) else {
            return;
        };
        let fault = lock(&self.sim.state).faults.at_token(now, activity.as_str());
        match fault {
            Some(Fault::Duplicate) => {
                let second = self.free_worker(Some(worker)).unwrap_or(worker);
                self.take(worker, &task, activity, true);
                self.take(second, &task, activity, true);
            }
            None => self.take(worker, &task, activity, false),
            // Nobody runs it until its heartbeat expires.
            Some(_) => {
                narration::tell("Step Functions", || format!("loses a task of {activity} on its way to a worker"))
            }
        }
    }

    fn free_worker(&mut self, but: Option<usize>) -> Option<usize> {
        let (crew, now) = (&self.crew, self.now());
        let free: Vec<usize> =
            (0..crew.up.len()).filter(|worker| Some(*worker) != but && crew.polls(*worker, now)).collect();
        free.choose(&mut self.rng).copied()
    }

    /// A worker has a task in its hands, perhaps not as the only one.
    fn take(&mut self, worker: usize, task: &Queued, activity: ActivityName, shared: bool) {
        let now = self.now();
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
            witness: Arc::new(ports.clone()),
            clock: Arc::new(ports),
            metrics: Arc::new(DiscardMetrics),
            reach: self.setup.reach.clone(),
            settings: Settings { tag_jobs: self.setup.seed.is_multiple_of(2) },
        };
        let ground = bugs::wrap(ground, &self.sim, activity);
        let handler = activities::handler(activity, &(Arc::new(move |_: &ExecutionId| ground.clone()) as WorldOf));
        let spec = activity.spec();
        let wake = Arc::new(Wake { task: id, listed: AtomicBool::new(true), ready: self.crew.ready.clone() });
        lock(&self.crew.ready).push(id);
        let frozen = self.crew.frozen_until(worker, now).is_some();
        if let Some(frozen) = self.crew.frozen[worker].as_mut().filter(|_| frozen) {
            frozen.was_given = true;
        }
        let input = task.input.clone();
        narration::begin_task(id, || format!("worker {worker} {activity} task {id} attempt {}", task.attempt));
        narration::tell_task(id, || {
            let of = &self.executions[task.of].name;
            format!("begins for {of}: {}", narration::short(&input.to_string()))
        });
        let slot = Slot {
            of: task.of,
            ends: self.executions[task.of].ends,
            token: task.token.clone(),
            worker,
            work: Box::pin(async move { handler.run(input).await }),
            waker: waker(wake.clone()),
            wake,
            beat_every_ms: i64::from(spec.heartbeat_seconds) * 1_000 / 3,
            excused: frozen || shared,
            activity,
            until: after(now, i64::from(spec.timeout_seconds) * 1_000),
        };
        self.agenda.add(after(now, slot.beat_every_ms), Due::Beat(id));
        self.agenda.add(after(slot.until, -kept_ms(activity)), Due::Deadline(id));
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
        let Some(slot) = self.crew.slots.get_mut(&task) else {
            return;
        };
        let (of, token, every) = (slot.of, slot.token.clone(), slot.beat_every_ms);
        if let Some(until) = self.crew.frozen[slot.worker].map(|frozen| frozen.until).filter(|until| *until > now) {
            // The ticker was frozen, too: the work goes on before the next beat tells that its token is dead.
            let late = self.rng.random_range(1..every);
            self.agenda.add(after(until, late), Due::Beat(task));
            return;
        }
        let state = lock(&self.sim.state);
        let (forgotten, out) = (state.bug.has(Manner::NoHeartbeat), state.faults.no_step_functions(now).is_some());
        drop(state);
        slot.excused |= out;
        if forgotten || out || self.tell(of, Event::Heartbeat { token }) == Handled::Accepted {
            self.agenda.add(after(now, every), Due::Beat(task));
        } else {
            // The token is dead: somebody else took over, or the execution is over. The work is cancelled.
            narration::tell_task(task, || "is cancelled: its token is dead".to_owned());
            self.release(task);
        }
    }

    /// The runtime's local deadline: the work is dropped and answered, before the service gives up. A frozen worker comes to
    /// it when it wakes, and lets the work go on for as long as its patience is.
    pub(super) fn deadline(&mut self, task: u64) {
        let now = self.now();
        if let Some(slot) = self.crew.slots.get(&task)
            && let Some(until) = self.crew.frozen_until(slot.worker, now)
        {
            // Half of what is kept stays for the answer.
            let in_time = until < after(slot.until, -kept_ms(slot.activity) / 2);
            let patience = self.rng.random_range(1..=if in_time { CANCEL_PATIENCE_MS } else { ABORT_MS });
            return self.agenda.add(after(until, patience), Due::Deadline(task));
        }
        if let Some(slot) = self.release(task) {
            narration::tell_task(task, || "is cancelled: the local deadline passed".to_owned());
            let failure = Event::Failure {
                token: slot.token.clone(),
                error: Some(ErrorName::Transient.as_str().to_owned()),
                cause: Some("the local deadline passed".to_owned()),
            };
            self.deliver_answer(&slot, failure);
        }
    }

    /// An answer on its way. While Step Functions is out, the worker tries until the attempt's time is over.
    fn deliver_answer(&mut self, slot: &Slot, event: Event) {
        let (of, event) = (slot.of, Box::new(event));
        let out = lock(&self.sim.state).faults.no_step_functions(self.now());
        if let Some(until) = out {
            let at = after(until, self.rng.random_range(1..10_000));
            if at < slot.until {
                self.agenda.add(at, Due::Tell(of, event));
            }
        } else if slot.excused {
            self.soon(Due::Tell(of, event));
        } else {
            self.soon(Due::TellAlive(of, slot.ends, event));
        }
    }

    /// A frozen worker goes on.
    pub(super) fn thaw(&mut self, worker: usize) {
        let now = self.now();
        if self.crew.frozen_until(worker, now).is_some() {
            return; // It froze again.
        }
        self.crew.frozen[worker] = None;
        narration::tell("worker", || format!("{worker} goes on after its freeze"));
        let parked = std::mem::take(&mut self.crew.parked);
        let (awake, asleep) =
            parked.into_iter().partition(|task| self.crew.slots.get(task).is_none_or(|slot| slot.worker == worker));
        self.crew.parked = asleep;
        let awake: Vec<u64> = awake;
        lock(&self.crew.ready).extend(awake);
        for _ in 0..self.crew.queue.len().min(self.crew.slots_per_worker) {
            self.soon(Due::Dispatch);
        }
    }

    pub(super) fn worker_is_up(&mut self, worker: usize) {
        self.crew.up[worker] = true;
        self.crew.frozen[worker] = None;
        narration::tell("worker", || format!("{worker} is up again"));
        for _ in 0..self.crew.queue.len().clamp(1, self.crew.slots_per_worker) {
            self.soon(Due::Dispatch);
        }
    }

    pub(super) fn poll_tasks(&mut self) {
        let now = self.now();
        loop {
            let mut due = std::mem::take(&mut *lock(&self.crew.ready));
            if due.is_empty() {
                return;
            }
            due.sort_unstable();
            for id in due {
                let Some(slot) = self.crew.slots.get_mut(&id) else { continue };
                if self.crew.frozen[slot.worker].is_some_and(|frozen| frozen.until > now) {
                    self.crew.parked.push(id);
                    continue;
                }
                slot.wake.listed.store(false, Ordering::Relaxed);
                narration::works_at(id);
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
                Control::Freeze { worker, until } => {
                    let since = self.now();
                    self.crew.frozen[worker] = Some(Frozen { since, until, was_given: false });
                    for slot in self.crew.slots.values_mut().filter(|slot| slot.worker == worker) {
                        slot.excused = true;
                    }
                    self.agenda.add(until, Due::Thaw(worker));
                }
                Control::Late { at, sending } => {
                    self.expected += 1;
                    self.agenda.add(at, Due::Late(sending));
                }
            }
        }
    }

    fn answer(&mut self, task: u64, slot: &Slot, result: Result<Value, ActivityError>) {
        let lost = lock(&self.sim.state).faults.answer_is_lost(self.now(), slot.activity.as_str());
        narration::tell_task(task, || {
            let answer = match &result {
                Ok(output) => format!("answers {output}"),
                Err(failure) => format!("fails with {}: {}", failure.name, failure.cause()),
            };
            format!("{}{}", if lost { "its answer is lost: " } else { "" }, narration::short(&answer))
        });
        if lost {
            return; // Nobody beats for it any more: its heartbeat expires.
        }
        let token = slot.token.clone();
        let event = match result {
            Ok(output) => Event::Success { token, output },
            Err(failure) => {
                self.check_failure(task, slot.activity, &failure);
                let error = Some(failure.name.as_str().to_owned());
                Event::Failure { token, error, cause: Some(failure.cause()) }
            }
        };
        self.deliver_answer(slot, event);
    }

    /// No error holds a token. Enrichment never fails a poll: a poll that met no failure but EC2's has an answer.
    fn check_failure(&mut self, task: u64, activity: ActivityName, failure: &ActivityError) {
        if let Some(leak) = leaks::in_text("an activity's error", &failure.chain()) {
            self.breach.get_or_insert(leak);
        }
        self.breach = self.breach.take().or(is_no_fault_of_ours(failure.name, &failure.cause()).err());
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
