"""Attacks on a local stack, each under the least right that makes it possible. The stack and what drives it are those of the
end-to-end tests.

Run them with `.venv/bin/python -m pytest tests/security -n 2`; the binaries must be built.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e")]

from fixtures import lab, shared, start  # noqa: F401
