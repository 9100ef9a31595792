"""JSONPath, payload templates and ResultPath as AWS applies them: what is not there is an error, not null.

Upstream yields null for a path that leads nowhere and goes on, so a misspelt field in a definition passes every local
run and fails the first real one. On AWS the execution ends with States.Runtime, which no Retry or Catch can take.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import ministack.services.stepfunctions as sfn

_QUOTED_INPUT = 1_000  # characters of the input quoted in a cause; AWS quotes all of it


class MissingPath(sfn._ExecutionError):
    """A path that leads nowhere. Only IsPresent may catch it."""

    def __init__(self, path: str, data: Any, field: str | None = None) -> None:
        self.path, self.data = path, data
        where = f" specified for the field '{field}'" if field else ""
        shown = json.dumps(data, default=str)[:_QUOTED_INPUT]
        super().__init__("States.Runtime", f"The JSONPath '{path}'{where} could not be found in the input '{shown}'")


def resolve_path(path: str, data: Any) -> Any:
    if path == "$":
        return data
    tokens = sfn._parse_jsonpath_tokens(path) if path.startswith("$") else None
    if tokens is None:
        raise sfn._ExecutionError("States.Runtime", f"Invalid path '{path}' (filters are not supported locally)")

    # A path with a wildcard selects any number of values, none where it leads nowhere; another one leads to one value.
    selects = any(kind == "wildcard" for kind, _ in tokens)
    values = [data]
    for kind, key in tokens:
        values = [value for current in values for value in _step(kind, key, current)]
        if not values and not selects:
            raise MissingPath(path, data)
    return values if selects else values[0]


def _step(kind: str, key: Any, current: Any) -> list[Any]:
    if kind == "field":
        return [current[key]] if isinstance(current, dict) and key in current else []
    if kind == "index":
        return [current[key]] if isinstance(current, list) and key < len(current) else []
    if isinstance(current, list):
        return list(current)
    return list(current.values()) if isinstance(current, dict) else []


def resolve_context_path(path: str, ctx: dict[str, Any] | None) -> Any:
    # Upstream keeps its own bookkeeping in the same dict; it is not part of the context object.
    context = {name: value for name, value in (ctx or {}).items() if name not in ("QueryLanguage", "variables")}
    if path == "$$":
        return context
    try:
        return resolve_path(path[1:], context)
    except MissingPath as missing:
        raise MissingPath(path, context) from missing


def resolve_template(template: Any, data: Any, ctx: dict[str, Any] | None = None) -> Any:
    """A payload template (Parameters, ResultSelector, ItemSelector) with every `.$` field filled in."""
    if isinstance(template, list):
        return [resolve_template(item, data, ctx) for item in template]
    if not isinstance(template, dict):
        return template
    result = {}
    for key, value in template.items():
        if not key.endswith(".$"):
            result[key] = resolve_template(value, data, ctx)
            continue
        if not isinstance(value, str):
            raise sfn._ExecutionError("States.Runtime", f"The value for the field '{key}' must be a valid JSONPath")
        try:
            result[key[:-2]] = _resolve_expression(value, data, ctx)
        except MissingPath as missing:
            raise MissingPath(missing.path, missing.data, field=key) from missing
    return result


def _resolve_expression(expression: str, data: Any, ctx: dict[str, Any] | None) -> Any:
    if expression.startswith("States."):
        return sfn._evaluate_intrinsic(expression, data, ctx)
    if expression.startswith("$$"):
        return resolve_context_path(expression, ctx)
    return resolve_path(expression, data)


def evaluate_intrinsic(expression: str, data: Any, ctx: dict[str, Any] | None) -> Any:
    try:
        node, _ = sfn._parse_intrinsic_call(expression, 0)
        return sfn._exec_intrinsic(node, data, ctx)
    except sfn._ExecutionError:
        raise
    except Exception as error:
        # Upstream lets the Python error escape, which ends the execution where AWS offers it to Catch.
        raise sfn._ExecutionError(
            "States.IntrinsicFailure", f"The function '{expression}' had the following error: {error}"
        ) from error


def apply_result_path(result_path: str | None, original: Any, result: Any) -> Any:
    if result_path == "$":
        return result
    output = copy.deepcopy(original)
    if result_path is None:
        return output
    fields = [key for kind, key in sfn._parse_jsonpath_tokens(result_path) or [] if kind == "field"]
    if not fields:
        raise sfn._ExecutionError("States.ResultPathMatchFailure", f"'{result_path}' is not a reference path")
    target = output
    for position, name in enumerate(fields):
        # Upstream replaces what is in the way by an empty object and so loses input silently.
        if not isinstance(target, dict):
            raise sfn._ExecutionError(
                "States.ResultPathMatchFailure",
                f"Unable to apply ReferencePath {result_path} to input {json.dumps(original)[:_QUOTED_INPUT]}",
            )
        if position == len(fields) - 1:
            target[name] = result
        else:
            target = target.setdefault(name, {})
    return output


REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_resolve_path": resolve_path,
    "_resolve_ctx_path": resolve_context_path,
    "_resolve_params_obj": resolve_template,
    "_evaluate_intrinsic": evaluate_intrinsic,
    "_apply_result_path_raw": apply_result_path,
}
