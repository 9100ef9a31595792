"""Several executions and several workers at once (S002 6.3, NFR-1.2, NFR-1.3)."""

from __future__ import annotations

from lab import Lab, wave
from run import Starter


def test_the_same_plan_runs_once_at_a_time(lab: Lab, start: Starter) -> None:
    """NFR-1.3, TC-2.2, Risk-2: the second start names the first; the first one does not notice."""
    plan = lab.plan(lab.fleet(2), wave(lab.fleet(), pauseBeforeWave=True))
    lab.store_plan(plan)
    first = start(plan["planId"])
    first.wait_status("PAUSED")
    held = sorted(first.held_locks())
    assert len(held) == 3
    second = start(plan["planId"])
    cause = second.refused("Tidegate.Conflict")
    assert first.id in cause and not second.held_locks() and sorted(first.held_locks()) == held
    first.answer({})
    first.end("COMPLETED")
    third = start(plan["planId"])
    third.answer({})
    third.end("COMPLETED")


def test_one_shared_server_is_enough_to_conflict(lab: Lab, start: Starter) -> None:
    """NFR-1.3: locks are by server, not by plan, and a refused run keeps none of the others."""
    shared_server, other = lab.fleet(), lab.fleet()
    first = start(lab.plan(wave(shared_server, pauseBeforeWave=True)))
    first.wait_status("PAUSED")
    second = start(lab.plan(wave(other, shared_server)))
    assert shared_server.ids[0] in second.refused("Tidegate.Conflict")
    start(lab.plan(other)).end("COMPLETED")
    first.answer({})
    first.end("COMPLETED")


def test_two_starts_at_the_same_moment_launch_once(lab: Lab, start: Starter) -> None:
    """NFR-1.3, c-14: of two runs that begin together at most one gets the servers."""
    fleet = lab.fleet(3)
    runs = [start(lab.plan(fleet)) for _ in range(4)]
    won = []
    for run in runs:
        status = run.wait_until(lambda record: "endTime" in record, f"the end of {run.id}")["status"]
        won += [run] if status == "COMPLETED" else []
        run.end(status, error="Tidegate.Conflict")
    assert len(won) <= 1 and len(lab.jobs(fleet)) == len(won)


def test_ten_executions_at_once(lab: Lab, start: Starter) -> None:
    """S002 6.3, NFR-1.1: ten runs of two waves each, side by side, none mixed up with another."""
    plans = [lab.plan(lab.fleet(), lab.fleet()) for _ in range(10)]
    runs = [start(plan) for plan in plans]
    for run, plan in zip(runs, plans, strict=True):
        run.end("COMPLETED", seconds=150)
        named = [id for one in plan["waves"] for group in one["groups"] for id in group["sourceServerIds"]]
        assert sorted(run.servers()) == sorted(named)
    instances = [one["instanceId"] for run in runs for one in run.servers().values()]
    assert len(set(instances)) == len(instances) == 20
