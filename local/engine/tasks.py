"""Walking the states of an execution, and the attempts of its tasks.

Upstream walks an execution and the inside of a Map or Parallel by two different loops, enforces no timeout of an
activity and gives all attempts of a callback task one token. Here one loop walks both, looks at every step whether the
execution still runs, writes the history events AWS writes, and every attempt has a token and clocks of its own.
"""

from __future__ import annotations

import contextvars
import copy
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

import ministack.services.stepfunctions as sfn
from ministack.core.responses import now_iso

from local.engine import activities, events, readings
from local.engine.choices import is_timestamp
from local.engine.executions import (
    ExecutionRecord,
    ExecutionStopped,
    TaskAttempt,
    current_execution,
    ensure_size,
    enter_execution,
    leave_execution,
    record_of,
    told,
)

State = dict[str, Any]
Context = dict[str, Any]

# The context object of the state at work, for the upstream functions that are not given one (ResultSelector).
_context: ContextVar[Context] = ContextVar("state_context")


# ----- executions ---------------------------------------------------------------------------------------------------


def run_execution(exec_arn: str) -> None:
    """The thread of an execution: from its first state to a terminal status."""
    record = sfn._executions.get(exec_arn)
    if record is None:
        return
    parent = current_execution()
    if parent is not None:
        parent.children.append(record)
    entered = enter_execution(record)
    try:
        _run(exec_arn, record)
    except ExecutionStopped:
        pass  # whoever stopped it has written the end
    except sfn._ExecutionError as failure:
        _fail(record, failure.error, failure.cause)
    except Exception as error:
        sfn.logger.exception("Unexpected error in execution %s", exec_arn)
        _fail(record, "States.Runtime", str(error))
    finally:
        leave_execution(entered)


def _run(exec_arn: str, record: ExecutionRecord) -> None:
    machine = sfn._state_machines[record["stateMachineArn"]]
    # Parsed once: an UpdateStateMachine does not reach executions that have started.
    definition = json.loads(machine["definition"])
    execution_input = json.loads(record["input"])
    ctx: Context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": exec_arn,
            "Input": execution_input,
            "Name": record["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": record["startDate"],
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": record["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }
    timer = _arm_machine_timeout(record, definition.get("TimeoutSeconds"))
    try:
        output = _walk(definition.get("States", {}), definition.get("StartAt"), execution_input, record, ctx)
    finally:
        if timer is not None:
            timer.cancel()
    text = json.dumps(output)
    record.finish("SUCCEEDED", "ExecutionSucceeded", {"output": text}, output=text)


def _arm_machine_timeout(record: ExecutionRecord, seconds: float | None) -> threading.Timer | None:
    if seconds is None:
        return None

    def expire() -> None:
        # Recorded: neither error nor cause.
        record.finish("TIMED_OUT", "ExecutionTimedOut", {})

    # A timer thread does not inherit the account and region under which the stores are looked up.
    timer = threading.Timer(seconds, contextvars.copy_context().run, (expire,))
    timer.daemon = True
    timer.start()
    return timer


def _fail(record: ExecutionRecord, error: str | None, cause: str | None) -> None:
    record.finish("FAILED", "ExecutionFailed", {"error": error, "cause": cause}, error=error, cause=cause)


def _walk(states: dict[str, State], start_at: str | None, data: Any, record: ExecutionRecord, ctx: Context) -> Any:
    name: str | None = start_at
    while name is not None:
        record.ensure_running()
        state = states.get(name)
        if state is None:
            raise sfn._ExecutionError("States.Runtime", f"State '{name}' not found in definition")
        kind = state.get("Type", "")
        ctx["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        ctx.pop("Task", None)
        _context.set(ctx)
        record.add_event(f"{kind}StateEntered", {"stateEnteredEventDetails": {"name": name, "input": json.dumps(data)}})
        if kind == "Fail":
            raise sfn._ExecutionError(*(sfn._fail_state_field(state, field, None, data, ctx) for field in ("Error", "Cause")))
        data, following = _execute(kind, state, data, record, ctx)
        ensure_size(data, f"The output of state '{name}'")
        record.add_event(f"{kind}StateExited", {"stateExitedEventDetails": {"name": name, "output": json.dumps(data)}})
        name = following
    return data


def _execute(kind: str, state: State, data: Any, record: ExecutionRecord, ctx: Context) -> tuple[Any, str | None]:
    if kind == "Succeed":
        return sfn._apply_output_path(state, sfn._apply_input_path(state, data, ctx), ctx), None
    if kind in ("Task", "Parallel", "Map"):
        return getattr(sfn, f"_execute_{kind.lower()}")(state, data, record, ctx)
    if kind in ("Pass", "Choice", "Wait"):
        return getattr(sfn, f"_execute_{kind.lower()}")(state, data, ctx)
    raise sfn._ExecutionError("States.Runtime", f"Unknown state type: {kind}")


def run_sub_machine(
    states: dict[str, State], start_at: str | None, input_data: Any, execution: dict[str, Any], ctx: Context
) -> Any:
    """A Parallel branch or Map item. Its own context dict: branches must not see each other's state or token."""
    return _walk(states, start_at, copy.deepcopy(input_data), record_of(execution), dict(ctx))


# ----- Task ---------------------------------------------------------------------------------------------------------


def execute_task(state_def: State, raw_input: Any, execution: dict[str, Any], ctx: Context) -> tuple[Any, str | None]:
    record = record_of(execution)

    def attempt() -> tuple[Any, str | None]:
        return _attempt_task(state_def, raw_input, record, ctx), sfn._next_or_end(state_def)

    return with_retry_and_catch(state_def, raw_input, ctx, attempt)


def _attempt_task(state: State, raw_input: Any, record: ExecutionRecord, ctx: Context) -> Any:
    resource = state["Resource"]
    by_jsonata = sfn._state_query_language(state, ctx) == "JSONata"
    timeout = _seconds(state, "TimeoutSeconds", raw_input, ctx)
    heartbeat = _seconds(state, "HeartbeatSeconds", raw_input, ctx)

    # A token per attempt: the retry of a callback must fence off whoever still holds the token of the first try.
    callback = None
    if resource.endswith(".waitForTaskToken"):
        callback = TaskAttempt(record, timeout, heartbeat, readings.LOST_HEARTBEAT["callback"])
    if callback is not None:
        ctx["Task"] = {"Token": callback.token}
    try:
        if by_jsonata:
            effective = sfn._apply_jsonata_arguments(state, raw_input, ctx)
        else:
            effective = sfn._apply_parameters(state, sfn._apply_input_path(state, raw_input, ctx), ctx)
        ensure_size(effective, f"The input of the task in state '{ctx['State']['Name']}'")

        if ":activity:" in resource:
            result = activities.run(record, resource, effective, timeout, heartbeat)
        else:
            result = _run_integration(record, resource, effective, timeout, heartbeat, callback)
    finally:
        if callback is not None:
            callback.close()

    ensure_size(result, f"The result of the task in state '{ctx['State']['Name']}'")
    if by_jsonata:
        output = sfn._apply_jsonata_output(state, raw_input, ctx, result=result, default=result)
        sfn._apply_state_assign(state, raw_input, ctx, result=result)
    else:
        result = apply_result_selector(state, result)
        output = sfn._apply_output_path(state, sfn._apply_result_path(state, raw_input, result), ctx)
    ensure_size(output, f"The output of state '{ctx['State']['Name']}'")  # here too: Catch may name this error
    return output


def _seconds(state: State, field: str, raw_input: Any, ctx: Context) -> float | None:
    """A time limit given as a number, as `…Path` or, in JSONata, as an expression."""
    path = state.get(f"{field}Path")
    if path is None:
        value = sfn._apply_jsonata_template(state.get(field), raw_input, ctx)
        return None if value is None else float(value)
    value = sfn._resolve_path_or_ctx(path, sfn._apply_input_path(state, raw_input, ctx), ctx)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise sfn._ExecutionError(
            "States.Runtime",
            f"The {field}Path parameter does not reference a positive integer: '{path}' == {json.dumps(value)}",
        )
    return float(value)


def _run_integration(
    record: ExecutionRecord,
    resource: str,
    effective: Any,
    timeout: float | None,
    heartbeat: float | None,
    callback: TaskAttempt | None,
) -> Any:
    kind, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
    names = {"resourceType": kind, "resource": action}
    limits = {
        name: int(limit)
        for name, limit in (("timeoutInSeconds", timeout), ("heartbeatInSeconds", heartbeat))
        if limit is not None
    }
    record.add_event("TaskScheduled", {"taskScheduledEventDetails": {
        **names, "region": sfn.get_region(), "parameters": json.dumps(effective), **limits,
    }})  # fmt: skip
    record.add_event("TaskStarted", {"taskStartedEventDetails": names})
    try:
        if callback is None:
            result = events.checked(resource, _call(resource, effective, timeout))
        else:
            callback.start_clock()
            sent = sfn._invoke_resource(resource.removesuffix(".waitForTaskToken"), effective)
            record.add_event("TaskSubmitted", {"taskSubmittedEventDetails": {**names, "output": json.dumps(sent)}})
            result = callback.wait()
    except sfn._ExecutionError as failure:
        timed_out = failure.error in ("States.Timeout", "States.HeartbeatTimeout")
        event = "TaskTimedOut" if timed_out else "TaskFailed"
        details = told(**names, error=failure.error, cause=failure.cause)
        record.add_event(event, {f"{event[0].lower()}{event[1:]}EventDetails": details})
        raise
    record.add_event("TaskSucceeded", {"taskSucceededEventDetails": {**names, "output": json.dumps(result)}})
    return result


def _call(resource: str, effective: Any, timeout: float | None) -> Any:
    if timeout is None:
        return sfn._invoke_resource(resource, effective)
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(contextvars.copy_context().run, sfn._invoke_resource, resource, effective)
    pool.shutdown(wait=False)
    try:
        return future.result(timeout=timeout)
    except FutureTimeout:
        raise sfn._ExecutionError("States.Timeout", "") from None


def apply_result_selector(state_def: State, data: Any) -> Any:
    selector = state_def.get("ResultSelector")
    # Upstream gives no context object here, so that `$$.` is absent in a ResultSelector; on AWS it is there.
    return sfn._resolve_params_obj(selector, data, _context.get({})) if selector else data


# ----- Retry and Catch ----------------------------------------------------------------------------------------------


def with_retry_and_catch(
    state_def: State, raw_input: Any, ctx: Context, attempt: Callable[[], tuple[Any, str | None]]
) -> tuple[Any, str | None]:
    state, retries = ctx["State"], dict[int, int]()
    while True:
        ctx["State"] = {**state, "RetryCount": sum(retries.values())}
        try:
            return attempt()
        except sfn._ExecutionError as failure:
            retrier, index = sfn._find_matching_retrier(state_def.get("Retry", []), failure.error, retries)
            if retrier is not None:
                count = retries.get(index, 0)
                scaled_sleep(retry_delay(retrier, count, random.random()))
                retries[index] = count + 1
                continue
            catcher = sfn._find_matching_catcher(state_def.get("Catch", []), failure.error)
            if catcher is None:
                raise
            language = sfn._state_query_language(state_def, ctx)
            error_output = {"Error": failure.error, "Cause": failure.cause}
            return sfn._apply_catcher(catcher, raw_input, ctx, language, error_output), catcher["Next"]


def retry_delay(retrier: dict[str, Any], count: int, chance: float) -> float:
    """Seconds before retry number `count` (from 0); `chance` in 0..1 places it when the jitter is FULL."""
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** count
    delay = min(delay, float(retrier.get("MaxDelaySeconds", delay)))
    return delay * chance if retrier.get("JitterStrategy") == "FULL" else delay


def error_matches(error_equals: list[str], error: str) -> bool:
    """Whether a Retry or Catch takes this error. States.Runtime always ends the execution."""
    if error == "States.Runtime":
        return False
    if error in error_equals:
        return True
    if error == "States.DataLimitExceeded":
        return readings.ALL_TAKES_DATA_LIMIT and "States.ALL" in error_equals
    if "States.TaskFailed" in error_equals and error not in ("States.Timeout", "States.HeartbeatTimeout"):
        return True
    return "States.ALL" in error_equals


# ----- Wait ---------------------------------------------------------------------------------------------------------


def scaled_sleep(seconds: float) -> None:
    """Sleep SFN_WAIT_SCALE of the time, and not a moment longer than the execution runs."""
    record_of(None).sleep(max(0.0, seconds * sfn._SFN_WAIT_SCALE))


_upstream_wait = sfn._execute_wait


def execute_wait(state_def: State, raw_input: Any, ctx: Context | None = None) -> tuple[Any, str | None]:
    if sfn._state_query_language(state_def, ctx) != "JSONata":
        _refuse_wait(state_def, raw_input, ctx)
    return _upstream_wait(state_def, raw_input, ctx)


def _refuse_wait(state: State, raw_input: Any, ctx: Context | None) -> None:
    """Upstream skips the wait when a path leads to something it cannot use."""
    field = next((field for field in ("SecondsPath", "TimestampPath") if field in state), None)
    moment = state.get("Timestamp")
    if field is not None:
        value = sfn._resolve_path_or_ctx(state[field], sfn._apply_input_path(state, raw_input, ctx), ctx)
        if field == "TimestampPath":
            usable, wanted, moment = is_timestamp(value), "a timestamp", value
        else:
            usable = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            wanted = "an integer value"
        if not usable:
            cause = f"The {field} parameter does not reference {wanted}: '{state[field]}' == {json.dumps(value)}"
            raise sfn._ExecutionError("States.Runtime", cause)
    # Recorded: a wait of 24,855 days is taken and one of 24,856 is not, so the seconds fit into 31 bits.
    if moment is not None and (sfn._parse_ts(moment) - datetime.now(timezone.utc)).total_seconds() > 2**31 - 1:
        raise sfn._ExecutionError("States.Runtime", "Wait state delay is too long.")


def nested_execution_failure(payload: dict[str, Any]) -> tuple[str, str]:
    """A failed child of `.sync` is States.TaskFailed with the child in its cause, not the child's own error."""
    fields = ("executionArn", "input", "name", "startDate", "stateMachineArn", "status", "stopDate", "error", "cause")
    cause = {name[0].upper() + name[1:]: payload[name] for name in fields if payload.get(name) is not None}
    return "States.TaskFailed", json.dumps(cause)


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_run_execution": run_execution,
    "_run_sub_machine": run_sub_machine,
    "_execute_task": execute_task,
    "_execute_wait": execute_wait,
    "_apply_result_selector": apply_result_selector,
    "_with_retry_and_catch": with_retry_and_catch,
    "_error_matches": error_matches,
    "_scaled_sleep": scaled_sleep,
    "_nested_execution_failure": nested_execution_failure,
}
