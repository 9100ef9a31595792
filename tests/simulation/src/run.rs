//! One seed, one story: a world with one execution in it (and with those that follow from it), driven to its end.

use crate::faults::Faults;
use crate::invariants::{NEVER_REFUSED, NO_EXCUSE, SET_UP, Violation, is_plain, violation};
use crate::machine::{Definition, Status};
use crate::narration;
use crate::outage::Dependency;
use crate::scenario::{ACCOUNT, REGION, Story};
use crate::script::Entry;
use crate::time::{after, lock};
use crate::world::{CutAt, Machines, Setup, World, status_name};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tidegate_contract::tables::TABLES;
use tidegate_contract::{ActivityName, ErrorName};

/// Name of the simulated execution.
pub const EXECUTION: &str = "simulated";
const RECONCILE: &str = include_str!("../../../statemachine/reconcile.asl.json");

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    /// Step Functions' end status and error, of the story's own execution.
    pub status: String,
    pub error: String,
    pub calls: u64,
    pub faults: u64,
    /// Calls that went on after their worker had been frozen.
    pub thawed: u64,
    /// Every execution of the recovery machine, in the order of their starts, and how it ended.
    pub ends: Vec<(String, String)>,
    pub events: u32,
    pub virtual_seconds: i64,
    pub violation: Option<Violation>,
    /// The states it rested in, and at which second.
    pub states: Vec<(i64, Arc<str>)>,
    /// Everything that went wrong and everything people said: the script of this very run.
    pub script: Vec<Entry>,
    /// Every place a call was made at, if the story asked for it.
    pub trace: Vec<(String, u32)>,
    /// Calls per dependency and minute, if the story asked for it.
    pub rate: BTreeMap<(Dependency, i64), u32>,
}

/// The shipped machine with the simulation's names in its placeholders.
pub fn shipped_machine(text: &str) -> Result<Definition, String> {
    let mut rendered = text.replace("${EventBusName}", "default").replace("${Partition}", "aws");
    let recovery = format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:recovery");
    rendered = rendered.replace("${RecoveryStateMachineArn}", &recovery);
    for table in TABLES {
        rendered = rendered.replace(&format!("${{{}}}", table.placeholder), table.name);
    }
    for name in ActivityName::ALL {
        let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:activity:{name}");
        rendered = rendered.replace(&format!("${{{}}}", name.placeholder()), &arn);
    }
    Definition::parse(&rendered).map_err(|error| error.to_string())
}

/// The machines of a deployment whose recovery machine is this one; the reconcile machine is the shipped one.
pub fn machines(recovery: &Arc<Definition>) -> Result<Machines, String> {
    static SHIPPED: OnceLock<Result<Arc<Definition>, String>> = OnceLock::new();
    let reconcile = SHIPPED.get_or_init(|| shipped_machine(RECONCILE).map(Arc::new)).clone()?;
    Ok(Machines { recovery: recovery.clone(), reconcile })
}

/// When every world begins.
pub fn start_of_time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Runs a story to its end.
pub fn run(definition: &Arc<Definition>, story: Story) -> Outcome {
    let (seed, sound, plain) = (story.seed, story.is_sound(), is_plain(&story));
    let mut world = match furnish(definition, story) {
        Ok(world) => world,
        Err(problem) => return failed_setup(seed, problem),
    };
    lock(&world.sim.state).plain = plain;
    let broken = world.drive().err();
    let mut outcome = outcome(world, broken);
    if sound && outcome.error == ErrorName::PlanRefused.as_str() && outcome.violation.is_none() {
        outcome.violation = Some(violation(NEVER_REFUSED, "PlanRefused"));
    }
    if plain && outcome.status != "SUCCEEDED" && outcome.violation.is_none() {
        outcome.violation = Some(violation(NO_EXCUSE, format!("{} {}", outcome.status, outcome.error)));
    }
    outcome
}

/// Runs a story and tells it: every state, task, call and answer with its virtual time, a line each.
pub fn tell(definition: &Arc<Definition>, story: Story) -> (Outcome, Vec<String>) {
    narration::narrated(start_of_time(), || {
        let outcome = run(definition, story);
        if let Some(violation) = &outcome.violation {
            narration::tell("VIOLATION", || format!("{} ({})", violation.rule, violation.detail));
        }
        outcome
    })
}

fn furnish(definition: &Arc<Definition>, story: Story) -> Result<World, String> {
    let start = start_of_time();
    let mut faults = match &story.script {
        Some(script) => Faults::scripted(story.seed, script.iter().collect(), start),
        None => {
            let until = after(start, story.faults_for_seconds * 1_000);
            Faults::drawn(story.seed, story.rates, story.contrary_operator, start, until)
        }
    };
    faults = faults.with_outages(story.outages.clone()).with_slow_starts(story.slow_starts);
    if story.observed {
        (faults.trace, faults.rate) = (Some(Vec::new()), Some(BTreeMap::new()));
    }
    let setup = Setup {
        faults,
        inventory: story.inventory().map_err(|error| error.to_string())?,
        server_faults: story.server_faults,
        bug: story.bug,
        workers: story.workers,
        skews: story.skews,
        recovered: story.recovered,
        drilled: story.drilled,
        console: story.console,
        native: story.native,
        forgeries: story.forgeries,
        sequels: story.sequels,
        odd_events: story.odd_events,
        drs_speed: story.drs_speed,
        ec2_lag_seconds: story.ec2_lag_seconds,
        quirks: story.quirks,
        afterwards: story.afterwards,
        lost: story.lost,
        ..Setup::new(story.seed, start)
    };
    let mut world = World::new(&machines(definition)?, setup)?;
    let of = world.begin(false, EXECUTION.to_owned(), story.input);
    if let Some(rival) = story.rival {
        world.expect(rival);
    }
    for (seconds, flag) in story.requests {
        world.expect_request(of, seconds, flag);
    }
    for (at, cut) in story.cuts {
        match at {
            CutAt::Second(second) => world.expect_cut(of, second * 1_000, cut),
            CutAt::Call(call) => world.expect_cut_at_call(of, call, cut),
        }
    }
    Ok(world)
}

fn failed_setup(seed: u64, problem: String) -> Outcome {
    Outcome {
        seed,
        status: "NOT_RUN".to_owned(),
        error: String::new(),
        calls: 0,
        faults: 0,
        thawed: 0,
        ends: Vec::new(),
        events: 0,
        virtual_seconds: 0,
        violation: Some(violation(SET_UP, problem)),
        states: Vec::new(),
        script: Vec::new(),
        trace: Vec::new(),
        rate: BTreeMap::new(),
    }
}

fn outcome(mut world: World, violation: Option<Violation>) -> Outcome {
    let ends = world
        .ends()
        .map(|(name, status)| match status {
            Status::Failed { error, .. } => (name.to_owned(), error.clone()),
            other => (name.to_owned(), status_name(other).to_owned()),
        })
        .collect();
    let own = world.executions.swap_remove(0);
    let error = match own.execution.status() {
        Status::Failed { error, .. } => error.clone(),
        _ => String::new(),
    };
    let mut state = lock(&world.sim.state);
    Outcome {
        seed: world.setup.seed,
        status: status_name(own.execution.status()).to_owned(),
        error,
        calls: state.faults.calls,
        faults: state.faults.injected,
        thawed: state.faults.thawed,
        ends,
        events: own.execution.history().total(),
        virtual_seconds: world.sim.clock.now().duration_since(world.start).as_secs(),
        violation,
        states: own.states,
        script: std::mem::take(&mut state.faults.log),
        trace: state.faults.trace.take().unwrap_or_default(),
        rate: state.faults.rate.take().unwrap_or_default(),
    }
}
