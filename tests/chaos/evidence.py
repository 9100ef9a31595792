"""What a chaos run leaves behind, in plain data, for `verdict.py` to judge and `figures.py` to count.

Nothing here talks to anybody (that is `gather.py`), so that the tests of the checker can write evidence by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Attempt:
    """One attempt of an activity task, from the engine's history. Times are seconds since the epoch; 0 = did not happen."""

    execution: str
    state: str
    number: int  # 1 for the first attempt since the state was entered
    scheduled: float
    started: float = 0.0
    worker: str = ""
    ended: float = 0.0
    end: str = ""  # succeeded, failed, timedOut; empty: cut off by the end of its execution
    error: str = ""

    @property
    def lost(self) -> bool:
        """Nobody answered it."""
        return self.end == "timedOut"


@dataclass
class WorkerFate:
    """What was done to a worker process, and what its log says of its tasks."""

    name: str
    killed: float | None = None
    terminated: float | None = None
    frozen: list[tuple[float, float]] = field(default_factory=list)
    exited: float | None = None
    exit_code: int | None = None
    started: bool = True  # it said so, and polls from then on
    received: list[str] = field(default_factory=list)  # hashes of the tokens of the tasks it took
    finished: dict[str, list[str]] = field(default_factory=dict)  # per hash, the answer's fate of each terminal event

    def frozen_during(self, since: float, until: float) -> bool:
        return any(start <= until and end >= since for start, end in self.frozen)

    def explains(self, lost: Attempt) -> bool:
        """Whether a kill or a freeze is why nobody answered. SIGTERM is never a reason."""
        killed = self.killed is not None and self.killed <= lost.ended
        return killed or self.frozen_during(lost.started, lost.ended)


@dataclass
class Expected:
    """What the plan of an execution must lead to."""

    kind: str
    status: str
    waves: list[str]  # the status each wave must end with
    launches: dict[str, int]  # how often DRS must have been asked to launch each server
    drill: bool
    instances: int = 0  # how many of its servers launch an instance


@dataclass
class Ran:
    """One execution of the recovery machine: what was expected and what is there."""

    id: str
    expected: Expected
    machine: Json  # status, error, cause
    record: Json | None
    waves: list[Json]
    shards: list[Json]
    seen: list[str] = field(default_factory=list)  # what the observer saw that must not be


@dataclass
class Evidence:
    """All of it."""

    runs: list[Ran] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)  # of every execution of every machine
    workers: dict[str, WorkerFate] = field(default_factory=dict)
    starts: list[Json] = field(default_factory=list)  # journal: StartRecovery calls with an effect, {servers, isDrill}
    terminations: list[list[str]] = field(default_factory=list)  # journal: instance ids of each Terminate with an effect
    journal_complete: bool = True
    jobs: dict[str, Json] = field(default_factory=dict)  # DRS jobs by id: {type, servers: {id: instance id or ""}}
    instances: dict[str, Json] = field(default_factory=dict)  # ids DRS lists at the end: {server, job}
    ec2: dict[str, str] = field(default_factory=dict)  # what EC2 says of every instance ever launched
    bystanders: set[str] = field(default_factory=set)  # drill instances of somebody else, on before it all began
    locks: dict[str, str] = field(default_factory=dict)
    tokens_in_logs: list[str] = field(default_factory=list)  # names of logs that hold a task token
    heartbeat_seconds: float = 30.0
    drain_bound_seconds: float = 90.0
    # Longest pause before retry n of a state after a lost task, n from 0; the engine's wait scale applied.
    retry_pauses: dict[str, list[float]] = field(default_factory=dict)

    def retry_pause(self, attempt: Attempt) -> float:
        pauses = self.retry_pauses.get(attempt.state, [])
        return pauses[min(attempt.number - 1, len(pauses) - 1)] if pauses else 0.0


@dataclass
class Repair:
    """A task nobody answered, and the attempt in its place."""

    lost: Attempt
    by: str  # "kill in hand", "kill, open poll", "freeze"
    since: float  # the signal, or the moment the task was taken if that was later
    again: Attempt | None  # the next attempt somebody took

    @property
    def seconds(self) -> float:
        """From the signal to the start of the next attempt."""
        return self.again.started - self.since if self.again is not None else float("inf")


def repairs(evidence: Evidence) -> Iterator[Repair]:
    """Every lost task that a kill or a freeze explains."""
    following: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in sorted(evidence.attempts, key=lambda one: one.scheduled):
        following.setdefault((attempt.execution, attempt.state), []).append(attempt)
    for attempts in following.values():
        for index, attempt in enumerate(attempts):
            if not attempt.lost:
                continue
            fate = evidence.workers.get(attempt.worker)
            again = attempts[index + 1] if index + 1 < len(attempts) else None
            if fate is None:
                continue
            if fate.killed is not None and fate.killed <= attempt.ended:
                in_hand = attempt.started <= fate.killed
                by = "kill in hand" if in_hand else "kill, open poll"
                yield Repair(attempt, by, max(fate.killed, attempt.started), again)
            elif fate.frozen_during(attempt.started, attempt.ended):
                frozen = next(start for start, end in fate.frozen if end >= attempt.started)
                yield Repair(attempt, "freeze", max(frozen, attempt.started), again)
