//! What goes wrong, when. Either drawn from the seed at every call, or read from a script. After `until` the world is well,
//! and every execution has to end.
//!
//! Every draw is a function of the seed, the place and how often the run has been there. So what is drawn at one place does
//! not depend on what went wrong at another, the faults of a run can be written down ([`crate::script`]), and taking one of
//! them away leaves the others where they are.

use crate::luck::Luck;
use crate::outage::{Dependency, Outage, OutageKind};
use crate::script::{Answer, Entry, Happening, Place, Script};
use crate::time::after;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_aws::{ErrorClass, PortError, Sent};

/// One thing that goes wrong at one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The call never has its effect, and nobody knows (a write) or it is an ordinary 5xx (a read). For a token: it never
    /// reaches a worker.
    #[default]
    LostBefore,
    /// The effect happens, the answer is lost.
    LostAfter,
    /// Refused without effect.
    Throttled,
    /// No answer until the task's own timeout.
    Hang,
    /// The worker dies before the effect.
    CrashBefore,
    /// The worker dies after the effect, before it can use the answer.
    CrashAfter,
    /// The worker freezes (SIGSTOP) for this many seconds before the call leaves, then goes on as if nothing had been: a zombie by
    /// then.
    Freeze(u32),
    /// The same after the call's effect: it concludes from an answer that is this old.
    FreezeAfter(u32),
    /// The caller is told nothing, and the effect comes this many seconds later (a call that changes DRS; any other is lost).
    Late(u32),
    /// The worker dies, and the effect comes this many seconds later.
    CrashLate(u32),
    /// A task is handed to two workers.
    Duplicate,
}

/// Workers wait 120 s for the answer to StartRecovery.
const SLOWEST_ANSWER_MS: u32 = 118_000;

/// How often what goes wrong, per thousand calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub lost_before: u32,
    pub lost_after: u32,
    pub throttled: u32,
    pub hang: u32,
    pub crash: u32,
    pub freeze: u32,
    /// Tokens lost between the service and the worker, per thousand hand-outs.
    pub lost_token: u32,
    /// Faults of the state machine's own DynamoDB calls, per thousand.
    pub integration: u32,
    /// Calls that change DRS and take effect late, per thousand, and by how many seconds at most.
    pub late: u32,
    pub late_seconds: u32,
    /// Tasks handed to two workers, per thousand hand-outs.
    pub duplicate: u32,
}

impl Rates {
    /// A world without faults.
    pub const NONE: Self = Self {
        lost_before: 0,
        lost_after: 0,
        throttled: 0,
        hang: 0,
        crash: 0,
        freeze: 0,
        lost_token: 0,
        integration: 0,
        late: 0,
        late_seconds: 0,
        duplicate: 0,
    };
}

/// A call as the faults see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub task: u64,
    pub place: Place<'a>,
    pub changes_the_world: bool,
}

/// Where faults and answers come from.
#[derive(Debug)]
enum Source {
    /// Drawn, with people who answer gates badly so often, per cent.
    Drawn {
        rates: Rates,
        contrary: u32,
    },
    Scripted(Script),
}

/// Faults of one run.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    source: Source,
    /// From here on nothing goes wrong any more.
    pub until: Timestamp,
    start: Timestamp,
    outages: Vec<Outage>,
    slow_starts: u32,
    visits: BTreeMap<u64, u32>,
    /// What went wrong and what people said, in order: the script that gives the same run again.
    pub log: Vec<Entry>,
    /// Every place a call was made at, in order; kept on request, for sweeps.
    pub trace: Option<Vec<(String, u32)>>,
    /// Calls per dependency and minute since the start; kept on request.
    pub rate: Option<BTreeMap<(Dependency, i64), u32>>,
    /// Dependencies that failed a task.
    failed_tasks: BTreeMap<u64, BTreeSet<Dependency>>,
    pub calls: u64,
    pub injected: u64,
    /// Calls that went on after their worker had been frozen.
    pub thawed: u64,
}

impl Faults {
    fn from_source(seed: u64, start: Timestamp, until: Timestamp, source: Source) -> Self {
        Self {
            seed,
            source,
            until,
            start,
            outages: Vec::new(),
            slow_starts: 0,
            visits: BTreeMap::new(),
            log: Vec::new(),
            trace: None,
            rate: None,
            failed_tasks: BTreeMap::new(),
            calls: 0,
            injected: 0,
            thawed: 0,
        }
    }

    /// Faults drawn from the seed, and people who answer `contrary` per cent of the gates badly.
    pub fn drawn(seed: u64, rates: Rates, contrary: u32, start: Timestamp, until: Timestamp) -> Self {
        Self::from_source(seed, start, until, Source::Drawn { rates, contrary })
    }

    /// Exactly what the script says.
    pub fn scripted(seed: u64, script: Script, start: Timestamp) -> Self {
        Self::from_source(seed, start, Timestamp::MAX, Source::Scripted(script))
    }

    /// With these outages on top.
    #[must_use]
    pub fn with_outages(mut self, outages: Vec<Outage>) -> Self {
        self.outages = outages;
        self
    }

    /// With so many of a hundred StartRecovery calls answered late. That is DRS's pace and no fault: whoever waits is answered.
    #[must_use]
    pub fn with_slow_starts(mut self, percent: u32) -> Self {
        self.slow_starts = percent;
        self
    }

    /// How often the run has been here, this time included; and the luck of this visit.
    fn visit(&mut self, place: Place<'_>) -> (u32, Luck) {
        let key = place.key();
        let visits = self.visits.entry(key).or_insert(0);
        *visits += 1;
        (*visits, Luck::new(self.seed, key, *visits))
    }

    /// Latency of the call in milliseconds (before and after its effect), and what goes wrong with it.
    pub fn at_call(&mut self, now: Timestamp, call: Call<'_>) -> (i64, i64, Option<Fault>) {
        self.calls += 1;
        self.measure(now, call.place);
        let (nth, mut luck) = self.visit(call.place);
        if let Some(trace) = &mut self.trace {
            trace.push((call.place.to_string(), nth));
        }
        let latency = (luck.range(1, 40), luck.range(1, 40));
        let over = now >= self.until;
        let fault = match &self.source {
            Source::Scripted(script) => script.fault(call.place.key(), nth),
            Source::Drawn { .. } if over => None,
            Source::Drawn { rates, .. } => draw(&mut luck, *rates, call.changes_the_world)
                .or_else(|| may_be_late(call.place).then(|| draw_late(&mut luck, *rates)).flatten()),
        };
        let latency = (latency.0, latency.1 + self.slowness(call.place, nth));
        self.note(call.place, nth, fault);
        let fault = fault.or_else(|| self.outage(call.place, now));
        if fault.is_some() {
            self.injected += 1;
            let dependency = Dependency::of(call.place);
            self.failed_tasks.entry(call.task).or_default().extend(dependency);
        }
        (latency.0, latency.1, fault)
    }

    /// By how many milliseconds DRS answers late. Drawn apart from the faults, so that a script of them gives the same run.
    fn slowness(&self, place: Place<'_>, nth: u32) -> i64 {
        if self.slow_starts == 0 || place.to != "drs:StartRecovery" {
            return 0;
        }
        let mut luck = Luck::new(self.seed ^ 0x736c_6f77, place.key(), nth);
        if luck.hits(self.slow_starts * 10) { luck.range(60_000, SLOWEST_ANSWER_MS) } else { 0 }
    }

    fn note(&mut self, place: Place<'_>, nth: u32, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.log.push(Entry { place: place.to_string(), nth, what: Happening::Fault(fault) });
        }
    }

    fn measure(&mut self, now: Timestamp, place: Place<'_>) {
        let minute = now.duration_since(self.start).as_secs().div_euclid(60);
        if let (Some(rate), Some(dependency)) = (&mut self.rate, Dependency::of(place)) {
            *rate.entry((dependency, minute)).or_insert(0) += 1;
        }
    }

    fn outage(&self, place: Place<'_>, now: Timestamp) -> Option<Fault> {
        let seconds = now.duration_since(self.start).as_secs();
        let hit = self.outages.iter().find(|outage| outage.hits(place) && outage.is_on(seconds))?;
        Some(match hit.kind {
            OutageKind::Throttled => Fault::Throttled,
            OutageKind::Down => Fault::LostBefore,
        })
    }

    /// Dependencies whose failure a task has met.
    pub fn met_by(&self, task: u64) -> Option<&BTreeSet<Dependency>> {
        self.failed_tasks.get(&task)
    }

    /// What goes wrong with a task's token on its way to a worker: it is lost, or comes to two.
    pub fn at_token(&mut self, now: Timestamp, activity: &str) -> Option<Fault> {
        self.at_hand_over(now, Place { by: "token", to: activity }, |rates| rates.duplicate)
    }

    /// Whether a task's answer is lost on its way to Step Functions, its worker with it.
    pub fn answer_is_lost(&mut self, now: Timestamp, activity: &str) -> bool {
        self.at_hand_over(now, Place { by: "answer", to: activity }, |_| 0).is_some()
    }

    fn at_hand_over(&mut self, now: Timestamp, place: Place<'_>, duplicate: fn(&Rates) -> u32) -> Option<Fault> {
        let (nth, mut luck) = self.visit(place);
        if let Some(trace) = &mut self.trace {
            trace.push((place.to_string(), nth));
        }
        let fault = match &self.source {
            Source::Scripted(script) => script.fault(place.key(), nth),
            Source::Drawn { .. } if now >= self.until => None,
            Source::Drawn { rates, .. } if luck.hits(rates.lost_token) => Some(Fault::LostBefore),
            Source::Drawn { rates, .. } => luck.hits(duplicate(rates)).then_some(Fault::Duplicate),
        };
        self.note(place, nth, fault);
        self.injected += u64::from(fault.is_some());
        fault
    }

    /// Until when Step Functions is out for the workers.
    pub fn no_step_functions(&self, now: Timestamp) -> Option<Timestamp> {
        let seconds = now.duration_since(self.start).as_secs();
        let out = |outage: &&Outage| outage.of == Dependency::StepFunctions && outage.is_on(seconds);
        let until = self.outages.iter().filter(out).map(|outage| outage.from_second + outage.seconds).max()?;
        Some(after(self.start, until * 1_000))
    }

    /// What goes wrong with a call the state machine makes itself, in this state, of this service.
    pub fn at_state(&mut self, now: Timestamp, state: &str, service: &str) -> Option<Fault> {
        let place = Place { by: "state", to: state };
        let (nth, mut luck) = self.visit(place);
        if let Some(trace) = &mut self.trace {
            trace.push((place.to_string(), nth));
        }
        let over = now >= self.until;
        let fault = match &self.source {
            Source::Scripted(script) => script.fault(place.key(), nth),
            Source::Drawn { rates, .. } => (!over && luck.hits(rates.integration))
                .then(|| luck.pick(&[Fault::LostBefore, Fault::LostAfter, Fault::Throttled])),
        };
        self.note(place, nth, fault);
        let service = Place { by: "machine", to: service };
        self.measure(now, service);
        let fault = fault.or_else(|| self.outage(service, now));
        self.injected += u64::from(fault.is_some());
        fault
    }

    /// What a person answers at a gate, opened in this state.
    pub fn answer(&mut self, state: &str) -> Answer {
        let place = Place { by: "gate", to: state };
        let (nth, mut luck) = self.visit(place);
        let answer = match &self.source {
            Source::Scripted(script) => {
                script.answer(place.key(), nth).unwrap_or_else(|| Answer::unscripted(state, nth))
            }
            Source::Drawn { contrary, .. } => Answer::drawn(state, *contrary, &mut luck),
        };
        self.log.push(Entry { place: place.to_string(), nth, what: Happening::Answer(answer) });
        answer
    }
}

fn draw(luck: &mut Luck, rates: Rates, changes_the_world: bool) -> Option<Fault> {
    let mut roll = luck.below(1_000);
    let mut hit = |rate: u32| {
        let hit = roll < rate;
        // A roll that fell into an earlier band must not reach the next one.
        roll = if hit { u32::MAX } else { roll.saturating_sub(rate) };
        hit
    };
    if hit(rates.lost_before) {
        return Some(Fault::LostBefore);
    }
    if hit(rates.lost_after) {
        return Some(if changes_the_world { Fault::LostAfter } else { Fault::LostBefore });
    }
    if hit(rates.throttled) {
        return Some(Fault::Throttled);
    }
    if hit(rates.hang) {
        return Some(Fault::Hang);
    }
    if hit(rates.crash) {
        return Some(if luck.hits(500) { Fault::CrashBefore } else { Fault::CrashAfter });
    }
    if hit(rates.freeze) {
        let seconds = 20 + luck.below(380);
        return Some(if luck.hits(500) { Fault::Freeze(seconds) } else { Fault::FreezeAfter(seconds) });
    }
    None
}

/// Whether a call at this place may take effect when its caller is gone. (Reads and idempotent writes that do are like
/// those that are lost, or repeated.)
fn may_be_late(place: Place<'_>) -> bool {
    matches!(place.to, "drs:StartRecovery" | "drs:TerminateRecoveryInstances")
}

fn draw_late(luck: &mut Luck, rates: Rates) -> Option<Fault> {
    if rates.late_seconds == 0 || !luck.hits(rates.late) {
        return None;
    }
    let seconds = 1 + luck.below(rates.late_seconds);
    Some(if luck.hits(500) { Fault::Late(seconds) } else { Fault::CrashLate(seconds) })
}

/// The error a caller sees.
pub fn port_error(action: &'static str, fault: Fault) -> PortError {
    let (class, sent) = match fault {
        Fault::Throttled => (ErrorClass::Throttled, Sent::Rejected),
        Fault::LostBefore
        | Fault::LostAfter
        | Fault::Hang
        | Fault::CrashBefore
        | Fault::CrashAfter
        | Fault::Freeze(_)
        | Fault::FreezeAfter(_)
        | Fault::Late(_)
        | Fault::CrashLate(_)
        | Fault::Duplicate => (ErrorClass::Transient, Sent::Unknown),
    };
    PortError { class, sent, ..PortError::unreadable(action, format!("injected: {fault:?}")) }
}
