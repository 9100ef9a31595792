"""Where the binaries are: where cargo builds, unless `TIDEGATE_BIN_DIR` says otherwise."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
_METADATA = ("cargo", "metadata", "--format-version", "1", "--no-deps", "--offline")


@functools.cache
def folder() -> Path:
    """Cargo is asked and not guessed at: `CARGO_TARGET_DIR`, `CARGO_BUILD_TARGET_DIR` and the `build.target-dir` of any
    of its configuration files all move the target folder, and a relative one counts from where cargo runs."""
    named = os.environ.get("TIDEGATE_BIN_DIR")
    if named:
        return Path(named).absolute()
    try:
        told = subprocess.run(_METADATA, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        target = Path(json.loads(told.stdout)["target_directory"])
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError):
        target = CHECKOUT / "target"  # no cargo here: what is built came from elsewhere
    return target / "debug"
