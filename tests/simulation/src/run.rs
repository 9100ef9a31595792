//! One seed, one execution: the machine, the workers, the operators and DRS on one virtual clock, until everything is over.

use crate::faults::Faults;
use crate::invariants::{Violation, Watch};
use crate::machine::{Context as MachineContext, Definition, Effect, Event, Execution, Handled, Status, Token};
use crate::ports::{Control, Ports, SimWorld, State};
use crate::scenario::{ACCOUNT, REGION, Story};
use crate::tables::Tables;
use crate::time::{VirtualClock, after, lock};
use futures::task::{ArcWake, waker};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tidegate_contract::tables::{TABLES, TableKey};
use tidegate_contract::{ActivityName, ErrorName};
use tidegate_runtime::DiscardMetrics;
use tidegate_simulator::{MemoryInstances, Settings as DrsSettings, Simulator};
use tidegate_worker::activities;
use tidegate_worker::error::ActivityError;
use tidegate_worker::world::{Settings, World};

/// Name of the simulated execution.
pub const EXECUTION: &str = "simulated";
/// No run may take longer than this, in virtual seconds: ten days, over every gate's and wave's timeout together.
const LONGEST_RUN_SECONDS: i64 = 864_000;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    /// Step Functions' end status and error.
    pub status: String,
    pub error: String,
    pub calls: u64,
    pub faults: u64,
    pub events: u32,
    pub virtual_seconds: i64,
    pub violation: Option<Violation>,
    /// Step Functions' history events, for stories.
    pub states: Vec<String>,
}

/// The shipped machine with the simulation's names in its placeholders.
pub fn shipped_machine(text: &str) -> Result<Definition, String> {
    let mut rendered = text.replace("${EventBusName}", "default");
    for table in TABLES {
        rendered = rendered.replace(&format!("${{{}}}", table.placeholder), table.name);
    }
    for name in ActivityName::ALL {
        let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:activity:{name}");
        rendered = rendered.replace(&format!("${{{}}}", name.placeholder()), &arn);
    }
    Definition::parse(&rendered).map_err(|error| error.to_string())
}

type Work = Pin<Box<dyn Future<Output = Result<Value, ActivityError>> + Send>>;

/// Set when a task's waker fires.
struct Ready(AtomicBool);

impl ArcWake for Ready {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.store(true, Ordering::Relaxed);
    }
}

/// A task in a worker's hands.
struct Slot {
    token: Token,
    worker: usize,
    work: Work,
    ready: Arc<Ready>,
    beat_every_ms: i64,
    frozen_until: Option<Timestamp>,
}

/// What is to happen at a time.
enum Agenda {
    Dispatch,
    Beat(u64),
    Deadline(u64),
    WorkerUp(usize),
    Tell(Event),
    /// An operator's answer to a gate.
    Answer(Event),
    Request(&'static str),
}

struct Queued {
    token: Token,
    resource: String,
    input: Value,
}

struct Run {
    story: Story,
    world: Arc<SimWorld>,
    execution: Execution,
    /// The luck of the service, of dispatch and of the people.
    rng: StdRng,
    queue: VecDeque<Queued>,
    slots: BTreeMap<u64, Slot>,
    next_task: u64,
    workers_up: Vec<bool>,
    agenda: BTreeMap<(Timestamp, u64), Agenda>,
    agenda_sequence: u64,
    watch: Watch,
    writes_checked: u64,
    launches_checked: usize,
    states: Vec<String>,
}

/// Runs a story to its end.
pub fn run(definition: &Arc<Definition>, story: Story, faults: Option<Faults>) -> Outcome {
    let start = Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    let clock = VirtualClock::new(start);
    let faults = faults
        .unwrap_or_else(|| Faults::random(story.seed, story.rates, after(start, story.faults_for_seconds * 1_000)));
    let seed = story.seed;
    let mut run = match Run::new(definition, story, clock, faults) {
        Ok(run) => run,
        Err(problem) => return failed_setup(seed, problem),
    };
    let violation = run.drive().err();
    run.outcome(violation, start)
}

fn failed_setup(seed: u64, problem: String) -> Outcome {
    Outcome {
        seed,
        status: "NOT_RUN".to_owned(),
        error: String::new(),
        calls: 0,
        faults: 0,
        events: 0,
        virtual_seconds: 0,
        violation: Some(Violation { rule: "The simulation can be set up.", detail: problem }),
        states: Vec::new(),
    }
}

impl Run {
    fn new(definition: &Arc<Definition>, story: Story, clock: VirtualClock, faults: Faults) -> Result<Self, String> {
        let now = clock.now();
        let settings = DrsSettings {
            seed: story.seed,
            speed: 1.0,
            page_size: 10_000,
            default_account: ACCOUNT.to_owned(),
            journal_capacity: 1,
            ..DrsSettings::default()
        };
        let inventory = story.inventory().map_err(|error| error.to_string())?;
        let mut drs = Simulator::new(settings, inventory, now).map_err(|error| error.to_string())?;
        for rule in &story.server_faults {
            drs.faults_mut().add(rule.clone()).map_err(|error| error.to_string())?;
        }
        let state = State {
            tables: Tables::default(),
            drs,
            ec2: MemoryInstances::new(story.seed),
            faults,
            controls: Vec::new(),
            launches: Vec::new(),
            sent_again: None,
            terminations: Vec::new(),
        };
        let context = MachineContext {
            execution_id: format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:recovery:{EXECUTION}"),
            execution_name: EXECUTION.to_owned(),
            start_time: now,
            input: story.input.clone(),
        };
        let execution = Execution::start(definition, context, story.input.clone(), now);
        let mut run = Self {
            world: Arc::new(SimWorld { clock, state: Mutex::new(state) }),
            execution,
            rng: StdRng::seed_from_u64(story.seed ^ 0x6c75_636b),
            queue: VecDeque::new(),
            slots: BTreeMap::new(),
            next_task: 0,
            workers_up: vec![true; story.workers],
            agenda: BTreeMap::new(),
            agenda_sequence: 0,
            watch: Watch::default(),
            writes_checked: 0,
            launches_checked: 0,
            states: Vec::new(),
            story,
        };
        for (seconds, flag) in run.story.requests.clone() {
            run.at(after(now, seconds * 1_000), Agenda::Request(flag));
        }
        Ok(run)
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn at(&mut self, time: Timestamp, what: Agenda) {
        self.agenda_sequence += 1;
        self.agenda.insert((time, self.agenda_sequence), what);
    }

    fn soon(&mut self, what: Agenda) {
        let delay = self.rng.random_range(1..=40);
        self.at(after(self.now(), delay), what);
    }

    fn drive(&mut self) -> Result<(), Violation> {
        let limit = after(self.now(), LONGEST_RUN_SECONDS * 1_000);
        self.turn()?;
        loop {
            let running = matches!(self.execution.status(), Status::Running);
            if !running && self.slots.is_empty() {
                break;
            }
            let timer = self.execution.wake_at().filter(|_| running);
            let next = [timer, self.world.clock.next_wake(), self.agenda.keys().next().map(|(at, _)| *at)];
            let Some(next) = next.into_iter().flatten().min() else {
                return Err(Violation { rule: "Every execution ends once faults stop.", detail: self.where_it_is() });
            };
            if next > limit {
                return Err(Violation { rule: "Every execution ends once faults stop.", detail: self.where_it_is() });
            }
            self.world.clock.move_to(next);
            self.turn()?;
        }
        self.world.settle();
        let (status, error) = end_status(self.execution.status());
        if status == "TIMED_OUT" || status == "ABORTED" {
            return Err(Violation { rule: "Every execution ends by its own outcome.", detail: status.to_owned() });
        }
        self.watch.check_end(&lock(&self.world.state), EXECUTION, (status, &error))
    }

    fn where_it_is(&self) -> String {
        format!("stands at {}", self.execution.current_state().unwrap_or("no state"))
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) -> Result<(), Violation> {
        let now = self.now();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let what = entry.remove();
            self.happen(what);
        }
        self.poll_tasks();
        loop {
            let state_before = self.execution.current_state().map(str::to_owned);
            let effects = self.execution.advance(now, &mut self.rng);
            let state_after = self.execution.current_state().map(str::to_owned);
            if state_after != state_before
                && let Some(state) = state_after
            {
                self.states.push(state);
            }
            if effects.is_empty() {
                break;
            }
            effects.into_iter().for_each(|effect| self.carry_out(effect));
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), Violation> {
        let state = lock(&self.world.state);
        if state.tables.writes == self.writes_checked && state.launches.len() == self.launches_checked {
            return Ok(());
        }
        self.writes_checked = state.tables.writes;
        self.launches_checked = state.launches.len();
        self.watch.check(&state, EXECUTION)?;
        if self.execution.history().total() >= 25_000 {
            return Err(Violation { rule: "No history reaches 25,000 events.", detail: self.where_it_is() });
        }
        Ok(())
    }

    fn happen(&mut self, what: Agenda) {
        match what {
            Agenda::Dispatch => self.dispatch(),
            Agenda::Beat(task) => self.beat(task),
            Agenda::Deadline(task) => {
                // The runtime's local deadline: the work is dropped and answered, before the service gives up.
                if let Some(slot) = self.slots.remove(&task) {
                    let failure = Event::Failure {
                        token: slot.token,
                        error: ErrorName::Transient.as_str().to_owned(),
                        cause: "the local deadline passed".to_owned(),
                    };
                    self.soon(Agenda::Tell(failure));
                }
            }
            Agenda::WorkerUp(worker) => {
                self.workers_up[worker] = true;
                self.soon(Agenda::Dispatch);
            }
            Agenda::Tell(event) | Agenda::Answer(event) => {
                self.execution.handle(event, self.now());
            }
            Agenda::Request(flag) => {
                let mut state = lock(&self.world.state);
                let open = state
                    .tables
                    .query(TableKey::ExecutionHistory, EXECUTION, "")
                    .any(|item| !item.contains_key("endTime"));
                if open {
                    state.tables.set(TableKey::ExecutionHistory, EXECUTION, "sim", flag, json!("true"));
                }
            }
        }
    }

    fn dispatch(&mut self) {
        let up: Vec<usize> = (0..self.workers_up.len()).filter(|worker| self.workers_up[*worker]).collect();
        let Some(worker) = up.choose(&mut self.rng).copied() else {
            return; // WorkerUp dispatches again.
        };
        let Some(task) = self.queue.pop_front() else {
            return;
        };
        let now = self.now();
        if self.execution.handle(Event::ActivityStarted { token: task.token.clone() }, now) != Handled::Accepted {
            return;
        }
        if lock(&self.world.state).faults.token_is_lost(now) {
            return; // Nobody runs it until its heartbeat expires.
        }
        let Some(name) = task.resource.rsplit(':').next().and_then(ActivityName::parse) else {
            return;
        };
        self.next_task += 1;
        let id = self.next_task;
        let ports = Ports { world: self.world.clone(), task: id, worker, skew: self.story.skews[worker] };
        let world = World {
            store: Arc::new(ports.clone()),
            targets: Arc::new(ports.clone()),
            clock: Arc::new(ports),
            metrics: Arc::new(DiscardMetrics),
            settings: Settings { tag_jobs: self.story.seed.is_multiple_of(2) },
        };
        let handler = activities::handler(name, &world);
        let spec = name.spec();
        let slot = Slot {
            token: task.token,
            worker,
            work: Box::pin(async move { handler.run(task.input).await }),
            ready: Arc::new(Ready(AtomicBool::new(true))),
            beat_every_ms: i64::from(spec.heartbeat_seconds) * 1_000 / 3,
            frozen_until: None,
        };
        self.at(after(now, slot.beat_every_ms), Agenda::Beat(id));
        // The runtime keeps a tenth of the timeout, 15 s at most, for answering.
        let kept = (i64::from(spec.timeout_seconds) * 100).min(15_000);
        self.at(after(now, i64::from(spec.timeout_seconds) * 1_000 - kept), Agenda::Deadline(id));
        self.slots.insert(id, slot);
    }

    fn beat(&mut self, task: u64) {
        let now = self.now();
        let Some(slot) = self.slots.get(&task) else {
            return;
        };
        let (token, every) = (slot.token.clone(), slot.beat_every_ms);
        if let Some(until) = slot.frozen_until.filter(|until| *until > now) {
            // The ticker was frozen, too: the work goes on before the next beat tells that its token is dead.
            let late = self.rng.random_range(1..every);
            self.at(after(until, late), Agenda::Beat(task));
            return;
        }
        if self.execution.handle(Event::Heartbeat { token }, now) == Handled::Accepted {
            self.at(after(now, every), Agenda::Beat(task));
        } else {
            // The token is dead: somebody else took over, the work is cancelled.
            self.slots.remove(&task);
        }
    }

    fn poll_tasks(&mut self) {
        loop {
            let due: Vec<u64> = self
                .slots
                .iter()
                .filter(|(_, slot)| slot.ready.0.swap(false, Ordering::Relaxed))
                .map(|(id, _)| *id)
                .collect();
            if due.is_empty() {
                return;
            }
            for id in due {
                let Some(slot) = self.slots.get_mut(&id) else { continue };
                let waker = waker(slot.ready.clone());
                let polled = slot.work.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(result) = polled {
                    let token = slot.token.clone();
                    self.slots.remove(&id);
                    self.answer(token, result);
                }
                self.obey();
            }
        }
    }

    /// Crashes and freezes that calls asked for.
    fn obey(&mut self) {
        let controls = std::mem::take(&mut lock(&self.world.state).controls);
        for control in controls {
            match control {
                Control::Crash { worker } => {
                    self.slots.retain(|_, slot| slot.worker != worker);
                    self.workers_up[worker] = false;
                    let downtime = self.rng.random_range(1_000..120_000);
                    self.at(after(self.now(), downtime), Agenda::WorkerUp(worker));
                }
                Control::Freeze { task, until } => {
                    if let Some(slot) = self.slots.get_mut(&task) {
                        slot.frozen_until = Some(until);
                    }
                }
            }
        }
    }

    fn answer(&mut self, token: Token, result: Result<Value, ActivityError>) {
        let event = match result {
            Ok(output) => Event::Success { token, output },
            Err(failure) => Event::Failure { token, error: failure.name.as_str().to_owned(), cause: failure.cause() },
        };
        self.soon(Agenda::Tell(event));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ScheduleActivity { token, resource, input } => {
                self.queue.push_back(Queued { token, resource, input });
                self.soon(Agenda::Dispatch);
            }
            Effect::CallService { call_id, service, action, parameters, callback_token } => {
                let result = self.integration(&service, &action, &parameters);
                let opened = result.is_ok();
                self.soon(Agenda::Tell(Event::ServiceResult { call_id, result }));
                if let Some(token) = callback_token.filter(|_| opened) {
                    let decision = self.execution.current_state() == Some("AwaitDecision");
                    self.person_answers(token, decision);
                }
            }
            Effect::Ended => {}
        }
    }

    fn integration(&mut self, service: &str, action: &str, parameters: &Value) -> Result<Value, (String, String)> {
        let mut state = lock(&self.world.state);
        let fault = state.faults.integration_fails(self.world.clock.now());
        let lost = || {
            Err((
                if service == "events" { "EventBridge.SdkClientException" } else { "DynamoDb.SdkClientException" }
                    .to_owned(),
                "injected".to_owned(),
            ))
        };
        if fault == Some(false) {
            return lost();
        }
        let result = match service {
            "dynamodb" => state.tables.integration(action, parameters),
            "events" => Ok(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] })),
            other => Err((format!("{other}.Unknown"), action.to_owned())),
        };
        if fault == Some(true) { lost() } else { result }
    }

    /// A person answers a gate, sometimes late, sometimes badly, sometimes not at all.
    fn person_answers(&mut self, token: Token, decision: bool) {
        let delay = self.rng.random_range(1_000..900_000);
        let time = after(self.now(), delay);
        let contrary = self.rng.random_range(0..100) < self.story.contrary_operator;
        let event = if contrary {
            match self.rng.random_range(0..4) {
                0 => return,
                1 => Event::Failure { token, error: "Declined".to_owned(), cause: "not today".to_owned() },
                2 => Event::Success { token, output: json!("what?") },
                _ => Event::Success { token, output: json!({ "decision": "abort" }) },
            }
        } else if decision {
            let words = ["retry", "retry", "skip", "continue", "abort"];
            let word = *words.choose(&mut self.rng).unwrap_or(&"retry");
            Event::Success { token, output: json!({ "decision": word, "approvedBy": "sim" }) }
        } else {
            let outputs = [json!({}), json!({ "approvedBy": "sim" }), json!(42)];
            Event::Success { token, output: outputs.choose(&mut self.rng).cloned().unwrap_or_default() }
        };
        self.at(time, Agenda::Answer(event));
    }

    fn outcome(self, violation: Option<Violation>, start: Timestamp) -> Outcome {
        let (status, error) = end_status(self.execution.status());
        let state = lock(&self.world.state);
        Outcome {
            seed: self.story.seed,
            status: status.to_owned(),
            error,
            calls: state.faults.calls,
            faults: state.faults.injected,
            events: self.execution.history().total(),
            virtual_seconds: self.world.clock.now().duration_since(start).as_secs(),
            violation,
            states: self.states,
        }
    }
}

fn end_status(status: &Status) -> (&'static str, String) {
    match status {
        Status::Running => ("RUNNING", String::new()),
        Status::Succeeded { .. } => ("SUCCEEDED", String::new()),
        Status::Failed { error, .. } => ("FAILED", error.clone()),
        Status::TimedOut => ("TIMED_OUT", String::new()),
        Status::Aborted => ("ABORTED", String::new()),
    }
}
