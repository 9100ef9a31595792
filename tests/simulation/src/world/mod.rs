//! The engine: any number of executions of the shipped machines, the workers, the people, DRS and the others in the account
//! on one virtual clock and one thread, until everything is over.
//!
//! - `setup`: what a world is made from.
//! - `agenda`: what is to happen when. `crew`: the workers. `services`: what the machines call themselves.
//! - `lifecycle`: how executions begin and end: starts, cuts from outside, the rule that starts reconcile, continuations.
//! - `native`: DRS's own recovery plans.
//!
//! What may not live here: what a seed means ([`crate::scenario`]), what goes wrong at a call ([`crate::faults`]), what must
//! hold ([`crate::invariants`]).

mod agenda;
mod crew;
mod lifecycle;
mod native;
mod services;
mod setup;

pub use agenda::Which;
pub use lifecycle::{Cut, CutAt, Forgery, Sequel, SequelKind, Start};
pub use native::{NATIVE_EXECUTION, NativeHold};
pub use services::status_name;
pub use setup::{Machines, Setup, reach_of};

use crate::foreign;
use crate::invariants::{self, Ended, TASK_TAKEN_AWAY, Violation, Watch, leaks, record_of, violation};
use crate::machine::{Effect, Event, Execution, Handled, MAX_HISTORY_EVENTS, Readings, Status, Token};
use crate::narration::{self, Told};
use crate::people::{self, Act, ActKind};
use crate::ports::{Ec2Lag, Sending, SimWorld, State};
use crate::promises::not_given_up_early;
use crate::scenario::ACCOUNT;
use crate::tables::Item;
use crate::time::{VirtualClock, after, lock};
use agenda::{Agenda, Due};
use crew::{Crew, Queued};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex};
use tidegate_contract::tables::TableKey;
use tidegate_core::reach::Reach;
use tidegate_simulator::{MemoryInstances, Scenario, Settings as DrsSettings, Simulator};

/// No world may go on for longer than this, in virtual seconds: ten days, over every gate's and wave's timeout together.
const LONGEST_SECONDS: i64 = 864_000;
/// How long DRS is watched after the last execution.
const AFTERWARDS_MS: i64 = 4 * 3_600_000;
/// Who writes to the tables, beside the activities.
pub(crate) const MACHINE: &str = "machine";
pub(crate) const OPERATOR: &str = "operator";

/// One execution.
#[derive(Debug)]
pub(crate) struct Member {
    /// Of the reconcile machine.
    pub(crate) reconciles: bool,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) input: Value,
    pub(crate) execution: Execution,
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    /// How often it has ended: more than once when it was redriven.
    ends: u32,
    /// How and when it was ended from outside.
    pub(crate) cut: Option<(Timestamp, Cut)>,
    timer: Option<Timestamp>,
    touched: bool,
    /// The states it rested in, and at which second.
    pub(crate) states: Vec<(i64, Arc<str>)>,
    /// Attempts of the task state it rests in: how many states it had rested in, and the attempts since.
    attempts: (usize, u32),
}

/// The world.
pub struct World {
    pub(crate) sim: Arc<SimWorld>,
    pub(crate) setup: Plan,
    machines: Machines,
    pub(crate) executions: Vec<Member>,
    running: usize,
    most_at_once: usize,
    /// Entries of the agenda that may start another execution.
    expected: usize,
    /// Executions that something was told, and when the others wake by themselves.
    touched: Vec<Which>,
    timers: BinaryHeap<Reverse<(Timestamp, Which)>>,
    /// The luck of the service, of dispatch and of the people.
    rng: StdRng,
    crew: Crew,
    agenda: Agenda,
    watch: Watch,
    pub(crate) start: Timestamp,
    breach: Option<Violation>,
    /// What operators do about executions that end badly, one after the other.
    pub(crate) sequels: VecDeque<Sequel>,
    /// What somebody starts when the story's own execution has ended.
    afterwards: Option<Start>,
    /// Cuts that wait for a number of calls: the call, the execution, the cut.
    cuts_at_call: Vec<(u64, Which, Cut)>,
}

/// What stays of a [`Setup`].
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) skews: Vec<i64>,
    pub(crate) odd_events: u32,
    pub(crate) readings: Readings,
    pub(crate) reach: Arc<Reach>,
}

impl World {
    /// A world in which nothing has begun yet.
    pub fn new(machines: &Machines, setup: Setup) -> Result<Self, String> {
        let clock = VirtualClock::new(setup.start);
        let settings = DrsSettings {
            seed: setup.seed,
            speed: setup.drs_speed,
            scenario: Scenario { quirks: setup.quirks.clone(), ..Scenario::default() },
            page_size: 10_000,
            default_account: ACCOUNT.to_owned(),
            journal_capacity: 1,
            ..DrsSettings::default()
        };
        let reach = Arc::new(reach_of(&setup.inventory));
        let former = foreign::Former { recovered: &setup.recovered, drilled: &setup.drilled };
        let dawn = former.dawn(setup.start);
        let mut drs = Simulator::new(settings, setup.inventory, dawn).map_err(|error| error.to_string())?;
        let mut ec2 = MemoryInstances::new(setup.seed);
        former.furnish(&mut drs, &mut ec2, setup.start).map_err(|error| error.message)?;
        for rule in setup.server_faults {
            drs.faults_mut().add(rule, setup.start).map_err(|error| error.to_string())?;
        }
        let mut state = State::new(drs, ec2, setup.faults, setup.bug);
        let skew = setup.skews.iter().map(|skew| skew.abs()).max().unwrap_or_default();
        state.clocks_differ = 2 * skew / 1_000 + 2;
        state.ec2_lag = Ec2Lag { seed: setup.seed, seconds: setup.ec2_lag_seconds };
        let mut world = Self {
            sim: Arc::new(SimWorld { clock, state: Mutex::new(state) }),
            machines: machines.clone(),
            executions: Vec::new(),
            running: 0,
            most_at_once: 0,
            expected: 0,
            touched: Vec::new(),
            timers: BinaryHeap::new(),
            rng: StdRng::seed_from_u64(setup.seed ^ 0x6c75_636b),
            crew: Crew::new(setup.workers, setup.slots_per_worker),
            agenda: Agenda::default(),
            watch: Watch::default(),
            start: setup.start,
            breach: None,
            sequels: setup.sequels.into(),
            afterwards: setup.afterwards,
            cuts_at_call: Vec::new(),
            setup: Plan {
                seed: setup.seed,
                skews: setup.skews,
                odd_events: setup.odd_events,
                readings: setup.readings,
                reach,
            },
        };
        lock(&world.sim.state).console = !setup.console.is_empty();
        for lost in setup.lost {
            world.agenda.add(after(setup.start, lost.at_second * 1_000), Due::Lost(Box::new(lost)));
        }
        for launch in setup.console {
            world.agenda.add(after(setup.start, launch.at_second * 1_000), Due::Console(Box::new(launch)));
        }
        for forgery in setup.forgeries {
            world.expected += 1;
            world.agenda.add(after(setup.start, forgery.at_ms), Due::Forge(Box::new(forgery)));
        }
        for hold in setup.native {
            let (from, until) = (hold.from_second * 1_000, (hold.from_second + hold.seconds) * 1_000);
            let (from, until) = (after(setup.start, from), after(setup.start, until));
            lock(&world.sim.state).native.push((from, until, hold.servers.clone()));
            world.agenda.add(from, Due::Native(Box::new(hold.clone()), true));
            world.agenda.add(until, Due::Native(Box::new(hold), false));
        }
        Ok(world)
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        self.sim.clock.now()
    }

    /// An execution's record, as it is.
    pub fn record(&self, execution_id: &str) -> Option<Item> {
        record_of(&lock(&self.sim.state).tables, execution_id).cloned()
    }

    /// Calls of activities, and what went wrong.
    pub fn calls_and_faults(&self) -> (u64, u64) {
        let faults = &lock(&self.sim.state).faults;
        (faults.calls, faults.injected)
    }

    /// The most executions that ran at one moment.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    /// How the executions of the recovery machine ended, by name.
    pub fn ends(&self) -> impl Iterator<Item = (&str, &Status)> {
        let recoveries = self.executions.iter().filter(|member| !member.reconciles);
        recoveries.map(|member| (member.name.as_str(), member.execution.status()))
    }

    fn soon(&mut self, what: Due) {
        let delay = self.rng.random_range(1..=40);
        self.agenda.add(after(self.now(), delay), what);
    }

    /// Runs until every execution has ended and every worker is idle, checking after every event.
    pub fn drive(&mut self) -> Result<(), Violation> {
        leaks::listening(|| self.drive_to_the_end())
    }

    fn drive_to_the_end(&mut self) -> Result<(), Violation> {
        let limit = after(self.now(), LONGEST_SECONDS * 1_000);
        self.turn()?;
        while self.running > 0 || self.expected > 0 || !self.crew.is_idle() {
            let crew = &self.crew;
            let agenda = self.agenda.next(|due| match due {
                Due::Beat(task) | Due::Deadline(task) => crew.has(*task),
                _ => true,
            });
            let timer = self.next_timer();
            let next = [timer, self.sim.clock.next_wake(), agenda];
            match next.into_iter().flatten().min() {
                Some(next) if next <= limit => self.sim.clock.move_to(next),
                _ => return Err(violation(invariants::ENDS, self.where_it_is())),
            }
            self.turn()?;
        }
        // Whatever the runs have left under way ends, too.
        self.sim.clock.move_to(after(self.now(), AFTERWARDS_MS));
        self.sim.settle();
        let mut state = lock(&self.sim.state);
        for member in self.executions.iter().filter(|member| !member.reconciles) {
            let ended = Ended {
                execution_id: &member.name,
                status: status_name(member.execution.status()),
                error: match member.execution.status() {
                    Status::Failed { error, .. } => error,
                    _ => "",
                },
                cut: member.cut,
            };
            self.watch.check_end(&mut state, &ended)?;
        }
        Ok(())
    }

    fn where_it_is(&self) -> String {
        let open = self.executions.iter().filter(|member| member.ended.is_none());
        let open: Vec<String> = open
            .take(5)
            .map(|member| {
                format!("{} stands at {}", member.name, member.execution.current_state().unwrap_or("no state"))
            })
            .collect();
        if open.is_empty() { "tasks nobody waits for".to_owned() } else { open.join(", ") }
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) -> Result<(), Violation> {
        let now = self.now();
        narration::at(now);
        while let Some(what) = self.agenda.take_due(now) {
            self.happen(what);
        }
        self.poll_tasks();
        self.cut_at_calls();
        while self.next_timer().is_some_and(|at| at <= now) {
            if let Some(Reverse((_, of))) = self.timers.pop() {
                self.executions[of].timer = None;
                self.touch(of);
            }
        }
        while !self.touched.is_empty() {
            self.touched.sort_unstable();
            for of in std::mem::take(&mut self.touched) {
                self.advance(of, now);
            }
        }
        self.check()
    }

    /// The next moment at which an execution moves by itself; timers that were set anew since are dropped on the way.
    fn next_timer(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((at, of))) = self.timers.peek().copied() {
            if self.executions[of].timer == Some(at) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// Something was told to an execution: what follows from it follows in this turn.
    fn touch(&mut self, of: Which) {
        if !std::mem::replace(&mut self.executions[of].touched, true) {
            self.touched.push(of);
        }
    }

    fn advance(&mut self, of: Which, now: Timestamp) {
        self.executions[of].touched = false;
        loop {
            let member = &mut self.executions[of];
            let effects = member.execution.advance(now, &mut self.rng);
            if let Some(state) = member.execution.current_state_name()
                && member.states.last().is_none_or(|(_, last)| last != state)
            {
                let second = now.duration_since(self.start).as_secs();
                let early = not_given_up_early(&member.states, state, second, member.execution.data());
                self.breach = self.breach.take().or(early.err());
                let state = state.clone();
                narration::tell(&member.name, || format!("is in {state}"));
                member.states.push((second, state));
            }
            if effects.is_empty() {
                break;
            }
            effects.into_iter().for_each(|effect| self.carry_out(of, effect));
        }
        let member = &mut self.executions[of];
        let wake = member.execution.wake_at();
        if member.timer != wake {
            member.timer = wake;
            self.timers.extend(wake.map(|at| Reverse((at, of))));
        }
    }

    /// Tells an execution something; its consequences follow in this turn.
    fn tell(&mut self, of: Which, event: Event) -> Handled {
        let now = self.now();
        self.touch(of);
        let handled = self.executions[of].execution.handle(event, now);
        if self.executions[of].execution.history().total() >= MAX_HISTORY_EVENTS {
            self.breach.get_or_insert_with(|| violation(invariants::HISTORY, self.executions[of].name.clone()));
        }
        handled
    }

    fn check(&mut self) -> Result<(), Violation> {
        if let Some(breach) = self.breach.take().or_else(leaks::heard) {
            return Err(breach);
        }
        let mut state = lock(&self.sim.state);
        self.watch.check(&mut state)
    }

    fn happen(&mut self, what: Due) {
        match what {
            Due::Dispatch => self.dispatch(),
            Due::Beat(task) => self.beat(task),
            Due::Deadline(task) => self.deadline(task),
            Due::WorkerUp(worker) => self.worker_is_up(worker),
            Due::Thaw(worker) => self.thaw(worker),
            Due::Late(sending) => self.arrive(&sending),
            Due::Tell(of, event) => {
                let is_task = !matches!(*event, Event::ServiceResult { .. });
                let handled = self.tell(of, *event);
                if is_task && handled != Handled::Accepted {
                    narration::tell("Step Functions", || format!("refuses the answer of a task: {handled:?}"));
                }
            }
            Due::TellAlive(of, ends, event) => {
                // It may have been ended from outside at this very moment, and nobody has taken note yet.
                let member = &self.executions[of];
                let runs = member.ends == ends && matches!(member.execution.status(), Status::Running);
                if self.tell(of, *event) != Handled::Accepted && runs {
                    self.breach.get_or_insert(violation(TASK_TAKEN_AWAY, self.where_it_is()));
                }
            }
            Due::Answer(of, answer) => {
                let (event, state, word) = *answer;
                let handled = self.tell(of, event);
                narration::tell("operator", || format!("answers {word:?} at the gate of {state}: {handled:?}"));
                if handled == Handled::Accepted {
                    self.people_did(of, ActKind::Answer { state, word });
                }
            }
            Due::Request(of, flag) => self.request(of, flag),
            Due::Cut(of, cut) => self.cut(of, cut),
            Due::Reconcile(event) => self.deliver(*event),
            Due::Forge(forgery) => self.forge(&forgery),
            Due::Sequel(of, sequel) => self.follow(of, *sequel),
            Due::Start(start) => self.start(*start),
            Due::Console(launch) => {
                self.sim.settle();
                let now = self.now();
                // DRS may refuse it: then nothing happened.
                let done = foreign::launch(&mut lock(&self.sim.state).drs, &launch.servers, launch.is_drill, now);
                narration::tell("console", || {
                    let kind = if launch.is_drill { "drill" } else { "recovery" };
                    let refused = done.err().map_or_else(String::new, |error| format!(": {}", error.message));
                    format!("launches a {kind} of {}{refused}", launch.servers.join(" "))
                });
            }
            Due::Lost(lost) => {
                self.sim.settle();
                let now = self.now();
                let state = &mut *lock(&self.sim.state);
                foreign::lose(&mut state.drs, &mut state.ec2, &lost, now);
            }
            Due::Native(hold, runs) => self.native(&hold, runs),
        }
    }

    /// A call takes effect at DRS whose caller was told nothing. DRS may refuse it: then nobody hears of it.
    fn arrive(&mut self, sending: &Arc<Sending>) {
        self.expected -= 1;
        self.sim.settle();
        let now = self.now();
        let mut state = lock(&self.sim.state);
        state.under_way.retain(|other| !Arc::ptr_eq(other, sending));
        let arrived = sending.arrives(&mut state, now, true);
        narration::tell("DRS", || {
            format!("hears late: {} {} -> {}", sending.what.action(), sending.what, arrived.told())
        });
    }

    /// An operator asks something of an execution that is open.
    fn request(&mut self, of: Which, flag: &'static str) {
        let name = &self.executions[of].name;
        let mut state = lock(&self.sim.state);
        let record = state.tables.query(TableKey::ExecutionHistory, name, "").next();
        if record.is_some_and(|item| !item.contains_key("endTime")) {
            let key = (name.clone(), String::new());
            state.tables.writer = OPERATOR;
            state.tables.set(TableKey::ExecutionRequests, key, flag, json!("true"));
            drop(state);
            narration::tell("operator", || format!("sets {flag} of {}", self.executions[of].name));
            self.people_did(of, ActKind::Request(flag));
        }
    }

    fn people_did(&mut self, of: Which, what: ActKind) {
        let act = Act { at: self.now(), execution_id: self.executions[of].name.clone(), what };
        lock(&self.sim.state).people.push(act);
    }

    fn carry_out(&mut self, of: Which, effect: Effect) {
        match effect {
            Effect::ScheduleActivity { token, resource, input } => {
                let member = &mut self.executions[of];
                let before = if member.attempts.0 == member.states.len() { member.attempts.1 } else { 0 };
                member.attempts = (member.states.len(), before + 1);
                self.crew.queue.push_back(Queued { of, token, resource, input, attempt: before + 1 });
                self.soon(Due::Dispatch);
            }
            Effect::CallService { call_id, service, action, parameters, callback_token } => {
                let result = self.call_service(of, &service, &action, &parameters);
                let opened = result.is_ok();
                narration::tell(&self.executions[of].name, || match &result {
                    Ok(_) => format!("calls {service}:{action}"),
                    Err((error, cause)) => format!("calls {service}:{action} -> {error}: {}", narration::short(cause)),
                });
                self.soon(Due::Tell(of, Box::new(Event::ServiceResult { call_id, result })));
                if let Some(token) = callback_token.filter(|_| opened) {
                    self.person_answers(of, token);
                }
            }
            Effect::Ended => self.ended(of),
        }
    }

    /// A person answers a gate, sometimes late, sometimes badly, sometimes not at all.
    fn person_answers(&mut self, of: Which, token: Token) {
        let state = self.executions[of].execution.current_state().unwrap_or_default().to_owned();
        let answer = lock(&self.sim.state).faults.answer(&state);
        if let Some(event) = people::event(answer, token) {
            let time = after(self.now(), i64::from(answer.after_seconds) * 1_000);
            self.agenda.add(time, Due::Answer(of, Box::new((event, state, answer.word))));
        }
    }
}
