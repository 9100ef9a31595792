"""Starts MiniStack with Step Functions in strict mode (see `local/engine`): `local/ministack_strict.py --port N`.

Everything else about MiniStack is as upstream ships it and is set by its own environment variables (SFN_WAIT_SCALE and
so on). Strict mode replaces functions inside one exact version, so it refuses to run on any other rather than guess.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import metadata
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from local.engine import PINNED_MINISTACK, IncompatibleEngine, install

# hypercorn waits this long for requests in flight when it is told to stop. The default of three seconds is only ever
# spent on long polls, whose tasks die with this process anyway.
_SHUTDOWN_SECONDS = 0.2


def _refuse(reason: str) -> None:
    sys.exit(
        f"ministack_strict: {reason}. Strict mode is written for ministack {PINNED_MINISTACK}: "
        "run local/venv.sh to install it, or start the stack with --no-strict."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="MiniStack with a Step Functions engine that behaves as on AWS.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=4566, help="port to listen on (default %(default)s)")
    parser.add_argument("--calls", type=Path, help="write each kind of call of a named caller to this file, once")
    options = parser.parse_args()

    try:
        installed = metadata.version("ministack")
    except metadata.PackageNotFoundError:
        _refuse("ministack is not installed")
        return
    if installed != PINNED_MINISTACK:
        _refuse(f"ministack {installed} is installed")
    if os.environ.get("SFN_MOCK_CONFIG") or os.environ.get("LOCALSTACK_SFN_MOCK_CONFIG"):
        _refuse("SFN_MOCK_CONFIG answers tasks without running them, which strict mode does not do")
    try:
        install()
    except IncompatibleEngine as reason:
        _refuse(str(reason))

    # Read by ministack.app when it is imported, hence before it.
    os.environ["BIND_HOST"], os.environ["GATEWAY_PORT"] = options.host, str(options.port)
    from hypercorn.config import Config
    from ministack import app

    from local.engine import access, browsers

    access.install(app, access.Ledger(options.calls) if options.calls else None)
    browsers.install(app)
    Config.graceful_timeout = _SHUTDOWN_SECONDS
    sys.argv = ["ministack"]  # its main() parses the command line again
    app.main()


if __name__ == "__main__":
    main()
