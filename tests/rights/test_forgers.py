"""The rights of who forges events for reconcile (tests/security/test_forged_events.py): the one call is allowed, and nothing that
would do more. On the policies that Terraform rendered."""

from __future__ import annotations

import pytest
from calls import PREFIX, Call
from on_behalf import REGION
from test_rights import Rights, rights

__all__ = ["rights"]

WHO = "person/reconcile"


def _home(rights: Rights) -> str:
    return str(rights.rendered["key"]["arn"].split(":")[4])


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("states:StartExecution", "states:{}:stateMachine:{}-reconcile", True),
        ("states:StartExecution", "states:{}:stateMachine:{}-recovery", False),
        ("states:StopExecution", "states:{}:execution:{}-recovery:x", False),
        ("states:RedriveExecution", "states:{}:execution:{}-recovery:x", False),
        ("states:SendTaskSuccess", None, False),
        ("states:GetActivityTask", "states:{}:activity:{}-finalize-execution-v1", False),
        ("dynamodb:PutItem", "dynamodb:{}:table/{}-execution-history", False),
        ("dynamodb:UpdateItem", "dynamodb:{}:table/{}-execution-history", False),
        ("dynamodb:PutItem", "dynamodb:{}:table/{}-execution-waves", False),
        ("dynamodb:DeleteItem", "dynamodb:{}:table/{}-server-locks", False),
    ],
)
def test_who_reconciles_may_only_start_it(rights: Rights, action: str, resource: str | None, allowed: bool) -> None:
    home = _home(rights)
    arn = "*" if resource is None else "arn:aws:" + resource.format(f"{REGION}:{home}", PREFIX)
    ((_, answer),) = rights.answers([Call(WHO, home, action, arn, REGION, {})])
    assert answer.allowed == allowed


@pytest.mark.parametrize(("who", "machine", "allowed"), [
    ("worker-task", f"{PREFIX}-recovery", True), ("worker-task", f"{PREFIX}-reconcile", False), ("worker-task", "another", False),
    ("reconcile-machine", f"{PREFIX}-recovery", True), ("reconcile-machine", "another", False),
])  # fmt: skip
def test_only_the_recovery_machines_executions_can_be_asked_about(rights: Rights, who: str, machine: str, allowed: bool) -> None:
    """Whatever ARN an event names."""
    home = _home(rights)
    arn = f"arn:aws:states:{REGION}:{home}:execution:{machine}:x"
    ((_, answer),) = rights.answers([Call(who, home, "states:DescribeExecution", arn, REGION, {})])
    assert answer.allowed == allowed
