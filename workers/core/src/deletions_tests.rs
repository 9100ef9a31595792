#![allow(clippy::unwrap_used)]

use super::*;
use crate::observed::JobServer;
use crate::wave_start::tests::{at, id, wave_of};
use tidegate_contract::LaunchStatus;

const RECOVERED: &str = "i-0000000000000000a";
const DRILLED: &str = "i-0000000000000000b";

fn job(number: u32, initiated_by: &str, created: i64, ended: Option<i64>, run: Option<&str>) -> Job {
    Job {
        job_id: JobId::from(format!("drsjob-{number:017}")),
        job_type: if initiated_by.starts_with("START") { JobType::Launch } else { JobType::Terminate },
        initiated_by: initiated_by.to_owned(),
        status: if ended.is_some() { JobStatus::Completed } else { JobStatus::Started },
        created_at: Some(at(created)),
        ended_at: ended.map(at),
        servers: vec![JobServer {
            source_server_id: id(1),
            launch: if initiated_by.starts_with("START") { Launch::Launched } else { Launch::Terminated },
            recovery_instance_id: None,
            actions: None,
        }],
        tags: run.map(|run| (EXECUTION_TAG.to_owned(), run.to_owned())).into_iter().collect(),
    }
}

fn listed(instance: &str, is_drill: bool, job: &Job, state: &str) -> RecoveryInstance {
    RecoveryInstance {
        recovery_instance_id: instance.to_owned(),
        ec2_instance_id: Some(instance.to_owned()),
        job_id: Some(job.job_id.clone()),
        source_server_id: id(1),
        is_drill,
        point_in_time: None,
        state: InstanceState::of(state),
    }
}

fn tagged(instance: &str, job: Option<&Job>) -> TaggedInstance {
    let job_id = job.map(|job| job.job_id.clone());
    TaggedInstance { instance_id: instance.to_owned(), source_server_id: id(1), job_id }
}

fn asked(instance: &str, state: &str) -> Instance {
    let (instance_id, instance_type) = (instance.to_owned(), String::new());
    Instance { instance_id, instance_type, private_ip: None, launch_time: None, state: state.to_owned() }
}

fn look() -> Look {
    Look { servers: BTreeSet::from([id(1)]), ..Look::default() }
}

/// What lives of others, at second 1,000.
fn others(look: &Look) -> Vec<Doomed> {
    look.doomed(&BTreeSet::new(), at(1_000)).1
}

fn terms(execution_type: ExecutionType, replace_recovered: bool, replace_drill: bool) -> Terms {
    Terms { execution_type, replace_recovered, replace_drill }
}

/// The whole table of the decision.
#[test]
fn nothing_lets_a_drill_delete_what_was_recovered() {
    for replace_recovered in [false, true] {
        for replace_drill in [false, true] {
            let drill = terms(ExecutionType::Drill, replace_recovered, replace_drill);
            let recovery = terms(ExecutionType::Recovery, replace_recovered, replace_drill);
            assert!(!drill.allow(Kind::Recovery));
            assert_eq!(drill.allow(Kind::Drill), replace_drill);
            assert_eq!(recovery.allow(Kind::Recovery), replace_recovered);
            assert!(recovery.allow(Kind::Drill));
        }
    }
}

#[test]
fn what_is_told_names_instance_run_and_way_out() {
    let one = |kind, run: Option<&str>| Doomed {
        source_server_id: id(1),
        instance_id: RECOVERED.to_owned(),
        kind,
        known: Known::Listed,
        job_id: Some(JobId::from("drsjob-00000000000000001")),
        launched_by: run.map(ExecutionId::from),
    };
    let tell = |execution_type, options: [bool; 2], doomed: &Doomed| {
        let told = terms(execution_type, options[0], options[1]).tell("plan.waves[0]", doomed);
        format!("{} {}", told.message, told.remedy)
    };
    let recovered = one(Kind::Recovery, None);
    let text = tell(ExecutionType::Drill, [true, true], &recovered);
    for word in [RECOVERED, "drsjob-00000000000000001", "would delete", "reprotect", "leave the server out"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("options."), "there is no way round it: {text}");
    let text = tell(ExecutionType::Recovery, [false, false], &recovered);
    assert!(text.contains("options.replaceRecovered") && text.contains("would delete"), "{text}");
    let text = tell(ExecutionType::Recovery, [true, false], &recovered);
    assert!(text.contains("DRS deletes it"), "{text}");
    let held = one(Kind::Drill, Some("rehearsal-1"));
    let text = tell(ExecutionType::Drill, [false, false], &held);
    assert!(text.contains("of execution rehearsal-1") && text.contains("options.replaceDrill"), "{text}");
    assert!(text.contains("tidegate reconcile rehearsal-1 --clean-up"), "{text}");
    let text = tell(ExecutionType::Recovery, [false, false], &held);
    assert!(text.contains("of execution rehearsal-1: DRS deletes it"), "{text}");
}

/// The model of the API lists records of instances that are gone; they keep nobody from a recovery.
#[test]
fn what_is_dead_in_ec2_is_nobodys_loss() {
    let recovery = job(1, "START_RECOVERY", 0, Some(500), None);
    for state in ["TERMINATED", "NOT_FOUND", "SHUTTING-DOWN"] {
        let look = Look { listed: vec![listed(RECOVERED, false, &recovery, state)], ..look() };
        assert_eq!(others(&look), [], "{state}");
    }
    // DRS has not noticed yet: EC2 is asked, and its word counts.
    let mut stale = Look { listed: vec![listed(RECOVERED, false, &recovery, "RUNNING")], ..look() };
    assert_eq!(stale.doubtful(), [RECOVERED]);
    assert_eq!(others(&stale).len(), 1, "nobody has said that it is gone");
    for (state, lives) in [("terminated", 0), ("shutting-down", 0), ("stopped", 1), ("running", 1)] {
        stale.asked = vec![asked(RECOVERED, state)];
        assert_eq!(others(&stale).len(), lives, "{state}");
    }
}

#[test]
fn what_is_stopped_or_unheard_of_is_alive() {
    let recovery = job(1, "START_RECOVERY", 0, Some(500), None);
    for state in ["PENDING", "RUNNING", "STOPPING", "STOPPED", "HIBERNATED", ""] {
        let look = Look { listed: vec![listed(RECOVERED, false, &recovery, state)], ..look() };
        assert_eq!(others(&look).len(), 1, "{state}");
    }
    // DRS takes it for dead, and EC2 runs it.
    let wrong = listed(RECOVERED, false, &recovery, "NOT_FOUND");
    let look = Look { listed: vec![wrong], tagged: vec![tagged(RECOVERED, None)], ..look() };
    assert_eq!(others(&look).len(), 1);
}

/// "Even those disconnected from or deleted in DRS": EC2 has them by DRS's tags. Only a job that says drill makes one a drill's.
#[test]
fn an_instance_only_ec2_knows_is_a_recovery_unless_its_job_was_a_drill() {
    let drill = job(1, "START_DRILL", 0, Some(10), Some("rehearsal-1"));
    let kinds = |tag: Option<&Job>, jobs: Vec<Job>| {
        let look = Look { tagged: vec![tagged(DRILLED, tag)], jobs, ..look() };
        let found = others(&look);
        assert_eq!((found.len(), found[0].known), (1, Known::TaggedOnly));
        (found[0].kind, found[0].launched_by.clone())
    };
    assert_eq!(kinds(None, vec![]), (Kind::Recovery, None));
    assert_eq!(kinds(Some(&drill), vec![]), (Kind::Recovery, None), "DRS lists its job no more");
    assert_eq!(kinds(Some(&drill), vec![drill.clone()]), (Kind::Drill, Some(ExecutionId::from("rehearsal-1"))));
    let look = Look { tagged: vec![tagged(DRILLED, Some(&drill))], ..look() };
    assert_eq!(look.unknown_jobs(&BTreeSet::new()), std::slice::from_ref(&drill.job_id));
    assert_eq!(look.unknown_jobs(&BTreeSet::from([drill.job_id])), []);
}

#[test]
fn the_runs_own_instances_are_told_apart_by_their_job() {
    let (ours, theirs) = (job(1, "START_DRILL", 0, Some(10), None), job(2, "START_DRILL", 5, Some(15), None));
    let both = vec![listed(RECOVERED, true, &ours, "RUNNING"), listed(DRILLED, true, &theirs, "RUNNING")];
    let look = Look { listed: both, ..look() };
    let (own, others) = look.doomed(&BTreeSet::from([ours.job_id]), at(1_000));
    assert_eq!((own[0].instance_id.as_str(), others[0].instance_id.as_str()), (RECOVERED, DRILLED));
}

/// The lists of DRS and EC2 lag behind a job by minutes, and nothing is launched over what they do not show yet.
#[test]
fn what_was_launched_just_now_counts_before_anybody_lists_it() {
    let ended = job(1, "START_RECOVERY", 0, Some(900), None);
    let fresh = Look { jobs: vec![ended.clone()], ..look() };
    let found = others(&fresh);
    assert_eq!((found.len(), found[0].known, found[0].kind), (1, Known::LaunchedJustNow, Kind::Recovery));
    let long_ago = Look { jobs: vec![job(1, "START_RECOVERY", 0, Some(50), None)], ..look() };
    assert_eq!(others(&long_ago), [], "DRS lists what it has by now");
    let shown = Look { listed: vec![listed(RECOVERED, false, &ended, "TERMINATED")], ..fresh.clone() };
    assert_eq!(others(&shown), [], "it is listed, and dead");
    let terminated = job(2, "TERMINATE_RECOVERY_INSTANCES", 910, Some(990), None);
    assert_eq!(others(&Look { jobs: vec![ended.clone(), terminated], ..look() }), []);
    let mut failed = job(3, "START_DRILL", 910, Some(990), None);
    failed.servers[0].launch = Launch::Failed;
    assert_eq!(others(&Look { jobs: vec![failed, ended], ..look() }), [], "that launch has deleted it");
}

#[test]
fn what_is_being_terminated_is_told_apart() {
    let open = job(1, "TERMINATE_RECOVERY_INSTANCES", 900, None, None);
    assert_eq!(Look { jobs: vec![open], ..look() }.terminating(), BTreeSet::from([id(1)]));
    let over = job(1, "TERMINATE_RECOVERY_INSTANCES", 900, Some(950), None);
    assert_eq!(Look { jobs: vec![over], ..look() }.terminating(), BTreeSet::new());
}

fn doomed(server: usize, kind: Kind, run: Option<&str>) -> Doomed {
    Doomed {
        source_server_id: id(server),
        instance_id: format!("i-{server:017}"),
        kind,
        known: Known::Listed,
        job_id: None,
        launched_by: run.map(ExecutionId::from),
    }
}

#[test]
fn one_server_that_would_lose_its_instance_costs_one_server() {
    let drill = terms(ExecutionType::Drill, false, true);
    let mut shard = wave_of(3).1.remove(0);
    let found = [doomed(2, Kind::Recovery, None), doomed(3, Kind::Drill, Some("rehearsal-1"))];
    assert!(withhold(&mut shard, drill, &[], &found, at(5)));
    assert_eq!(shard.intent.source_server_ids, [id(1), id(3)]);
    assert_eq!(shard.intent.state, IntentState::Intended);
    let failed = &shard.server_statuses[1];
    assert_eq!(failed.launch_status, LaunchStatus::Failed);
    assert!(failed.error.as_ref().unwrap().contains("i-00000000000000002"), "{:?}", failed.error);
    assert_eq!(
        losers(&shard, &found),
        BTreeMap::from([("rehearsal-1".into(), vec!["i-00000000000000003".to_owned()])])
    );
}

#[test]
fn an_intent_of_which_nothing_may_be_sent_is_refused() {
    let drill = terms(ExecutionType::Drill, true, true);
    let mut shard = wave_of(1).1.remove(0);
    assert!(!withhold(&mut shard, drill, &[], &[doomed(1, Kind::Recovery, None)], at(5)));
    assert_eq!(shard.intent.state, IntentState::Refused);
    assert!(shard.intent.refusal.contains("i-00000000000000001") && !shard.intent.withdrawn);
}

/// The job of a call that was never answered is found by its servers, so these stay.
#[test]
fn an_intent_that_was_sent_before_is_refused_as_a_whole_and_stays_to_be_looked_for() {
    let mut shard = wave_of(2).1.remove(0);
    shard.intent.last_sent_at = Some(time::format(at(1)));
    let drill = terms(ExecutionType::Drill, false, false);
    assert!(!withhold(&mut shard, drill, &[], &[doomed(1, Kind::Drill, None)], at(500)));
    assert_eq!(shard.intent.source_server_ids, [id(1), id(2)]);
    assert!(shard.intent.last_sent_at.is_some());
    assert!(shard.server_statuses.iter().all(|server| server.launch_status == LaunchStatus::Failed));
}

#[test]
fn a_run_never_launches_over_an_instance_of_its_own() {
    let recovery = terms(ExecutionType::Recovery, true, true);
    let mut shard = wave_of(2).1.remove(0);
    assert!(withhold(&mut shard, recovery, &[doomed(1, Kind::Recovery, None)], &[], at(5)));
    assert_eq!(shard.intent.source_server_ids, [id(2)]);
}
