"""What strict mode says of definitions and rights: nothing it has not looked at."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Engine


def decide(engine: Engine, statement: dict[str, Any], action: str, resource: str, *context: dict[str, Any]) -> str:
    """IAM's decision about a role that has one statement."""
    iam, name = engine.client("iam"), f"role-{uuid.uuid4().hex}"
    role = iam.create_role(RoleName=name, Path="/deep/", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=document)
    answer = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource], ContextEntries=list(context)
    )
    (result,) = answer["EvaluationResults"]
    assert (result["EvalActionName"], result["EvalResourceName"]) == (action, resource)
    return str(result["EvalDecision"])


def test_a_definition_is_valid_where_it_could_be_created(engine: Engine) -> None:
    def validated(definition: str, **asked: str) -> dict[str, Any]:
        return dict(engine.sfn.validate_state_machine_definition(definition=definition, **asked))

    states = {"Here": {"Type": "Succeed"}}
    good = json.dumps({"StartAt": "Here", "States": states})
    assert (validated(good)["result"], validated(good)["diagnostics"]) == ("OK", [])
    (warned,) = validated(good, severity="WARNING")["diagnostics"]
    assert warned["severity"] == "WARNING" and "transitions" in warned["message"], "it says what it has not looked at"
    for bad in ("{", json.dumps({"StartAt": "Nowhere", "States": states})):
        failed = validated(bad)
        assert failed["result"] == "FAIL" and failed["diagnostics"][0]["severity"] == "ERROR", failed


def test_a_role_nobody_made_is_not_simulated(engine: Engine) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        engine.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::111122223333:role/nobody", ActionNames=["dynamodb:GetItem"]
        )


def test_rights_are_those_of_the_policy(engine: Engine) -> None:
    table = "arn:aws:dynamodb:us-west-2:111122223333:table/a"
    one = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table}
    assert decide(engine, one, "dynamodb:GetItem", table) == "allowed"
    assert decide(engine, one, "dynamodb:GetItem", table.replace("table/a", "table/b")) == "implicitDeny"
    assert decide(engine, one, "dynamodb:PutItem", table) == "implicitDeny"
    assert decide(engine, {**one, "Effect": "Deny"}, "dynamodb:GetItem", table) == "explicitDeny"


@pytest.mark.parametrize(
    ("condition", "key", "kind", "value"),
    [
        ({"Bool": {"aws:ViaAWSService": "true"}}, "aws:ViaAWSService", "boolean", "true"),
        (
            {"ForAllValues:StringEquals": {"events:source": "tidegate"}, "Null": {"events:source": "false"}},
            "events:source", "stringList", "tidegate",
        ),
        (
            {"ForAnyValue:StringEquals": {"aws:CalledVia": "drs.amazonaws.com"}},
            "aws:CalledVia", "stringList", "drs.amazonaws.com",
        ),
        ({"StringEquals": {"aws:RequestedRegion": "eu-south-1"}}, "aws:RequestedRegion", "string", "eu-south-1"),
        ({"Null": {"aws:ResourceTag/Managed": "false"}}, "aws:ResourceTag/Managed", "string", "x"),
    ],
)  # fmt: skip
def test_a_condition_is_met_by_what_the_question_says(
    engine: Engine, condition: dict[str, Any], key: str, kind: str, value: str
) -> None:
    statement = {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*", "Condition": condition}
    entry = {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": [value]}
    assert decide(engine, statement, "ec2:RunInstances", "*") == "implicitDeny"
    assert decide(engine, statement, "ec2:RunInstances", "*", entry) == "allowed"


def test_a_list_is_matched_by_no_operator_for_one_value(engine: Engine) -> None:
    """The Service Authorization Reference calls events:source an ArrayOfString."""
    plain = {"StringEquals": {"events:source": "tidegate"}}
    statement = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*", "Condition": plain}
    entry = {"ContextKeyName": "events:source", "ContextKeyType": "stringList", "ContextKeyValues": ["tidegate"]}
    assert decide(engine, statement, "events:PutEvents", "*", entry) == "implicitDeny"
