"""The calls that the other tests recorded, told in the names of the deployment whose policies were rendered.

Every stack of the tests has a prefix of its own, and so has every account a worker recovers in: prefixes become that of the
rendered deployment, other accounts its target account, roles in them its target role. Nothing else is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRACT = json.loads((CHECKOUT / "statemachine" / "contract" / "contract.json").read_text())
PREFIX = "tidegate-prod"
TARGET = f"{PREFIX}-target"
_TABLES = "|".join(one["name"] for one in CONTRACT["tables"])
# Whose calls are those of a test and of nobody who has a policy: machines and users that tests make for themselves.
TESTS_OWN = re.compile(r"^(role/(local|finalize|late|poison|bus-[0-9a-f]+|told-[0-9a-f]+(-rule)?)|user/user-[0-9a-f]+)$")
# tests/terraform/test_drill.py rehearses a release with this activity, which no policy of today names.
# What the reconcile machine may ask for: an execution of the recovery machine.
OURS = re.compile(r":execution:[\w-]*recovery:[A-Za-z0-9_-]{1,80}$")
OF_THE_NEXT_RELEASE = "poll-wave-v2"


@dataclass(frozen=True)
class Call:
    """Who: the name of a role without its prefix, or `person/<task>`."""

    who: str
    account: str
    action: str
    resource: str
    region: str
    keys: Mapping[str, str | Sequence[str]] = field(hash=False)
    denied: bool = False
    # Empty for what was recorded; for what nothing here can record, who says that it is called.
    source: str = ""

    def __str__(self) -> str:
        return f"{self.who}: {self.action} on {self.resource} {json.dumps(dict(self.keys))}"


def recorded(folder: Path, rendered: Mapping[str, Any]) -> list[Call]:
    """Each kind of call once."""
    calls: dict[str, Call] = {}
    for line in _lines(folder):
        call = _told(line, rendered)
        if call is not None:
            # An item's key is data: which one it was makes no other kind of call.
            told = {name: value for name, value in call.keys.items() if name not in ("dynamodb:LeadingKeys", "sts:RoleSessionName")}
            kind = re.sub(r"(:execution:[^:]+):.*|(source-server|recovery-instance)/.*", r"\1\2", call.resource)
            calls.setdefault(json.dumps([call.who, call.account, call.action, kind, call.region, told, call.denied], sort_keys=True), call)
    return list(calls.values())


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def _told(line: dict[str, Any], rendered: Mapping[str, Any]) -> Call | None:
    kind, _, name = line["caller"].partition("/")
    if TESTS_OWN.match(line["caller"]) or OF_THE_NEXT_RELEASE in line["resource"]:
        return None
    if line["resource"] != "*" and not line["resource"].startswith("arn:"):
        return None  # a forged event's ARN that is none: AWS refuses it before it asks IAM
    if kind == "role" and line["action"] == "states:DescribeExecution" and "reconcile" in name and not OURS.search(line["resource"]):
        return None  # a forged event's execution: the role may not ask for it, and tests/security tries that nothing comes of it
    home = str(rendered["roles"][f"{PREFIX}-worker-task"]["arn"]).split(":")[4]
    target = str(rendered["roles"][TARGET]["arn"]).split(":")[4]
    account = home if line["account"] == home else target
    prefix = _prefix(line, name)
    resource, keys = (json.loads(_renamed(json.dumps(part), prefix)) for part in (line["resource"], line["keys"]))
    if line["action"] == "sts:AssumeRole":
        resource = rendered["roles"][TARGET]["arn"]
    elif line["account"] != home:
        resource = resource.replace(f":{line['account']}:", f":{target}:")
    if kind == "user":
        who = f"person/{name}"
    elif name == "worker-task" and account != home:
        who = "target"
    else:
        who = re.sub(r"^(?:tidegate|watch)-[a-z0-9]+-", "", name)
    return Call(who, account, line["action"], resource, line["region"], keys, line["denied"])


def _prefix(line: dict[str, Any], name: str) -> str:
    """That of the stack the call was made on."""
    for pattern, text in (
        (rf":table/(.+)-(?:{_TABLES})(?:/index/.+)?$", line["resource"]),
        (r":(?:activity|stateMachine|execution):((?:tidegate|watch)-[a-z0-9]+)-", line["resource"]),
        (r":((?:tidegate|watch)-[a-z0-9]+)-", line["resource"]),
        (r"^((?:tidegate|watch)-[a-z0-9]+)-", name),
    ):
        found = re.search(pattern, text)
        if found:
            return found.group(1)
    return PREFIX


def _renamed(text: str, prefix: str) -> str:
    return re.sub(rf'(?<![a-z0-9-]){re.escape(prefix)}(?=[-"/:]|$)', PREFIX, text)
