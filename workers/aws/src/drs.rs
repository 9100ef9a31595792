//! DRS over the SDK: paging, batching, and DRS's words into ours.

use crate::clock::SystemClock;
use crate::error::PortError;
use crate::ports::{Clock, Drs, StartRequest};
use crate::retry_after::RetryAfter;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_drs::Client;
use aws_sdk_drs::types::{
    DescribeJobsRequestFilters, DescribeRecoveryInstancesRequestFilters, LaunchDisposition,
    RecoveryPlanExecutionStatus, RecoveryPlanExecutionStepConfiguration, StartRecoveryRequestSourceServer,
};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_contract::{JobId, SourceServerId};
use tidegate_core::observed::{
    ActionRun, ActionRunStatus, InstanceState, Job, JobLogItem, JobServer, JobStatus, JobType, Launch, LaunchAction,
    LaunchSettings, NativeExecution, RecoveryInstance, SourceServer,
};
use tidegate_core::time;

/// Ids per DescribeRecoveryInstances filter (API model).
const MAX_FILTER_SERVERS: usize = 200;
/// Ids per DescribeJobs filter (API model).
const MAX_FILTER_JOBS: usize = 1_000;
/// Big batches answer slowly; seen in the field past 100 s (AWS fact sheet 2.8).
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// DRS in one account and Region.
pub struct DrsClient {
    client: Client,
}

impl DrsClient {
    /// A client for the account, Region and endpoint of `config`.
    pub fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_drs::config::Builder::from(config).retry_classifier(RetryAfter).build();
        Self { client: Client::from_conf(config) }
    }

    /// Retries off: the SDK would repeat a POST whose answer was lost, and StartRecovery has no client token (c-14).
    fn send_once() -> aws_sdk_drs::config::Builder {
        aws_sdk_drs::config::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(START_TIMEOUT).operation_timeout(START_TIMEOUT).build(),
        )
    }

    async fn describe_jobs(&self, filters: DescribeJobsRequestFilters) -> Result<Vec<Job>, PortError> {
        let items =
            self.client.describe_jobs().filters(filters).into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let items = items.await.map_err(|error| PortError::from_sdk("drs:DescribeJobs", error))?;
        Ok(items.iter().map(job).collect())
    }
}

#[async_trait]
impl Drs for DrsClient {
    async fn source_servers(&self) -> Result<Vec<SourceServer>, PortError> {
        let items =
            self.client.describe_source_servers().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let items = items.await.map_err(|error| PortError::from_sdk("drs:DescribeSourceServers", error))?;
        Ok(items.iter().filter_map(source_server).collect())
    }

    async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Job>, PortError> {
        let mut jobs = Vec::new();
        for chunk in ids.chunks(MAX_FILTER_JOBS) {
            let ids = chunk.iter().map(|id| id.as_str().to_owned()).collect();
            jobs.extend(
                self.describe_jobs(DescribeJobsRequestFilters::builder().set_job_ids(Some(ids)).build()).await?,
            );
        }
        Ok(jobs)
    }

    async fn jobs_since(&self, since: Timestamp) -> Result<Vec<Job>, PortError> {
        self.describe_jobs(DescribeJobsRequestFilters::builder().from_date(time::format(since)).build()).await
    }

    async fn job_log(&self, job: &JobId) -> Result<Vec<JobLogItem>, PortError> {
        let items = self.client.describe_job_log_items().job_id(job.as_str()).into_paginator().items().send();
        let items = items.collect::<Result<Vec<_>, _>>().await;
        let items = items.map_err(|error| PortError::from_sdk("drs:DescribeJobLogItems", error))?;
        Ok(items
            .iter()
            .filter_map(|item| {
                let data = item.event_data();
                Some(JobLogItem {
                    event: item.event()?.as_str().to_owned(),
                    source_server_id: data.and_then(|data| data.source_server_id()).map(SourceServerId::from),
                    raw_error: data.and_then(|data| data.raw_error()).map(str::to_owned),
                })
            })
            .collect())
    }

    async fn recovery_instances(&self, servers: &[SourceServerId]) -> Result<Vec<RecoveryInstance>, PortError> {
        let mut instances = Vec::new();
        for chunk in servers.chunks(MAX_FILTER_SERVERS) {
            let ids = chunk.iter().map(|id| id.as_str().to_owned()).collect();
            let filters = DescribeRecoveryInstancesRequestFilters::builder().set_source_server_ids(Some(ids)).build();
            let items = self.client.describe_recovery_instances().filters(filters).into_paginator().items().send();
            let items = items.collect::<Result<Vec<_>, _>>().await;
            let items = items.map_err(|error| PortError::from_sdk("drs:DescribeRecoveryInstances", error))?;
            instances.extend(items.iter().filter_map(recovery_instance));
        }
        Ok(instances)
    }

    async fn launch_settings(&self, server: &SourceServerId) -> Result<LaunchSettings, PortError> {
        let answer = self.client.get_launch_configuration().source_server_id(server.as_str()).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk("drs:GetLaunchConfiguration", error))?;
        Ok(LaunchSettings {
            post_launch_enabled: answer.post_launch_enabled().unwrap_or(false),
            leaves_stopped: answer.launch_disposition() == Some(&LaunchDisposition::Stopped),
        })
    }

    async fn launch_actions(&self, server: &SourceServerId) -> Result<Vec<LaunchAction>, PortError> {
        let items = self.client.list_launch_actions().resource_id(server.as_str()).into_paginator().items().send();
        let items = items.collect::<Result<Vec<_>, _>>().await;
        let items = items.map_err(|error| PortError::from_sdk("drs:ListLaunchActions", error))?;
        // Where the answer leaves it open, it is an action that is waited for: that costs minutes, the other mistake a launch
        // that counts before it is done.
        Ok(items
            .iter()
            .map(|action| LaunchAction {
                active: action.active().unwrap_or(true),
                optional: action.optional().unwrap_or(false),
            })
            .collect())
    }

    async fn native_executions(&self) -> Result<Vec<NativeExecution>, PortError> {
        let items = self.client.list_recovery_plan_executions().into_paginator().items().send();
        let items = items.collect::<Result<Vec<_>, _>>().await;
        let items = items.map_err(|error| PortError::from_sdk("drs:ListRecoveryPlanExecutions", error))?;
        let mut running = Vec::new();
        for execution in items.iter().filter(|execution| !has_ended(&execution.status)) {
            let steps = self
                .client
                .list_recovery_plan_execution_steps()
                .recovery_plan_execution_arn(&execution.recovery_plan_execution_arn)
                .into_paginator()
                .items()
                .send();
            let steps = steps.collect::<Result<Vec<_>, _>>().await;
            let steps = steps.map_err(|error| PortError::from_sdk("drs:ListRecoveryPlanExecutionSteps", error))?;
            running.push(NativeExecution {
                execution_arn: execution.recovery_plan_execution_arn.clone(),
                plan_arn: execution.recovery_plan_arn.clone(),
                source_server_ids: steps
                    .iter()
                    .filter_map(|step| step.configuration())
                    .flat_map(step_servers)
                    .collect(),
            });
        }
        Ok(running)
    }

    async fn start_recovery(&self, request: &StartRequest) -> Result<Job, PortError> {
        let action = "drs:StartRecovery";
        if SystemClock.now() > request.not_after {
            return Err(PortError::too_late(action));
        }
        let mut call = self.client.start_recovery().is_drill(request.is_drill);
        for (server, snapshot) in &request.servers {
            let server = StartRecoveryRequestSourceServer::builder()
                .source_server_id(server.as_str())
                .set_recovery_snapshot_id(snapshot.clone())
                .build()
                .map_err(|error| PortError::unreadable(action, error.to_string()))?;
            call = call.source_servers(server);
        }
        for (key, value) in &request.tags {
            call = call.tags(key, value);
        }
        let answer = call.customize().config_override(Self::send_once()).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk(action, error))?;
        answer.job().map(job).ok_or_else(|| missing_job(action))
    }

    async fn terminate_recovery_instances(
        &self,
        recovery_instance_ids: &[String],
        not_after: Timestamp,
    ) -> Result<Job, PortError> {
        let action = "drs:TerminateRecoveryInstances";
        if SystemClock.now() > not_after {
            return Err(PortError::too_late(action));
        }
        let call =
            self.client.terminate_recovery_instances().set_recovery_instance_ids(Some(recovery_instance_ids.to_vec()));
        let answer = call.customize().config_override(Self::send_once()).send().await;
        let answer = answer.map_err(|error| PortError::from_sdk(action, error))?;
        answer.job().map(job).ok_or_else(|| missing_job(action))
    }
}

/// The call was accepted, so its effect happened; the intent record finds the job.
fn missing_job(action: &'static str) -> PortError {
    PortError { sent: crate::error::Sent::Unknown, ..PortError::unreadable(action, "the answer names no job") }
}

fn has_ended(status: &RecoveryPlanExecutionStatus) -> bool {
    matches!(
        status,
        RecoveryPlanExecutionStatus::Completed
            | RecoveryPlanExecutionStatus::Failed
            | RecoveryPlanExecutionStatus::Cancelled
    )
}

/// A native step names its servers by ARN: `arn:aws:drs:…:source-server/s-…`.
fn step_servers(step: &RecoveryPlanExecutionStepConfiguration) -> Vec<SourceServerId> {
    let RecoveryPlanExecutionStepConfiguration::ExecutionServerStepConfiguration(step) = step else {
        return Vec::new();
    };
    step.servers()
        .iter()
        .filter_map(|server| server.server_arn().rsplit('/').next())
        .map(SourceServerId::from)
        .collect()
}

fn instant(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(time::parse)
}

fn job(job: &aws_sdk_drs::types::Job) -> Job {
    Job {
        job_id: JobId::from(job.job_id()),
        job_type: match job.r#type().map(|kind| kind.as_str()) {
            Some("LAUNCH") => JobType::Launch,
            Some("TERMINATE") => JobType::Terminate,
            Some("CREATE_CONVERTED_SNAPSHOT") => JobType::CreateConvertedSnapshot,
            other => JobType::Unrecognised(other.unwrap_or_default().to_owned()),
        },
        initiated_by: job.initiated_by().map(|by| by.as_str().to_owned()).unwrap_or_default(),
        status: match job.status().map(|status| status.as_str()) {
            Some("PENDING") => JobStatus::Pending,
            Some("STARTED") => JobStatus::Started,
            Some("COMPLETED") => JobStatus::Completed,
            other => JobStatus::Unrecognised(other.unwrap_or("UNKNOWN").to_owned()),
        },
        created_at: instant(job.creation_date_time()),
        ended_at: instant(job.end_date_time()),
        servers: job.participating_servers().iter().filter_map(job_server).collect(),
        tags: tags(job.tags()),
    }
}

fn job_server(server: &aws_sdk_drs::types::ParticipatingServer) -> Option<JobServer> {
    Some(JobServer {
        source_server_id: SourceServerId::from(server.source_server_id()?),
        launch: match server.launch_status().map(|status| status.as_str()) {
            // Absent right after the start: nothing has happened yet.
            Some("PENDING") | None => Launch::Pending,
            Some("IN_PROGRESS") => Launch::InProgress,
            Some("LAUNCHED") => Launch::Launched,
            Some("FAILED") => Launch::Failed,
            Some("TERMINATED") => Launch::Terminated,
            Some(other) => Launch::Unrecognised(other.to_owned()),
        },
        recovery_instance_id: server.recovery_instance_id().map(str::to_owned),
        actions: server.launch_actions_status().map(|status| status.runs().iter().map(action_run).collect()),
    })
}

fn action_run(run: &aws_sdk_drs::types::LaunchActionRun) -> ActionRun {
    let action = run.action();
    ActionRun {
        name: action.and_then(|action| action.name()).unwrap_or_default().to_owned(),
        optional: action.and_then(|action| action.optional()).unwrap_or(false),
        status: match run.status().map(|status| status.as_str()) {
            Some("IN_PROGRESS") => ActionRunStatus::InProgress,
            Some("SUCCEEDED") => ActionRunStatus::Succeeded,
            Some("FAILED") => ActionRunStatus::Failed,
            other => ActionRunStatus::Unrecognised(other.unwrap_or_default().to_owned()),
        },
        failure_reason: run.failure_reason().map(str::to_owned),
    }
}

fn recovery_instance(instance: &aws_sdk_drs::types::RecoveryInstance) -> Option<RecoveryInstance> {
    Some(RecoveryInstance {
        recovery_instance_id: instance.recovery_instance_id()?.to_owned(),
        ec2_instance_id: instance.ec2_instance_id().map(str::to_owned),
        job_id: instance.job_id().map(JobId::from),
        source_server_id: SourceServerId::from(instance.source_server_id()?),
        is_drill: instance.is_drill().unwrap_or(false),
        point_in_time: instant(instance.point_in_time_snapshot_date_time()),
        state: InstanceState::of(instance.ec2_instance_state().map(|state| state.as_str()).unwrap_or_default()),
    })
}

fn source_server(server: &aws_sdk_drs::types::SourceServer) -> Option<SourceServer> {
    let replication = server.data_replication_info();
    Some(SourceServer {
        source_server_id: SourceServerId::from(server.source_server_id()?),
        tags: tags(server.tags()),
        hostname: server
            .source_properties()
            .and_then(|properties| properties.identification_hints())
            .and_then(|hints| hints.hostname())
            .map(str::to_owned),
        replication_state: replication
            .and_then(|info| info.data_replication_state())
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        lag_seconds: replication.and_then(|info| info.lag_duration()).and_then(time::duration_seconds),
    })
}

fn tags(tags: Option<&std::collections::HashMap<String, String>>) -> BTreeMap<String, String> {
    tags.map(|tags| tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "drs_tests.rs"]
mod tests;
