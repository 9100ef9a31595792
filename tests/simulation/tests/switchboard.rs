//! The net is tested, too: every seeded bug is found, each with its own budget; one that is not is named. `make sim-bugs`
//! prints how many seeds each one needs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeSet;
use tidegate_simulation::bugs::{BUGS, Bug};
use tidegate_simulation::hunt::{self, Budget};
use tidegate_simulation::replay::{Base, Replay};
use tidegate_simulation::shrink::shrink;

#[test]
fn every_bug_is_found_within_a_minute() {
    assert!(BUGS.len() >= 20, "{} bugs are no switchboard", BUGS.len());
    let mut not_found = Vec::new();
    for bug in BUGS {
        match hunt::find(bug, Budget::MINUTE, hunt::cores()) {
            Ok(Some(found)) => {
                let rule = found.outcome.violation.map_or("", |violation| violation.rule);
                eprintln!("{:<32}{:>6} seeds {:>5.1} s  {rule}", bug.name, found.seeds, found.elapsed.as_secs_f64());
            }
            Ok(None) => not_found.push(format!("{} ({})", bug.name, bug.mistake)),
            Err(problem) => not_found.push(problem),
        }
    }
    assert!(not_found.is_empty(), "the net does not find: {not_found:#?}");
}

#[test]
fn bugs_have_names_of_their_own() {
    let names: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
    assert_eq!(names.len(), BUGS.len());
}

/// The page's table names the same bugs, no more and no fewer.
#[test]
fn the_page_lists_every_bug() {
    let page = include_str!("../../../docs/simulation.md");
    let listed: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ").map(|(name, _)| name)).collect();
    let names: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
    assert_eq!(listed, names);
}

/// A failing seed shrinks to a story that fails alike, the same each time, and its line can be read again.
fn shrinks(name: &str, most_entries: usize) {
    let bug: &'static Bug = Bug::named(name).unwrap();
    let found = hunt::find(bug, Budget::MINUTE, 1).unwrap().unwrap();
    let whole = Replay::of(Base::Seed(found.outcome.seed), Some(bug));
    let first = shrink(&whole, &found.outcome, 1_500).unwrap().unwrap();
    let second = shrink(&whole, &found.outcome, 1_500).unwrap().unwrap();
    assert_eq!(first.replay.to_string(), second.replay.to_string());
    let rule = found.outcome.violation.unwrap().rule;
    let again: Replay = first.replay.to_string().parse().unwrap();
    assert_eq!(again.run().unwrap().violation.unwrap().rule, rule, "{again}");
    let entries = first.replay.script.as_deref().unwrap_or_default().len();
    assert!(entries <= most_entries, "{entries} entries are left: {again}");
    eprintln!("{again}");
}

#[test]
fn a_missing_look_shrinks_to_a_few_faults() {
    shrinks("look-finds-nothing", 4);
}

#[test]
fn a_double_outcome_shrinks_to_a_few_faults() {
    shrinks("finish-unconditionally", 4);
}
