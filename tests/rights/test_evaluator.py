"""What the evaluator understands of the language our policies are written in, and what it does not: a fixture each.

The policies here are not ours but AWS's own examples or the smallest that show a rule; the expectation is AWS's documentation
(IAM user guide, "Condition operators", "Policy variables", "Policy evaluation logic"; DynamoDB developer guide, "Using IAM
policy conditions for fine-grained access control").
"""

from __future__ import annotations

from typing import Any

import pytest
from evaluator import Request, evaluate

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
TABLE = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/GameScores"


def allow(action: str, resource: str, condition: dict[str, Any] | None = None, effect: str = "Allow") -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": effect, "Effect": effect, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}


def allowed(policies: dict[str, Any], action: str, resource: str, keys: dict[str, Any], principal: str = ROLE, **more: Any) -> bool:
    (answer,) = evaluate({"s": policies}, [Request("s", principal, ACCOUNT, action, resource, keys, **more)])
    return answer.allowed


LEADING = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:userid}"]}}
PROJECTED = {
    "ForAllValues:StringEquals": {"dynamodb:Attributes": ["UserId", "TopScore"]},
    "Null": {"dynamodb:Attributes": "false"},
    "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
}
VIA = {"Bool": {"aws:ViaAWSService": "true"}, "Null": {"aws:ResourceTag/Managed": "false"}}
CALLED = {"ForAnyValue:StringEquals": {"aws:CalledVia": "drs.amazonaws.com"}}

CASES = [
    # (what it shows, condition, action, resource, keys, allowed)
    ("leading key of the caller", LEADING, "dynamodb:GetItem", TABLE, {"aws:userid": "u1", "dynamodb:LeadingKeys": ["u1"]}, True),
    ("leading key of another", LEADING, "dynamodb:GetItem", TABLE, {"aws:userid": "u1", "dynamodb:LeadingKeys": ["u2"]}, False),
    ("one of two leading keys", LEADING, "dynamodb:GetItem", TABLE, {"aws:userid": "u1", "dynamodb:LeadingKeys": ["u1", "u2"]}, False),
    ("no leading key: ForAllValues holds of nothing", LEADING, "dynamodb:GetItem", TABLE, {"aws:userid": "u1"}, True),
    ("a projection", PROJECTED, "dynamodb:Query", TABLE, {"dynamodb:Attributes": ["UserId"], "dynamodb:Select": "SPECIFIC_ATTRIBUTES"}, True),
    ("one attribute too many", PROJECTED, "dynamodb:Query", TABLE, {"dynamodb:Attributes": ["UserId", "Secret"]}, False),
    ("all attributes", PROJECTED, "dynamodb:Query", TABLE, {"dynamodb:Select": "ALL_ATTRIBUTES"}, False),
    ("no attribute named: Null", PROJECTED, "dynamodb:Query", TABLE, {}, False),
    ("IfExists of a key that is not there", PROJECTED, "dynamodb:Query", TABLE, {"dynamodb:Attributes": ["UserId"]}, True),
    ("through a service, tagged", VIA, "ec2:TerminateInstances", f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-1",
     {"aws:ViaAWSService": "true", "aws:ResourceTag/Managed": "x"}, True),
    ("through a service, untagged", VIA, "ec2:TerminateInstances", f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-1",
     {"aws:ViaAWSService": "true"}, False),
    ("directly", VIA, "ec2:TerminateInstances", f"arn:aws:ec2:us-west-2:{ACCOUNT}:instance/i-1",
     {"aws:ViaAWSService": "false", "aws:ResourceTag/Managed": "x"}, False),
    ("called via, among others", CALLED, "ssm:DescribeInstanceInformation", "*", {"aws:CalledVia": ["x.amazonaws.com", "drs.amazonaws.com"]}, True),
    ("ForAnyValue of nothing", CALLED, "ssm:DescribeInstanceInformation", "*", {}, False),
    ("an address in a range", {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}}, "states:SendTaskSuccess", "*", {"aws:SourceIp": "203.0.113.9"}, True),
    ("an address outside", {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}}, "states:SendTaskSuccess", "*", {"aws:SourceIp": "203.0.114.9"}, False),
    ("several operators are all asked", {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "StringEquals": {"aws:RequestedRegion": "us-west-2"}},
     "states:SendTaskSuccess", "*", {"aws:MultiFactorAuthPresent": "true", "aws:RequestedRegion": "eu-west-1"}, False),
    ("a policy variable", {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}, "drs:DescribeJobs", "*",
     {"aws:ResourceAccount": ACCOUNT, "aws:PrincipalAccount": ACCOUNT}, True),
    ("a policy variable that differs", {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}, "drs:DescribeJobs", "*",
     {"aws:ResourceAccount": "444455556666", "aws:PrincipalAccount": ACCOUNT}, False),
    ("a key that the action has", {"StringEquals": {"drs:CreateAction": "StartRecovery"}}, "drs:TagResource",
     f"arn:aws:drs:us-west-2:{ACCOUNT}:job/drsjob-1", {"drs:CreateAction": "StartRecovery"}, True),
    # The Service Authorization Reference calls both keys ArrayOfString: an operator for one value matches none of them.
    ("a qualifier", {"ForAnyValue:StringEquals": {"states:StateMachineQualifier": "live"}}, "states:StartExecution",
     f"arn:aws:states:us-west-2:{ACCOUNT}:stateMachine:m", {"states:StateMachineQualifier": "live"}, True),
    ("a qualifier, by an operator for one value", {"StringEquals": {"states:StateMachineQualifier": "live"}}, "states:StartExecution",
     f"arn:aws:states:us-west-2:{ACCOUNT}:stateMachine:m", {"states:StateMachineQualifier": "live"}, False),
    ("every source of several entries", {"ForAllValues:StringEquals": {"events:source": "ours"}}, "events:PutEvents",
     f"arn:aws:events:us-west-2:{ACCOUNT}:event-bus/default", {"events:source": ["ours"]}, True),
    ("one source of several is another's", {"ForAllValues:StringEquals": {"events:source": "ours"}}, "events:PutEvents",
     f"arn:aws:events:us-west-2:{ACCOUNT}:event-bus/default", {"events:source": ["ours", "aws.ec2"]}, False),
    ("a source, by an operator for one value", {"StringEquals": {"events:source": "ours"}}, "events:PutEvents",
     f"arn:aws:events:us-west-2:{ACCOUNT}:event-bus/default", {"events:source": ["ours"]}, False),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers() -> dict[str, bool]:
    """All cases at once: starting the evaluator is most of what a question takes."""
    sets = {name: {"p": allow(action, resource, condition)} for name, condition, action, resource, _, _ in CASES}
    requests = [Request(name, ROLE, ACCOUNT, action, resource, keys) for name, _, action, resource, keys, _ in CASES]
    return {case[0]: answer.allowed for case, answer in zip(CASES, evaluate(sets, requests), strict=True)}


@pytest.mark.parametrize(("name", "expected"), [(case[0], case[-1]) for case in CASES])
def test_it_understands(answers: dict[str, bool], name: str, expected: bool) -> None:
    assert answers[name] is expected


def test_a_denial_wins_and_other_resources_are_not_allowed() -> None:
    both = {"a": allow("states:SendTaskSuccess", "*"), "d": allow("states:SendTaskSuccess", "*", effect="Deny")}
    assert not allowed(both, "states:SendTaskSuccess", "*", {})
    wild = {"p": allow("dynamodb:Query", f"{TABLE}/index/*")}
    assert allowed(wild, "dynamodb:Query", f"{TABLE}/index/i", {}) and not allowed(wild, "dynamodb:Query", TABLE, {})


def test_a_key_needs_its_own_policy_too() -> None:
    key = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1"
    mine = {"p": allow("kms:Decrypt", key)}
    root = {"Version": "2012-10-17", "Statement": [{"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}]}
    nobody = {"Version": "2012-10-17", "Statement": [{"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}, "Action": "kms:*", "Resource": "*"}]}
    assert allowed(mine, "kms:Decrypt", key, {}, resource_policy=root)
    assert not allowed(mine, "kms:Decrypt", key, {}, resource_policy=nobody)


def test_a_resource_that_an_action_does_not_take_is_no_request() -> None:
    with pytest.raises(AssertionError, match="cannot take this"):
        evaluate({"s": {"p": allow("*", "*")}}, [Request("s", ROLE, ACCOUNT, "dynamodb:GetItem", f"arn:aws:states:us-west-2:{ACCOUNT}:activity:a")])


def test_it_says_which_statement_and_what_it_left_out() -> None:
    keys = {"dynamodb:Select": "COUNT", "drs:CreateAction": "StartRecovery"}
    (answer,) = evaluate({"s": {"p": allow("dynamodb:Query", TABLE)}}, [Request("s", ROLE, ACCOUNT, "dynamodb:Query", TABLE, keys)])
    assert answer.allowed_by == {("p", "Allow")} and answer.ignored == {"drs:CreateAction"}
    (cut,) = evaluate({"s": {"p": allow("dynamodb:Query", TABLE)}}, [Request("s", ROLE, ACCOUNT, "dynamodb:Query", TABLE, without=("p", "Allow", "dynamodb:Query"))])
    assert not cut.allowed
