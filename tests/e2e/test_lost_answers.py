"""Throttling, lost answers, passing errors: no wave skipped, nothing launched twice (tenet 1; lessons c-14, c-26)."""

from __future__ import annotations

import pytest
from lab import Lab, wave
from run import Starter


def test_an_answer_slower_than_a_heartbeat_is_waited_for(lab: Lab, start: Starter) -> None:
    """c-14: StartRecovery that takes longer than a third of HeartbeatSeconds, after which the worker says that it lives: the
    task is not given to another, and the call is sent once."""
    fleet = lab.fleet()
    lab.fault({"fault": "slowAnswer", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "seconds": 12, "count": 1})
    run = start(fleet)
    run.end("COMPLETED", seconds=90)
    assert len(lab.journal("StartRecovery", fleet)) == len(lab.jobs(fleet)) == 1


@pytest.mark.parametrize("fault", ["dropAfterEffect", "errorAfterEffect"])
def test_a_lost_answer_of_start_recovery_launches_once(lab: Lab, start: Starter, fault: str) -> None:
    """c-14, T2.17: the effect happened, nobody was told. The job is found and adopted; one LAUNCH job exists."""
    fleet = lab.fleet(2)
    lab.fault({"fault": fault, "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "count": 1})
    run = start(lab.plan(fleet, lab.fleet()))
    run.end("COMPLETED")
    assert len(lab.journal("StartRecovery", fleet)) == 1
    (job,) = lab.jobs(fleet)
    (shard,) = run.shards(1)
    assert shard["job"]["jobId"] == job["jobID"] and shard["job"]["adopted"]


def test_a_call_that_never_arrived_is_made_again_once(lab: Lab, start: Starter) -> None:
    """c-14, S002 (StartRecovery retried, made safe): after the settle time without a job, the intent is sent again."""
    fleet = lab.fleet()
    lab.fault({"fault": "dropBeforeEffect", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "count": 1})
    run = start(fleet)
    run.end("COMPLETED", seconds=240)
    assert len(lab.journal("StartRecovery", fleet)) == 2 and len(lab.jobs(fleet)) == 1


def test_a_lost_answer_of_terminate_is_found(lab: Lab, start: Starter) -> None:
    """c-33, c-34: the same discipline for the cleanup."""
    fleet = lab.fleet()
    lab.fault({"fault": "dropAfterEffect", "operation": "TerminateRecoveryInstances", "count": 1})
    run = start(fleet)
    record = run.end("COMPLETED")
    assert record["cleanup"]["status"] == "COMPLETED" and len(lab.jobs(fleet, "TERMINATE")) == 1
    assert not lab.recovery_instances(fleet)


def test_throttling_delays_and_changes_nothing(lab: Lab, start: Starter) -> None:
    """FR-3.6, NFR-1.1, SM-2: a third of all calls throttled, and two launches refused for it."""
    fleets = [lab.fleet(2), lab.fleet(2)]
    ids = lab.fault(
        {"fault": "throttle", "operation": "StartRecovery", "count": 2},
        {"fault": "throttle", "probability": 0.33, "retryAfterSeconds": 0},
    )
    run = start(lab.plan(*fleets))
    run.end("COMPLETED", seconds=150)
    assert all(lab.fired(id) >= 2 for id in ids)
    assert [len(lab.jobs(fleet)) for fleet in fleets] == [1, 1]


def test_enrichment_that_fails_for_a_while_fails_no_poll(lab: Lab, start: Starter) -> None:
    """FR-2.10, FR-3.6, S000, T1.4, T5.10: the wave waits for the details, and the poll succeeds."""
    fleet = lab.fleet(2)
    # Prepare and start-wave look for what the launch would delete.
    (id,) = lab.fault({"fault": "accessDenied", "operation": "DescribeRecoveryInstances", "skip": 2, "count": 2})
    run = start(fleet)
    run.end("COMPLETED")
    assert lab.fired(id) == 2
    phases = [item["phase"] for item in run.watch.items["0001"]]
    assert "ENRICHING" in phases and run.waves()[0]["status"] == "COMPLETED"
    failures = [line for line in lab.worker_log() if str(line.get("message", "")).startswith("EnrichmentFailed")]
    assert failures and not any(
        line.get("message") == "TaskFinished"
        and line.get("activity") == "poll-wave-v1"
        and line["result"] != "success"
        and run.id in str(line)
        for line in lab.worker_log()
    )


def test_a_job_that_hides_its_instances_is_resolved_all_the_same(lab: Lab, start: Starter) -> None:
    """c-26, AC-3A.1..3A.4, FR-3.1: recoveryInstanceID never appears in the job, and the list lags behind."""
    fleet = lab.fleet(2)
    lab.fault(
        {"fault": "losesRecoveryInstanceId", "sourceServerId": fleet.ids[0]},
        {"fault": "listLag", "sourceServerId": fleet.ids[1], "seconds": 600},
    )
    run = start(fleet)
    run.end("COMPLETED")
    assert all(one["recoveryInstanceId"] for one in run.servers().values())


def test_denied_in_the_middle_ends_failed_and_says_so(lab: Lab, start: Starter) -> None:
    """AC-4.4, NFR-1.2: a permission that stays missing is tried for minutes; the record and Step Functions agree."""
    fleet = lab.fleet()
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True)), "RECOVERY")
    run.gate()
    # Prepare has looked by now; after the look before the launch the next one is the wave's first poll.
    lab.fault({"fault": "accessDenied", "operation": "DescribeJobs", "skip": lab.look_at_jobs()})
    run.answer({})
    record = run.end("FAILED", error="Tidegate.Denied")
    assert "drs:DescribeJobs" in record["outcome"]["cause"]
    (item,) = run.waves()
    (job,) = run.shards()
    assert item["status"] == "FAILED" and job["job"]["jobId"] in item["error"]


@pytest.mark.parametrize("fault", ["invalidSignature", "accessDenied"])
@pytest.mark.parametrize("operation", ["StartRecovery", "DescribeJobs"])
def test_one_403_during_a_wave_ends_nothing(lab: Lab, start: Starter, fault: str, operation: str) -> None:
    """Field case F10: a clock that jumped, a right that was granted a second ago. The next call is let through."""
    fleet = lab.fleet()
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True)), "RECOVERY")
    run.gate()
    # An SDK may repeat a read by itself, a machine does in any case; StartRecovery is sent once at a time.
    (id,) = lab.fault({"fault": fault, "operation": operation, "count": 1})
    run.answer({})
    run.end("COMPLETED")
    assert lab.fired(id) == 1 and len(lab.jobs(fleet)) == 1
    assert len(lab.journal("StartRecovery", fleet)) == (2 if operation == "StartRecovery" else 1)


def test_a_launch_that_stays_denied_ends_with_its_wave_and_says_why(lab: Lab, start: Starter) -> None:
    """A missing right is tried for minutes, and no longer than the wave has."""
    fleet = lab.fleet()
    lab.fault({"fault": "accessDenied", "operation": "StartRecovery", "sourceServerId": fleet.ids[0]})
    run = start(lab.plan(wave(fleet, timeoutSeconds=20)))
    run.end("FAILED", error="Tidegate.RecoveryFailed", seconds=90)
    error = run.servers()[fleet.ids[0]]["error"]
    assert "AccessDeniedException" in error and "not launched within the wave's 20 s" in error
    assert len(lab.journal("StartRecovery", fleet)) >= 2 and not lab.jobs(fleet)


@pytest.mark.parametrize(
    ("decision", "wave_status", "outcome"),
    [
        ("retry", "COMPLETED", "COMPLETED"),
        ("skip", "SKIPPED", "PARTIAL"),
        ("continue", "FAILED", "PARTIAL"),
        ("abort", "FAILED", "FAILED"),
    ],
)
def test_a_faulted_wave_with_a_gate_asks_a_person(
    lab: Lab, start: Starter, decision: str, wave_status: str, outcome: str
) -> None:
    """FR-7.5: a task that failed past its retries opens the decision gate; retry goes on with the job that runs."""
    fleet = lab.fleet()
    run = start(lab.plan(wave(fleet, onFailure="gate", pauseBeforeWave=True), lab.fleet()))
    run.gate()
    ids = lab.fault({"fault": "accessDenied", "operation": "DescribeJobs", "skip": lab.look_at_jobs()})
    paused = run.answer({})
    gate = run.gate(other_than=paused)
    assert gate["kind"] == "DECISION" and "past its retries" in gate["reason"]
    lab.control("DELETE", f"faults/{ids[0]}")
    run.answer(decision, other_than=paused)
    run.end(outcome, error="Tidegate.RecoveryFailed")
    assert run.waves()[0]["status"] == wave_status
    assert len(lab.jobs(fleet)) == 1 and not lab.recovery_instances(fleet)


def test_a_used_up_quota_is_waited_for(lab: Lab, start: Starter) -> None:
    """NFR-2.4, quota L-D88FAC3A (20 jobs at a time): the wave stays STARTING and starts when others have ended."""
    mine, foreign = lab.fleet(region="eu-west-1"), lab.fleet(20, region="eu-west-1")
    run = start(lab.plan(wave(mine, pauseBeforeWave=True)))
    run.wait_status("PAUSED")
    drs = lab.client("drs", "eu-west-1")
    for server in foreign.ids:
        drs.start_recovery(sourceServers=[{"sourceServerID": server}], isDrill=True)
    run.answer({})
    run.end("COMPLETED")
    refusals = [call.get("error") for call in lab.journal("StartRecovery", mine)]
    assert len(refusals) >= 2 and refusals[-1] is None and set(refusals[:-1]) == {"ServiceQuotaExceededException"}
    assert any(item["status"] == "STARTING" for item in run.watch.items["0001"]) and len(lab.jobs(mine)) == 1
