#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::cleanup;
use crate::observed::InstanceState;
use crate::wave_start::tests::{at, id, job_of, wave_of};
use crate::wave_start::{refused, retry_wave, shard_job, started, withdrawn};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_contract::records::{ServerStatus, TimelineEntry};
use tidegate_contract::tables::wave_key;
use tidegate_contract::{Importance, JobId};

fn record(status: &str) -> ExecutionRecord {
    let mut record: ExecutionRecord = serde_json::from_value(json!({
        "executionId": "old", "planId": "crm", "schemaVersion": 1, "planName": "CRM", "executionArn": "arn", "executionType": "DRILL",
        "mode": "RUN", "status": status, "totalWaves": 3, "completedWaves": 0, "currentWave": 1, "totalServers": 6,
        "startTime": time::format(at(0)), "expectedDuration": 1200, "pauseRequested": "false", "cancelRequested": "false",
        "waves": (1..=3).map(descriptor).collect::<Vec<_>>(), "plan": "{}", "holdSeconds": 0, "keepInstances": false,
    }))
    .unwrap();
    record.timeline.push(TimelineEntry {
        at: time::format(at(1)),
        event: BEGAN.to_owned(),
        wave_number: 0,
        detail: String::new(),
    });
    record
}

fn descriptor(number: u32) -> Value {
    json!({"waveNumber": number, "waveKey": wave_key(number), "waveName": format!("wave-{number}"), "pauseBeforeWave": true,
           "onFailure": "abort", "timeoutSeconds": 7200, "waitAfterSeconds": 60, "gateTimeoutSeconds": 86400, "serverCount": 2})
}

fn request(input: Value) -> ContinueInput {
    serde_json::from_value(input).unwrap()
}

fn messages(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{}: {} {}\n", problem.field, problem.message, problem.remedy)).collect()
}

fn launch(server: &mut ServerStatus) {
    server.launch_status = LaunchStatus::Launched;
    server.recovery_instance_id = Some(format!("i-{}", server.source_server_id));
}

fn fail(server: &mut ServerStatus) {
    server.launch_status = LaunchStatus::Failed;
    server.error = Some("no capacity".to_owned());
}

/// A wave whose one shard has a job that ended; server 1 failed and server 2 is up.
fn half_failed() -> (WaveRecord, ShardRecord) {
    let (mut wave, mut shards) = wave_of(2);
    let mut shard = shards.remove(0);
    shard.intent.last_sent_at = Some(time::format(at(1)));
    let mut job = shard_job(&job_of(&shard, 2), false);
    job.status = "COMPLETED".to_owned();
    started(&mut shard, job);
    fail(&mut shard.server_statuses[0]);
    launch(&mut shard.server_statuses[1]);
    wave.status = WaveStatus::Failed;
    (wave, shard)
}

/// A wave that finalize closed while its job ran.
fn interrupted() -> (WaveRecord, ShardRecord) {
    let (mut wave, mut shard) = half_failed();
    shard.job.as_mut().unwrap().status = "STARTED".to_owned();
    for server in &mut shard.server_statuses {
        server.launch_status = LaunchStatus::InProgress;
        server.recovery_instance_id = None;
        server.error = None;
    }
    wave.status = WaveStatus::Failed;
    wave.error = "the execution ended (STOPPED) while this wave was POLLING".to_owned();
    wave.end_time = Some(time::format(at(100)));
    (wave, shard)
}

fn stands(wave: &WaveRecord, shard: &ShardRecord) -> Standing {
    standing(Some(wave), &[shard], ExecutionType::Drill)
}

#[test]
fn only_an_ended_run_that_is_not_completed_can_be_continued() {
    for status in ["PARTIAL", "FAILED", "CANCELLED", "TIMED_OUT"] {
        assert_eq!(refusals(&record(status), &Successor::None), [], "{status}");
    }
    for status in ["PENDING", "IN_PROGRESS", "POLLING", "PAUSED"] {
        let text = messages(&refusals(&record(status), &Successor::None));
        assert!(text.contains("has not ended") && text.contains("tidegate reconcile old"), "{status}: {text}");
    }
    assert!(messages(&refusals(&record("COMPLETED"), &Successor::None)).contains("nothing is left"));
    let dry = ExecutionRecord { mode: Mode::DryRun, ..record("COMPLETED") };
    assert!(messages(&refusals(&dry, &Successor::None)).contains("DRY_RUN"));
}

#[test]
fn a_run_that_never_began_is_not_continued_but_the_one_it_was_to_continue_is() {
    let mut never = record("FAILED");
    never.timeline.clear();
    assert!(messages(&refusals(&never, &Successor::None)).contains("start the plan itself"));
    never.continues = Some(ExecutionId::from("first"));
    assert!(messages(&refusals(&never, &Successor::None)).contains("continue first instead"));
}

/// A drill whose instances are being terminated has nothing left to adopt; one whose cleanup never asked for anything has.
#[test]
fn a_cleanup_that_touched_anything_ends_it() {
    let with = |cleanup: Cleanup| ExecutionRecord { cleanup: Some(cleanup), ..record("FAILED") };
    let running = cleanup::open(at(9));
    assert!(messages(&refusals(&with(running.clone()), &Successor::None)).contains("cleanup of old is RUNNING"));
    let done = Cleanup { status: CleanupStatus::Completed, ..running.clone() };
    assert!(!refusals(&with(done), &Successor::None).is_empty());
    let half = Cleanup { status: CleanupStatus::Failed, instances: 2, ..running.clone() };
    assert!(!refusals(&with(half), &Successor::None).is_empty());
    let never = Cleanup { status: CleanupStatus::Failed, ..running };
    assert_eq!(refusals(&with(never), &Successor::None), []);
}

#[test]
fn who_continued_a_run_is_named() {
    let (old, new) =
        (ExecutionRecord { continued_by: Some("new".into()), ..record("FAILED") }, ExecutionId::from("new"));
    let unbegun = |status| {
        let mut by = record(status);
        by.timeline.clear();
        by
    };
    assert_eq!(successor(&record("FAILED"), None), Successor::None);
    assert_eq!(successor(&old, Some(&record("POLLING"))), Successor::Owner(&new));
    assert_eq!(successor(&old, Some(&record("FAILED"))), Successor::Owner(&new));
    assert_eq!(successor(&old, None), Successor::Owner(&new), "what cannot be known any more is not taken back");
    assert_eq!(successor(&old, Some(&unbegun("PENDING"))), Successor::Preparing(&new));
    assert_eq!(successor(&old, Some(&unbegun("FAILED"))), Successor::NeverBegan(&new));
    assert!(messages(&refusals(&old, &Successor::Owner(&new))).contains("continue new instead"));
    assert!(messages(&refusals(&old, &Successor::Preparing(&new))).contains("being continued by new"));
    assert_eq!(refusals(&old, &Successor::NeverBegan(&new)), []);
}

/// Tenet 1, c-33: of a run and its continuation one and only one may terminate instances.
#[test]
fn instances_have_one_owner() {
    let old = ExecutionRecord { continued_by: Some("new".into()), ..record("FAILED") };
    let mut new = ExecutionRecord { continues: Some("old".into()), ..record("PENDING") };
    new.timeline.clear();
    let (old_id, new_id) = (ExecutionId::from("old"), ExecutionId::from("new"));
    assert_eq!(instances_of(&old, Some(&new)), Instances::Undecided(&new_id));
    assert_eq!(instances_of(&new, None), Instances::Of(&old_id));
    new.status = ExecutionStatus::Failed;
    assert_eq!(instances_of(&old, Some(&new)), Instances::Own, "it ended before it took anything over");
    assert_eq!(instances_of(&new, None), Instances::Of(&old_id));
    new.timeline = record("FAILED").timeline;
    assert_eq!(instances_of(&old, Some(&new)), Instances::Of(&new_id));
    assert_eq!(instances_of(&new, None), Instances::Own);
}

#[test]
fn an_input_that_contradicts_the_run_is_refused_by_field() {
    let old = ExecutionRecord { execution_type: ExecutionType::Recovery, ..record("FAILED") };
    assert_eq!(contradictions(&request(json!({"continueExecution": "old", "executionType": "RECOVERY"})), &old), []);
    let wrong = request(json!({"continueExecution": "old", "executionType": "DRILL", "mode": "CHECK",
                               "options": {"holdSeconds": 5, "keepInstances": true}}));
    let fields: Vec<String> = contradictions(&wrong, &old).into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["executionType", "mode", "options.holdSeconds", "options.keepInstances"]);
}

#[test]
fn servers_tell_a_failed_wave_from_an_interrupted_one() {
    let (wave, shard) = half_failed();
    assert_eq!(stands(&wave, &shard), Standing::Failed);
    let (wave, shard) = interrupted();
    assert_eq!(stands(&wave, &shard), Standing::Interrupted);

    // Everything was up, and nobody was left to say so.
    let (wave, mut shard) = half_failed();
    launch(&mut shard.server_statuses[0]);
    assert_eq!(stands(&wave, &shard), Standing::Interrupted);

    // The call's answer never came.
    let (wave, mut shard) = interrupted();
    shard.job = None;
    shard.intent.state = IntentState::Intended;
    assert_eq!(stands(&wave, &shard), Standing::Interrupted);

    // The run's end withdrew what was never sent: those servers did not fail.
    let (mut wave, mut shards) = wave_of(2);
    let fresh = shards[0].clone();
    withdrawn(&mut shards[0], "the execution ended (STOPPED) before the launch was sent", at(5));
    wave.status = WaveStatus::Failed;
    assert_eq!(stands(&wave, &shards[0]), Standing::Interrupted);

    // Nor did those of a call that never came to anything and was not sent again: it is looked for once more, then sent.
    shards[0].intent.last_sent_at = Some(time::format(at(2)));
    assert_eq!(stands(&wave, &shards[0]), Standing::Interrupted);

    // DRS refused the first call: those did, and the intent bears no mark of a call.
    let mut shard = fresh;
    refused(&mut shard, "DRS refused the launch: AccessDenied", at(5));
    assert_eq!(stands(&wave, &shard), Standing::Failed);
    shard.intent.last_sent_at = Some(time::format(at(2)));
    assert_eq!(stands(&wave, &shard), Standing::Failed, "nor is it told by that mark");

    // A retry died half way: one shard is at attempt 2, the wave is not.
    let (wave, mut shard) = half_failed();
    retry_shard(&mut shard, 2, at(50));
    assert_eq!(stands(&wave, &shard), Standing::Failed);
}

/// DRS refused one shard while servers of another failed in their job: all of them failed, and all are tried again.
#[test]
fn a_refused_shard_beside_a_failed_one_makes_a_failed_wave() {
    let (wave, ended) = half_failed();
    let mut beside = wave_of(2).1.remove(0);
    beside.shard_number = 2;
    refused(&mut beside, "DRS refused the launch: AccessDenied", at(5));
    assert_eq!(standing(Some(&wave), &[&ended, &beside], ExecutionType::Drill), Standing::Failed);
    let mut again = carry_shard(&beside, Standing::Failed, 2, &ExecutionId::from("new"));
    assert!(retry_shard(&mut again, 2, at(9_000)));
    assert_eq!((again.intent.state, again.intent.source_server_ids.len()), (IntentState::Intended, 2));
}

#[test]
fn settled_waves_are_done_and_waves_never_started_begin_anew() {
    let (wave, shard) = half_failed();
    let with = |status, attempt| WaveRecord { status, attempt, ..wave.clone() };
    for status in [WaveStatus::Completed, WaveStatus::Partial, WaveStatus::Skipped] {
        assert_eq!(stands(&with(status, 1), &shard), Standing::Done, "{status}");
    }
    assert_eq!(standing(Some(&with(WaveStatus::Skipped, 0)), &[], ExecutionType::Drill), Standing::Untouched);
    assert_eq!(standing(None, &[], ExecutionType::Drill), Standing::Untouched);
}

/// c-14: start-wave of the new run must recognise the old run's call, so the intent stays what it was.
#[test]
fn an_interrupted_wave_goes_on_with_the_same_intent_and_a_new_clock() {
    let (wave, mut shard) = interrupted();
    shard.job.as_mut().unwrap().missing_since = Some(time::format(at(3)));
    let new = ExecutionId::from("new");
    let mut carried = carry_shard(&shard, Standing::Interrupted, 2, &new);
    assert_eq!((carried.execution_id.as_str(), carried.version, carried.intent.attempt), ("new", 1, 2));
    assert_eq!(carried.job.as_ref().unwrap().missing_since, None, "nobody looked for it meanwhile");
    assert_eq!(carried.server_statuses, shard.server_statuses);
    assert!(!retry_shard(&mut carried, 2, at(9_000)), "the next attempt retries nothing");
    carried.intent.attempt = 1;
    assert_eq!(carried.intent, shard.intent);
    let mut item = carry_wave(&wave, Standing::Interrupted, &new, at(9_000)).unwrap();
    assert_eq!((item.status, item.attempt, item.poll_attempts), (WaveStatus::Failed, 1, 0));
    retry_wave(&mut item, 2, at(9_000));
    assert_eq!((&item.attempt_start_time, &item.start_time), (&time::format(at(9_000)), &wave.start_time));
}

/// A failed server of an interrupted wave stays failed: the wave's policy has not spoken yet.
#[test]
fn an_interrupted_wave_retries_nothing() {
    let (_, mut shard) = interrupted();
    fail(&mut shard.server_statuses[0]);
    let mut carried = carry_shard(&shard, Standing::Interrupted, 2, &ExecutionId::from("new"));
    retry_shard(&mut carried, 2, at(9_000));
    assert_eq!(carried.server_statuses, shard.server_statuses);
}

#[test]
fn what_was_never_sent_is_open_again() {
    let (_, mut shards) = wave_of(2);
    let before = shards[0].clone();
    withdrawn(&mut shards[0], "cancelled before the launch was sent", at(5));
    let mut carried = carry_shard(&shards[0], Standing::Interrupted, 2, &before.execution_id);
    carried.intent.attempt = 1;
    assert_eq!(carried, before);
}

#[test]
fn a_failed_wave_waits_for_its_next_attempt() {
    let (wave, shard) = half_failed();
    let new = ExecutionId::from("new");
    assert_eq!(
        carry_shard(&shard, Standing::Failed, 2, &new),
        ShardRecord { execution_id: new.clone(), ..shard.clone() }
    );
    let item = carry_wave(&wave, Standing::Failed, &new, at(9_000)).unwrap();
    assert_eq!((item.status, item.attempt), (WaveStatus::Failed, 1));
    assert!(carry_wave(&wave, Standing::Untouched, &new, at(9_000)).is_none());
}

/// Two servers of each of three waves, as a plan's members.
fn membership() -> Membership {
    let member = |n: usize| Member {
        source_server_id: id(n),
        target: Target { account_id: "111122223333".to_owned(), region: "us-west-2".to_owned() },
        importance: Importance::Critical,
        server_name: String::new(),
        hostname: String::new(),
        recovery_snapshot_id: None,
        post_launch_expected: false,
    };
    vec![vec![member(1), member(2)], vec![member(3), member(4)], vec![member(5), member(6)]]
}

fn launched_again(wave: WaveRecord, shard: ShardRecord) -> Vec<String> {
    let record = record("FAILED");
    let (items, shards) = ([wave], [shard]);
    let run =
        OldRun { execution_type: ExecutionType::Drill, waves: &record.waves[..1], items: &items, shards: &shards };
    run.to_launch(&membership(), at(200)).concat().into_iter().map(|member| member.source_server_id.0).collect()
}

/// What runs, or may run, is not checked as if it were to be launched: its job and its instance are our own.
#[test]
fn only_what_will_be_launched_is_checked() {
    let (wave, shard) = half_failed();
    assert_eq!(launched_again(wave, shard), [id(1).0]);
    let (wave, shard) = interrupted();
    assert!(launched_again(wave, shard).is_empty());
    let (wave, mut shard) = interrupted();
    shard.job = None;
    shard.intent.state = IntentState::Intended;
    assert!(launched_again(wave.clone(), shard.clone()).is_empty(), "an unanswered call is looked for first");
    shard.intent.last_sent_at = None;
    assert_eq!(launched_again(wave, shard), [id(1).0, id(2).0]);
    let (mut wave, shard) = half_failed();
    wave.status = WaveStatus::Completed;
    assert!(launched_again(wave, shard).is_empty());
}

/// Start-wave sends an unanswered call again where it finds no job, so whoever checks for others' instances asks for those
/// servers, too; of a wave that is done nobody asks.
#[test]
fn servers_of_an_unanswered_call_are_told_apart() {
    let (wave, mut shard) = interrupted();
    shard.job = None;
    shard.intent.state = IntentState::Intended;
    let unanswered = |status, shard: &ShardRecord| {
        let (record, items) = (record("FAILED"), [WaveRecord { status, ..wave.clone() }]);
        let shards = std::slice::from_ref(shard);
        let run = OldRun { execution_type: ExecutionType::Recovery, waves: &record.waves, items: &items, shards };
        let found = run.unanswered(at(200));
        let ids: Vec<Vec<String>> = membership()
            .iter()
            .map(|members| of_shards(members, &found).into_iter().map(|one| one.source_server_id.0).collect())
            .collect();
        ids
    };
    let both = vec![vec![id(1).0, id(2).0], vec![], vec![]];
    let none = vec![Vec::<String>::new(); 3];
    assert_eq!(unanswered(WaveStatus::Failed, &shard), both);
    assert_eq!(unanswered(WaveStatus::Completed, &shard), none);
    // The wave's deadline made the servers FAILED: the call is looked for all the same, and may be sent again.
    let mut late = shard.clone();
    late.server_statuses.iter_mut().for_each(fail);
    assert_eq!(unanswered(WaveStatus::Failed, &late), both);
    let mut unsent = shard.clone();
    unsent.intent.last_sent_at = None;
    assert_eq!(unanswered(WaveStatus::Failed, &unsent), none, "it is to be launched as it is");
    assert_eq!(unanswered(WaveStatus::Failed, &interrupted().1), none, "it was answered");
}

fn instance(server: usize, job: &str) -> RecoveryInstance {
    RecoveryInstance {
        recovery_instance_id: format!("i-{}", id(server)),
        ec2_instance_id: None,
        job_id: Some(JobId::from(job)),
        source_server_id: id(server),
        is_drill: false,
        point_in_time: None,
        state: InstanceState::Running,
    }
}

#[test]
fn a_ready_server_whose_instance_is_gone_is_a_warning() {
    let (record, (wave, shard)) = (record("FAILED"), half_failed());
    let target = shard.target.clone();
    let (items, shards) = ([wave], [shard]);
    let run = OldRun { execution_type: ExecutionType::Drill, waves: &record.waves, items: &items, shards: &shards };
    assert_eq!(run.ready_servers(), BTreeMap::from([(target.clone(), vec![id(2)])]));
    assert!(run.vanished(&target, &[instance(2, "any")]).is_empty());
    assert!(messages(&run.vanished(&target, &[])).contains(id(2).as_str()));
    let dead = RecoveryInstance { state: InstanceState::NotFound, ..instance(2, "any") };
    assert!(messages(&run.vanished(&target, &[dead])).contains(id(2).as_str()));
}

fn point(items: &[WaveRecord]) -> StartingPoint {
    starting_point(&record("FAILED").waves, items, false)
}

fn item(number: u32, status: WaveStatus, attempt: u32) -> WaveRecord {
    WaveRecord { wave_number: number, wave_key: wave_key(number), status, attempt, ..half_failed().0 }
}

#[test]
fn a_new_run_starts_before_wave_one() {
    let start = point(&[]);
    assert_eq!((start.first_index, start.completed_waves), (0, 0));
    assert_eq!(start.first_attempts, [1, 1, 1]);
    assert_eq!(start.waves, record("FAILED").waves);
}

#[test]
fn a_continuation_starts_at_the_first_wave_that_is_not_done() {
    let start = point(&[item(1, WaveStatus::Partial, 1), item(2, WaveStatus::Failed, 2)]);
    assert_eq!((start.first_index, start.completed_waves), (1, 1));
    assert_eq!(start.first_attempts[1..], [3, 1]);
    let pauses: Vec<bool> = start.waves.iter().map(|wave| wave.pause_before_wave).collect();
    assert_eq!(pauses, [false, false, true], "only a wave that never began asks");

    let start = point(&[item(1, WaveStatus::Skipped, 1), item(2, WaveStatus::Completed, 1)]);
    assert_eq!(
        (start.first_index, start.completed_waves),
        (2, 1),
        "a skipped wave stays skipped and counts for nothing"
    );
}

/// onFailure continue, or an operator's continue: a failed wave with later waves done.
#[test]
fn a_wave_done_behind_the_first_one_is_passed_without_pause_or_wait() {
    let start =
        point(&[item(1, WaveStatus::Failed, 1), item(2, WaveStatus::Completed, 1), item(3, WaveStatus::Failed, 1)]);
    assert_eq!((start.first_index, start.completed_waves), (0, 0), "the machine counts wave 2 when it passes it");
    assert_eq!(start.first_attempts, [2, 1, 2]);
    assert_eq!(start.waves.iter().map(|wave| wave.wait_after_seconds).collect::<Vec<_>>(), [60, 0, 60]);
    assert!(start.waves.iter().all(|wave| !wave.pause_before_wave));
}

proptest! {
    /// Whatever state the servers of a wave were left in: a server that has an instance, or a job that may still bring one
    /// up, is not among those that are sent again.
    #[test]
    fn nothing_that_runs_or_may_run_is_sent_again(
        states in prop::collection::vec(0u8..5, 2), job in 0u8..3, sent: bool, retried: bool,
    ) {
        let (mut wave, mut shards) = wave_of(2);
        let mut shard = shards.remove(0);
        wave.status = WaveStatus::Failed;
        if sent || job > 0 {
            shard.intent.last_sent_at = Some(time::format(at(1)));
        }
        if job > 0 {
            let mut of = shard_job(&job_of(&shard, 2), false);
            of.status = if job == 1 { "STARTED" } else { "COMPLETED" }.to_owned();
            started(&mut shard, of);
        }
        for (server, state) in shard.server_statuses.iter_mut().zip(&states) {
            match (state, job) {
                (0, _) => {}
                (1, _) => server.launch_status = LaunchStatus::InProgress,
                (2, 1..) => launch(server),
                (3, 1..) => { launch(server); fail(server); }
                _ => fail(server),
            }
        }
        if retried {
            retry_wave(&mut wave, 2, at(60));
            wave.status = WaveStatus::Failed;
        }
        let standing = stands(&wave, &shard);
        let next = wave.attempt + 1;
        let mut carried = carry_shard(&shard, standing, next, &ExecutionId::from("new"));
        retry_shard(&mut carried, next, at(200));
        let sends = carried.intent.state == IntentState::Intended && carried.intent.last_sent_at.is_none();
        for server in &carried.server_statuses {
            let runs = server.recovery_instance_id.is_some();
            let may_run = job == 1 || (job == 0 && sent);
            if sends && carried.intent.source_server_ids.contains(&server.source_server_id) {
                prop_assert!(!runs && !may_run, "{standing:?} {server:?}");
            }
        }
    }
}

/// P9: whoever may start does not thereby throw away what somebody else keeps; who lets the continuation go on may.
#[test]
fn less_than_was_promised_comes_into_force_with_an_answer() {
    let of = |hold_seconds: u32, keep_instances: bool| InstanceTerms { hold_seconds, keep_instances };
    let kept = |terms: InstanceTerms| ExecutionRecord {
        hold_seconds: terms.hold_seconds,
        keep_instances: terms.keep_instances,
        ..record("FAILED")
    };
    let asking = |options: Value| -> ContinueInput {
        serde_json::from_value(json!({ "continueExecution": "run-1", "options": options })).unwrap()
    };
    for (old, options, holds, weakened) in [
        (of(0, true), json!({}), of(0, true), None),
        (of(0, true), json!({"keepInstances": false}), of(0, true), Some(of(0, false))),
        (of(0, true), json!({"keepInstances": false, "holdSeconds": 900}), of(0, true), Some(of(900, false))),
        (of(600, false), json!({"holdSeconds": 60}), of(600, false), Some(of(60, false))),
        (of(600, false), json!({"holdSeconds": 900}), of(900, false), None),
        (of(600, false), json!({"holdSeconds": 0, "keepInstances": true}), of(0, true), None),
        (of(0, false), json!({"keepInstances": true}), of(0, true), None),
    ] {
        assert_eq!(terms_of(&asking(options.clone()), &kept(old)), (holds, weakened), "{old:?} {options}");
    }
    let mut asked = ExecutionRecord { weakened: Some(of(0, false)), ..kept(of(0, true)) };
    assert_eq!(terms(&asked), of(0, true), "nobody has answered");
    asked.timeline.push(TimelineEntry { event: "PAUSED".to_owned(), ..entry_at_begin() });
    assert_eq!(terms(&asked), of(0, true));
    asked.timeline.push(TimelineEntry { event: "RESUMED".to_owned(), ..entry_at_begin() });
    assert_eq!(terms(&asked), of(0, false));
    // Continued in its turn, it has the terms that came into force.
    assert_eq!(terms_of(&asking(json!({})), &asked), (of(0, false), None));
}

fn entry_at_begin() -> TimelineEntry {
    TimelineEntry {
        at: "2026-11-20T03:04:05.678Z".to_owned(),
        event: BEGAN.to_owned(),
        wave_number: 1,
        detail: String::new(),
    }
}

/// The first wave that is entered pauses, although it had begun: nothing goes on before somebody has spoken.
#[test]
fn a_continuation_that_asks_for_less_pauses_first() {
    let planned = record("FAILED").waves;
    let first = |asks| {
        let start = starting_point(&planned, &[], asks);
        start.waves[start.first_index as usize].pause_before_wave
    };
    assert_eq!((first(true), first(false)), (true, planned[0].pause_before_wave));
}
