"""The pause watch of terraform/modules/observability, as it ships, on the strict engine: it counts a gate that nobody answers,
stops when it is answered, and never sees a task token."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import CHECKOUT, Engine, wait_for

from local import deploy

DEFINITION = CHECKOUT / "terraform" / "modules" / "observability" / "pause-watch.asl.json"
TOKEN = "A-TASK-TOKEN-THAT-MUST-STAY-WHERE-IT-IS"
LONG_AGO, LATER = "2026-01-02T03:04:05.000Z", "2099-01-02T03:04:05.000Z"
# A hundredth of it passes: the engine's SFN_WAIT_SCALE.
PAUSED_SECONDS, REPEAT_SECONDS = 100, 50


@dataclass
class Watch:
    """The machine, with a table and a metric namespace of its own."""

    engine: Engine
    table: str
    namespace: str
    machine: str

    def pause(self, since: str) -> str:
        """A paused execution's record; returns the watcher that its event starts."""
        execution = f"drill-{uuid.uuid4().hex}"
        gate = {"since": {"S": since}, "token": {"S": TOKEN}, "kind": {"S": "RESUME"}}
        self.engine.dynamodb.put_item(
            TableName=self.table,
            Item={"executionId": {"S": execution}, "planId": {"S": "crm"}, "status": {"S": "PAUSED"}, "gate": {"M": gate}},
        )
        event = {"detail-type": "Tidegate Execution Paused", "detail": {"executionId": execution, "planId": "crm"}}
        return self.engine.start(self.machine, event)

    def answer(self, watcher: str) -> None:
        execution = json.loads(self.engine.describe(watcher)["input"])["detail"]["executionId"]
        self.engine.dynamodb.update_item(
            TableName=self.table,
            Key={"executionId": {"S": execution}, "planId": {"S": "crm"}},
            UpdateExpression="SET #status = :polling REMOVE gate",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":polling": {"S": "POLLING"}},
        )

    def counted(self) -> float:
        found = self.engine.client("cloudwatch").get_metric_statistics(
            Namespace=self.namespace,
            MetricName="PausedTooLong",
            StartTime=time.time() - 3600,
            EndTime=time.time() + 3600,
            Period=86400,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    def entered(self, watcher: str) -> list[str]:
        events = self.engine.sfn.get_execution_history(executionArn=watcher, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


@pytest.fixture
def watch(engine: Engine) -> Watch:
    # Names as Terraform makes them, role included: tests/rights evaluates what the machine calls.
    prefix = f"watch-{uuid.uuid4().hex[:12]}"
    table, namespace = f"{prefix}-execution-history", f"DRS-Orchestration/{prefix}"
    keys = [("executionId", "HASH"), ("planId", "RANGE")]
    engine.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    values = {
        "ExecutionHistoryTableName": table,
        "Namespace": namespace,
        "Partition": "aws",
        "PausedSeconds": str(PAUSED_SECONDS),
        "RepeatSeconds": str(REPEAT_SECONDS),
    }
    definition: dict[str, Any] = json.loads(deploy.render(DEFINITION.read_text(), values))
    first, states = definition.pop("StartAt"), definition.pop("States")
    machine = engine.machine({first: states.pop(first), **states}, role=f"{prefix}-pause-watch", **definition)
    return Watch(engine, table, namespace, machine)


def test_a_gate_nobody_answers_is_counted_until_it_is_answered(watch: Watch) -> None:
    watcher = watch.pause(LONG_AGO)
    wait_for(lambda: watch.counted() >= 2, "a second count")
    watch.answer(watcher)
    assert watch.engine.end(watcher)["status"] == "SUCCEEDED"
    entered = watch.entered(watcher)
    assert entered[-1] == "Answered" and entered.count("CountIt") == watch.counted()


def test_a_gate_answered_in_time_is_not_counted(watch: Watch) -> None:
    watcher = watch.pause(LONG_AGO)
    watch.answer(watcher)
    assert watch.engine.end(watcher)["status"] == "SUCCEEDED"
    assert "CountIt" not in watch.entered(watcher) and watch.counted() == 0


def test_a_later_gate_of_the_same_execution_has_a_watcher_of_its_own(watch: Watch) -> None:
    watcher = watch.pause(LATER)
    assert watch.engine.end(watcher)["status"] == "SUCCEEDED"
    assert watch.counted() == 0


def test_no_token_comes_into_the_watcher(watch: Watch) -> None:
    watcher = watch.pause(LONG_AGO)
    wait_for(lambda: watch.counted() >= 1, "a count")
    watch.answer(watcher)
    watch.engine.end(watcher)
    history = watch.engine.sfn.get_execution_history(executionArn=watcher, maxResults=1000)
    assert TOKEN not in json.dumps(history, default=str)
