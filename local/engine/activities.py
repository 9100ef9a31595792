"""Activities: the queue between a waiting state and the workers that poll for it.

Upstream looks at the queue every half second, which alone makes a local run slow; here scheduling a task wakes the
polls. A task is handed out exactly once because only the event loop takes from a queue, whatever thread has put it in.
A poll whose client is gone may still take a task, which is then lost until its heartbeat: the service cannot know, and
AWS warns of it ("Task token lost in transit" is why an activity needs HeartbeatSeconds).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import ministack.services.stepfunctions as sfn
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response

from local.engine import readings
from local.engine.executions import ExecutionRecord, TaskAttempt, record_of, told

_POLL_SECONDS = 60.0

_Queue = tuple[str, str, str]  # account, region, ARN
_waiting: dict[_Queue, set[asyncio.Event]] = {}
_loop: asyncio.AbstractEventLoop | None = None


def _queue_key(arn: str) -> _Queue:
    return get_account_id(), get_region(), arn


def run(record: ExecutionRecord, arn: str, task_input: Any, timeout: float | None, heartbeat: float | None) -> Any:
    """Schedule one attempt, wait for its answer, and write the history AWS writes."""
    if arn not in sfn._activities:
        raise sfn._ExecutionError("States.Runtime", f"The activity {arn} does not exist.")
    attempt = TaskAttempt(record, timeout, heartbeat, readings.LOST_HEARTBEAT["activity"])
    attempt.input = json.dumps(task_input)
    details: dict[str, Any] = {"resource": arn, "input": attempt.input}
    if timeout is not None:
        details["timeoutInSeconds"] = int(timeout)
    if heartbeat is not None:
        details["heartbeatInSeconds"] = int(heartbeat)
    record.add_event("ActivityScheduled", {"activityScheduledEventDetails": details})
    sfn._activity_tasks.setdefault(arn, []).append(attempt)
    _wake(_queue_key(arn))
    try:
        result = attempt.wait()
    except sfn._ExecutionError as failure:
        timed_out = failure.error in ("States.Timeout", "States.HeartbeatTimeout")
        event = "ActivityTimedOut" if timed_out else "ActivityFailed"
        details = told(error=failure.error, cause=failure.cause)
        record.add_event(event, {f"{event[0].lower()}{event[1:]}EventDetails": details})
        raise
    record.add_event("ActivitySucceeded", {"activitySucceededEventDetails": {"output": json.dumps(result)}})
    return result


def invoke_activity(resource: str, input_data: Any) -> Any:
    """TestState comes this way, without a state's limits."""
    return run(record_of(None), resource, input_data, None, None)


def _wake(key: _Queue) -> None:
    loop = _loop
    if loop is None:
        return  # nobody has polled yet; the first poll looks before it waits

    def set_all() -> None:
        for event in _waiting.get(key, ()):
            event.set()

    loop.call_soon_threadsafe(set_all)


async def get_activity_task(data: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    global _loop
    _loop = asyncio.get_running_loop()
    arn, worker = data.get("activityArn", ""), data.get("workerName")
    deadline = time.monotonic() + _POLL_SECONDS
    woken = asyncio.Event()
    key = _queue_key(arn)
    waiting = _waiting.setdefault(key, set())
    waiting.add(woken)
    try:
        while True:
            # Cleared before looking, so that a task scheduled from here on is not slept through.
            woken.clear()
            if arn not in sfn._activities:
                return error_response_json("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'", 400)
            attempt = _take(arn, worker)
            if attempt is not None:
                return json_response({"taskToken": attempt.token, "input": attempt.input})
            try:
                await asyncio.wait_for(woken.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:  # the builtin is another class before Python 3.11
                return json_response({"taskToken": None})
    finally:
        waiting.discard(woken)


def _take(arn: str, worker: str | None) -> TaskAttempt | None:
    queue: list[TaskAttempt] = sfn._activity_tasks.get(arn, [])
    details = {"activityStartedEventDetails": {"workerName": worker} if worker else {}}
    while queue:
        attempt = queue.pop(0)
        # A task of a stopped execution is still in the queue; AWS does not hand it out either.
        if attempt.start_clock("ActivityStarted", details):
            return attempt
    return None


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_invoke_activity": invoke_activity,
    "_get_activity_task": get_activity_task,
}
