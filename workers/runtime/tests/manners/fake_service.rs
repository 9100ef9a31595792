//! A small Step Functions activity service in memory, on tokio time. It hands out each task once, enforces timeouts and
//! heartbeats on every call as the real one does (a dead token answers `TaskTimedOut`), holds polls for 60 s, and fails on
//! script. Its error messages repeat the raw token on purpose, to prove that the runtime never logs one.

use async_trait::async_trait;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_runtime::{ActivityTask, TaskService, TaskServiceError, TaskServiceErrorClass as Class, TaskToken};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What the next call of an operation does instead of working.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Refused before any effect.
    Fails(Class),
    /// The effect happens, the response is lost.
    LostResponse,
    /// Refused at the end of the hold (polls only).
    FailsLate(Class),
    /// Never returns.
    Hangs,
    /// The adapter panics.
    Panics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Poll,
    Success,
    Failure,
    Heartbeat,
}

/// One answer the service accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    Success(String),
    Failure { error: String, cause: String },
}

impl Accepted {
    pub(crate) fn error(&self) -> &str {
        match self {
            Self::Success(_) => "",
            Self::Failure { error, .. } => error,
        }
    }
}

struct OpenTask {
    started: Instant,
    last_sign: Instant,
    worker: String,
    answers: Vec<(Instant, Accepted)>,
}

#[derive(Default)]
struct World {
    queue: VecDeque<ActivityTask>,
    handed_out: HashMap<String, OpenTask>,
    faults: HashMap<Op, VecDeque<Fault>>,
    always: HashMap<Op, Fault>,
    calls: Vec<(Op, Instant)>,
    open_polls: usize,
    most_open_polls: usize,
    dropped_polls: usize,
    named: usize,
}

pub(crate) struct FakeTaskService {
    world: Mutex<World>,
    changed: Notify,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) hold: Duration,
}

/// Counts a poll as open, and as dropped when its future goes away before it returned.
struct PollGuard<'a> {
    service: &'a FakeTaskService,
    returned: bool,
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        let mut world = self.service.world.lock().unwrap();
        world.open_polls -= 1;
        if !self.returned {
            world.dropped_polls += 1;
        }
        drop(world);
        self.service.changed.notify_waiters();
    }
}

impl FakeTaskService {
    pub(crate) fn new(timeout: Duration, heartbeat: Duration, hold: Duration) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(World::default()), changed: Notify::new(), timeout, heartbeat, hold })
    }

    /// Schedules a task and returns its raw token.
    pub(crate) fn schedule(&self, input: &str) -> String {
        let mut world = self.world.lock().unwrap();
        world.named += 1;
        let raw = format!("AQCRAWTOKEN-{:04}-do-not-log", world.named);
        let token = TaskToken::new(raw.clone());
        world.queue.push_back(ActivityTask { token, input: input.to_owned() });
        drop(world);
        self.changed.notify_waiters();
        raw
    }

    /// The next `times` calls of `op` do `fault`.
    pub(crate) fn script(&self, op: Op, fault: Fault, times: usize) {
        let mut world = self.world.lock().unwrap();
        world.faults.entry(op).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// Every call of `op` does `fault`, once the script has run out.
    pub(crate) fn always(&self, op: Op, fault: Fault) {
        self.world.lock().unwrap().always.insert(op, fault);
    }

    /// The service gives up on a task, as it does when its state times out or the execution is stopped.
    pub(crate) fn kill(&self, raw: &str) {
        self.world.lock().unwrap().handed_out.remove(raw);
    }

    pub(crate) fn calls(&self, op: Op) -> Vec<Instant> {
        let world = self.world.lock().unwrap();
        world.calls.iter().filter(|(called, _)| *called == op).map(|(_, at)| *at).collect()
    }

    pub(crate) fn open_polls(&self) -> usize {
        self.world.lock().unwrap().open_polls
    }

    pub(crate) fn most_open_polls(&self) -> usize {
        self.world.lock().unwrap().most_open_polls
    }

    pub(crate) fn dropped_polls(&self) -> usize {
        self.world.lock().unwrap().dropped_polls
    }

    /// When `raw` was handed out.
    pub(crate) fn started(&self, raw: &str) -> Instant {
        self.world.lock().unwrap().handed_out[raw].started
    }

    /// Who took each task.
    pub(crate) fn takers(&self) -> HashMap<String, String> {
        let world = self.world.lock().unwrap();
        world.handed_out.iter().map(|(raw, task)| (raw.clone(), task.worker.clone())).collect()
    }

    pub(crate) fn answers(&self, raw: &str) -> Vec<(Instant, Accepted)> {
        let world = self.world.lock().unwrap();
        world.handed_out.get(raw).map(|task| task.answers.clone()).unwrap_or_default()
    }

    /// Waits until `holds` is true of this service. A condition that never holds fails after a virtual day.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(86_400), wait)
            .await
            .unwrap_or_else(|_| panic!("never became true: {what}"));
    }

    /// Waits for the one answer of `raw`.
    pub(crate) async fn answered(&self, raw: &str) -> (Instant, Accepted) {
        self.until("the task is answered", |service| !service.answers(raw).is_empty()).await;
        self.answers(raw).remove(0)
    }

    fn begin(&self, op: Op) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        world.calls.push((op, Instant::now()));
        let fault = world.faults.get_mut(&op).and_then(VecDeque::pop_front);
        let fault = fault.or_else(|| world.always.get(&op).copied());
        drop(world);
        self.changed.notify_waiters();
        fault
    }

    /// Runs a call on a token: the script first, then the service's own rules.
    async fn on_token(
        &self,
        op: Op,
        token: &TaskToken,
        effect: impl FnOnce(&mut OpenTask),
    ) -> Result<(), TaskServiceError> {
        let raw = token.expose();
        match self.begin(op) {
            Some(Fault::Fails(class) | Fault::FailsLate(class)) => {
                return Err(failing(class, raw));
            }
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("scripted adapter panic"),
            Some(Fault::LostResponse) => {
                self.apply(raw, effect)?;
                return Err(failing(Class::Transient, raw));
            }
            None => {}
        }
        self.apply(raw, effect)
    }

    fn apply(&self, raw: &str, effect: impl FnOnce(&mut OpenTask)) -> Result<(), TaskServiceError> {
        let mut world = self.world.lock().unwrap();
        let now = Instant::now();
        let task = world
            .handed_out
            .get_mut(raw)
            .filter(|task| task.answers.is_empty())
            .filter(|task| now.duration_since(task.started) <= self.timeout)
            .filter(|task| now.duration_since(task.last_sign) <= self.heartbeat)
            .ok_or_else(|| failing(Class::TokenDead, raw).with_code("TaskTimedOut"))?;
        task.last_sign = now;
        effect(task);
        drop(world);
        self.changed.notify_waiters();
        Ok(())
    }

    fn hand_out(&self, worker: &str) -> Option<ActivityTask> {
        let mut world = self.world.lock().unwrap();
        let task = world.queue.pop_front()?;
        let now = Instant::now();
        let open = OpenTask { started: now, last_sign: now, worker: worker.to_owned(), answers: Vec::new() };
        assert!(world.handed_out.insert(task.token.expose().to_owned(), open).is_none(), "a task is handed out once");
        Some(task)
    }
}

fn failing(class: Class, raw: &str) -> TaskServiceError {
    TaskServiceError::new(class, format!("scripted {class} for token {raw}"))
        .with_source(std::io::Error::other(format!("connection of {raw} broke")))
}

#[async_trait]
impl TaskService for FakeTaskService {
    async fn get_activity_task(&self, _: &str, worker: &str) -> Result<Option<ActivityTask>, TaskServiceError> {
        {
            let mut world = self.world.lock().unwrap();
            world.open_polls += 1;
            world.most_open_polls = world.most_open_polls.max(world.open_polls);
        }
        let mut guard = PollGuard { service: self, returned: false };
        let polled = match self.begin(Op::Poll) {
            Some(Fault::Fails(class)) => Err(TaskServiceError::new(class, "scripted").with_code("Scripted")),
            Some(Fault::FailsLate(class)) => {
                tokio::time::sleep(self.hold).await;
                Err(TaskServiceError::new(class, "scripted").with_code("Scripted"))
            }
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("scripted adapter panic"),
            Some(Fault::LostResponse) => {
                self.hand_out(worker);
                Err(TaskServiceError::new(Class::Transient, "scripted lost response"))
            }
            None => {
                let until = Instant::now() + self.hold;
                loop {
                    let changed = self.changed.notified();
                    tokio::pin!(changed);
                    changed.as_mut().enable();
                    if let Some(task) = self.hand_out(worker) {
                        break Ok(Some(task));
                    }
                    if tokio::time::timeout_at(until, changed).await.is_err() {
                        break Ok(None);
                    }
                }
            }
        };
        guard.returned = true;
        polled
    }

    async fn send_task_success(&self, token: &TaskToken, output: &str) -> Result<(), TaskServiceError> {
        let answer = Accepted::Success(output.to_owned());
        self.on_token(Op::Success, token, |task| task.answers.push((Instant::now(), answer))).await
    }

    async fn send_task_failure(&self, token: &TaskToken, error: &str, cause: &str) -> Result<(), TaskServiceError> {
        let answer = Accepted::Failure { error: error.to_owned(), cause: cause.to_owned() };
        self.on_token(Op::Failure, token, |task| task.answers.push((Instant::now(), answer))).await
    }

    async fn send_task_heartbeat(&self, token: &TaskToken) -> Result<(), TaskServiceError> {
        self.on_token(Op::Heartbeat, token, |_| {}).await
    }
}
