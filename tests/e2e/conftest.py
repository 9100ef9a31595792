"""Shared by the end-to-end tests: one local stack per test process (pytest-xdist gives every worker its own), watched.

Run them with `.venv/bin/python -m pytest tests/e2e -n 4 --dist worksteal`; the binaries must be built.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from fixtures import lab, shared, start  # noqa: F401


# Tests of half a minute and more: each begins a share of its own, so that they overlap instead of queueing up at the end.
SLOW = (
    "test_a_small_storm",
    "test_a_zombie",
    "test_a_hundred_waves",
    "test_workers.py",
    # Keeps both processors busy for a minute: not beside test_workers.py, which measures handlers.
    "test_a_hundred_executions",
    "test_a_call_that_never_arrived",
    "test_every_wave",
    "test_throttling",
    "test_a_server_that_fails_back",
    "test_a_slow_answer_of_start_recovery",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With pytest-xdist (worksteal) every process gets an equal run of the list and later takes from others."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    here = [item for item in items if item.path.parent.name in ("e2e", "chaos")]
    slow = {name: [item for item in here if name in item.nodeid] for name in SLOW}
    first = {item for chosen in slow.values() for item in chosen}
    rest = [item for item in items if item not in first]
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for index, name in enumerate(SLOW):
        shares[index % workers] += slow[name]
    size = -(-len(items) // workers)
    for share in shares:
        room = max(0, size - len(share))
        share += rest[:room]
        del rest[:room]
    items[:] = [item for share in shares for item in share] + rest
