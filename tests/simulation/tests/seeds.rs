//! The shipped machine and the real activities under faults: random stories, and one crash at every call of a plain drill.
//! A failing seed is reproduced by `make sim SEED=n`. Covers SM-1, SM-2, NFR-1.1, NFR-1.2, NFR-2.4, AC-4.3, AC-4.5, FR-5.4, c-09, c-14,
//! c-15, c-20, c-46.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use tidegate_simulation::faults::{Fault, Faults};
use tidegate_simulation::machine::Definition;
use tidegate_simulation::run::{Outcome, run, shipped_machine};
use tidegate_simulation::scenario::Story;

fn machine() -> Arc<Definition> {
    Arc::new(shipped_machine(include_str!("../../../statemachine/recovery.asl.json")).unwrap())
}

fn no_violation(outcome: &Outcome, again: &str) {
    if let Some(violation) = &outcome.violation {
        panic!("{} ({}) after {} calls; {again}", violation.rule, violation.detail, outcome.calls);
    }
}

fn seeds(from: u64, count: u64) {
    let machine = machine();
    for seed in from..from + count {
        no_violation(&run(&machine, Story::from_seed(seed), None), &format!("again: make sim SEED={seed}"));
    }
}

#[test]
fn no_promise_is_broken_in_seeds_1_to_150() {
    seeds(1, 150);
}

#[test]
fn no_promise_is_broken_in_seeds_151_to_300() {
    seeds(151, 150);
}

#[test]
fn a_plain_drill_completes() {
    let outcome = run(&machine(), Story::canonical(7), None);
    no_violation(&outcome, "the canonical story, seed 7");
    assert_eq!(outcome.status, "SUCCEEDED", "{outcome:?}");
    assert!(outcome.states.iter().any(|state| state == "AwaitResume"), "{:?}", outcome.states);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (first, second) = (run(&machine(), Story::from_seed(42), None), run(&machine(), Story::from_seed(42), None));
    assert_eq!((first.states, first.calls, first.events), (second.states, second.calls, second.events));
}

/// One fault at one call, at a spread of calls of a plain drill: it still completes, whatever the call was. The nightly
/// run takes every call.
fn sweep(fault: Fault) {
    let machine = machine();
    let calls = run(&machine, Story::canonical(7), None).calls;
    let step = usize::try_from((calls / 60).max(1)).unwrap();
    for call in (1..=calls).step_by(step) {
        let outcome = run(&machine, Story::canonical(7), Some(Faults::single(7, call, fault)));
        no_violation(&outcome, &format!("{fault:?} at call {call} of the canonical story"));
        assert_eq!(outcome.status, "SUCCEEDED", "{fault:?} at call {call}: {outcome:?}");
    }
}

#[test]
fn a_worker_may_die_before_any_call() {
    sweep(Fault::CrashBefore);
}

#[test]
fn a_worker_may_die_after_any_call() {
    sweep(Fault::CrashAfter);
}

#[test]
fn any_answer_may_be_lost() {
    sweep(Fault::LostAfter);
}

#[test]
fn any_call_may_hang() {
    sweep(Fault::Hang);
}

#[test]
fn a_worker_may_freeze_at_any_call_and_come_back() {
    sweep(Fault::Freeze(120));
}
