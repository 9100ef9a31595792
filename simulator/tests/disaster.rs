//! The story of a real disaster: sources that are dead, a failback that is under way, instances that are gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate_simulator::{ApiError, Inventory, MemoryInstances, Operation, Scope, Settings, Simulator, settle};

const DB: &str = "s-00000000000000001";
const APP: &str = "s-00000000000000002";

struct World {
    drs: Simulator,
    ec2: MemoryInstances,
    now: Timestamp,
}

impl World {
    /// Two servers at the speed of AWS.
    fn new(scenario: Value) -> Self {
        let settings =
            Settings { speed: 1.0, scenario: serde_json::from_value(scenario).unwrap(), ..Settings::default() };
        let now = "2026-11-20T03:07:00Z".parse().unwrap();
        let drs = Simulator::new(settings, Inventory::generated(2, "us-west-2"), now).unwrap();
        Self { drs, ec2: MemoryInstances::new(1), now }
    }

    fn ask(&mut self, operation: Operation, input: Value) -> Result<Value, ApiError> {
        let scope = Scope::new("000000000000", "us-west-2");
        let answer = self.drs.operation(&scope, operation, input, self.now);
        answer.map(|body| serde_json::from_str(&body.unwrap().to_string()).unwrap())
    }

    fn start(&mut self, servers: &[&str], is_drill: bool) -> Result<String, ApiError> {
        let servers: Vec<Value> = servers.iter().map(|id| json!({"sourceServerID": id})).collect();
        let answer = self.ask(Operation::StartRecovery, json!({"sourceServers": servers, "isDrill": is_drill}))?;
        Ok(answer["job"]["jobID"].as_str().unwrap().to_owned())
    }

    fn terminate(&mut self, instances: &[&str]) -> Result<Value, ApiError> {
        let ids = json!({"recoveryInstanceIDs": instances});
        self.ask(Operation::TerminateRecoveryInstances, ids).map(|mut answer| answer["job"].take())
    }

    fn finish(&mut self) {
        while let Some(due) = self.drs.next_due() {
            self.now = due;
            settle(&mut self.drs, &mut self.ec2, due);
        }
    }

    fn job(&mut self, id: &str) -> Value {
        self.ask(Operation::DescribeJobs, json!({"filters": {"jobIDs": [id]}})).unwrap()["items"][0].take()
    }

    fn statuses(&mut self, id: &str) -> Vec<String> {
        let job = self.job(id);
        let servers = job["participatingServers"].as_array().unwrap().iter();
        servers.map(|server| server["launchStatus"].as_str().unwrap().to_owned()).collect()
    }

    /// What the log says of a server: events with the seconds since the job began.
    fn events(&mut self, id: &str, server: &str) -> Vec<(String, f64)> {
        let items = self.ask(Operation::DescribeJobLogItems, json!({"jobID": id})).unwrap()["items"].take();
        let at = |item: &Value| item["logDateTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
        let began = at(&items[0]);
        let mine = items.as_array().unwrap().iter().filter(|item| item["eventData"]["sourceServerID"] == server);
        mine.map(|item| (item["event"].as_str().unwrap().to_owned(), at(item).duration_since(began).as_secs_f64()))
            .collect()
    }

    fn instances(&mut self) -> Vec<Value> {
        let listed = self.ask(Operation::DescribeRecoveryInstances, json!({})).unwrap()["items"].take();
        serde_json::from_value(listed).unwrap()
    }

    fn source(&mut self, server: &str) -> Value {
        let filters = json!({"filters": {"sourceServerIDs": [server]}});
        self.ask(Operation::DescribeSourceServers, filters).unwrap()["items"][0].take()
    }
}

fn names(events: &[(String, f64)]) -> Vec<&str> {
    events.iter().map(|(event, _)| event.as_str()).collect()
}

#[test]
fn a_dead_source_costs_minutes_and_is_recovered_to_its_last_point_in_time() {
    let mut world = World::new(json!({"faults": [{"fault": "sourceDead", "sourceServerId": DB, "seconds": 600}]}));
    let died = world.now - SignedDuration::from_secs(600);
    let job = world.start(&[DB, APP], false).unwrap();
    world.finish();
    let told = world.events(&job, DB);
    assert_eq!(
        names(&told),
        [
            "SNAPSHOT_START",
            "SNAPSHOT_FAIL",
            "USING_PREVIOUS_SNAPSHOT",
            "CONVERSION_START",
            "CONVERSION_END",
            "LAUNCH_START",
            "LAUNCH_END"
        ]
    );
    assert!((255.0..=345.0).contains(&told[1].1), "300 s and 15 %: {told:?}");
    assert_eq!(names(&world.events(&job, APP))[..2], ["SNAPSHOT_START", "SNAPSHOT_END"]);
    assert_eq!(world.statuses(&job), ["LAUNCHED", "LAUNCHED"]);
    let instances = world.instances();
    let taken = |server: &str| -> Timestamp {
        let instance = instances.iter().find(|instance| instance["sourceServerID"] == server).unwrap();
        instance["pointInTimeSnapshotDateTime"].as_str().unwrap().parse().unwrap()
    };
    assert_eq!(taken(DB).to_string(), "2026-11-20T02:50:00Z", "the last of the policy's before it died");
    assert!(taken(DB) < died && died < taken(APP));
}

#[test]
fn a_dead_source_is_stalled_with_a_growing_lag_and_gets_no_new_points_in_time() {
    let mut world = World::new(json!({}));
    assert_eq!(world.source(DB)["dataReplicationInfo"]["dataReplicationState"], "CONTINUOUS");
    let rule = serde_json::from_value(json!({"fault": "sourceDead", "sourceServerId": DB})).unwrap();
    world.drs.faults_mut().add(rule, world.now).unwrap();
    world.now += SignedDuration::from_secs(1_800);
    let info = world.source(DB)["dataReplicationInfo"].take();
    assert_eq!((&info["dataReplicationState"], &info["lagDuration"]), (&json!("STALLED"), &json!("PT2700S")));
    assert_eq!(info["dataReplicationError"]["error"], "AGENT_NOT_SEEN");
    assert_eq!(world.source(DB)["lifeCycle"]["lastSeenByServiceDateTime"], "2026-11-20T02:52:00.000000+00:00");
    let newest = |world: &mut World, server: &str| {
        let asked = json!({"sourceServerID": server, "order": "DESC", "maxResults": 1});
        world.ask(Operation::DescribeRecoverySnapshots, asked).unwrap()["items"][0]["timestamp"].take()
    };
    assert_eq!(newest(&mut world, DB), "2026-11-20T02:50:00.000000+00:00");
    assert_eq!(newest(&mut world, APP), "2026-11-20T03:30:00.000000+00:00");
    assert_eq!(world.source(APP)["dataReplicationInfo"]["dataReplicationState"], "CONTINUOUS");
}

#[test]
fn a_named_point_in_time_needs_no_source() {
    let mut world = World::new(json!({"faults": [{"fault": "sourceDead"}]}));
    let snapshots = world.ask(Operation::DescribeRecoverySnapshots, json!({"sourceServerID": DB})).unwrap();
    let pinned = json!([{"sourceServerID": DB, "recoverySnapshotID": snapshots["items"][0]["snapshotID"]}]);
    let answer = world.ask(Operation::StartRecovery, json!({"sourceServers": pinned})).unwrap();
    world.finish();
    assert_eq!(names(&world.events(answer["job"]["jobID"].as_str().unwrap(), DB))[0], "CONVERSION_START");
}

#[test]
fn a_previous_snapshot_that_cannot_be_used_fails_the_server() {
    let faults = json!([
        {"fault": "sourceDead"},
        {"fault": "launchFails", "stage": "previousSnapshot", "sourceServerId": DB, "rawError": "SnapshotNotFound"},
    ]);
    let mut world = World::new(json!({"faults": faults}));
    let job = world.start(&[DB, APP], false).unwrap();
    world.finish();
    assert_eq!(names(&world.events(&job, DB)), ["SNAPSHOT_START", "SNAPSHOT_FAIL", "USING_PREVIOUS_SNAPSHOT_FAILED"]);
    assert_eq!(
        (world.statuses(&job), world.job(&job)["status"].take()),
        (vec!["FAILED".into(), "LAUNCHED".into()], json!("COMPLETED"))
    );
}

#[test]
fn a_server_that_fails_back_is_neither_launched_nor_are_its_instances_terminated() {
    let mut world = World::new(json!({}));
    world.start(&[DB, APP], false).unwrap();
    world.finish();
    let instances = world.instances();
    let ids: Vec<&str> = instances.iter().map(|instance| instance["recoveryInstanceID"].as_str().unwrap()).collect();
    assert!(instances.iter().all(|instance| instance["failback"]["state"] == "FAILBACK_NOT_STARTED"));
    for (state, refuses) in [
        ("FAILBACK_IN_PROGRESS", true),
        ("FAILBACK_READY_FOR_LAUNCH", true),
        ("FAILBACK_NOT_READY_FOR_LAUNCH", true),
        ("FAILBACK_LAUNCH_STATE_NOT_AVAILABLE", true),
        ("FAILBACK_ERROR", true),
        ("FAILBACK_COMPLETED", false),
    ] {
        let rule = json!({"fault": "failback", "id": "back", "sourceServerId": DB, "failbackState": state});
        world.drs.faults_mut().add(serde_json::from_value(rule).unwrap(), world.now).unwrap();
        let shown: Vec<Value> =
            world.instances().iter().map(|instance| instance["failback"]["state"].clone()).collect();
        assert_eq!(shown.iter().filter(|shown| **shown == state).count(), 1);
        if !refuses {
            continue;
        }
        for is_drill in [true, false] {
            let error = world.start(&[APP, DB], is_drill).unwrap_err();
            assert_eq!((error.name, &error.body()["resourceId"]), ("ConflictException", &json!(DB)), "{state}");
        }
        let error = world.terminate(&ids).unwrap_err();
        assert_eq!(error.name, "ConflictException");
        assert!(error.message.contains("cannot be terminated during failback"), "{error}");
    }
    world.terminate(&ids).expect("a failback that is completed is over");
}

#[test]
fn ids_of_instances_that_are_gone_refuse_the_call_or_are_left_out() {
    for takes in [false, true] {
        let mut world =
            World::new(json!({"quirks": {"terminatesGoneInstances": takes}, "timing": {"listLagSeconds": 600}}));
        world.start(&[DB, APP], true).unwrap();
        world.finish();
        world.now += SignedDuration::from_secs(600);
        let instances = world.instances();
        let ids: Vec<&str> =
            instances.iter().map(|instance| instance["recoveryInstanceID"].as_str().unwrap()).collect();
        let first = world.terminate(&ids[..1]).unwrap()["jobID"].take();
        world.now += SignedDuration::from_secs(400);
        settle(&mut world.drs, &mut world.ec2, world.now);
        assert_eq!(world.statuses(first.as_str().unwrap()), ["TERMINATED"]);
        assert_eq!(world.instances().len(), 2, "it is listed for a while, TERMINATED");
        let unknown = "i-0123456789abcdef0";
        let answers = [world.terminate(&[ids[0], ids[1]]), world.terminate(&[unknown])];
        if !takes {
            let refused = answers.map(|answer| answer.unwrap_err().body()["resourceId"].take());
            assert_eq!(refused, [json!(ids[0]), json!(unknown)]);
            continue;
        }
        let [job, nothing] = answers.map(|answer| answer.unwrap()["jobID"].as_str().unwrap().to_owned());
        let mut statuses = world.statuses(&job);
        statuses.sort();
        assert_eq!(statuses, ["PENDING", "TERMINATED"], "the dead one is done from the first");
        world.finish();
        assert_eq!(world.statuses(&job), ["TERMINATED", "TERMINATED"]);
        assert_eq!((world.job(&nothing)["status"].take(), world.statuses(&nothing).len()), (json!("COMPLETED"), 0));
        assert!(world.ec2.all().all(|instance| instance.state == "terminated"));
    }
}
