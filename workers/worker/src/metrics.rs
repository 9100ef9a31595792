//! What CloudWatch is told of waves and executions, as EMF lines. Dimensions are small closed sets; ids are plain
//! properties, because an id as a dimension is a new metric, and a bill, per execution.

use jiff::Timestamp;
use tidegate_contract::ExecutionStatus;
use tidegate_contract::records::{ExecutionRecord, Report, WaveRecord};
use tidegate_core::time;
use tidegate_runtime::metrics::Unit;
use tidegate_runtime::{EmfRecord, MetricSink};

/// Seconds from a wave's start until it settled (NFR-3.4). Dimensions: ExecutionType, Status.
const WAVE_COMPLETION_TIME: &str = "WaveCompletionTime";
/// Servers that made it, and that did not, per settled wave. Dimension: ExecutionType.
const SERVER_LAUNCH_SUCCESS: &str = "ServerLaunchSuccess";
const SERVER_LAUNCH_FAILURE: &str = "ServerLaunchFailure";
/// Seconds from start to outcome. Dimensions: ExecutionType, Status.
const EXECUTION_DURATION: &str = "ExecutionDuration";
/// One per outcome written. Dimension: Status.
const FINALIZATION_COUNT: &str = "FinalizationCount";

/// A wave has settled.
pub fn wave_settled(sink: &dyn MetricSink, record: &ExecutionRecord, wave: &WaveRecord, now: Timestamp) {
    let kind = [("ExecutionType", record.execution_type.as_str())];
    let by_status = [kind[0], ("Status", wave.status.as_str())];
    EmfRecord::new()
        .metric(WAVE_COMPLETION_TIME, Unit::Seconds, f64::from(time::seconds_since(&wave.start_time, now)), &by_status)
        .metric(SERVER_LAUNCH_SUCCESS, Unit::Count, f64::from(wave.counts.ready), &kind)
        .metric(SERVER_LAUNCH_FAILURE, Unit::Count, f64::from(wave.counts.failed), &kind)
        .property("executionId", record.execution_id.as_str())
        .property("planId", record.plan_id.as_str())
        .property("waveNumber", wave.wave_number)
        .emit(sink);
}

/// An outcome has been written.
pub fn execution_finalized(
    sink: &dyn MetricSink,
    record: &ExecutionRecord,
    status: ExecutionStatus,
    report: &Report,
    now: Timestamp,
) {
    let by_status = [("ExecutionType", record.execution_type.as_str()), ("Status", status.as_str())];
    EmfRecord::new()
        .metric(EXECUTION_DURATION, Unit::Seconds, f64::from(time::seconds_since(&record.start_time, now)), &by_status)
        .metric(FINALIZATION_COUNT, Unit::Count, 1.0, &by_status[1..])
        .property("executionId", record.execution_id.as_str())
        .property("planId", record.plan_id.as_str())
        .property("rtoSeconds", report.rto_seconds)
        .property("rpoSeconds", report.rpo_seconds)
        .emit(sink);
}
