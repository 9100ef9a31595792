//! A scenario: which quirks are on, which faults are in force, how long things take and how often they may be asked. The file that `--scenario` reads.

use crate::faults::FaultRule;
use crate::rate::RequestRates;
use serde::{Deserialize, Serialize};

/// What real DRS does, or may do, beside its model. Each is a switch, because each is an observation that may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quirks {
    /// A finished job no longer shows recoveryInstanceID (captured data; facts 2.1 and c-26).
    pub completed_job_hides_recovery_instance_id: bool,
    /// `launchActionsStatus` is absent until the SSM agent is discovered, some time after LAUNCHED. Off: the runs are
    /// listed, IN_PROGRESS, in the same answer that first says LAUNCHED. Which of the two AWS does is not documented.
    pub late_launch_actions_status: bool,
    /// A failed non-optional action turns the server's launchStatus from LAUNCHED to FAILED. The guide says that it
    /// "marks the launch as failed"; whether the job shows it is not documented. lastLaunchResult turns FAILED either way.
    pub failed_action_fails_launch_status: bool,
    /// TerminateRecoveryInstances takes ids of instances that are gone: those it knows are TERMINATED in its job from the
    /// first, those it does not know it leaves out. Off: one of them refuses the whole call with a Conflict. The model lists
    /// neither ResourceNotFound nor Validation for the call; what AWS does is not documented.
    pub terminates_gone_instances: bool,
    /// A launch first deletes the server's former recovery instance, too, and not only its former drill instance: a drill's
    /// launch as well as a recovery's (quick start guide). Off: only drill instances go. Nobody here has tried it.
    pub launch_deletes_recovery_instances: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            completed_job_hides_recovery_instance_id: true,
            late_launch_actions_status: false,
            failed_action_fails_launch_status: false,
            terminates_gone_instances: false,
            launch_deletes_recovery_instances: true,
        }
    }
}

/// What a scenario file holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scenario {
    /// For people.
    pub description: String,
    /// Quirks, where they differ from the default.
    pub quirks: Quirks,
    /// Durations, where they differ from the default: members of [`crate::Timing`]. `speed` is the command line's.
    pub timing: serde_json::Map<String, serde_json::Value>,
    /// Request rates, where they differ from the default.
    pub request_rates: RequestRates,
    /// Faults in force from the start.
    pub faults: Vec<FaultRule>,
}
