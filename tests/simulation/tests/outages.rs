//! Half an hour without one dependency, throttled or dead, from the first moment of every state of the canonical plan on:
//! the run still succeeds, and nobody calls the dependency more often than in a normal run's busiest minutes. Covers
//! NFR-1.2, NFR-2.1.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_simulation::hunt;
use tidegate_simulation::outage::{Dependency, Outage, OutageKind, busiest};
use tidegate_simulation::replay::Base;
use tidegate_simulation::run::{Outcome, run};
use tidegate_simulation::scenario::Story;
use tidegate_simulator::{FaultKind, FaultRule};

const HALF_AN_HOUR: i64 = 1_800;
/// Minutes over which calls are counted: one round of a task's first, quick retries is no storm, a series of them is.
const STRETCH_MINUTES: i64 = 5;

/// What the outages strike.
#[derive(Debug, Clone, Copy)]
enum Told {
    Plan(Base),
    /// The canonical drill, with a wave that fails once: a person decides that it is tried again.
    FailedOnce,
}

impl Told {
    fn story(self) -> Story {
        let mut story = match self {
            Self::Plan(base) => return base.story(),
            Self::FailedOnce => Base::Drill.story(),
        };
        story.input["plan"]["waves"][1]["onFailure"] = json!("gate");
        let mut rule = FaultRule::new(FaultKind::LaunchFails);
        rule.count = Some(1);
        rule.source_server_id = story.servers[2]["sourceServerId"].as_str().map(str::to_owned);
        story.server_faults.push(rule);
        story
    }
}

fn observed(told: Told, outages: Vec<Outage>) -> Outcome {
    let story = Story { outages, observed: true, ..told.story() };
    run(&hunt::machine(None).unwrap(), story)
}

/// When each state was entered first, and the middle of every longer stay.
fn beginnings(outcome: &Outcome) -> BTreeSet<i64> {
    let mut first: BTreeMap<&str, i64> = BTreeMap::new();
    for (second, state) in &outcome.states {
        first.entry(state).or_insert(*second);
    }
    let end = outcome.virtual_seconds;
    let spread = (0..8).map(|eighth| eighth * end / 8);
    first.into_values().chain(spread).collect()
}

/// What is normal without being seen in this very run. A wave that is being enriched asks EC2 once in a poll, every thirty
/// seconds while EC2 does not answer, until its grace is over, and once more at the end: here EC2 answers the first poll. A launch
/// that cannot see what DRS would delete is tried again, quickly at first. What the machine calls once in a phase it may repeat three times a minute.
fn at_least(of: Dependency) -> u32 {
    match of {
        Dependency::Ec2 => 15,
        Dependency::Machine => 15,
        Dependency::Drs | Dependency::Sts | Dependency::DynamoDb | Dependency::StepFunctions => 0,
    }
}

fn every_outage_is_survived(told: Told) {
    let normal = observed(told, Vec::new());
    assert_eq!(normal.status, "SUCCEEDED", "{normal:?}");
    let end = normal.virtual_seconds;
    let mut problems = Vec::new();
    for of in Dependency::ALL.iter().copied() {
        // Without credentials it is DRS that is not called.
        let called = if of == Dependency::Sts { Dependency::Drs } else { of };
        let bound = busiest(&normal.rate, called, 0..end / 60 + 1, STRETCH_MINUTES).max(at_least(of));
        let mut most = 0;
        for kind in [OutageKind::Throttled, OutageKind::Down] {
            for from_second in beginnings(&normal) {
                let outage = Outage { of, kind, from_second, seconds: HALF_AN_HOUR };
                let outcome = observed(told, vec![outage]);
                let (first, last) = (from_second / 60, (from_second + HALF_AN_HOUR) / 60);
                let calls = busiest(&outcome.rate, called, first..last, STRETCH_MINUTES);
                most = most.max(calls);
                if outcome.violation.is_some() || outcome.status != "SUCCEEDED" {
                    let broken = outcome.violation.map(|violation| violation.rule);
                    problems.push(format!("{outage:?}: {} {} {broken:?}", outcome.status, outcome.error));
                }
                if calls > bound {
                    problems.push(format!("{outage:?}: {calls} calls in five minutes, {bound} in a normal run"));
                }
            }
        }
        eprintln!("{told:?}, no {}: at most {most} calls in five minutes; normal: {bound}", of.as_str());
    }
    assert!(
        problems.is_empty(),
        "{} problems, the first: {:#?}",
        problems.len(),
        problems.iter().take(12).collect::<Vec<_>>()
    );
}

#[test]
fn a_drill_survives_half_an_hour_without_any_dependency() {
    every_outage_is_survived(Told::Plan(Base::Drill));
}

#[test]
fn a_recovery_survives_half_an_hour_without_any_dependency() {
    every_outage_is_survived(Told::Plan(Base::Recovery));
}

#[test]
fn a_failed_wave_is_decided_and_tried_again_through_half_an_hour_without_any_dependency() {
    assert!(observed(Told::FailedOnce, Vec::new()).states.iter().any(|(_, state)| &**state == "AwaitDecision"));
    every_outage_is_survived(Told::FailedOnce);
}
