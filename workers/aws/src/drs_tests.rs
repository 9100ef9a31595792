//! What DRS may leave out: every optional member of what is read, one at a time and all at once.

use super::*;
use aws_sdk_drs::types;

fn whole_server() -> types::ParticipatingServer {
    types::ParticipatingServer::builder()
        .source_server_id("s-1")
        .launch_status(types::LaunchStatus::Launched)
        .recovery_instance_id("i-1")
        .launch_actions_status(types::LaunchActionsStatus::builder().runs(whole_run()).build())
        .build()
}

fn whole_run() -> types::LaunchActionRun {
    types::LaunchActionRun::builder()
        .action(types::LaunchAction::builder().name("check").optional(true).build())
        .status(types::LaunchActionRunStatus::Succeeded)
        .failure_reason("none")
        .build()
}

fn whole_job() -> types::Job {
    types::Job::builder()
        .job_id("drsjob-1")
        .r#type(types::JobType::Launch)
        .initiated_by(types::InitiatedBy::StartDrill)
        .status(types::JobStatus::Completed)
        .creation_date_time("2026-11-20T03:04:05Z")
        .end_date_time("2026-11-20T03:14:05Z")
        .participating_servers(whole_server())
        .tags("k", "v")
        .build()
        .unwrap()
}

type Without<T> = (&'static str, fn(&mut T));

/// A job that does not say what it is, or how it stands, is neither taken for a launch nor for ended.
#[test]
fn a_job_that_says_less_says_nothing_else() {
    let without: [Without<types::Job>; 7] = [
        ("type", |job| job.r#type = None),
        ("initiatedBy", |job| job.initiated_by = None),
        ("status", |job| job.status = None),
        ("creationDateTime", |job| job.creation_date_time = None),
        ("endDateTime", |job| job.end_date_time = None),
        ("participatingServers", |job| job.participating_servers = None),
        ("tags", |job| job.tags = None),
    ];
    let whole = job(&whole_job());
    let read = |names: &[&str]| {
        let mut told = whole_job();
        without.iter().filter(|(name, _)| names.contains(name)).for_each(|(_, leave_out)| leave_out(&mut told));
        job(&told)
    };
    for (name, _) in &without {
        let found = read(&[*name]);
        assert_eq!(found.job_type == whole.job_type, *name != "type", "{name}");
        assert_eq!(found.status == whole.status, *name != "status", "{name}");
        assert_eq!(found.servers == whole.servers, *name != "participatingServers", "{name}");
        assert_eq!(found.created_at.is_some(), *name != "creationDateTime", "{name}");
        assert_eq!(found.ended_at.is_some(), *name != "endDateTime", "{name}");
    }
    let nothing = read(&without.map(|(name, _)| name));
    assert_eq!(nothing.job_type, JobType::Unrecognised(String::new()));
    assert_eq!(nothing.status, JobStatus::Unrecognised("UNKNOWN".to_owned()));
    assert!(nothing.servers.is_empty() && nothing.tags.is_empty());
}

/// A server of a job without a status has not begun; without an id it is nobody.
#[test]
fn a_server_of_a_job_that_says_less_is_not_launched() {
    let read = |leave_out: fn(&mut types::ParticipatingServer)| {
        let mut server = whole_server();
        leave_out(&mut server);
        job_server(&server)
    };
    assert_eq!(read(|_| {}).unwrap().launch, Launch::Launched);
    assert_eq!(read(|server| server.launch_status = None).unwrap().launch, Launch::Pending);
    assert_eq!(read(|server| server.recovery_instance_id = None).unwrap().recovery_instance_id, None);
    assert_eq!(read(|server| server.launch_actions_status = None).unwrap().actions, None);
    assert!(read(|server| server.source_server_id = None).is_none());
    let no_runs = read(|server| server.launch_actions_status.as_mut().unwrap().runs = None);
    assert_eq!(no_runs.unwrap().actions, Some(Vec::new()));
}

/// A run without a status has not succeeded; one whose action says nothing is not optional.
#[test]
fn an_action_that_says_less_is_not_done() {
    let read = |leave_out: fn(&mut types::LaunchActionRun)| {
        let mut run = whole_run();
        leave_out(&mut run);
        action_run(&run)
    };
    assert_eq!(read(|run| run.status = None).status, ActionRunStatus::Unrecognised(String::new()));
    assert!(read(|_| {}).optional && !read(|run| run.action = None).optional);
    assert!(!read(|run| run.action.as_mut().unwrap().optional = None).optional);
    assert_eq!(read(|run| run.failure_reason = None).failure_reason, None);
}

/// An instance that does not say it is a drill's is production.
#[test]
fn an_instance_that_says_less_is_no_drill() {
    let whole = types::RecoveryInstance::builder()
        .recovery_instance_id("i-1")
        .ec2_instance_id("i-1")
        .job_id("drsjob-1")
        .source_server_id("s-1")
        .is_drill(true)
        .point_in_time_snapshot_date_time("2026-11-20T03:04:05Z")
        .build();
    let read = |leave_out: fn(&mut types::RecoveryInstance)| {
        let mut instance = whole.clone();
        leave_out(&mut instance);
        recovery_instance(&instance)
    };
    assert!(read(|_| {}).unwrap().is_drill && !read(|instance| instance.is_drill = None).unwrap().is_drill);
    assert_eq!(read(|instance| instance.ec2_instance_id = None).unwrap().ec2_instance_id, None);
    assert_eq!(read(|instance| instance.job_id = None).unwrap().job_id, None);
    assert_eq!(read(|instance| instance.point_in_time_snapshot_date_time = None).unwrap().point_in_time, None);
    assert!(read(|instance| instance.recovery_instance_id = None).is_none());
    assert!(read(|instance| instance.source_server_id = None).is_none());
}

/// A source server that tells nothing has no state to be taken for a good one.
#[test]
fn a_source_server_that_says_less_is_not_ready() {
    let found = source_server(&types::SourceServer::builder().source_server_id("s-1").build()).unwrap();
    assert_eq!((found.replication_state.as_str(), found.lag_seconds, found.hostname), ("", None, None));
    let empty = types::DataReplicationInfo::builder().build();
    let told = types::SourceServer::builder().source_server_id("s-1").data_replication_info(empty).build();
    assert_eq!(source_server(&told).unwrap().replication_state, "");
    assert!(source_server(&types::SourceServer::builder().build()).is_none());
}
