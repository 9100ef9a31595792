"""What a wave's failure means: abort, continue, gate, importance, minLaunched, timeout (S002 PARTIAL; lesson c-10)."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Fleet, Lab, wave
from run import Run, Starter


def failing(lab: Lab, count: int = 1, times: int | None = None) -> Fleet:
    """Servers whose first one fails to launch, always or so many times."""
    fleet = lab.fleet(count)
    limits = {} if times is None else {"count": times}
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity", **limits})
    return fleet


def statuses(run: Run) -> list[str]:
    return [one["status"] for one in run.waves()]


def test_abort_ends_the_run_and_skips_the_rest(lab: Lab, start: Starter) -> None:
    """FR-5.1, Risk-4: the default. Nothing after the failed wave starts; the outcome names server and reason."""
    later = lab.fleet()
    run = start(lab.plan(lab.fleet(), failing(lab, 2), later))
    record = run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert statuses(run) == ["COMPLETED", "FAILED", "SKIPPED"]
    assert record["outcome"]["reason"] == "ABORTED_BY_POLICY" and "no capacity" in record["outcome"]["cause"]
    assert (record["completedWaves"], record["failedWaves"]) == (1, 1) and not lab.jobs(later)


def test_continue_goes_on_and_ends_partial(lab: Lab, start: Starter) -> None:
    """S002 finalize: a failed server never ends COMPLETED."""
    run = start(lab.plan(wave(failing(lab), onFailure="continue"), lab.fleet()))
    record = run.end("PARTIAL")
    assert statuses(run) == ["FAILED", "COMPLETED"] and (record["completedWaves"], record["failedWaves"]) == (1, 1)


def test_continue_with_nothing_recovered_is_failed(lab: Lab, start: Starter) -> None:
    """PARTIAL means that something is up."""
    run = start(lab.plan(wave(failing(lab), onFailure="continue"), wave(failing(lab), onFailure="continue")))
    record = run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert record["report"]["launched"] == 0


def test_retry_launches_again_only_what_failed(lab: Lab, start: Starter) -> None:
    """A retried wave that succeeds is COMPLETED; servers that run are not launched twice (c-14)."""
    fleet = failing(lab, 2, times=1)
    run = start(lab.plan(wave(fleet, onFailure="gate"), lab.fleet()))
    gate = run.gate()
    assert gate["kind"] == "DECISION" and "retry" in gate["reason"]
    run.answer("retry")
    run.end("COMPLETED")
    assert statuses(run) == ["COMPLETED", "COMPLETED"] and run.waves()[0]["attempt"] == 2
    asked = [
        [one["sourceServerID"] for one in call["request"]["sourceServers"]]
        for call in lab.journal("StartRecovery", fleet)
    ]
    assert asked == [fleet.ids, fleet.ids[:1]]
    assert ("DECIDED", 1) in run.events()
    server = run.servers()[fleet.ids[0]]
    assert server["attempt"] == 2 and not server.get("error")
    assert [one["status"] for one in server["transitionHistory"]][-1] == "LAUNCHED"


DECISIONS = [
    pytest.param("skip", "SKIPPED", "PARTIAL", id="skip"),
    pytest.param({"decision": "skip"}, "SKIPPED", "PARTIAL", id="skip-object"),
    pytest.param({"decision": "continue", "comment": "fix it tomorrow"}, "FAILED", "PARTIAL", id="continue"),
    pytest.param("abort", "FAILED", "FAILED", id="abort"),
]


@pytest.mark.parametrize(("answer", "wave_status", "outcome"), DECISIONS)
def test_decisions_at_a_failed_wave(lab: Lab, start: Starter, answer: Any, wave_status: str, outcome: str) -> None:
    """FR-7.5, NFR-4.1: the state machine decides by the person's word."""
    run = start(lab.plan(wave(failing(lab), onFailure="gate"), lab.fleet()))
    run.answer(answer)
    record = run.end(outcome, error="Tidegate.RecoveryFailed")
    assert statuses(run) == [wave_status, "SKIPPED" if answer == "abort" else "COMPLETED"]
    if answer == "abort":
        assert record["outcome"]["reason"] == "ABORTED_BY_OPERATOR"


@pytest.mark.parametrize("nonsense", ["maybe", {}, 7, None, {"decision": 3}, {"decision": None}], ids=repr)
def test_nonsense_at_a_decision_gate_opens_it_again(lab: Lab, start: Starter, nonsense: Any) -> None:
    """A gate is left by a decision only; the new one has a token of its own."""
    run = start(lab.plan(wave(failing(lab), onFailure="gate")))
    token = run.answer(nonsense)
    gate = run.gate(other_than=token)
    assert "not a decision" in gate["reason"] and run.record()["status"] == "PAUSED"
    run.answer("abort")
    run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert [event for event, _ in run.events()].count("DECISION_NEEDED") == 2


def test_an_optional_server_may_fail(lab: Lab, start: Starter) -> None:
    """S002: any failed server makes the wave and the run PARTIAL, also one the wave can do without."""
    fleet = failing(lab, 3)
    group = fleet.group(serverOptions={fleet.ids[0]: {"importance": "optional"}})
    run = start(lab.plan(wave(group), lab.fleet()))
    record = run.end("PARTIAL")
    assert statuses(run) == ["PARTIAL", "COMPLETED"]
    assert record["completedWaves"] == 2 and record["report"]["failed"] == 1
    assert "no capacity" in run.servers()[fleet.ids[0]]["error"]


@pytest.mark.parametrize(("minimum", "outcome"), [(2, "PARTIAL"), ("60%", "PARTIAL"), ("100%", "FAILED")])
def test_min_launched_decides(lab: Lab, start: Starter, minimum: Any, outcome: str) -> None:
    """minLaunched, as a count and as a share, over the servers of the wave."""
    run = start(lab.plan(wave(failing(lab, 3), minLaunched=minimum)))
    run.end(outcome, error="Tidegate.RecoveryFailed")
    assert statuses(run) == [outcome]


def test_a_server_that_never_launches_ends_with_its_wave(lab: Lab, start: Starter) -> None:
    """Never a hang: at timeoutSeconds unfinished servers fail, and the job that may still run is named."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "stuck", "sourceServerId": fleet.ids[0]})
    run = start(lab.plan(wave(fleet, timeoutSeconds=6)), "RECOVERY")
    run.end("FAILED", error="Tidegate.RecoveryFailed")
    (job,) = lab.jobs(fleet)
    assert job["status"] == "STARTED"
    error = run.servers()[fleet.ids[0]]["error"]
    assert "6 s" in error and job["jobID"] in error
    assert run.servers()[fleet.ids[1]]["launchStatus"] == "LAUNCHED"


def test_a_launch_without_a_word_names_the_usual_reason(lab: Lab, start: Starter) -> None:
    """c-38: a missing EC2 permission shows as no LAUNCH event at all; the record says what to look for."""
    fleet = lab.fleet()
    lab.fault({"fault": "silentNoLaunch", "sourceServerId": fleet.ids[0]})
    run = start(fleet)
    record = run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert "EC2 permission" in record["outcome"]["cause"]
