//! The shipped machine and the real activities under faults: random stories, and single faults over the canonical plan.
//! A failing seed is reproduced by `make sim SEED=n`, which also shrinks it. Covers SM-1, SM-2, NFR-1.1, NFR-1.2, NFR-2.4, AC-4.3,
//! AC-4.5, FR-5.4, c-09, c-14, c-15, c-20, c-46.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::time::Instant;
use tidegate_simulation::hunt;
use tidegate_simulation::replay::{Base, Replay};
use tidegate_simulation::run::{Outcome, run};
use tidegate_simulation::scenario::Story;
use tidegate_simulation::sweep::{self, Kinds};

/// Seeds of the pull-request run; `TIDEGATE_SIM_SEEDS` overrides it.
const SEEDS: u64 = 20_000;
/// Of the canonical plan's single faults the pull-request run takes every so manieth; `make sim-crashes` takes all.
const EVERY: usize = 16;

fn no_violation(outcome: &Outcome, again: &str) {
    if let Some(violation) = &outcome.violation {
        panic!("{} ({}) after {} calls; {again}", violation.rule, violation.detail, outcome.calls);
    }
}

#[test]
fn no_promise_is_broken_in_any_seed() {
    let seeds = match std::env::var("TIDEGATE_SIM_SEEDS") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => SEEDS,
    };
    let cores = hunt::cores();
    let (tally, elapsed) = hunt::seeds(&hunt::machine(None).unwrap(), 1..1 + seeds, None, cores, |_, _| {});
    eprintln!("{}", tally.figures(elapsed, cores));
    if let Some((seed, outcome)) = tally.kept.first_key_value() {
        no_violation(outcome, &format!("{} violations in all; again: make sim SEED={seed}", tally.violations));
    }
    assert_eq!(tally.stories, seeds);
    assert!(tally.faults > seeds, "a net without faults catches nothing");
}

#[test]
fn a_plain_drill_completes() {
    let outcome = run(&hunt::machine(None).unwrap(), Story::canonical(7));
    no_violation(&outcome, "the canonical story, seed 7");
    assert_eq!(outcome.status, "SUCCEEDED", "{outcome:?}");
    assert!(outcome.states.iter().any(|(_, state)| &**state == "AwaitResume"), "{:?}", outcome.states);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let machine = hunt::machine(None).unwrap();
    let (first, second) = (run(&machine, Story::from_seed(42)), run(&machine, Story::from_seed(42)));
    assert_eq!((first.states, first.calls, first.events), (second.states, second.calls, second.events));
}

/// What went wrong and what people said is written down whole: played again it gives the same run.
#[test]
fn the_script_of_a_run_gives_the_same_run() {
    let machine = hunt::machine(None).unwrap();
    for seed in 1..=60 {
        let drawn = run(&machine, Story::from_seed(seed));
        let again = run(&machine, Story { script: Some(drawn.script.clone()), ..Story::from_seed(seed) });
        assert_eq!((drawn.states, drawn.calls, drawn.faults), (again.states, again.calls, again.faults), "seed {seed}");
    }
}

/// A story is told call by call: the worker, the attempt, the question, the answer, the virtual time, and the log lines of the
/// activities between them. Telling it changes nothing.
#[test]
fn a_story_is_told_call_by_call() {
    let replay: Replay =
        "plan=drill start-wave-v1/drs:StartRecovery#1=crashAfter gate/AwaitResume#1=resume@90".parse().unwrap();
    let (told, lines) = replay.tell().unwrap();
    let plain = replay.run().unwrap();
    assert_eq!((told.states, told.calls, told.events), (plain.states, plain.calls, plain.events));
    let line = |parts: &[&str]| {
        let found = lines.iter().find(|line| parts.iter().all(|part| line.contains(part)));
        found.unwrap_or_else(|| panic!("no line with {parts:?}")).as_str()
    };
    let lost =
        line(&["start-wave-v1 task", "attempt 1: drs:StartRecovery drill of s-", "-> drsjob-", "(fault: crashAfter)"]);
    let adopted = line(&["start-wave-v1 task", "attempt 2: logs JobAdopted", "job_id=drsjob-"]);
    let at = |line: &str| line.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    assert!(at(lost) < at(adopted), "{lost}\n{adopted}");
    line(&["worker", "begins for simulated: {", "waveNumber\":1"]);
    line(&["attempt 2: answers {", "\"phase\":\"SNAPSHOT\""]);
    line(&["is up again"]);
    line(&["dynamodb:UpdateItem ExecutionWaves simulated 0001#01", "intent.lastSentAt=", "-> written"]);
    line(&["simulated: calls dynamodb:updateItem"]);
    line(&["operator: answers Resume at the gate of AwaitResume: Accepted"]);
    line(&["simulated: ends SUCCEEDED"]);
    assert!(lines.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])), "the lines are in the order of time");
}

/// One fault at one place: the plan still succeeds, whatever the fault and the place.
fn sweep_of(base: Base) {
    let began = Instant::now();
    let swept = sweep::singles(base, EVERY, hunt::cores()).unwrap();
    eprintln!(
        "{base:?}: {} places, {} single faults in {:.0} s",
        swept.places,
        swept.runs,
        began.elapsed().as_secs_f64()
    );
    assert!(swept.runs > 500, "{} runs are no sweep", swept.runs);
    assert!(swept.failures.is_empty(), "{:#?}", swept.failures);
}

#[test]
fn a_drill_survives_any_single_fault() {
    sweep_of(Base::Drill);
}

#[test]
fn a_recovery_survives_any_single_fault() {
    sweep_of(Base::Recovery);
}

/// A stretch of the pairs; the night runs all of them (`make sim-pairs`).
#[test]
fn a_drill_survives_pairs_of_faults() {
    let whole = sweep::first_faults(Base::Drill, Kinds::All).unwrap();
    let swept = sweep::pairs(Base::Drill, Kinds::All, whole / 2..whole / 2 + 1, hunt::cores(), |_, _| {}).unwrap();
    assert!(swept.runs > 100, "{} runs are no sweep", swept.runs);
    assert!(swept.failures.is_empty(), "{:#?}", swept.failures);
}
