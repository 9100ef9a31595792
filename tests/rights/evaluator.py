"""iam-simulate, of which nothing is ours, as a function: requests in, answers out. docs/adr/0016 says why this one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = CHECKOUT / ".venv-terraform" / "npm"
SCRIPT = Path(__file__).with_name("evaluate.mjs")

# A policy document by the name it has in its set.
Policies = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Request:
    """One question. `account` is the resource's. `without`: (policy, Sid, action) that is taken away first."""

    set: str
    principal: str
    account: str
    action: str
    resource: str
    keys: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    resource_policy: Mapping[str, Any] | None = None
    without: tuple[str, str, str] | None = None
    # The policy of the VPC endpoint it goes through.
    endpoint: Mapping[str, Any] | None = None

    def asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "set": self.set, "principal": self.principal, "account": self.account, "action": self.action,
            "resource": self.resource, "keys": dict(self.keys),
        }  # fmt: skip
        if self.resource_policy is not None:
            asked["resourcePolicy"] = self.resource_policy
        if self.endpoint is not None:
            asked["endpoint"] = self.endpoint
        if self.without is not None:
            asked["without"] = dict(zip(("policy", "sid", "action"), self.without, strict=True))
        return asked


@dataclass(frozen=True)
class Answer:
    allowed: bool
    allowed_by: frozenset[tuple[str, str]]
    denied_by: frozenset[tuple[str, str]]
    ignored: frozenset[str]


def evaluate(policies: Mapping[str, Policies], requests: Iterable[Request]) -> list[Answer]:
    """The answers in order; a request that makes no sense (a resource the action does not take) is an error."""
    asked = list(requests)
    question = json.dumps({"policies": _sets(policies), "requests": [one.asked() for one in asked]})
    done = subprocess.run(
        ["node", str(SCRIPT), str(HOME)], input=_owned_by_aws(question), capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    answers = json.loads(done.stdout)
    wrong = [f"{request.action} on {request.resource}: {answer['error']}" for request, answer in zip(asked, answers, strict=True) if answer.get("error")]
    assert not wrong, "iam-simulate cannot take this for a request:\n" + "\n".join(wrong)
    return [
        Answer(
            answer["result"] == "Allowed",
            frozenset((policy, sid) for policy, sid in answer["allowedBy"]),
            frozenset((policy, sid) for policy, sid in answer["deniedBy"]),
            frozenset(answer["ignored"]),
        )
        for answer in answers
    ]


def _sets(policies: Mapping[str, Policies]) -> dict[str, list[dict[str, Any]]]:
    return {name: [{"name": one, "policy": policy} for one, policy in found.items()] for name, found in policies.items()}


def _owned_by_aws(question: str) -> str:
    """Documents of AWS belong to no account: `arn:aws:ssm:us-west-2::document/AWS-CreateImage`. The evaluator takes no ARN
    without one, so in policies and requests alike they get one that nobody has."""
    return re.sub(r"(arn:aws:ssm:[a-z0-9*-]*)::", r"\1:000000000000:", question)
