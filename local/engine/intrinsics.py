"""Intrinsic functions whose value AWS was recorded to give otherwise than upstream: rounding, text of nothing, formats.

Upstream cuts or rounds to even, refuses to parse nothing, formats by Python's `str()` and ends a falling range too early.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import ministack.services.stepfunctions as sfn

_MAX_RANGE = 1_000

_upstream = sfn._exec_intrinsic


def exec_intrinsic(node: Any, data: Any, ctx: dict[str, Any]) -> Any:
    _, name, arguments = node
    function = _FUNCTIONS.get(name)
    if function is None:
        return _upstream(node, data, ctx)
    return function(*(sfn._eval_intrinsic_arg(argument, data, ctx) for argument in arguments))


def _integer(value: Any) -> int:
    """The nearest whole number, a half up: -2.5 is -2."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number is expected")
    return value if isinstance(value, int) else math.floor(value + 0.5)


def _math_add(left: Any, right: Any) -> int:
    total = _integer(left) + _integer(right)
    if not -(2**63) <= total < 2**63:
        raise ValueError("the sum is out of range")
    return total


def _string_to_json(text: Any) -> Any:
    return json.loads(text) if text.strip() else None


def _array_range(first: Any, last: Any, step: Any) -> list[int]:
    first, last, step = _integer(first), _integer(last), _integer(step)
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > _MAX_RANGE:
        raise ValueError(f"the range has over {_MAX_RANGE} elements")
    return list(numbers)


def _format(template: str, *values: Any) -> str:
    # Upstream knows the template's escapes; the values are handed to it as AWS prints them.
    literals = [("str", template), *(("str", _plain(value)) for value in values)]
    return str(_upstream(("call", "States.Format", literals), None, None))


def _plain(value: Any) -> str:
    """AWS prints objects and arrays the way Java does."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(_plain(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_plain(field)}' for name, field in value.items())}}}"
    return json.dumps(value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.MathAdd": _math_add,
    "States.StringToJson": _string_to_json,
    "States.ArrayRange": _array_range,
    "States.Format": _format,
}

REPLACEMENTS: dict[str, Callable[..., Any]] = {"_exec_intrinsic": exec_intrinsic}
