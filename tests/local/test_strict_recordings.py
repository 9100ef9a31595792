"""What AWS was recorded to do and upstream does otherwise, as far as a machine of the corpus cannot show it
(`tests/simulation/machines`): what DescribeExecution says, errors of service calls, what a client is answered."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import Engine, wait_for

CAUGHT = {"Caught": {"Type": "Succeed"}}


def gate(table: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "Parameters": {"TableName": table, "Item": {"id": {"S": "gate"}, "token": {"S.$": "$$.Task.Token"}}},
        "End": True,
        **fields,
    }


def caught(engine: Engine, state: dict[str, Any], execution_input: Any = None) -> dict[str, Any]:
    """The error a Catch of States.ALL is handed."""
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": "Caught"}]
    states = {"Here": {"Type": "Task", "Catch": catch, "End": True, **state}, **CAUGHT}
    return dict(engine.output(engine.run(states, execution_input))["caught"])


@pytest.mark.parametrize(
    "sent", [{}, {"error": "E"}, {"cause": "c"}, {"error": "", "cause": ""}, {"error": "E", "cause": "c"}], ids=str
)
def test_what_a_failure_is_not_told_is_null(engine: Engine, sent: dict[str, str]) -> None:
    table = engine.table()
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": "Caught"}]
    execution = engine.run({"Gate": gate(table, Catch=catch), **CAUGHT})
    engine.sfn.send_task_failure(taskToken=engine.gate_token(table), **sent)
    found = engine.output(execution)["caught"]
    assert found == {"Error": sent.get("error"), "Cause": sent.get("cause")}


def test_a_failure_nothing_catches_leaves_the_execution_without_error(engine: Engine) -> None:
    table = engine.table()
    execution = engine.run({"Gate": gate(table)})
    engine.sfn.send_task_failure(taskToken=engine.gate_token(table))
    end = engine.end(execution)
    assert end["status"] == "FAILED" and not {"error", "cause"} & end.keys()
    failed = engine.sfn.get_execution_history(executionArn=execution)["events"][-1]
    assert failed["type"] == "ExecutionFailed" and failed["executionFailedEventDetails"] == {}


def test_a_fail_state_without_words_has_none(engine: Engine) -> None:
    end = engine.end(engine.run({"Fail": {"Type": "Fail"}}))
    assert end["status"] == "FAILED" and not {"error", "cause"} & end.keys()


def test_a_machine_that_timed_out_says_no_more(engine: Engine) -> None:
    end = engine.end(engine.run({"Wait": {"Type": "Wait", "Seconds": 100_000, "End": True}}, TimeoutSeconds=1))
    assert end["status"] == "TIMED_OUT" and not {"error", "cause"} & end.keys()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"TableName": "no-such-table", "Key": {"id": {"S": "x"}}}, "DynamoDb.ResourceNotFoundException"),
        ({"TableName": "${table}", "Key": {"no-key": {"S": "x"}}}, "DynamoDb.DynamoDbException"),
        (
            {"TableName": "${table}", "Key": {"id": {"S": "x"}}, "UpdateExpression": "SET a.b = :x",
             "ExpressionAttributeValues": {":x": {"S": "y"}}},
            "DynamoDb.DynamoDbException",
        ),
        (
            {"TableName": "${table}", "Key": {"id": {"S": "x"}}, "UpdateExpression": "REMOVE a",
             "ConditionExpression": "attribute_exists(a)"},
            "DynamoDb.ConditionalCheckFailedException",
        ),
    ],
    ids=["no table", "no key", "no map", "condition"],
)  # fmt: skip
def test_errors_have_the_names_of_the_java_sdk(engine: Engine, parameters: dict[str, Any], error: str) -> None:
    # What the SDK's model does not know has one name.
    filled = json.loads(json.dumps(parameters).replace("${table}", engine.table()))
    state = {"Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem", "Parameters": filled}
    assert caught(engine, state)["Error"] == error


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"Detail": '"text"'}, "MalformedDetail"),
        ({"Detail": "{"}, "MalformedDetail"),
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": ""}, "InvalidArgument"),
    ],
)
def test_an_entry_that_is_no_event_fails_the_task(engine: Engine, entry: dict[str, str], code: str) -> None:
    good = {"Source": "test", "DetailType": "t", "Detail": {"n": 1}}
    entries = [good, {**good, **entry}]
    state = {"Resource": "arn:aws:states:::events:putEvents", "Parameters": {"Entries": entries}}
    found = caught(engine, state)
    assert found["Error"] == "EventBridge.FailedEntry"
    cause = json.loads(found["Cause"])
    assert cause["FailedEntryCount"] == 1 and "EventId" in cause["Entries"][0]
    assert cause["Entries"][1]["ErrorCode"] == code


@pytest.mark.parametrize(("given", "started_with"), [(None, {}), ({"key": "value"}, {"key": "value"})])
def test_an_execution_is_started_with_what_is_no_text(engine: Engine, given: Any, started_with: Any) -> None:
    target = engine.machine({"Done": {"Type": "Succeed"}})
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:startExecution",
        "Parameters": {"StateMachineArn": target, "Input.$": "$.given"},
        "End": True,
    }
    started = engine.output(engine.run({"Start": state}, {"given": given}))
    assert json.loads(engine.end(started["ExecutionArn"])["input"]) == started_with


def test_a_token_nobody_was_given_is_refused_first(engine: Engine) -> None:
    refused = engine.refused(lambda: engine.sfn.send_task_success(taskToken="A" * 100, output="{"))
    assert refused == "InvalidToken"
    table = engine.table()
    execution = engine.run({"Gate": gate(table)})
    token = engine.gate_token(table)
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=token, output="{")) == "InvalidOutput"
    engine.sfn.send_task_success(taskToken=token, output="{}")
    engine.output(execution)


@pytest.mark.parametrize(("days", "taken"), [(24_855, True), (24_856, False)])
@pytest.mark.parametrize("literal", [True, False])
def test_a_wait_fits_into_31_bits_of_seconds(engine: Engine, days: int, taken: bool, literal: bool) -> None:
    moment = (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    until = {"Timestamp": moment} if literal else {"TimestampPath": "$.at"}
    execution = engine.run({"Wait": {"Type": "Wait", **until, "End": True}}, {"at": moment})
    if taken:
        wait_for(lambda: "WaitStateEntered" in engine.history(execution), "the wait")
        assert engine.describe(execution)["status"] == "RUNNING"
        engine.sfn.stop_execution(executionArn=execution)
    else:
        end = engine.end(execution)
        assert (end["error"], "too long" in end["cause"]) == ("States.Runtime", True)


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01 03:00:00Z", "2026-03-01T03:00:00"])
def test_a_timestamp_has_a_t_and_a_zone(engine: Engine, text: str) -> None:
    execution = engine.run({"Wait": {"Type": "Wait", "TimestampPath": "$.at", "End": True}}, {"at": text})
    assert engine.end(execution)["error"] == "States.Runtime"
