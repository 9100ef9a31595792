#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::observed::{JobServer, Launch};
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_contract::records::Target;
use tidegate_contract::{Importance, JobId};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn id(n: usize) -> SourceServerId {
    SourceServerId(format!("s-{n:017x}"))
}

pub(crate) fn wave_of(servers: usize) -> (WaveRecord, Vec<ShardRecord>) {
    let wave = serde_json::from_value(json!({"waveNumber": 1, "waveName": "db", "groups": []})).unwrap();
    let members: Vec<Member> = (1..=servers)
        .map(|n| Member {
            source_server_id: id(n),
            target: Target { account_id: "111122223333".to_owned(), region: "us-west-2".to_owned() },
            importance: Importance::Critical,
            server_name: format!("db-{n}"),
            hostname: String::new(),
            recovery_snapshot_id: None,
            post_launch_expected: false,
        })
        .collect();
    open_wave(&ExecutionId::from("run-1"), ExecutionType::Drill, Mode::Run, &wave, &members, at(0))
}

pub(crate) fn job_of(shard: &ShardRecord, created: i64) -> Job {
    Job {
        job_id: JobId::from("drsjob-00000000000000001"),
        job_type: JobType::Launch,
        initiated_by: "START_DRILL".to_owned(),
        status: JobStatus::Started,
        created_at: Some(at(created)),
        ended_at: None,
        servers: shard
            .intent
            .source_server_ids
            .iter()
            .map(|id| JobServer {
                source_server_id: id.clone(),
                launch: Launch::Pending,
                recovery_instance_id: None,
                actions: None,
            })
            .collect(),
        tags: BTreeMap::new(),
    }
}

fn looked(jobs: &[Job], second: i64) -> Looked {
    Looked { jobs: jobs.to_vec(), asked_at: at(second) }
}

fn sent(seconds: i64) -> ShardRecord {
    let mut shard = wave_of(2).1.remove(0);
    shard.intent.last_sent_at = Some(time::format(at(seconds)));
    shard
}

#[test]
fn a_fresh_intent_is_sent_without_a_look() {
    let shard = wave_of(2).1.remove(0);
    assert!(!needs_look(&shard));
    assert_eq!(decide_start(&shard, ExecutionType::Drill, None, at(0)), StartDecision::Send);
}

/// c-14: a call whose answer was lost is looked for and adopted, never repeated at once.
#[test]
fn an_intent_that_may_have_been_sent_is_looked_for_first() {
    let shard = sent(0);
    assert!(needs_look(&shard));
    let job = job_of(&shard, 1);
    let decide = |jobs: &[Job], asked: i64, now: i64| {
        decide_start(&shard, ExecutionType::Drill, Some(&looked(jobs, asked)), at(now))
    };
    assert_eq!(decide(std::slice::from_ref(&job), 2, 2), StartDecision::Adopt(Box::new(job.clone())));
    assert_eq!(decide(&[], 2, 2), StartDecision::Wait(SETTLE_SECONDS - 2));
    assert_eq!(decide(&[], 151, 151), StartDecision::Send);
    assert_eq!(
        decide(&[], 37, 274),
        StartDecision::Wait(1),
        "its worker was frozen after it had asked: a look is as old as it is"
    );
    assert_eq!(
        decide(std::slice::from_ref(&job), 37, 274),
        StartDecision::Adopt(Box::new(job.clone())),
        "what was listed is there"
    );
    assert_eq!(
        decide_start(&shard, ExecutionType::Drill, None, at(151)),
        StartDecision::Wait(1),
        "never without a look"
    );
}

#[test]
fn only_a_job_of_this_intent_is_adopted() {
    let shard = sent(0);
    let find = |job: Job| find_job(&shard.intent, ExecutionType::Drill, &[job]).is_some();
    assert!(find(job_of(&shard, 1)));
    assert!(!find(job_of(&shard, -3_600)), "older than the intent");
    assert!(!find(job_of(&shard, 3_600)), "younger than its call can make it: launched while nobody held the locks");
    assert!(!find(Job { initiated_by: "START_RECOVERY".to_owned(), ..job_of(&shard, 1) }), "a recovery is no drill");
    assert!(!find(Job { job_type: JobType::Terminate, ..job_of(&shard, 1) }));
    let mut other = job_of(&shard, 1);
    other.servers.pop();
    assert!(!find(other.clone()), "other servers");
    other.tags.insert(INTENT_TAG.to_owned(), shard.intent.intent_id.clone());
    assert!(find(other), "the tag decides");
    let mut foreign = job_of(&shard, 1);
    foreign.tags.insert(INTENT_TAG.to_owned(), "another".to_owned());
    assert!(!find(foreign), "the tag decides against it, too");
}

/// A console user may launch the very servers of a call that DRS never got. Where our jobs carry a tag, theirs is told apart;
/// one untagged call among them, and the job that is looked for may be that one's.
#[test]
fn where_every_call_was_tagged_an_untagged_job_is_somebody_elses() {
    for (calls, adopted) in
        [(&[true][..], false), (&[true, true], false), (&[false], true), (&[false, true], true), (&[true, false], true)]
    {
        let mut shard = wave_of(2).1.remove(0);
        for (second, tagged) in (0..).zip(calls) {
            let before = mark_sent(&mut shard.intent, *tagged, at(second));
            assert_eq!(before.is_some(), second > 0);
        }
        let foreign = job_of(&shard, 60);
        let found = |job: &Job| find_job(&shard.intent, ExecutionType::Drill, [job]).is_some();
        assert_eq!(found(&foreign), adopted, "{calls:?}");
        let tags = BTreeMap::from([(INTENT_TAG.to_owned(), shard.intent.intent_id.clone())]);
        assert!(found(&Job { tags, ..foreign }), "{calls:?}");
    }
    let mut again = wave_of(2).1.remove(0);
    mark_sent(&mut again.intent, false, at(0));
    again.intent.last_sent_at = None;
    mark_sent(&mut again.intent, true, at(9));
    assert!(again.intent.tagged, "the untagged call was refused: there is no job of it");
}

/// DRS refuses the whole call for any of its servers: everybody who holds one is named, and a TERMINATE job is waited for only
/// if nobody else is in the way.
#[test]
fn whoever_holds_a_server_is_named_with_it() {
    let shard = wave_of(3).1.remove(0);
    let holding = |name: &str, servers: &[usize]| {
        let mut job = job_of(&shard, 1);
        job.job_id = JobId::from(name);
        job.servers.retain(|server| servers.iter().any(|n| server.source_server_id == id(*n)));
        job
    };
    let console = Job { initiated_by: "START_RECOVERY".to_owned(), ..holding("drsjob-a", &[1, 2]) };
    let over = Job { status: JobStatus::Completed, ..holding("drsjob-b", &[3]) };
    let terminating = Job { job_type: JobType::Terminate, ..holding("drsjob-c", &[3]) };
    let native = |arn: &str, servers: &[usize]| NativeExecution {
        execution_arn: arn.to_owned(),
        plan_arn: String::new(),
        source_server_ids: servers.iter().map(|n| id(*n)).collect(),
    };
    let natives = [native("rpe-1", &[3, 9]), native("rpe-2", &[8])];

    let jobs = [terminating, over, console];
    let all = holders(&shard.intent, &jobs);
    assert_eq!((all.terminating.len(), all.others.len()), (1, 1), "in whatever order DRS lists them");
    let reason = all.reason(&natives).unwrap();
    for named in [
        &format!("{} and 1 more are in job drsjob-a (START_RECOVERY), which is not ours", id(1)),
        &format!("{} is held by the native recovery plan execution rpe-1", id(3)),
    ] {
        assert!(reason.contains(named.as_str()), "{reason}");
    }
    assert!(!["drsjob-b", "drsjob-c", "rpe-2"].iter().any(|other| reason.contains(other)), "{reason}");
    assert_eq!(holders(&shard.intent, &jobs[..2]).reason(&natives[1..]), None);
}

#[test]
fn a_retry_launches_only_what_failed_and_left_no_instance() {
    let mut shard = wave_of(3).1.remove(0);
    let mut job = shard_job(&job_of(&shard, 1), false);
    job.status = "COMPLETED".to_owned();
    started(&mut shard, job);
    shard.server_statuses[0].launch_status = LaunchStatus::Launched;
    fail_server(&mut shard.server_statuses[1], "conversion failed", at(5));
    fail_server(&mut shard.server_statuses[2], "timeout", at(5));
    shard.server_statuses[2].recovery_instance_id = Some("i-0000000000000000a".to_owned());
    assert!(retry_shard(&mut shard, 2, at(10)));
    assert_eq!(shard.intent.source_server_ids, [id(2)]);
    assert_eq!(shard.intent.state, IntentState::Intended);
    assert_eq!(shard.earlier_jobs.len(), 1);
    assert_eq!(shard.server_statuses[2].launch_status, LaunchStatus::Launched);
    assert!(!retry_shard(&mut shard, 2, at(11)), "the same attempt twice changes nothing");
}

#[test]
fn a_retry_of_a_job_still_under_way_starts_no_second_one() {
    let mut shard = wave_of(1).1.remove(0);
    let job = shard_job(&job_of(&shard, 1), false);
    started(&mut shard, job);
    fail_server(&mut shard.server_statuses[0], "wave timeout", at(5));
    assert!(retry_shard(&mut shard, 2, at(10)));
    assert_eq!(shard.intent.state, IntentState::Started);
    assert!(shard.job.is_some());
    assert_eq!(shard.server_statuses[0].launch_status, LaunchStatus::Pending);
}

/// A job that DRS has lost (c-11) must not stand in the way of an operator's retry for ever; one that is merely not listed yet,
/// or was not asked for long enough, still does.
#[test]
fn a_vanished_job_blocks_no_retry() {
    for (missing_since, relaunched) in [(None, false), (Some(9_401), false), (Some(9_400), true)] {
        let mut shard = wave_of(2).1.remove(0);
        let job = shard_job(&job_of(&shard, 1), false);
        started(&mut shard, job);
        fail_server(&mut shard.server_statuses[0], "DRS no longer lists job", at(9_990));
        shard.server_statuses[1].launch_status = LaunchStatus::Launched;
        shard.server_statuses[1].recovery_instance_id = Some("i-0000000000000000a".to_owned());
        shard.job.as_mut().unwrap().missing_since = missing_since.map(|second| time::format(at(second)));
        assert_eq!(has_vanished(&shard, at(10_000)), relaunched);
        assert!(retry_shard(&mut shard, 2, at(10_000)));
        assert_eq!(shard.job.is_none(), relaunched, "{missing_since:?}");
        if relaunched {
            assert_eq!(shard.intent.source_server_ids, [id(1)], "what has an instance is left alone");
            assert_eq!(
                shard.earlier_jobs,
                [JobId::from("drsjob-00000000000000001")],
                "cleanup looks for its instances"
            );
        }
    }
}

/// The last word about a wave counts, and only words about this wave.
#[test]
fn a_wave_an_operator_closed_is_not_started_any_more() {
    let record = |decided: &[(u32, &str)]| -> ExecutionRecord {
        let timeline: Vec<_> = decided
            .iter()
            .map(|(wave, word)| json!({"at": time::format(at(1)), "event": "DECIDED", "waveNumber": wave, "detail": word}))
            .chain([json!({"at": time::format(at(2)), "event": "RESUMED", "waveNumber": 1, "detail": "skip"})])
            .collect();
        serde_json::from_value(json!({
            "executionId": "run-1", "planId": "crm", "schemaVersion": 1, "planName": "CRM", "executionArn": "arn",
            "executionType": "DRILL", "mode": "RUN", "status": "POLLING", "totalWaves": 1, "completedWaves": 0,
            "currentWave": 1, "totalServers": 2, "startTime": time::format(at(0)), "expectedDuration": 1200,
            "pauseRequested": "false", "cancelRequested": "false", "plan": "{}", "holdSeconds": 0, "keepInstances": false,
            "waves": [], "timeline": timeline,
        }))
        .unwrap()
    };
    assert_eq!(closed_with(&record(&[]), 1), None);
    assert_eq!(closed_with(&record(&[(1, "retry")]), 1), None);
    assert_eq!(closed_with(&record(&[(1, "retry"), (1, "skip")]), 1), Some("skip"));
    for word in ["skip", "continue", "abort"] {
        assert_eq!(closed_with(&record(&[(1, word)]), 1), Some(word));
        assert_eq!(closed_with(&record(&[(1, word)]), 2), None);
    }
}

/// A launch nobody answered may become a job for as long as a second call waits for it, and no longer.
#[test]
fn an_unanswered_call_may_still_start_for_the_time_it_is_waited_for() {
    let unsent = wave_of(2).1.remove(0);
    assert!(!may_still_start(&unsent, at(1)));
    let shard = sent(10);
    assert!(may_still_start(&shard, at(10)) && may_still_start(&shard, at(159)) && !may_still_start(&shard, at(160)));
    let mut refused_since = shard.clone();
    refused(&mut refused_since, "stopped", at(12));
    assert!(may_still_start(&refused_since, at(20)), "whatever was concluded since");
    let mut known = shard;
    let job = shard_job(&job_of(&known, 11), false);
    started(&mut known, job);
    assert!(!may_still_start(&known, at(12)), "its job is asked instead");
}

/// c-14: a call nobody knows the outcome of stays the intent, through the wave's deadline and an operator's retry.
#[test]
fn a_retry_after_an_unanswered_call_looks_before_it_launches() {
    let mut shard = sent(0);
    refused(&mut shard, "not accepted within the wave's timeoutSeconds", at(7_200));
    assert!(retry_shard(&mut shard, 2, at(7_300)));
    assert!(needs_look(&shard), "the job of the lost call may have launched long ago");
    let job = job_of(&shard, 1);
    assert_eq!(
        decide_start(&shard, ExecutionType::Drill, Some(&looked(std::slice::from_ref(&job), 7_301)), at(7_301)),
        StartDecision::Adopt(Box::new(job))
    );
    assert!(
        shard
            .server_statuses
            .iter()
            .all(|server| server.launch_status == LaunchStatus::Pending && server.error.is_none())
    );
    assert_eq!(shard.intent.attempt, 2);
}

/// c-14: a job that failed within seconds is young enough to look like the retry's own.
#[test]
fn a_retry_does_not_adopt_the_job_that_failed() {
    let mut shard = wave_of(1).1.remove(0);
    let old = job_of(&shard, 1);
    let mut recorded = shard_job(&old, false);
    recorded.status = "COMPLETED".to_owned();
    started(&mut shard, recorded);
    fail_server(&mut shard.server_statuses[0], "no permission", at(2));
    assert!(retry_shard(&mut shard, 2, at(20)));
    shard.intent.last_sent_at = Some(time::format(at(20)));
    assert_eq!(
        decide_start(&shard, ExecutionType::Drill, Some(&looked(std::slice::from_ref(&old), 21)), at(21)),
        StartDecision::Wait(SETTLE_SECONDS - 1)
    );
    let new = Job { job_id: JobId::from("drsjob-00000000000000002"), ..job_of(&shard, 21) };
    assert_eq!(
        decide_start(&shard, ExecutionType::Drill, Some(&looked(&[old, new.clone()], 22)), at(22)),
        StartDecision::Adopt(Box::new(new))
    );
}

/// An instance that is gone may be launched again, and nothing of the old one is taken for the new one's.
#[test]
fn a_retry_launches_a_terminated_server_again_and_forgets_its_instance() {
    for state in [None, Some("terminated")] {
        let mut shard = wave_of(1).1.remove(0);
        let mut job = shard_job(&job_of(&shard, 1), false);
        job.status = "COMPLETED".to_owned();
        started(&mut shard, job);
        let server = &mut shard.server_statuses[0];
        server.launch_status = if state.is_some() { LaunchStatus::Launched } else { LaunchStatus::Terminated };
        server.instance_state = state.map(str::to_owned);
        server.recovery_instance_id = Some("i-0000000000000000a".to_owned());
        server.set_instance("i-0000000000000000a");
        server.launched_time = Some(time::format(at(9)));
        assert!(retry_shard(&mut shard, 2, at(20)));
        assert_eq!(shard.intent.source_server_ids, [id(1)]);
        let server = &shard.server_statuses[0];
        assert_eq!(server.launch_status, LaunchStatus::Pending);
        assert_eq!(
            (&server.recovery_instance_id, &server.instance_id, &server.instance_state, &server.launched_time),
            (&None, &None, &None, &None)
        );
    }
}

/// A server whose actions failed is asked about again only while its job is; else it would wait for its deadline.
#[test]
fn failed_actions_are_reopened_only_while_their_job_is_asked() {
    for other_fails in [false, true] {
        let mut shard = wave_of(2).1.remove(0);
        let mut job = shard_job(&job_of(&shard, 1), false);
        job.status = "COMPLETED".to_owned();
        started(&mut shard, job);
        for server in &mut shard.server_statuses {
            server.launch_status = LaunchStatus::Launched;
            server.recovery_instance_id = Some("i-0000000000000000a".to_owned());
        }
        shard.server_statuses[0].post_launch_actions_status = PostLaunchStatus::Failed;
        if other_fails {
            shard.server_statuses[1].recovery_instance_id = None;
            fail_server(&mut shard.server_statuses[1], "conversion failed", at(5));
        }
        assert!(retry_shard(&mut shard, 2, at(10)));
        let expected = if other_fails { PostLaunchStatus::Failed } else { PostLaunchStatus::Pending };
        assert_eq!(shard.server_statuses[0].post_launch_actions_status, expected);
        assert_eq!(shard.job.is_none(), other_fails);
    }
}

#[test]
fn a_refusal_that_may_pass_is_final_after_minutes_of_itself() {
    let mut intent = wave_of(1).1.remove(0).intent;
    assert!(!refused_for_long(&mut intent, "403", at(1_000)));
    assert!(!refused_for_long(&mut intent, "403 again", at(999 + i64::from(REFUSAL_PATIENCE_SECONDS))));
    assert_eq!(intent.refusal, "403 again");
    assert!(refused_for_long(&mut intent, "403", at(1_000 + i64::from(REFUSAL_PATIENCE_SECONDS))));
}

/// Tag values of AWS: letters, digits, spaces and + - = . _ : / @; DRS answers others with "Invalid request provided: Tags".
#[test]
fn a_tag_holds_only_what_aws_allows_and_still_finds_its_job() {
    let (mut shard, name) = (wave_of(1).1.remove(0), "drill (it's #1)!");
    shard.intent.intent_id = intent_id(&ExecutionId::from(name), 1, 1, 1);
    let tag = tag_value(&shard.intent.intent_id);
    assert_eq!(tag, "drill .it.s .1../0001.01/1");
    for told in [tag, shard.intent.intent_id.clone()] {
        let job = Job { tags: BTreeMap::from([(INTENT_TAG.to_owned(), told)]), ..job_of(&shard, 1) };
        assert!(find_job(&shard.intent, ExecutionType::Drill, [&job]).is_some());
    }
    let other =
        Job { tags: BTreeMap::from([(INTENT_TAG.to_owned(), "other/0001.01/1".to_owned())]), ..job_of(&shard, 1) };
    assert!(find_job(&shard.intent, ExecutionType::Drill, [&other]).is_none());
}

/// A console user launched the very same servers a moment before the intent was recorded, and the answer to the intent's own mark was
/// lost: the look before the first call has told that the job is not ours.
#[test]
fn a_job_that_was_listed_before_the_first_call_is_not_ours() {
    let mut shard = wave_of(2).1.remove(0);
    shard.intent.recorded_at = time::format(at(100));
    let theirs = job_of(&shard, 60);
    let find = |intent: &Intent, job: &Job| find_job(intent, ExecutionType::Drill, [job]).is_some();
    assert!(find(&shard.intent, &theirs), "it looks like ours");
    let mut sent = shard.clone();
    note_not_ours(&mut shard.intent, ExecutionType::Drill, std::slice::from_ref(&theirs));
    assert!(!find(&shard.intent, &theirs));
    assert!(
        find(&shard.intent, &Job { job_id: JobId::from("drsjob-00000000000000009"), ..theirs.clone() }),
        "the next one"
    );
    // Once a call may have left, a job that is listed may be its.
    mark_sent(&mut sent.intent, false, at(101));
    note_not_ours(&mut sent.intent, ExecutionType::Drill, std::slice::from_ref(&theirs));
    assert!(find(&sent.intent, &theirs));
}

/// What DRS said before it took the call is no reason any more.
#[test]
fn a_launch_that_started_keeps_no_refusal() {
    let mut shard = wave_of(1).1.remove(0);
    assert!(!refused_for_long(&mut shard.intent, "busy", at(10)));
    let job = shard_job(&job_of(&shard, 11), false);
    started(&mut shard, job);
    assert_eq!((shard.intent.refusal.as_str(), shard.intent.refused_since), ("", None));
}
