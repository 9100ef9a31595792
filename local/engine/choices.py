"""The rules of JSONPath Choice states.

Upstream takes null for absent (`IsPresent`), ignores the `String…Path` family and compares 1 with true; a definition
tested against that may choose another branch on AWS. One operator table here covers them all.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import ministack.services.stepfunctions as sfn

from local.engine.paths import MissingPath

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_OPERATOR = re.compile(
    r"(String|Numeric|Boolean|Timestamp)(Equals|LessThanEquals|LessThan|GreaterThanEquals|GreaterThan)(Path)?"
)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def is_timestamp(value: Any) -> bool:
    """With a T and a zone, both of which Python's own parser can do without."""
    return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None and sfn._parse_ts(value) is not None


_TYPE_TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": _is_number,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": is_timestamp,
}
_TYPED: dict[str, Callable[[Any], bool]] = {
    "String": _TYPE_TESTS["IsString"],
    "Numeric": _is_number,
    "Boolean": _TYPE_TESTS["IsBoolean"],
    "Timestamp": is_timestamp,
}


def evaluate_rule(rule: dict[str, Any], data: Any, ctx: dict[str, Any] | None = None) -> bool:
    if "And" in rule:
        return all(evaluate_rule(part, data, ctx) for part in rule["And"])
    if "Or" in rule:
        return any(evaluate_rule(part, data, ctx) for part in rule["Or"])
    if "Not" in rule:
        return not evaluate_rule(rule["Not"], data, ctx)

    try:
        value = sfn._resolve_path_or_ctx(rule["Variable"], data, ctx)
    except MissingPath:
        # Every other test of an absent field ends the execution, IsNull included.
        if "IsPresent" in rule:
            return rule["IsPresent"] is False
        raise
    if "IsPresent" in rule:
        return rule["IsPresent"] is True
    for name, test in _TYPE_TESTS.items():
        if name in rule:
            return test(value) == rule[name]
    if "StringMatches" in rule:
        return isinstance(value, str) and _wildcard(rule["StringMatches"]).fullmatch(value) is not None
    return _compare(rule, value, data, ctx)


def _compare(rule: dict[str, Any], value: Any, data: Any, ctx: dict[str, Any] | None) -> bool:
    for name, expected in rule.items():
        match = _OPERATOR.fullmatch(name)
        if match is None:
            continue
        kind, comparison, by_path = match.groups()
        if by_path:
            expected = sfn._resolve_path_or_ctx(expected, data, ctx)
        if not (_TYPED[kind](value) and _TYPED[kind](expected)):
            return False
        if kind == "Timestamp":
            value, expected = sfn._parse_ts(value), sfn._parse_ts(expected)
        return _COMPARISONS[comparison](value, expected)
    raise sfn._ExecutionError("States.Runtime", f"The choice rule {sorted(rule)} has no known operator")


def _wildcard(pattern: str) -> re.Pattern[str]:
    """`*` matches anything; a backslash makes the next character a literal."""
    parts = re.findall(r"\\(.)|(\*)|([^\\*]+)|(\\)$", pattern, flags=re.DOTALL)
    return re.compile(
        "".join(".*" if star else re.escape(escaped or text or tail) for escaped, star, text, tail in parts), re.DOTALL
    )


REPLACEMENTS: dict[str, Callable[..., Any]] = {"_evaluate_rule": evaluate_rule}
