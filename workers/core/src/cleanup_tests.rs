#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::observed::{InstanceState, JobServer};
use crate::wave_start::tests::{at, id, job_of, wave_of};
use crate::wave_start::{shard_job, started};
use tidegate_contract::records::RefusedInstance;

const JOB: &str = "drsjob-00000000000000001";

fn target() -> Target {
    wave_of(1).1[0].target.clone()
}

fn instance(n: usize, job: Option<&str>, is_drill: bool) -> RecoveryInstance {
    RecoveryInstance {
        recovery_instance_id: format!("i-{n:017x}"),
        ec2_instance_id: None,
        job_id: job.map(JobId::from),
        source_server_id: id(n),
        is_drill,
        point_in_time: None,
        state: InstanceState::Running,
    }
}

fn terminate_job(name: &str, created: i64, status: JobStatus, servers: &[(usize, Launch)]) -> Job {
    Job {
        job_id: JobId::from(name),
        job_type: JobType::Terminate,
        initiated_by: "TERMINATE_RECOVERY_INSTANCES".to_owned(),
        status,
        servers: servers
            .iter()
            .map(|(n, launch)| JobServer {
                source_server_id: id(*n),
                launch: launch.clone(),
                recovery_instance_id: None,
                actions: None,
            })
            .collect(),
        ..job_of(&wave_of(1).1[0], created)
    }
}

fn intent(instances: &[usize], job: Option<&str>) -> CleanupJob {
    CleanupJob {
        target: target(),
        recovery_instance_ids: instances.iter().map(|n| format!("i-{n:017x}")).collect(),
        intended_at: time::format(at(100)),
        job_id: job.map(JobId::from),
    }
}

fn cleanup_of(jobs: Vec<CleanupJob>) -> Cleanup {
    Cleanup { jobs, instances: 2, ..open(at(100)) }
}

fn left(listed: usize) -> Left {
    Left { listed: (1..=listed).map(|n| format!("i-{n:017x}")).collect(), ..Left::default() }
}

/// c-33: the job id and the drill flag decide, not the source server.
#[test]
fn only_drill_instances_of_this_runs_jobs_are_ours() {
    let jobs = BTreeSet::from([JobId::from(JOB), JobId::from("drsjob-00000000000000002")]);
    let listed = [
        instance(1, Some(JOB), true),
        instance(2, Some("drsjob-00000000000000002"), true),
        instance(3, Some(JOB), false), // a real recovery's, even with a job id of ours
        instance(4, Some("drsjob-0000000000000000f"), true), // another run's drill
        instance(5, None, true),       // unknown origin
    ];
    let ours = |jobs: &BTreeSet<JobId>| listed.iter().map(|one| is_ours(one, jobs)).collect::<Vec<_>>();
    assert_eq!(ours(&jobs), [true, true, false, false, false]);
    assert_eq!(ours(&BTreeSet::new()), [false; 5]);
}

/// c-33: waves that failed after launching some servers are not skipped; earlier attempts count.
#[test]
fn jobs_and_servers_come_from_every_attempt_of_every_shard() {
    let mut shards = wave_of(101).1;
    assert!(
        run_jobs(&shards, &target()).is_empty() && launched_servers(&shards).is_empty(),
        "nothing sent, nothing to terminate"
    );
    let job = shard_job(&job_of(&shards[0], 1), false);
    started(&mut shards[0], job);
    shards[1].earlier_jobs = vec![JobId::from("drsjob-00000000000000002")];
    assert_eq!(
        run_jobs(&shards, &target()),
        BTreeSet::from([JobId::from(JOB), JobId::from("drsjob-00000000000000002")])
    );
    assert_eq!(launched_servers(&shards)[&target()].len(), 101);
    let elsewhere = Target { region: "eu-west-1".to_owned(), ..target() };
    assert!(run_jobs(&shards, &elsewhere).is_empty(), "c-25: each target has its own jobs");
    shards[1].target = elsewhere.clone();
    assert_eq!(launched_servers(&shards)[&elsewhere], [id(101)]);
}

#[test]
fn calls_hold_at_most_a_hundred_instances_and_nothing_twice() {
    let found: Vec<String> = (1..=250).map(|n| format!("i-{n:017x}")).collect();
    let sizes = |chunks: Vec<Vec<String>>| chunks.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(uncovered(&found, &target(), None)), [100, 100, 50]);
    let covered = cleanup_of(vec![intent(&(1..=100).collect::<Vec<_>>(), Some(JOB)), intent(&[101], None)]);
    let rest = uncovered(&found, &target(), Some(&covered));
    assert_eq!(sizes(rest.clone()), [100, 49]);
    assert_eq!(rest[0][0], format!("i-{:017x}", 102), "an intent without an answer covers its instances, too");
    let elsewhere = Target { region: "eu-west-1".to_owned(), ..target() };
    assert_eq!(sizes(uncovered(&found, &elsewhere, Some(&covered))), [100, 100, 50]);
    assert!(uncovered(&[], &target(), None).is_empty());
}

fn looked(jobs: &[Job], second: i64) -> Looked {
    Looked { jobs: jobs.to_vec(), asked_at: at(second) }
}

/// An intent's instances as DRS lists them, each of the server of its number.
fn listed<'a>(intent: &'a CleanupJob, servers: &'a [SourceServerId]) -> BTreeMap<&'a str, &'a SourceServerId> {
    let of = |id: &'a String| {
        let number = usize::from_str_radix(id.trim_start_matches("i-"), 16).unwrap();
        (id.as_str(), &servers[number - 1])
    };
    intent.recovery_instance_ids.iter().map(of).collect()
}

/// c-14 for termination: a call whose answer was lost is looked for and adopted before it is sent again.
#[test]
fn a_lost_terminate_call_is_adopted() {
    let intent = intent(&[1, 2], None);
    let ids = [id(1), id(2), id(3)];
    let found = listed(&intent, &ids);
    let servers = BTreeSet::from(ids.clone());
    let both = [(1, Launch::Pending), (2, Launch::Pending)];
    let decide = |jobs: &[Job], second: i64| decide_terminate(&intent, &servers, &looked(jobs, second), &found);
    let settle = 100 + i64::from(SETTLE_SECONDS);

    let ours = terminate_job("drsjob-0000000000000000a", 101, JobStatus::Started, &both);
    assert_eq!(decide(std::slice::from_ref(&ours), 102), TerminateDecision::Adopt(ours.job_id.clone()));
    assert_eq!(decide(&[], 100), TerminateDecision::Wait(SETTLE_SECONDS));
    assert_eq!(decide(&[], settle - 1), TerminateDecision::Wait(1));
    assert_eq!(decide(&[], settle), TerminateDecision::Send);

    let refused = [
        ("older than the intent", terminate_job("drsjob-0000000000000000b", -3_600, JobStatus::Completed, &both)),
        ("a launch", Job { job_type: JobType::Launch, ..ours.clone() }),
        (
            "other servers",
            terminate_job(
                "drsjob-0000000000000000c",
                101,
                JobStatus::Started,
                &[(1, Launch::Pending), (8, Launch::Pending)],
            ),
        ),
        (
            "a console user's, for one of them",
            terminate_job("drsjob-0000000000000000d", 101, JobStatus::Started, &both[..1]),
        ),
        ("without a time", Job { created_at: None, ..ours }),
    ];
    for (name, job) in refused {
        assert_eq!(decide(&[job], settle), TerminateDecision::Send, "{name}");
    }
}

/// c-34: absence is success.
#[test]
fn an_intent_whose_instances_are_gone_is_done() {
    let intent = intent(&[1, 2], None);
    let servers = BTreeSet::from([id(1), id(2)]);
    let (server, nothing) = (id(9), looked(&[], 101));
    let other = BTreeMap::from([("i-00000000000000009", &server)]);
    assert_eq!(decide_terminate(&intent, &servers, &nothing, &other), TerminateDecision::Done);
    let one_left = BTreeMap::from([("i-00000000000000002", &server)]);
    assert_ne!(decide_terminate(&intent, &servers, &nothing, &one_left), TerminateDecision::Done);
}

/// A run's servers are its own only until its outcome: a later run may launch and terminate one of them while this one still cleans
/// up the others. Its TERMINATE job has as many servers as our unanswered call, and all of them are ours.
#[test]
fn the_terminate_job_of_a_later_run_is_not_ours() {
    let servers = BTreeSet::from([id(1), id(2), id(3)]);
    let ids = [id(1), id(2), id(3)];
    let later = |of: &[usize]| {
        let of: Vec<_> = of.iter().map(|n| (*n, Launch::Terminated)).collect();
        terminate_job("drsjob-0000000000000000e", 160, JobStatus::Completed, &of)
    };
    let settled = 100 + i64::from(SETTLE_SECONDS);
    let decide = |intent: &CleanupJob, job: Job, left: &[usize]| {
        let mut found = listed(intent, &ids);
        found.retain(|id, _| left.iter().any(|n| *id == format!("i-{n:017x}")));
        decide_terminate(intent, &servers, &looked(&[job], settled), &found)
    };
    assert_eq!(decide(&intent(&[1], None), later(&[2]), &[1]), TerminateDecision::Send);
    assert_eq!(decide(&intent(&[1, 2], None), later(&[2, 3]), &[1]), TerminateDecision::Send);
    // Its own, with one of the two gone already.
    let own = later(&[1, 2]);
    assert_eq!(decide(&intent(&[1, 2], None), own.clone(), &[1]), TerminateDecision::Adopt(own.job_id));
    // The same server, but the job says that it ends another instance of it.
    let mut another = later(&[1]);
    another.servers[0].recovery_instance_id = Some("i-0000000000000000f".to_owned());
    assert_eq!(decide(&intent(&[1], None), another, &[1]), TerminateDecision::Send);
}

/// A worker that was frozen after it had asked must not take an old answer for a settled one.
#[test]
fn a_termination_that_was_looked_for_too_early_is_not_sent_again() {
    let (intent, ids) = (intent(&[1], None), [id(1)]);
    let decide = |asked: i64| {
        decide_terminate(&intent, &BTreeSet::from(ids.clone()), &looked(&[], asked), &listed(&intent, &ids))
    };
    assert_eq!(decide(130), TerminateDecision::Wait(SETTLE_SECONDS - 30));
    assert_eq!(decide(100 + i64::from(SETTLE_SECONDS)), TerminateDecision::Send);
}

/// c-34: requested is not terminated; gone is.
#[test]
fn a_cleanup_is_completed_when_nothing_is_left() {
    let job = |status, launch: Launch| terminate_job(JOB, 101, status, &[(1, launch.clone()), (2, launch)]);
    let mut cleanup = cleanup_of(vec![intent(&[1, 2], Some(JOB))]);
    judge(&mut cleanup, &[job(JobStatus::Started, Launch::Pending)], &left(2), at(160));
    assert_eq!(cleanup.status, CleanupStatus::Running);
    judge(&mut cleanup, &[job(JobStatus::Completed, Launch::Terminated)], &left(1), at(170));
    assert_eq!(cleanup.status, CleanupStatus::Running, "DRS lists a terminated instance a little longer");
    judge(&mut cleanup, &[], &left(0), at(180));
    assert_eq!((cleanup.status, cleanup.end_time.clone()), (CleanupStatus::Completed, Some(time::format(at(180)))));
    let done = cleanup.clone();
    judge(&mut cleanup, &[job(JobStatus::Completed, Launch::Failed)], &left(2), at(9_999));
    assert_eq!(cleanup, done, "settled is final");
}

/// DisconnectRecoveryInstance and DeleteRecoveryInstance take an instance off DRS's list and leave it running.
#[test]
fn an_instance_that_runs_on_without_drs_fails_the_cleanup_and_is_named() {
    let stranded = Stranded { instance_id: format!("i-{:017x}", 2), source_server_id: id(2) };
    let left = Left { stranded: vec![stranded], ..Left::default() };
    let ended =
        Job { ended_at: Some(at(500)), ..terminate_job(JOB, 101, JobStatus::Completed, &[(1, Launch::Terminated)]) };
    let mut cleanup = cleanup_of(vec![intent(&[1], Some(JOB))]);
    judge(&mut cleanup, std::slice::from_ref(&ended), &left, at(550));
    assert_eq!(cleanup.status, CleanupStatus::Running, "EC2's list lags behind a termination");
    judge(&mut cleanup, std::slice::from_ref(&ended), &left, at(620));
    assert_eq!(cleanup.status, CleanupStatus::Failed);
    assert!(
        cleanup.error.contains("i-00000000000000002") && cleanup.error.contains(id(2).as_str()),
        "{}",
        cleanup.error
    );
}

/// Neither DRS nor EC2 may list a fresh instance for minutes, and a cleanup that ends before they do leaves it running.
#[test]
fn a_launched_server_whose_instance_nobody_has_seen_is_waited_for() {
    let mut shards = wave_of(2).1;
    for server in &mut shards[0].server_statuses {
        server.launch_status = LaunchStatus::Launched;
        server.launched_time = Some(time::format(at(0)));
    }
    shards[0].server_statuses[0].set_instance("i-00000000000000001");
    shards[0].server_statuses[0].instance_state = Some("running".to_owned());
    shards[0].server_statuses[1].set_instance("i-00000000000000002");
    assert_eq!(unseen(&shards, &[], at(i64::from(LISTED_SECONDS) - 1)), 1);
    assert_eq!(unseen(&shards, &[], at(i64::from(LISTED_SECONDS))), 0);

    // Its wave was given up, and its job went on and launched it.
    let job = job_of(&shards[0], 1);
    started(&mut shards[0], shard_job(&job, false));
    shards[0].server_statuses[1].launch_status = LaunchStatus::Failed;
    let launched = |n| JobServer { source_server_id: id(n), launch: Launch::Launched, ..job.servers[0].clone() };
    let ended =
        Job { status: JobStatus::Completed, ended_at: Some(at(5_000)), servers: vec![launched(2)], ..job.clone() };
    let listed = std::slice::from_ref(&ended);
    assert_eq!(unseen(&shards, listed, at(5_000 + i64::from(LISTED_SECONDS) - 1)), 1);
    assert_eq!(unseen(&shards, listed, at(5_000 + i64::from(LISTED_SECONDS))), 0);
    let theirs = RecoveryInstance { job_id: Some(job.job_id), ..instance(2, None, true) };
    assert!(note_instances(&mut shards[0], &[theirs]));
    assert_eq!(unseen(&shards, listed, at(5_001)), 0, "DRS has listed it: whether it is still up is asked of it");
}

#[test]
fn nothing_is_completed_while_ec2_does_not_answer() {
    let left = Left { unread: true, ..Left::default() };
    let mut cleanup = cleanup_of(Vec::new());
    judge(&mut cleanup, &[], &left, at(200));
    assert_eq!(cleanup.status, CleanupStatus::Running);
    judge(&mut cleanup, &[], &left, at(100 + i64::from(CLEANUP_TIMEOUT_SECONDS)));
    assert!(cleanup.status == CleanupStatus::Failed && cleanup.error.contains("EC2"), "{}", cleanup.error);
}

/// One dead id among a hundred: the others are terminated, and what is left is named with DRS's reason.
#[test]
fn an_instance_drs_would_not_take_is_told_once_the_others_are_gone() {
    let refused = RefusedInstance { recovery_instance_id: format!("i-{:017x}", 1), reason: "no".to_owned() };
    let mut cleanup = Cleanup { refused: vec![refused], ..cleanup_of(vec![intent(&[2], Some(JOB))]) };
    let found: Vec<String> = left(2).listed;
    assert!(uncovered(&found, &target(), Some(&cleanup)).is_empty());
    let running = terminate_job(JOB, 101, JobStatus::Started, &[(2, Launch::Pending)]);
    judge(&mut cleanup, &[running], &left(2), at(200));
    assert_eq!(cleanup.status, CleanupStatus::Running);
    let ended = terminate_job(JOB, 101, JobStatus::Completed, &[(2, Launch::Terminated)]);
    judge(&mut cleanup, &[ended], &left(1), at(300));
    assert_eq!(cleanup.error, format!("DRS would not terminate i-{:017x}: no", 1));
}

#[test]
fn a_refused_portion_is_halved_down_to_one() {
    let ids: Vec<String> = left(5).listed;
    let sizes = |portions: Vec<Vec<String>>| portions.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(halves(&ids)), [3, 2]);
    assert_eq!(sizes(halves(&ids[..2])), [1, 1]);
    assert_eq!(halves(&ids).concat(), ids);
}

/// The run that loses its instances says by whom, and does not fail for it.
#[test]
fn what_another_launch_replaced_is_told_with_its_run() {
    let mut shard = wave_of(3).1.remove(0);
    for (n, server) in (1..).zip(&mut shard.server_statuses) {
        server.set_instance(&format!("i-{n:017x}"));
    }
    let mut record = ExecutionRecord::pending(
        ExecutionId::from("run-1"),
        String::new(),
        tidegate_contract::PlanId::from("crm"),
        tidegate_contract::ExecutionType::Drill,
        tidegate_contract::Mode::Run,
        time::format(at(0)),
    );
    record.replaced_by.push(tidegate_contract::records::ReplacedBy {
        execution_id: ExecutionId::from("run-2"),
        instance_ids: vec![format!("i-{:017x}", 1)],
        at: time::format(at(50)),
    });
    let cleanup = cleanup_of(vec![intent(&[3], Some(JOB))]);
    let others = BTreeMap::from([(id(2), "drsjob-others".to_owned()), (id(3), "drsjob-others".to_owned())]);
    let told = replaced(&record, &[shard], &cleanup, &others);
    let told: Vec<(&str, &str)> = told.iter().map(|one| (one.instance_id.as_str(), one.by.as_str())).collect();
    let (first, second) = (format!("i-{:017x}", 1), format!("i-{:017x}", 2));
    assert_eq!(told, [(first.as_str(), "run-2"), (second.as_str(), "drsjob-others")], "instance 3 was our own doing");
}

#[test]
fn a_termination_drs_refused_fails_once_every_job_ended() {
    let mut cleanup = cleanup_of(vec![intent(&[1], Some(JOB)), intent(&[2], Some("drsjob-00000000000000002"))]);
    let failed = terminate_job(JOB, 101, JobStatus::Completed, &[(1, Launch::Failed)]);
    let other = |status| terminate_job("drsjob-00000000000000002", 101, status, &[(2, Launch::Terminated)]);
    judge(&mut cleanup, &[failed.clone(), other(JobStatus::Started)], &left(2), at(160));
    assert_eq!(cleanup.status, CleanupStatus::Running, "the other job may still do its work");
    judge(&mut cleanup, std::slice::from_ref(&failed), &left(1), at(165));
    assert_eq!(cleanup.status, CleanupStatus::Running, "a job DRS does not list has not ended");
    judge(&mut cleanup, &[failed, other(JobStatus::Completed)], &left(1), at(170));
    assert_eq!(cleanup.status, CleanupStatus::Failed);
    assert_eq!(cleanup.error, format!("DRS could not terminate the instances of {}", id(1)));
}

#[test]
fn a_cleanup_that_does_not_end_fails_at_its_timeout() {
    let deadline = 100 + i64::from(CLEANUP_TIMEOUT_SECONDS);
    let mut cleanup = cleanup_of(vec![intent(&[1, 2], None)]);
    judge(&mut cleanup, &[], &left(2), at(deadline - 1));
    assert_eq!(cleanup.status, CleanupStatus::Running);
    judge(&mut cleanup, &[], &left(2), at(deadline));
    assert_eq!(
        (cleanup.status, cleanup.error.as_str()),
        (CleanupStatus::Failed, "2 instances are still there after 3600 s")
    );
    assert_eq!(cleanup.end_time, Some(time::format(at(deadline))));
}

#[test]
fn the_verdict_tells_the_machine_what_it_needs() {
    let waiting = verdict(&cleanup_of(vec![intent(&[1], Some(JOB)), intent(&[2], None)]), 2, 3, at(160));
    assert_eq!(
        (waiting.settled, waiting.start_pending, waiting.polls_used, waiting.instances, waiting.remaining),
        (false, true, 4, 2, 2)
    );
    assert!(waiting.next_poll_seconds >= 15);
    let following = verdict(&cleanup_of(vec![intent(&[1], Some(JOB))]), 1, 3, at(160));
    assert!(!following.start_pending && following.failure == Failure::default());
    for (status, error, expected) in [
        (CleanupStatus::Completed, "", ""),
        (CleanupStatus::NotNeeded, "", ""),
        (CleanupStatus::Failed, "no", "Tidegate.Internal"),
    ] {
        let cleanup = Cleanup { status, error: error.to_owned(), ..cleanup_of(vec![intent(&[2], None)]) };
        let told = verdict(&cleanup, 0, 3, at(160));
        assert_eq!((told.settled, told.start_pending, told.next_poll_seconds), (true, false, 1), "{status}");
        assert_eq!((told.failure.error.as_str(), told.failure.cause.as_str()), (expected, error));
    }
}

/// c-34, ADR 0013: a stopped run's cleanup is not left RUNNING or unsaid, and nothing is taken from an operator's own.
#[test]
fn what_a_stopped_run_leaves_is_recorded_once() {
    let run = ExecutionId::from("run-1");
    let never_began = abandon(&run, None, at(200)).unwrap();
    assert_eq!((never_began.status, never_began.version), (CleanupStatus::Failed, 1));
    assert!(never_began.error.contains("tidegate reconcile run-1 --clean-up"), "{}", never_began.error);
    assert!(never_began.end_time.is_some());

    let running = cleanup_of(vec![intent(&[1], Some(JOB))]);
    let stopped = abandon(&run, Some(&running), at(200)).unwrap();
    assert_eq!((stopped.status, stopped.version), (CleanupStatus::Failed, running.version + 1), "fences a late worker");
    assert_eq!(stopped.jobs, running.jobs, "what was sent stays on record");

    assert_eq!(abandon(&run, Some(&Cleanup { reopened: true, ..running.clone() }), at(200)), None);
    for status in [CleanupStatus::Failed, CleanupStatus::Completed, CleanupStatus::NotNeeded] {
        assert_eq!(abandon(&run, Some(&Cleanup { status, ..running.clone() }), at(200)), None, "{status}");
    }
}

#[test]
fn a_failed_cleanup_is_taken_up_where_it_stands() {
    let (over, under_way) = ("drsjob-0000000000000000a", "drsjob-0000000000000000b");
    let mut cleanup = Cleanup {
        status: CleanupStatus::Failed,
        error: "could not".to_owned(),
        end_time: Some(time::format(at(300))),
        instances: 4,
        ..cleanup_of(vec![intent(&[1, 2], Some(over)), intent(&[3], Some(under_way)), intent(&[4], None)])
    };
    let jobs = [
        terminate_job(over, 110, JobStatus::Completed, &[(1, Launch::Failed), (2, Launch::Terminated)]),
        terminate_job(under_way, 110, JobStatus::Started, &[(3, Launch::Pending)]),
    ];
    let found = BTreeMap::from([(target(), vec![format!("i-{:017x}", 1), format!("i-{:017x}", 3)])]);
    assert!(reopen(&mut cleanup, &jobs, &found, at(1_000)));
    assert_eq!((cleanup.status, cleanup.error.as_str(), cleanup.end_time.clone()), (CleanupStatus::Running, "", None));
    assert_eq!(cleanup.start_time, time::format(at(1_000)), "its own deadline counts from here");
    let kept: Vec<_> = cleanup.jobs.iter().map(|job| job.job_id.clone()).collect();
    assert_eq!(kept, [Some(JobId::from(under_way)), None], "a lost answer is still looked for");
    assert_eq!(uncovered(&found[&target()], &target(), Some(&cleanup)), [vec![format!("i-{:017x}", 1)]]);
    assert_eq!(cleanup.instances, 3, "instance 1 is counted again when it is requested again");
    assert!(cleanup.reopened);
    // A repeated call finds it RUNNING, and goes on like any other.
    assert!(!reopen(&mut cleanup, &jobs, &found, at(2_000)));
    let mut done = Cleanup { status: CleanupStatus::Completed, ..cleanup };
    assert!(!reopen(&mut done, &jobs, &found, at(2_000)) && done.status == CleanupStatus::Completed);
}

/// A launch job that DRS lists no more may still bring up an instance: the cleanup waits for it, then fails and names it.
#[test]
fn a_job_that_was_never_seen_to_end_keeps_a_cleanup_from_being_complete() {
    let mut shard = wave_of(2).1.remove(0);
    let job = shard_job(&job_of(&shard, 1), false);
    started(&mut shard, job);
    let job_id = shard.job.as_ref().unwrap().job_id.clone();
    let listed = [Job { status: JobStatus::Started, ..job_of(&shard, 1) }];
    let lost =
        |shard: &ShardRecord, listed: &[Job], now| lost_jobs(std::slice::from_ref(shard), &shard.target, listed, now);
    assert_eq!(lost(&shard, &listed, at(200)), [], "it is listed");
    assert_eq!(lost(&shard, &[], at(200)), [LostJob { job_id, source_server_ids: vec![id(1), id(2)] }]);
    assert_eq!(lost(&shard, &[], at(90_000)), [], "nothing comes up a day later");
    shard.server_statuses[0].recovery_instance_id = Some("i-0000000000000000a".to_owned());
    let one = lost(&shard, &[], at(200));
    assert_eq!(one[0].source_server_ids, [id(2)], "an instance that was seen is looked for by its id");

    let left = Left { lost: one, ..Left::default() };
    let mut state = cleanup_of(vec![]);
    judge(&mut state, &[], &left, at(101));
    assert_eq!(state.status, CleanupStatus::Running);
    let mut came_up = shard.clone();
    let job = came_up.job.as_ref().map(|job| job.job_id.clone());
    let others = instance(2, Some("drsjob-0000000000000000f"), true);
    assert!(!note_instances(&mut came_up, &[others]), "another run's");
    let theirs = RecoveryInstance { job_id: job, ..instance(2, None, true) };
    assert!(note_instances(&mut came_up, std::slice::from_ref(&theirs)));
    assert_eq!(lost(&came_up, &[], at(200)), [], "its instance is looked for by its id");
    assert!(!note_instances(&mut came_up, &[theirs]), "once");
    judge(&mut state, &[], &left, at(100 + i64::from(CLEANUP_TIMEOUT_SECONDS)));
    assert_eq!(state.status, CleanupStatus::Failed);
    assert!(state.error.contains("drsjob-") && state.error.contains(id(2).as_str()), "{}", state.error);

    // A retry keeps the job, as its servers are another job's by then; one that was seen to end is none of them.
    for (status, kept) in [(JobStatus::Started, 1), (JobStatus::Completed, 0)] {
        let mut retried = shard.clone();
        for server in &mut retried.server_statuses {
            crate::wave_start::fail_server(server, "DRS no longer lists job", at(700));
        }
        let job = retried.job.as_mut().unwrap();
        job.status = status.as_str().to_owned();
        job.missing_since = Some(time::format(at(90)));
        assert!(crate::wave_start::retry_shard(&mut retried, 2, at(700)));
        assert_eq!((retried.lost_jobs.len(), retried.earlier_jobs.len()), (kept, 1));
        assert_eq!(lost(&retried, &[], at(701)).len(), kept);
    }
}
