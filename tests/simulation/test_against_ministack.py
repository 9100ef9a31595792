"""The machines in `machines/`, run by the local strict MiniStack: the same states, task events and output as the
interpreter has to give (`src/machine/tests/corpus.rs`), as AWS is usually read and the other way.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from local.stack import Options, Stack

MACHINES = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "machines").glob("*.json"))}
WAIT_SECONDS = 30.0


class Engine:
    """The clients of one stack, and a table of its own for every run."""

    def __init__(self, environment: dict[str, str], expect: str) -> None:
        self._environment, self.expect = environment, expect
        self.sfn, self.dynamodb = self._client("stepfunctions"), self._client("dynamodb")

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._environment["AWS_ENDPOINT_URL"],
            region_name=self._environment["AWS_REGION"],
            aws_access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=70, inject_host_prefix=False),
        )


# reading (SFN_READING) -> the field of a machine that says what is expected
READINGS = {"recorded": "expect", "other": "otherReading"}
# Every machine under each reading of which it has an expectation.
CASES = [(reading, name) for reading, field in READINGS.items() for name, told in MACHINES.items() if field in told]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    options = Options(
        dir=tmp_path_factory.mktemp("stack"), ministack_port=0, simulator=False, workers=0, wait_scale=0.01
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_READING", request.param)
        with Stack(options) as stack:
            yield Engine(stack.environment(), READINGS[request.param])


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:g} s for {what}"
        time.sleep(0.01)
    return value


class Run:
    """One execution of a machine of the corpus."""

    def __init__(self, engine: Engine, machine: dict[str, Any]) -> None:
        self.sfn, self.dynamodb = engine.sfn, engine.dynamodb
        name = f"corpus-{uuid.uuid4().hex}"
        self.table = name
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for item in machine.get("items", []):
            self.dynamodb.put_item(TableName=name, Item=item)
        self.activity = self.sfn.create_activity(name=name)["activityArn"]
        text = json.dumps(machine["definition"]).replace("${activity}", self.activity).replace("${table}", name)
        self.resources = {
            state: body.get("Resource", "") for state, body in machine["definition"]["States"].items()
        }
        arn = self.sfn.create_state_machine(
            name=name, definition=text, roleArn="arn:aws:iam::111122223333:role/local"
        )["stateMachineArn"]
        self.arn = self.sfn.start_execution(stateMachineArn=arn, input=json.dumps(machine["input"]))["executionArn"]
        self.gate_token: str | None = None

    def describe(self) -> dict[str, Any]:
        return dict(self.sfn.describe_execution(executionArn=self.arn))

    def history(self) -> list[dict[str, Any]]:
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=self.arn)
        return [event for page in pages for event in page["events"]]

    def play(self, step: dict[str, Any]) -> None:
        resource = self.resources[step["state"]]
        if resource == "${activity}":
            task = self.sfn.get_activity_task(activityArn=self.activity)
            token = task.get("taskToken")
            assert token, f"no task for {step['state']}: {self.describe()}"
            if "input" in step:
                assert json.loads(task["input"]) == step["input"]
        elif resource.endswith(".waitForTaskToken") and "raises" not in step:
            token = wait_for(self._new_gate_token, "the token in the table")
        else:
            return  # MiniStack's own service answers
        if "succeed" in step:
            self.sfn.send_task_success(taskToken=token, output=json.dumps(step["succeed"]))
        elif "fail" in step:
            self.sfn.send_task_failure(taskToken=token, **step["fail"])
        elif step.get("stop"):
            self.sfn.stop_execution(executionArn=self.arn)
        else:
            assert step.get("silence"), step

    def _new_gate_token(self) -> str | None:
        item = self.dynamodb.get_item(TableName=self.table, Key={"id": {"S": "run"}}, ConsistentRead=True)["Item"]
        token = item.get("token", {}).get("S")
        if token == self.gate_token:
            return None
        self.gate_token = token
        return str(token)

    def outcome(self) -> dict[str, Any]:
        """The end, told as `expect` tells it."""
        ended = wait_for(lambda: found if (found := self.describe())["status"] != "RUNNING" else None, "the end")
        events = self.history()
        told: dict[str, Any] = {
            "status": ended["status"],
            "states": [
                event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered")
            ],
            "taskEvents": [
                event["type"]
                for event in events
                if event["type"].startswith(("Activity", "Task")) and "State" not in event["type"]
            ],
        }
        told["output"] = json.loads(ended["output"]) if "output" in ended else None
        # Of TIMED_OUT the engines word the error differently; the status says it all.
        told["error"] = ended.get("error") if ended["status"] == "FAILED" else None
        return told


@pytest.mark.parametrize(("engine", "name"), CASES, indirect=["engine"])
def test_ministack_runs_the_machine_alike(engine: Engine, name: str) -> None:
    machine = MACHINES[name]
    run = Run(engine, machine)
    for step in machine.get("script", []):
        run.play(step)
    expected = {"taskEvents": [], "output": None, "error": None, **machine[engine.expect]}
    assert run.outcome() == json.loads(json.dumps(expected).replace("${execution}", run.arn))
