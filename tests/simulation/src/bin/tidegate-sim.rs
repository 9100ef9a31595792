//! `tidegate-sim [--seeds N] [--from SEED] [--seed SEED]`: runs seeds and prints what came of them. A violation is printed
//! with the one line that reproduces it, and makes the exit code 1.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tidegate_simulation::run::{Outcome, run, shipped_machine};
use tidegate_simulation::scenario::Story;

const MACHINE: &str = include_str!("../../../../statemachine/recovery.asl.json");

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    match simulate(&mut out) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "tidegate-sim: {message}");
            ExitCode::FAILURE
        }
    }
}

fn option(name: &str) -> Result<Option<u64>, String> {
    let args: Vec<String> = std::env::args().collect();
    let Some(position) = args.iter().position(|arg| arg == name) else {
        return Ok(None);
    };
    let value = args.get(position + 1).ok_or_else(|| format!("{name} needs a number"))?;
    value.parse().map(Some).map_err(|_| format!("{name} needs a number, not {value}"))
}

fn simulate(out: &mut impl std::io::Write) -> Result<usize, String> {
    let definition = Arc::new(shipped_machine(MACHINE)?);
    if let Some(seed) = option("--seed")? {
        let outcome = run(&definition, Story::from_seed(seed), None);
        let _ = writeln!(out, "{}\n{}", outcome.states.join(" > "), line(&outcome));
        return Ok(usize::from(outcome.violation.is_some()));
    }
    let (seeds, from) = (option("--seeds")?.unwrap_or(1_000), option("--from")?.unwrap_or(1));
    let began = Instant::now();
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let (mut violations, mut calls, mut faults, mut most_events) = (Vec::new(), 0, 0, 0);
    for seed in from..from + seeds {
        let outcome = run(&definition, Story::from_seed(seed), None);
        calls += outcome.calls;
        faults += outcome.faults;
        most_events = most_events.max(outcome.events);
        let end = if outcome.error.is_empty() { outcome.status.clone() } else { outcome.error.clone() };
        *ends.entry(end).or_default() += 1;
        if outcome.violation.is_some() {
            let _ = writeln!(out, "{}", line(&outcome));
            violations.push(seed);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    for (end, count) in &ends {
        let _ = writeln!(out, "{count:>8}  {end}");
    }
    let _ = writeln!(
        out,
        "{seeds} executions, {calls} calls, {faults} faults, longest history {most_events} events, {:.0} executions a second, {} violations",
        seeds as f64 / seconds,
        violations.len()
    );
    Ok(violations.len())
}

fn line(outcome: &Outcome) -> String {
    let what = match &outcome.violation {
        Some(violation) => format!("VIOLATION {} ({})", violation.rule, violation.detail),
        None => format!("{} {}", outcome.status, outcome.error),
    };
    format!(
        "seed {}: {what}; {} calls, {} faults, {} events, {} s. Again: make sim SEED={}",
        outcome.seed, outcome.calls, outcome.faults, outcome.events, outcome.virtual_seconds, outcome.seed
    )
}
