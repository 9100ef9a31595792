"""The command line of the local stack: strict MiniStack, the DRS simulator and workers, deployed from the contract.

    python3 local/stack.py up | down | status | env

Everything a stack is lives under its directory (`.local`): `stack.json` says which processes belong to it, `env` is for
sourcing, `logs/` holds what they print. `up` is repeatable: it starts what is not running and deploys what differs.
`down` stops what `stack.json` names and nothing else. Relative paths are taken from the checkout.

In a Python script or test use the class instead: `with Stack(Options(dir=..., ministack_port=0)) as stack: ...`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

if __name__ == "__main__":
    # The pinned environment, whatever Python this was called with; it takes milliseconds when there is nothing to do.
    checkout = Path(__file__).resolve().parent.parent
    sys.path[0] = str(checkout)
    if Path(sys.prefix).resolve() != (checkout / ".venv").resolve():
        if subprocess.run([str(checkout / "local" / "venv.sh")]).returncode != 0:
            sys.exit(1)
        venv_python = str(checkout / ".venv" / "bin" / "python")
        os.execv(venv_python, [venv_python, *sys.argv])

from local import processes
from local.lifecycle import Options, Stack, StackError
from local.state import DamagedState

__all__ = ["Options", "Stack", "StackError"]


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(description="The local stack: MiniStack, the DRS simulator and workers.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what is not running, deploy what differs")
    down = commands.add_parser("down", help="stop what `up` has started")
    status = commands.add_parser("status", help="what runs, and where; exit code 3 when something does not")
    env = commands.add_parser("env", help='print the environment: eval "$(python3 local/stack.py env)"')
    status.add_argument("--json", action="store_true", help="for programs")
    for command in (up, down, status, env):
        command.add_argument("--dir", type=Path, default=default.dir, help="of this stack, default %(default)s")

    def port(name: str, otherwise: int) -> None:
        variable = f"TIDEGATE_{name.upper()}_PORT"
        up.add_argument(
            f"--{name}-port", type=int, default=os.environ.get(variable, otherwise), metavar="N",
            help=f"default {otherwise}, or {variable}; 0 = any free one",
        )  # fmt: skip

    port("ministack", default.ministack_port)
    port("simulator", default.simulator_port)
    up.add_argument("--prefix", default=default.prefix, help="of every resource name, default %(default)s")
    up.add_argument("--region", default=default.region, help="default %(default)s")
    up.add_argument("--contract", type=Path, default=default.contract, help="default %(default)s")
    up.add_argument("--plans", type=Path, default=default.plans, help="folder of plans to load, default %(default)s")
    up.add_argument("--bin-dir", type=Path, default=default.bin_dir, help="of the binaries, default %(default)s")
    up.add_argument("--inventory", type=Path, default=default.inventory, help="of the simulator, default %(default)s")
    up.add_argument("--scenario", type=Path, default=default.scenario, help="of the simulator: its faults")
    up.add_argument("--speed", type=float, default=default.speed, help="of the simulator, default %(default)g times")
    up.add_argument("--seed", type=int, default=default.seed, help="of the simulator, default %(default)s")
    up.add_argument("--wait-scale", type=float, default=default.wait_scale,
                    help="of Wait states and Retry pauses, never of timeouts, default %(default)s")  # fmt: skip
    up.add_argument("--workers", type=int, default=default.workers, help="worker processes, default %(default)s")
    up.add_argument("--simulator", action=argparse.BooleanOptionalAction, default=True, help="run the DRS simulator")
    up.add_argument("--strict", action=argparse.BooleanOptionalAction, default=True,
                    help="make Step Functions behave as on AWS")  # fmt: skip
    up.add_argument("--deploy", action=argparse.BooleanOptionalAction, default=True,
                    help="--no-deploy: the engines alone, without workers, for Terraform to deploy to")  # fmt: skip
    up.add_argument("--foreground", action="store_true", help="stay, and take the stack down on Ctrl-C or SIGTERM")
    up.add_argument("--die-with-parent", action="store_true",
                    help="as --foreground, and also when the caller dies (Linux)")  # fmt: skip
    return parser


def main() -> int:
    arguments = vars(_parser().parse_args())
    command, as_json = arguments.pop("command"), arguments.pop("json", False)
    foreground = arguments.pop("foreground", False) or arguments.get("die_with_parent", False)
    stack = Stack(Options(**arguments), report=lambda line: print(line, flush=True))
    try:
        if command == "up":
            return _stay(stack) if foreground else _up(stack)
        if command == "down":
            print("stopped" if stack.down() else "nothing was running")
            return 0
        if command == "status":
            return _status(stack, as_json)
        return _env(stack)
    except (StackError, DamagedState) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1


def _up(stack: Stack) -> int:
    stack.up()
    print(f"ready; use it with: . {os.path.relpath(stack.options.dir)}/env")
    return 0


def _stay(stack: Stack) -> int:
    ended = threading.Event()

    def end(number: int, frame: object) -> None:
        # While `up` still runs, this makes it take back what it has started.
        ended.set()
        raise KeyboardInterrupt

    parent = os.getppid()
    if stack.options.die_with_parent:
        processes.tie_to_parent(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if os.getppid() != parent:
        return 1  # the caller died before the kernel knew it matters
    try:
        _up(stack)
        ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stack.down()
    return 0


def _status(stack: Stack, as_json: bool) -> int:
    members = stack.status()
    if as_json:
        listing = [
            {"name": name, "pid": member.identity.pid, "url": member.url, "running": member.running}
            for name, member in members.items()
        ]
        print(json.dumps(listing))
    else:
        for name, member in members.items():
            print(f"{name:<10} {member.url}  {'running' if member.running else 'DEAD'}, pid {member.identity.pid}")
        if not members:
            print("nothing is running")
    return 0 if members and all(member.running for member in members.values()) else 3


def _env(stack: Stack) -> int:
    path = stack.options.dir / "env"
    if not path.exists():
        raise StackError(f"there is no {path}; `up` first")
    print(path.read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
