//! Finalize is exactly once, whatever order a hundred calls meet in (FR-5.4, AC-4.3, NFR-1.4): the real activity, the tables'
//! real conditions, one hundred tasks on one virtual clock, every call of theirs with a latency of its own. Half of them are
//! the run's own Finalize, half are reconcile's. (`tests/e2e/test_finalize_once.py` does it over HTTP, in one order.)

#![allow(clippy::unwrap_used, clippy::panic)]

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tidegate_aws::store::writes;
use tidegate_contract::records::{ExecutionRecord, LockRecord, Member, MembersRecord, WaveRecord};
use tidegate_contract::tables::{TableKey, members_key};
use tidegate_contract::{ActivityName, ErrorName};
use tidegate_core::{membership, time, wave_start};
use tidegate_runtime::DiscardMetrics;
use tidegate_simulation::faults::{Faults, Rates};
use tidegate_simulation::ports::{Known, Ports, SimWorld, State};
use tidegate_simulation::tables::Tables;
use tidegate_simulation::time::{VirtualClock, lock};
use tidegate_simulation::world::reach_of;
use tidegate_simulator::{Inventory, MemoryInstances, Settings as DrsSettings, Simulator};
use tidegate_worker::activities;
use tidegate_worker::world::{Settings, World, WorldOf};

const CALLS: u64 = 100;
const ORDERS: u64 = 40;
const RUN: &str = "run-1";
const ARN: &str = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";
const START: &str = "2026-11-20T03:04:05.678Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn member(number: u32) -> Member {
    serde_json::from_value(json!({
        "sourceServerId": format!("s-{number:017x}"), "importance": "critical",
        "target": {"accountId": "111122223333", "region": "us-west-2"},
    }))
    .unwrap()
}

/// A drill in its first of two waves: two servers in it, their launch recorded and not sent.
fn under_way(tables: &mut Tables) {
    let members = [member(1), member(2)];
    let plan = json!({"waveNumber": 1, "waveName": "one", "groups": []});
    let wave = serde_json::from_value(plan).unwrap();
    let record: ExecutionRecord = serde_json::from_value(json!({
        "executionId": RUN, "planId": "crm", "schemaVersion": 1, "planName": "CRM", "executionArn": ARN,
        "executionType": "DRILL", "mode": "RUN", "status": "POLLING", "totalWaves": 2, "completedWaves": 0,
        "currentWave": 1, "totalServers": 3, "startTime": START, "expectedDuration": 2400, "pauseRequested": "false",
        "cancelRequested": "false", "plan": "{}", "holdSeconds": 0, "keepInstances": false, "timeline": [],
        "waves": (1..=2).map(|number| json!({
            "waveNumber": number, "waveKey": format!("{number:04}"), "waveName": "w", "pauseBeforeWave": false,
            "onFailure": "abort", "timeoutSeconds": 7200, "waitAfterSeconds": 0, "gateTimeoutSeconds": 86400,
            "serverCount": 2})).collect::<Vec<_>>(),
    }))
    .unwrap();
    let (item, shards) =
        wave_start::open_wave(&record.execution_id, record.execution_type, record.mode, &wave, &members, start());
    tables.write(writes::create(TableKey::ExecutionHistory, &record)).unwrap();
    tables.write(writes::create(TableKey::ExecutionWaves, &item)).unwrap();
    for shard in &shards {
        tables.write(writes::create(TableKey::ExecutionWaves, shard)).unwrap();
    }
    let stored = MembersRecord {
        execution_id: record.execution_id.clone(),
        wave_key: members_key(1),
        wave_number: 1,
        membership_hash: String::new(),
        members: members.to_vec(),
        named_roles: false,
    };
    tables.write(writes::put_members(&stored)).unwrap();
    // The second lock is another execution's, although that server is this run's member, too: it is not ours to release.
    for (member, holder) in [(member(1), RUN), (member(2), "run-2")] {
        let held = LockRecord {
            server: membership::lock_key(&member),
            execution_id: holder.into(),
            plan_id: "crm".into(),
            locked_at: START.to_owned(),
        };
        tables.write(writes::put_lock(&held, &held.execution_id)).unwrap();
    }
}

/// What Step Functions says of it once it is over.
fn known(status: &'static str) -> Known {
    Known::new(RUN, START.parse().unwrap(), json!({ "planId": "crm", "executionType": "DRILL" }), status)
}

fn world(seed: u64) -> Arc<SimWorld> {
    let drs = Simulator::new(DrsSettings::default(), Inventory::default(), start()).unwrap();
    let faults = Faults::drawn(seed, Rates::NONE, 0, start(), start());
    let mut state = State::new(drs, MemoryInstances::new(seed), faults, None);
    under_way(&mut state.tables);
    state.known.insert(ARN.to_owned(), known("ABORTED"));
    Arc::new(SimWorld { clock: VirtualClock::new(start()), state: Mutex::new(state) })
}

fn input(call: u64) -> Value {
    if call.is_multiple_of(2) {
        let ending = json!({"reason": "CANCELLED", "waveCount": 0, "failure": {"Error": "", "Cause": ""}});
        return json!({"executionId": RUN, "executionArn": ARN, "startTime": START, "input": {}, "ending": ending});
    }
    json!({
        "executionId": RUN, "executionArn": ARN, "input": {},
        "ending": {"reason": "STOPPED", "waveCount": 0, "failure": {"Error": "", "Cause": ""}},
    })
}

/// One call, with the machine's Retry around it.
async fn finalize(world: Arc<SimWorld>, call: u64) -> Value {
    let activity = ActivityName::FinalizeExecution;
    loop {
        let ports =
            Ports { world: world.clone(), task: call, activity, execution: RUN.into(), worker: call as usize, skew: 0 };
        let ground = World {
            store: Arc::new(ports.clone()),
            targets: Arc::new(ports.clone()),
            witness: Arc::new(ports.clone()),
            clock: Arc::new(ports),
            metrics: Arc::new(DiscardMetrics),
            reach: Arc::new(reach_of(&Inventory::default())),
            settings: Settings::default(),
        };
        let ground: WorldOf = Arc::new(move |_| ground.clone());
        match activities::handler(activity, &ground).run(input(call)).await {
            Ok(outcome) => return outcome,
            Err(error) if matches!(error.name, ErrorName::Superseded | ErrorName::Transient) => {
                world.clock.sleep(1_000).await;
            }
            Err(error) => panic!("call {call}: {}", error.chain()),
        }
    }
}

fn all_at_once(world: &Arc<SimWorld>) -> Vec<Value> {
    let mut pool = LocalPool::new();
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    for call in 0..CALLS {
        let (world, outcomes) = (world.clone(), outcomes.clone());
        let task = async move {
            let outcome = finalize(world, call).await;
            outcomes.borrow_mut().push(outcome);
        };
        pool.spawner().spawn_local(task).unwrap();
    }
    loop {
        pool.run_until_stalled();
        match world.clock.next_wake() {
            Some(at) => world.clock.move_to(at),
            None => break,
        }
    }
    outcomes.take()
}

#[test]
fn a_hundred_calls_in_any_order_write_one_outcome() {
    let mut winners = BTreeSet::new();
    for seed in 0..ORDERS {
        let world = world(seed);
        let outcomes = all_at_once(&world);
        assert_eq!(outcomes.len() as u64, CALLS, "seed {seed}: every call is answered");
        let wrote = outcomes.iter().filter(|outcome| outcome["alreadyFinalized"] == false).count();
        assert_eq!(wrote, 1, "seed {seed}");
        let told: BTreeSet<String> = outcomes
            .iter()
            .map(|outcome| format!("{} {} {}", outcome["status"], outcome["error"], outcome["cause"]))
            .collect();
        assert_eq!(told.len(), 1, "seed {seed}: {told:?}");

        let state = lock(&world.state);
        let record: ExecutionRecord = state.tables.record(TableKey::ExecutionHistory, RUN, "crm").unwrap().unwrap();
        let ends = record.timeline.iter().filter(|entry| ["FINALIZED", "RECONCILED"].contains(&entry.event.as_str()));
        assert_eq!(ends.count(), 1, "seed {seed}: {:?}", record.timeline);
        let outcome = record.outcome.unwrap();
        winners.insert(outcome.reason);
        let wave: WaveRecord = state.tables.record(TableKey::ExecutionWaves, RUN, "0001").unwrap().unwrap();
        assert!(wave.status.is_settled() && wave.end_time.as_deref() <= record.end_time.as_deref(), "seed {seed}");
        assert_eq!(time::parse(&record.end_time.unwrap()).map(|end| end >= start()), Some(true));
        let locks: Vec<_> = state.tables.all(TableKey::ServerLocks).collect();
        assert_eq!(locks.len(), 1, "seed {seed}: another execution's lock is left alone, ours is gone");
    }
    assert!(winners.len() > 1, "every order gave {winners:?}: the calls did not really meet");
}
