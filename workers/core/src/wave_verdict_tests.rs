#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::wave_poll::{apply_timeout, is_gone};
use crate::wave_start::fail_server;
use crate::wave_start::tests::{at, id, job_of, wave_of};
use crate::wave_start::{shard_job, started};
use tidegate_contract::{ExecutionId, Mode, PlanId};

/// A wave whose one job runs.
fn running(servers: usize) -> (WaveRecord, Vec<ShardRecord>) {
    let (wave, mut shards) = wave_of(servers);
    let job = shard_job(&job_of(&shards[0], 1), false);
    started(&mut shards[0], job);
    (wave, shards)
}

fn enrich(server: &mut ServerStatus) {
    server.recovery_instance_id = Some("i-0000000000000000a".to_owned());
    server.set_instance("i-0000000000000000a");
    server.instance_type = Some("m5.large".to_owned());
    server.private_ip = Some("10.0.0.4".to_owned());
    server.launch_time = Some(time::format(at(500)));
    server.instance_state = Some("running".to_owned());
}

fn launch(server: &mut ServerStatus, second: i64) {
    server.launch_status = LaunchStatus::Launched;
    server.launched_time = Some(time::format(at(second)));
}

/// `ready` servers launched and enriched, the rest failed; the first `critical` ones critical.
fn ended(servers: usize, ready: usize, critical: usize) -> (WaveRecord, Vec<ShardRecord>) {
    let (wave, mut shards) = running(servers);
    for (index, server) in shards[0].server_statuses.iter_mut().enumerate() {
        server.importance = if index < critical { Importance::Critical } else { Importance::Optional };
        if index < ready {
            launch(server, 500);
            enrich(server);
        } else {
            fail_server(server, "conversion failed", at(500));
        }
    }
    (wave, shards)
}

fn input(polls_used: u32) -> WaveInput {
    WaveInput {
        execution_id: ExecutionId::from("run-1"),
        plan_id: PlanId::from("crm"),
        execution_type: ExecutionType::Drill,
        mode: Mode::Run,
        wave_number: 1,
        wave_attempt: 1,
        wave_count: 3,
        polls_used,
        completed_waves: 0,
    }
}

/// S002: what makes a launched server ready, in each mode.
#[test]
fn drill_and_recovery_differ_in_post_launch_only() {
    use ServerFate::{Active, Failed, Ready, Skipped};
    let (_, shards) = wave_of(1);
    for (launch_status, drill, recovery) in [
        (LaunchStatus::Pending, Active, Active),
        (LaunchStatus::InProgress, Active, Active),
        (LaunchStatus::Failed, Failed, Failed),
        (LaunchStatus::Terminated, Failed, Failed),
        (LaunchStatus::Skipped, Skipped, Skipped),
        (LaunchStatus::Launched, Ready, Ready),
    ] {
        let mut server = shards[0].server_statuses[0].clone();
        server.launch_status = launch_status;
        assert_eq!(
            (fate(&server, ExecutionType::Drill), fate(&server, ExecutionType::Recovery)),
            (drill, recovery),
            "{launch_status}"
        );
    }
    for (actions, recovery) in [
        (PostLaunchStatus::NotConfigured, Ready),
        (PostLaunchStatus::Pending, Active),
        (PostLaunchStatus::InProgress, Active),
        (PostLaunchStatus::Succeeded, Ready),
        (PostLaunchStatus::PartiallySucceeded, Ready),
        (PostLaunchStatus::Failed, Failed),
    ] {
        let mut server = shards[0].server_statuses[0].clone();
        server.launch_status = LaunchStatus::Launched;
        server.post_launch_actions_status = actions;
        assert_eq!(
            (fate(&server, ExecutionType::Drill), fate(&server, ExecutionType::Recovery)),
            (Ready, recovery),
            "{actions}"
        );
    }
}

/// c-26c: stopped is fine. Tenet 3: an instance that is gone is no success, whatever DRS still says.
#[test]
fn a_launched_server_needs_its_instance() {
    for (state, expected) in [
        (None, ServerFate::Ready),
        (Some("pending"), ServerFate::Ready),
        (Some("running"), ServerFate::Ready),
        (Some("stopped"), ServerFate::Ready),
        (Some("shutting-down"), ServerFate::Failed),
        (Some("terminated"), ServerFate::Failed),
    ] {
        let (_, mut shards) = ended(1, 1, 1);
        shards[0].server_statuses[0].instance_state = state.map(str::to_owned);
        assert_eq!(fate(&shards[0].server_statuses[0], ExecutionType::Drill), expected, "{state:?}");
        assert_eq!(is_gone(&shards[0].server_statuses[0]), expected == ServerFate::Failed);
    }
}

#[test]
fn the_policy_table() {
    use WaveStatus::{Completed, Failed, Partial};
    // servers, ready, critical, minLaunched, outcome
    let table = [
        (4, 4, 4, None, Completed),
        (4, 4, 0, Some(2), Completed),
        (4, 3, 3, None, Partial), // only an optional server failed
        (4, 3, 4, None, Failed),  // a critical one failed
        (4, 1, 0, None, Partial), // nothing critical: one is enough
        (4, 0, 0, None, Failed),  // S002: nothing came up
        (4, 2, 0, Some(2), Partial),
        (4, 1, 0, Some(2), Failed),
        (4, 3, 4, Some(2), Failed), // the number does not excuse a critical server
        (4, 0, 0, Some(0), Failed), // no policy makes nothing a success
        (0, 0, 0, None, Failed),    // c-02: all of none
    ];
    for (servers, ready, critical, min, expected) in table {
        let (_, shards) = ended(servers.max(1), ready, critical);
        let shards = if servers == 0 { Vec::new() } else { shards };
        let min = min.map(MinLaunched::Count);
        assert_eq!(
            apply_policy(&shards, min.as_ref(), ExecutionType::Drill),
            expected,
            "{servers} {ready} {critical} {min:?}"
        );
    }
    let (_, shards) = ended(4, 3, 0);
    let share = MinLaunched::Share("50%".to_owned());
    assert_eq!(
        apply_policy(&shards, Some(&share), ExecutionType::Drill),
        Failed,
        "a share open_wave did not turn into a count fails closed"
    );
}

/// The critical server is looked for in every shard.
#[test]
fn a_wave_of_several_jobs_is_judged_as_one() {
    let (mut wave, mut shards) = wave_of(101);
    assert_eq!((shards.len(), wave.shard_count), (2, 2));
    for shard in &mut shards {
        let job = shard_job(&job_of(shard, 1), false);
        started(shard, job);
        for server in &mut shard.server_statuses {
            launch(server, 500);
            enrich(server);
        }
    }
    let last = &mut shards[1].server_statuses[0];
    fail_server(last, "conversion failed", at(500));
    judge(&mut wave, &shards, ExecutionType::Drill, at(600));
    assert_eq!(
        (wave.status, wave.counts),
        (WaveStatus::Failed, WaveCounts { total: 101, ready: 100, failed: 1, active: 0, skipped: 0 })
    );
    assert_eq!(wave.jobs.iter().map(|job| job.participating_servers).collect::<Vec<_>>(), [100, 1]);
    assert_eq!(wave.error, "db-101: conversion failed");
}

/// c-02: shards that are not stored are no reason to call the wave done.
#[test]
fn a_wave_is_not_judged_by_the_shards_that_happen_to_be_stored() {
    let (mut wave, mut shards) = ended(1, 1, 1);
    wave.shard_count = 2;
    judge(&mut wave, &shards, ExecutionType::Drill, at(600));
    assert_eq!(wave.status, WaveStatus::Polling);
    judge(&mut wave, &shards, ExecutionType::Drill, at(7_200));
    assert_eq!((wave.status, wave.error.as_str()), (WaveStatus::Failed, "only 1 of 2 shards are stored"));
    let (mut empty, _) = wave_of(1);
    shards.clear();
    judge(&mut empty, &shards, ExecutionType::Drill, at(600));
    assert!(!empty.status.is_settled());
}

/// c-10: one failed server fails nothing while another still launches; the job being COMPLETED completes nothing.
#[test]
fn a_wave_with_an_active_server_is_not_settled() {
    let (mut wave, mut shards) = running(3);
    fail_server(&mut shards[0].server_statuses[0], "conversion failed", at(60));
    launch(&mut shards[0].server_statuses[1], 60);
    enrich(&mut shards[0].server_statuses[1]);
    shards[0].job.as_mut().unwrap().status = "COMPLETED".to_owned();
    judge(&mut wave, &shards, ExecutionType::Drill, at(70));
    assert_eq!((wave.status, wave.phase, wave.end_time.clone()), (WaveStatus::Polling, WavePhase::Launching, None));
    assert_eq!(wave.counts, WaveCounts { total: 3, ready: 1, failed: 1, active: 1, skipped: 0 });
}

/// S000: COMPLETED is written with the details, or after their grace.
#[test]
fn a_wave_settles_once_enriched_or_after_the_grace() {
    let grace = i64::from(ENRICHMENT_GRACE_SECONDS);
    let (mut wave, mut shards) = running(1);
    launch(&mut shards[0].server_statuses[0], 500);
    judge(&mut wave, &shards, ExecutionType::Drill, at(500 + grace - 1));
    assert_eq!((wave.status, wave.phase), (WaveStatus::Polling, WavePhase::Enriching));
    let mut late = wave.clone();
    judge(&mut late, &shards, ExecutionType::Drill, at(500 + grace));
    assert_eq!((late.status, late.phase), (WaveStatus::Completed, WavePhase::Settled));
    enrich(&mut shards[0].server_statuses[0]);
    judge(&mut wave, &shards, ExecutionType::Drill, at(510));
    assert_eq!(
        (wave.status, wave.end_time, wave.error.as_str()),
        (WaveStatus::Completed, Some(time::format(at(510))), "")
    );
}

/// A failed server's reason is waited for, but a role that may not read the log does not keep the wave open.
#[test]
fn reasons_are_waited_for_within_their_grace() {
    let (mut wave, mut shards) = running(1);
    shards[0].server_statuses[0].launch_status = LaunchStatus::Failed;
    let job = shards[0].job.as_mut().unwrap();
    job.status = "COMPLETED".to_owned();
    job.completed_seen_at = Some(time::format(at(500)));
    judge(&mut wave, &shards, ExecutionType::Drill, at(501));
    assert_eq!(wave.status, WaveStatus::Polling);
    let mut unread = wave.clone();
    judge(&mut unread, &shards, ExecutionType::Drill, at(500 + i64::from(ENRICHMENT_GRACE_SECONDS)));
    assert_eq!((unread.status, unread.error.as_str()), (WaveStatus::Failed, "db-1: failed"));
    shards[0].job.as_mut().unwrap().log_read_at_end = true;
    shards[0].server_statuses[0].error = Some("LAUNCH_FAILED: no subnet".to_owned());
    judge(&mut wave, &shards, ExecutionType::Drill, at(506));
    assert_eq!((wave.status, wave.error.as_str()), (WaveStatus::Failed, "db-1: LAUNCH_FAILED: no subnet"));
}

/// NFR-2.4: no poll is needed after the deadline's, so the history budget holds.
#[test]
fn at_the_deadline_everything_is_settled() {
    let (mut wave, mut shards) = running(3);
    wave.min_launched = Some(MinLaunched::Count(1));
    for server in &mut shards[0].server_statuses {
        server.importance = Importance::Optional;
    }
    launch(&mut shards[0].server_statuses[0], 7_199);
    assert!(!is_overdue(&wave, at(7_199)));
    assert!(is_overdue(&wave, at(7_200)));
    apply_timeout(&mut shards[0], ExecutionType::Drill, wave.timeout_seconds, at(7_200));
    judge(&mut wave, &shards, ExecutionType::Drill, at(7_200));
    assert_eq!(wave.status, WaveStatus::Partial, "the launched server counts, although EC2 has not described it");
    assert!(wave.error.contains("db-2") && wave.error.contains("drsjob-00000000000000001"), "{}", wave.error);
}

/// c-13: wall time since the attempt began, not the sum of waits; a retry starts it anew.
#[test]
fn the_deadline_counts_from_the_attempt() {
    let (mut wave, _) = wave_of(1);
    wave.attempt_start_time = time::format(at(5_000));
    assert!(!is_overdue(&wave, at(7_200)));
    assert!(is_overdue(&wave, at(12_200)));
}

#[test]
fn a_settled_wave_never_changes() {
    let (mut wave, mut shards) = ended(2, 2, 2);
    judge(&mut wave, &shards, ExecutionType::Drill, at(600));
    let settled = wave.clone();
    fail_server(&mut shards[0].server_statuses[0], "lost", at(700));
    shards[0].server_statuses[1].instance_state = Some("terminated".to_owned());
    shards[0].job = None;
    judge(&mut wave, &shards, ExecutionType::Drill, at(9_000));
    assert_eq!(wave, settled);
}

#[test]
fn unaccepted_jobs_send_the_machine_back_to_start_wave() {
    let (mut wave, shards) = wave_of(2);
    judge(&mut wave, &shards, ExecutionType::Drill, at(10));
    assert_eq!((wave.status, wave.phase), (WaveStatus::Starting, WavePhase::Starting));
    assert!(verdict(&wave, &shards, &input(0), false, at(10)).start_pending);
    let (mut wave, shards) = running(2);
    judge(&mut wave, &shards, ExecutionType::Drill, at(10));
    assert_eq!((wave.status, wave.phase), (WaveStatus::Polling, WavePhase::Snapshot));
    assert!(!verdict(&wave, &shards, &input(0), false, at(10)).start_pending);
    // Past its deadline a wave is settled, sent or not: nothing may be started for it any more.
    let (mut wave, mut shards) = wave_of(2);
    apply_timeout(&mut shards[0], ExecutionType::Drill, wave.timeout_seconds, at(7_200));
    judge(&mut wave, &shards, ExecutionType::Drill, at(7_200));
    let told = verdict(&wave, &shards, &input(0), false, at(7_200));
    assert!(told.settled && !told.start_pending);
}

#[test]
fn a_recovery_shows_its_post_launch_phase() {
    let (mut wave, mut shards) = running(2);
    for server in &mut shards[0].server_statuses {
        launch(server, 500);
        enrich(server);
        server.post_launch_actions_status = PostLaunchStatus::InProgress;
    }
    judge(&mut wave, &shards, ExecutionType::Recovery, at(600));
    assert_eq!((wave.status, wave.phase, wave.counts.active), (WaveStatus::Polling, WavePhase::PostLaunch, 2));
}

#[test]
fn the_verdict_tells_the_machine_what_it_needs() {
    for (ready, status, completed_waves) in
        [(2, WaveStatus::Completed, 1), (1, WaveStatus::Partial, 1), (0, WaveStatus::Failed, 0)]
    {
        let (mut wave, shards) = ended(2, ready, 0);
        wave.poll_attempts = 4;
        judge(&mut wave, &shards, ExecutionType::Drill, at(600));
        let told = verdict(&wave, &shards, &input(7), true, at(600));
        assert_eq!(
            (told.status, told.settled, told.completed_waves, told.polls_used),
            (status, true, completed_waves, 11)
        );
        assert_eq!((told.next_poll_seconds, told.cancel_requested, told.counts), (1, true, wave.counts));
        assert_eq!(told.failure.error, if status == WaveStatus::Failed { "Tidegate.RecoveryFailed" } else { "" });
        assert_eq!(
            told.failure.cause.starts_with("wave 1 (db) failed: db-1: conversion failed"),
            status == WaveStatus::Failed
        );
    }
    let (mut wave, shards) = running(1);
    for second in [1, 1_199, 7_199, 7_200, 90_000] {
        judge(&mut wave, &shards, ExecutionType::Drill, at(second));
        let told = verdict(&wave, &shards, &input(u32::MAX), false, at(second));
        assert!(
            !told.settled
                && told.next_poll_seconds >= 1
                && told.completed_waves == 0
                && told.failure == Failure::default(),
            "{told:?}"
        );
        assert!(i64::from(told.next_poll_seconds) <= (7_200 - second).max(1), "never past the deadline");
    }
}

/// A person reads three names; a wave of 500 may not fill the cause.
#[test]
fn a_failure_names_three_servers_and_counts_the_rest() {
    let (mut wave, mut shards) = ended(5, 0, 0);
    shards[0].server_statuses[1].server_name = String::new();
    shards[0].server_statuses[2].error = None;
    judge(&mut wave, &shards, ExecutionType::Drill, at(600));
    assert_eq!(wave.error, format!("db-1: conversion failed; {}: conversion failed; db-3: failed; and 2 more", id(2)));
    let (mut wave, shards) = ended(3, 0, 0);
    judge(&mut wave, &shards, ExecutionType::Drill, at(600));
    assert!(!wave.error.contains("more"), "{}", wave.error);
}

/// Found by the simulation: the machine went back to start-wave, which polls no job, once a second until its history was full.
#[test]
fn a_launch_that_was_never_answered_does_not_keep_the_other_shards_job_from_being_polled() {
    let (mut wave, mut shards) = running(2);
    let (_, mut unanswered) = wave_of(1);
    let unanswered = &mut unanswered[0];
    unanswered.shard_number = 2;
    unanswered.intent.last_sent_at = Some(time::format(at(2)));
    shards.push(unanswered.clone());
    wave.shard_count = 2;
    judge(&mut wave, &shards, ExecutionType::Drill, at(10));
    assert!(verdict(&wave, &shards, &input(0), false, at(10)).start_pending);
    // start-wave ends what it could not start; the job that runs is ended by the poll.
    apply_timeout(&mut shards[1], ExecutionType::Drill, wave.timeout_seconds, at(7_200));
    judge(&mut wave, &shards, ExecutionType::Drill, at(7_200));
    let told = verdict(&wave, &shards, &input(0), false, at(7_200));
    assert_eq!((told.status, told.settled, told.start_pending), (WaveStatus::Polling, false, false));
}

/// Issue 3.4: a service that is out is not called more often than one that is well.
#[test]
fn a_question_without_an_answer_waits_but_never_past_the_deadline() {
    let (mut wave, mut shards) = running(1);
    launch(&mut shards[0].server_statuses[0], 500);
    judge(&mut wave, &shards, ExecutionType::Drill, at(501));
    let verdict = verdict(&wave, &shards, &input(0), false, at(501));
    assert!(!verdict.settled && verdict.next_poll_seconds < UNANSWERED_SECONDS, "{verdict:?}");
    assert_eq!(patient(verdict.clone(), &wave, at(501)).next_poll_seconds, UNANSWERED_SECONDS);
    let deadline = i64::from(wave.timeout_seconds);
    assert_eq!(patient(verdict.clone(), &wave, at(deadline - 7)).next_poll_seconds, 7);
    let settled = WaveVerdict { settled: true, next_poll_seconds: 1, ..verdict };
    assert_eq!(patient(settled, &wave, at(501)).next_poll_seconds, 1);
}
