"""EventBridge where what is forgiven here would be lost on AWS: entries that are not events, and input templates.

Upstream takes any entry, and whoever sends it: of a bus's policy, which it keeps no whole one of, a denial counts here. Of a template it escapes what is spliced in where a value stands alone, and delivers what comes
out whatever it is. AWS: "EventBridge does not escape values extracted by Input Path, when populating the Input Template
for a target" (user guide, common issues with transforming input). What it does with text that is no JSON any more is not
documented; here it is not delivered, and goes to the target's dead-letter queue.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import ministack.services.stepfunctions as sfn
from ministack.core import iam_evaluator
from ministack.core.arn import parse_arn
from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge

from local.engine.executions import current_execution

Response = tuple[int, dict[str, str], bytes]

_REQUIRED = ("Source", "DetailType", "Detail")


class NotDelivered(Exception):
    """A template that is no JSON once the event's values are in it."""


_upstream_put = eventbridge._put_events


def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Response:
    denied = _denied(data)
    if denied is not None:
        return denied
    # A state machine may give Detail as an object; AWS makes the text of it.
    entries = [
        {**entry, "Detail": json.dumps(entry["Detail"])} if isinstance(entry.get("Detail"), dict) else entry
        for entry in data.get("Entries", [])
    ]
    refusals = [_refusal(entry) for entry in entries]
    answer = _upstream_put({**data, "Entries": [e for e, no in zip(entries, refusals) if no is None]}, allow_aws_source)
    if answer[0] >= 400 or not any(refusals):
        return answer
    taken = json.loads(answer[2])
    results = iter(taken["Entries"])
    told = [next(results) if refusal is None else refusal for refusal in refusals]
    failed = taken["FailedEntryCount"] + sum(refusal is not None for refusal in refusals)
    return json_response({"FailedEntryCount": failed, "Entries": told})


_upstream_permission = eventbridge._put_permission


def put_permission(data: dict[str, Any]) -> Response:
    """With Policy: the whole of it, in place of what was there (API reference, PutPermission)."""
    if not data.get("Policy"):
        return cast(Response, _upstream_permission(data))
    eventbridge._event_bus_policies[data.get("EventBusName", "default")] = json.loads(data["Policy"])
    return json_response({})


def _denied(data: dict[str, Any]) -> Response | None:
    """The refusal of a caller whom the policy of a bus denies. A state machine calls as its role."""
    account, region = eventbridge.get_account_id(), eventbridge.get_region()
    record = current_execution()
    caller = str(sfn._state_machines[record["stateMachineArn"]]["roleArn"]) if record is not None else iam_evaluator.caller_arn()
    for name in {str(entry.get("EventBusName") or "default").rpartition("/")[2] for entry in data.get("Entries", [])}:
        policy = eventbridge._event_bus_policies.get(name)
        if not policy:
            continue
        bus = f"arn:aws:events:{region}:{account}:event-bus/{name}"
        context = iam_evaluator.EvalContext(caller, "AssumedRole", account, "events:PutEvents", bus, region)
        if iam_evaluator.evaluate_resource_policy(policy, context).decision == "Deny":
            message = f"User: {caller} is not authorized to perform: events:PutEvents on resource: {bus} with an explicit deny in a resource-based policy"
            return error_response_json("AccessDeniedException", message, 400)
    return None


def _refusal(entry: dict[str, Any]) -> dict[str, str] | None:
    for field in _REQUIRED:
        if not entry.get(field):
            message = f"Parameter {field} is not valid. Reason: {field} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    return None if is_object else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


_upstream_render = eventbridge._render_placeholder


def render_placeholder(var_name: str, token: str, replacements: dict[str, Any], in_string: bool) -> str:
    value = replacements.get(var_name)
    if isinstance(value, str) and not in_string:
        return f'"{value}"'
    return str(_upstream_render(var_name, token, replacements, in_string))


_upstream_transform = eventbridge._apply_input_transformer


def apply_input_transformer(transformer: dict[str, Any], rule: Any, view: Any) -> str:
    text = str(_upstream_transform(transformer, rule, view))
    # A template without quotes is plain text; else it is JSON, or one JSON text a line.
    if '"' in transformer.get("InputTemplate", "") and not (_is_json(text) or all(map(_is_json, text.splitlines()))):
        raise NotDelivered(f"the input template is no JSON with the event's values in it: {text[:200]!r}")
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_upstream_invoke = eventbridge._invoke_target


def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:
    try:
        _upstream_invoke(target, event, rule, view)
    except NotDelivered as error:
        eventbridge.logger.error("EventBridge: target %s not delivered: %s", target.get("Arn"), error)
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        if queue:
            whole = (view or eventbridge._pattern_event_view(event)).event_with_detail()
            eventbridge._dispatch_to_sqs(parse_arn(queue), json.dumps(whole))


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_put_events": put_events,
    "_put_permission": put_permission,
    "_render_placeholder": render_placeholder,
    "_apply_input_transformer": apply_input_transformer,
    "_invoke_target": invoke_target,
}
