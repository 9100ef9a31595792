//! The model from outside: what a client of DRS would see, on a clock that only the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate_simulator::wire::{
    DescribeJobLogItems, DescribeJobs, DescribeRecoveryInstances, DescribeSourceServers, Ec2InstanceState, Job,
    JobStatus, LaunchActionRunStatus, LaunchStatus, RecoveryInstance, StartRecovery, StartRecoverySourceServer,
    TerminateRecoveryInstances,
};
use tidegate_simulator::{
    ApiError, Effect, Inventory, LaunchedInstance, MemoryInstances, Operation, Quotas, Scope, Settings, Simulator,
    settle,
};

struct World {
    drs: Simulator,
    ec2: MemoryInstances,
    scope: Scope,
    now: Timestamp,
}

fn server(number: usize) -> String {
    format!("s-{number:017x}")
}

impl World {
    fn with(settings: Settings, inventory: Inventory) -> Self {
        let now = "2026-11-20T03:00:00Z".parse().unwrap();
        let drs = Simulator::new(settings, inventory, now).unwrap();
        Self { drs, ec2: MemoryInstances::new(1), scope: Scope::new("000000000000", "us-west-2"), now }
    }

    /// At the speed of AWS, so that tests speak of AWS's seconds.
    fn new(inventory: Value, scenario: Value) -> Self {
        let settings =
            Settings { speed: 1.0, scenario: serde_json::from_value(scenario).unwrap(), ..Settings::default() };
        Self::with(settings, serde_json::from_value(inventory).unwrap())
    }

    fn of(servers: u32) -> Self {
        Self::with(Settings { speed: 1.0, ..Settings::default() }, Inventory::generated(servers, "us-west-2"))
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        settle(&mut self.drs, &mut self.ec2, self.now);
    }

    fn finish(&mut self) {
        while let Some(due) = self.drs.next_due() {
            self.now = due;
            settle(&mut self.drs, &mut self.ec2, due);
        }
    }

    fn start(&mut self, servers: impl IntoIterator<Item = usize>, is_drill: bool) -> Result<Job, ApiError> {
        let source_servers = servers.into_iter().map(|n| StartRecoverySourceServer::latest(&server(n))).collect();
        self.drs.start_recovery(&self.scope, StartRecovery { source_servers, is_drill, ..Default::default() }, self.now)
    }

    fn job(&mut self, id: &str) -> Job {
        let jobs = self.drs.describe_jobs(&self.scope, DescribeJobs::default(), self.now).unwrap().items;
        jobs.into_iter().find(|job| job.job_id == id).unwrap()
    }

    /// Every job that is listed, the newest first.
    fn job_ids(&mut self) -> Vec<String> {
        let jobs = self.drs.describe_jobs(&self.scope, DescribeJobs::default(), self.now).unwrap().items;
        jobs.into_iter().map(|job| job.job_id).collect()
    }

    fn statuses(&mut self, id: &str) -> Vec<LaunchStatus> {
        self.job(id).participating_servers.iter().map(|server| server.launch_status).collect()
    }

    fn events(&mut self, id: &str) -> Vec<String> {
        let input = DescribeJobLogItems { job_id: id.to_owned(), ..Default::default() };
        let items = self.drs.describe_job_log_items(&self.scope, input, self.now).unwrap().items;
        items.into_iter().map(|item| item.event.as_str().to_owned()).collect()
    }

    fn listed(&mut self) -> Vec<RecoveryInstance> {
        self.drs.describe_recovery_instances(&self.scope, DescribeRecoveryInstances::default(), self.now).unwrap().items
    }
}

#[test]
fn a_server_is_pending_through_snapshot_and_conversion_and_in_progress_while_it_launches() {
    let mut world = World::of(1);
    let id = world.start([1], true).unwrap().job_id;
    assert_eq!((world.job(&id).status, world.statuses(&id)), (JobStatus::Pending, vec![LaunchStatus::Pending]));
    world.pass(2);
    assert_eq!(world.job(&id).status, JobStatus::Started);
    // 808 s and 15 % of jitter: certainly pending before 686 s, certainly launching after 930 s.
    world.pass(680);
    assert_eq!(world.statuses(&id), [LaunchStatus::Pending]);
    world.pass(250);
    assert_eq!(world.statuses(&id), [LaunchStatus::InProgress]);
    assert!(world.job(&id).participating_servers[0].recovery_instance_id.is_some(), "visible around the launch");
    world.pass(435);
    let job = world.job(&id);
    assert_eq!((job.status, world.statuses(&id)), (JobStatus::Completed, vec![LaunchStatus::Launched]));
    assert_eq!(job.participating_servers[0].recovery_instance_id, None, "gone from the finished job");
    let total = job.end_date_time.unwrap().0.duration_since(job.creation_date_time.0).as_secs_f64();
    assert!((0.85 * 1184.0..=1.15 * 1184.0).contains(&total), "{total}");
}

#[test]
fn the_quirk_that_hides_the_instance_can_be_switched_off() {
    let mut world = World::new(
        json!({"region": "us-west-2", "generate": [{"count": 1}]}),
        json!({"quirks": {"completedJobHidesRecoveryInstanceId": false}}),
    );
    let id = world.start([1], true).unwrap().job_id;
    world.finish();
    let shown = world.job(&id).participating_servers[0].recovery_instance_id.clone();
    assert_eq!(shown, Some(world.listed()[0].recovery_instance_id.clone()));
}

#[test]
fn the_job_log_tells_a_launch_as_captured_from_aws() {
    let mut world = World::of(1);
    let id = world.start([1], true).unwrap().job_id;
    world.finish();
    let told = [
        "JOB_START",
        "SNAPSHOT_START",
        "SNAPSHOT_END",
        "CONVERSION_START",
        "CONVERSION_END",
        "LAUNCH_START",
        "LAUNCH_END",
        "JOB_END",
    ];
    assert_eq!(world.events(&id), told);
}

#[test]
fn a_fault_may_strike_at_each_stage_and_the_job_still_completes() {
    for (stage, event) in [
        ("skipped", "SERVER_SKIPPED"),
        ("snapshot", "SNAPSHOT_FAIL"),
        ("conversion", "CONVERSION_FAIL"),
        ("launch", "LAUNCH_FAILED"),
    ] {
        let fault = json!({"fault": "launchFails", "stage": stage, "sourceServerId": server(2), "rawError": "no"});
        let mut world =
            World::new(json!({"region": "us-west-2", "generate": [{"count": 2}]}), json!({"faults": [fault]}));
        let id = world.start([1, 2], true).unwrap().job_id;
        world.finish();
        assert_eq!(world.job(&id).status, JobStatus::Completed);
        assert_eq!(world.statuses(&id), [LaunchStatus::Launched, LaunchStatus::Failed], "{stage}");
        assert_eq!(world.events(&id).iter().filter(|told| *told == event).count(), 1, "{stage}");
        assert_eq!(world.ec2.all().count(), 1, "nothing is launched for the failed server");
        world.start([2], true).expect("a finished job lets go of its servers");
    }
}

#[test]
fn ec2_refusing_an_instance_fails_the_server_with_its_words() {
    let mut world = World::of(1);
    let id = world.start([1], true).unwrap().job_id;
    let launch = loop {
        world.now = world.drs.next_due().unwrap();
        if let Some(Effect::LaunchInstance(launch)) = world.drs.advance(world.now).pop() {
            break launch;
        }
    };
    assert_eq!((launch.source_server_id.as_str(), launch.job_id.as_str()), (server(1).as_str(), id.as_str()));
    world.drs.launch_refused(&world.scope, &id, &server(1), "UnauthorizedOperation: RunInstances", world.now);
    world.finish();
    assert_eq!(world.statuses(&id), [LaunchStatus::Failed]);
    let input = DescribeJobLogItems { job_id: id, ..Default::default() };
    let log = world.drs.describe_job_log_items(&world.scope, input, world.now).unwrap().items;
    assert!(log.iter().any(|item| item.event_data.raw_error.as_deref() == Some("UnauthorizedOperation: RunInstances")));
}

#[test]
fn a_launch_waits_for_the_instance_however_long_ec2_takes() {
    let mut world = World::of(1);
    let id = world.start([1], true).unwrap().job_id;
    while let Some(due) = world.drs.next_due() {
        world.now = due;
        world.drs.advance(due);
    }
    world.now += SignedDuration::from_hours(1);
    assert_eq!((world.job(&id).status, world.statuses(&id)), (JobStatus::Started, vec![LaunchStatus::InProgress]));
    let launched = LaunchedInstance { instance_id: "i-0123456789abcdef0".to_owned(), private_ip: None };
    world.drs.instance_launched(&world.scope, &id, &server(1), launched.clone(), world.now);
    assert_eq!((world.job(&id).status, world.statuses(&id)), (JobStatus::Completed, vec![LaunchStatus::Launched]));
    // A report that comes twice must not make a second instance.
    world.drs.instance_launched(&world.scope, &id, &server(1), launched, world.now);
    world.finish();
    assert_eq!(world.listed().len(), 1);
}

#[test]
fn instances_are_listed_with_a_lag_and_end_in_their_disposition() {
    let inventory = json!({"region": "us-west-2", "servers": [
        {"sourceServerId": server(1), "hostname": "a"},
        {"sourceServerId": server(2), "hostname": "b", "launchDisposition": "STOPPED"},
    ]});
    let mut world =
        World::new(inventory, json!({"faults": [{"fault": "listLag", "seconds": 2000, "sourceServerId": server(1)}]}));
    let id = world.start([1, 2], true).unwrap().job_id;
    while world.job(&id).status != JobStatus::Completed {
        world.pass(10);
    }
    assert_eq!(
        world.listed().iter().map(|instance| instance.source_server_id.clone()).collect::<Vec<_>>(),
        [server(2)]
    );
    world.pass(2100);
    let mut states: Vec<_> = world.listed().into_iter().map(|i| (i.source_server_id, i.ec2_instance_state)).collect();
    states.sort();
    assert_eq!(states, [(server(1), Ec2InstanceState::Running), (server(2), Ec2InstanceState::Stopped)]);
    assert!(
        world.ec2.all().any(|instance| instance.launch.source_server_id == server(2) && instance.state == "stopped")
    );
}

#[test]
fn busy_unknown_and_unready_servers_refuse_the_whole_request() {
    let inventory = json!({"region": "us-west-2", "generate": [{"count": 3}], "servers": [
        {"sourceServerId": server(100), "hostname": "new", "replicationState": "INITIAL_SYNC"},
        {"sourceServerId": server(101), "hostname": "gone", "replicationState": "DISCONNECTED"},
        {"sourceServerId": server(102), "hostname": "late", "replicationState": "STALLED"},
    ]});
    let mut world = World::new(inventory, json!({}));
    let first = world.start([1], true).unwrap();
    for refused in [1, 100, 101, 999] {
        let error = world.start([2, refused], true).unwrap_err();
        assert_eq!((error.name, error.status), ("ConflictException", 409));
        assert_eq!(error.body()["resourceId"], server(refused).as_str());
    }
    assert_eq!(world.start([2, 2], true).unwrap_err().name, "ValidationException");
    let jobs = world.drs.describe_jobs(&world.scope, DescribeJobs::default(), world.now).unwrap().items;
    assert_eq!(jobs.iter().map(|job| &job.job_id).collect::<Vec<_>>(), [&first.job_id], "nothing else was started");
    world.start([2, 102], true).expect("a stalled server has a recovery point");
}

#[test]
fn quotas_are_those_of_the_account_and_free_themselves() {
    let quotas = Quotas { concurrent_jobs: 2, servers_per_job: 3, servers_in_all_jobs: 4 };
    let settings = Settings { speed: 1.0, quotas, ..Settings::default() };
    let mut world = World::with(settings, Inventory::generated(10, "us-west-2"));
    let code = |error: ApiError| (error.status, error.body()["quotaCode"].as_str().unwrap().to_owned());
    assert_eq!(code(world.start(1..=4, true).unwrap_err()), (402, "L-B827C881".to_owned()));
    world.start(1..=3, true).unwrap();
    assert_eq!(code(world.start(4..=5, true).unwrap_err()), (402, "L-05AFA8C6".to_owned()));
    world.start([4], true).unwrap();
    assert_eq!(code(world.start([5], true).unwrap_err()), (402, "L-D88FAC3A".to_owned()));
    let elsewhere = Scope::new("000000000000", "eu-west-1");
    let jobs = world.drs.describe_jobs(&elsewhere, DescribeJobs::default(), world.now).unwrap();
    assert!(jobs.items.is_empty(), "another Region is another world");
    world.finish();
    world.start([5], true).expect("finished jobs do not count");
}

#[test]
fn termination_shuts_instances_down_and_then_forgets_them() {
    let mut world = World::of(2);
    world.start([1, 2], true).unwrap();
    world.finish();
    let ids: Vec<String> = world.listed().into_iter().map(|instance| instance.recovery_instance_id).collect();
    let terminate = TerminateRecoveryInstances { recovery_instance_ids: ids };
    let id = world.drs.terminate_recovery_instances(&world.scope, terminate.clone(), world.now).unwrap().job_id;
    assert_eq!(world.start([1], true).unwrap_err().name, "ConflictException", "a TERMINATE job holds its servers too");
    world.pass(30);
    assert!(world.listed().iter().all(|instance| instance.ec2_instance_state == Ec2InstanceState::ShuttingDown));
    world.finish();
    assert_eq!(world.statuses(&id), [LaunchStatus::Terminated; 2]);
    assert_eq!(
        world.events(&id),
        ["JOB_START", "CLEANUP_START", "CLEANUP_START", "CLEANUP_END", "CLEANUP_END", "JOB_END"]
    );
    assert!(world.listed().is_empty() && world.ec2.all().all(|instance| instance.state == "terminated"));
    let gone = world.drs.terminate_recovery_instances(&world.scope, terminate, world.now).unwrap_err();
    assert_eq!(gone.name, "ConflictException");
}

#[test]
fn a_termination_that_ec2_refuses_is_not_called_done() {
    let mut world = World::of(1);
    world.start([1], true).unwrap();
    world.finish();
    let instance = world.listed()[0].recovery_instance_id.clone();
    let input = TerminateRecoveryInstances { recovery_instance_ids: vec![instance.clone()] };
    let id = world.drs.terminate_recovery_instances(&world.scope, input, world.now).unwrap().job_id;
    world.now += SignedDuration::from_secs(5);
    assert_eq!(
        world.drs.advance(world.now),
        [Effect::TerminateInstance { scope: world.scope.clone(), instance_id: instance.clone() }]
    );
    world.drs.termination_refused(&world.scope, &instance, "UnauthorizedOperation", world.now);
    world.finish();
    assert_eq!(world.statuses(&id), [LaunchStatus::Failed]);
    assert_eq!(world.listed()[0].ec2_instance_state, Ec2InstanceState::Running);
}

/// The quick start guide's reading, and the kinder one: a drill deletes drill and recovery instances, or drill instances only.
#[test]
fn a_launch_deletes_the_former_instances_of_its_server_by_either_reading() {
    for deletes_recoveries in [true, false] {
        let scenario = json!({"quirks": {"launchDeletesRecoveryInstances": deletes_recoveries}});
        let mut world = World::new(
            json!({"region": "us-west-2", "servers": [{"sourceServerId": server(1), "hostname": "a"}]}),
            scenario,
        );
        let recovery = world.start([1], false).unwrap().job_id;
        world.finish();
        let drill = world.start([1], true).unwrap().job_id;
        world.finish();
        assert_eq!(world.events(&drill).contains(&"CLEANUP_START".to_owned()), deletes_recoveries);
        let again = world.start([1], true).unwrap().job_id;
        world.finish();
        assert_eq!(world.events(&again)[1..3], ["CLEANUP_START", "CLEANUP_END"]);
        let mut left: Vec<(String, bool)> = world.listed().into_iter().map(|i| (i.job_id, i.is_drill)).collect();
        left.sort();
        let mut wanted = vec![(again, true)];
        wanted.extend((!deletes_recoveries).then_some((recovery, false)));
        wanted.sort();
        assert_eq!(left, wanted);
        let gone = world.ec2.all().filter(|instance| instance.state == "terminated").count();
        assert_eq!(gone, if deletes_recoveries { 2 } else { 1 });
    }
}

#[test]
fn post_launch_actions_outlive_the_job_and_a_failed_one_marks_the_launch() {
    let actions =
        json!([{"name": "First", "actionCode": "doc"}, {"name": "Second", "actionCode": "doc", "optional": true}]);
    let inventory = json!({"region": "us-west-2", "servers": [
        {"sourceServerId": server(1), "hostname": "a", "postLaunchEnabled": true, "launchActions": actions},
    ]});
    for (failing, quirk, status, result) in [
        ("First", false, LaunchStatus::Launched, "FAILED"),
        ("First", true, LaunchStatus::Failed, "FAILED"),
        ("Second", true, LaunchStatus::Launched, "SUCCEEDED"),
    ] {
        let scenario = json!({
            "quirks": {"failedActionFailsLaunchStatus": quirk, "lateLaunchActionsStatus": quirk},
            "faults": [{"fault": "actionFails", "actionName": failing}],
        });
        let mut world = World::new(inventory.clone(), scenario);
        let id = world.start([1], false).unwrap().job_id;
        while world.job(&id).status != JobStatus::Completed {
            world.now = world.drs.next_due().unwrap();
            settle(&mut world.drs, &mut world.ec2, world.now);
        }
        let listed = world.job(&id).participating_servers[0].launch_actions_status.clone();
        assert_eq!(listed.is_some(), !quirk, "with the quirk they are not listed before the agent is discovered");
        assert_eq!(world.statuses(&id), [LaunchStatus::Launched]);
        world.finish();
        let runs = world.job(&id).participating_servers[0].launch_actions_status.clone().unwrap().runs;
        assert!(runs.iter().all(|run| (run.status == LaunchActionRunStatus::Failed) == (run.action.name == failing)));
        assert_eq!(world.statuses(&id), [status]);
        let servers =
            world.drs.describe_source_servers(&world.scope, DescribeSourceServers::default(), world.now).unwrap();
        assert_eq!(servers.items[0].last_launch_result.as_str(), result);
    }
}

#[test]
fn slow_actions_take_their_factor() {
    let inventory = json!({"region": "us-west-2", "servers": [{
        "sourceServerId": server(1), "hostname": "a", "postLaunchEnabled": true, "launchActions": [{"name": "A", "actionCode": "doc"}],
    }]});
    let mut took = [0.0; 2];
    for (took, factor) in took.iter_mut().zip([1, 6]) {
        let faults = json!({"faults": [{"fault": "slowPostLaunch", "factor": factor}]});
        let mut world = World::new(inventory.clone(), faults);
        let id = world.start([1], false).unwrap().job_id;
        world.finish();
        *took = world.now.duration_since(world.job(&id).end_date_time.unwrap().0).as_secs_f64();
    }
    assert!((510.0..=690.0).contains(&took[0]), "{took:?}");
    assert!((510.0 * 5.0..=690.0 * 6.0).contains(&took[1]), "{took:?}");
}

#[test]
fn a_stuck_server_leaves_nothing_due_and_its_job_started() {
    for stage in ["snapshot", "conversion", "launch"] {
        let fault = json!({"faults": [{"fault": "stuck", "stage": stage}]});
        let mut world = World::new(json!({"region": "us-west-2", "generate": [{"count": 1}]}), fault);
        let id = world.start([1], true).unwrap().job_id;
        world.finish();
        world.pass(86_400);
        assert_eq!(world.job(&id).status, JobStatus::Started, "{stage}");
        assert!(world.ec2.all().next().is_none(), "{stage}");
    }
}

#[test]
fn the_same_seed_and_times_give_the_same_world_however_often_it_is_looked_at() {
    let story = |seed: u64, step: Option<i64>| {
        let settings = Settings { seed, speed: 1.0, ..Settings::default() };
        let mut world = World::with(settings, Inventory::generated(20, "us-west-2"));
        let id = world.start(1..=20, true).unwrap().job_id;
        match step {
            Some(seconds) => (0..4000 / seconds).for_each(|_| world.pass(seconds)),
            None => world.pass(4000),
        }
        let input = DescribeJobLogItems { job_id: id, max_results: Some(1000), ..Default::default() };
        let log = world.drs.describe_job_log_items(&world.scope, input, world.now).unwrap();
        serde_json::to_string(&log).unwrap()
    };
    assert_eq!(story(1, None), story(1, Some(1)));
    assert_eq!(story(1, Some(7)), story(1, Some(250)));
    assert_ne!(story(1, None), story(2, None));
}

#[test]
fn two_thousand_servers_recover_in_twenty_jobs_and_page_through() {
    let quotas = Quotas { servers_in_all_jobs: 2000, ..Quotas::default() };
    let settings = Settings { speed: 60.0, quotas, ..Settings::default() };
    let mut world = World::with(settings, Inventory::generated(2000, "us-west-2"));
    for first in (1..=2000).step_by(100) {
        world.start(first..first + 100, false).unwrap();
    }
    world.finish();
    let (mut seen, mut pages, mut token) = (Vec::new(), 0, None);
    loop {
        let input = DescribeRecoveryInstances { next_token: token, ..Default::default() };
        let page = world.drs.describe_recovery_instances(&world.scope, input, world.now).unwrap();
        seen.extend(page.items.into_iter().map(|instance| instance.source_server_id));
        (pages, token) = (pages + 1, page.next_token);
        if token.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), pages), (2000, 20));
}

#[test]
fn an_operation_by_name_validates_first() {
    let mut world = World::of(1);
    let error = world.drs.operation(&world.scope, Operation::StartRecovery, json!({}), world.now).unwrap_err();
    assert_eq!(error.name, "ValidationException");
    let input = json!({"sourceServers": [{"sourceServerID": server(1), "recoverySnapshotID": null}], "tags": null});
    let body = world.drs.operation(&world.scope, Operation::StartRecovery, input, world.now).unwrap().unwrap();
    assert_eq!(body["job"]["initiatedBy"], "START_RECOVERY");
    assert_eq!(body["job"]["tags"], json!({}));
}

#[test]
fn inventories_that_lie_are_refused() {
    let now: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
    for wrong in [
        json!({"servers": [{"sourceServerId": server(1), "hostname": "a"}]}),
        json!({"region": "us-west-2", "servers": [{"sourceServerId": "s-1", "hostname": "a"}]}),
        json!({"region": "us-west-2", "account": "12", "servers": [{"sourceServerId": server(1), "hostname": "a"}]}),
        json!({"region": "us-west-2", "generate": [{"count": 2}], "servers": [{"sourceServerId": server(2), "hostname": "a"}]}),
        json!({"region": "us-west-2", "nativeExecutions": [{"executionId": "e", "planId": "none"}]}),
    ] {
        let inventory = serde_json::from_value(wrong.clone()).unwrap();
        assert!(Simulator::new(Settings::default(), inventory, now).is_err(), "{wrong}");
    }
    let scenario = serde_json::from_value(json!({"timing": {"launchSecond": 1}})).unwrap();
    assert!(Simulator::new(Settings { scenario, ..Settings::default() }, Inventory::default(), now).is_err());
}

#[test]
fn a_job_that_is_listed_late_holds_its_server_from_the_first_moment() {
    let fault = json!({"faults": [{"fault": "jobListLag", "seconds": 90, "sourceServerId": server(1)}]});
    let mut world = World::new(json!({"region": "us-west-2", "generate": [{"count": 2}]}), fault);
    let id = world.start([1], true).unwrap().job_id;
    let other = world.start([2], true).unwrap().job_id;
    world.pass(89);
    assert_eq!(world.job_ids(), [other.as_str()], "a job of another server is listed at once");
    assert_eq!(world.start([1], true).unwrap_err().name, "ConflictException");
    world.pass(1);
    assert_eq!(world.job_ids(), [other, id.clone()]);
    world.finish();
    let instance = world.listed().into_iter().find(|instance| instance.job_id == id).unwrap();
    let input = TerminateRecoveryInstances { recovery_instance_ids: vec![instance.recovery_instance_id] };
    let job = world.drs.terminate_recovery_instances(&world.scope, input, world.now).unwrap().job_id;
    assert!(!world.job_ids().contains(&job), "a TERMINATE job is late, too");
    world.pass(90);
    assert!(world.job_ids().contains(&job));
}

#[test]
fn a_job_that_vanishes_goes_on() {
    let fault = json!({"faults": [{"fault": "jobVanishes", "seconds": 300}]});
    let mut world = World::new(json!({"region": "us-west-2", "generate": [{"count": 1}]}), fault);
    let id = world.start([1], true).unwrap().job_id;
    world.pass(299);
    assert_eq!(world.job_ids(), [id.as_str()]);
    world.pass(1);
    assert!(world.job_ids().is_empty());
    let input = DescribeJobLogItems { job_id: id.clone(), ..Default::default() };
    let error = world.drs.describe_job_log_items(&world.scope, input, world.now).unwrap_err();
    assert_eq!(error.name, "ValidationException");
    assert_eq!(world.start([1], true).unwrap_err().name, "ConflictException", "it holds its server");
    world.finish();
    assert!(world.job_ids().is_empty());
    assert_eq!(world.listed()[0].job_id, id, "and launches it");
    world.start([1], true).expect("then it lets go of it");
}
