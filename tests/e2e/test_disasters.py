"""What DRS does in a real disaster, and readings of AWS that are not the usual ones: the run ends as it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import Json, Lab, wait_for, wave
from run import Starter


@pytest.fixture
def quirks(lab: Lab) -> Iterator[None]:
    """The readings that are off unless asked for; the stack's own are back after the test."""
    lab.control("POST", "scenario", {"quirks": {"completedJobHidesRecoveryInstanceId": False, "terminatesGoneInstances": True}})
    yield
    lab.control("POST", "scenario", {})


def events(lab: Lab, job: Json) -> list[str]:
    pages = lab.client("drs").get_paginator("describe_job_log_items").paginate(jobID=job["jobID"])
    return [item["event"] for page in pages for item in page["items"]]


def test_dead_sources_are_recovered_to_their_last_points_in_time(lab: Lab, start: Starter) -> None:
    """US-2: the Region of the sources is down. Minutes are lost on snapshots nobody can take; the recovery is complete."""
    fleet = lab.fleet(2)
    lab.fault(*[{"fault": "sourceDead", "sourceServerId": server, "seconds": 7_200} for server in fleet.ids])
    run = start(fleet, "RECOVERY")
    record = run.end("COMPLETED")
    told = " ".join(warning["message"] for warning in record["warnings"])
    assert all(f"{server} replicates with state STALLED" in told and f"{server} lags 72" in told for server in fleet.ids)
    (job,) = lab.jobs(fleet)
    assert [event for event in events(lab, job) if "SNAPSHOT" in event] == [
        *["SNAPSHOT_START"] * 2, *["SNAPSHOT_FAIL", "USING_PREVIOUS_SNAPSHOT"] * 2,
    ]  # fmt: skip
    for server in run.servers().values():
        assert (server["launchStatus"], server.get("error")) == ("LAUNCHED", None), "a snapshot that failed failed no server"
        assert server["pointInTime"] < record["startTime"]
    assert record["report"]["rpoSeconds"] >= 7_200, "the report owns to the data that is lost"


def test_a_previous_snapshot_that_cannot_be_used_is_the_reason_told(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet(2)
    lab.fault(
        {"fault": "sourceDead", "sourceServerId": fleet.ids[0]},
        {"fault": "launchFails", "stage": "previousSnapshot", "sourceServerId": fleet.ids[0], "rawError": "no snapshot left"},
    )
    run = start(lab.plan(wave(fleet, onFailure="abort")), "RECOVERY")
    run.end("FAILED")
    server = run.servers()[fleet.ids[0]]
    assert server["launchStatus"] == "FAILED"
    assert "USING_PREVIOUS_SNAPSHOT_FAILED" in server["error"] and "no snapshot left" in server["error"]
    assert run.servers()[fleet.ids[1]]["launchStatus"] == "LAUNCHED"


def test_a_slow_answer_of_start_recovery_is_waited_for(lab: Lab, start: Starter) -> None:
    """AWS's SDKs give up after a minute; the job is there all the same, so waiting is what launches once."""
    fleet = lab.fleet()
    lab.fault({"fault": "slowAnswer", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "seconds": 65})
    run = start(fleet)
    run.end("COMPLETED", seconds=180)
    assert len(lab.journal("StartRecovery", fleet)) == 1 and len(lab.jobs(fleet)) == 1
    (shard,) = run.shards(1)
    assert not shard["job"]["adopted"], "its own answer told it"


def test_a_server_that_fails_back_is_not_launched(lab: Lab, start: Starter) -> None:
    """A Conflict that no job explains is waited for (a job may be listed late), then the wave ends with DRS's words."""
    fleet, other = lab.fleet(), lab.fleet()
    lab.fault({"fault": "failback", "sourceServerId": fleet.ids[0]})
    run = start(lab.plan(wave(fleet, onFailure="abort"), other))
    run.end("FAILED", seconds=240)
    error = run.servers()[fleet.ids[0]]["error"]
    assert "DRS refused the launch" in error and "during failback" in error, error
    assert not lab.jobs(fleet) and not lab.jobs(other)


def test_an_instance_that_fails_back_is_terminated_only_when_that_is_over(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    run = start(lab.plan(fleet, wave(lab.fleet(), pauseBeforeWave=True)))
    run.gate()
    (ours,) = lab.recovery_instances(fleet)
    (fault,) = lab.fault({"fault": "failback", "sourceServerId": fleet.ids[0]})
    run.answer({})

    def tries() -> list[Json]:
        return [call for call in lab.journal("TerminateRecoveryInstances") if ours in str(call["request"])]

    wait_for(lambda: len(tries()) >= 2, "a termination that is tried again")
    assert run.record()["cleanup"]["status"] == "RUNNING"
    (instance,) = lab.recovery_instances(fleet).values()
    assert (instance["ec2InstanceState"], instance["failback"]["state"]) == ("RUNNING", "FAILBACK_IN_PROGRESS")
    lab.control("DELETE", f"faults/{fault}")
    assert run.end("COMPLETED")["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)


def test_a_finished_job_that_shows_its_instances_changes_nothing(lab: Lab, start: Starter, quirks: None) -> None:
    """The only capture of a finished job has no recoveryInstanceID; three public programs read it there."""
    for execution_type in ("DRILL", "RECOVERY"):
        fleet = lab.fleet(2)
        run = start(lab.plan(fleet), execution_type)
        record = run.end("COMPLETED")
        (job,) = lab.jobs(fleet)
        shown = {one["sourceServerID"]: one["recoveryInstanceID"] for one in job["participatingServers"]}
        assert {id: server["instanceId"] for id, server in run.servers().items()} == shown
        if execution_type == "DRILL":
            assert record["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)
            assert set(lab.instance_states(list(shown.values())).values()) == {"terminated"}
