"""What a stack remembers of itself between two calls: `stack.json` in its directory.

It is written before each process is ready, so that whatever happens to `up`, `down` finds what it has started.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.processes import ProcessIdentity


class DamagedState(Exception):
    """The state file is not one of ours, or half of one."""


@dataclass
class Member:
    """One process of the stack, as `stack.json` remembers it."""

    identity: ProcessIdentity
    url: str

    @property
    def running(self) -> bool:
        return self.identity.running()


@dataclass
class State:
    options: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> State:
    if not path.exists():
        return State()
    try:
        stored = json.loads(path.read_text())
        members = {
            name: Member(ProcessIdentity(int(entry["pid"]), str(entry["startTime"])), str(entry["url"]))
            for name, entry in stored["processes"].items()
        }
        return State(dict(stored["options"]), members, dict(stored["environment"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedState(f"{path} is damaged ({error!r}); stop its processes and remove it") from error


def save(path: Path, state: State) -> None:
    stored = {
        "options": state.options,
        "processes": {
            name: {"pid": member.identity.pid, "startTime": member.identity.start_time, "url": member.url}
            for name, member in state.members.items()
        },
        "environment": state.environment,
    }
    write(path, json.dumps(stored, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file. For its owner alone: it may hold an environment."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def private_folder(path: Path) -> None:
    """A folder that other users of this computer cannot look into: environments, logs and ledgers lie there. One that was
    there before, and is not the checkout's `.local`, may hold what is not ours to hide.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.name == ".local":
        path.chmod(0o700)
