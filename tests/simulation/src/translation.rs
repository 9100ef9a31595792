//! The simulator's words into ours, as the real adapter does with the SDK's.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_aws::{ErrorClass, PortError, Sent};
use tidegate_contract::{JobId, SourceServerId};
use tidegate_core::observed::{
    ActionRun, ActionRunStatus, Instance, InstanceState, Job, JobLogItem, JobServer, JobStatus, JobType, Launch,
    NativeExecution, RecoveryInstance, SourceServer, TaggedInstance,
};
use tidegate_core::time as core_time;
use tidegate_simulator::{ApiError, Operation, Scope, Simulator, wire};

pub(crate) fn refused(action: &'static str, error: ApiError) -> PortError {
    let class = match error.name {
        "ConflictException" => ErrorClass::Conflict,
        "ServiceQuotaExceededException" => ErrorClass::Quota,
        "ThrottlingException" => ErrorClass::Throttled,
        "ValidationException" => ErrorClass::Invalid,
        "ResourceNotFoundException" => ErrorClass::NotFound,
        "AccessDeniedException" | "UninitializedAccountException" => ErrorClass::Denied,
        _ => ErrorClass::Transient,
    };
    PortError {
        class,
        sent: Sent::Rejected,
        code: Some(error.name.to_owned()),
        ..PortError::unreadable(action, error.message)
    }
}

pub(crate) fn job(job: wire::Job) -> Job {
    Job {
        job_id: JobId::from(job.job_id),
        job_type: match job.kind {
            wire::JobType::Launch => JobType::Launch,
            wire::JobType::Terminate => JobType::Terminate,
            wire::JobType::CreateConvertedSnapshot => JobType::CreateConvertedSnapshot,
        },
        initiated_by: job.initiated_by.as_str().to_owned(),
        status: match job.status {
            wire::JobStatus::Pending => JobStatus::Pending,
            wire::JobStatus::Started => JobStatus::Started,
            wire::JobStatus::Completed => JobStatus::Completed,
        },
        created_at: Some(job.creation_date_time.0),
        ended_at: job.end_date_time.map(|stamp| stamp.0),
        servers: job.participating_servers.into_iter().map(job_server).collect(),
        tags: job.tags,
    }
}

pub(crate) fn job_server(server: wire::ParticipatingServer) -> JobServer {
    JobServer {
        source_server_id: SourceServerId::from(server.source_server_id),
        launch: match server.launch_status {
            wire::LaunchStatus::Pending => Launch::Pending,
            wire::LaunchStatus::InProgress => Launch::InProgress,
            wire::LaunchStatus::Launched => Launch::Launched,
            wire::LaunchStatus::Failed => Launch::Failed,
            wire::LaunchStatus::Terminated => Launch::Terminated,
        },
        recovery_instance_id: server.recovery_instance_id,
        actions: server.launch_actions_status.map(|status| status.runs.into_iter().map(action_run).collect()),
    }
}

pub(crate) fn action_run(run: wire::LaunchActionRun) -> ActionRun {
    ActionRun {
        name: run.action.name,
        optional: run.action.optional,
        status: match run.status {
            wire::LaunchActionRunStatus::InProgress => ActionRunStatus::InProgress,
            wire::LaunchActionRunStatus::Succeeded => ActionRunStatus::Succeeded,
            wire::LaunchActionRunStatus::Failed => ActionRunStatus::Failed,
        },
        failure_reason: run.failure_reason,
    }
}

pub(crate) fn log_item(item: wire::JobLog) -> JobLogItem {
    JobLogItem {
        event: item.event.as_str().to_owned(),
        source_server_id: item.event_data.source_server_id.map(SourceServerId::from),
        raw_error: item.event_data.raw_error,
    }
}

pub(crate) fn recovery_instance(instance: wire::RecoveryInstance) -> RecoveryInstance {
    RecoveryInstance {
        recovery_instance_id: instance.recovery_instance_id,
        ec2_instance_id: Some(instance.ec2_instance_id),
        job_id: Some(JobId::from(instance.job_id)),
        source_server_id: SourceServerId::from(instance.source_server_id),
        is_drill: instance.is_drill,
        point_in_time: instance.point_in_time_snapshot_date_time.map(|stamp| stamp.0),
        state: InstanceState::of(instance.ec2_instance_state.as_str()),
    }
}

pub(crate) fn source_server(server: wire::SourceServer) -> SourceServer {
    SourceServer {
        source_server_id: SourceServerId::from(server.source_server_id),
        tags: server.tags,
        hostname: Some(server.source_properties.identification_hints.hostname),
        replication_state: server.data_replication_info.data_replication_state.as_str().to_owned(),
        lag_seconds: server.data_replication_info.lag_duration.as_deref().and_then(core_time::duration_seconds),
    }
}

/// Native executions that have not ended, with the servers of all their steps, read as the real adapter does.
pub(crate) fn native_executions(
    drs: &mut Simulator,
    scope: &Scope,
    now: Timestamp,
) -> Result<Vec<NativeExecution>, ApiError> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |answer: Option<Value>, name: &str| {
        answer.and_then(|mut answer| Some(answer.get_mut(name)?.take())).and_then(|list| match list {
            Value::Array(items) => Some(items),
            _ => None,
        })
    };
    let answer = drs.operation(scope, Operation::ListRecoveryPlanExecutions, json!({}), now)?;
    let mut running = Vec::new();
    for execution in list(answer, "recoveryPlanExecutions").unwrap_or_default() {
        if matches!(text(&execution, "status").as_str(), "COMPLETED" | "FAILED" | "CANCELLED") {
            continue;
        }
        let arn = text(&execution, "recoveryPlanExecutionArn");
        let input = json!({ "recoveryPlanExecutionArn": arn });
        let steps = drs.operation(scope, Operation::ListRecoveryPlanExecutionSteps, input, now)?;
        let mut source_server_ids = Vec::new();
        for step in list(steps, "recoveryPlanExecutionSteps").unwrap_or_default() {
            let servers = step.pointer("/configuration/executionServerStepConfiguration/servers");
            let ids = servers.and_then(Value::as_array).into_iter().flatten().map(|server| text(server, "serverArn"));
            source_server_ids.extend(ids.filter_map(|arn| arn.rsplit('/').next().map(SourceServerId::from)));
        }
        running.push(NativeExecution {
            execution_arn: arn,
            plan_arn: text(&execution, "recoveryPlanArn"),
            source_server_ids,
        });
    }
    Ok(running)
}

/// As EC2 tells it to whoever asks by DRS's tags.
pub(crate) fn tagged_instance(instance: &tidegate_simulator::MemoryInstance) -> TaggedInstance {
    let tag = |key: &str| instance.launch.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    TaggedInstance {
        instance_id: instance.launched.instance_id.clone(),
        source_server_id: SourceServerId::from(instance.launch.source_server_id.as_str()),
        job_id: tag("drs.amazonaws.com-job").map(JobId::from),
    }
}

pub(crate) fn instance(instance: &tidegate_simulator::MemoryInstance) -> Instance {
    Instance {
        instance_id: instance.launched.instance_id.clone(),
        instance_type: "m5.large".to_owned(),
        private_ip: instance.launched.private_ip.clone(),
        launch_time: Some(instance.launch_time),
        state: instance.state.to_owned(),
    }
}
