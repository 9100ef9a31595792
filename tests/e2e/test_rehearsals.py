"""CHECK and DRY_RUN change nothing; sizes at the edge of what is accepted (FR-4.1, NFR-2.4, c-27)."""

from __future__ import annotations

import json

from lab import Lab, wait_for, wave
from run import Starter

MAX_STATE_BYTES = 256 * 1024


def test_a_check_writes_nothing_and_launches_nothing(lab: Lab, start: Starter) -> None:
    """S002, T6.x: mode CHECK answers with the resolved plan; no record, no lock, no mutating call."""
    fleet = lab.fleet(2)
    calls = lab.mutating_calls()
    run = start(lab.plan(fleet, wave(lab.fleet(), pauseBeforeWave=True)), mode="CHECK")
    wait_for(run.ended, "the end of the check")
    machine = run.machine()
    assert machine["status"] == "SUCCEEDED", machine
    output = json.loads(machine["output"])
    assert [one["serverCount"] for one in output["waves"]] == [2, 1] and output["mode"] == "CHECK"
    assert run.find_record() is None and not run.items() and not run.held_locks()
    assert lab.mutating_calls() == calls


def test_a_check_that_refuses_writes_nothing_either(lab: Lab, start: Starter) -> None:
    """NFR-1.2: a refused CHECK fails in Step Functions and leaves no record."""
    fleet = lab.fleet(replicationState="INITIAL_SYNC")
    run = start(fleet, mode="CHECK")
    wait_for(run.ended, "the end of the check")
    machine = run.machine()
    assert (machine["status"], machine["error"]) == ("FAILED", "Tidegate.PlanRefused") and fleet.ids[0] in machine[
        "cause"
    ]
    assert run.find_record() is None and not run.items() and not run.held_locks()


def test_a_dry_run_walks_the_machine_and_launches_nothing(lab: Lab, start: Starter) -> None:
    """T6.x (smoke run): gates and waves as in earnest, zero mutating calls, waves SKIPPED, record COMPLETED."""
    calls = lab.mutating_calls()
    run = start(lab.plan(lab.fleet(2), wave(lab.fleet(), pauseBeforeWave=True)), mode="DRY_RUN")
    run.answer({"approvedBy": "ana@example.com"})
    record = run.end("COMPLETED")
    assert {one["status"] for one in run.waves()} == {"SKIPPED"} and record["mode"] == "DRY_RUN"
    assert {one["launchStatus"] for one in run.servers().values()} == {"SKIPPED"}
    assert lab.mutating_calls() == calls


def test_a_hundred_waves_stay_within_the_limits(lab: Lab, start: Starter) -> None:
    """NFR-2.4, FR-4.1, c-27: 256 KiB of state and 25,000 events, with the longest names a plan may have."""
    fleet = lab.fleet(100)
    waves = [wave({"region": fleet.region, "sourceServerIds": [id]}, waveName="W" * 128) for id in fleet.ids]
    run = start(lab.plan(*waves), mode="DRY_RUN")
    record = run.end("COMPLETED", seconds=180)
    assert record["totalWaves"] == len(run.waves()) == 100
    history = run.history()
    sizes = [
        len(event.get(key, {}).get(what, ""))
        for event in history
        for key, what in (("stateExitedEventDetails", "output"), ("stateEnteredEventDetails", "input"))
    ]
    assert 10_000 < max(sizes) < MAX_STATE_BYTES / 2, f"largest state {max(sizes)} bytes"
    assert len(history) < 25_000 / 5, f"{len(history)} events without a single poll"


def test_three_hundred_servers_launch_as_three_jobs(lab: Lab, start: Starter) -> None:
    """S002 (one StartRecovery per wave, quota L-B827C881), AC-3A.7: a wave over the quota of a job is sharded."""
    fleet = lab.fleet(300, region="us-east-2")
    run = start(lab.plan(wave(fleet.tagged())), options={"keepInstances": True})
    run.end("COMPLETED", seconds=150)
    jobs = run.waves()[0]["jobs"]
    assert [one["participatingServers"] for one in jobs] == [100, 100, 100]
    assert len({one["jobId"] for one in jobs}) == 3 == len(lab.jobs(fleet))
    assert [len(shard["serverStatuses"]) for shard in run.shards()] == [100, 100, 100]
    servers = run.servers()
    assert sorted(servers) == fleet.ids and len({one["instanceId"] for one in servers.values()}) == 300
