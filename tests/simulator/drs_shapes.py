"""Checks the body of a DRS answer against botocore's model of it.

botocore itself is lenient: it drops members it does not know and never looks at patterns, so a client test alone proves
little about a server. This walks the model instead and refuses what the real service would not send.
"""

import re

# Real, but in no version of the model (captured in aws-samples/drs-tools).
UNMODELLED_ENUM_VALUES = {"JobLogEvent": {"LAUNCH_END"}}


def problems(shape, value, path="$"):
    """Every way in which `value` is not a `shape`, as readable lines."""
    if shape.type_name == "structure":
        return list(_structure(shape, value, path))
    if shape.type_name == "list":
        return list(_list(shape, value, path))
    if shape.type_name == "map":
        return list(_map(shape, value, path))
    return list(_scalar(shape, value, path))


def _structure(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__} instead of structure {shape.name}"
        return
    # A body member is named by its location name where it has one.
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    required = {shape.members[name].serialization.get("name", name) for name in shape.required_members}
    for name in sorted(required - value.keys()):
        yield f"{path}: {shape.name} misses required {name}"
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield f"{path}: union {shape.name} has {len(value)} members"
    for name, member in value.items():
        if name not in members:
            yield f"{path}: {shape.name} has no member {name}"
        else:
            yield from problems(members[name], member, f"{path}.{name}")


def _list(shape, value, path):
    if not isinstance(value, list):
        yield f"{path}: {type(value).__name__} instead of list {shape.name}"
        return
    yield from _size(shape, len(value), path)
    for index, item in enumerate(value):
        yield from problems(shape.member, item, f"{path}[{index}]")


def _map(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__} instead of map {shape.name}"
        return
    yield from _size(shape, len(value), path)
    for key, item in value.items():
        yield from problems(shape.key, key, f"{path} key {key!r}")
        yield from problems(shape.value, item, f"{path}[{key!r}]")


def _scalar(shape, value, path):
    kind = {"string": str, "boolean": bool, "integer": int, "long": int}[shape.type_name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        yield f"{path}: {type(value).__name__} instead of {shape.type_name} {shape.name}"
        return
    if kind is str:
        yield from _size(shape, len(value), path)
        allowed = set(getattr(shape, "enum", None) or []) | UNMODELLED_ENUM_VALUES.get(shape.name, set())
        if getattr(shape, "enum", None) and value not in allowed:
            yield f"{path}: {value!r} is not a {shape.name}"
        pattern = shape.metadata.get("pattern")
        # The model wants a Z at the end of timestamps; the service sends +00:00.
        if pattern and shape.name == "ISO8601DatetimeString":
            pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
        if pattern and not re.fullmatch(pattern.strip("^$"), value):
            yield f"{path}: {value!r} does not match {pattern} of {shape.name}"
    elif kind is int:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            yield f"{path}: {value} is out of range for {shape.name}"


def _size(shape, size, path):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path}: size {size} is out of range for {shape.name}"
