"""P1 and P7 as evaluated policies: what Terraform rendered for each role, asked about requests, records and gate tokens.

tests/security/test_requests.py does the same calls against the engine. What stays possible for a stolen worker role is asked
here, too, so that the words of operator-policies' README are held: SendTask* have no resource type, and the role can keep and
spoil records, but it cannot come by a gate's token.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from calls import PREFIX
from evaluator import Request, evaluate
from test_rights import FOLDER

REGION = "us-west-2"
READS = ("BatchGetItem", "GetItem", "PartiQLSelect", "Query", "Scan")
# An update, a put and a delete may return the item as it was.
WRITES = ("DeleteItem", "PutItem", "UpdateItem")


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    found = next(FOLDER.rglob("rendered.json"), None)
    if found is None:
        pytest.skip("no rendered policies: `make test-terraform` leaves them")
    return dict(json.loads(found.read_text()))


class Asked:
    def __init__(self, rendered: dict[str, Any]) -> None:
        self.sets = {name.removeprefix(f"{PREFIX}-"): role["policies"] for name, role in rendered["roles"].items()}
        self.sets |= {f"person/{name}": {name: policy} for name, policy in rendered["people"].items()}
        self.home = rendered["roles"][f"{PREFIX}-worker-task"]["arn"].split(":")[4]

    def allowed(self, actions: tuple[str, ...], table: str, **keys: str) -> set[tuple[str, str]]:
        """(who, action) of everybody and everything that is allowed on this table."""
        arn = f"arn:aws:dynamodb:{REGION}:{self.home}:table/{PREFIX}-{table}"
        asked = [(who, action) for who in self.sets for action in actions]
        requests = [
            Request(who, f"arn:aws:iam::{self.home}:role/{who.replace('/', '-')}", self.home, f"dynamodb:{action}", arn, keys)
            for who, action in asked
        ]
        answers = evaluate(self.sets, requests)
        return {one for one, answer in zip(asked, answers, strict=True) if answer.allowed}


@pytest.fixture(scope="module")
def asked(rendered: dict[str, Any]) -> Asked:
    return Asked(rendered)


def test_only_approvers_read_gate_tokens(asked: Asked) -> None:
    """P7: not the worker, not a reader, not who asks; the machine writes them and reads none."""
    assert asked.allowed(READS, "execution-gates") == {("person/approve", "GetItem")}
    assert asked.allowed(WRITES, "execution-gates") == {("recovery-machine", "UpdateItem")}


def test_people_write_requests_and_nothing_else(asked: Asked) -> None:
    """P1: no person holds a write on records, waves, locks, plans or gates."""
    assert asked.allowed(WRITES, "execution-requests") == {("person/request", "UpdateItem"), ("recovery-machine", "UpdateItem")}
    for table in ("execution-history", "execution-waves", "server-locks", "recovery-plans", "protection-groups"):
        people = {who for who, _ in asked.allowed(WRITES, table) if who.startswith("person/")}
        assert not people, table


def test_the_machine_counts_requests_and_reads_none(asked: Asked) -> None:
    """What people write there never comes into the machine's state."""
    machine = {action for who, action in asked.allowed(READS, "execution-requests") if who == "recovery-machine"}
    assert not machine, "not without Select"
    counted = asked.allowed(("Query",), "execution-requests", **{"dynamodb:Select": "COUNT"})
    assert ("recovery-machine", "Query") in counted
    whole = asked.allowed(("Query",), "execution-requests", **{"dynamodb:Select": "ALL_ATTRIBUTES"})
    assert ("recovery-machine", "Query") not in whole


def test_a_stolen_worker_role_answers_tasks_and_no_gate(asked: Asked) -> None:
    """It may call SendTask* on `*`, because AWS has no resource for them; what it lacks is the token, and every way to one."""
    action, principal = "states:SendTaskSuccess", f"arn:aws:iam::{asked.home}:role/{PREFIX}-worker-task"
    history = f"arn:aws:states:{REGION}:{asked.home}:execution:{PREFIX}-recovery:x"
    sends, histories = evaluate(
        asked.sets,
        [
            Request("worker-task", principal, asked.home, action, "*", {}),
            Request("worker-task", principal, asked.home, "states:GetExecutionHistory", history, {}),
        ],
    )
    assert sends.allowed and not histories.allowed
