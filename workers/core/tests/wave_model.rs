//! The wave decider against a reference model: random answers of DRS and EC2 over random servers, and after every poll the
//! wave must be what a plain reading of the requirements says. The model knows no records, graces as constants of their
//! own, and is meant to be read in one go.
#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_contract::plan::{MinLaunched, Wave};
use tidegate_contract::records::{Member, ShardRecord, Target, WaveRecord};
use tidegate_contract::{
    ExecutionId, ExecutionType, Importance, JobId, LaunchStatus, Mode, SourceServerId, WaveStatus,
};
use tidegate_core::observed::{
    ActionRun, ActionRunStatus, Instance, InstanceState, Job, JobLogItem, JobServer, JobStatus, JobType, Launch,
    LaunchAction, LaunchSettings, RecoveryInstance,
};
use tidegate_core::{time, wave_poll, wave_start, wave_verdict};

const TIMEOUT: u32 = 3_600;

/// One poll's answers about the whole wave.
#[derive(Debug, Clone)]
struct Answers {
    seconds: u32,
    /// None: DescribeJobs does not list the job.
    job: Option<JobStatus>,
    log_ended: bool,
    servers: Vec<Answer>,
}

/// And about one server.
#[derive(Debug, Clone)]
struct Answer {
    launch: Launch,
    /// Runs as (optional, status).
    actions: Option<Vec<(bool, ActionRunStatus)>>,
    listed: bool,
    ec2: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Case {
    recovery: bool,
    min: Option<u32>,
    /// (critical, actions expected)
    servers: Vec<(bool, bool)>,
    polls: Vec<Answers>,
}

// ------------------------------------------------------------------------------------------------ the reference model

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Ready,
    Failed,
    Active,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Launching {
    Open,
    Launched,
    Failed,
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Actions {
    None,
    Expected,
    Running,
    Done,
    Failed,
}

#[derive(Debug, Clone)]
struct ModelServer {
    critical: bool,
    launching: Launching,
    first_launched: Option<u32>,
    actions: Actions,
    listed: bool,
    ec2: Option<&'static str>,
    reason_known: bool,
}

struct Model {
    recovery: bool,
    min: u32,
    now: u32,
    completed_at: Option<u32>,
    missing_since: Option<u32>,
    completed: bool,
    log_read: bool,
    servers: Vec<ModelServer>,
}

impl Model {
    fn new(case: &Case) -> Self {
        let server = |(critical, expected): &(bool, bool)| ModelServer {
            critical: *critical,
            launching: Launching::Open,
            first_launched: None,
            actions: if *expected { Actions::Expected } else { Actions::None },
            listed: false,
            ec2: None,
            reason_known: false,
        };
        Self {
            recovery: case.recovery,
            min: case.min.unwrap_or(1),
            now: 0,
            completed_at: None,
            missing_since: None,
            completed: false,
            log_read: false,
            servers: case.servers.iter().map(server).collect(),
        }
    }

    /// What a poll's answers mean.
    fn poll(&mut self, answers: &Answers) {
        self.now += answers.seconds;
        let now = self.now;
        match &answers.job {
            None => _ = self.missing_since.get_or_insert(now),
            Some(status) => {
                self.missing_since = None;
                self.completed = *status == JobStatus::Completed;
                if self.completed {
                    self.completed_at.get_or_insert(now);
                }
            }
        }
        let since = |start: Option<u32>| start.map_or(0, |start| now - start);
        let (completed_for, missing_for, overdue) =
            (since(self.completed_at), since(self.missing_since), now >= TIMEOUT);
        for (server, answer) in self.servers.iter_mut().zip(&answers.servers) {
            if answers.job.is_some() {
                server.hear(answer, now);
            }
            server.look(answer);
        }
        self.log_read |= answers.log_ended && self.completed;
        for server in &mut self.servers {
            if self.log_read && server.launching == Launching::Failed {
                server.reason_known = true;
            }
            if server.launching == Launching::Open && (completed_for >= 120 || missing_for >= 600 || overdue) {
                (server.launching, server.reason_known) = (Launching::Failed, true);
            }
            if self.recovery && server.launching == Launching::Launched {
                let ended = self.completed_at.is_some();
                match server.actions {
                    Actions::Expected if completed_for >= 900 || (overdue && ended) => server.actions = Actions::None,
                    Actions::Expected | Actions::Running if overdue => {
                        (server.actions, server.reason_known) = (Actions::Failed, true);
                    }
                    _ => {}
                }
            }
        }
    }

    fn fates(&self) -> Vec<Fate> {
        self.servers.iter().map(|server| server.fate(self.recovery)).collect()
    }

    /// None while the wave is not settled.
    fn outcome(&self) -> Option<WaveStatus> {
        let fates = self.fates();
        let undescribed = self.servers.iter().any(|server| {
            let waited = server.first_launched.map_or(0, |at| self.now - at);
            server.launching == Launching::Launched && !(server.listed && server.ec2.is_some()) && waited < 180
        });
        let unexplained = self.completed
            && !self.log_read
            && self.completed_at.is_some_and(|at| self.now - at < 180)
            && self.servers.iter().any(|server| server.launching == Launching::Failed && !server.reason_known);
        if fates.contains(&Fate::Active) || ((undescribed || unexplained) && self.now < TIMEOUT) {
            return None;
        }
        let ready = fates.iter().filter(|fate| **fate == Fate::Ready).count() as u32;
        let critical_lost =
            self.servers.iter().zip(&fates).any(|(server, fate)| server.critical && *fate != Fate::Ready);
        Some(if ready as usize == self.servers.len() {
            WaveStatus::Completed
        } else if ready >= self.min && !critical_lost {
            WaveStatus::Partial
        } else {
            WaveStatus::Failed
        })
    }
}

impl ModelServer {
    /// The job speaks. What has ended does not open again.
    fn hear(&mut self, answer: &Answer, now: u32) {
        match (&answer.launch, self.launching) {
            (Launch::Launched, Launching::Launched)
            | (Launch::Pending | Launch::InProgress | Launch::Unrecognised(_), _) => {}
            (Launch::Launched, _) => {
                (self.launching, self.reason_known) = (Launching::Launched, false);
                self.first_launched.get_or_insert(now);
            }
            (Launch::Failed, _) => self.launching = Launching::Failed,
            (Launch::Terminated, _) => (self.launching, self.reason_known) = (Launching::Terminated, true),
        }
        let runs = answer.actions.as_deref().unwrap_or_default();
        if runs.iter().any(|(optional, status)| !optional && *status == ActionRunStatus::Failed) {
            (self.actions, self.reason_known) = (Actions::Failed, true);
        } else if runs.iter().any(|(_, status)| !matches!(status, ActionRunStatus::Succeeded | ActionRunStatus::Failed))
        {
            self.actions = Actions::Running;
        } else if !runs.is_empty() {
            self.actions = Actions::Done;
        }
    }

    fn look(&mut self, answer: &Answer) {
        self.listed |= answer.listed;
        if self.listed && answer.ec2.is_some() {
            self.ec2 = answer.ec2;
            self.reason_known |= answer.ec2 == Some("terminated") && self.launching == Launching::Launched;
        }
    }

    fn fate(&self, recovery: bool) -> Fate {
        match (self.launching, self.actions) {
            (Launching::Open, _) => Fate::Active,
            (Launching::Failed | Launching::Terminated, _) => Fate::Failed,
            (Launching::Launched, _) if self.ec2 == Some("terminated") => Fate::Failed,
            (Launching::Launched, Actions::Failed) if recovery => Fate::Failed,
            (Launching::Launched, Actions::Expected | Actions::Running) if recovery => Fate::Active,
            (Launching::Launched, _) => Fate::Ready,
        }
    }
}

// ------------------------------------------------------------------------------------------------- the code under test

struct Subject {
    execution_type: ExecutionType,
    wave: WaveRecord,
    shards: Vec<ShardRecord>,
    seconds: u32,
}

fn at(second: u32) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::from(second)).unwrap()
}

fn id(index: usize) -> SourceServerId {
    SourceServerId(format!("s-{index:017x}"))
}

fn instance_id(index: usize) -> String {
    format!("i-{index:017x}")
}

impl Subject {
    /// A wave whose servers lie in two Regions, so that two jobs make its fate.
    fn new(case: &Case) -> Self {
        let execution_type = if case.recovery { ExecutionType::Recovery } else { ExecutionType::Drill };
        let members: Vec<Member> = case
            .servers
            .iter()
            .enumerate()
            .map(|(index, (critical, _))| Member {
                source_server_id: id(index),
                target: Target {
                    account_id: "111122223333".to_owned(),
                    region: ["us-west-2", "eu-west-1"][index % 2].to_owned(),
                },
                importance: if *critical { Importance::Critical } else { Importance::Optional },
                server_name: String::new(),
                hostname: String::new(),
                recovery_snapshot_id: None,
                post_launch_expected: false,
            })
            .collect();
        let mut plan_wave: Wave = serde_json::from_value(
            serde_json::json!({"waveNumber": 1, "waveName": "db", "groups": [], "timeoutSeconds": TIMEOUT}),
        )
        .unwrap();
        plan_wave.min_launched = case.min.map(MinLaunched::Count);
        let (wave, mut shards) =
            wave_start::open_wave(&ExecutionId::from("run-1"), execution_type, Mode::Run, &plan_wave, &members, at(0));
        for shard in &mut shards {
            let job = wave_start::shard_job(&job_of(shard, JobStatus::Pending, &[]), false);
            wave_start::started(shard, job);
            for (index, (_, expected)) in case.servers.iter().enumerate() {
                let settings = LaunchSettings { post_launch_enabled: true, leaves_stopped: false };
                let action = LaunchAction { active: *expected, optional: false };
                wave_poll::apply_settings(shard, &id(index), settings, &[action]);
            }
        }
        Self { execution_type, wave, shards, seconds: 0 }
    }

    /// One poll, every question answered.
    fn poll(&mut self, answers: &Answers) {
        self.seconds += answers.seconds;
        let now = at(self.seconds);
        for shard in &mut self.shards {
            wave_poll::count_poll(shard, now);
            let job = answers.job.as_ref().map(|status| job_of(shard, status.clone(), &answers.servers));
            wave_poll::apply_job(shard, job.as_ref(), now);
            if answers.log_ended {
                wave_poll::apply_log(
                    shard,
                    &[JobLogItem { event: "JOB_END".to_owned(), source_server_id: None, raw_error: None }],
                );
            }
            wave_poll::apply_recovery_instances(shard, &listed(shard, answers));
            wave_poll::apply_instances(shard, &described(answers));
            wave_poll::apply_graces(shard, self.execution_type, now);
            if wave_verdict::is_overdue(&self.wave, now) {
                wave_poll::apply_timeout(shard, self.execution_type, self.wave.timeout_seconds, now);
            }
        }
        wave_verdict::judge(&mut self.wave, &self.shards, self.execution_type, now);
    }
}

fn job_of(shard: &ShardRecord, status: JobStatus, answers: &[Answer]) -> Job {
    let run = |(optional, status): &(bool, ActionRunStatus)| ActionRun {
        name: "check".to_owned(),
        optional: *optional,
        status: status.clone(),
        failure_reason: None,
    };
    Job {
        job_id: JobId(format!("drsjob-{:017x}", shard.shard_number)),
        job_type: JobType::Launch,
        initiated_by: String::new(),
        status,
        created_at: None,
        ended_at: None,
        servers: answers
            .iter()
            .enumerate()
            .map(|(index, answer)| JobServer {
                source_server_id: id(index),
                launch: answer.launch.clone(),
                recovery_instance_id: None,
                actions: answer.actions.as_ref().map(|runs| runs.iter().map(run).collect()),
            })
            .collect(),
        tags: BTreeMap::new(),
    }
}

/// Besides ours, always an instance of another run, first: it must never be taken (lesson c-26).
fn listed(shard: &ShardRecord, answers: &Answers) -> Vec<RecoveryInstance> {
    let instance = |index: usize, name: String, job: &str| RecoveryInstance {
        recovery_instance_id: name.clone(),
        ec2_instance_id: Some(name),
        job_id: Some(JobId::from(job)),
        source_server_id: id(index),
        is_drill: shard.server_statuses[0].is_drill,
        point_in_time: None,
        state: InstanceState::Running,
    };
    let ours = shard.job.as_ref().unwrap().job_id.as_str();
    let mut all = Vec::new();
    for (index, answer) in answers.servers.iter().enumerate() {
        all.push(instance(index, instance_id(index + 100), "drsjob-0000000000000000f"));
        if answer.listed {
            all.push(instance(index, instance_id(index), ours));
        }
    }
    all
}

fn described(answers: &Answers) -> Vec<Instance> {
    answers
        .servers
        .iter()
        .enumerate()
        .filter_map(|(index, answer)| {
            Some(Instance {
                instance_id: instance_id(index),
                instance_type: "m5.large".to_owned(),
                private_ip: Some("10.0.0.4".to_owned()),
                launch_time: Some(at(0)),
                state: answer.ec2?.to_owned(),
            })
        })
        .collect()
}

// ---------------------------------------------------------------------------------------------------------- the cases

fn launch() -> impl Strategy<Value = Launch> {
    prop_oneof![
        4 => Just(Launch::Pending), 2 => Just(Launch::InProgress), 8 => Just(Launch::Launched), 2 => Just(Launch::Failed),
        1 => Just(Launch::Terminated), 1 => Just(Launch::Unrecognised("LAUNCHED_MAYBE".to_owned())),
    ]
}

fn action_run() -> impl Strategy<Value = (bool, ActionRunStatus)> {
    let status = prop_oneof![
        2 => Just(ActionRunStatus::InProgress), 5 => Just(ActionRunStatus::Succeeded), 1 => Just(ActionRunStatus::Failed),
        1 => Just(ActionRunStatus::Unrecognised("NEW".to_owned())),
    ];
    (any::<bool>(), status)
}

fn answer() -> impl Strategy<Value = Answer> {
    let actions = proptest::option::of(proptest::collection::vec(action_run(), 0..3));
    let ec2 = prop_oneof![3 => Just(None), 4 => Just(Some("running")), 2 => Just(Some("stopped")), 1 => Just(Some("terminated"))];
    (launch(), actions, any::<bool>(), ec2).prop_map(|(launch, actions, listed, ec2)| Answer {
        launch,
        actions,
        listed,
        ec2,
    })
}

fn answers(servers: usize) -> impl Strategy<Value = Answers> {
    let job = prop_oneof![
        1 => Just(None), 2 => Just(Some(JobStatus::Pending)), 5 => Just(Some(JobStatus::Started)), 4 => Just(Some(JobStatus::Completed)),
        1 => Just(Some(JobStatus::Unrecognised("NEW".to_owned()))),
    ];
    // Mostly the pace of a poll; now and then a worker was away for long.
    let seconds = prop_oneof![8 => 1u32..60, 2 => 60u32..400, 1 => 400u32..2_000];
    (seconds, job, any::<bool>(), proptest::collection::vec(answer(), servers))
        .prop_map(|(seconds, job, log_ended, servers)| Answers { seconds, job, log_ended, servers })
}

fn case() -> impl Strategy<Value = Case> {
    (1usize..6).prop_flat_map(|servers| {
        (
            any::<bool>(),
            proptest::option::of(1..=servers as u32),
            proptest::collection::vec((any::<bool>(), any::<bool>()), servers),
            proptest::collection::vec(answers(servers), 1..16),
        )
            .prop_map(|(recovery, min, servers, polls)| Case { recovery, min, servers, polls })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn the_decider_agrees_with_the_model(case in case()) {
        let (mut model, mut subject) = (Model::new(&case), Subject::new(&case));
        let mut settled: Option<WaveRecord> = None;
        for answers in &case.polls {
            subject.poll(answers);
            if let Some(settled) = &settled {
                prop_assert_eq!(&subject.wave, settled, "a settled wave never changes");
                continue;
            }
            model.poll(answers);
            let (wave, fates) = (&subject.wave, model.fates());
            let of = |fate: Fate| fates.iter().filter(|other| **other == fate).count() as u32;
            let counts = wave.counts;
            prop_assert_eq!((counts.ready, counts.failed, counts.active), (of(Fate::Ready), of(Fate::Failed), of(Fate::Active)));
            prop_assert_eq!(counts.total, counts.ready + counts.failed + counts.active + counts.skipped);
            prop_assert_eq!(counts.total as usize, case.servers.len());
            prop_assert_eq!(wave.status.is_settled().then_some(wave.status), model.outcome());
            if wave.status.is_settled() {
                check_settled(&subject)?;
                settled = Some(subject.wave.clone());
            } else {
                prop_assert!(subject.seconds < TIMEOUT, "open past its deadline");
            }
            check_history(&subject.shards)?;
        }
    }
}

/// Said once more without the model: what a settled wave promises.
fn check_settled(subject: &Subject) -> Result<(), TestCaseError> {
    let (wave, now) = (&subject.wave, at(subject.seconds));
    prop_assert_eq!(wave.counts.active, 0);
    prop_assert_eq!(wave.end_time.clone(), Some(time::format(now)));
    prop_assert_eq!(wave.error.is_empty(), wave.status == WaveStatus::Completed);
    if wave.status == WaveStatus::Completed {
        for server in subject.shards.iter().flat_map(|shard| &shard.server_statuses) {
            prop_assert_eq!(server.launch_status, LaunchStatus::Launched);
            let waited = time::seconds_since(server.launched_time.as_deref().unwrap(), now);
            prop_assert!(server.is_enriched() || waited >= 180 || subject.seconds >= TIMEOUT);
        }
    }
    Ok(())
}

/// One entry a change, and nothing opens again (S002 2.2).
fn check_history(shards: &[ShardRecord]) -> Result<(), TestCaseError> {
    for server in shards.iter().flat_map(|shard| &shard.server_statuses) {
        let history: Vec<LaunchStatus> = server.transition_history.iter().map(|entry| entry.status).collect();
        prop_assert_eq!(history.last(), Some(&server.launch_status));
        for pair in history.windows(2) {
            let open = |status| matches!(status, LaunchStatus::Pending | LaunchStatus::InProgress);
            prop_assert!(pair[0] != pair[1] && (open(pair[0]) || !open(pair[1])), "{:?}", history);
        }
        prop_assert!(
            server.instance_id.as_deref().is_none_or(|id| id.starts_with("i-000000000000000") && !id.ends_with("64")),
            "another run's instance"
        );
    }
    Ok(())
}
