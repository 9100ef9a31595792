//! What the simulation found stays found: the stories that once broke a promise, on the canonical plan.

#![allow(clippy::unwrap_used, clippy::panic)]

use tidegate_simulation::faults::Fault;
use tidegate_simulation::foreign::ConsoleLaunch;
use tidegate_simulation::hunt;
use tidegate_simulation::replay::Base;
use tidegate_simulation::run::{Outcome, run};
use tidegate_simulation::scenario::Story;
use tidegate_simulation::script::{Entry, Happening};
use tidegate_simulation::world::{Cut, CutAt};

fn told(story: Story) -> Outcome {
    run(&hunt::machine(None).unwrap(), story)
}

fn no_violation(outcome: &Outcome, what: &str) {
    if let Some(violation) = &outcome.violation {
        panic!("{what}: {} ({})", violation.rule, violation.detail);
    }
}

/// When the state was entered for the n-th time.
fn second_of(outcome: &Outcome, state: &str, nth: usize) -> i64 {
    outcome.states.iter().filter(|(_, name)| &**name == state).nth(nth - 1).unwrap().0
}

/// Somebody launched the very servers of wave 2 from the console, moments before the run did. DRS refuses the run's call, and
/// as no call of the run is unanswered that job is not the run's: it must not be adopted, nor its instances cleaned up.
#[test]
fn a_console_users_job_is_never_adopted_when_no_call_is_unanswered() {
    let normal = told(Base::Drill.story());
    let begins = second_of(&normal, "StartWave", 2);
    for before in 1..=30 {
        let mut story = Base::Drill.story();
        let wave = story.input.pointer("/plan/waves/1/groups/0/sourceServerIds").unwrap().clone();
        let servers: Vec<String> = serde_json::from_value(wave).unwrap();
        story.console.push(ConsoleLaunch { at_second: begins - before, servers, is_drill: true });
        let outcome = told(story);
        no_violation(&outcome, &format!("launched {before} s before"));
        assert_ne!(outcome.status, "SUCCEEDED", "launched {before} s before");
    }
}

/// A start-wave freezes at any of its calls, the execution is stopped meanwhile, reconcile closes it and releases its locks.
/// The worker wakes up and must not open the closed wave again, let alone launch it.
#[test]
fn a_frozen_start_wave_does_nothing_after_the_end() {
    for (nth, cut) in [(1, Cut::Stop), (2, Cut::Stop), (2, Cut::TimeOut)] {
        let mut observed = Base::Drill.story();
        observed.observed = true;
        let normal = told(observed);
        let stop_at = second_of(&normal, "StartWave", nth) + 2;
        let tokens = |place: &str| place.starts_with("token/start-wave");
        let task = normal.trace.iter().enumerate().filter(|(_, (place, _))| tokens(place)).nth(nth - 1).unwrap().0;
        let calls: Vec<&(String, u32)> =
            normal.trace[task + 1..].iter().take_while(|(place, _)| place.starts_with("start-wave-v1/")).collect();
        assert!(calls.len() > 5, "{calls:?}");
        for (place, visit) in calls {
            let freeze = Entry { place: place.clone(), nth: *visit, what: Happening::Fault(Fault::Freeze(300)) };
            let line = freeze.to_string();
            let mut story = Base::Drill.story();
            story.script = Some(vec![freeze]);
            story.cuts.push((CutAt::Second(stop_at), cut));
            let outcome = told(story);
            no_violation(&outcome, &format!("{line}, {cut:?} at {stop_at}"));
            assert_ne!(outcome.status, "SUCCEEDED", "{line}");
        }
    }
}
