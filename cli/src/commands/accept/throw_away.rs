//! The throw-away server: looked at, drilled, recovered, drilled again, terminated. Straight at DRS, because Tidegate refuses
//! a drill over a recovery instance, and that is what is to be learnt.

use super::{Bench, Writing};
use crate::accept::launches::{Gone, Launch, Standing, Step, judge, judge_end, judge_gone};
use crate::error::CliError;
use crate::looking::pause;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_aws::ports::{Drs, Ec2, LockStore, StartRequest, Targets};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::records::Target;
use tidegate_contract::{JobId, SourceServerId};
use tidegate_core::membership::server_key;
use tidegate_core::observed::{Job, JobServer, JobStatus, Launch as LaunchStatus};
use tidegate_core::time::{after, seconds_between};

/// Conversions of large Windows servers take an hour; a job that takes three hangs.
const JOB_SECONDS: u32 = 10_800;

/// An instance is listed some seconds after its launch, and leaves the list some time after its termination.
const SETTLE_SECONDS: u32 = 600;

/// A call that this process could not send for so long is not sent any more.
const SEND_SECONDS: u32 = 60;

pub(super) struct ThrowAway {
    server: SourceServerId,
    hostname: String,
    drs: Arc<dyn Drs>,
    ec2: Arc<dyn Ec2>,
}

impl ThrowAway {
    /// Refuses a server that somebody may need: unknown, locked, or with an instance that runs.
    pub(super) async fn look(bench: &Bench<'_>, targets: &dyn Targets, server: &str) -> Result<Self, CliError> {
        let refuse = |reason: String| CliError::NotThrownAway { server: server.to_owned(), reason };
        let deployment = &bench.deployment;
        let target = Target { account_id: deployment.account_id.clone(), region: deployment.region.clone() };
        let id = SourceServerId::from(server);
        let doing = || CliError::port(format!("cannot look at {server}"));
        let drs = targets.drs(&target).await.map_err(doing())?;
        let ec2 = targets.ec2(&target).await.map_err(doing())?;
        let known = drs.source_servers().await.map_err(doing())?;
        let Some(found) = known.into_iter().find(|one| one.source_server_id == id) else {
            return Err(refuse(format!("DRS has no such source server in {}, {}", target.account_id, target.region)));
        };
        if let Some(lock) = bench.session.store.find_lock(&server_key(&target, &id)).await.map_err(doing())? {
            return Err(refuse(format!("execution {} holds it", lock.execution_id)));
        }
        let running = drs.recovery_instances(std::slice::from_ref(&id)).await.map_err(doing())?;
        if let Some(instance) = running.first() {
            let kind = if instance.is_drill { "drill" } else { "recovery" };
            let named = &instance.recovery_instance_id;
            return Err(refuse(format!("it has the {kind} instance {named}, which the first launch may delete")));
        }
        // One that was disconnected from DRS, or deleted there, serves somebody all the same, and goes all the same.
        let tagged = ec2.instances_of_servers(std::slice::from_ref(&id)).await.map_err(doing())?;
        if let Some(instance) = tagged.first() {
            let named = &instance.instance_id;
            return Err(refuse(format!(
                "EC2 runs {named} of it, which DRS does not list and the first launch may delete"
            )));
        }
        Ok(Self { server: id, hostname: found.hostname.unwrap_or_default(), drs, ec2 })
    }

    pub(super) fn id(&self) -> &str {
        self.server.as_str()
    }

    pub(super) fn intention(&self) -> String {
        format!(
            "Then, straight at DRS, it LAUNCHES {} ({}) three times: a drill, a RECOVERY, a drill; and TERMINATES every instance\n\
             that comes of it. They cost money, and are on your network under the server's launch settings.",
            self.server, self.hostname
        )
    }

    pub(super) async fn run(&self, bench: &Bench<'_>, writing: &mut Writing<'_>) -> Result<(), CliError> {
        let mut launched: BTreeSet<String> = BTreeSet::new();
        let mut former: Option<String> = None;
        let mut trouble: Option<String> = None;
        for step in Step::ALL {
            let seen = match &trouble {
                None => self.launch(bench, step, former.as_deref()).await,
                Some(error) => Err(error.clone()),
            };
            if let Err(error) = &seen {
                trouble.get_or_insert_with(|| format!("not tried after: {error}"));
            }
            writing.add(judge(step, seen.as_ref().map_err(Clone::clone)))?;
            former = seen.ok().and_then(|seen| seen.instance);
            launched.extend(former.clone());
        }
        let left = self.terminate(bench, launched).await;
        let gone = match &left {
            Ok(left) => left.iter().find(|one| one.is_gone() && !one.is_listed).map(|one| one.instance_id.clone()),
            Err(_) => None,
        };
        writing.add(vec![judge_end(left)])?;
        let again = match gone {
            Some(instance) => self.terminate_again(bench, instance).await,
            None => Err("no instance is known to be gone".to_owned()),
        };
        writing.add(vec![judge_gone(again)])
    }

    /// What a cleanup meets when somebody else was faster.
    async fn terminate_again(&self, bench: &Bench<'_>, instance: String) -> Result<Gone, String> {
        let not_after = after(bench.session.now(), SEND_SECONDS);
        match self.drs.terminate_recovery_instances(&[instance], not_after).await {
            Ok(job) => Ok(Gone::Job(job.job_id.to_string())),
            Err(error) if error.sent == Sent::Rejected && error.class != ErrorClass::Throttled => {
                Ok(Gone::Refused { code: error.code.clone(), told: error.to_string() })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn launch(&self, bench: &Bench<'_>, step: Step, former: Option<&str>) -> Result<Launch, String> {
        let began = bench.session.now();
        let request = StartRequest {
            servers: vec![(self.server.clone(), None)],
            is_drill: step.is_drill(),
            not_after: after(began, SEND_SECONDS),
            tags: BTreeMap::new(),
        };
        let started = self.drs.start_recovery(&request).await.map_err(|error| match error.sent {
            Sent::Unknown => format!("{error}: it may have started all the same, look at the jobs of {}", self.server),
            Sent::NotSent | Sent::Rejected => error.to_string(),
        })?;
        let mut launch = Launch {
            step,
            job_id: started.job_id.to_string(),
            listed_after_seconds: None,
            statuses: Vec::new(),
            job_status: started.status.as_str().to_owned(),
            log: Vec::new(),
            instance_in_job: None,
            instance: None,
            seconds: 0,
            former: None,
        };
        note(&mut launch, &started, &self.server);
        loop {
            launch.seconds = seconds_between(began, bench.session.now());
            if let Some(job) = self.find(&started.job_id).await? {
                launch.listed_after_seconds.get_or_insert(launch.seconds);
                note(&mut launch, &job, &self.server);
                if job.status == JobStatus::Completed {
                    break;
                }
            }
            if launch.seconds >= JOB_SECONDS {
                return Err(format!("job {} is {} after {JOB_SECONDS} s", launch.job_id, launch.job_status));
            }
            tokio::time::sleep(pause(launch.seconds)).await;
        }
        launch.instance = self.instance_of(bench, &started.job_id).await?;
        launch.log =
            self.drs.job_log(&started.job_id).await.map_err(told)?.into_iter().map(|item| item.event).collect();
        if let Some(former) = former {
            launch.former = self.standing(&BTreeSet::from([former.to_owned()])).await?.pop();
        }
        Ok(launch)
    }

    async fn find(&self, job_id: &JobId) -> Result<Option<Job>, String> {
        let jobs = self.drs.jobs(std::slice::from_ref(job_id)).await.map_err(told)?;
        Ok(jobs.into_iter().find(|job| job.job_id == *job_id))
    }

    /// The instance a job has made, which may be listed late.
    async fn instance_of(&self, bench: &Bench<'_>, job_id: &JobId) -> Result<Option<String>, String> {
        let began = bench.session.now();
        loop {
            let listed = self.drs.recovery_instances(std::slice::from_ref(&self.server)).await.map_err(told)?;
            if let Some(found) = listed.into_iter().find(|one| one.job_id.as_ref() == Some(job_id)) {
                return Ok(Some(found.recovery_instance_id));
            }
            let waited = seconds_between(began, bench.session.now());
            if waited >= SETTLE_SECONDS / 10 {
                return Ok(None);
            }
            tokio::time::sleep(pause(waited)).await;
        }
    }

    async fn standing(&self, ids: &BTreeSet<String>) -> Result<Vec<Standing>, String> {
        let listed = self.drs.recovery_instances(std::slice::from_ref(&self.server)).await.map_err(told)?;
        let listed: BTreeSet<String> = listed.into_iter().map(|one| one.recovery_instance_id).collect();
        // A recovery instance's id is that of its EC2 instance.
        let wanted: Vec<String> = ids.iter().cloned().collect();
        let known = self.ec2.instances(&wanted).await.map_err(told)?;
        let state = |id: &String| known.iter().find(|one| one.instance_id == *id).map(|one| one.state.clone());
        let standing =
            |id: &String| Standing { instance_id: id.clone(), is_listed: listed.contains(id), state: state(id) };
        Ok(ids.iter().map(standing).collect())
    }

    /// Terminates what DRS lists of this server: there was nothing before, so it is all ours. Also after a launch that failed
    /// or was not seen to its end.
    async fn terminate(&self, bench: &Bench<'_>, mut launched: BTreeSet<String>) -> Result<Vec<Standing>, String> {
        let listed = self.drs.recovery_instances(std::slice::from_ref(&self.server)).await.map_err(told)?;
        let listed: Vec<String> = listed.into_iter().map(|one| one.recovery_instance_id).collect();
        launched.extend(listed.iter().cloned());
        if !listed.is_empty() {
            let sent = self.drs.terminate_recovery_instances(&listed, after(bench.session.now(), SEND_SECONDS)).await;
            let by_hand = || format!("terminate {} in DRS yourself", listed.join(", "));
            sent.map_err(|error| format!("{error}: {}", by_hand()))?;
        }
        let began = bench.session.now();
        loop {
            let left = self.standing(&launched).await?;
            let waited = seconds_between(began, bench.session.now());
            let is_over = left.iter().all(|one| !one.is_listed && one.state.as_deref() != Some("shutting-down"));
            if is_over || waited >= SETTLE_SECONDS {
                return Ok(left);
            }
            tokio::time::sleep(pause(waited)).await;
        }
    }
}

/// What a look at a job adds.
fn note(launch: &mut Launch, job: &Job, server: &SourceServerId) {
    job.status.as_str().clone_into(&mut launch.job_status);
    let Some(seen) = job.servers.iter().find(|one| one.source_server_id == *server) else { return };
    let status = word(seen);
    if launch.statuses.last().is_none_or(|last| last != status) {
        launch.statuses.push(status.to_owned());
    }
    launch.instance_in_job.clone_from(&seen.recovery_instance_id);
}

/// DRS's word.
fn word(server: &JobServer) -> &str {
    match &server.launch {
        LaunchStatus::Pending => "PENDING",
        LaunchStatus::InProgress => "IN_PROGRESS",
        LaunchStatus::Launched => "LAUNCHED",
        LaunchStatus::Failed => "FAILED",
        LaunchStatus::Terminated => "TERMINATED",
        LaunchStatus::Unrecognised(word) => word,
    }
}

fn told(error: PortError) -> String {
    error.to_string()
}
