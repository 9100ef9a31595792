"""A hundred executions at once on one worker (S002 6.3 asks for ten; issue 3 "Load"). `make load` prints the same."""

from __future__ import annotations

from pathlib import Path

from chaos import Weather, options_for
from load import bear
from verdict import judge


def test_a_hundred_executions_at_once(tmp_path: Path) -> None:
    """NFR-1.1, NFR-2.4, issue 3 "Load": every outcome is the right one, nothing launched twice, no lock left."""
    load, evidence = bear(100, 1, options_for(tmp_path, Weather()))
    print("\n".join(load.lines(evidence)))
    assert len(evidence.runs) == 100
    violations = judge(evidence)
    assert not violations, violations
    assert {run.expected.status for run in evidence.runs} == {"COMPLETED", "PARTIAL", "FAILED", "CANCELLED"}
    assert load.per_execution() < 4 * 1024 * 1024, f"{load.per_execution():.0f} bytes an execution"
