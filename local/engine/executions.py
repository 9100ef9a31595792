"""The life of an execution and of the task tokens it hands out.

Three parties touch an execution at once: the thread that walks its states, the event loop that serves API calls, and
timers. Upstream lets them race (a failure after StopExecution turns ABORTED into FAILED; a token outlives its
execution). Here every execution has one condition variable, and status, history and tokens change only while holding
it, so a terminal status is final and a token is either answered or dead, never both.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import ministack.services.stepfunctions as sfn
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, now_iso

MAX_PAYLOAD_BYTES = 256 * 1024  # state input and output, task results: a hard quota
MAX_HISTORY_EVENTS = 25_000  # hard quota per Standard execution

# So many closed tokens are remembered, to tell "was yours, is over" (TaskTimedOut) from "never existed" (InvalidToken).
_REMEMBERED_TOKENS = 20_000


class ExecutionStopped(BaseException):
    """Ends the thread of an execution that is no longer running.

    A BaseException because upstream turns every Exception of a Parallel branch or Map item into a failed state.
    """


class ExecutionRecord(dict[str, Any]):
    """Upstream's execution dict, with the lock and wake-up that belong to it."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.changed = threading.Condition()
        self.children: list[ExecutionRecord] = []

    @property
    def running(self) -> bool:
        return bool(self["status"] == "RUNNING")

    def ensure_running(self) -> None:
        if not self.running:
            raise ExecutionStopped

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake up and leave as soon as the execution is stopped."""
        with self.changed:
            self.changed.wait_for(lambda: not self.running, timeout=seconds)
        self.ensure_running()

    def finish(self, status: str, event: str, details: dict[str, Any], **fields: Any) -> bool:
        """Enter a terminal status once; False when another party was first."""
        with self.changed:
            if not self.running:
                return False
            self.update(fields, stopDate=now_iso())
            # The status goes last: whoever sees it terminal also sees output, error and stop date.
            self["status"] = status
            key = event[0].lower() + event[1:] + "EventDetails"
            self._append(event, {key: told(**details)})
            self.changed.notify_all()
        for child in self.children:
            # AWS stops the child of an aborted `.sync` task on a best-effort basis.
            child.finish("ABORTED", "ExecutionAborted", {})
        sfn._emit_execution_status_event(self)
        return True

    def add_event(self, event: str, details: dict[str, Any] | None) -> dict[str, Any]:
        with self.changed:
            self.ensure_running()
            # One place is kept for the event that ends the execution.
            if len(self["events"]) >= MAX_HISTORY_EVENTS - 1:
                raise sfn._ExecutionError(
                    "States.Runtime",
                    f"The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS}).",
                )
            return self._append(event, details)

    def _append(self, event: str, details: dict[str, Any] | None) -> dict[str, Any]:
        last = len(self["events"])
        entry = {"id": last + 1, "previousEventId": last, "type": event, "timestamp": now_iso(), **(details or {})}
        self["events"].append(entry)
        return entry

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        import copy

        return copy.deepcopy(dict(self), memo)  # upstream's state export; a lock cannot be copied


class ExecutionStore(AccountRegionScopedDict):
    """Makes a record out of every execution upstream stores, before its thread can start."""

    def __setitem__(self, arn: str, execution: dict[str, Any]) -> None:
        super().__setitem__(arn, execution if isinstance(execution, ExecutionRecord) else ExecutionRecord(execution))


# The execution this thread works for. Upstream copies context variables into the threads of branches and items.
_current: ContextVar[ExecutionRecord | None] = ContextVar("current_execution", default=None)
current_execution = _current.get
enter_execution = _current.set
leave_execution = _current.reset


def record_of(execution: dict[str, Any] | None) -> ExecutionRecord:
    """The record behind what upstream passes around: a plain dict for a distributed Map's child, None for TestState."""
    if isinstance(execution, ExecutionRecord):
        return execution
    return current_execution() or ExecutionRecord({"status": "RUNNING", "events": []})


def told(**details: Any) -> dict[str, Any]:
    """What an event holds: what was not given is left out."""
    return {name: value for name, value in details.items() if value is not None}


def add_event(execution: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return record_of(execution).add_event(event_type, details)


def ensure_size(value: Any, what: str) -> None:
    """Refuse a payload over the quota, as AWS does after each state."""
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_PAYLOAD_BYTES:
        raise sfn._ExecutionError(
            "States.DataLimitExceeded",
            f"{what} is {size} bytes, over the maximum of {MAX_PAYLOAD_BYTES} bytes.",
        )


class TaskAttempt:
    """One attempt of a task that an outside party answers: its token, its clocks and its single answer."""

    def __init__(
        self, record: ExecutionRecord, timeout: float | None, heartbeat: float | None, lost_heartbeat: str
    ) -> None:
        self.record = record
        self.lost_heartbeat = lost_heartbeat
        self.timeout = timeout
        self.heartbeat = heartbeat
        self.token = _new_token()
        self.input = ""
        self._clock_start: float | None = None
        self._last_beat = 0.0
        self._answer: Callable[[], Any] | None = None
        self._closed = False
        sfn._task_tokens[self.token] = self

    @property
    def open(self) -> bool:
        return not self._closed and self._answer is None and self.record.running

    def start_clock(self, event: str | None = None, details: dict[str, Any] | None = None) -> bool:
        """Start counting; for an activity that is its pick-up, so a queued task never times out, as on AWS.

        False when the attempt is over: the queue then offers the next task instead.
        """
        with self.record.changed:
            if not self.open:
                return False
            if event is not None:
                self.record.add_event(event, details)
            self._clock_start = self._last_beat = time.monotonic()
            self.record.changed.notify_all()
            return True

    def beat(self) -> bool:
        with self.record.changed:
            if not self.open:
                return False
            self._last_beat = time.monotonic()
            self.record.changed.notify_all()
            return True

    def succeed(self, output: str) -> bool:
        return self._accept(lambda: json.loads(output))

    def fail(self, error: str | None, cause: str | None) -> bool:
        """A Catch is handed null for what was not given."""

        def raise_failure() -> None:
            raise sfn._ExecutionError(error, cause)

        return self._accept(raise_failure)

    def _accept(self, answer: Callable[[], Any]) -> bool:
        with self.record.changed:
            if not self.open:
                return False
            self._answer = answer
            self.record.changed.notify_all()
            return True

    def close(self) -> None:
        with self.record.changed:
            if not self._closed:
                self._closed = True
                _remember_closed(self.token)

    def wait(self) -> Any:
        """Block until the answer, a timeout or the end of the execution; the token is dead afterwards."""
        try:
            with self.record.changed:
                while self._answer is None:
                    self.record.ensure_running()
                    deadline, error = self._next_deadline()
                    remaining = None if deadline is None else deadline - time.monotonic()
                    if remaining is not None and remaining <= 0:
                        raise sfn._ExecutionError(error, "")
                    self.record.changed.wait(remaining)
                self.record.ensure_running()
                return self._answer()
        finally:
            self.close()

    def _next_deadline(self) -> tuple[float | None, str]:
        if self._clock_start is None:
            return None, ""
        deadlines = []
        if self.timeout is not None:
            deadlines.append((self._clock_start + self.timeout, "States.Timeout"))
        if self.heartbeat is not None:
            deadlines.append((self._last_beat + self.heartbeat, self.lost_heartbeat))
        return min(deadlines, default=(None, ""))


def find_attempt(token: object) -> TaskAttempt | None:
    attempt = sfn._task_tokens.get(token) if isinstance(token, str) else None
    return attempt if isinstance(attempt, TaskAttempt) else None


def _new_token() -> str:
    # As long and as awkward (`+`, `/`, `=`) as a real one, so that whatever truncates or puts it in a URL fails here.
    return "AAAAKgAAAAIAAAAAAAAAA" + base64.b64encode(os.urandom(500)).decode()


_closed_tokens: deque[tuple[str, str, str]] = deque()


def _remember_closed(token: str) -> None:
    _closed_tokens.append((get_account_id(), get_region(), token))
    while len(_closed_tokens) > _REMEMBERED_TOKENS:
        sfn._task_tokens.pop_scoped(*_closed_tokens.popleft(), None)


_upstream_reset = sfn.reset


def reset() -> None:
    """Forget everything; unlike upstream, also end the threads of what was running."""
    for record in sfn._executions.all_values():
        with record.changed:
            if record.running:
                record["status"] = "ABORTED"
                record.changed.notify_all()
    _upstream_reset()
    _closed_tokens.clear()


def _leave_quietly(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, ExecutionStopped):
        threading.__excepthook__(args)


# A Parallel branch of a stopped execution ends by ExecutionStopped in a thread of upstream's: not worth a traceback.
threading.excepthook = _leave_quietly

REPLACEMENTS: dict[str, Callable[..., Any]] = {"_add_event": add_event, "reset": reset}
