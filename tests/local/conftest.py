"""Shared by the tests of the local stack: one strict MiniStack for all engine tests, on a free port."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from local import processes

REGION = "us-west-2"
WAIT_SECONDS = 20.0


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first truthy value of `condition`; fails naming what was waited for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:g} s for {what}"
        time.sleep(0.01)


class Engine:
    """A client of the strict engine, with the few steps every test here takes."""

    def __init__(self, url: str, port: int) -> None:
        self.url, self.port = url, port
        self.sfn = self.client("stepfunctions")
        self.dynamodb = self.client("dynamodb")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="111122223333",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=70, inject_host_prefix=False),
        )

    def activity(self) -> str:
        return str(self.sfn.create_activity(name=f"activity-{uuid.uuid4().hex}")["activityArn"])

    def table(self) -> str:
        name = f"table-{uuid.uuid4().hex}"
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    def machine(self, states: dict[str, Any], *, role: str = "local", **fields: Any) -> str:
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        answer = self.sfn.create_state_machine(
            name=f"machine-{uuid.uuid4().hex}",
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::111122223333:role/{role}",
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, execution_input: Any = None, **arguments: Any) -> str:
        text = json.dumps({} if execution_input is None else execution_input)
        return str(self.sfn.start_execution(stateMachineArn=machine, input=text, **arguments)["executionArn"])

    def run(self, states: dict[str, Any], execution_input: Any = None, **fields: Any) -> str:
        return self.start(self.machine(states, **fields), execution_input)

    def describe(self, execution: str) -> dict[str, Any]:
        return dict(self.sfn.describe_execution(executionArn=execution))

    def end(self, execution: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = self.describe(execution)
            return found if found["status"] != "RUNNING" else None

        return dict(wait_for(ended, f"the end of {execution}"))

    def output(self, execution: str) -> Any:
        found = self.end(execution)
        assert found["status"] == "SUCCEEDED", found
        return json.loads(found["output"])

    def poll(self, activity: str) -> dict[str, Any]:
        return dict(self.sfn.get_activity_task(activityArn=activity))

    def history(self, execution: str) -> list[str]:
        events = self.sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return [event["type"] for event in events]

    def gate_token(self, table: str, other_than: str = "") -> str:
        """The token a `dynamodb:updateItem.waitForTaskToken` state has stored in the item `gate`."""

        def token() -> str | None:
            item = self.dynamodb.get_item(TableName=table, Key={"id": {"S": "gate"}}).get("Item", {})
            found = item.get("token", {}).get("S")
            return found if found != other_than else None

        return str(wait_for(token, "a task token in the table"))

    def refused(self, call: Callable[[], Any]) -> str:
        """The error code a call is refused with."""
        try:
            call()
        except Exception as error:  # botocore makes a class per error code
            return str(getattr(error, "response", {}).get("Error", {}).get("Code", repr(error)))
        return "accepted"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    directory = tmp_path_factory.mktemp("engine")
    port = processes.free_port()
    url, log = f"http://127.0.0.1:{port}", directory / "ministack.log"
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(directory),
        "SFN_WAIT_SCALE": "0.01",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory}/no-docker",
    }
    argv = [sys.executable, str(CHECKOUT / "local" / "ministack_strict.py"), "--port", str(port)]
    if "TIDEGATE_CALLS" in os.environ:
        argv += ["--calls", str(Path(os.environ["TIDEGATE_CALLS"]) / f"engine-{uuid.uuid4().hex}.jsonl")]
    process = processes.spawn(argv, environment, log, die_with_parent=True)
    try:
        processes.wait_ready("MiniStack", process, lambda: answers(f"{url}/_ministack/health"), 20, log)
        yield Engine(url, port)
    finally:
        processes.stop([processes.identify(process)], grace_seconds=3)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Runs a function in a thread and joins it at the end of the test."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.join(timeout=WAIT_SECONDS)
        assert not thread.is_alive(), "a background thread did not end"
