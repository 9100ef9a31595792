"""Puts the checkout and the end-to-end tests' stack (`lab.py`, `observer.py`) on the path; fixtures stay in the tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e")]


@pytest.fixture(scope="module", autouse=True)
def unrecorded() -> Iterator[None]:
    """These calls are those of the end-to-end tests, in Regions that no deployment recovers to: tests/rights asks of no one's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TIDEGATE_CALLS", raising=False)
        yield
