//! Many executions at once in one world: own plans and servers in many accounts, few workers with few slots, ordinary faults.
//! What each has to come to is known beforehand.

use crate::faults::{Faults, Rates};
use crate::invariants::Violation;
use crate::run::start_of_time;
use crate::scenario::REGION;
use crate::time::after;
use crate::world::{Cut, Machines, Setup, Start, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_simulator::{FaultKind, FaultRule};

/// Executions that share an account: DRS takes 20 concurrent jobs there.
const PER_ACCOUNT: usize = 10;
const WORKERS: usize = 10;
const SLOTS_PER_WORKER: usize = 20;
/// Faults stop after this.
const FAULTS_SECONDS: i64 = 7_200;
const ORDINARY: Rates = Rates {
    lost_before: 2,
    lost_after: 2,
    throttled: 5,
    hang: 1,
    crash: 1,
    freeze: 1,
    lost_token: 5,
    integration: 5,
    ..Rates::NONE
};

/// What an execution has to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Completed,
    /// Its second wave fails.
    RecoveryFailed,
    /// It shares servers with that one: one of the two is refused, and told who holds them.
    OneOfTwo(String),
    /// It is stopped.
    Cancelled,
}

/// What came of a crowd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowded {
    pub executions: usize,
    pub calls: u64,
    pub faults: u64,
    /// How many ended how.
    pub ends: BTreeMap<String, usize>,
    /// The most that ran at one moment.
    pub most_at_once: usize,
    pub virtual_seconds: i64,
}

/// A crowd that came to something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrowdError {
    #[error("the world cannot be made: {0}")]
    SetUp(String),
    #[error("{} ({})", .0.rule, .0.detail)]
    Broken(Violation),
    #[error("{name} ended as {ended} and not as {expected}")]
    Otherwise { name: String, ended: String, expected: String },
}

fn name(number: usize) -> String {
    format!("crowd-{number:04}")
}

fn account(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number / PER_ACCOUNT)
}

fn server(number: usize) -> String {
    format!("s-{number:017x}")
}

/// Servers of an execution's wave (1 or 2).
fn servers(number: usize, wave: usize) -> Vec<String> {
    (0..2).map(|index| server(number * 4 + wave * 2 + index)).collect()
}

fn expected(number: usize) -> Expected {
    match number % 20 {
        3 => Expected::RecoveryFailed,
        7 => Expected::OneOfTwo(name(number + 1)),
        8 => Expected::OneOfTwo(name(number - 1)),
        11 => Expected::Cancelled,
        _ => Expected::Completed,
    }
}

fn input(number: usize) -> Value {
    // Of two rivals, the second one's first wave is the first one's.
    let first = if number % 20 == 8 { servers(number - 1, 1) } else { servers(number, 1) };
    let wave = |wave: usize, ids: Vec<String>| {
        json!({
            "waveNumber": wave, "waveName": format!("wave {wave}"),
            "groups": [{ "region": REGION, "accountId": account(number), "sourceServerIds": ids }],
        })
    };
    let plan_id = format!("plan-{number:04}");
    let waves = [wave(1, first), wave(2, servers(number, 2))];
    let kind = if number.is_multiple_of(3) { "RECOVERY" } else { "DRILL" };
    json!({ "plan": { "planId": plan_id, "planName": plan_id, "waves": waves }, "executionType": kind })
}

/// Runs so many executions, all started within a minute, to their ends.
pub fn run(machines: &Machines, executions: usize, seed: u64) -> Result<Crowded, CrowdError> {
    let start = start_of_time();
    let inventory = (0..executions)
        .flat_map(|number| {
            let of = move |id: String| json!({ "sourceServerId": id, "hostname": id, "account": account(number) });
            servers(number, 1).into_iter().chain(servers(number, 2)).map(of)
        })
        .collect::<Vec<Value>>();
    let inventory = serde_json::from_value(json!({ "region": REGION, "servers": inventory }));
    let broken = |number: usize| {
        let mut rule = FaultRule::new(FaultKind::LaunchFails);
        rule.source_server_id = servers(number, 2).pop();
        rule
    };
    let setup = Setup {
        inventory: inventory.map_err(|error| CrowdError::SetUp(error.to_string()))?,
        server_faults: (0..executions)
            .filter(|number| expected(*number) == Expected::RecoveryFailed)
            .map(broken)
            .collect(),
        faults: Faults::drawn(seed, ORDINARY, 0, start, after(start, FAULTS_SECONDS * 1_000)),
        workers: WORKERS,
        slots_per_worker: SLOTS_PER_WORKER,
        odd_events: 30,
        ..Setup::new(seed, start)
    };
    let mut world = World::new(machines, setup).map_err(CrowdError::SetUp)?;
    let mut rng = StdRng::seed_from_u64(seed);
    for number in 0..executions {
        let after_ms = rng.random_range(0..60_000);
        let cut = (expected(number) == Expected::Cancelled).then(|| (rng.random_range(1_000..1_000_000), Cut::Stop));
        world.expect(Start { name: name(number), input: input(number), after_ms, cut });
    }
    world.drive().map_err(CrowdError::Broken)?;
    (0..executions).try_for_each(|number| as_expected(&world, number))?;
    let mut ends = BTreeMap::new();
    for number in 0..executions {
        *ends.entry(status(&world, &name(number))).or_insert(0) += 1;
    }
    let (calls, faults) = world.calls_and_faults();
    Ok(Crowded {
        executions,
        calls,
        faults,
        ends,
        most_at_once: world.most_at_once(),
        virtual_seconds: world.now().duration_since(start).as_secs(),
    })
}

/// The record's status, and its error.
fn status(world: &World, name: &str) -> String {
    let record = world.record(name).unwrap_or_default();
    let error = record.get("outcome").and_then(|outcome| outcome.get("error")?.as_str()).unwrap_or_default();
    let status = record.get("status").and_then(Value::as_str).unwrap_or("no record");
    if error.is_empty() { status.to_owned() } else { format!("{status} ({error})") }
}

fn as_expected(world: &World, number: usize) -> Result<(), CrowdError> {
    const CONFLICT: &str = "FAILED (Tidegate.Conflict)";
    let (name, expected) = (name(number), expected(number));
    let ended = status(world, &name);
    let right = match &expected {
        Expected::Completed => ended == "COMPLETED",
        Expected::RecoveryFailed => ended == "FAILED (Tidegate.RecoveryFailed)",
        Expected::Cancelled => ended == "CANCELLED (Tidegate.Cancelled)",
        Expected::OneOfTwo(rival) => {
            let other = status(world, rival);
            let cause = world.record(&name).and_then(|record| Some(record.get("outcome")?.get("cause")?.to_string()));
            match (ended.as_str(), other.as_str()) {
                ("COMPLETED", CONFLICT) => true,
                (CONFLICT, "COMPLETED") => cause.is_some_and(|cause| cause.contains(rival.as_str())),
                _ => false,
            }
        }
    };
    if right {
        return Ok(());
    }
    // What was met is told with its cause; of a pair, both ends are.
    let told = |name: &str| {
        let outcome = world.record(name).and_then(|record| record.get("outcome").map(ToString::to_string));
        format!("{name} {}: {}", status(world, name), outcome.unwrap_or_default())
    };
    let ended = match &expected {
        Expected::OneOfTwo(rival) => format!("{}; {}", told(&name), told(rival)),
        _ => told(&name),
    };
    Err(CrowdError::Otherwise { name, ended, expected: format!("{expected:?}") })
}
