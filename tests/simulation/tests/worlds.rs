//! Many executions in one world, and executions that are ended from outside: 1,000 at once with all their outcomes known
//! beforehand; StopExecution, the machine's time-out and a fault of the machine at every call of a run, with what reconcile
//! makes of it; continuations and redrives of what ended. Covers SM-1, NFR-1.2, NFR-2.1, NFR-4.3, FR-5.4.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;
use tidegate_simulation::crowd;
use tidegate_simulation::hunt;
use tidegate_simulation::machine::Definition;
use tidegate_simulation::run::{Outcome, machines, run};
use tidegate_simulation::scenario::Story;
use tidegate_simulation::world::{Cut, CutAt, Sequel, SequelKind};

fn definition() -> Arc<Definition> {
    hunt::machine(None).unwrap()
}

fn no_violation(outcome: &Outcome, what: &str) {
    if let Some(violation) = &outcome.violation {
        panic!("{} ({}): {what}", violation.rule, violation.detail);
    }
}

#[test]
fn a_thousand_executions_at_once_come_to_their_right_ends() {
    let began = Instant::now();
    let crowded = crowd::run(&machines(&definition()).unwrap(), 1_000, 3).unwrap();
    let took = began.elapsed().as_secs_f64();
    let _ = writeln!(std::io::stderr(), "{crowded:?} in {took:.1} s");
    assert!(crowded.most_at_once >= 900, "{crowded:?}");
    assert_eq!(crowded.ends.get("FAILED (Tidegate.Conflict)"), Some(&50), "one of each pair: {crowded:?}");
}

/// Calls of the canonical story, a few of each phase.
fn calls(definition: &Arc<Definition>, wanted: u64) -> impl Iterator<Item = u64> {
    let calls = run(definition, Story::canonical(7)).calls;
    (0..calls).step_by(usize::try_from((calls / wanted).max(1)).unwrap())
}

#[test]
fn an_execution_may_be_ended_from_outside_at_any_call() {
    let definition = definition();
    for cut in Cut::ALL {
        for call in calls(&definition, 60) {
            let story = Story { cuts: vec![(CutAt::Call(call), *cut)], odd_events: 30, ..Story::canonical(7) };
            no_violation(&run(&definition, story), &format!("{cut:?} at call {call} of the canonical story"));
        }
    }
}

#[test]
fn what_was_stopped_can_be_continued_from_any_call() {
    let definition = definition();
    let uncut = run(&definition, Story::canonical(7)).states;
    let last_poll = uncut.iter().rfind(|(_, state)| &**state == "PollWave").unwrap();
    for call in calls(&definition, 60) {
        let sequels = vec![Sequel { what: SequelKind::Continue, after_seconds: 600, cut: None }];
        let story = Story { cuts: vec![(CutAt::Call(call), Cut::Stop)], sequels, ..Story::canonical(7) };
        let outcome = run(&definition, story);
        no_violation(&outcome, &format!("stopped at call {call} of the canonical story and continued"));
        // Whatever ran when it was stopped, in the end every wave is COMPLETED; unless nothing had begun, or all was over.
        let ends = &outcome.ends;
        let came_to = |wanted: &str| outcome.states.iter().any(|(_, state)| &**state == wanted);
        let over = outcome.status == "SUCCEEDED" || came_to("Finalize");
        let begun = came_to("ReadCancelBeforeWave") || came_to("EnterWave");
        // The last poll may have stored the last wave as COMPLETED before its answer was lost: then no wave is left to
        // continue at, and that is said.
        let last = ends.last().map(|(_, end)| end.as_str());
        let none_left = last == Some("Tidegate.PlanRefused") && outcome.states.last() == Some(last_poll);
        if begun && !over && !none_left {
            let stood = outcome.states.last();
            assert_eq!(
                last,
                Some("SUCCEEDED"),
                "stopped at call {call}: {ends:?}, after it stood at {stood:?}, {last_poll:?}"
            );
        }
    }
}

#[test]
fn a_redrive_never_launches_twice() {
    let definition = definition();
    for cut in Cut::ALL {
        for (call, after_seconds) in calls(&definition, 20).zip([0, 1, 5, 600].into_iter().cycle()) {
            let sequels = vec![Sequel { what: SequelKind::Redrive, after_seconds, cut: None }];
            let story = Story { cuts: vec![(CutAt::Call(call), *cut)], sequels, ..Story::canonical(7) };
            let what = format!("{cut:?} at call {call} of the canonical story, redriven after {after_seconds} s");
            no_violation(&run(&definition, story), &what);
        }
    }
}

/// Everything that can be seen of a run, as text.
fn trace(definition: &Arc<Definition>, seed: u64) -> String {
    format!("{:?}", run(definition, Story { observed: true, ..Story::from_seed(seed) }))
}

#[test]
fn the_same_seed_gives_the_same_run_on_any_thread_in_any_order() {
    let definition = definition();
    let forward: Vec<String> = (1..=20).map(|seed| trace(&definition, seed)).collect();
    let other = definition.clone();
    let backward = std::thread::spawn(move || (1..=20).rev().map(|seed| trace(&other, seed)).collect::<Vec<_>>());
    let mut backward = backward.join().unwrap();
    backward.reverse();
    for (seed, (first, second)) in (1..).zip(forward.iter().zip(&backward)) {
        assert!(first == second, "seed {seed} gave two runs");
    }
}
