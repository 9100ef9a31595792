//! Records for the unit tests, as the workers write them.

#![allow(clippy::unwrap_used)]

use crate::view::RunView;
use jiff::Timestamp;
use serde_json::json;
use tidegate_contract::activities::{EndReason, WaveDescriptor};
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, Flag, Gate, GateKind, Report, ServerStatus, ShardJob, ShardRecord, StoredOutcome,
    TimelineEntry, WaveRecord, WaveReport,
};
use tidegate_contract::tables::{shard_key, wave_key};
use tidegate_contract::{
    CleanupStatus, ExecutionStatus, ExecutionType, JobId, LaunchStatus, Mode, OnFailure, PostLaunchStatus, WavePhase,
    WaveStatus,
};

/// Stands in for a task token; must never be seen again.
pub(crate) const SECRET: &str = "AQCEAAAAKgAAAAMAAAAAAAAAAe-secret";
pub(crate) const NAME: &str = "crm-drill-20260102-030000";

/// 41 minutes after the fixtures' start.
pub(crate) fn now() -> Timestamp {
    "2026-01-02T03:41:00Z".parse().unwrap()
}

pub(crate) fn entry(event: &str, wave_number: u32) -> TimelineEntry {
    TimelineEntry {
        at: "2026-01-02T03:20:00.000Z".to_owned(),
        event: event.to_owned(),
        wave_number,
        detail: String::new(),
    }
}

pub(crate) fn gate(kind: GateKind) -> Gate {
    Gate {
        kind,
        reason: "the plan pauses before this wave".to_owned(),
        wave_number: 2,
        since: "2026-01-02T03:21:00.000Z".to_owned(),
        timeout_seconds: 86_400,
    }
}

pub(crate) fn outcome(error: &str, cause: &str, cleanup_due: bool) -> StoredOutcome {
    StoredOutcome { reason: EndReason::AllWavesSettled, error: error.to_owned(), cause: cause.to_owned(), cleanup_due }
}

pub(crate) fn cleanup(status: CleanupStatus) -> Cleanup {
    Cleanup {
        status,
        start_time: "2026-01-02T03:41:00.000Z".to_owned(),
        end_time: (status != CleanupStatus::Running).then(|| "2026-01-02T03:44:00.000Z".to_owned()),
        instances: 3,
        jobs: Vec::new(),
        replaced: Vec::new(),
        refused: Vec::new(),
        error: if status == CleanupStatus::Failed { "2 instances are still there".to_owned() } else { String::new() },
        reopened: false,
        version: 3,
    }
}

/// A drill of three waves that began at 03:00.
pub(crate) fn record(status: ExecutionStatus) -> ExecutionRecord {
    let end = status.is_terminal().then(|| "2026-01-02T03:41:00.000Z".to_owned());
    let descriptor = |wave_number: u32, name: &str| WaveDescriptor {
        wave_number,
        wave_key: wave_key(wave_number),
        wave_name: name.to_owned(),
        pause_before_wave: wave_number == 2,
        on_failure: OnFailure::Gate,
        timeout_seconds: 7_200,
        wait_after_seconds: 0,
        gate_timeout_seconds: 86_400,
        server_count: 2,
    };
    ExecutionRecord {
        execution_id: NAME.into(),
        plan_id: "crm".into(),
        schema_version: 1,
        plan_name: "CRM platform".to_owned(),
        execution_arn: format!("arn:aws:states:us-west-2:111122223333:execution:tidegate-recovery:{NAME}"),
        execution_type: ExecutionType::Drill,
        mode: Mode::Run,
        status,
        initiated_by: Some("ann".to_owned()),
        total_waves: 3,
        completed_waves: 1,
        failed_waves: 0,
        current_wave: 1,
        total_servers: 6,
        start_time: "2026-01-02T03:00:00.000Z".to_owned(),
        expected_duration: 3_600,
        completed_time: end.clone(),
        end_time: end,
        duration_seconds: status.is_terminal().then_some(2_460),
        gate: None,
        pause_requested: Flag::Off,
        cancel_requested: Flag::Off,
        last_answer: None,
        timeline: Vec::new(),
        waves: vec![descriptor(1, "database"), descriptor(2, "application"), descriptor(3, "web")],
        plan: "{}".to_owned(),
        membership_hash: None,
        continues: None,
        continued_by: None,
        first_start_time: None,
        hold_seconds: 0,
        keep_instances: false,
        replace_recovered: false,
        replace_drill: false,
        plan_hash: None,
        plan_updated_at: None,
        compared_with: None,
        weakened: None,
        replaced_by: Vec::new(),
        warnings: Vec::new(),
        outcome: None,
        report: None,
        cleanup: None,
    }
}

pub(crate) fn wave(number: u32, status: WaveStatus) -> WaveRecord {
    let counts = match status {
        WaveStatus::Completed => json!({"total": 2, "ready": 2, "failed": 0, "active": 0, "skipped": 0}),
        WaveStatus::Failed | WaveStatus::Partial => {
            json!({"total": 2, "ready": 1, "failed": 1, "active": 0, "skipped": 0})
        }
        _ => json!({"total": 2, "ready": 0, "failed": 0, "active": 2, "skipped": 0}),
    };
    let settled = status.is_settled();
    WaveRecord {
        execution_id: NAME.into(),
        wave_key: wave_key(number),
        wave_number: number,
        wave_name: ["", "database", "application", "web"].get(number as usize).copied().unwrap_or("wave").to_owned(),
        status,
        phase: if settled { WavePhase::Settled } else { WavePhase::Conversion },
        attempt: 1,
        start_time: "2026-01-02T03:01:00.000Z".to_owned(),
        attempt_start_time: "2026-01-02T03:01:00.000Z".to_owned(),
        end_time: settled.then(|| "2026-01-02T03:20:45.000Z".to_owned()),
        last_polled_time: Some("2026-01-02T03:20:40.000Z".to_owned()),
        poll_attempts: 9,
        counts: serde_json::from_value(counts).unwrap(),
        shard_count: 1,
        on_failure: OnFailure::Gate,
        min_launched: None,
        timeout_seconds: 7_200,
        jobs: vec![
            serde_json::from_value(json!({
                "jobId": format!("drsjob-0000000000000000{number}"), "region": "us-west-2", "accountId": "111122223333",
                "status": if settled { "COMPLETED" } else { "STARTED" }, "participatingServers": 2,
            }))
            .unwrap(),
        ],
        error: String::new(),
        version: 9,
    }
}

pub(crate) fn server(wave: u32, number: u32, launch: LaunchStatus) -> ServerStatus {
    let mut server: ServerStatus = serde_json::from_value(json!({
        "sourceServerId": format!("s-{wave:04}{number:013}"), "serverName": format!("crm-{wave}-{number:02}"),
        "hostname": format!("crm-{wave}-{number:02}.internal"), "importance": "critical", "launchStatus": launch,
        "isDrill": true, "pollAttempts": 9, "postLaunchActionsStatus": PostLaunchStatus::NotConfigured,
        "postLaunchActionsCompleted": false, "transitionHistory": [], "attempt": 1,
        "recoveryJobId": format!("drsjob-0000000000000000{wave}"),
    }))
    .unwrap();
    if launch == LaunchStatus::Launched {
        server.set_instance(&format!("i-{wave:04}{number:013}"));
        server.recovery_instance_id = server.instance_id.clone();
        server.instance_type = Some("r6i.2xlarge".to_owned());
        server.private_ip = Some(format!("172.31.{wave}.{number}"));
        server.instance_state = Some("running".to_owned());
        server.launch_time = Some("2026-01-02T03:18:30.000Z".to_owned());
        server.launched_time = Some("2026-01-02T03:20:40.000Z".to_owned());
        server.point_in_time = Some("2026-01-02T02:58:07.000Z".to_owned());
    }
    server
}

pub(crate) fn shard(wave: u32, server_statuses: Vec<ServerStatus>) -> ShardRecord {
    let mut shard: ShardRecord = serde_json::from_value(json!({
        "executionId": NAME, "waveKey": shard_key(wave, 1), "waveNumber": wave, "shardNumber": 1,
        "target": {"accountId": "111122223333", "region": "us-west-2"}, "phase": WavePhase::Settled, "serverStatuses": [],
        "intent": {"intentId": "x", "attempt": 1, "state": "STARTED", "recordedAt": "2026-01-02T03:01:00.000Z", "sourceServerIds": []},
        "version": 4,
    }))
    .unwrap();
    shard.server_statuses = server_statuses;
    shard
}

/// A job that DRS has not listed since 03:38:30.
pub(crate) fn missing_job(job_id: &JobId) -> ShardJob {
    let since = "2026-01-02T03:38:30.000Z";
    serde_json::from_value(json!({"jobId": job_id, "status": "STARTED", "missingSince": since})).unwrap()
}

/// Wave 1 COMPLETED, wave 2 with one server up and one on its way, wave 3 not begun.
pub(crate) fn drill_view() -> RunView {
    let mut record = record(ExecutionStatus::Polling);
    record.current_wave = 2;
    let mut second = wave(2, WaveStatus::Polling);
    second.start_time = "2026-01-02T03:25:00.000Z".to_owned();
    second.counts.ready = 1;
    second.counts.active = 1;
    let shards = vec![
        shard(1, vec![server(1, 1, LaunchStatus::Launched), server(1, 2, LaunchStatus::Launched)]),
        shard(2, vec![server(2, 1, LaunchStatus::Launched), server(2, 2, LaunchStatus::InProgress)]),
    ];
    RunView::new(record, vec![wave(1, WaveStatus::Completed), second], shards)
}

/// A gate before, or about, wave 2.
pub(crate) fn paused_view(kind: GateKind) -> RunView {
    let mut view = drill_view();
    view.record.status = ExecutionStatus::Paused;
    view.record.gate = Some(gate(kind));
    view.record.timeline.push(entry("PAUSED", 2));
    view
}

/// A drill that ended PARTIAL: one server of wave 2 failed; three instances are being terminated.
pub(crate) fn partial_view() -> RunView {
    let mut record = record(ExecutionStatus::Partial);
    record.current_wave = 3;
    record.completed_waves = 3;
    record.outcome = Some(outcome("Tidegate.Partial", "not everything was recovered: wave 2 PARTIAL", true));
    record.cleanup = Some(cleanup(CleanupStatus::Running));
    record.report = Some(Report {
        servers: 6,
        launched: 5,
        failed: 1,
        rto_seconds: Some(2_400),
        paused_seconds: 65,
        rpo_seconds: Some(113),
        waves: vec![WaveReport {
            wave_number: 1,
            wave_name: "database".to_owned(),
            status: WaveStatus::Completed,
            servers: 2,
            launched: 2,
            failed: 0,
            duration_seconds: Some(1_185),
        }],
    });
    record.timeline = vec![entry("STARTED", 0), entry("WAVE_CLOSED", 1)];
    let mut failed = server(2, 2, LaunchStatus::Failed);
    failed.error =
        Some("LAUNCH_FAILED: there is no capacity for r6i.2xlarge in us-west-2a; use another instance type".to_owned());
    let shards = vec![
        shard(1, vec![server(1, 1, LaunchStatus::Launched), server(1, 2, LaunchStatus::Launched)]),
        shard(2, vec![server(2, 1, LaunchStatus::Launched), failed]),
        shard(3, vec![server(3, 1, LaunchStatus::Launched), server(3, 2, LaunchStatus::Launched)]),
    ];
    let waves = vec![wave(1, WaveStatus::Completed), wave(2, WaveStatus::Partial), wave(3, WaveStatus::Completed)];
    RunView::new(record, waves, shards)
}
