//! One activity at a time, in states of the records that only a rare race leaves behind: the real activity on the tables' real
//! conditions and the simulator's DRS. The sweeps seldom come by here, so the state is laid out by hand.

#![allow(clippy::unwrap_used, clippy::panic)]

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tidegate_aws::ports::{StartRequest, Targets};
use tidegate_aws::store::writes;
use tidegate_contract::records::{ExecutionRecord, IntentState, Member, ShardRecord, WaveRecord};
use tidegate_contract::tables::TableKey;
use tidegate_contract::{ActivityName, ErrorName, JobId, LaunchStatus, WaveStatus};
use tidegate_core::{time, wave_start};
use tidegate_runtime::DiscardMetrics;
use tidegate_simulation::faults::{Fault, Faults};
use tidegate_simulation::ports::{Known, Ports, SimWorld, State};
use tidegate_simulation::script::{Entry, Happening};
use tidegate_simulation::tables::Tables;
use tidegate_simulation::time::{VirtualClock, after, lock};
use tidegate_simulation::world::reach_of;
use tidegate_simulator::{Inventory, MemoryInstances, Settings as DrsSettings, Simulator};
use tidegate_worker::activities;
use tidegate_worker::error::ActivityError;
use tidegate_worker::world::{Settings, World, WorldOf};

const RUN: &str = "run-1";
const ARN: &str = "arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:run-1";
const START: &str = "2026-11-20T03:04:05.678Z";
const SERVERS: [&str; 2] = ["s-00000000000000001", "s-00000000000000002"];

type Answered = Result<Value, ActivityError>;

fn at(second: i64) -> Timestamp {
    after(START.parse().unwrap(), second * 1_000)
}

/// The records of a drill with one wave of two servers, its launch recorded and not sent.
struct Records {
    execution: ExecutionRecord,
    wave: WaveRecord,
    shard: ShardRecord,
}

fn recorded() -> Records {
    let wave = json!({"waveNumber": 1, "waveName": "one", "groups": []});
    let execution: ExecutionRecord = serde_json::from_value(json!({
        "executionId": RUN, "planId": "crm", "schemaVersion": 1, "planName": "CRM", "executionArn": ARN,
        "executionType": "DRILL", "mode": "RUN", "status": "POLLING", "totalWaves": 1, "completedWaves": 0,
        "currentWave": 1, "totalServers": 2, "startTime": START, "expectedDuration": 1200, "pauseRequested": "false",
        "cancelRequested": "false", "plan": "{}", "holdSeconds": 0, "keepInstances": false, "timeline": [],
        "waves": [{
            "waveNumber": 1, "waveKey": "0001", "waveName": "one", "pauseBeforeWave": false, "onFailure": "gate",
            "timeoutSeconds": 7200, "waitAfterSeconds": 0, "gateTimeoutSeconds": 86400, "serverCount": 2}],
    }))
    .unwrap();
    let members = SERVERS.map(|id| {
        serde_json::from_value::<Member>(json!({
            "sourceServerId": id, "importance": "critical",
            "target": {"accountId": "111122223333", "region": "us-west-2"},
        }))
        .unwrap()
    });
    let wave = serde_json::from_value(wave).unwrap();
    let (wave, mut shards) = wave_start::open_wave(
        &execution.execution_id,
        execution.execution_type,
        execution.mode,
        &wave,
        &members,
        at(0),
    );
    Records { execution, wave, shard: shards.remove(0) }
}

/// What Step Functions says of it once it is over.
fn known(status: &'static str) -> Known {
    Known::new(RUN, START.parse().unwrap(), json!({ "planId": "crm", "executionType": "DRILL" }), status)
}

/// A world whose clock stands at second `now`, with these records, and with what goes wrong in it.
struct Stage {
    world: Arc<SimWorld>,
    tasks: u64,
    tag_jobs: bool,
}

impl Stage {
    fn new(now: i64, records: &Records, script: &[Entry]) -> Self {
        let inventory: Inventory = serde_json::from_value(json!({
            "account": "111122223333", "region": "us-west-2",
            "servers": SERVERS.map(|id| json!({"sourceServerId": id, "hostname": id})),
        }))
        .unwrap();
        let settings = DrsSettings { speed: 1.0, ..DrsSettings::default() };
        let drs = Simulator::new(settings, inventory, at(now)).unwrap();
        let mut faults = Faults::scripted(1, script.iter().collect(), at(now));
        faults.trace = Some(Vec::new());
        let mut state = State::new(drs, MemoryInstances::new(1), faults, None);
        state.tables.write(writes::create(TableKey::ExecutionHistory, &records.execution)).unwrap();
        state.tables.write(writes::create(TableKey::ExecutionWaves, &records.wave)).unwrap();
        state.tables.write(writes::create(TableKey::ExecutionWaves, &records.shard)).unwrap();
        state.known.insert(ARN.to_owned(), known("ABORTED"));
        Self {
            world: Arc::new(SimWorld { clock: VirtualClock::new(at(now)), state: Mutex::new(state) }),
            tasks: 0,
            tag_jobs: false,
        }
    }

    fn ports(&mut self, activity: ActivityName) -> Ports {
        self.tasks += 1;
        Ports { world: self.world.clone(), task: self.tasks, activity, execution: RUN.into(), worker: 0, skew: 0 }
    }

    /// Runs one activity to its end; `meanwhile` happens at a second of its own, if it comes before that end.
    fn run_with(
        &mut self,
        activity: ActivityName,
        input: Value,
        meanwhile: (i64, &mut dyn FnMut(&mut Self)),
    ) -> Answered {
        let ports = self.ports(activity);
        let ground = World {
            store: Arc::new(ports.clone()),
            targets: Arc::new(ports.clone()),
            witness: Arc::new(ports.clone()),
            clock: Arc::new(ports),
            metrics: Arc::new(DiscardMetrics),
            reach: Arc::new(reach_of(&Inventory::default())),
            settings: Settings { tag_jobs: self.tag_jobs },
        };
        let ground: WorldOf = Arc::new(move |_| ground.clone());
        let answer = Rc::new(RefCell::new(None));
        let told = answer.clone();
        let mut pool = LocalPool::new();
        let work = async move {
            *told.borrow_mut() = Some(activities::handler(activity, &ground).run(input).await);
        };
        pool.spawner().spawn_local(work).unwrap();
        let (when, what) = meanwhile;
        let mut happened = false;
        loop {
            pool.run_until_stalled();
            if let Some(answer) = answer.take() {
                return answer;
            }
            let wake = self.world.clock.next_wake().unwrap();
            if !happened && wake > at(when) {
                happened = true;
                self.world.clock.move_to(at(when));
                what(self);
            }
            self.world.clock.move_to(wake);
        }
    }

    fn run(&mut self, activity: ActivityName, input: Value) -> Answered {
        self.run_with(activity, input, (i64::MAX / 10_000, &mut |_| {}))
    }

    fn start_wave(&mut self, attempt: u32) -> Answered {
        self.run(ActivityName::StartWave, wave_input(attempt))
    }

    fn clean_up(&mut self, activity: ActivityName) -> Value {
        self.run(activity, json!({"executionId": RUN, "planId": "crm", "pollsUsed": 0})).unwrap()
    }

    fn finalize(&mut self, reason: &str) -> Value {
        let ending = json!({"reason": reason, "waveCount": 1, "failure": {"Error": "", "Cause": ""}});
        let input = json!({"executionId": RUN, "executionArn": ARN, "startTime": START, "input": {}, "ending": ending});
        self.run(ActivityName::FinalizeExecution, input).unwrap()
    }

    /// Somebody launches the very same servers; the job.
    fn launch_from_outside(&mut self) -> JobId {
        let ports = self.ports(ActivityName::StartWave);
        let request = StartRequest {
            servers: SERVERS.iter().map(|id| ((*id).into(), None)).collect(),
            is_drill: true,
            not_after: Timestamp::MAX,
            tags: Default::default(),
        };
        let (target, launched) = (recorded().shard.target, Rc::new(RefCell::new(None)));
        let told = launched.clone();
        let launch = async move {
            *told.borrow_mut() = Some(ports.drs(&target).await.unwrap().start_recovery(&request).await.unwrap());
        };
        let mut pool = LocalPool::new();
        pool.spawner().spawn_local(launch).unwrap();
        loop {
            pool.run_until_stalled();
            match launched.take() {
                Some(job) => return job.job_id,
                None => self.world.clock.move_to(self.world.clock.next_wake().unwrap()),
            }
        }
    }

    fn wait_until(&self, second: i64) {
        self.world.clock.move_to(at(second));
        self.world.settle();
    }

    /// What the machine writes when an operator closes the wave: RecordDecision, then SkipWave or ContinuePastWave.
    fn decide(&self, word: &str) {
        let now = time::format(self.world.clock.now());
        let status = if word == "skip" { WaveStatus::Skipped } else { WaveStatus::Failed };
        self.with_tables(|tables| {
            let key = || (RUN.to_owned(), "crm".to_owned());
            let decided = json!([{"at": now, "event": "DECIDED", "waveNumber": 1, "detail": word}]);
            tables.set(TableKey::ExecutionHistory, key(), "timeline", decided);
            let wave: WaveRecord = tables.record(TableKey::ExecutionWaves, RUN, "0001").unwrap().unwrap();
            let closed = WaveRecord { status, end_time: Some(now.clone()), version: wave.version + 1, ..wave };
            tables.write(writes::replace(TableKey::ExecutionWaves, &closed, closed.version)).unwrap();
        });
    }

    fn with_tables<T>(&self, what: impl FnOnce(&mut Tables) -> T) -> T {
        what(&mut lock(&self.world.state).tables)
    }

    fn shard(&self) -> ShardRecord {
        self.with_tables(|tables| tables.record(TableKey::ExecutionWaves, RUN, "0001#01").unwrap().unwrap())
    }

    fn launches(&self) -> usize {
        lock(&self.world.state).launches.all().len()
    }

    /// Every place a call was made at so far.
    fn places(&self) -> Vec<(String, u32)> {
        lock(&self.world.state).faults.trace.clone().unwrap()
    }
}

fn wave_input(attempt: u32) -> Value {
    json!({
        "executionId": RUN, "planId": "crm", "executionType": "DRILL", "mode": "RUN", "waveNumber": 1,
        "waveAttempt": attempt, "waveCount": 1, "pollsUsed": 0, "completedWaves": 0,
    })
}

/// The run ended seconds after a launch whose answer was lost: DRS lists no job yet, but the call may still become one. A
/// cleanup that were over now would leave its instances to nobody.
#[test]
fn a_cleanup_waits_for_a_launch_nobody_answered() {
    let mut records = recorded();
    records.shard.intent.last_sent_at = Some(time::format(at(95)));
    let mut stage = Stage::new(100, &records, &[]);
    for activity in [ActivityName::StartCleanup, ActivityName::PollCleanup] {
        let verdict = stage.clean_up(activity);
        assert_eq!((&verdict["status"], &verdict["settled"]), (&json!("RUNNING"), &json!(false)), "{activity}");
        assert_eq!(verdict["startPending"], true, "start-cleanup looks again: {verdict}");
    }
    stage.wait_until(95 + i64::from(wave_start::SETTLE_SECONDS));
    let verdict = stage.clean_up(ActivityName::StartCleanup);
    assert_eq!((&verdict["status"], &verdict["settled"]), (&json!("COMPLETED"), &json!(true)));
}

/// A cleanup that finds nothing left says so on the servers' rows, whichever activity finds it.
#[test]
fn the_rows_of_a_cleanup_that_is_done_at_once_say_terminated() {
    let mut records = recorded();
    for server in &mut records.shard.server_statuses {
        server.launch_status = LaunchStatus::Launched;
        server.set_instance("i-0123456789abcdef0");
        server.instance_state = Some("running".to_owned());
    }
    let mut stage = Stage::new(100, &records, &[]);
    assert_eq!(stage.clean_up(ActivityName::StartCleanup)["status"], "COMPLETED");
    let states = stage.shard().server_statuses.into_iter().map(|server| server.instance_state);
    assert!(states.eq([Some("terminated".to_owned()), Some("terminated".to_owned())]));
}

/// A wave whose job DRS has lost (c-11), failed by the poll after ten minutes.
fn failed_with_vanished_job(job: &JobId) -> Records {
    let mut records = recorded();
    records.wave.status = WaveStatus::Failed;
    records.wave.end_time = Some(time::format(at(700)));
    let missing = serde_json::from_value(json!({
        "jobId": job, "status": "STARTED", "missingSince": time::format(at(100)), "adopted": false, "logReadAtEnd": false,
    }))
    .unwrap();
    wave_start::started(&mut records.shard, missing);
    for server in &mut records.shard.server_statuses {
        wave_start::fail_server(server, "DRS no longer lists job", at(700));
    }
    records
}

#[test]
fn a_retry_launches_anew_what_a_vanished_job_left_undone() {
    let job = JobId::from("drsjob-00000000000000bad");
    let mut stage = Stage::new(800, &failed_with_vanished_job(&job), &[]);
    stage.start_wave(2).unwrap();
    let shard = stage.shard();
    assert_eq!((stage.launches(), shard.intent.state), (1, IntentState::Started));
    assert_eq!(shard.earlier_jobs, [job], "cleanup looks for what it may have launched");
    assert!(stage.places().iter().any(|(place, _)| place == "start-wave-v1/drs:DescribeRecoveryInstances"));
}

/// DRS lists the job again by the time somebody retries: it is polled again, and nothing is launched beside it.
#[test]
fn a_retry_follows_a_vanished_job_that_is_back() {
    let mut stage = Stage::new(800, &recorded(), &[]);
    let job = stage.launch_from_outside();
    let records = failed_with_vanished_job(&job);
    stage.with_tables(|tables| {
        let (wave, shard) = (WaveRecord { version: 2, ..records.wave }, ShardRecord { version: 2, ..records.shard });
        tables.write(writes::replace(TableKey::ExecutionWaves, &wave, 2)).unwrap();
        tables.write(writes::replace(TableKey::ExecutionWaves, &shard, 2)).unwrap();
    });
    stage.start_wave(2).unwrap();
    let shard = stage.shard();
    assert_eq!((stage.launches(), shard.job.unwrap().job_id), (1, job));
    assert!(shard.server_statuses.iter().all(|server| server.launch_status == LaunchStatus::Pending));
}

/// A call that DRS never got, and a console user who launches its servers a minute later. With tags theirs is told apart, and is
/// named as what stands in the way; without, it cannot be.
#[test]
fn an_untagged_job_is_not_adopted_where_jobs_are_tagged() {
    let place = "start-wave-v1/drs:StartRecovery".to_owned();
    let lost = Entry { place, nth: 1, what: Happening::Fault(Fault::LostBefore) };
    for tag_jobs in [true, false] {
        let mut stage = Stage::new(0, &recorded(), std::slice::from_ref(&lost));
        stage.tag_jobs = tag_jobs;
        stage.start_wave(1).unwrap();
        assert_eq!((stage.launches(), stage.shard().intent.tagged), (0, tag_jobs));
        stage.wait_until(60);
        let foreign = stage.launch_from_outside();
        for second in [70, 200] {
            stage.wait_until(second);
            stage.start_wave(1).unwrap();
        }
        let shard = stage.shard();
        assert_eq!(shard.job.map(|job| job.job_id), (!tag_jobs).then(|| foreign.clone()));
        assert_eq!(shard.intent.refusal.contains(foreign.as_str()), tag_jobs, "{}", shard.intent.refusal);
    }
}

/// A worker freezes at any call of start-wave, the wave is decided about without it, and the run goes on or ends. It wakes up
/// five minutes later and must not launch: neither a fresh wave nor one that it was to try again.
#[test]
fn a_frozen_start_wave_launches_nothing_that_was_decided_about() {
    for attempt in [1, 2] {
        let mut records = recorded();
        if attempt == 2 {
            records = failed_with_vanished_job(&JobId::from("drsjob-00000000000000bad"));
        }
        let mut normal = Stage::new(800, &records, &[]);
        normal.start_wave(attempt).unwrap();
        assert_eq!(normal.launches(), 1);
        let places = normal.places();
        let sent = places.iter().position(|(place, _)| place == "start-wave-v1/drs:StartRecovery").unwrap();
        assert!(sent > 4, "{places:?}");
        for (place, nth) in &places[..=sent] {
            for decision in ["skip", "continue"] {
                for ends in [None, Some("ALL_WAVES_SETTLED"), Some("STOPPED")] {
                    let what = format!("attempt {attempt}, frozen at {place} #{nth}, {decision}, then {ends:?}");
                    let freeze = Entry { place: place.clone(), nth: *nth, what: Happening::Fault(Fault::Freeze(300)) };
                    let mut stage = Stage::new(800, &records, &[freeze]);
                    let mut meanwhile = |stage: &mut Stage| {
                        stage.decide(decision);
                        if let Some(reason) = ends {
                            stage.finalize(reason);
                        }
                    };
                    let answer = stage.run_with(ActivityName::StartWave, wave_input(attempt), (900, &mut meanwhile));
                    assert_eq!(stage.launches(), 0, "{what}: {answer:?}");
                    if let Err(error) = answer {
                        let expected = [ErrorName::Superseded, ErrorName::Conflict];
                        assert!(expected.contains(&error.name), "{what}: {error}");
                    }
                }
            }
        }
    }
}
