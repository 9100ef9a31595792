"""Who holds nothing but `start` of operator-policies: StartExecution on the recovery machine, which is also the right to continue.

Attack: continue somebody else's failed drill, whose instances are kept or held, with keepInstances off or a hold of nothing. The
instances were gone when the continuation ended, and nobody had been asked. Now it pauses before it goes on, its record keeps the old
terms, and only an answer at a gate puts the new ones into force (ADR 0021). `start` may answer no gate: tests/rights/test_forgers.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from lab import Fleet, Lab, wave
from run import Run, Starter


def failed_drill(lab: Lab, start: Starter, options: dict[str, Any]) -> tuple[Run, Fleet]:
    """A drill of the victim's: one server of two failed, the other's instance is up."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[1], "rawError": "no capacity", "count": 1})
    run = start(lab.plan(wave(fleet, timeoutSeconds=600)), initiatedBy="victim", options=options)
    run.wait_status("FAILED")
    assert len(lab.recovery_instances(fleet)) == 1
    return run, fleet


def mallory(start: Starter, victim: Run, options: dict[str, Any]) -> Run:
    return start.raw({"continueExecution": victim.id, "initiatedBy": "mallory", "options": options})


@pytest.mark.parametrize(
    ("kept", "asked"),
    [({"keepInstances": True}, {"keepInstances": False}), ({"holdSeconds": 600}, {"holdSeconds": 0})],
    ids=["kept", "held"],
)
def test_nothing_goes_before_somebody_has_answered(lab: Lab, start: Starter, kept: dict[str, Any], asked: dict[str, Any]) -> None:
    victim, fleet = failed_drill(lab, start, kept)
    before = set(lab.recovery_instances(fleet))
    run = mallory(start, victim, asked)
    run.gate()
    record = run.record()
    assert record["weakened"] == {"holdSeconds": 0, "keepInstances": False}
    assert (record["keepInstances"], record["holdSeconds"]) == (kept.get("keepInstances", False), kept.get("holdSeconds", 0))
    assert set(lab.recovery_instances(fleet)) == before and not lab.jobs(fleet, "TERMINATE")
    lab.sfn.stop_execution(executionArn=run.arn)


def test_declined_it_leaves_what_was_kept(lab: Lab, start: Starter) -> None:
    victim, fleet = failed_drill(lab, start, {"keepInstances": True})
    victim.end("FAILED", error="Tidegate.RecoveryFailed")
    before = set(lab.recovery_instances(fleet))
    run = mallory(start, victim, {"keepInstances": False})
    run.decline(error="No", cause="they are wanted")
    record = run.end("CANCELLED")
    assert not record["outcome"]["cleanupDue"] and "cleanup" not in record
    assert set(lab.recovery_instances(fleet)) == before and not lab.jobs(fleet, "TERMINATE")


def test_an_approver_may_let_them_go(lab: Lab, start: Starter) -> None:
    victim, fleet = failed_drill(lab, start, {"keepInstances": True})
    victim.end("FAILED", error="Tidegate.RecoveryFailed")
    run = mallory(start, victim, {"keepInstances": False})
    run.answer({"approvedBy": "maria"})
    assert run.end("COMPLETED")["cleanup"]["status"] == "COMPLETED"
    assert not lab.recovery_instances(fleet)


def test_as_much_or_more_needs_no_answer(lab: Lab, start: Starter) -> None:
    victim, fleet = failed_drill(lab, start, {"keepInstances": True})
    victim.end("FAILED", error="Tidegate.RecoveryFailed")
    run = mallory(start, victim, {})
    record = run.end("COMPLETED")
    assert record["keepInstances"] and "weakened" not in record and len(lab.recovery_instances(fleet)) == 2
