"""Puts the checkout and the end-to-end tests' stack (`lab.py`, `observer.py`) on the path; fixtures stay in the tests."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e")]
