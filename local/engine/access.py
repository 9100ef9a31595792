"""Who calls what: a ledger of calls, and IAM for whoever signs with an IAM user's key.

Upstream evaluates policies for every caller or, by default, for none. Tests of rights need something between: everybody is
let through and what they called is written down, each kind of call once; and a person who has only the policies of a user
is held to them, so that a program which finds out by being denied what it may read is denied.

A caller is, in this order: an IAM user (by the access key), the application a process names in its user agent
(AWS_SDK_UA_APP_ID, which every SDK sends), the role of a state machine, the role of a rule's target. Anybody else is the
test itself and not written down.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import ministack.services.stepfunctions as sfn
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, set_request_account_id
from ministack.core.router import detect_service, extract_access_key_id, extract_region
from ministack.services import dynamodb, eventbridge

from local.engine.executions import current_execution

Keys = dict[str, str | list[str]]

_APPLICATION = re.compile(r"\bapp/([\w.-]+)")
_EXPRESSIONS = ("ProjectionExpression", "KeyConditionExpression", "FilterExpression", "ConditionExpression", "UpdateExpression")
# A name or placeholder that is no value (:v), no deeper part of a path (a.b) and no function (f(...)).
_NAME = re.compile(r"(?<![\w#:.])(#?[A-Za-z_]\w*)\b(?!\s*\()")
_WORDS = {"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"}
# Step Functions' names of services, where IAM has another.
_NAMESPACES = {"sfn": "states", "eventbridge": "events"}


class Ledger:
    """Each kind of call once, as a line of JSON. A file per process: nobody else writes to it."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen, self._lock = path, set[str](), threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def note(self, caller: str, action: str, resource: str, region: str, keys: Keys, *, denied: bool = False) -> None:
        account = get_account_id()
        # Of names that are new for each execution, one is enough.
        kind = re.sub(r"(:(?:execution|express):[^:]+):.*", r"\1", resource)
        told = {name: value for name, value in keys.items() if name not in ("dynamodb:LeadingKeys", "sts:RoleSessionName")}
        same = json.dumps([caller, account, action, kind, region, told, denied], sort_keys=True)
        with self._lock:
            if same in self._seen:
                return
            self._seen.add(same)
            call = {"caller": caller, "account": account, "action": action, "resource": resource, "region": region,
                    "keys": keys, "denied": denied}  # fmt: skip
            with self._path.open("a") as file:
                file.write(json.dumps(call) + "\n")


# ----- what a request asks of IAM -----------------------------------------------------------------------------------


def targets(action: str, request: Mapping[str, Any], region: str, account: str, otherwise: str) -> list[tuple[str, Keys]]:
    """The resources a request is evaluated on, with the condition keys of each. `otherwise`: what upstream takes it for."""
    service, _, operation = action.partition(":")
    if service == "dynamodb":
        # Upstream reads them out of a body: given again without what may be long in it.
        named = {name: request[name] for name in ("TableName", "IndexName", "RequestItems") if name in request}
        arns = iam_actions.dynamodb_resource_arns(json.dumps(named).encode(), region, account)
        return [(arn, dynamodb_keys(operation, request)) for arn in arns or ["*"]]
    if service == "events" and operation == "PutEvents":
        entries = request.get("Entries") or []
        arns = iam_actions.eventbridge_resource_arns(json.dumps(request).encode(), region, account)
        keys: Keys = {
            "events:source": sorted({str(one.get("Source")) for one in entries}),
            "events:detail-type": sorted({str(one.get("DetailType")) for one in entries}),
        }
        return [(arn, keys) for arn in arns]
    if service == "states" and operation == "StartExecution":
        return [started(str(request.get("stateMachineArn") or request.get("StateMachineArn")))]
    if service == "states":
        arn = request.get("executionArn") or request.get("ExecutionArn") or request.get("activityArn")
        return [(str(arn or "*"), {})]
    if service == "cloudwatch" and operation == "PutMetricData":
        return [("*", {"cloudwatch:namespace": str(request.get("Namespace"))})]
    if service == "sts" and operation == "AssumeRole":
        names = {"ExternalId": "sts:ExternalId", "RoleSessionName": "sts:RoleSessionName"}
        return [(otherwise, {names[name]: str(request[name]) for name in names if request.get(name)})]
    return [(otherwise, {})]


def started(machine: str) -> tuple[str, Keys]:
    """An alias or version is no resource of its own: it is a condition key on the machine's ARN."""
    arn = ":".join(machine.split(":")[:7])
    qualifier = machine[len(arn) + 1 :]
    return arn, {"states:StateMachineQualifier": qualifier} if qualifier else {}


def dynamodb_keys(operation: str, request: Mapping[str, Any]) -> Keys:
    """dynamodb:Attributes, Select, ReturnValues and LeadingKeys.

    A read that names no attributes to return has no dynamodb:Attributes, though its key names some: that is the reading
    under which a policy grants less.
    """
    writes = operation in ("PutItem", "UpdateItem", "DeleteItem")
    attributes = sorted(_attributes(request)) if writes or request.get("ProjectionExpression") else []
    keys: Keys = {"dynamodb:Attributes": attributes} if attributes else {}
    if writes:
        keys["dynamodb:ReturnValues"] = str(request.get("ReturnValues") or "NONE")
    else:
        keys["dynamodb:Select"] = str(request.get("Select") or ("SPECIFIC_ATTRIBUTES" if attributes else "ALL_ATTRIBUTES"))
    leading = _leading_key(request)
    if leading:
        keys["dynamodb:LeadingKeys"] = [leading]
    return keys


def _attributes(request: Mapping[str, Any]) -> set[str]:
    placeholders = request.get("ExpressionAttributeNames") or {}
    found = {*(request.get("Key") or {}), *(request.get("Item") or {})}
    for expression in (str(request.get(field) or "") for field in _EXPRESSIONS):
        words = (word for word in _NAME.findall(expression) if word.upper() not in _WORDS)
        found |= {placeholders.get(word, word) for word in words}
    return found


def _leading_key(request: Mapping[str, Any]) -> str:
    table = dynamodb._tables.get(str(request.get("TableName")).rpartition("/")[2]) or {}
    schema = {one["KeyType"]: one["AttributeName"] for one in table.get("KeySchema") or []}
    key = request.get("Key") or request.get("Item") or {}
    values = [*(key.get(schema.get("HASH")) or {}).values()]
    if not values and request.get("KeyConditionExpression"):
        match = re.search(r"=\s*(:\w+)", str(request["KeyConditionExpression"]))
        given = request.get("ExpressionAttributeValues") or {}
        values = [*(given.get(match.group(1)) or {}).values()] if match else []
    return str(values[0]) if values else ""


# ----- the three ways a call comes in -------------------------------------------------------------------------------


def install(app: ModuleType, ledger: Ledger | None) -> None:
    """Stands before the requests of clients; with a ledger, before integrations and rules' targets too."""
    _stand_before_clients(app, ledger)
    if ledger is not None:
        _stand_before_integrations(ledger)
        _stand_before_targets(ledger)


def _stand_before_clients(app: ModuleType, ledger: Ledger | None) -> None:
    upstream = app._dispatch_service_request

    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        key = extract_access_key_id(headers, query_params)
        user = key.startswith("AKIA")
        if user:  # upstream asks whose key it is only when it evaluates policies for everybody
            set_request_account_id(iam_evaluator.find_iam_access_key_account(key) or key)
        named = _APPLICATION.search(headers.get("x-amz-user-agent") or headers.get("user-agent") or "")
        if user or (named and ledger is not None):
            parameters = app._routing_params(method, path, headers, body, query_params)
            service = detect_service(method, path, headers, parameters)
            request = (method, path, headers, body, parameters)
            refusal = _client_call(service, request, f"application/{named.group(1)}" if named else "", user, ledger, request_id)
            if refusal is not None:
                return refusal
        return await upstream(method, path, headers, body, query_params, request_id)

    app._dispatch_service_request = dispatch


def _client_call(service: str, request: Any, caller: str, user: bool, ledger: Ledger | None, request_id: str) -> Any:
    """Writes the call down, and returns the refusal of a user whose policies do not allow it."""
    method, path, headers, body, parameters = request
    action = iam_actions.extract_iam_action(service, method, path, headers, body, parameters)
    if action is None:
        return None
    region, account = extract_region(headers), get_account_id()
    otherwise = "*"
    if service not in ("dynamodb", "states"):  # those `targets` reads itself, and they are nearly all there are
        otherwise = iam_actions.extract_resource_arn(service, method, path, headers, body, parameters, region, account)
    key, denied = extract_access_key_id(headers, parameters), None
    if user:
        principal = iam_evaluator.resolve_principal(key, account)
        caller = str(getattr(principal, "arn", "")).partition(":user/")[2] or caller
        caller = f"user/{caller}"
    for resource, keys in targets(action, _asked(body, parameters), region, account, otherwise):
        if user:
            denied = iam_evaluator.enforce(key, action, service, region, resource_arn=resource, service_context=dict(keys))
        if ledger is not None:
            ledger.note(caller, action, resource, region, keys, denied=denied is not None)
        if denied is not None:
            arn = getattr(denied, "principal_arn", "")
            explicit = getattr(denied, "decision", "") == "Deny"
            return iam_actions.access_denied_response(
                service, action, arn, request_id, headers=headers, resource_arn=resource, explicit_deny=explicit
            )
    return None


def _asked(body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a request asks, of either protocol."""
    if body[:1] == b"{":
        return dict(json.loads(body))
    return {name: value[0] if isinstance(value, list) and value else value for name, value in parameters.items()}


def _stand_before_integrations(ledger: Ledger) -> None:
    upstream = sfn._invoke_resource

    def invoke(resource: str, input_data: Any) -> Any:
        record = current_execution()
        if record is not None and ":states:::" in resource and isinstance(input_data, dict):
            role = str(sfn._state_machines[record["stateMachineArn"]]["roleArn"])
            # arn:…:states:::aws-sdk:dynamodb:updateItem and arn:…:states:::events:putEvents.
            service, operation = resource.partition(":states:::")[2].removeprefix("aws-sdk:").split(":")[:2]
            action = f"{_NAMESPACES.get(service, service)}:{operation[0].upper()}{operation[1:]}"
            region = sfn.get_region()
            for arn, keys in targets(action, input_data, region, get_account_id(), "*"):
                ledger.note(f"role/{_last(role)}", action, arn, region, keys)
        return upstream(resource, input_data)

    sfn._invoke_resource = invoke


def _stand_before_targets(ledger: Ledger) -> None:
    upstream = eventbridge._invoke_target

    def invoke(target: dict[str, Any], event: Any, rule: Any, view: Any = None) -> Any:
        arn, role = str(target.get("Arn", "")), str(target.get("RoleArn") or "")
        action = {"states": "states:StartExecution", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}.get(arn.split(":")[2])
        if role and action:
            resource, keys = started(arn) if action.startswith("states:") else (arn, Keys())
            ledger.note(f"role/{_last(role)}", action, resource, sfn.get_region(), keys)
        return upstream(target, event, rule, view)

    eventbridge._invoke_target = invoke


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]

