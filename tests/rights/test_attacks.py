"""What the rendered policies say to those who hold one right and want another: evaluated by iam-simulate, as test_rights.py
evaluates the calls that are meant. The attacks themselves are in tests/security."""

from __future__ import annotations

import json
from typing import Any

from calls import PREFIX, TARGET
from evaluator import CHECKOUT, Request, evaluate
from test_rights import Rights, rights

__all__ = ["rights"]  # the fixture

REGION = "us-west-2"
PEOPLE = ("start", "approve", "request", "reconcile", "read-only")
BUS_POLICY = "terraform/modules/event-bus/policies/bus.json.tftpl"


def home_of(rights: Rights) -> str:
    return str(rights.rendered["roles"][f"{PREFIX}-worker-task"]["arn"].split(":")[4])


def asked(rights: Rights, requests: list[Request]) -> list[bool]:
    return [answer.allowed for answer in evaluate({**rights.sets, "anything": {"anything": ANYTHING}}, requests)]


ANYTHING = {"Version": "2012-10-17", "Statement": [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]}


def test_nobody_but_the_worker_takes_a_targets_role_and_the_worker_no_other(rights: Rights) -> None:
    """P8: who starts, approves or writes plans has no way to a tenant's role, with its external id or without."""
    home, target = home_of(rights), rights.rendered["roles"][TARGET]
    owner = str(target["arn"].split(":")[4])
    word = {"sts:ExternalId": target["trust"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]}
    people = [
        Request(f"person/{one}", f"arn:aws:iam::{home}:role/{one}", owner, "sts:AssumeRole", target["arn"], word, target["trust"])
        for one in PEOPLE
    ]  # fmt: skip
    worker = str(rights.rendered["roles"][f"{PREFIX}-worker-task"]["arn"])
    other = target["arn"].replace("-target", "-of-another-tenant")
    trusting = json.loads(json.dumps(target["trust"]))
    theirs = [
        Request("worker-task", worker, owner, "sts:AssumeRole", target["arn"], word, target["trust"]),
        Request("worker-task", worker, owner, "sts:AssumeRole", other, word, trusting),
    ]
    assert asked(rights, people + theirs) == [False] * len(PEOPLE) + [True, False]


def bus(rights: Rights) -> tuple[str, dict[str, Any]]:
    """The bus's ARN and its policy as Terraform renders it, which a test of the module compares with the template."""
    home = home_of(rights)
    arn = f"arn:aws:events:{REGION}:{home}:event-bus/{PREFIX}"
    machines = sorted(rights.rendered["roles"][f"{PREFIX}-{name}-machine"]["arn"] for name in ("recovery", "reconcile"))
    text = (CHECKOUT / BUS_POLICY).read_text()
    return arn, json.loads(text.replace("${bus_arn}", arn).replace("${jsonencode(machine_role_arns)}", json.dumps(machines)))


def test_only_the_machines_may_speak_on_their_bus_whatever_others_are_allowed(rights: Rights) -> None:
    """S2: an administrator's policy does not help either; and neither the workers nor any person has the action."""
    arn, policy = bus(rights)
    home = home_of(rights)

    def put(who: str, principal: str) -> Request:
        keys = {"aws:PrincipalArn": principal, "events:source": ["tidegate"], "aws:PrincipalAccount": home}
        return Request(who, principal, home, "events:PutEvents", arn, keys, policy)

    anybody = [put("anything", f"arn:aws:iam::{home}:role/{name}") for name in ("admin", f"{PREFIX}-worker-task", "some-lambda")]
    anybody += [put(f"person/{one}", f"arn:aws:iam::{home}:role/{one}") for one in PEOPLE]
    anybody += [put("worker-task", rights.rendered["roles"][f"{PREFIX}-worker-task"]["arn"])]
    machines = [put(f"{name}-machine", rights.rendered["roles"][f"{PREFIX}-{name}-machine"]["arn"]) for name in ("recovery", "reconcile")]
    assert asked(rights, anybody + machines) == [False] * len(anybody) + [True, True]
