//! Every single fault at every place of the canonical plan, and every pair of them. Not drawn: counted.
//!
//! A pair's second fault is placed on what the run does after the first one, so the ways of repair (the look for a job, the
//! second attempt, the adopted launch) are swept, too. Pairs leave out polls that ask what the poll before and the poll after
//! them ask, too: a run is hundreds of those, and what is between two of them is between any two.

use crate::faults::Fault;
use crate::hunt;
use crate::machine::Definition;
use crate::replay::{Base, Replay};
use crate::run::run;
use crate::script::{Entry, Happening};
use std::sync::Arc;

/// Everything that can go wrong with an activity's call: the worker dies before or after its effect, the answer is lost, …
const AT_CALL: &[Fault] = &[
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::Throttled,
    Fault::Hang,
    Fault::Freeze(120),
    Fault::FreezeAfter(120),
];
/// Beside those, what is sent once may take effect when its caller has given up, or died.
const AT_SENDING: &[Fault] = &[Fault::Late(100), Fault::CrashLate(100)];
/// A task's token never reaches a worker, or reaches two.
const AT_TOKEN: &[Fault] = &[Fault::LostBefore, Fault::Duplicate];
/// A task's result never reaches Step Functions.
const AT_ANSWER: &[Fault] = &[Fault::LostBefore];
/// A call of the state machine itself.
const AT_STATE: &[Fault] = &[Fault::LostBefore, Fault::LostAfter, Fault::Throttled];

/// Which faults a sweep places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// Every one.
    All,
    /// Where a worker dies: before a call's effect, after it, with its answer still to give.
    Crashes,
}

impl Kinds {
    fn has(self, place: &str, fault: Fault) -> bool {
        let (by, to) = place.split_once('/').unwrap_or_default();
        let dies = matches!(fault, Fault::CrashBefore | Fault::CrashAfter | Fault::CrashLate(_)) || by == "answer";
        // Without an effect there is nothing between before and after it.
        let twice = is_read(to) && matches!(fault, Fault::CrashAfter | Fault::LostAfter);
        !twice && (self == Self::All || dies)
    }
}

fn is_read(call: &str) -> bool {
    let operation = call.split_once(':').map_or("", |(_, operation)| operation);
    ["Describe", "Get", "List", "Query"].iter().any(|read| operation.starts_with(read))
}

fn faults_at(place: &str, kinds: Kinds) -> impl Iterator<Item = Fault> {
    let sent_once = place.ends_with("drs:StartRecovery") || place.ends_with("drs:TerminateRecoveryInstances");
    let (all, more) = match place.split_once('/').map(|(by, _)| by) {
        Some("token") => (AT_TOKEN, &[][..]),
        Some("answer") => (AT_ANSWER, &[][..]),
        Some("state") => (AT_STATE, &[][..]),
        _ => (AT_CALL, if sent_once { AT_SENDING } else { &[][..] }),
    };
    all.iter().chain(more).copied().filter(move |fault| kinds.has(place, *fault))
}

/// The canonical plans.
pub const BASES: &[Base] = &[Base::Drill, Base::Recovery];

/// A run with these faults that did not end as it has to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub what: String,
    /// The line that reproduces it.
    pub replay: String,
}

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// Places of the run without faults.
    pub places: usize,
    pub runs: u64,
    pub failures: Vec<Failure>,
}

/// Runs the plan with these faults: it has to succeed. Where it does, the places the run came to are given back.
fn trial(
    definition: &Arc<Definition>,
    base: Base,
    faults: &[&Entry],
    observed: bool,
) -> Result<Vec<(String, u32)>, Failure> {
    let script: Vec<Entry> = faults.iter().map(|entry| (*entry).clone()).collect();
    let replay = Replay { script: Some(script), ..Replay::of(base, None) };
    let mut story = replay.story();
    story.observed = observed;
    let outcome = run(definition, story);
    let what = match &outcome.violation {
        Some(violation) => format!("{} ({})", violation.rule, violation.detail),
        None if outcome.status != "SUCCEEDED" => format!("it ended {} {}", outcome.status, outcome.error),
        None => return Ok(outcome.trace),
    };
    Err(Failure { what, replay: replay.to_string() })
}

/// Every fault of these kinds at every one of these places.
fn faults(places: &[(String, u32)], kinds: Kinds) -> Vec<Entry> {
    places
        .iter()
        .flat_map(|(place, nth)| {
            faults_at(place, kinds).map(|fault| Entry {
                place: place.clone(),
                nth: *nth,
                what: Happening::Fault(fault),
            })
        })
        .collect()
}

/// Tasks of a trace: from a token's hand-out to the next one's.
fn tasks(places: &[(String, u32)]) -> Vec<&[(String, u32)]> {
    let begins = |place: &(String, u32)| place.0.starts_with("token/");
    let mut tasks = Vec::new();
    let mut from = 0;
    for (index, place) in places.iter().enumerate() {
        if begins(place) && index > from {
            tasks.push(&places[from..index]);
            from = index;
        }
    }
    tasks.push(&places[from..]);
    tasks
}

/// Without polls that look like the one before and the one after them.
fn telling(places: &[(String, u32)]) -> Vec<(String, u32)> {
    let tasks = tasks(places);
    let alike =
        |a: &[(String, u32)], b: &[(String, u32)]| a.iter().map(|place| &place.0).eq(b.iter().map(|place| &place.0));
    let is_poll = |task: &[(String, u32)]| task.first().is_some_and(|(place, _)| place.starts_with("token/poll-"));
    (0..tasks.len())
        .filter(|index| {
            let (task, before) = (tasks[*index], index.checked_sub(1).map(|before| tasks[before]));
            let after = tasks.get(index + 1);
            let dull =
                before.is_some_and(|before| alike(task, before)) && after.is_some_and(|after| alike(task, after));
            !(dull && is_poll(task))
        })
        .flat_map(|index| tasks[index].iter().cloned())
        .collect()
}

/// Every single fault, or every so manieth of them.
pub fn singles(base: Base, every: usize, cores: usize) -> Result<Swept, String> {
    let definition = hunt::machine(None)?;
    let places = trial(&definition, base, &[], true).map_err(|failure| failure.what)?;
    let all: Vec<Entry> = faults(&places, Kinds::All).into_iter().step_by(every.max(1)).collect();
    let mut swept = Swept { places: places.len(), ..Swept::default() };
    hunt::spread(
        0..all.len() as u64,
        cores,
        |number| {
            usize::try_from(number)
                .ok()
                .and_then(|index| all.get(index))
                .map(|fault| trial(&definition, base, &[fault], false))
        },
        |_, outcome| {
            swept.runs += 1;
            swept.failures.extend(outcome.and_then(Result::err));
            swept.failures.len() < 20
        },
    );
    Ok(swept)
}

/// How many first faults a plan has.
pub fn first_faults(base: Base, kinds: Kinds) -> Result<u64, String> {
    let places = trial(&hunt::machine(None)?, base, &[], true).map_err(|failure| failure.what)?;
    Ok(faults(&telling(&places), kinds).len() as u64)
}

/// All pairs whose first fault is one of these, counted from 1; `progress` hears of each first fault that is done.
pub fn pairs(
    base: Base,
    kinds: Kinds,
    first: std::ops::Range<u64>,
    cores: usize,
    mut progress: impl FnMut(u64, &Swept) + Send,
) -> Result<Swept, String> {
    let definition = hunt::machine(None)?;
    let places = trial(&definition, base, &[], true).map_err(|failure| failure.what)?;
    let all = faults(&telling(&places), kinds);
    let mut swept = Swept { places: places.len(), ..Swept::default() };
    hunt::spread(
        first,
        cores,
        |number| {
            let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
            all.get(index).map(|fault| seconds(&definition, base, kinds, fault)).unwrap_or_default()
        },
        |number, (runs, failures)| {
            swept.runs += runs;
            swept.failures.extend(failures);
            progress(number, &swept);
            swept.failures.len() < 20
        },
    );
    Ok(swept)
}

/// Every second fault after this first one.
fn seconds(definition: &Arc<Definition>, base: Base, kinds: Kinds, first: &Entry) -> (u64, Vec<Failure>) {
    let places = match trial(definition, base, &[first], true) {
        Ok(places) => places,
        Err(failure) => return (1, vec![failure]),
    };
    let struck = places.iter().position(|(place, nth)| *place == first.place && *nth == first.nth);
    let later = places.get(struck.map_or(0, |position| position + 1)..).unwrap_or_default();
    let mut failures = Vec::new();
    let seconds = faults(&telling(later), kinds);
    for second in &seconds {
        failures.extend(trial(definition, base, &[first, second], false).err());
    }
    (1 + seconds.len() as u64, failures)
}
