"""The workers of a chaos run: real `tidegate-worker` processes, hired, killed, drained, frozen, and what became of them.

Every process is started and signalled by this module alone, by pid, and reaped by it, so no pid is ever signalled after
it could belong to somebody else. It judges nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import processes
from local.lifecycle import APPLICATION, WORKER


@dataclass
class Member:
    """One worker process and what was done to it; times are of the wall clock, as the engine's history has them."""

    name: str  # as it names itself in the execution history: host and pid
    process: subprocess.Popen[bytes]
    log: Path
    hired: float
    killed: float | None = None
    terminated: float | None = None
    frozen: list[tuple[float, float]] = field(default_factory=list)
    frozen_since: float | None = None
    exited: float | None = None
    exit_code: int | None = None

    @property
    def active(self) -> bool:
        """It takes new tasks: it lives, is not frozen and has not been told to go."""
        return self.exited is None and self.terminated is None and self.frozen_since is None


class Crew:
    """So many active workers, replaced as they die. Hire from one thread only: each worker dies with that thread."""

    def __init__(
        self, binary: Path, environment: Mapping[str, str], logs: Path, size: int, **settings: str
    ) -> None:
        """`settings` are variables of the workers. One poller per activity unless they say otherwise: a dead worker's
        open polls each take one more task with them."""
        self._binary, self._logs, self._size = binary, logs, size
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            **environment,
            "TIDEGATE_HEALTH_ADDR": "127.0.0.1:0",
            "TIDEGATE_POLLERS": "1",
            APPLICATION: WORKER,
            **settings,
        }
        self.members: list[Member] = []

    def active(self) -> list[Member]:
        self.reap()
        return [member for member in self.members if member.active]

    def fill(self) -> None:
        """Hires until the crew is complete again."""
        while len(self.active()) < self._size:
            self.hire()

    def hire(self) -> Member:
        host = f"chaos-{len(self.members) + 1}"
        log = self._logs / f"worker-{host}.log"
        process = processes.spawn(
            [str(self._binary), "run"], {**self._environment, "HOSTNAME": host}, log, die_with_parent=True
        )
        member = Member(f"{host}-{process.pid}", process, log, time.time())
        self.members.append(member)
        return member

    def kill(self, member: Member) -> None:
        member.killed = time.time()
        member.process.send_signal(signal.SIGKILL)
        member.process.wait()
        self.reap()

    def terminate(self, member: Member) -> None:
        member.terminated = time.time()
        member.process.send_signal(signal.SIGTERM)

    def freeze(self, member: Member) -> None:
        member.process.send_signal(signal.SIGSTOP)
        member.frozen_since = time.time()

    def thaw(self, member: Member) -> None:
        if member.frozen_since is not None:
            member.frozen.append((member.frozen_since, time.time()))
            member.frozen_since = None
            member.process.send_signal(signal.SIGCONT)

    def reap(self) -> None:
        """Takes note of who has ended. A worker that ended unasked is evidence, not an error here."""
        for member in self.members:
            if member.exited is None and member.process.poll() is not None:
                member.exited, member.exit_code = time.time(), member.process.returncode

    def draining(self) -> list[Member]:
        self.reap()
        return [member for member in self.members if member.terminated is not None and member.exited is None]

    def resident_bytes(self) -> list[int]:
        """Resident memory of each active worker."""
        return [resident_bytes(member.process.pid) for member in self.active()]

    def disband(self) -> None:
        """Ends whoever is left. Nobody has a task in hand any more, or the run has failed anyway."""
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
                member.process.wait()


def resident_bytes(pid: int) -> int:
    """VmRSS of a process; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The JSON lines a worker has printed. The last line of a killed worker may be half a line."""
    lines = []
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines
