"""The small storm of `make test`; `make chaos` is the large one. Own stack, free ports, every process stopped by pid."""

from __future__ import annotations

from pathlib import Path

from chaos import Weather, options_for, spend, tell
from evidence import repairs
from verdict import judge

SMALL = Weather(kills=10, terms=3, stops=3, seconds=8.0, at_once=30, workers=2)


def test_a_small_storm_breaks_no_promise(tmp_path: Path) -> None:
    """Issue 3.4, c-46, Risk-3, NFR-1.1: kill -9, SIGTERM and SIGSTOP of real workers; nothing twice, nothing lost."""
    lines: list[str] = []
    evidence = spend(SMALL, options_for(tmp_path, SMALL), lines.append)
    violations = judge(evidence)
    print("\n".join([*lines, *tell(SMALL, evidence, violations, 0.0)]))
    assert not violations, violations
    # The storm was one: it struck as often as it should, and it cost tasks.
    fates = evidence.workers.values()
    assert sum(fate.killed is not None for fate in fates) == SMALL.kills
    assert sum(fate.terminated is not None for fate in fates) == SMALL.terms
    assert sum(len(fate.frozen) for fate in fates) == SMALL.stops
    assert {repair.by for repair in repairs(evidence)} & {"kill in hand", "kill, open poll"}
    assert any(fate.received for fate in fates if fate.terminated is not None), "no SIGTERM met a worker with tasks"
    assert any(fate.received for fate in fates if fate.frozen), "no SIGSTOP met a worker with tasks"
    assert len(evidence.runs) >= SMALL.at_once and evidence.starts and evidence.terminations
