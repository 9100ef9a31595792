"""The ledger of calls and the policies of users: local/engine/access.py on a running engine."""

from __future__ import annotations

import json
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from conftest import CHECKOUT, REGION, Engine, answers, wait_for

from local import processes

ACCOUNT = "111122223333"


@dataclass
class Watched:
    engine: Engine
    ledger: Path

    def client(self, service: str, application: str | None = None, **credentials: str) -> Any:
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local", **credentials}
        config = Config(user_agent_appid=application, retries={"total_max_attempts": 1}, inject_host_prefix=False)
        return boto3.client(service, endpoint_url=self.engine.url, region_name=REGION, config=config, **keys)

    def calls(self, caller: str) -> list[dict[str, Any]]:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [call for call in map(json.loads, lines) if call["caller"] == caller]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("access")
    port = processes.free_port()
    url, log, ledger = f"http://127.0.0.1:{port}", folder / "ministack.log", folder / "calls" / "ledger.jsonl"
    argv = [sys.executable, str(CHECKOUT / "local" / "ministack_strict.py"), "--port", str(port), "--calls", str(ledger)]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
                   "DOCKER_HOST": f"unix://{folder}/no-docker"}  # fmt: skip
    process = processes.spawn(argv, environment, log, die_with_parent=True)
    try:
        processes.wait_ready("MiniStack", process, lambda: answers(f"{url}/_ministack/health"), 20, log)
        yield Watched(Engine(url, port), ledger)
    finally:
        processes.stop([processes.identify(process)], grace_seconds=3)


def table_arn(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def test_a_call_is_written_down_once_with_what_iam_would_ask(watched: Watched) -> None:
    table = watched.engine.table()
    dynamodb = watched.client("dynamodb", "reader")
    for name in ("one", "two"):
        dynamodb.get_item(TableName=table, Key={"id": {"S": name}})
    (call,) = watched.calls("application/reader")
    assert call["action"] == "dynamodb:GetItem" and call["resource"] == table_arn(table) and call["region"] == REGION
    assert call["keys"] == {"dynamodb:Select": "ALL_ATTRIBUTES", "dynamodb:LeadingKeys": ["one"]}


def test_a_write_names_every_attribute_it_touches(watched: Watched) -> None:
    table = watched.engine.table()
    with pytest.raises(watched.engine.dynamodb.exceptions.ConditionalCheckFailedException):
        watched.client("dynamodb", "writer").update_item(
            TableName=table,
            Key={"id": {"S": "x"}},
            UpdateExpression="SET #f = :yes, kept = if_not_exists(kept, :yes) REMOVE gone[0], deep.inner",
            ConditionExpression="attribute_exists(endTime) AND #s IN (:yes)",
            ExpressionAttributeNames={"#f": "flag", "#s": "status"},
            ExpressionAttributeValues={":yes": {"S": "x"}},
            ReturnValues="UPDATED_NEW",
        )
    (call,) = watched.calls("application/writer")
    assert call["keys"]["dynamodb:Attributes"] == ["deep", "endTime", "flag", "gone", "id", "kept", "status"]
    assert call["keys"]["dynamodb:ReturnValues"] == "UPDATED_NEW"


def test_a_machine_calls_as_its_role_and_a_rule_as_its_own(watched: Watched) -> None:
    table, engine = watched.engine.table(), watched.engine
    name = f"told-{uuid.uuid4().hex}"
    entries = [{"Source": "ours", "DetailType": "Told", "Detail": {}, "EventBusName": "default"}]
    states = {
        "Read": {
            "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:query", "Next": "Tell",
            "Parameters": {"TableName": table, "Select": "COUNT", "KeyConditionExpression": "id = :id",
                           "ExpressionAttributeValues": {":id": {"S": "a"}}},
        },
        "Tell": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "Parameters": {"Entries": entries}, "End": True},
    }  # fmt: skip
    machine = engine.machine(states, role=name)
    follower = engine.machine({"Done": {"Type": "Succeed"}})
    events = engine.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["ours"]}), State="ENABLED")
    events.put_targets(Rule=name, Targets=[{"Id": "f", "Arn": follower, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}-rule"}])
    engine.end(engine.start(machine))
    read, tell = watched.calls(f"role/{name}")
    assert (read["action"], read["resource"]) == ("dynamodb:Query", table_arn(table))
    assert read["keys"] == {"dynamodb:Select": "COUNT", "dynamodb:LeadingKeys": ["a"]}
    assert (tell["action"], tell["keys"]["events:source"]) == ("events:PutEvents", ["ours"])
    assert tell["resource"] == f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    (started,) = wait_for(lambda: watched.calls(f"role/{name}-rule"), "the rule's call")
    assert (started["action"], started["resource"]) == ("states:StartExecution", follower)
    events.remove_targets(Rule=name, Ids=["f"])
    events.delete_rule(Name=name)


def test_a_user_is_held_to_the_policies_of_the_user(watched: Watched) -> None:
    table, iam = watched.engine.table(), watched.engine.client("iam")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Projected", "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table_arn(table),
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["id", "open"]}, "Null": {"dynamodb:Attributes": "false"}},
        }],
    }  # fmt: skip
    name = f"user-{uuid.uuid4().hex}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    dynamodb = watched.client("dynamodb", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])

    def get(**arguments: Any) -> str:
        return watched.engine.refused(lambda: dynamodb.get_item(TableName=table, Key={"id": {"S": "x"}}, **arguments))

    assert get() == "AccessDeniedException"
    assert get(ProjectionExpression="id, #o", ExpressionAttributeNames={"#o": "open"}) == "accepted"
    assert get(ProjectionExpression="id, gate") == "AccessDeniedException"
    told = [(call["keys"].get("dynamodb:Attributes"), call["denied"]) for call in watched.calls(f"user/{name}")]
    assert told == [(None, True), (["id", "open"], False), (["gate", "id"], True)]


def test_whoever_has_no_name_is_not_written_down(watched: Watched) -> None:
    before = watched.ledger.read_text() if watched.ledger.exists() else ""
    watched.engine.dynamodb.list_tables()
    with urllib.request.urlopen(f"{watched.engine.url}/_ministack/health", timeout=5):
        pass
    assert (watched.ledger.read_text() if watched.ledger.exists() else "") == before
