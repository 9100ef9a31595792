"""The calls of a client, with the refusals and the idempotency of AWS.

Upstream takes any name and any input (text that is not JSON runs as `{}`), refuses a StartExecution that AWS answers
with the running execution, and accepts answers under tokens that are no longer good. A worker or script tested against
that meets its first refusal in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import ministack.services.stepfunctions as sfn
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response

from local.engine.executions import MAX_PAYLOAD_BYTES, ExecutionRecord, TaskAttempt, find_attempt

Response = tuple[int, dict[str, str], bytes]

# StartExecution, CreateActivity and CreateStateMachine share this rule: at most 80 characters, none of these.
_FORBIDDEN_IN_NAMES = re.compile(
    '[\\s<>{}\\[\\]?*"#%\\\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f\ufffe\uffff\ud800-\udfff]'
)
_MAX_NAME = 80
_MAX_ERROR, _MAX_CAUSE = 256, 32_768


def _refuse(code: str, message: str) -> Response:
    return error_response_json(code, message, 400)


def _too_long(field: str, limit: int) -> Response:
    return _refuse(
        "ValidationException",
        f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}",
    )


def _refused_name(name: Any) -> Response | None:
    if not isinstance(name, str) or not name:
        return _refuse("ValidationException", "1 validation error detected: Value at 'name' must not be empty")
    if len(name) > _MAX_NAME:
        return _too_long("name", _MAX_NAME)
    if _FORBIDDEN_IN_NAMES.search(name):
        return _refuse("InvalidName", f"Invalid Name: '{name}'")
    return None


def _is_json(text: Any) -> bool:
    try:
        json.loads(text)
    except (TypeError, ValueError):
        return False
    return True


# ----- executions ---------------------------------------------------------------------------------------------------

_upstream_start = sfn._start_execution


def start_execution(data: dict[str, Any]) -> Response:
    text = data.get("input") or "{}"
    if not isinstance(text, str):
        # An SDK integration may be given an object; Step Functions makes the text of it.
        text = json.dumps(text)
    data = {**data, "input": text}
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        return _too_long("input", MAX_PAYLOAD_BYTES)
    if not _is_json(text):
        return _refuse("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{text[:200]}'")
    if "name" in data:
        refused = _refused_name(data["name"])
        if refused is not None:
            return refused
        running = _running_twin(data, text)
        if running is not None:
            return json_response({"executionArn": running["executionArn"], "startDate": running["startDate"]})
    return _upstream_start(data)


def _running_twin(data: dict[str, Any], text: str) -> ExecutionRecord | None:
    """The running execution of the same name and input, which a repeated StartExecution is answered with."""
    machine = sfn._state_machines.get(sfn._resolve_state_machine_arn(data.get("stateMachineArn", "")))
    if machine is None:
        return None
    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine['name']}:{data['name']}"
    record = sfn._executions.get(arn)
    return record if record is not None and record.running and record["input"] == text else None


def stop_execution(data: dict[str, Any]) -> Response:
    record = sfn._executions.get(data.get("executionArn"))
    if record is None:
        return _refuse("ExecutionDoesNotExist", f"Execution Does Not Exist: '{data.get('executionArn')}'")
    details = {"error": data.get("error"), "cause": data.get("cause")}
    record.finish("ABORTED", "ExecutionAborted", details, **details)
    # Repeating the call is harmless, and stopping what has ended changes nothing.
    return json_response({"stopDate": record["stopDate"]})


# ----- task tokens --------------------------------------------------------------------------------------------------


def _with_attempt(data: dict[str, Any], act: Callable[[TaskAttempt], bool]) -> Response:
    attempt = find_attempt(data.get("taskToken"))
    if attempt is None:
        return _refuse("InvalidToken", "Invalid Token: 'Invalid token'")
    if not act(attempt):
        return _refuse("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
    return json_response({})


def send_task_success(data: dict[str, Any]) -> Response:
    output = data.get("output", "")
    if len(output.encode()) > MAX_PAYLOAD_BYTES:
        return _too_long("output", MAX_PAYLOAD_BYTES)
    # Recorded: a token nobody was given is refused before an output that is no JSON.
    if find_attempt(data.get("taskToken")) is not None and not _is_json(output):
        # The output is not quoted: it is a worker's data, and this text ends up in its log.
        return _refuse("InvalidOutput", "Invalid Output: the output is not valid JSON")
    return _with_attempt(data, lambda attempt: attempt.succeed(output))


def send_task_failure(data: dict[str, Any]) -> Response:
    error, cause = data.get("error"), data.get("cause")
    if len(error or "") > _MAX_ERROR:
        return _too_long("error", _MAX_ERROR)
    if len(cause or "") > _MAX_CAUSE:
        return _too_long("cause", _MAX_CAUSE)
    return _with_attempt(data, lambda attempt: attempt.fail(error, cause))


def send_task_heartbeat(data: dict[str, Any]) -> Response:
    return _with_attempt(data, TaskAttempt.beat)


# ----- resources ----------------------------------------------------------------------------------------------------

_upstream_create_activity = sfn._create_activity
_upstream_create_state_machine = sfn._create_state_machine


def create_activity(data: dict[str, Any]) -> Response:
    refused = _refused_name(data.get("name"))
    if refused is not None:
        return refused
    existing = sfn._activities.get(f"arn:aws:states:{get_region()}:{get_account_id()}:activity:{data['name']}")
    if existing is not None:
        return json_response({"activityArn": existing["activityArn"], "creationDate": existing["creationDate"]})
    return _upstream_create_activity(data)


def create_state_machine(data: dict[str, Any]) -> Response:
    return (
        _refused_name(data.get("name"))
        or refused_definition(data.get("definition", ""))
        or _upstream_create_state_machine(data)
    )


_upstream_update_state_machine = sfn._update_state_machine


def update_state_machine(data: dict[str, Any]) -> Response:
    if "definition" in data:
        refused = refused_definition(data["definition"])
        if refused is not None:
            return refused
    return _upstream_update_state_machine(data)


def refused_definition(text: str) -> Response | None:
    """The least AWS checks: that it is JSON and that every transition leads to a state. Not a lint."""
    try:
        definition = json.loads(text)
    except ValueError as error:
        return _refuse("InvalidDefinition", f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {error}'")
    dangling = list(_dangling(definition, "")) if isinstance(definition, dict) else ["the definition is not an object"]
    if dangling:
        problems = "; ".join(dangling)
        return _refuse("InvalidDefinition", f"Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {problems}'")
    return None


def _dangling(machine: dict[str, Any], where: str) -> list[str]:
    states = machine.get("States") or {}
    problems = []
    if machine.get("StartAt") not in states:
        problems.append(f"StartAt '{machine.get('StartAt')}' is not a state at {where or '/'}")
    for name, state in states.items():
        place = f"{where}/States/{name}"
        targets = [state.get("Next"), state.get("Default")]
        targets += [part.get("Next") for field in ("Choices", "Catch") for part in state.get(field) or []]
        problems += [f"'{target}' is not a state at {place}" for target in targets if target and target not in states]
        inner = list(state.get("Branches") or [])
        inner += [state[field] for field in ("Iterator", "ItemProcessor") if field in state]
        for position, part in enumerate(inner):
            problems += _dangling(part, f"{place}[{position}]")
    return problems


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_start_execution": start_execution,
    "_stop_execution": stop_execution,
    "_send_task_success": send_task_success,
    "_send_task_failure": send_task_failure,
    "_send_task_heartbeat": send_task_heartbeat,
    "_create_activity": create_activity,
    "_create_state_machine": create_state_machine,
    "_update_state_machine": update_state_machine,
}
