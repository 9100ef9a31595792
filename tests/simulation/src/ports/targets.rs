//! DRS and EC2: the simulator's own model.

use super::{Asked, Looks, Ports, Sending, State};
use crate::narration;
use crate::time::lock;
use crate::translation::{
    job, log_item, native_executions, recovery_instance, refused, source_server, tagged_instance,
};
use crate::world::NATIVE_EXECUTION;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use tidegate_aws::ports::{Drs, Ec2, StartRequest, Targets};
use tidegate_contract::records::Target;
use tidegate_contract::{ActivityName, JobId, SourceServerId};
use tidegate_core::observed::{
    Instance, Job, JobLogItem, LaunchAction, LaunchSettings, NativeExecution, RecoveryInstance, SourceServer,
    TaggedInstance,
};
use tidegate_core::time as core_time;
use tidegate_simulator::{Operation, Scope, wire, wire::Ec2InstanceState as Gone};

type Result<T> = super::Result<T>;

#[async_trait]
impl Targets for Ports {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>> {
        Ok(Arc::new(TargetPorts { ports: self.clone(), scope: Scope::new(&target.account_id, &target.region) }))
    }

    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>> {
        Ok(Arc::new(TargetPorts { ports: self.clone(), scope: Scope::new(&target.account_id, &target.region) }))
    }
}

struct TargetPorts {
    ports: Ports,
    scope: Scope,
}

#[async_trait]
impl Drs for TargetPorts {
    async fn source_servers(&self) -> Result<Vec<SourceServer>> {
        let action = "drs:DescribeSourceServers";
        self.ports
            .call(action, None, false, |state, now| {
                let answer =
                    state.drs.describe_source_servers(&self.scope, wire::DescribeSourceServers::default(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(source_server).collect())
            })
            .await
    }

    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let job_ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
        self.describe_jobs(wire::JobFilters { job_ids: Some(job_ids), ..Default::default() }).await
    }

    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>> {
        self.describe_jobs(wire::JobFilters { from_date: Some(core_time::format(since)), ..Default::default() }).await
    }

    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>> {
        let action = "drs:DescribeJobLogItems";
        let input = wire::DescribeJobLogItems { job_id: job.as_str().to_owned(), ..Default::default() };
        let about = narration::is_on().then(|| job.to_string());
        self.ports
            .call(action, about, false, |state, now| {
                let answer = state.drs.describe_job_log_items(&self.scope, input.clone(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(log_item).collect())
            })
            .await
    }

    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>> {
        let action = "drs:DescribeRecoveryInstances";
        let ids = servers.iter().map(|id| id.as_str().to_owned()).collect();
        let filters = wire::RecoveryInstanceFilters { source_server_ids: Some(ids), ..Default::default() };
        let input = wire::DescribeRecoveryInstances { filters: Some(filters), ..Default::default() };
        let about = narration::is_on().then(|| narration::instances_of(servers));
        self.ports
            .call(action, about, false, |state, now| {
                let answer = state.drs.describe_recovery_instances(&self.scope, input.clone(), now);
                let items = answer.map_err(|error| refused(action, error))?.items;
                if self.launches() {
                    let alive = |state| !matches!(state, Gone::ShuttingDown | Gone::Terminated | Gone::NotFound);
                    for server in servers {
                        let shown = items
                            .iter()
                            .filter(|one| one.source_server_id == server.as_str() && alive(one.ec2_instance_state));
                        let shown = shown.map(|one| one.ec2_instance_id.clone()).collect();
                        self.looks(state, server).listed = Some((now, shown));
                    }
                }
                Ok(items.into_iter().map(recovery_instance).collect())
            })
            .await
    }

    async fn launch_settings(&self, server: &SourceServerId) -> Result<LaunchSettings> {
        let action = "drs:GetLaunchConfiguration";
        let input = serde_json::json!({ "sourceServerID": server.as_str() });
        let about = narration::is_on().then(|| server.to_string());
        self.ports
            .call(action, about, false, |state, now| {
                let answer = state.drs.operation(&self.scope, Operation::GetLaunchConfiguration, input.clone(), now);
                let answer = answer.map_err(|error| refused(action, error))?.unwrap_or_default();
                Ok(LaunchSettings {
                    post_launch_enabled: answer["postLaunchEnabled"] == true,
                    leaves_stopped: answer["launchDisposition"] == "STOPPED",
                })
            })
            .await
    }

    async fn launch_actions(&self, server: &SourceServerId) -> Result<Vec<LaunchAction>> {
        let action = "drs:ListLaunchActions";
        let input = serde_json::json!({ "resourceId": server.as_str() });
        let about = narration::is_on().then(|| server.to_string());
        self.ports
            .call(action, about, false, |state, now| {
                let answer = state.drs.operation(&self.scope, Operation::ListLaunchActions, input.clone(), now);
                let answer = answer.map_err(|error| refused(action, error))?.unwrap_or_default();
                let items = answer["items"].as_array().into_iter().flatten();
                let flags = |item: &Value| (item["active"] == true, item["optional"] == true);
                Ok(items.map(flags).map(|(active, optional)| LaunchAction { active, optional }).collect())
            })
            .await
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>> {
        let action = "drs:ListRecoveryPlanExecutions";
        let answer = self
            .ports
            .call(action, None, false, |state, now| {
                native_executions(&mut state.drs, &self.scope, now).map_err(|error| refused(action, error))
            })
            .await;
        // Whom DRS does not tell of, because it did not answer or the execution has ended meanwhile, nobody can name.
        let told = |server: &String| {
            answer.iter().flatten().any(|one| one.source_server_ids.iter().any(|id| id.as_str() == server))
        };
        lock(&self.ports.world.state).refusals.retain(|(by, server), refusal| {
            *by != self.ports.execution || refusal.holder != NATIVE_EXECUTION || told(server)
        });
        answer
    }

    async fn start_recovery(&self, request: &StartRequest) -> Result<Job> {
        let action = "drs:StartRecovery";
        let source_servers = request
            .servers
            .iter()
            .map(|(id, snapshot)| wire::StartRecoverySourceServer {
                source_server_id: id.as_str().to_owned(),
                recovery_snapshot_id: snapshot.clone(),
            })
            .collect();
        let tags = request.tags.clone();
        let input = wire::StartRecovery { source_servers, is_drill: request.is_drill, tags };
        self.ports.send(action, self.sending(Asked::Start { input }, request.not_after)).await.map(job)
    }

    async fn terminate_recovery_instances(
        &self,
        recovery_instance_ids: &[String],
        not_after: Timestamp,
    ) -> Result<Job> {
        let asked = Asked::Terminate { recovery_instance_ids: recovery_instance_ids.to_vec() };
        self.ports.send("drs:TerminateRecoveryInstances", self.sending(asked, not_after)).await.map(job)
    }
}

impl TargetPorts {
    /// Whether what is seen here may lead to a launch.
    fn launches(&self) -> bool {
        self.ports.activity == ActivityName::StartWave
    }

    fn looks<'s>(&self, state: &'s mut State, server: &SourceServerId) -> &'s mut Looks {
        state.looks.entry((self.ports.execution.clone(), server.as_str().to_owned())).or_default()
    }

    fn sending(&self, what: Asked, not_after: Timestamp) -> Sending {
        let (by, scope) = (self.ports.execution.clone(), self.scope.clone());
        Sending { by, scope, what, not_after, skew: self.ports.skew }
    }

    async fn describe_jobs(&self, filters: wire::JobFilters) -> Result<Vec<Job>> {
        let action = "drs:DescribeJobs";
        let about = narration::is_on().then(|| narration::jobs_named(&filters.job_ids, filters.from_date.as_deref()));
        let input = wire::DescribeJobs { filters: Some(filters), ..Default::default() };
        self.ports
            .call(action, about, false, |state, now| {
                let answer =
                    state.drs.describe_jobs(&self.scope, input.clone(), now).map_err(|error| refused(action, error))?;
                Ok(answer.items.into_iter().map(job).collect())
            })
            .await
    }
}

#[async_trait]
impl Ec2 for TargetPorts {
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>> {
        let about = narration::is_on().then(|| narration::instances_of(ids));
        self.ports
            .call_once("ec2:DescribeInstances", about.as_deref(), false, |state, now| {
                let known = ids.iter().filter_map(|id| state.ec2.get(id));
                Ok(known.filter_map(|instance| state.ec2_lag.seen(instance, now)).collect())
            })
            .await
    }

    async fn instances_of_servers(&self, servers: &[SourceServerId]) -> Result<Vec<TaggedInstance>> {
        let about = narration::is_on().then(|| narration::instances_of(servers));
        self.ports
            .call_once("ec2:DescribeInstances", about.as_deref(), false, |state, now| {
                let ours = |id: &str| servers.iter().any(|server| server.as_str() == id);
                let living = state.ec2.all().filter(|instance| {
                    let launch = &instance.launch;
                    launch.scope == self.scope && ours(&launch.source_server_id) && instance.state != "terminated"
                });
                let seen = living.filter(|instance| state.ec2_lag.seen(instance, now).is_some());
                let seen: Vec<TaggedInstance> = seen.map(tagged_instance).collect();
                if self.launches() {
                    for server in servers {
                        let shown = seen.iter().filter(|one| one.source_server_id == *server);
                        let shown = shown.map(|one| one.instance_id.clone()).collect();
                        self.looks(state, server).tagged = Some((now, shown));
                    }
                }
                Ok(seen)
            })
            .await
    }
}
