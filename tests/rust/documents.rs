//! Documents name what the code names. Whoever adds an error, a status or a state writes its line, or this fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use tidegate_contract::machines::{MACHINES, MachineSpec};
use tidegate_contract::{
    CleanupStatus, ErrorName, ExecutionStatus, LaunchStatus, PostLaunchStatus, WavePhase, WaveStatus,
};
use tidegate_tests::asl::{Contract, Machine};
use tidegate_tests::{diagram, repository};

const README: &str = "statemachine/README.md";
const BEGIN: &str = "<!-- generated: UPDATE_GOLDEN=1 cargo test -p tidegate-tests -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_readme_of_the_state_machines_is_fresh() {
    let page = repository::text(README).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the README has lost its marker");
    let (_, tail) = rest.split_once(END).expect("the README has lost its end marker");
    let mut generated = String::new();
    for MachineSpec { name, .. } in MACHINES {
        let path = format!("statemachine/{name}.asl.json");
        let (text, machine) = (repository::text(&path).unwrap(), repository::json(&path).unwrap());
        let rendered = diagram::render(name, &text, &machine, &Contract::shipped());
        for state in Machine::new(&machine).states.keys() {
            assert!(rendered.contains(&format!("| `{state}` |")), "the generator leaves {state} of {name} out");
        }
        generated.push_str(&rendered);
    }
    generated.push_str(&diagram::rules());
    let fresh = format!("{head}{BEGIN}\n{generated}{END}{tail}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(repository::root().join(README), &fresh).unwrap();
        return;
    }
    assert!(
        page == fresh,
        "{README} is stale: run `UPDATE_GOLDEN=1 cargo test -p tidegate-tests` and commit the result"
    );
}

// T7.5: whoever reads an error or a status at night can look it up.
#[test]
fn every_error_has_a_section_and_no_section_is_about_nothing() {
    let page = repository::text("docs/errors.md").unwrap();
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.trim_matches('`'))
        .filter(|title| title.starts_with("Tidegate."))
        .collect();
    let named: BTreeSet<&str> = ErrorName::ALL.iter().map(|name| name.as_str()).collect();
    assert_eq!(described, named, "docs/errors.md and workers/contract/src/errors.rs differ");
}

#[test]
fn every_status_is_described() {
    let page = repository::text("docs/statuses.md").unwrap();
    // The same word means different things on an execution, a wave and a server, so each set has its own section.
    let sets: [(&str, Vec<&str>); 6] = [
        ("Execution", ExecutionStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("Wave", WaveStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("Phase", WavePhase::ALL.iter().map(|status| status.as_str()).collect()),
        ("Server", LaunchStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("Post-launch actions", PostLaunchStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("Cleanup", CleanupStatus::ALL.iter().map(|status| status.as_str()).collect()),
    ];
    for (title, statuses) in sets {
        let described = first_cells(section(&page, title));
        for status in statuses {
            assert!(described.contains(status), "docs/statuses.md, section {title}, has no row for {status}");
        }
    }
}

/// The text below `## title`, up to the next heading of that rank.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let sections = page.split("\n## ").skip(1);
    sections.into_iter().find(|section| section.lines().next() == Some(title)).unwrap_or_default()
}

/// The first cell of every table row.
fn first_cells(section: &str) -> BTreeSet<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    rows.map(|cell| cell.trim().trim_matches('`')).collect()
}
