"""A drill from nothing to its report: a private stack, one worker, one execution, followed to its end.

    make drill [PLAN=crm] [TYPE=RECOVERY] [SCENARIO=region-down] [SPEED=120] [APPROVE=ask] [KEEP_STACK=1]

or `python3 local/drill.py --help`. The stack lives in a fresh folder of its own under `.local/`, on free ports, so that
any number of drills, and a stack of `make local-up`, run side by side. It is stopped at the end, however that comes
about; its logs stay. The exit code is 0 only if `tidegate watch` says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    # The pinned environment, whatever Python this was called with; it takes milliseconds when there is nothing to do.
    sys.path[0] = str(CHECKOUT)
    if Path(sys.prefix).resolve() != (CHECKOUT / ".venv").resolve():
        if subprocess.run([str(CHECKOUT / "local" / "venv.sh")]).returncode != 0:
            sys.exit(1)
        venv_python = str(CHECKOUT / ".venv" / "bin" / "python")
        os.execv(venv_python, [venv_python, *sys.argv])

from local import binaries
from local.stack import Options, Stack, StackError
from local.state import DamagedState, private_folder

SCENARIOS = CHECKOUT / "simulator" / "scenarios"
DRILLS = CHECKOUT / ".local"
DEFAULT_SPEED = 120.0  # three waves of 20 minutes each in under a minute, slow enough to watch
KEPT_LOGS = 5  # folders of earlier drills
STARTER = "make drill"
INTERRUPTED = 130


class DrillFailed(Exception):
    """Why, in one line."""


@dataclass(frozen=True)
class Settings:
    plan: str
    execution_type: str
    scenario: Path | None
    speed: float
    approve: str
    decide: str
    keep_stack: bool
    bin_dir: Path


def main() -> int:
    settings = _settings()
    # SIGTERM ends a drill as Ctrl-C does: through the `finally` that stops the stack.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _drill(settings)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except (DrillFailed, StackError, DamagedState) as error:
        print(f"drill: {error}", file=sys.stderr, flush=True)
        return 1


def _settings() -> Settings:
    def given(name: str, otherwise: str) -> str:
        # `make` exports what the caller left out as an empty text.
        return os.environ.get(name) or otherwise

    parser = argparse.ArgumentParser(description="Run one execution on a private local stack, from start to report.")
    parser.add_argument("--plan", default=given("PLAN", "crm"), help="a stored plan, default %(default)s (PLAN)")
    parser.add_argument(
        "--type", default=given("TYPE", "DRILL"), type=str.upper, choices=["DRILL", "RECOVERY"],
        help="default %(default)s (TYPE)",
    )  # fmt: skip
    parser.add_argument("--scenario", default=given("SCENARIO", ""), help="faults: a name or a file (SCENARIO)")
    parser.add_argument(
        "--speed", type=float, default=given("SPEED", str(DEFAULT_SPEED)),
        help="times faster than AWS, default %(default)s (SPEED)",
    )  # fmt: skip
    parser.add_argument(
        "--approve", default=given("APPROVE", "auto"), choices=["auto", "ask"],
        help="at gates, default %(default)s (APPROVE)",
    )  # fmt: skip
    parser.add_argument(
        "--decide", default=given("DECIDE", "abort"), choices=["retry", "skip", "continue", "abort"],
        help="with --approve auto: about a wave that failed, default %(default)s (DECIDE)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-stack", action="store_true", default=bool(os.environ.get("KEEP_STACK")),
        help="leave the stack running afterwards (KEEP_STACK=1)",
    )  # fmt: skip
    parser.add_argument(
        "--bin-dir", type=Path, default=binaries.folder(), help="of the binaries, default %(default)s"
    )  # fmt: skip
    chosen = parser.parse_args()
    if chosen.speed <= 0:
        parser.error("--speed must be more than 0")
    try:
        scenario = find_scenario(chosen.scenario)
    except DrillFailed as error:
        parser.error(str(error))
    return Settings(
        plan=chosen.plan,
        execution_type=chosen.type,
        scenario=scenario,
        speed=chosen.speed,
        approve=chosen.approve,
        decide=chosen.decide,
        keep_stack=chosen.keep_stack,
        bin_dir=chosen.bin_dir,
    )


def find_scenario(given: str) -> Path | None:
    """The scenario of this name, or the file at this path; None when nothing is asked for."""
    if not given:
        return None
    by_name = SCENARIOS / f"{given}.json"
    for path in (by_name, Path(given)):
        if path.is_file():
            return path.resolve()
    known = ", ".join(sorted(path.stem for path in SCENARIOS.glob("*.json"))) or "none"
    raise DrillFailed(f"there is no scenario {given}; there are {known}, and any file by its path")


def _drill(settings: Settings) -> int:
    tidegate = settings.bin_dir / "tidegate"
    if not os.access(tidegate, os.X_OK):
        raise DrillFailed(f"{tidegate} is missing; build it with `make build`")
    if settings.approve == "ask" and not sys.stdin.isatty():
        raise DrillFailed("APPROVE=ask needs a terminal; leave it out to approve by itself")
    private_folder(DRILLS)
    _forget_old_logs()
    folder = Path(tempfile.mkdtemp(prefix=time.strftime("drill-%Y%m%d-%H%M%S-"), dir=DRILLS))
    stack = Stack(
        Options(
            dir=folder,
            ministack_port=0,
            simulator_port=0,
            scenario=settings.scenario,
            speed=settings.speed,
            bin_dir=settings.bin_dir,
            workers=1,
            die_with_parent=not settings.keep_stack,
        ),
        report=_say,
    )
    shown = os.path.relpath(folder)
    faults = f" with {settings.scenario.name}" if settings.scenario else ""
    _say(f"a private stack at {settings.speed:g} times the speed of AWS{faults}")
    if settings.scenario and (story := _story(settings.scenario)):
        _say(story)
    try:
        stack.up()
        return _run(tidegate, settings, stack.environment())
    finally:
        _end(stack, settings, shown)


def _story(scenario: Path) -> str:
    """What a scenario says of itself; one that cannot be read is the simulator's to complain about."""
    try:
        return str(json.loads(scenario.read_text()).get("description", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _end(stack: Stack, settings: Settings, shown: str) -> None:
    if settings.keep_stack and stack.status():
        _say(f"the stack is left running: . {shown}/env; stop it with: python3 local/stack.py down --dir {shown}")
    else:
        # A second Ctrl-C must not leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stack.down()
        _say("the stack is stopped")
    _say(f"logs: {shown}/logs")


def _run(tidegate: Path, settings: Settings, stack_environment: Mapping[str, str]) -> int:
    environment = _environment(stack_environment)
    began = time.monotonic()
    name = _start(tidegate, settings, environment)
    watch = [str(tidegate), "watch", name, "--approve", settings.approve, "--by", STARTER]
    if settings.approve == "auto":
        watch += ["--decide", settings.decide]
    code = _call(watch, environment)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    seconds = time.monotonic() - began
    print(flush=True)
    shown = _call([str(tidegate), "show", name], environment)
    print(flush=True)
    if code != 0:
        raise DrillFailed(_why(tidegate, name, environment))
    if shown != 0:
        raise DrillFailed(f"tidegate show {name} failed with exit code {shown}")
    _say(f"{name} is COMPLETED, in {seconds:.0f} s")
    return 0


def _why(tidegate: Path, name: str, environment: Mapping[str, str]) -> str:
    """The reason on record, in one line; a run that never got one is told apart by its status."""
    told = subprocess.run(
        [str(tidegate), "show", name, "--json"], env=dict(environment), stdout=subprocess.PIPE, text=True
    )
    try:
        record = json.loads(told.stdout)["record"]
        cleanup = record.get("cleanup") or {}
        cause = (record.get("outcome") or {}).get("cause") or cleanup.get("error") or "no outcome on record"
        return f"{name} ended {record['status']}: {cause.splitlines()[0]}"
    except (ValueError, KeyError, IndexError):
        return f"{name} did not end COMPLETED; what watch said is above"


def _start(tidegate: Path, settings: Settings, environment: Mapping[str, str]) -> str:
    arguments = ["start", "--plan", settings.plan, "--type", settings.execution_type.lower(), "--by", STARTER]
    if settings.execution_type == "RECOVERY":
        arguments.append("--yes")
    _say(shlex.join(["tidegate", *arguments]))
    started = subprocess.run([str(tidegate), *arguments], env=dict(environment), stdout=subprocess.PIPE, text=True)
    if started.returncode != 0:
        raise DrillFailed("the execution was not started, its reason is above")
    name = started.stdout.strip()
    _say(f"started {name}")
    return name


def _call(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """In the foreground, on our own terminal. Ctrl-C reaches both of us, so its end is waited for in any case."""
    process = subprocess.Popen(list(command), env=dict(environment))
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()  # SIGTERM came to us alone
        process.wait()
        raise


def _environment(stack: Mapping[str, str]) -> dict[str, str]:
    """The caller's, but for what points at another AWS or another deployment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TIDEGATE_"))}
    return {**kept, **stack}


def _forget_old_logs() -> None:
    folders = sorted(path for path in DRILLS.glob("drill-*") if path.is_dir())
    for folder in folders[:-KEPT_LOGS]:
        # A stack that runs, or was killed and may be looked at still, has this file.
        if not (folder / "stack.json").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    print(f"drill: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
