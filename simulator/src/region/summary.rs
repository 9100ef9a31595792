//! The state in brief, for `/_simulator/state`.

use super::Region;
use crate::wire::JobStatus;
use serde_json::{Value, json};

impl Region {
    pub(crate) fn summary(&self) -> Value {
        let servers = self.servers.values().map(|server| {
            json!({
                "sourceServerID": server.facts.source_server_id,
                "hostname": server.facts.hostname,
                "replicationState": server.facts.replication_state,
                "lastLaunchResult": server.last_result,
                "recoveryInstanceId": server.newest_instance,
                "busyWith": server.busy_with,
            })
        });
        let jobs = self.jobs.values().map(|job| {
            let runs = job.runs.iter().map(|run| {
                json!({
                    "sourceServerID": run.server,
                    "phase": format!("{:?}", run.phase),
                    "launchStatus": run.status,
                    "instanceId": run.instance,
                })
            });
            json!({
                "jobID": job.id,
                "type": job.kind,
                "initiatedBy": job.initiated_by,
                "status": job.status,
                "creationDateTime": job.created,
                "changing": self.is_open(&job.id),
                "servers": runs.collect::<Vec<_>>(),
            })
        });
        let instances = self.instances.values().map(|instance| {
            json!({
                "instanceId": instance.id,
                "sourceServerID": instance.server,
                "jobID": instance.job,
                "isDrill": instance.is_drill,
                "state": instance.state,
                "deleted": instance.deleted,
            })
        });
        json!({
            "account": self.scope.account,
            "region": self.scope.region,
            "initialized": self.initialized,
            "openJobs": self.jobs.values().filter(|job| job.status != JobStatus::Completed).count(),
            "servers": servers.collect::<Vec<_>>(),
            "jobs": jobs.collect::<Vec<_>>(),
            "recoveryInstances": instances.collect::<Vec<_>>(),
            "nativeExecutions": self.executions.values().map(|record| &record.execution).collect::<Vec<_>>(),
        })
    }
}
