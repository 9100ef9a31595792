"""The watched local stack of a test process, as the end-to-end tests and the attacks of tests/security have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
