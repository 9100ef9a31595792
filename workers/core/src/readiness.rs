//! Whether DRS could launch this membership now. Fails closed: what cannot be read is a problem, not a pass (lesson c-18).

use crate::input_check::problem;
use crate::membership::Membership;
use crate::observed::{Job, JobStatus, NativeExecution, SourceServer};
use std::collections::BTreeMap;
use tidegate_contract::plan::MAX_CONCURRENT_JOBS;
use tidegate_contract::records::{Member, Problem, Target};

/// Lag worth a warning: an hour of lost data.
const LAG_WARNING_SECONDS: u32 = 3_600;

/// Most warnings kept. In a disaster every server warns, and they travel through the state machine and the record.
const MAX_WARNINGS: usize = 20;

/// The first warnings, and how many more there are.
pub fn cap(mut warnings: Vec<Problem>) -> Vec<Problem> {
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    warnings.truncate(MAX_WARNINGS);
    let mut warnings: Vec<Problem> = warnings.into_iter().map(Problem::spelled_out).collect();
    if more > 0 {
        warnings.push(problem("plan", &format!("and {more} more"), "run a CHECK of a part of the plan"));
    }
    warnings
}

/// What was observed of one target.
#[derive(Debug, Clone, Default)]
pub struct TargetState {
    pub servers: Vec<SourceServer>,
    /// Jobs that are not COMPLETED.
    pub active_jobs: Vec<Job>,
    pub native_executions: Vec<NativeExecution>,
}

/// Problems that refuse the run, and warnings that do not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readiness {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Checks every member against its target.
pub fn check(membership: &Membership, states: &BTreeMap<Target, TargetState>) -> Readiness {
    let mut readiness = Readiness::default();
    for (index, members) in membership.iter().enumerate() {
        let field = format!("plan.waves[{index}]");
        for member in members {
            match states.get(&member.target) {
                Some(state) => check_member(member, state, &field, &mut readiness),
                None => readiness.problems.push(unread(member, &field)),
            }
        }
    }
    for (target, state) in states {
        let running = state.active_jobs.len();
        if running >= MAX_CONCURRENT_JOBS {
            readiness.warnings.push(problem(
                "plan",
                &format!("{running} DRS jobs are in progress in {} of account {}", target.region, target.account_id),
                "the first wave waits until jobs end (quota L-D88FAC3A)",
            ));
        }
    }
    readiness
}

/// The states in which DRS has no point in time to launch; everything unknown counts as one of them (lesson c-19).
fn replication(member: &Member, server: &SourceServer, field: &str, readiness: &mut Readiness) {
    let id = &member.source_server_id;
    match server.replication_state.as_str() {
        "CONTINUOUS" => {}
        state @ ("BACKLOG" | "RESCAN" | "CREATING_SNAPSHOT" | "STALLED" | "PAUSED") => {
            readiness.warnings.push(problem(
                field,
                &format!("{id} replicates with state {state}: its latest point in time may be old"),
                "check replication in the DRS console",
            ))
        }
        state => readiness.problems.push(problem(
            field,
            &format!("{id} cannot be launched: its replication state is {state:?}"),
            "wait until initial sync is done, or reconnect the server",
        )),
    }
    if let Some(lag) = server.lag_seconds.filter(|lag| *lag > LAG_WARNING_SECONDS) {
        readiness.warnings.push(problem(
            field,
            &format!("{id} lags {lag} s behind"),
            "a launch now loses that much data; check the network and the replication server",
        ));
    }
}

fn unread(member: &Member, field: &str) -> Problem {
    problem(
        field,
        &format!("the replication state of {} could not be read", member.source_server_id),
        "check that the server is in DRS and that the workers' role may read it, then start again",
    )
}

fn check_member(member: &Member, state: &TargetState, field: &str, readiness: &mut Readiness) {
    let id = &member.source_server_id;
    match state.servers.iter().find(|server| server.source_server_id == *id) {
        Some(server) => replication(member, server, field, readiness),
        None => readiness.problems.push(unread(member, field)),
    }
    let holder = state
        .active_jobs
        .iter()
        .filter(|job| job.status != JobStatus::Completed)
        .find(|job| job.servers.iter().any(|server| server.source_server_id == *id));
    if let Some(job) = holder {
        readiness.problems.push(problem(
            field,
            &format!("{id} is being processed by DRS job {} ({})", job.job_id, job.initiated_by),
            "wait until that job ends; DRS runs one job a server (quota L-DD6D028C)",
        ));
    }
    if let Some(native) = state.native_executions.iter().find(|native| native.source_server_ids.contains(id)) {
        readiness.problems.push(problem(
            field,
            &format!("{id} belongs to the native recovery plan execution {}", native.execution_arn),
            "wait until it ends, or cancel it in DRS",
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::observed::{JobServer, JobType, Launch};
    use tidegate_contract::{Importance, JobId, SourceServerId};

    fn target() -> Target {
        Target { account_id: "111122223333".to_owned(), region: "us-west-2".to_owned() }
    }

    fn member(id: &SourceServerId) -> Member {
        Member {
            source_server_id: id.clone(),
            target: target(),
            importance: Importance::Critical,
            server_name: String::new(),
            hostname: String::new(),
            recovery_snapshot_id: None,
            post_launch_expected: false,
        }
    }

    fn check_state(replication_state: &str, jobs: Vec<Job>, native: Vec<NativeExecution>) -> Readiness {
        let id = SourceServerId::from("s-00000000000000001");
        let member = member(&id);
        let server = SourceServer {
            source_server_id: id,
            tags: BTreeMap::new(),
            hostname: None,
            replication_state: replication_state.to_owned(),
            lag_seconds: Some(0),
        };
        let state = TargetState { servers: vec![server], active_jobs: jobs, native_executions: native };
        check(&vec![vec![member]], &BTreeMap::from([(target(), state)]))
    }

    /// c-19: a list of what is good, not of what is bad, so that NOT_STARTED or a new value cannot slip through.
    #[test]
    fn only_states_with_a_point_in_time_pass() {
        assert_eq!(check_state("CONTINUOUS", vec![], vec![]), Readiness::default());
        for state in ["BACKLOG", "RESCAN", "CREATING_SNAPSHOT", "STALLED", "PAUSED"] {
            let readiness = check_state(state, vec![], vec![]);
            assert!(readiness.problems.is_empty() && readiness.warnings.len() == 1, "{state}");
        }
        for state in ["INITIATING", "INITIAL_SYNC", "DISCONNECTED", "STOPPED", "NOT_STARTED", "WHATEVER", ""] {
            assert_eq!(check_state(state, vec![], vec![]).problems.len(), 1, "{state}");
        }
    }

    /// c-18: what was not read is a problem, not a pass.
    #[test]
    fn a_server_or_target_nobody_read_is_refused() {
        let member = member(&SourceServerId::from("s-00000000000000001"));
        let membership = vec![vec![member]];
        assert_eq!(check(&membership, &BTreeMap::new()).problems.len(), 1);
        assert_eq!(check(&membership, &BTreeMap::from([(target(), TargetState::default())])).problems.len(), 1);
    }

    /// c-18: TERMINATE and CREATE_CONVERTED_SNAPSHOT jobs hold a server, too.
    #[test]
    fn any_job_type_and_a_native_plan_hold_a_server() {
        let job = |job_type| Job {
            job_id: JobId::from("drsjob-00000000000000001"),
            job_type,
            initiated_by: "DIAGNOSTIC".to_owned(),
            status: JobStatus::Started,
            created_at: None,
            ended_at: None,
            tags: BTreeMap::new(),
            servers: vec![JobServer {
                source_server_id: SourceServerId::from("s-00000000000000001"),
                launch: Launch::Pending,
                recovery_instance_id: None,
                actions: None,
            }],
        };
        for job_type in [JobType::Launch, JobType::Terminate, JobType::CreateConvertedSnapshot] {
            assert_eq!(check_state("CONTINUOUS", vec![job(job_type)], vec![]).problems.len(), 1);
        }
        let native = NativeExecution {
            execution_arn: "arn:x".to_owned(),
            plan_arn: "arn:y".to_owned(),
            source_server_ids: vec![SourceServerId::from("s-00000000000000001")],
        };
        assert!(check_state("CONTINUOUS", vec![], vec![native]).problems[0].message.contains("arn:x"));
    }

    #[test]
    fn warnings_are_capped_and_say_so() {
        let warnings: Vec<Problem> = (0..1_000).map(|n| problem("plan", &n.to_string(), "")).collect();
        let capped = cap(warnings);
        assert_eq!(capped.len(), MAX_WARNINGS + 1);
        assert!(capped[MAX_WARNINGS].message.contains("980 more"));
    }
}
