"""All waves run, one after the other, and the status says so (US-2, US-3, US-4, T5.6, T5.7)."""

from __future__ import annotations

import pytest
from lab import Lab
from run import Starter


@pytest.mark.parametrize("count", [1, 3, 20])
def test_every_wave_of_a_plan_completes(lab: Lab, start: Starter, count: int) -> None:
    """TC-1.2, TC-3.1, Risk-1, T5.6 (one wave), AC-2.1, SM-1, T5.7, T5.11, T5.12 (three);
    AC-2.2..2.4, FR-4.1..4.3, FR-5.1..5.3, c-01, c-02."""
    fleets = [lab.fleet(2 if count < 20 else 1) for _ in range(count)]
    run = start(lab.plan(*fleets), initiatedBy="e2e")
    record = run.end("COMPLETED", seconds=120)

    waves = run.waves()
    assert [one["waveNumber"] for one in waves] == list(range(1, count + 1))
    assert {one["status"] for one in waves} == {"COMPLETED"}
    assert (record["totalWaves"], record["completedWaves"], record["currentWave"]) == (count, count, count)
    assert [wave for event, wave in run.events() if event == "WAVE_CLOSED"] == list(range(1, count + 1))
    assert run.watch.statuses[-2:] == ["POLLING", "COMPLETED"]
    assert all(len(lab.jobs(fleet)) == 1 for fleet in fleets), "one StartRecovery per wave"
    report = record["report"]
    assert report["launched"] == report["servers"] == sum(len(fleet.ids) for fleet in fleets)
    assert record["initiatedBy"] == "e2e" and record["completedTime"] == record["endTime"]
