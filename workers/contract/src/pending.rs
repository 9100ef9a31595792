//! An execution's record as it begins: what prepare fills in, and what finalize closes when prepare never came to it.

use crate::ids::{ExecutionId, PlanId};
use crate::records::{ExecutionRecord, Flag};
use crate::status::{ExecutionStatus, ExecutionType, Mode};
use crate::{IsoTime, SCHEMA_VERSION};

impl ExecutionRecord {
    /// An execution of which nothing is known yet but who it is: PENDING, without waves, servers and plan.
    pub fn pending(
        execution_id: ExecutionId,
        execution_arn: String,
        plan_id: PlanId,
        execution_type: ExecutionType,
        mode: Mode,
        start_time: IsoTime,
    ) -> Self {
        Self {
            plan_name: plan_id.to_string(),
            execution_id,
            plan_id,
            schema_version: SCHEMA_VERSION,
            execution_arn,
            execution_type,
            mode,
            status: ExecutionStatus::Pending,
            initiated_by: None,
            total_waves: 0,
            completed_waves: 0,
            failed_waves: 0,
            current_wave: 0,
            total_servers: 0,
            start_time,
            expected_duration: 0,
            completed_time: None,
            end_time: None,
            duration_seconds: None,
            gate: None,
            pause_requested: Flag::Off,
            cancel_requested: Flag::Off,
            last_answer: None,
            timeline: Vec::new(),
            waves: Vec::new(),
            plan: String::new(),
            plan_hash: None,
            plan_updated_at: None,
            membership_hash: None,
            compared_with: None,
            continues: None,
            continued_by: None,
            first_start_time: None,
            hold_seconds: 0,
            keep_instances: false,
            weakened: None,
            replace_recovered: false,
            replace_drill: false,
            replaced_by: Vec::new(),
            warnings: Vec::new(),
            outcome: None,
            report: None,
            cleanup: None,
        }
    }
}
