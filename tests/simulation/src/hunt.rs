//! Many seeds on every core, and what came of them. A run keeps nothing but counts and its violations, so a night's worth
//! of seeds needs no more memory than a minute's.

use crate::bugs::{Bug, BugError};
use crate::machine::Definition;
use crate::run::{Outcome, run, shipped_machine};
use crate::scenario::Story;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shipped state machine.
pub const MACHINE: &str = include_str!("../../../statemachine/recovery.asl.json");

/// Violations that are kept; more of them say nothing new.
const KEPT_VIOLATIONS: usize = 20;

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs: a seed each.
    pub stories: u64,
    /// Executions of the recovery machine in them: the story's own, rivals, continuations.
    pub executions: u64,
    pub calls: u64,
    pub faults: u64,
    pub longest_history: u32,
    /// How many ended how.
    pub ends: BTreeMap<String, u64>,
    pub violations: u64,
    /// The first of them, by seed.
    pub kept: BTreeMap<u64, Outcome>,
}

impl Tally {
    /// Takes in one run.
    pub fn add(&mut self, outcome: Outcome) {
        self.stories += 1;
        self.executions += outcome.ends.len() as u64;
        self.calls += outcome.calls;
        self.faults += outcome.faults;
        self.longest_history = self.longest_history.max(outcome.events);
        let end = if outcome.error.is_empty() { &outcome.status } else { &outcome.error };
        *self.ends.entry(end.clone()).or_default() += 1;
        if outcome.violation.is_some() {
            self.violations += 1;
            self.kept.insert(outcome.seed, outcome);
            if self.kept.len() > KEPT_VIOLATIONS {
                self.kept.pop_last();
            }
        }
    }

    /// One line with the figures.
    pub fn figures(&self, elapsed: Duration, cores: usize) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let per_core = |count: u64| count as f64 / seconds / cores.max(1) as f64;
        format!(
            "{} seeds, {} executions, {} calls, {} faults, longest history {} events, {seconds:.0} s on {cores} cores: {:.0} seeds \
             and {:.0} executions a second and core, {} violations",
            self.stories,
            self.executions,
            self.calls,
            self.faults,
            self.longest_history,
            per_core(self.stories),
            per_core(self.executions),
            self.violations
        )
    }
}

/// Cores to run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The machine, with a bug or without.
pub fn machine(bug: Option<&'static Bug>) -> Result<Arc<Definition>, String> {
    let text = match bug {
        Some(bug) => bug.in_machine(MACHINE).map_err(|error: BugError| error.to_string())?,
        None => MACHINE.to_owned(),
    };
    shipped_machine(&text).map(Arc::new)
}

/// Runs `jobs` numbered things on every core: `one` is run for each number, `done` hears of each outcome, in no certain
/// order, and stops everything by answering false.
pub fn spread<O: Send>(
    numbers: Range<u64>,
    cores: usize,
    one: impl Fn(u64) -> O + Sync,
    done: impl FnMut(u64, O) -> bool + Send,
) {
    let (next, stop, done) = (AtomicU64::new(numbers.start), AtomicBool::new(false), Mutex::new(done));
    std::thread::scope(|scope| {
        for _ in 0..cores.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        break;
                    }
                    let outcome = one(number);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    if !done(number, outcome) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// Runs seeds; `progress` hears of the tally about every ten seconds.
pub fn seeds(
    definition: &Arc<Definition>,
    seeds: Range<u64>,
    bug: Option<&'static Bug>,
    cores: usize,
    mut progress: impl FnMut(&Tally, Duration) + Send,
) -> (Tally, Duration) {
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut told = began;
    spread(
        seeds,
        cores,
        |seed| run(definition, Story { bug, ..Story::from_seed(seed) }),
        |_, outcome| {
            tally.add(outcome);
            if told.elapsed() >= Duration::from_secs(10) {
                told = Instant::now();
                progress(&tally, began.elapsed());
            }
            true
        },
    );
    (tally, began.elapsed())
}

/// How a bug was found.
#[derive(Debug)]
pub struct Found {
    pub outcome: Outcome,
    /// Seeds that were run.
    pub seeds: u64,
    pub elapsed: Duration,
}

/// What may be spent on finding one bug.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub longest: Duration,
    /// So many seeds are run even if they take longer, on a machine that is busy with other things.
    pub least_seeds: u64,
    pub most_seeds: u64,
}

impl Budget {
    /// A minute: an idle core runs 3,000 seeds in a fraction of it.
    pub const MINUTE: Self = Self { longest: Duration::from_secs(60), least_seeds: 3_000, most_seeds: 20_000 };
}

/// Runs seeds with a bug until one breaks the promise that has to find it; None when the budget did not suffice.
pub fn find(bug: &'static Bug, budget: Budget, cores: usize) -> Result<Option<Found>, String> {
    let definition = machine(Some(bug))?;
    let began = Instant::now();
    let (mut found, mut seeds) = (None, 0);
    spread(
        1..1 + budget.most_seeds,
        cores,
        |seed| run(&definition, Story { bug: Some(bug), ..Story::from_seed(seed) }),
        |_, outcome| {
            seeds += 1;
            let by = outcome.violation.as_ref().map(|violation| violation.rule);
            if by == Some(bug.rule) && found.is_none() {
                found = Some(outcome);
            }
            found.is_none() && (began.elapsed() < budget.longest || seeds < budget.least_seeds)
        },
    );
    Ok(found.map(|outcome| Found { outcome, seeds, elapsed: began.elapsed() }))
}
