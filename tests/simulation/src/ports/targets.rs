//! DRS and EC2: the simulator's own model.

use super::{Launch, Ports, State};
use crate::invariants::chain;
use crate::time::after;
use crate::translation::{instance, job, log_item, native_executions, recovery_instance, refused, source_server};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tidegate_aws::PortError;
use tidegate_aws::ports::{Drs, Ec2, StartRequest, Targets};
use tidegate_contract::records::Target;
use tidegate_contract::{JobId, SourceServerId};
use tidegate_core::observed::{Instance, Job, JobLogItem, NativeExecution, RecoveryInstance, SourceServer};
use tidegate_core::time as core_time;
use tidegate_simulator::{Scope, wire};

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
            .call(action, false, |state, now| {
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
        self.ports
            .call(action, false, |state, now| {
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
        self.ports
            .call(action, false, |state, now| {
                let answer = state.drs.describe_recovery_instances(&self.scope, input.clone(), now);
                Ok(answer.map_err(|error| refused(action, error))?.items.into_iter().map(recovery_instance).collect())
            })
            .await
    }

    async fn post_launch_enabled(&self, server: &SourceServerId) -> Result<bool> {
        let action = "drs:GetLaunchConfiguration";
        let input = serde_json::json!({ "sourceServerID": server.as_str() });
        self.ports
            .call(action, false, |state, now| {
                let operation = tidegate_simulator::Operation::GetLaunchConfiguration;
                let answer = state
                    .drs
                    .operation(&self.scope, operation, input.clone(), now)
                    .map_err(|error| refused(action, error))?;
                Ok(answer.and_then(|answer| answer.get("postLaunchEnabled")?.as_bool()).unwrap_or(false))
            })
            .await
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>> {
        let action = "drs:ListRecoveryPlanExecutions";
        self.ports
            .call(action, false, |state, now| {
                native_executions(&mut state.drs, &self.scope, now).map_err(|error| refused(action, error))
            })
            .await
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
        self.ports
            .call_once(action, true, |state, now| {
                if after(now, self.ports.skew) > request.not_after {
                    return Err(PortError::too_late(action));
                }
                note_if_sent_again(state, &self.scope, &self.ports.execution, request, now);
                let answer = state.drs.start_recovery(&self.scope, input.clone(), now).map_err(|error| {
                    note_if_native(state, &self.ports.execution, request, now);
                    refused(action, error)
                })?;
                state.launches.push(Launch {
                    by: self.ports.execution.clone(),
                    servers: request.servers.iter().map(|(id, _)| id.clone()).collect(),
                    job: JobId::from(answer.job_id.as_str()),
                    is_drill: input.is_drill,
                    scope: self.scope.clone(),
                });
                Ok(job(answer))
            })
            .await
    }

    async fn terminate_recovery_instances(&self, recovery_instance_ids: &[String]) -> Result<Job> {
        let action = "drs:TerminateRecoveryInstances";
        let input = wire::TerminateRecoveryInstances { recovery_instance_ids: recovery_instance_ids.to_vec() };
        self.ports
            .call_once(action, true, |state, now| {
                let answer = state
                    .drs
                    .terminate_recovery_instances(&self.scope, input.clone(), now)
                    .map_err(|error| refused(action, error))?;
                let ids = recovery_instance_ids.iter().cloned();
                state.terminations.extend(ids.map(|id| (self.ports.execution.clone(), id)));
                Ok(job(answer))
            })
            .await
    }
}

/// DRS refused, and a native execution holds a server: whoever reads the outcome has to hear of it.
fn note_if_native(state: &mut State, execution: &Arc<str>, request: &StartRequest, now: Timestamp) {
    let asked = |server: &&str| request.servers.iter().any(|(id, _)| id.as_str() == *server);
    let held: Vec<String> = state.native_servers(now).filter(asked).map(str::to_owned).collect();
    state.held_by_native.extend(held.into_iter().map(|server| (execution.clone(), server)));
}

fn note_if_sent_again(state: &mut State, scope: &Scope, execution: &str, request: &StartRequest, now: Timestamp) {
    let chain = chain(&state.tables, execution);
    let ours: Vec<&JobId> = state
        .launches
        .all()
        .iter()
        .filter(|launch| chain.contains(&&*launch.by))
        .filter(|launch| request.servers.iter().any(|(id, _)| launch.servers.contains(id)))
        .map(|launch| &launch.job)
        .collect();
    if ours.is_empty() {
        return;
    }
    let job_ids = ours.iter().map(|id| id.as_str().to_owned()).collect();
    let filters = wire::JobFilters { job_ids: Some(job_ids), ..Default::default() };
    let jobs = state.drs.describe_jobs(scope, wire::DescribeJobs { filters: Some(filters), ..Default::default() }, now);
    let running =
        jobs.ok().and_then(|jobs| jobs.items.into_iter().find(|job| job.status != wire::JobStatus::Completed));
    if let Some(job) = running {
        state.sent_again = Some(job.job_id);
    }
}

impl TargetPorts {
    async fn describe_jobs(&self, filters: wire::JobFilters) -> Result<Vec<Job>> {
        let action = "drs:DescribeJobs";
        let input = wire::DescribeJobs { filters: Some(filters), ..Default::default() };
        self.ports
            .call(action, false, |state, now| {
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
        self.ports
            .call_once("ec2:DescribeInstances", false, |state, _| {
                Ok(ids.iter().filter_map(|id| state.ec2.get(id)).map(instance).collect())
            })
            .await
    }
}
