#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::wave_start::tests::{at, job_of, wave_of};
use crate::wave_start::{shard_job, started};
use WaveStatus::{Completed, Failed, Partial, Pending, Polling, Skipped, Starting};
use serde_json::json;
use tidegate_contract::LaunchStatus;
use tidegate_contract::activities::Failure;
use tidegate_contract::records::WaveJob;

fn record_of(waves: u32) -> ExecutionRecord {
    let descriptors: Vec<_> = (1..=waves)
        .map(|n| json!({"waveNumber": n, "waveKey": wave_key(n), "waveName": format!("wave-{n}"), "pauseBeforeWave": false, "onFailure": "abort",
            "timeoutSeconds": 7200, "waitAfterSeconds": 0, "gateTimeoutSeconds": 86400, "serverCount": 2}))
        .collect();
    serde_json::from_value(json!({
        "executionId": "run-1", "planId": "crm", "schemaVersion": 1, "planName": "CRM", "executionArn": "arn", "executionType": "DRILL",
        "mode": "RUN", "status": "POLLING", "totalWaves": waves, "completedWaves": 0, "currentWave": 1, "totalServers": waves * 2,
        "startTime": time::format(at(0)), "expectedDuration": 1200, "pauseRequested": "false", "cancelRequested": "false",
        "waves": descriptors, "plan": "{}", "holdSeconds": 0, "keepInstances": false,
    }))
    .unwrap()
}

fn wave(number: u32, status: WaveStatus) -> WaveRecord {
    let ready = match status {
        Completed => 2,
        Partial => 1,
        Pending | Starting | Polling | Failed | Skipped => 0,
    };
    WaveRecord {
        wave_number: number,
        wave_key: wave_key(number),
        status,
        counts: WaveCounts { total: 2, ready, failed: 2 - ready, ..WaveCounts::default() },
        end_time: status.is_settled().then(|| time::format(at(600 * i64::from(number)))),
        ..wave_of(2).0
    }
}

fn waves(statuses: &[WaveStatus]) -> Vec<WaveRecord> {
    (1..).zip(statuses).map(|(number, status)| wave(number, *status)).collect()
}

fn ending(reason: EndReason, wave_count: u32, error: &str, cause: &str) -> Ending {
    Ending { reason, wave_count, failure: Failure { error: error.to_owned(), cause: cause.to_owned() } }
}

fn settled(count: u32, statuses: &[WaveStatus]) -> Decision {
    decide(&ending(EndReason::AllWavesSettled, count, "", ""), &record_of(count), &waves(statuses), false)
}

/// FR-5.1, AC-4.1, S002: COMPLETED only if every planned wave is.
#[test]
fn settled_waves_make_the_outcome() {
    for (statuses, status, error) in [
        (vec![Completed], ExecutionStatus::Completed, ""),
        (vec![Completed; 20], ExecutionStatus::Completed, ""),
        (vec![Completed, Partial, Completed], ExecutionStatus::Partial, "Tidegate.Partial"),
        (vec![Completed, Failed], ExecutionStatus::Partial, "Tidegate.Partial"),
        (vec![Completed, Skipped], ExecutionStatus::Partial, "Tidegate.Partial"),
        (vec![Partial], ExecutionStatus::Partial, "Tidegate.Partial"),
        (vec![Failed, Failed], ExecutionStatus::Failed, "Tidegate.RecoveryFailed"),
        (vec![Skipped], ExecutionStatus::Failed, "Tidegate.RecoveryFailed"),
    ] {
        let decision = settled(statuses.len() as u32, &statuses);
        assert_eq!((decision.status, decision.outcome.error.as_str()), (status, error), "{statuses:?}");
        assert_eq!(decision.outcome.cause.is_empty(), status == ExecutionStatus::Completed);
    }
    let cause = settled(3, &[Completed, Partial, Failed]).outcome.cause;
    assert_eq!(cause, "not everything was recovered: wave 2 PARTIAL, wave 3 FAILED");
}

/// A FAILED wave whose policy asked for more may hold servers that run: "nothing was recovered" would be a lie.
#[test]
fn servers_that_are_up_in_a_failed_wave_are_not_nothing() {
    let mut stored = waves(&[Failed]);
    stored[0].counts = WaveCounts { total: 2, ready: 1, failed: 1, ..WaveCounts::default() };
    let decision = decide(&ending(EndReason::AllWavesSettled, 1, "", ""), &record_of(1), &stored, false);
    assert_eq!(decision.status, ExecutionStatus::Partial);
}

/// c-01, c-02: stored waves never stand for planned ones, `all` of none is not all, and disagreement is a fault.
#[test]
fn completed_is_never_concluded_from_what_happens_to_be_stored() {
    let faults = [
        ("wave 1 of 3 stored", settled(3, &[Completed]), "wave 2 was never started"),
        ("none stored", settled(3, &[]), "wave 1 was never started"),
        ("one still polling", settled(3, &[Completed, Polling, Completed]), "wave 2 is POLLING"),
        ("one starting", settled(2, &[Completed, Starting]), "wave 2 is STARTING"),
        ("one pending", settled(1, &[Pending]), "wave 1 is PENDING"),
        ("zero waves", settled(0, &[]), "counted 0 waves"),
        (
            "count mismatch",
            decide(&ending(EndReason::AllWavesSettled, 1, "", ""), &record_of(3), &waves(&[Completed]), false),
            "counted 1 waves, the plan has 3",
        ),
        (
            "no list",
            decide(
                &ending(EndReason::AllWavesSettled, 3, "", ""),
                &ExecutionRecord { waves: vec![], ..record_of(3) },
                &waves(&[Completed; 3]),
                false,
            ),
            "the record lists 0",
        ),
        (
            "other waves stored",
            decide(
                &ending(EndReason::AllWavesSettled, 2, "", ""),
                &record_of(2),
                &[wave(7, Completed), wave(8, Completed)],
                false,
            ),
            "wave 1 was never started",
        ),
    ];
    for (name, decision, cause) in faults {
        assert_eq!(
            (decision.status, decision.outcome.error.as_str()),
            (ExecutionStatus::Failed, "Tidegate.MachineFault"),
            "{name}"
        );
        assert!(decision.outcome.cause.contains(cause), "{name}: {}", decision.outcome.cause);
    }
}

/// NFR-1.2, NFR-4.3: every other ending has one outcome, even over waves that are all COMPLETED.
#[test]
fn every_other_reason_has_its_own_outcome() {
    use EndReason::{
        AbortedByOperator, AbortedByPolicy, AllWavesSettled, Cancelled, Declined, Fault, GateTimedOut, MachineFailed,
        MachineTimedOut, Refused, Stopped,
    };
    for reason in EndReason::ALL.iter().copied().filter(|reason| *reason != AllWavesSettled) {
        let (status, error) = match reason {
            AllWavesSettled => continue,
            Refused | Fault | MachineFailed => (ExecutionStatus::Failed, "Tidegate.PlanRefused"),
            AbortedByPolicy | AbortedByOperator => (ExecutionStatus::Failed, "Tidegate.RecoveryFailed"),
            Cancelled | Declined | Stopped => (ExecutionStatus::Cancelled, "Tidegate.Cancelled"),
            GateTimedOut | MachineTimedOut => (ExecutionStatus::TimedOut, "Tidegate.TimedOut"),
        };
        for stored in [vec![], vec![Completed], vec![Completed, Completed], vec![Failed, Polling]] {
            let decision =
                decide(&ending(reason, 2, "Tidegate.PlanRefused", "the cause"), &record_of(2), &waves(&stored), true);
            assert_eq!((decision.status, decision.outcome.error.as_str()), (status, error), "{reason} {stored:?}");
            assert!(
                !decision.outcome.cause.is_empty() && decision.outcome.cleanup_due && decision.outcome.reason == reason
            );
        }
    }
}

/// Whatever Step Functions calls its fault becomes one of ours, and is still told.
#[test]
fn unknown_error_names_map_into_the_closed_set() {
    let decide = |error: &str, cause: &str| {
        decide(&ending(EndReason::Fault, 0, error, cause), &record_of(1), &[], false).outcome
    };
    assert_eq!(
        (decide("Tidegate.Denied", "no sts").error, decide("Tidegate.Denied", "no sts").cause),
        ("Tidegate.Denied".to_owned(), "no sts".to_owned())
    );
    assert_eq!(
        (decide("States.Timeout", "").error, decide("States.Timeout", "").cause),
        ("Tidegate.Internal".to_owned(), "States.Timeout".to_owned())
    );
    assert_eq!(decide("DynamoDB.Foo", "x").cause, "DynamoDB.Foo: x");
    assert_eq!((decide("", "").error.as_str(), decide("", "").cause.as_str()), ("Tidegate.Internal", ""));
    for reason in EndReason::ALL {
        let error = super::decide(&ending(*reason, 1, "States.Runtime", ""), &record_of(1), &[], false).outcome.error;
        assert!(ErrorName::ALL.iter().any(|name| name.as_str() == error), "{reason}: {error}");
    }
}

#[test]
fn a_decline_tells_what_the_operator_wrote() {
    let cause = |error: &str, cause: &str| {
        decide(&ending(EndReason::Declined, 1, error, cause), &record_of(1), &[], false).outcome.cause
    };
    assert_eq!(cause("", " "), "declined at a gate");
    assert_eq!(cause("NotNow", "storage is down"), "declined at a gate: NotNow: storage is down");
}

/// A dry run launches nothing, so SKIPPED is its success, and nothing else is.
#[test]
fn a_dry_run_completes_with_skipped_waves_only() {
    let dry = |statuses: &[WaveStatus]| {
        let record = ExecutionRecord { mode: Mode::DryRun, ..record_of(2) };
        decide(&ending(EndReason::AllWavesSettled, 2, "", ""), &record, &waves(statuses), false).status
    };
    assert_eq!(dry(&[Skipped, Skipped]), ExecutionStatus::Completed);
    assert_ne!(dry(&[Skipped, Completed]), ExecutionStatus::Completed);
    assert_eq!(dry(&[Skipped]), ExecutionStatus::Failed);
}

/// c-35: any drill with live instances is cleaned up, whatever its outcome; a recovery never is.
#[test]
fn cleanup_is_due_for_drills_that_launched() {
    let unsent = wave_of(2).1;
    let mut launched = unsent.clone();
    let job = shard_job(&job_of(&unsent[0], 1), false);
    started(&mut launched[0], job);
    let mut retried = unsent.clone();
    retried[0].earlier_jobs = vec!["drsjob-00000000000000009".into()];
    let drill = record_of(1);
    assert!(cleanup_due(&drill, &launched));
    assert!(cleanup_due(&drill, &retried), "an earlier attempt's job counts");
    assert!(!cleanup_due(&drill, &unsent));
    assert!(!cleanup_due(&drill, &[]));
    assert!(!cleanup_due(&ExecutionRecord { execution_type: ExecutionType::Recovery, ..record_of(1) }, &launched));
    assert!(!cleanup_due(&ExecutionRecord { keep_instances: true, ..record_of(1) }, &launched));
    assert!(!cleanup_due(&ExecutionRecord { mode: Mode::DryRun, ..record_of(1) }, &launched));
}

#[test]
fn an_early_end_closes_what_is_open() {
    let mut stored = waves(&[Completed, Polling]);
    let job = |id: &str, status: &str| WaveJob {
        job_id: id.into(),
        region: "us-west-2".to_owned(),
        account_id: "111122223333".to_owned(),
        status: status.to_owned(),
        participating_servers: 1,
        start_time: None,
        end_time: None,
    };
    stored[1].jobs = vec![job("drsjob-a", "COMPLETED"), job("drsjob-b", "STARTED"), job("drsjob-c", "PENDING")];
    let cancelled = ending(EndReason::Cancelled, 3, "", "");
    let closed = close_waves(&record_of(3), &stored, &[], &cancelled, at(900));
    assert_eq!(
        closed.iter().map(|wave| (wave.wave_number, wave.status)).collect::<Vec<_>>(),
        [(2, Failed), (3, Skipped)]
    );
    assert_eq!(
        closed[0].error,
        "the execution ended (CANCELLED) while this wave was POLLING; DRS jobs that may still run: drsjob-b, drsjob-c"
    );
    assert_eq!((closed[1].wave_key.as_str(), closed[1].error.as_str()), ("0003", "never started"));
    assert_eq!(closed[1].counts, WaveCounts { total: 2, skipped: 2, ..WaveCounts::default() });
    for wave in &closed {
        assert_eq!(
            (wave.end_time.clone(), wave.phase),
            (Some(time::format(at(900))), WavePhase::Settled),
            "c-30: frozen"
        );
    }
    // AC-4.4: called again over what it wrote, it has nothing to do.
    let again = [vec![stored[0].clone()], closed].concat();
    assert!(close_waves(&record_of(3), &again, &[], &cancelled, at(999)).is_empty());
    // A machine that claims all waves settled is not helped along.
    let settled = ending(EndReason::AllWavesSettled, 3, "", "");
    assert!(close_waves(&record_of(3), &stored, &[], &settled, at(900)).is_empty());
}

#[test]
fn the_report_proves_what_was_recovered_and_how_fast() {
    let mut record = record_of(2);
    let entry = |event: &str, second: i64| TimelineEntry {
        at: time::format(at(second)),
        event: event.to_owned(),
        wave_number: 1,
        detail: String::new(),
    };
    record.timeline = vec![
        entry("STARTED", 0),
        entry("RESUMED", 5),
        entry("PAUSED", 100),
        entry("PAUSED", 110),
        entry("RESUMED", 160),
        entry("DECISION_NEEDED", 700),
        entry("DECIDED", 730),
        entry("PAUSED", 1_000),
    ];
    let mut shards = wave_of(3).1;
    for (index, point) in [(0, -30), (1, -300)] {
        shards[0].server_statuses[index].launch_status = LaunchStatus::Launched;
        shards[0].server_statuses[index].point_in_time = Some(time::format(at(point)));
    }
    shards[0].server_statuses[2].launch_status = LaunchStatus::Failed;
    shards[0].server_statuses[2].point_in_time = Some(time::format(at(-9_000)));
    let report = report(&record, &[wave(3, Failed), wave(2, Partial), wave(1, Completed)], &shards, at(1_010));
    assert_eq!((report.servers, report.launched, report.failed), (4, 2, 1));
    assert_eq!(report.rto_seconds, Some(1_200), "the last wave that recovered something");
    assert_eq!(report.rpo_seconds, Some(300), "the oldest data that was recovered; a failed server's does not count");
    assert_eq!(report.paused_seconds, 60 + 30 + 10, "the open gate counts to now");
    let rows: Vec<_> =
        report.waves.iter().map(|wave| (wave.wave_number, wave.status, wave.launched, wave.duration_seconds)).collect();
    assert_eq!(rows, [(1, Completed, 2, Some(600)), (2, Partial, 1, Some(1_200)), (3, Failed, 0, Some(1_800))]);
}

#[test]
fn a_report_of_nothing_claims_nothing() {
    let report = report(&record_of(1), &[wave(1, Failed)], &[], at(10));
    assert_eq!((report.launched, report.rto_seconds, report.rpo_seconds, report.paused_seconds), (0, None, None, 0));
}

/// c-08, NFR-1.2: what reconcile says of an execution that could not finalize itself.
#[test]
fn an_end_from_outside_tells_what_step_functions_said() {
    let outcome = |reason, error: &str, cause: &str| {
        decide(&ending(reason, 0, error, cause), &record_of(1), &waves(&[Polling]), true).outcome
    };
    assert_eq!(
        outcome(EndReason::Stopped, "WrongPlan", "it was the other one").cause,
        "the execution was stopped from outside its state machine (StopExecution): WrongPlan: it was the other one"
    );
    assert!(outcome(EndReason::Stopped, "", "").cause.ends_with("(StopExecution)"));
    let foreign = outcome(EndReason::MachineFailed, "States.Runtime", "The path '$.x' was not found");
    assert_eq!(foreign.error, "Tidegate.MachineFault");
    assert!(foreign.cause.ends_with("States.Runtime: The path '$.x' was not found"), "{}", foreign.cause);
    let ours = outcome(EndReason::MachineFailed, "Tidegate.FinalizeFailed", "DynamoDB");
    assert_eq!((ours.error.as_str(), ours.cause.as_str()), ("Tidegate.FinalizeFailed", "DynamoDB"));
}

/// NFR-1.2: whatever a frozen start-wave wakes up to, it does not send any more; what is under way is named.
#[test]
fn an_early_end_fences_launches_and_names_what_may_run() {
    let (stored, shards) = (waves(&[Completed, Starting]), wave_of(2).1);
    let mut unsent = shards[0].clone();
    (unsent.wave_number, unsent.wave_key) = (2, "0002#01".to_owned());
    let mut unanswered = ShardRecord { wave_key: "0002#02".to_owned(), ..unsent.clone() };
    unanswered.intent.last_sent_at = Some(time::format(at(5)));
    let mut launched = ShardRecord { wave_key: "0002#03".to_owned(), ..unsent.clone() };
    let job = shard_job(&job_of(&unsent, 1), false);
    let job_id = job.job_id.clone();
    started(&mut launched, job);
    let of_a_completed_wave = ShardRecord { wave_number: 1, ..launched.clone() };
    let stopped = ending(EndReason::Stopped, 0, "", "");

    let all = [of_a_completed_wave, unsent, unanswered.clone(), launched.clone()];
    let fenced = fence_shards(&stored, &all, &stopped, at(900));
    assert_eq!(fenced.iter().map(|shard| shard.wave_key.as_str()).collect::<Vec<_>>(), ["0002#01", "0002#02"]);
    assert_eq!(fenced[0].intent.state, IntentState::Refused);
    assert!(fenced[0].intent.withdrawn, "a continuation may tell it from what DRS refused");
    assert!(fenced[0].intent.refusal.contains("STOPPED"), "{}", fenced[0].intent.refusal);
    assert_eq!(fenced[1], unanswered, "it may have been accepted: whoever comes later looks for its job");

    let closed =
        close_waves(&record_of(2), &stored, &[fenced[0].clone(), unanswered, launched], &stopped, at(900)).remove(0);
    for said in [job_id.as_str(), "launches without an answer, which may run all the same: 1", "STARTING"] {
        assert!(closed.error.contains(said), "{}", closed.error);
    }
    let counts = closed.counts;
    assert_eq!(counts.total, counts.ready + counts.failed + counts.active + counts.skipped);
    assert_eq!((counts.total, counts.failed), (6, 2), "of three shards of two, one was refused");
    assert_eq!(closed.jobs.len(), 1, "the shards' jobs, not the copy of the last poll");
}

/// A worker may be frozen before it sends or retries while an operator decides about its wave, and wake up after the run's end.
/// It goes by its shard's version, so whatever it may still send is stored anew, however its wave and the run ended.
#[test]
fn a_decided_wave_is_fenced_like_an_open_one() {
    let unsent = wave_of(2).1.remove(0);
    let mut in_doubt = ShardRecord { wave_key: "0001#02".to_owned(), ..unsent.clone() };
    in_doubt.intent.last_sent_at = Some(time::format(at(5)));
    let mut failed = ShardRecord { wave_key: "0001#03".to_owned(), ..unsent.clone() };
    let job = shard_job(&job_of(&failed, 1), false);
    started(&mut failed, job);
    let all = [unsent, in_doubt, failed];
    for reason in [EndReason::AllWavesSettled, EndReason::Stopped, EndReason::Cancelled] {
        for status in [Skipped, Failed] {
            let fenced = fence_shards(&waves(&[status]), &all, &ending(reason, 1, "", ""), at(900));
            assert_eq!(fenced, all, "{status} {reason}: stored as they are, under the next version");
        }
        for status in [Completed, Partial] {
            let fenced = fence_shards(&waves(&[status]), &all, &ending(reason, 1, "", ""), at(900));
            assert_eq!(fenced, all[..2], "{status} {reason}: nothing launches a wave again that was recovered");
        }
    }
    let mut withheld = all[0].clone();
    withheld.intent.state = IntentState::Withheld;
    let dry = fence_shards(&waves(&[Skipped]), &[withheld], &ending(EndReason::AllWavesSettled, 1, "", ""), at(900));
    assert!(dry.is_empty(), "a dry run's launches are never sent");
}
