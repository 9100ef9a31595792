"""How a process of the local stack is started, recognised and stopped.

A pid alone does not identify a process: it is given out again, after a crash or a reboot quickly so. Pid and start time
together do, so that is what the state file holds and what is compared before any signal is sent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_TAIL_LINES = 15


class ProcessFailed(Exception):
    """A process ended or did not become ready. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class ProcessIdentity:
    pid: int
    start_time: str

    def running(self) -> bool:
        return start_time_of(self.pid) == self.start_time


def start_time_of(pid: int) -> str | None:
    """When the process with this pid started, in the system's own words; None when there is none (or only a zombie)."""
    if sys.platform != "linux":
        answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
        state, _, started = answer.stdout.strip().partition(" ")
        return started.strip() if started and not state.startswith("Z") else None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold anything; what follows it is state (field 3) ... start time in ticks (field 22).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def spawn(
    argv: Sequence[str], environment: Mapping[str, str], log: Path, *, die_with_parent: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C in the terminal of the caller does not reach it."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        return subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tie_to_parent if die_with_parent else None,
        )


# Loaded here and not in the child: between fork and exec, nothing may take a lock.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tie_to_parent(deadly_signal: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies, however that happens. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(deadly_signal), 0, 0, 0)


def identify(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    started = start_time_of(process.pid)
    # A process that has ended already gets an identity nobody has, and shows as dead.
    return ProcessIdentity(process.pid, started or "ended")


def stop(identities: Sequence[ProcessIdentity], grace_seconds: float) -> None:
    """Ask all to end, wait, and kill those that have not. Each leads its own process group, so children go along."""
    for wanted_signal, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        alive = [identity for identity in identities if identity.running()]
        if not alive:
            break
        for identity in alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(identity.pid, wanted_signal)
        wait_until(lambda alive=alive: not any(identity.running() for identity in alive), seconds)
    for identity in identities:
        # Our own children stay in the process table until asked for; others are the init process's business.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(identity.pid, os.WNOHANG)


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def wait_ready(
    name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], timeout: float, log: Path
) -> None:
    """Return once `ready` holds; raise with the tail of the log when the process ends first or time runs out."""
    settled = wait_until(lambda: process.poll() is not None or ready(), timeout)
    if process.poll() is not None:
        raise ProcessFailed(f"{name} ended with status {process.returncode} while starting{tail(log)}")
    if not settled:
        raise ProcessFailed(f"{name} was not ready after {timeout:g} s{tail(log)}")


def tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    except OSError:
        return ""
    return "".join(f"\n  | {line}" for line in [f"{log}:", *lines])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connection is still in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
