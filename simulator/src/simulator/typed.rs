//! The operations as methods.

use super::{Scope, Simulator};
use crate::error::ApiError;
use crate::operation::Operation;
use crate::wire;
use jiff::Timestamp;
use serde_json::Value;

/// The operations as methods, for a caller without HTTP. They know no call faults and write no journal; use
/// [`Simulator::handle`] for those.
impl Simulator {
    /// StartRecovery.
    pub fn start_recovery(
        &mut self,
        scope: &Scope,
        input: wire::StartRecovery,
        now: Timestamp,
    ) -> Result<wire::Job, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.start_recovery(input, ctx))
    }

    /// TerminateRecoveryInstances.
    pub fn terminate_recovery_instances(
        &mut self,
        scope: &Scope,
        input: wire::TerminateRecoveryInstances,
        now: Timestamp,
    ) -> Result<wire::Job, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.terminate_recovery_instances(input, ctx))
    }

    /// DescribeJobs.
    pub fn describe_jobs(
        &mut self,
        scope: &Scope,
        input: wire::DescribeJobs,
        now: Timestamp,
    ) -> Result<wire::Items<wire::Job>, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.describe_jobs(input, ctx))
    }

    /// DescribeJobLogItems.
    pub fn describe_job_log_items(
        &mut self,
        scope: &Scope,
        input: wire::DescribeJobLogItems,
        now: Timestamp,
    ) -> Result<wire::Items<wire::JobLog>, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.describe_job_log_items(input, ctx))
    }

    /// DescribeRecoveryInstances.
    pub fn describe_recovery_instances(
        &mut self,
        scope: &Scope,
        input: wire::DescribeRecoveryInstances,
        now: Timestamp,
    ) -> Result<wire::Items<wire::RecoveryInstance>, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.describe_recovery_instances(input, ctx))
    }

    /// DescribeSourceServers.
    pub fn describe_source_servers(
        &mut self,
        scope: &Scope,
        input: wire::DescribeSourceServers,
        now: Timestamp,
    ) -> Result<wire::Items<wire::SourceServer>, ApiError> {
        self.apply_due(now);
        self.within(scope, now, |region, ctx| region.describe_source_servers(input, ctx))
    }

    /// Any operation, with its input and output as JSON.
    pub fn operation(
        &mut self,
        scope: &Scope,
        operation: Operation,
        input: Value,
        now: Timestamp,
    ) -> Result<Option<Value>, ApiError> {
        self.apply_due(now);
        self.carry_out(operation, scope, input, now).map(|(_, body)| body)
    }
}
