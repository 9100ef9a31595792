"""RECOVERY and DRILL: when a wave is complete, and what becomes of the instances (S002; lessons c-33 to c-35)."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, wait_for, wave
from run import Starter


def action(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "actionCode": "AWSDisasterRecovery-ProcessStatus", **fields}


def test_a_recovery_completes_only_after_its_post_launch_actions(lab: Lab, start: Starter) -> None:
    """S002 2.2, 3.x, AC-3.1: LAUNCHED is not enough; the instances are kept running."""
    with_actions = lab.fleet(postLaunchEnabled=True, launchActions=[action("Smoke test")])
    lab.fault({"fault": "slowPostLaunch", "sourceServerId": with_actions.ids[0], "factor": 3.0})
    plain = lab.fleet()
    run = start(lab.plan(wave(with_actions, plain)), "RECOVERY")
    run.end("COMPLETED")

    server, wave_item = run.servers()[with_actions.ids[0]], run.waves()[0]
    assert (server["postLaunchActionsStatus"], server["postLaunchActionsCompleted"]) == ("SUCCEEDED", True)
    assert run.servers()[plain.ids[0]]["postLaunchActionsStatus"] == "NOT_CONFIGURED"
    waited = [
        shard
        for shard in run.watch.items["0001#01"]
        if any(
            one["launchStatus"] == "LAUNCHED" and not one["postLaunchActionsCompleted"]
            for one in shard["serverStatuses"]
            if one["sourceServerId"] == with_actions.ids[0]
        )
    ]
    assert waited and server["launchedTime"] < wave_item["endTime"]
    assert any(item["phase"] == "POST_LAUNCH" and item["status"] == "POLLING" for item in run.watch.items["0001"])
    assert "cleanup" not in run.record()
    kept = lab.instance_states([one["instanceId"] for one in run.servers().values()])
    assert set(kept.values()) == {"running"} and not lab.jobs(with_actions, "TERMINATE")
    assert not server["isDrill"]


def test_a_recovered_server_is_not_recovered_again_by_accident(lab: Lab, start: Starter) -> None:
    """US-2, c-14: starting the plan again would make a second production instance; saying so explicitly does it."""
    fleet = lab.fleet()
    start(fleet, "RECOVERY").end("COMPLETED")
    cause = start(fleet, "RECOVERY").refused("Tidegate.PlanRefused")
    assert f"plan.waves[0]: {fleet.ids[0]} has the recovery instance i-" in cause and "replaceRecovered" in cause
    assert len(lab.jobs(fleet)) == 1
    record = start(fleet, "RECOVERY", options={"replaceRecovered": True}).end("COMPLETED")
    assert any("has the recovery instance" in warning["message"] for warning in record["warnings"])
    assert len(lab.jobs(fleet)) == 2


def test_only_an_active_required_action_on_a_started_instance_is_waited_for(lab: Lab, start: Starter) -> None:
    """Whether actions run has three switches (user guide, post-launch settings; API model, LaunchAction.active): for all of the
    server's, for each, and whether the instance is started. None of the combinations fails a server."""
    kinds = {
        "none": [],
        "inactive": [action("Smoke test", active=False)],
        "optional": [action("Smoke test", optional=True)],
        "active": [action("Smoke test")],
    }
    fleets = {
        (enabled, kind, disposition): lab.fleet(
            postLaunchEnabled=enabled, launchActions=actions, launchDisposition=disposition
        )
        for enabled in (True, False)
        for kind, actions in kinds.items()
        for disposition in ("STARTED", "STOPPED")
    }
    run = start(lab.plan(wave(*fleets.values())), "RECOVERY")
    run.end("COMPLETED")
    servers = run.servers()
    for (enabled, kind, disposition), fleet in fleets.items():
        server, runs = servers[fleet.ids[0]], enabled and disposition == "STARTED"
        assert server["postLaunchExpected"] == (runs and kind == "active"), (enabled, kind, disposition)
        expected = {"SUCCEEDED"} if runs and kind == "active" else {"NOT_CONFIGURED"}
        if runs and kind == "optional":
            expected = {"SUCCEEDED", "NOT_CONFIGURED"}  # nobody waits for it to begin
        assert server["postLaunchActionsStatus"] in expected, (enabled, kind, disposition)
        assert "error" not in server and "warning" not in server


def test_launch_settings_are_read_at_the_rate_drs_allows(lab: Lab, start: Starter) -> None:
    """Review S6: DRS publishes no rate. Two of three calls are throttled: prepare asks once a target, the polls keep what they
    have read, and each server is asked about once."""
    fleet = lab.fleet(40, postLaunchEnabled=True, launchActions=[action("Smoke test")])
    operations = ("GetLaunchConfiguration", "ListLaunchActions")
    ids = lab.fault(
        *({"fault": "throttle", "operation": one, "probability": 0.66, "retryAfterSeconds": 1} for one in operations)
    )
    run = start(fleet, "RECOVERY")
    run.end("COMPLETED", seconds=180)
    assert {one["postLaunchActionsStatus"] for one in run.servers().values()} == {"SUCCEEDED"}
    for operation in operations:
        answered = [call for call in lab.journal(operation, fleet) if call["status"] == 200]
        assert len(answered) <= len(fleet.ids) + 1, operation
    assert all(lab.fired(id) for id in ids)


@pytest.mark.parametrize(
    ("optional", "outcome"), [(False, "FAILED"), (True, "COMPLETED")], ids=["required", "optional"]
)
def test_a_failed_post_launch_action_counts_unless_it_is_optional(
    lab: Lab, start: Starter, optional: bool, outcome: str
) -> None:
    """S002: every non-optional action has to succeed; the reason is kept with the server."""
    fleet = lab.fleet(postLaunchEnabled=True, launchActions=[action("Check A"), action("Check B", optional=optional)])
    lab.fault(
        {
            "fault": "actionFails",
            "sourceServerId": fleet.ids[0],
            "actionName": "Check B",
            "failureReason": "port 443 is closed",
        }
    )
    run = start(fleet, "RECOVERY")
    run.end(outcome, error="Tidegate.RecoveryFailed")
    server = run.servers()[fleet.ids[0]]
    assert server["launchStatus"] == "LAUNCHED" and server["instanceId"]
    assert server["postLaunchActionsStatus"] == ("PARTIALLY_SUCCEEDED" if optional else "FAILED")
    if not optional:
        assert "port 443 is closed" in run.waves()[0]["error"]
        assert "port 443 is closed" in run.record()["outcome"]["cause"]


def test_a_drill_does_not_wait_for_post_launch_actions(lab: Lab, start: Starter) -> None:
    """S002: in a drill post-launch actions are optional."""
    fleet = lab.fleet(postLaunchEnabled=True, launchActions=[action("Smoke test")])
    lab.fault({"fault": "actionFails", "sourceServerId": fleet.ids[0]})
    start(fleet).end("COMPLETED")


def test_cleanup_terminates_exactly_this_runs_instances(lab: Lab, start: Starter) -> None:
    """S002 (drill instances are always terminated), c-33, c-34: other servers' instances survive, a recovery's and a
    drill's. (A later recovery of the very same server: `test_deletions.py`; a drill over a recovered one is refused.)"""
    mine, others = lab.fleet(2), lab.fleet()
    recovered = start(lab.fleet(2), "RECOVERY")
    recovered.end("COMPLETED")
    kept = start(others, options={"keepInstances": True})
    kept.end("COMPLETED")
    survivors = [one["instanceId"] for run in (recovered, kept) for one in run.servers().values()]

    run = start(mine)
    record = run.end("COMPLETED")
    drilled = [one["instanceId"] for one in run.servers().values()]
    assert len(set(drilled) | set(survivors)) == 5
    assert set(lab.instance_states(drilled).values()) == {"terminated"}
    assert set(lab.instance_states(survivors).values()) == {"running"}
    cleanup = record["cleanup"]
    assert (cleanup["status"], cleanup["instances"], len(cleanup["jobs"])) == ("COMPLETED", 2, 1)
    assert {one["instanceState"] for one in run.servers().values()} == {"terminated"}
    named = [id for call in lab.journal("TerminateRecoveryInstances") for id in call["request"]["recoveryInstanceIDs"]]
    assert not set(named) & {
        one["recoveryInstanceId"] for one in [*recovered.servers().values(), *kept.servers().values()]
    }


def test_keep_instances_keeps_them(lab: Lab, start: Starter) -> None:
    """S002, AC-6.x: nothing says it terminates what it does not."""
    fleet = lab.fleet()
    run = start(fleet, options={"keepInstances": True})
    record = run.end("COMPLETED")
    assert record["keepInstances"] and "cleanup" not in record and not record["outcome"]["cleanupDue"]
    assert len(lab.recovery_instances(fleet)) == 1 and not lab.jobs(fleet, "TERMINATE")


def test_a_drill_is_held_before_it_is_cleaned_up(lab: Lab, start: Starter) -> None:
    """S002: holdSeconds; the outcome is told at once, the instances stay for the hold (scaled like every Wait)."""
    fleet = lab.fleet()
    run = start(fleet, options={"holdSeconds": 100})
    run.wait_status("COMPLETED")
    assert len(lab.recovery_instances(fleet)) == 1 and not run.ended()
    record = run.end("COMPLETED")
    assert record["cleanup"]["startTime"] > record["endTime"]
    assert not lab.recovery_instances(fleet)


@pytest.mark.parametrize("calls_before", [0, 1], ids=["never began", "began"])
def test_a_cleanup_that_cannot_go_on_says_failed(lab: Lab, start: Starter, calls_before: int) -> None:
    """AC-4.4, c-34: the outcome stands, the record's cleanup says FAILED and why, and nobody is left waiting."""
    run = start(lab.fleet(), options={"holdSeconds": 100})
    run.wait_status("COMPLETED")
    lab.fault({"fault": "accessDenied", "operation": "DescribeJobs", "skip": calls_before})
    record = run.end("COMPLETED")
    assert record["cleanup"]["status"] == "FAILED" and record["cleanup"]["endTime"], record["cleanup"]
    assert "Tidegate.Denied" in record["cleanup"]["error"] and len(record["cleanup"]["jobs"]) == calls_before
    assert record["timeline"][-1]["event"] == "CLEANUP_ENDED" and record["timeline"][-1]["detail"] == "FAILED"


def test_a_drill_that_failed_is_cleaned_up_as_well(lab: Lab, start: Starter) -> None:
    """c-35: whatever the outcome, live drill instances of this run go."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "InsufficientInstanceCapacity"})
    run = start(fleet)
    record = run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert "InsufficientInstanceCapacity" in record["outcome"]["cause"]
    assert record["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)


def test_an_instance_left_stopped_on_purpose_completes(lab: Lab, start: Starter) -> None:
    """c-26c: launchDisposition STOPPED; LAUNCHED does not mean running."""
    fleet = lab.fleet(launchDisposition="STOPPED")
    run = start(fleet, "RECOVERY")
    run.end("COMPLETED")
    server = run.servers()[fleet.ids[0]]
    assert server["launchStatus"] == "LAUNCHED"
    wait_for(lambda: lab.instance_states([server["instanceId"]]) == {server["instanceId"]: "stopped"}, "the stop")


def test_a_chosen_point_in_time_is_launched(lab: Lab, start: Starter) -> None:
    """Plan model: recoverySnapshotId reaches StartRecovery, and the record says how old the data is."""
    fleet = lab.fleet(2)
    chosen, latest = fleet.ids
    listed = lab.client("drs").describe_recovery_snapshots(sourceServerID=chosen, order="ASC")["items"]
    snapshot = listed[0]
    group = fleet.group(serverOptions={chosen: {"recoverySnapshotId": snapshot["snapshotID"]}})
    run = start(lab.plan(wave(group)))
    run.end("COMPLETED")
    (call,) = lab.journal("StartRecovery", fleet)
    asked = {one["sourceServerID"]: one.get("recoverySnapshotID") for one in call["request"]["sourceServers"]}
    assert asked == {chosen: snapshot["snapshotID"], latest: None}
    assert run.servers()[chosen]["pointInTime"][:19] == snapshot["timestamp"][:19]
    assert run.servers()[latest]["pointInTime"] > run.servers()[chosen]["pointInTime"]
