//! Ways in which an instance gets lost to DRS: its record is disconnected and deleted while it runs on in EC2, or EC2 loses it
//! while its record stays.

use super::{Context, Region, Timer, later};
use crate::error::ApiError;
use crate::wire::{Ec2InstanceState, RecoveryInstanceRef};

impl Region {
    /// DisconnectRecoveryInstance: the record stays, the instance runs on.
    pub(crate) fn disconnect_recovery_instance(&mut self, input: RecoveryInstanceRef) -> Result<(), ApiError> {
        let known = self.instances.get_mut(&input.recovery_instance_id).filter(|instance| !instance.deleted);
        let unknown = || ApiError::not_found("RecoveryInstance", &input.recovery_instance_id);
        known.ok_or_else(unknown)?.disconnected = true;
        Ok(())
    }

    /// DeleteRecoveryInstance: the record goes, the instance runs on. "The Recovery Instance must be disconnected first in order
    /// to delete it" (API model); one that EC2 has not got any more is deleted as it is.
    pub(crate) fn delete_recovery_instance(&mut self, input: RecoveryInstanceRef) -> Result<(), ApiError> {
        let id = &input.recovery_instance_id;
        let known = self.instances.get_mut(id).filter(|instance| !instance.deleted);
        // The model lists no ResourceNotFoundException for this call.
        let unknown = || ApiError::conflict("The recovery instance does not exist", "RecoveryInstance", id);
        let instance = known.ok_or_else(unknown)?;
        if instance.is_live() && !instance.disconnected {
            return Err(ApiError::conflict("The recovery instance is not disconnected", "RecoveryInstance", id));
        }
        instance.deleted = true;
        let server = instance.server.clone();
        if let Some(server) = self.servers.get_mut(&server) {
            server.newest_instance = server.newest_instance.take().filter(|newest| newest != id);
        }
        Ok(())
    }

    /// Somebody terminated an instance in EC2. DRS keeps its record: TERMINATED, and NOT_FOUND once EC2 has forgotten it.
    pub(crate) fn terminated_in_ec2(&mut self, instance: &str, ctx: &Context<'_>) -> bool {
        if !self.instances.contains_key(instance) {
            return false;
        }
        self.set_state(instance, Ec2InstanceState::Terminated);
        let forgotten = later(ctx.now, ctx.timing.span(ctx.timing.ec2_forgets_seconds));
        self.timers.arm(forgotten, Timer::Forgotten(instance.to_owned()));
        true
    }

    pub(super) fn forget_in_ec2(&mut self, instance: &str) {
        self.set_state(instance, Ec2InstanceState::NotFound);
    }
}
