//! The describing operations: views of the state, in pages. None of them changes anything.

use super::server::AGENT_VERSION;
use super::snapshots::moment;
use super::{Context, Instance, Job, Region};
use crate::error::ApiError;
use crate::inventory::Volume;
use crate::paging::{Direction, PageRequest, page};
use crate::scenario::Quirks;
use crate::time::Stamp;
use crate::wire::{
    self, DescribeJobLogItems, DescribeJobs, DescribeRecoveryInstances, DescribeSourceServers, Failback, FailbackState,
    Items, JobLog, JobStatus, Os, ParticipatingServer, RecoveryInstance, RecoveryInstanceProperties,
    RecoveryInstanceReplication, SourceServer,
};

impl Region {
    /// Newest first, as the model's documentation says. Unknown ids in the filter are just absent.
    pub(crate) fn describe_jobs(&self, input: DescribeJobs, ctx: &Context<'_>) -> Result<Items<wire::Job>, ApiError> {
        let filters = input.filters.unwrap_or_default();
        let from = moment("filters.fromDate", filters.from_date.as_deref())?;
        let to = moment("filters.toDate", filters.to_date.as_deref())?;
        let named = filters.job_ids.filter(|ids| !ids.is_empty());
        let mut jobs: Vec<&Job> = self
            .jobs
            .values()
            .filter(|job| job.is_listed(ctx.now))
            .filter(|job| named.as_ref().is_none_or(|ids| ids.contains(&job.id)))
            .filter(|job| from.is_none_or(|from| job.created.0 >= from) && to.is_none_or(|to| job.created.0 <= to))
            .collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.number));
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |job: &&Job| format!("{:020}", job.number);
        let (jobs, next_token) = page("DescribeJobs", jobs, Direction::Descending, key, &request, ctx.page_size)?;
        Ok(Items { items: jobs.into_iter().map(|job| self.job_view(job, ctx.quirks)).collect(), next_token })
    }

    pub(super) fn job_view(&self, job: &Job, quirks: &Quirks) -> wire::Job {
        let hides = job.status == JobStatus::Completed && quirks.completed_job_hides_recovery_instance_id;
        let server = |run: &super::Run| ParticipatingServer {
            source_server_id: run.server.clone(),
            recovery_instance_id: run.instance.clone().filter(|_| run.shows_instance && !hides),
            launch_status: run.status,
            launch_actions_status: run.actions.clone(),
        };
        wire::Job {
            job_id: job.id.clone(),
            arn: self.arn("job", &job.id),
            kind: job.kind,
            initiated_by: job.initiated_by,
            creation_date_time: job.created,
            end_date_time: job.ended,
            status: job.status,
            participating_servers: job.runs.iter().map(server).collect(),
            tags: job.tags.clone(),
        }
    }

    /// Oldest first, as captured.
    pub(crate) fn describe_job_log_items(
        &self,
        input: DescribeJobLogItems,
        ctx: &Context<'_>,
    ) -> Result<Items<JobLog>, ApiError> {
        // ResourceNotFound is not among this operation's errors.
        let known = self.jobs.get(&input.job_id).filter(|job| job.is_listed(ctx.now));
        let job = known.ok_or_else(|| ApiError::invalid("jobID", "is not a job"))?;
        let mut log: Vec<(usize, &JobLog)> = job.log.iter().enumerate().collect();
        log.sort_by_key(|(index, item)| (item.log_date_time, *index));
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |(index, item): &(usize, &JobLog)| format!("{} {index:010}", item.log_date_time);
        let (log, next_token) = page("DescribeJobLogItems", log, Direction::Ascending, key, &request, ctx.page_size)?;
        Ok(Items { items: log.into_iter().map(|(_, item)| item.clone()).collect(), next_token })
    }

    /// Instances appear some seconds after EC2 has them.
    pub(crate) fn describe_recovery_instances(
        &self,
        input: DescribeRecoveryInstances,
        ctx: &Context<'_>,
    ) -> Result<Items<RecoveryInstance>, ApiError> {
        let filters = input.filters.unwrap_or_default();
        let by_id = filters.recovery_instance_ids.filter(|ids| !ids.is_empty());
        let by_server = filters.source_server_ids.filter(|ids| !ids.is_empty());
        let listed: Vec<&Instance> = self
            .instances
            .values()
            .filter(|instance| instance.listed_at <= ctx.now && !instance.deleted)
            .filter(|instance| by_id.as_ref().is_none_or(|ids| ids.contains(&instance.id)))
            .filter(|instance| by_server.as_ref().is_none_or(|ids| ids.contains(&instance.server)))
            .collect();
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |instance: &&Instance| instance.id.clone();
        let (listed, next_token) =
            page("DescribeRecoveryInstances", listed, Direction::Ascending, key, &request, ctx.page_size)?;
        Ok(Items { items: listed.into_iter().map(|instance| self.instance_view(instance, ctx)).collect(), next_token })
    }

    pub(super) fn failback(&self, server: &str, ctx: &Context<'_>) -> FailbackState {
        ctx.faults.failback(&self.scope, server).unwrap_or(FailbackState::NotStarted)
    }

    fn instance_view(&self, instance: &Instance, ctx: &Context<'_>) -> RecoveryInstance {
        let disk = |volume: &Volume| wire::RecoveryInstanceDisk {
            internal_device_name: volume.device_name.clone(),
            bytes: volume.bytes,
        };
        let properties =
            self.servers.get(&instance.server).zip(instance.reported).map(|(server, reported): (_, Stamp)| {
                RecoveryInstanceProperties {
                    last_updated_date_time: reported,
                    identification_hints: wire::IdentificationHints {
                        aws_instance_id: Some(instance.id.clone()),
                        vmware_uuid: None,
                        ..server.hints()
                    },
                    network_interfaces: server.interfaces(ctx.dice, instance.private_ip.as_deref()),
                    disks: server.facts.volumes.iter().map(disk).collect(),
                    cpus: server.cpus(),
                    ram_bytes: server.facts.ram_bytes,
                    os: Os { full_string: server.facts.os.clone() },
                }
            });
        let origin_zone = self.servers.get(&instance.server).and_then(super::Server::origin_zone);
        RecoveryInstance {
            ec2_instance_id: instance.id.clone(),
            ec2_instance_state: instance.state,
            job_id: instance.job.clone(),
            recovery_instance_id: instance.id.clone(),
            source_server_id: instance.server.clone(),
            arn: self.arn("recovery-instance", &instance.id),
            tags: instance.tags.clone(),
            failback: Failback { state: self.failback(&instance.server, ctx) },
            data_replication_info: RecoveryInstanceReplication {
                data_replication_state: match self.failback(&instance.server, ctx) {
                    FailbackState::NotStarted => "NOT_STARTED",
                    _ => "CONTINUOUS",
                },
            },
            recovery_instance_properties: properties,
            point_in_time_snapshot_date_time: instance.point_in_time,
            is_drill: instance.is_drill,
            origin_environment: if origin_zone.is_some() { "AWS" } else { "ON_PREMISES" },
            origin_availability_zone: origin_zone,
            agent_version: AGENT_VERSION,
        }
    }

    pub(crate) fn describe_source_servers(
        &self,
        input: DescribeSourceServers,
        ctx: &Context<'_>,
    ) -> Result<Items<SourceServer>, ApiError> {
        let filters = input.filters.unwrap_or_default();
        let named = filters.source_server_ids.filter(|ids| !ids.is_empty());
        let staged = filters.staging_account_ids.filter(|ids| !ids.is_empty());
        let servers: Vec<&super::Server> = self
            .servers
            .iter()
            .filter(|(id, _)| named.as_ref().is_none_or(|ids| ids.contains(id)))
            .filter(|(_, server)| match filters.hardware_id.as_deref() {
                None | Some("") => true,
                Some(id) => server.has_hardware_id(id, ctx.dice),
            })
            .filter(|_| staged.as_ref().is_none_or(|accounts| accounts.contains(&self.scope.account)))
            .map(|(_, server)| server)
            .collect();
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |server: &&super::Server| server.facts.source_server_id.clone();
        let (servers, next_token) =
            page("DescribeSourceServers", servers, Direction::Ascending, key, &request, ctx.page_size)?;
        Ok(Items { items: servers.into_iter().map(|server| self.server_view(server, ctx)).collect(), next_token })
    }
}
