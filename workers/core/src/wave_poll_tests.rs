#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::observed::{InstanceState, JobServer};
use crate::wave_start::tests::{at, id, job_of, wave_of};
use crate::wave_start::{shard_job, started};
use tidegate_contract::JobId;

const RUNNING: &str = "i-0000000000000000a";

/// A shard of a drill whose job was accepted.
fn shard_of(servers: usize) -> ShardRecord {
    let mut shard = wave_of(servers).1.remove(0);
    let job = shard_job(&job_of(&shard, 1), false);
    started(&mut shard, job);
    shard
}

/// A shard of a recovery of one server whose job was accepted.
fn recovering_shard() -> ShardRecord {
    let mut shard = shard_of(1);
    shard.server_statuses[0].is_drill = false;
    shard.server_statuses[0].post_launch_actions_status = PostLaunchStatus::Pending;
    shard
}

/// The shard's job as DRS would list it, one launch status a server.
fn job(shard: &ShardRecord, status: JobStatus, launches: &[Launch]) -> Job {
    let servers = shard.server_statuses.iter().zip(launches);
    Job {
        status,
        servers: servers
            .map(|(server, launch)| JobServer {
                source_server_id: server.source_server_id.clone(),
                launch: launch.clone(),
                recovery_instance_id: None,
                actions: None,
            })
            .collect(),
        ..job_of(shard, 1)
    }
}

fn event(event: &str, server: Option<usize>, raw_error: Option<&str>) -> JobLogItem {
    JobLogItem { event: event.to_owned(), source_server_id: server.map(id), raw_error: raw_error.map(str::to_owned) }
}

fn run(name: &str, optional: bool, status: ActionRunStatus) -> ActionRun {
    ActionRun { name: name.to_owned(), optional, status, failure_reason: Some("exit 1".to_owned()) }
}

fn listed(shard: &ShardRecord, index: usize) -> RecoveryInstance {
    let server = &shard.server_statuses[index];
    RecoveryInstance {
        recovery_instance_id: RUNNING.to_owned(),
        ec2_instance_id: Some(RUNNING.to_owned()),
        job_id: server.recovery_job_id.clone(),
        source_server_id: server.source_server_id.clone(),
        is_drill: server.is_drill,
        point_in_time: Some(at(-60)),
        state: InstanceState::Running,
    }
}

fn described(state: &str) -> Instance {
    Instance {
        instance_id: RUNNING.to_owned(),
        instance_type: "m5.large".to_owned(),
        private_ip: Some("10.0.0.4".to_owned()),
        launch_time: Some(at(500)),
        state: state.to_owned(),
    }
}

/// Server 0 of the shard launched and fully described.
fn launched_shard() -> ShardRecord {
    let mut shard = shard_of(1);
    let done = job(&shard, JobStatus::Completed, &[Launch::Launched]);
    apply_job(&mut shard, Some(&done), at(530));
    let instance = listed(&shard, 0);
    apply_recovery_instances(&mut shard, &[instance]);
    apply_instances(&mut shard, &[described("running")]);
    shard
}

fn calls(shard: &ShardRecord) -> usize {
    let questions = plan_poll(shard);
    usize::from(questions.job)
        + usize::from(questions.log)
        + usize::from(!questions.instances_of.is_empty())
        + usize::from(!plan_ec2(shard).is_empty())
}

/// FR-2.6, FR-3.7: every combination of job state, launch states, actions and knowledge costs at most three calls.
#[test]
fn no_situation_costs_more_than_three_describe_calls() {
    for ended in [false, true] {
        for (log_read, actions) in [
            (false, PostLaunchStatus::NotConfigured),
            (false, PostLaunchStatus::InProgress),
            (true, PostLaunchStatus::Pending),
        ] {
            for combination in 0..6usize.pow(3) {
                let mut shard = shard_of(4);
                let job = shard.job.as_mut().unwrap();
                job.log_read_at_end = log_read;
                job.status = if ended { "COMPLETED" } else { "STARTED" }.to_owned();
                for (index, server) in shard.server_statuses.iter_mut().take(3).enumerate() {
                    server.launch_status = LaunchStatus::ALL[combination / 6usize.pow(index as u32) % 6];
                    server.post_launch_actions_status = actions;
                }
                // The fourth is launched and known to DRS, but EC2 has not described it yet.
                let known = &mut shard.server_statuses[3];
                known.launch_status = LaunchStatus::Launched;
                known.recovery_instance_id = Some(RUNNING.to_owned());
                known.point_in_time = Some(time::format(at(0)));
                known.set_instance(RUNNING);
                assert!(calls(&shard) <= 3, "{:?} + {:?}", plan_poll(&shard), plan_ec2(&shard));
            }
        }
    }
}

#[test]
fn questions_follow_the_life_of_a_shard() {
    assert_eq!(plan_poll(&wave_of(2).1[0]), PollQuestions::default(), "no job, nothing to ask");
    let mut shard = shard_of(1);
    assert_eq!(plan_poll(&shard), PollQuestions { job: true, log: true, instances_of: vec![] });
    assert!(plan_ec2(&shard).is_empty(), "nothing launched: EC2 is left alone");
    let launched = job(&shard, JobStatus::Started, &[Launch::Launched]);
    apply_job(&mut shard, Some(&launched), at(520));
    assert_eq!(plan_poll(&shard), PollQuestions { job: true, log: false, instances_of: vec![id(1)] });
    let done = launched_shard();
    assert_eq!(plan_poll(&done), PollQuestions::default(), "ended, nothing open: the job is not asked again");
    assert!(plan_ec2(&done).is_empty(), "FR-3.7: running and known, nothing can change");
}

#[test]
fn ec2_is_asked_again_only_while_an_instance_settles() {
    for (state, asked) in [
        ("pending", true),
        ("running", false),
        ("stopping", true),
        ("stopped", false),
        ("shutting-down", true),
        ("terminated", false),
    ] {
        let mut shard = launched_shard();
        apply_instances(&mut shard, &[described(state)]);
        assert_eq!(!plan_ec2(&shard).is_empty(), asked, "{state}");
    }
    let mut shard = launched_shard();
    shard.server_statuses[0].private_ip = None;
    assert_eq!(plan_ec2(&shard), [RUNNING], "details missing");
}

/// A recovery's job is asked after its end only while actions may still report (facts: they finish after COMPLETED).
#[test]
fn an_ended_job_is_asked_while_actions_are_open() {
    let mut shard = launched_shard();
    for (status, asked) in [
        (PostLaunchStatus::Pending, true),
        (PostLaunchStatus::InProgress, true),
        (PostLaunchStatus::Succeeded, false),
        (PostLaunchStatus::Failed, false),
    ] {
        shard.server_statuses[0].post_launch_actions_status = status;
        assert_eq!(plan_poll(&shard).job, asked, "{status}");
    }
}

/// c-26d: PENDING through snapshot and conversion; the phase comes from the log. c-31: names are matched whole.
#[test]
fn the_phase_comes_from_exact_event_names() {
    let mut shard = shard_of(1);
    let pending = job(&shard, JobStatus::Started, &[Launch::Pending]);
    for (name, phase) in [
        ("JOB_START", WavePhase::Snapshot),
        ("SNAPSHOT_START", WavePhase::Snapshot),
        ("SNAPSHOT_END", WavePhase::Snapshot),
        ("UPDATE_LAUNCH_TEMPLATE_END", WavePhase::Snapshot),
        ("CONVERSION_START", WavePhase::Conversion),
        ("CONVERSION_END", WavePhase::Conversion),
        ("UPDATE_LAUNCH_TEMPLATE_START", WavePhase::Conversion),
        ("LAUNCH_START", WavePhase::Launching),
        ("LAUNCH_END", WavePhase::Launching),
        ("SOMETHING_NEW", WavePhase::Launching),
    ] {
        apply_job(&mut shard, Some(&pending), at(60));
        apply_log(&mut shard, &[event(name, Some(1), None)]);
        assert_eq!((shard.phase, shard.server_statuses[0].launch_status), (phase, LaunchStatus::Pending), "{name}");
    }
    assert_eq!(shard.server_statuses[0].transition_history.len(), 1);
}

/// c-26: the id is shown around the launch and gone from the finished job.
#[test]
fn a_recovery_instance_id_that_vanishes_is_kept() {
    let mut shard = shard_of(1);
    let mut shown = job(&shard, JobStatus::Started, &[Launch::Launched]);
    shown.servers[0].recovery_instance_id = Some(RUNNING.to_owned());
    apply_job(&mut shard, Some(&shown), at(520));
    let gone = job(&shard, JobStatus::Completed, &[Launch::Launched]);
    apply_job(&mut shard, Some(&gone), at(540));
    assert_eq!(shard.server_statuses[0].recovery_instance_id.as_deref(), Some(RUNNING));
    assert_eq!(shard.server_statuses[0].instance_id, None, "c-26b: not the field to hand to EC2");
    assert_eq!(plan_poll(&shard).instances_of, [id(1)], "DescribeRecoveryInstances still tells the EC2 id");
}

/// c-26: the same server may have an older drill's instance, another run's, or a real recovery's.
#[test]
fn only_this_jobs_instance_of_the_same_kind_is_taken() {
    let mut shard = shard_of(2);
    let launched = job(&shard, JobStatus::Completed, &[Launch::Launched, Launch::Launched]);
    apply_job(&mut shard, Some(&launched), at(530));
    let good = listed(&shard, 0);
    let foreign = [
        RecoveryInstance { job_id: Some(JobId::from("drsjob-0000000000000000f")), ..good.clone() },
        RecoveryInstance { job_id: None, ..good.clone() },
        RecoveryInstance { is_drill: false, ..good.clone() },
        RecoveryInstance { source_server_id: id(9), ..good.clone() },
    ];
    let before = shard.clone();
    apply_recovery_instances(&mut shard, &foreign);
    assert_eq!(shard, before);
    let mut all = foreign.to_vec();
    all.push(good);
    apply_recovery_instances(&mut shard, &all);
    let server = &shard.server_statuses[0];
    assert_eq!(server.recovery_instance_id.as_deref(), Some(RUNNING));
    assert_eq!(server.instance_id.as_deref(), Some(RUNNING), "S000: three names, one value");
    assert_eq!((&server.ec2_instance_id, &server.recovered_instance_id), (&server.instance_id, &server.instance_id));
    assert_eq!(server.point_in_time, Some(time::format(at(-60))));
    assert_eq!(shard.server_statuses[1].recovery_instance_id, None);
    // Neither side naming a job is no match.
    let mut unsent = wave_of(1).1.remove(0);
    let nobodys = RecoveryInstance { job_id: None, ..listed(&unsent, 0) };
    apply_recovery_instances(&mut unsent, &[nobodys]);
    assert_eq!(unsent.server_statuses[0].recovery_instance_id, None);
}

/// c-26: a server launched by an earlier attempt keeps that attempt's job; the new job does not speak for it.
#[test]
fn a_job_speaks_only_for_the_servers_it_launched() {
    let mut shard = shard_of(2);
    shard.server_statuses[0].recovery_job_id = Some(JobId::from("drsjob-0000000000000000e"));
    shard.server_statuses[0].launch_status = LaunchStatus::Launched;
    let observed = job(&shard, JobStatus::Completed, &[Launch::Failed, Launch::Failed]);
    apply_job(&mut shard, Some(&observed), at(60));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Launched);
    assert_eq!(shard.server_statuses[1].launch_status, LaunchStatus::Failed);
}

/// c-26c: LAUNCHED with launchDisposition STOPPED is a success. FR-2.10: a missing EC2 instance changes nothing.
#[test]
fn a_stopped_instance_is_enriched_like_any_other() {
    let mut shard = launched_shard();
    apply_instances(&mut shard, &[described("stopped")]);
    let server = &shard.server_statuses[0];
    assert!(server.is_enriched() && server.error.is_none() && !is_gone(server));
    assert_eq!((server.instance_state.as_deref(), server.private_ip.as_deref()), (Some("stopped"), Some("10.0.0.4")));
    let before = shard.clone();
    apply_instances(&mut shard, &[]);
    apply_recovery_instances(&mut shard, &[]);
    assert_eq!(shard, before);
}

#[test]
fn an_instance_that_ended_is_told_although_drs_says_launched() {
    let mut shard = launched_shard();
    apply_instances(&mut shard, &[described("terminated")]);
    assert!(is_gone(&shard.server_statuses[0]));
    assert_eq!(shard.server_statuses[0].error.as_deref(), Some("EC2 instance i-0000000000000000a is terminated"));
    assert_eq!(shard.server_statuses[0].private_ip.as_deref(), Some("10.0.0.4"), "what was known stays");
}

/// Facts 2.4: the job is COMPLETED, one server FAILED; the last failure event holds the reason.
#[test]
fn a_completed_job_with_a_failed_server_tells_why() {
    let mut shard = shard_of(2);
    let done = job(&shard, JobStatus::Completed, &[Launch::Launched, Launch::Failed]);
    apply_job(&mut shard, Some(&done), at(530));
    let mut log = vec![
        event("SNAPSHOT_FAIL", Some(2), None),
        event("USING_PREVIOUS_SNAPSHOT", Some(2), None),
        event("LAUNCH_END", Some(1), None),
        event("LAUNCH_FAILED", Some(2), Some("An error occurred (UnauthorizedOperation)")),
    ];
    apply_log(&mut shard, &log);
    assert!(!shard.job.as_ref().unwrap().log_read_at_end, "the log lags the job's fields: JOB_END is not there yet");
    log.push(event("JOB_END", None, None));
    apply_log(&mut shard, &log);
    assert!(shard.job.as_ref().unwrap().log_read_at_end);
    assert_eq!(shard.server_statuses[0].error, None);
    assert_eq!(
        shard.server_statuses[1].error.as_deref(),
        Some("LAUNCH_FAILED: An error occurred (UnauthorizedOperation)")
    );
    assert!(!plan_poll(&shard).log, "once");
}

/// Facts 2.4, c-38: a missing EC2 permission leaves no LAUNCH event and no text.
#[test]
fn a_silent_failure_names_the_usual_reason() {
    let mut shard = shard_of(1);
    let done = job(&shard, JobStatus::Completed, &[Launch::Failed]);
    apply_job(&mut shard, Some(&done), at(5));
    let questions = plan_poll(&shard);
    assert!(questions.log && !questions.job, "the log in place of the job");
    assert_eq!(questions.instances_of, [id(1)], "c-14: a failed server may have left an instance; a retry must know");
    let log: Vec<_> = ["JOB_START", "SNAPSHOT_START", "SNAPSHOT_END"].map(|name| event(name, Some(1), None)).into();
    apply_log(&mut shard, &log);
    assert_eq!(shard.server_statuses[0].error, None, "not before the log's last line");
    apply_log(&mut shard, &[log, vec![event("JOB_END", None, None)]].concat());
    assert!(shard.server_statuses[0].error.as_deref().unwrap().contains("missing EC2 permission"));
}

/// c-12: COMPLETED with a server still PENDING fails after the grace, once, and PENDING does not open it again.
#[test]
fn a_completed_job_that_leaves_a_server_pending_fails_it_after_the_grace() {
    let mut shard = shard_of(2);
    let stuck = job(&shard, JobStatus::Completed, &[Launch::Launched, Launch::Pending]);
    apply_job(&mut shard, Some(&stuck), at(500));
    apply_graces(&mut shard, ExecutionType::Drill, at(500 + i64::from(COMPLETED_GRACE_SECONDS) - 1));
    assert_eq!(shard.server_statuses[1].launch_status, LaunchStatus::Pending);
    assert!(plan_poll(&shard).job, "asked until the grace is over");
    for second in [620, 630, 640] {
        apply_job(&mut shard, Some(&stuck), at(second));
        apply_graces(&mut shard, ExecutionType::Drill, at(second));
        let server = &shard.server_statuses[1];
        assert_eq!(server.launch_status, LaunchStatus::Failed);
        assert_eq!(server.transition_history.len(), 2, "no flapping at {second}");
        assert!(server.error.as_deref().unwrap().contains("drsjob-00000000000000001 is COMPLETED"));
    }
    let late = job(&shard, JobStatus::Completed, &[Launch::Launched, Launch::Launched]);
    apply_job(&mut shard, Some(&late), at(650));
    assert_eq!(
        (shard.server_statuses[1].launch_status, &shard.server_statuses[1].error),
        (LaunchStatus::Launched, &None),
        "DRS's word counts"
    );
}

/// c-11: a job not listed shortly after StartRecovery is waited for; listed again, the clock starts anew.
#[test]
fn a_missing_job_fails_its_servers_only_after_its_grace() {
    let mut shard = shard_of(1);
    let pending = job(&shard, JobStatus::Pending, &[Launch::Pending]);
    let missing = i64::from(MISSING_JOB_SECONDS);
    apply_job(&mut shard, None, at(0));
    apply_job(&mut shard, None, at(100));
    apply_graces(&mut shard, ExecutionType::Drill, at(missing - 1));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Pending);
    apply_job(&mut shard, Some(&pending), at(missing));
    apply_graces(&mut shard, ExecutionType::Drill, at(missing));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Pending);
    apply_job(&mut shard, None, at(1_000));
    apply_graces(&mut shard, ExecutionType::Drill, at(1_000 + missing));
    assert_eq!(shard.server_statuses[0].error.as_deref(), Some("DRS no longer lists job drsjob-00000000000000001"));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Failed);
}

/// Tenet 3: a word DRS may add one day is no success.
#[test]
fn an_unknown_word_is_never_taken_for_success() {
    let mut shard = shard_of(1);
    let odd =
        job(&shard, JobStatus::Unrecognised("PARTLY".to_owned()), &[Launch::Unrecognised("LAUNCHED_MAYBE".to_owned())]);
    apply_job(&mut shard, Some(&odd), at(60));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Pending);
    assert_eq!(shard.job.as_ref().unwrap().completed_seen_at, None);
    let done = job(&shard, JobStatus::Completed, &[Launch::Unrecognised("LAUNCHED_MAYBE".to_owned())]);
    apply_job(&mut shard, Some(&done), at(70));
    apply_graces(&mut shard, ExecutionType::Drill, at(70 + i64::from(COMPLETED_GRACE_SECONDS)));
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Failed);
}

/// S002: required runs decide, optional ones do not (facts 1.5).
#[test]
fn post_launch_runs_become_one_status() {
    use ActionRunStatus::{Failed, InProgress, Succeeded, Unrecognised};
    let table = [
        (vec![], PostLaunchStatus::Pending, false),
        (vec![run("a", false, Succeeded), run("b", true, Succeeded)], PostLaunchStatus::Succeeded, true),
        (vec![run("a", false, Succeeded), run("b", false, InProgress)], PostLaunchStatus::InProgress, false),
        (vec![run("a", false, Succeeded), run("b", true, Failed)], PostLaunchStatus::PartiallySucceeded, true),
        (vec![run("a", false, Failed), run("b", true, Succeeded)], PostLaunchStatus::Failed, true),
        (vec![run("a", false, Failed), run("b", true, InProgress)], PostLaunchStatus::Failed, false),
        (vec![run("a", true, Failed), run("b", false, InProgress)], PostLaunchStatus::InProgress, false),
        (vec![run("a", false, Unrecognised("NEW".to_owned()))], PostLaunchStatus::InProgress, false),
    ];
    for (runs, expected, completed) in table {
        let mut shard = launched_shard();
        shard.server_statuses[0].post_launch_actions_status = PostLaunchStatus::Pending;
        let mut observed = job(&shard, JobStatus::Completed, &[Launch::Launched]);
        observed.servers[0].actions = Some(runs.clone());
        apply_job(&mut shard, Some(&observed), at(600));
        let server = &shard.server_statuses[0];
        assert_eq!(
            (server.post_launch_actions_status, server.post_launch_actions_completed),
            (expected, completed),
            "{runs:?}"
        );
        assert_eq!(server.error.is_some(), expected == PostLaunchStatus::Failed, "{runs:?}");
    }
}

const ACTIONS_ON: LaunchSettings = LaunchSettings { post_launch_enabled: true, leaves_stopped: false };

fn action(active: bool, optional: bool) -> LaunchAction {
    LaunchAction { active, optional }
}

/// DRS has a switch for all actions and one for each, and none runs on an instance that is not started (user guide, post-launch
/// action settings; API model, LaunchAction.active).
#[test]
fn a_recovery_waits_for_an_active_action_that_is_not_optional_on_a_started_instance() {
    for enabled in [true, false] {
        for leaves_stopped in [false, true] {
            for (actions, required) in [
                (vec![], false),
                (vec![action(false, false)], false),
                (vec![action(true, true)], false),
                (vec![action(false, false), action(true, true)], false),
                (vec![action(true, true), action(true, false)], true),
            ] {
                let settings = LaunchSettings { post_launch_enabled: enabled, leaves_stopped };
                let (mut shard, expected) = (recovering_shard(), enabled && !leaves_stopped && required);
                let id = shard.server_statuses[0].source_server_id.clone();
                assert_eq!(unread_settings(&shard), std::slice::from_ref(&id));
                apply_settings(&mut shard, &id, settings, &actions);
                let server = &shard.server_statuses[0];
                let waits = server.post_launch_actions_status == PostLaunchStatus::Pending;
                assert_eq!(
                    (server.post_launch_expected, waits),
                    (Some(expected), expected),
                    "{settings:?} {actions:?}"
                );
                assert!(unread_settings(&shard).is_empty(), "asked once");
            }
        }
    }
}

#[test]
fn runs_that_are_listed_count_whatever_the_settings_say() {
    let mut shard = recovering_shard();
    let id = shard.server_statuses[0].source_server_id.clone();
    apply_settings(&mut shard, &id, ACTIONS_ON, &[]);
    let mut observed = job(&shard, JobStatus::Completed, &[Launch::Launched]);
    observed.servers[0].actions = Some(vec![run("late", true, ActionRunStatus::InProgress)]);
    apply_job(&mut shard, Some(&observed), at(600));
    assert_eq!(shard.server_statuses[0].post_launch_actions_status, PostLaunchStatus::InProgress);
    assert!(unread_settings(&shard).is_empty());
}

#[test]
fn a_recovery_counts_without_actions_that_never_begin_and_says_so() {
    for (execution_type, launch, read, expected) in [
        (ExecutionType::Recovery, Launch::Launched, true, PostLaunchStatus::NotConfigured),
        (ExecutionType::Recovery, Launch::Launched, false, PostLaunchStatus::NotConfigured),
        (ExecutionType::Drill, Launch::Launched, true, PostLaunchStatus::Pending),
        // A server that never launched has no actions to wait for.
        (ExecutionType::Recovery, Launch::Failed, true, PostLaunchStatus::Pending),
    ] {
        let mut shard = recovering_shard();
        let id = shard.server_statuses[0].source_server_id.clone();
        if read {
            apply_settings(&mut shard, &id, ACTIONS_ON, &[action(true, false)]);
        }
        let done = job(&shard, JobStatus::Completed, &[launch]);
        apply_job(&mut shard, Some(&done), at(500));
        apply_graces(&mut shard, execution_type, at(499 + i64::from(ACTIONS_GRACE_SECONDS)));
        assert_eq!(shard.server_statuses[0].post_launch_actions_status, PostLaunchStatus::Pending);
        apply_graces(&mut shard, execution_type, at(500 + i64::from(ACTIONS_GRACE_SECONDS)));
        let server = &shard.server_statuses[0];
        assert_eq!((server.post_launch_actions_status, server.error.is_none()), (expected, true));
        let warning = server.warning.as_deref().unwrap_or_default();
        let word = if read { "SSM agent" } else { "could not be read" };
        assert_eq!(warning.contains(word), expected == PostLaunchStatus::NotConfigured, "{warning}");
    }
}

#[test]
fn at_the_deadline_actions_that_never_began_fail_only_what_its_job_has_not_ended() {
    for (status, expected) in
        [(JobStatus::Completed, PostLaunchStatus::NotConfigured), (JobStatus::Started, PostLaunchStatus::Failed)]
    {
        let mut shard = recovering_shard();
        let launched = job(&shard, status, &[Launch::Launched]);
        apply_job(&mut shard, Some(&launched), at(500));
        apply_timeout(&mut shard, ExecutionType::Recovery, 600, at(600));
        assert_eq!(shard.server_statuses[0].post_launch_actions_status, expected);
    }
}

/// Facts 2.4 "hung conversion": there is no cancel, so the text names the job that may still run.
#[test]
fn the_deadline_ends_what_is_open_and_names_the_job() {
    let mut shard = shard_of(3);
    let mixed = job(&shard, JobStatus::Started, &[Launch::Pending, Launch::Launched, Launch::Launched]);
    apply_job(&mut shard, Some(&mixed), at(60));
    shard.server_statuses[1].post_launch_actions_status = PostLaunchStatus::InProgress;
    apply_timeout(&mut shard, ExecutionType::Recovery, 7_200, at(7_200));
    let errors: Vec<_> = shard.server_statuses.iter().map(|server| server.error.clone().unwrap_or_default()).collect();
    assert_eq!(errors[0], "not launched within the wave's 7200 s; DRS job drsjob-00000000000000001 is STARTED");
    assert!(
        errors[1].starts_with("post-launch actions not done") && errors[1].contains("drsjob-00000000000000001"),
        "{}",
        errors[1]
    );
    assert_eq!(errors[2], "");
    let mut unsent = wave_of(1).1.remove(0);
    apply_timeout(&mut unsent, ExecutionType::Drill, 60, at(60));
    assert!(unsent.server_statuses[0].error.as_deref().unwrap().ends_with("no DRS job was accepted"));
    let mut refused = wave_of(1).1.remove(0);
    refused.intent.refusal = "DRS refused the launch: AccessDeniedException".to_owned();
    apply_timeout(&mut refused, ExecutionType::Drill, 60, at(60));
    assert!(
        refused.server_statuses[0]
            .error
            .as_deref()
            .unwrap()
            .ends_with("accepted: DRS refused the launch: AccessDeniedException")
    );
}

/// S002 2.2: one entry a change, however often the same thing is seen; a stale answer takes nothing back.
#[test]
fn the_history_grows_only_with_changes() {
    let mut shard = shard_of(1);
    for (launch, second) in [
        (Launch::Pending, 10),
        (Launch::InProgress, 20),
        (Launch::InProgress, 30),
        (Launch::Launched, 40),
        (Launch::InProgress, 45),
        (Launch::Launched, 50),
    ] {
        let observed = job(&shard, JobStatus::Started, &[launch]);
        apply_job(&mut shard, Some(&observed), at(second));
    }
    let server = &shard.server_statuses[0];
    let history: Vec<_> = server.transition_history.iter().map(|entry| (entry.status, entry.at.clone())).collect();
    assert_eq!(
        history,
        [
            (LaunchStatus::Pending, time::format(at(0))),
            (LaunchStatus::InProgress, time::format(at(20))),
            (LaunchStatus::Launched, time::format(at(40))),
        ]
    );
    assert_eq!(server.launched_time, Some(time::format(at(40))));
}

#[test]
fn counters_alone_are_nothing_learned() {
    let before = launched_shard();
    let mut after = before.clone();
    count_poll(&mut after, at(600));
    assert_eq!(
        (after.server_statuses[0].poll_attempts, after.server_statuses[0].last_polled_time.clone()),
        (1, Some(time::format(at(600)))),
        "FR-2.3"
    );
    assert!(!learned_something(&before, &after));
    apply_instances(&mut after, &[described("stopped")]);
    assert!(learned_something(&before, &after));
    let mut missing = before.clone();
    apply_job(&mut missing, None, at(600));
    assert!(learned_something(&before, &missing), "a grace that began must be stored");
}
