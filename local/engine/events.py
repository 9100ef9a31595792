"""What the engine tells the outside: status-change events, and the names of errors of service integrations.

Upstream's event carries error and cause of a failed execution only, and calls nothing else redrivable; AWS tells them
of every execution that ended badly. Upstream names an error of an SDK integration as the API does, AWS as the Java SDK,
which has one name for all that its model does not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import ministack.services.stepfunctions as sfn

_REDRIVABLE = ("FAILED", "ABORTED", "TIMED_OUT")


def status_change(execution: Mapping[str, Any]) -> dict[str, Any]:
    """`detail` of "Step Functions Execution Status Change" (EventBridge integration, Developer Guide)."""
    status = execution["status"]
    badly = status in _REDRIVABLE
    given = _payload(execution.get("input"))
    made = _payload(execution.get("output") if status == "SUCCEEDED" else None)
    return {
        "executionArn": execution["executionArn"],
        "stateMachineArn": execution["stateMachineArn"],
        "name": execution["name"],
        "status": status,
        "startDate": sfn._iso_to_epoch_ms(execution.get("startDate")),
        "stopDate": sfn._iso_to_epoch_ms(execution.get("stopDate")),
        "input": given,
        "inputDetails": {"included": given is not None},
        "output": made,
        "outputDetails": {"included": made is not None} if status == "SUCCEEDED" else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE" if badly else "NOT_REDRIVABLE",
        "redriveStatusReason": None if badly else f"Execution is {status} and cannot be redriven",
        "error": execution.get("error") if badly else None,
        "cause": execution.get("cause") if badly else None,
    }


def _payload(text: str | None) -> str | None:
    """Left out, and called not included, when its escaped form is above the quota of the event."""
    return text if text is not None and len(json.dumps(text)) <= sfn._STATUS_EVENT_PAYLOAD_CAP else None


def emit_execution_status_event(execution: Mapping[str, Any]) -> None:
    if execution.get("sync"):
        return
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(status_change(execution)),
        "Resources": [execution["executionArn"]],
    }
    try:
        from ministack.services import eventbridge

        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        # Best effort, as on AWS: an event that is lost must not touch the execution.
        sfn.logger.exception("No status-change event for %s", execution["executionArn"])


_upstream_prefix = sfn._prefix_sdk_error

# Of these the names are checked against the API's model; the key is what a Resource calls them.
_MODELS = {"dynamodb": "dynamodb", "sfn": "stepfunctions"}


@lru_cache
def _modelled(service_name: str) -> frozenset[str]:
    import botocore.session  # half the start-up time of MiniStack, and only errors need it

    model = botocore.session.get_session().get_service_model(_MODELS[service_name])
    return frozenset(shape.name for shape in model.error_shapes)


def prefix_sdk_error(service_name: str, error_code: str) -> str:
    """`ExecutionDoesNotExist` of the API is `Sfn.ExecutionDoesNotExistException` to Retry and Catch; what the model does not
    know, such as DynamoDB's ValidationException, is `DynamoDb.DynamoDbException` (recorded)."""
    name = str(_upstream_prefix(service_name, error_code))
    prefix, _, code = name.partition(".")
    if service_name not in _MODELS or prefix == "States":
        return name
    if code not in _modelled(service_name):
        return f"{prefix}.{prefix}Exception"
    return name if name.endswith("Exception") else f"{name}Exception"


def checked(resource: str, result: Any) -> Any:
    """The optimised `events:putEvents` fails when an entry of it failed."""
    if resource.split(":", 5)[-1] == "events:putEvents" and result.get("FailedEntryCount"):
        raise sfn._ExecutionError("EventBridge.FailedEntry", json.dumps(result))
    return result


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_emit_execution_status_event": emit_execution_status_event,
    "_prefix_sdk_error": prefix_sdk_error,
}
