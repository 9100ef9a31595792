"""Status-change events in strict mode, as a rule's target gets them; errors of the engine's own API in a machine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from conftest import Engine, wait_for

WAIT = {"Wait": {"Type": "Wait", "Seconds": 100_000, "Next": "End"}, "End": {"Type": "Succeed"}}


class Listener:
    """A machine that is started with every status change of others, as reconcile is."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._events = engine, engine.client("events")
        self.machine = engine.machine({"Heard": {"Type": "Succeed"}})
        self.rules: list[str] = []

    def watch(self, machine: str) -> None:
        rule = f"rule-{uuid.uuid4().hex}"
        detail = {"stateMachineArn": [machine], "status": ["ABORTED", "TIMED_OUT", "FAILED"]}
        pattern = {"source": ["aws.states"], "detail": detail}
        self._events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        self._events.put_targets(Rule=rule, Targets=[{"Id": "listener", "Arn": self.machine}])
        self.rules.append(rule)

    def heard(self, execution: str) -> list[dict[str, Any]]:
        found = []
        for page in self._engine.sfn.get_paginator("list_executions").paginate(stateMachineArn=self.machine):
            for one in page["executions"]:
                event = json.loads(self._engine.describe(one["executionArn"])["input"])
                if event["detail"]["executionArn"] == execution:
                    found.append(event)
        return found

    def close(self) -> None:
        for rule in self.rules:
            self._events.remove_targets(Rule=rule, Ids=["listener"])
            self._events.delete_rule(Name=rule)


@pytest.fixture
def listener(engine: Engine) -> Iterator[Listener]:
    listener = Listener(engine)
    yield listener
    listener.close()


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_every_bad_end_is_told_as_aws_tells_it(engine: Engine, listener: Listener, status: str) -> None:
    # Upstream: TIMED_OUT does not exist, and error and cause are told of FAILED only.
    failing = {"Fail": {"Type": "Fail", "Error": "Ours", "Cause": "because"}}
    machine = {
        "ABORTED": lambda: engine.machine(WAIT),
        "TIMED_OUT": lambda: engine.machine(WAIT, TimeoutSeconds=1),
        "FAILED": lambda: engine.machine({"Hold": {"Type": "Wait", "Seconds": 10, "Next": "Fail"}, **failing}),
    }[status]()
    listener.watch(machine)
    execution = engine.start(machine, {"planId": "crm"})
    if status == "ABORTED":
        engine.sfn.stop_execution(executionArn=execution, error="Ours", cause="because")
    end = engine.end(execution)
    (event,) = wait_for(lambda: listener.heard(execution), "the event")
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("aws.states", "Step Functions Execution Status Change")
    assert (detail["status"], detail["name"], detail["stateMachineArn"]) == (status, end["name"], machine)
    assert json.loads(detail["input"]) == {"planId": "crm"} and detail["inputDetails"] == {"included": True}
    assert detail["startDate"] == round(end["startDate"].timestamp() * 1000), "epoch milliseconds, a number"
    assert detail["stopDate"] >= detail["startDate"] and detail["redriveStatus"] == "REDRIVABLE"
    assert datetime.fromisoformat(event["time"])
    if status == "TIMED_OUT":
        assert (detail["error"], detail["cause"]) == (None, None)
    else:
        assert (detail["error"], detail["cause"]) == ("Ours", "because")


def test_a_large_input_is_left_out_and_said_to_be(engine: Engine, listener: Listener) -> None:
    machine = engine.machine({"Fail": {"Type": "Fail"}})
    listener.watch(machine)
    # Quotes count twice in an event: this one is below the quota as it is, and above it escaped.
    execution = engine.start(machine, {"many": ["x"] * 50_000})
    (event,) = wait_for(lambda: listener.heard(execution), "the event")
    assert (event["detail"]["input"], event["detail"]["inputDetails"]) == (None, {"included": False})


def test_an_execution_nobody_knows_has_the_name_of_the_java_sdk(engine: Engine) -> None:
    # Upstream: Sfn.ExecutionDoesNotExist, which no Catch written for AWS takes.
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
        "Parameters": {"ExecutionArn.$": "$.arn", "IncludedData": "METADATA_ONLY"},
        "ResultSelector": {"status.$": "$.Status"},
        "Catch": [{"ErrorEquals": ["Sfn.ExecutionDoesNotExistException"], "ResultPath": "$.caught", "Next": "Caught"}],
        "Next": "Known",
    }
    states = {"Ask": ask, "Known": {"Type": "Succeed"}, "Caught": {"Type": "Succeed"}}
    other = engine.run({"Done": {"Type": "Succeed"}})
    engine.end(other)
    assert engine.output(engine.run(states, {"arn": other})) == {"status": "SUCCEEDED"}
    missing = other + "-not"
    caught = engine.output(engine.run(states, {"arn": missing}))["caught"]
    assert caught["Error"] == "Sfn.ExecutionDoesNotExistException"


def test_a_buss_policy_denies_whom_it_names_and_lets_its_machine_speak(engine: Engine) -> None:
    """PutPermission with Policy keeps the whole of it, and a denial counts (EventBridge user guide, eb-event-bus-perms)."""
    events, name = engine.client("events"), f"bus-{uuid.uuid4().hex[:8]}"
    entry = {"Source": "ours", "DetailType": "Told", "Detail": "{}", "EventBusName": name}
    bus = str(events.create_event_bus(Name=name)["EventBusArn"])
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0, "without a policy everybody of the account may"
    speaker = f"arn:aws:iam::{bus.split(':')[4]}:role/{name}"
    statement = {
        "Sid": "OnlyOne", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": bus,
        "Condition": {"StringNotEquals": {"aws:PrincipalArn": [speaker]}},
    }  # fmt: skip
    events.put_permission(EventBusName=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert json.loads(events.describe_event_bus(Name=name)["Policy"])["Statement"] == [statement]
    for named in (name, bus):
        with pytest.raises(events.exceptions.ClientError, match="explicit deny in a resource-based policy"):
            events.put_events(Entries=[{**entry, "EventBusName": named}])
    tell = {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "Parameters": {"Entries": [{**entry, "Detail": {}}]}, "End": True}
    said = {role: engine.end(engine.start(engine.machine({"Tell": tell}, role=role)))["status"] for role in (name, "local")}
    assert said == {name: "SUCCEEDED", "local": "FAILED"}
