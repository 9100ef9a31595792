"""The rights of who forges events for reconcile (tests/security/test_forged_events.py), and of who starts or continues
(test_confirmation.py, test_continuation.py): the call of the attack is allowed, and nothing that would do more. On the policies that
Terraform rendered."""

from __future__ import annotations

from calls import PREFIX, Call
from on_behalf import REGION
from test_rights import Rights, rights

__all__ = ["rights"]

OURS = f"{PREFIX}-recovery"
# Who, what, on what, whether it is allowed.
CASES = [
    ("person/reconcile", "states:StartExecution", f"states:{{}}:stateMachine:{PREFIX}-reconcile", True),
    ("person/reconcile", "states:StartExecution", f"states:{{}}:stateMachine:{OURS}", False),
    ("person/reconcile", "states:StopExecution", f"states:{{}}:execution:{OURS}:x", False),
    ("person/reconcile", "states:RedriveExecution", f"states:{{}}:execution:{OURS}:x", False),
    ("person/reconcile", "states:SendTaskSuccess", None, False),
    ("person/reconcile", "states:GetActivityTask", f"states:{{}}:activity:{PREFIX}-finalize-execution-v1", False),
    ("person/reconcile", "dynamodb:PutItem", f"dynamodb:{{}}:table/{PREFIX}-execution-history", False),
    ("person/reconcile", "dynamodb:UpdateItem", f"dynamodb:{{}}:table/{PREFIX}-execution-history", False),
    ("person/reconcile", "dynamodb:PutItem", f"dynamodb:{{}}:table/{PREFIX}-execution-waves", False),
    ("person/reconcile", "dynamodb:DeleteItem", f"dynamodb:{{}}:table/{PREFIX}-server-locks", False),
    # Whatever ARN an event names: only the recovery machine's executions can be asked about.
    ("reconcile-machine", "states:DescribeExecution", f"states:{{}}:execution:{OURS}:x", True),
    ("reconcile-machine", "states:DescribeExecution", "states:{}:execution:another:x", False),
    ("worker-task", "states:DescribeExecution", f"states:{{}}:execution:{OURS}:x", True),
    ("worker-task", "states:DescribeExecution", f"states:{{}}:execution:{PREFIX}-reconcile:x", False),
    ("worker-task", "states:DescribeExecution", "states:{}:execution:another:x", False),
    ("person/start", "states:DescribeExecution", f"states:{{}}:execution:{OURS}:x", True),
    ("person/start", "states:SendTaskSuccess", None, False),
    ("person/start", "states:SendTaskFailure", None, False),
    ("person/start", "dynamodb:UpdateItem", f"dynamodb:{{}}:table/{PREFIX}-execution-history", False),
    ("person/start", "dynamodb:PutItem", f"dynamodb:{{}}:table/{PREFIX}-recovery-plans", False),
    ("person/start", "drs:DescribeSourceServers", None, False),
    ("person/approve", "states:SendTaskSuccess", None, True),
    ("person/approve", "states:StartExecution", f"states:{{}}:stateMachine:{OURS}", False),
]


def test_who_reconciles_starts_or_approves_may_do_that_and_no_more(rights: Rights) -> None:
    home = str(rights.rendered["key"]["arn"].split(":")[4])

    def call(who: str, action: str, resource: str | None) -> Call:
        arn = "*" if resource is None else "arn:aws:" + resource.format(f"{REGION}:{home}")
        return Call(who, home, action, arn, REGION, {"aws:MultiFactorAuthPresent": "true"} if who == "person/approve" else {})

    answers = rights.answers(call(who, action, resource) for who, action, resource, _ in CASES)
    wrong = [str(asked) for (asked, answer), (*_, allowed) in zip(answers, CASES, strict=True) if answer.allowed != allowed]
    assert not wrong, wrong
