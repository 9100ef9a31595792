"""Attacks on a local stack, each under the least right that makes it possible. The stack and what drives it are those of the
end-to-end tests.

Run them with `.venv/bin/python -m pytest tests/security -n 2`; the binaries must be built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e")]

from bench import all_alive, start_stack, watched
from lab import Lab
from observer import Observer
from run import Starter


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Observer]]:
    yield from watched(start_stack(tmp_path_factory.mktemp("stack")))


@pytest.fixture
def lab(shared: tuple[Lab, Observer]) -> Iterator[Lab]:
    """The stack of this test process; faults end with the test."""
    all_alive(shared[0].stack)
    with shared[0].without_faults_afterwards() as lab:
        yield lab
        all_alive(lab.stack)


@pytest.fixture
def start(lab: Lab, shared: tuple[Lab, Observer]) -> Iterator[Starter]:
    starter = Starter(lab, shared[1])
    yield starter
    violations = starter.stop()
    assert not violations, violations
