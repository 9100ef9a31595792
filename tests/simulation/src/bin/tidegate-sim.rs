//! `tidegate-sim`: runs seeds and prints what came of them. A violation is printed with the one line that reproduces it, and
//! makes the exit code 1.
//!
//! ```text
//!   tidegate-sim [--seeds N] [--from SEED] [--bug NAME]   many seeds, on every core
//!   tidegate-sim --seed N [--bug NAME]                    one seed, told call by call, and the shrunk story if it fails
//!   tidegate-sim --replay 'TEXT'                          a story that was written down, told likewise
//!   tidegate-sim --crashes [--every N]                    every single fault at every place of the canonical plan
//!   tidegate-sim --pairs [--kinds crashes] [--from N] [--seeds N]   every pair of them, by first fault
//!   tidegate-sim --bugs [--seeds N]                       the switchboard: how many seeds each bug needs
//! ```

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use tidegate_simulation::bugs::{BUGS, Bug};
use tidegate_simulation::hunt::{self, Budget, Tally};
use tidegate_simulation::replay::{Base, Replay, ReplayError};
use tidegate_simulation::run::Outcome;
use tidegate_simulation::shrink::shrink;
use tidegate_simulation::sweep::{self, Kinds, Swept};

/// Runs a failing story may take to shrink.
const MOST_SHRINKING_RUNS: u32 = 3_000;

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    match simulate(&mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "tidegate-sim: {message}");
            ExitCode::FAILURE
        }
    }
}

fn text_option(name: &str) -> Result<Option<String>, String> {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    match args.next() {
        None => Ok(None),
        Some(_) => args.next().map(Some).ok_or_else(|| format!("{name} needs a value")),
    }
}

fn option(name: &str) -> Result<Option<u64>, String> {
    let wrong = |value: &str| format!("{name} needs a number, not {value}");
    text_option(name)?.map(|value| value.parse().map_err(|_| wrong(&value))).transpose()
}

fn has(name: &str) -> bool {
    std::env::args().any(|arg| arg == name)
}

fn simulate(out: &mut (impl std::io::Write + Send)) -> Result<bool, String> {
    let bug = text_option("--bug")?.map(|name| Bug::named(&name)).transpose().map_err(|error| error.to_string())?;
    if has("--bugs") {
        return switchboard(out);
    }
    if has("--crashes") {
        return crashes(out);
    }
    if has("--pairs") {
        return pairs(out);
    }
    if let Some(text) = text_option("--replay")? {
        return one(out, &text.parse().map_err(|error: ReplayError| error.to_string())?);
    }
    if let Some(seed) = option("--seed")? {
        return one(out, &Replay::of(Base::Seed(seed), bug));
    }
    many(out, bug)
}

/// One story, told in full; shrunk if it fails.
fn one(out: &mut impl std::io::Write, replay: &Replay) -> Result<bool, String> {
    let (outcome, lines) = replay.tell()?;
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{}", line(&outcome));
    if outcome.violation.is_none() {
        return Ok(true);
    }
    shrunk(out, replay, &outcome)?;
    Ok(false)
}

/// The smallest story that breaks the same promise.
fn shrunk(out: &mut impl std::io::Write, replay: &Replay, outcome: &Outcome) -> Result<(), String> {
    match shrink(replay, outcome, MOST_SHRINKING_RUNS)? {
        Some(shrunk) => {
            let (small, runs) = (&shrunk.replay, shrunk.runs);
            let _ = writeln!(out, "shrunk in {runs} runs: tidegate-sim --replay '{small}'");
        }
        None => {
            let _ = writeln!(out, "its own script does not fail again: a fault of the simulation");
        }
    }
    Ok(())
}

fn many(out: &mut (impl std::io::Write + Send), bug: Option<&'static Bug>) -> Result<bool, String> {
    let definition = hunt::machine(bug)?;
    let (seeds, from) = (option("--seeds")?.unwrap_or(1_000), option("--from")?.unwrap_or(1));
    let cores = hunt::cores();
    let (tally, elapsed) = hunt::seeds(&definition, from..from + seeds, bug, cores, |tally: &Tally, elapsed| {
        let _ = writeln!(std::io::stderr(), "{}", tally.figures(elapsed, cores));
    });
    for outcome in tally.kept.values() {
        let _ = writeln!(out, "{}", line(outcome));
    }
    for (end, count) in &tally.ends {
        let _ = writeln!(out, "{count:>8}  {end}");
    }
    let _ = writeln!(out, "{}", tally.figures(elapsed, cores));
    if let Some(outcome) = tally.kept.values().next() {
        shrunk(out, &Replay::of(Base::Seed(outcome.seed), bug), outcome)?;
    }
    Ok(tally.violations == 0)
}

fn tell_failures(out: &mut impl std::io::Write, swept: &Swept) -> bool {
    for failure in &swept.failures {
        let _ = writeln!(out, "VIOLATION {}: tidegate-sim --replay '{}'", failure.what, failure.replay);
    }
    swept.failures.is_empty()
}

fn crashes(out: &mut impl std::io::Write) -> Result<bool, String> {
    let every = usize::try_from(option("--every")?.unwrap_or(1)).unwrap_or(1);
    let mut all = true;
    for base in sweep::BASES {
        let began = Instant::now();
        let swept = sweep::singles(*base, every, hunt::cores())?;
        all &= tell_failures(out, &swept);
        let _ = writeln!(
            out,
            "{base:?}: {} places, {} single faults, {:.0} s, {} violations",
            swept.places,
            swept.runs,
            began.elapsed().as_secs_f64(),
            swept.failures.len()
        );
    }
    Ok(all)
}

/// `--from` and `--seeds` count first faults, so that a night's pairs can be run in pieces.
fn pairs(out: &mut impl std::io::Write) -> Result<bool, String> {
    let kinds = match text_option("--kinds")?.as_deref() {
        None | Some("all") => Kinds::All,
        Some("crashes") => Kinds::Crashes,
        Some(other) => return Err(format!("--kinds is all or crashes, not {other}")),
    };
    let mut all = true;
    for base in sweep::BASES {
        let began = Instant::now();
        let (first, whole) = (option("--from")?.unwrap_or(1), sweep::first_faults(*base, kinds)?);
        let last = option("--seeds")?.map_or(whole, |count| whole.min(first.saturating_add(count) - 1));
        let mut told = began;
        let swept = sweep::pairs(*base, kinds, first..last.saturating_add(1), hunt::cores(), |number, swept| {
            if told.elapsed().as_secs() >= 10 {
                told = Instant::now();
                let (runs, failures) = (swept.runs, swept.failures.len());
                let _ = writeln!(
                    std::io::stderr(),
                    "{base:?}: at first fault {number} of {whole}: {runs} runs, {failures} violations"
                );
            }
        })?;
        all &= tell_failures(out, &swept);
        let _ = writeln!(
            out,
            "{base:?}: first faults {first} to {last} of {whole}, {} runs, {:.0} s, {} violations",
            swept.runs,
            began.elapsed().as_secs_f64(),
            swept.failures.len()
        );
    }
    Ok(all)
}

fn switchboard(out: &mut impl std::io::Write) -> Result<bool, String> {
    let budget = Budget { most_seeds: option("--seeds")?.unwrap_or(Budget::MINUTE.most_seeds), ..Budget::MINUTE };
    let mut all = true;
    for bug in BUGS {
        let found = hunt::find(bug, budget, hunt::cores())?;
        let (rule, seeds) = match &found {
            Some(found) => {
                let rule = found.outcome.violation.as_ref().map_or("", |violation| violation.rule);
                (rule, found.seeds.to_string())
            }
            None => ("NOT FOUND", "-".to_owned()),
        };
        all &= found.is_some();
        // A row of the table in docs/simulation.md.
        let _ = writeln!(out, "| `{}` | {} | {rule} | {seeds} |", bug.name, bug.mistake);
    }
    Ok(all)
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
