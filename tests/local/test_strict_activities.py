"""Activities and task tokens in strict mode. Each test says what plain MiniStack does instead, and so how it fails."""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from typing import Any

import pytest
from conftest import Engine, wait_for


def task(activity: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": activity, "End": True, **fields}


def test_a_task_that_is_not_answered_times_out_from_pick_up(engine: Engine) -> None:
    # Upstream: TimeoutSeconds of an activity is never enforced, the execution hangs.
    activity = engine.activity()
    execution = engine.run({"Work": task(activity, TimeoutSeconds=1)})
    time.sleep(1.2)  # not luck: what must NOT happen while the task is only queued
    assert engine.describe(execution)["status"] == "RUNNING", "the clock of a queued task must not run"

    token = engine.poll(activity)["taskToken"]
    ended = engine.end(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert engine.history(execution) == [
        "ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivityTimedOut",
        "ExecutionFailed",
    ]  # fmt: skip


def test_the_timeout_may_come_from_a_path(engine: Engine) -> None:
    # Upstream: the ...Path forms are ignored everywhere.
    activity = engine.activity()
    execution = engine.run({"Work": task(activity, TimeoutSecondsPath="$.limit")}, {"limit": 1})
    engine.poll(activity)
    assert engine.end(execution)["error"] == "States.Timeout"


@pytest.mark.parametrize("limit", [{}, {"limit": 0}, {"limit": "60"}, {"limit": None}])
def test_a_timeout_path_to_something_else_fails_the_execution(engine: Engine, limit: dict[str, Any]) -> None:
    # Upstream: not looked at.
    activity = engine.activity()
    states = {
        "Work": task(activity, TimeoutSecondsPath="$.limit", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Ok"}]),
        "Ok": {"Type": "Succeed"},
    }
    states["Work"].pop("End")
    states["Work"]["Next"] = "Ok"
    assert engine.end(engine.run(states, limit))["error"] == "States.Runtime"


@pytest.mark.parametrize("form", [{"HeartbeatSeconds": 1}, {"HeartbeatSecondsPath": "$.beat"}])
def test_heartbeats_keep_a_task_alive_and_their_end_is_its_end(engine: Engine, form: dict[str, Any]) -> None:
    # Upstream: SendTaskHeartbeat notes a time nobody reads.
    activity = engine.activity()
    execution = engine.run({"Work": task(activity, TimeoutSeconds=60, **form)}, {"beat": 1})
    token = engine.poll(activity)["taskToken"]
    last_beat = time.monotonic()
    for _ in range(3):
        time.sleep(0.5)
        engine.sfn.send_task_heartbeat(taskToken=token)
        last_beat = time.monotonic()
    assert engine.describe(execution)["status"] == "RUNNING"

    ended = engine.end(execution)
    assert ended["error"] == "States.HeartbeatTimeout"
    assert time.monotonic() - last_beat >= 0.9
    assert engine.refused(lambda: engine.sfn.send_task_heartbeat(taskToken=token)) == "TaskTimedOut"


def test_a_retry_after_a_lost_heartbeat_has_a_new_token(engine: Engine) -> None:
    # Upstream: no timeout, hence no retry.
    activity = engine.activity()
    retry = [{"ErrorEquals": ["States.HeartbeatTimeout"], "MaxAttempts": 1}]
    execution = engine.run({"Work": task(activity, HeartbeatSeconds=0.3, Retry=retry)})
    first = engine.poll(activity)["taskToken"]
    second = engine.poll(activity)["taskToken"]
    assert first != second
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=first, output='"late"')) == "TaskTimedOut"
    engine.sfn.send_task_success(taskToken=second, output='"second"')
    assert engine.output(execution) == "second"


def test_a_token_given_to_a_cut_connection_is_lost_until_the_heartbeat(engine: Engine) -> None:
    # Upstream: lost for ever. AWS: until HeartbeatSeconds after the hand-out, then Retry.
    activity = engine.activity()
    body = json.dumps({"activityArn": activity}).encode()
    scope = "111122223333/20260101/us-west-2/states/aws4_request"  # account and region; the signature is not checked
    credential = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    with socket.create_connection(("127.0.0.1", engine.port)) as dying:
        dying.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\n"
            b"Content-Type: application/x-amz-json-1.0\r\nAuthorization: " + credential.encode() + b"\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        execution = engine.run(
            {"Work": task(activity, HeartbeatSeconds=1, Retry=[{"ErrorEquals": ["States.HeartbeatTimeout"]}])}
        )
        # The hand-out is on record before the worker could have read it: that is the moment a connection dies at.
        wait_for(lambda: "ActivityStarted" in engine.history(execution), "the hand-out")
    started = time.monotonic()
    token = engine.poll(activity)["taskToken"]
    assert time.monotonic() - started > 0.5, "the task must be lost first"
    engine.sfn.send_task_success(taskToken=token, output="{}")
    assert engine.end(execution)["status"] == "SUCCEEDED"
    assert engine.history(execution).count("ActivityScheduled") == 2


def test_scheduling_wakes_the_poll(engine: Engine) -> None:
    # Upstream: a poll looks at the queue every 0.5 s, half of which is the median dispatch.
    activity = engine.activity()
    states: dict[str, Any] = {}
    for number in range(5):
        # The wait (0.1 s in scaled time) lets the poll arrive before its task.
        states[f"Wait{number}"] = {"Type": "Wait", "Seconds": 10, "Next": f"Work{number}"}
        states[f"Work{number}"] = {"Type": "Task", "Resource": activity, "Next": f"Wait{number + 1}"}
    states["Wait5"] = {"Type": "Succeed"}
    execution = engine.run(states)
    for _ in range(5):
        engine.sfn.send_task_success(taskToken=engine.poll(activity)["taskToken"], output="{}")
    engine.end(execution)
    events = engine.sfn.get_execution_history(executionArn=execution)["events"]
    scheduled = [event["timestamp"] for event in events if event["type"] == "ActivityScheduled"]
    started = [event["timestamp"] for event in events if event["type"] == "ActivityStarted"]
    dispatch = [(after - before).total_seconds() for before, after in zip(scheduled, started)]
    assert statistics.median(dispatch) < 0.2, dispatch


def test_each_task_is_handed_to_exactly_one_of_many_pollers(engine: Engine, in_background: Any) -> None:
    activity = engine.activity()
    count = 30
    item = {"StartAt": "Work", "States": {"Work": task(activity)}}
    states = {"All": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": item, "End": True}}
    taken: list[int] = []
    lock = threading.Lock()

    def worker() -> None:
        client = engine.client("stepfunctions")
        while True:
            polled = client.get_activity_task(activityArn=activity)
            number = json.loads(polled["input"])
            if number is None:
                client.send_task_success(taskToken=polled["taskToken"], output="null")
                return
            with lock:
                taken.append(number)
            client.send_task_success(taskToken=polled["taskToken"], output=polled["input"])

    workers = 6
    for _ in range(workers):
        in_background(worker)
    execution = engine.run(states, {"items": list(range(count))})
    assert engine.output(execution) == list(range(count))
    assert sorted(taken) == list(range(count))
    engine.output(engine.run(states, {"items": [None] * workers}))  # one goodbye each


def test_stop_kills_tokens_and_queued_tasks_and_is_final(engine: Engine) -> None:
    # Upstream: the token stays good, a late failure turns ABORTED into FAILED, the queued task is still handed out.
    activity, other = engine.activity(), engine.activity()
    branches = [{"StartAt": "W", "States": {"W": task(arn)}} for arn in (activity, other)]
    execution = engine.run({"Both": {"Type": "Parallel", "Branches": branches, "End": True}})
    token = engine.poll(activity)["taskToken"]
    wait_for(lambda: engine.history(execution).count("ActivityScheduled") == 2, "both tasks to be scheduled")

    engine.sfn.stop_execution(executionArn=execution, error="Operator", cause="enough")
    for call in (
        lambda: engine.sfn.send_task_failure(taskToken=token, error="late"),
        lambda: engine.sfn.send_task_success(taskToken=token, output="{}"),
        lambda: engine.sfn.send_task_heartbeat(taskToken=token),
    ):
        assert engine.refused(call) == "TaskTimedOut"

    # The queue of `other` still holds the dead task; a poll must get the live one behind it.
    live = engine.run({"Work": task(other)}, {"live": True})
    polled = engine.poll(other)
    assert json.loads(polled["input"]) == {"live": True}
    engine.sfn.send_task_success(taskToken=polled["taskToken"], output="{}")
    engine.end(live)

    ended = engine.describe(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Operator", "enough")
    assert engine.history(execution)[-1] == "ExecutionAborted"


def test_answers_are_checked(engine: Engine) -> None:
    # Upstream: unknown token -> TaskDoesNotExist, any text is an output, a second answer is accepted.
    activity = engine.activity()
    execution = engine.run({"Work": task(activity)})
    token = engine.poll(activity)["taskToken"]
    send = engine.sfn.send_task_success
    assert engine.refused(lambda: send(taskToken="no-such-token", output="{}")) == "InvalidToken"
    assert engine.refused(lambda: send(taskToken=token, output="not json")) == "InvalidOutput"
    too_long = json.dumps("x" * 262_144)
    assert engine.refused(lambda: send(taskToken=token, output=too_long)) == "ValidationException"
    assert engine.describe(execution)["status"] == "RUNNING", "a refused answer leaves the task open"
    send(taskToken=token, output='{"done": true}')
    assert engine.refused(lambda: send(taskToken=token, output="{}")) == "TaskTimedOut"
    assert engine.output(execution) == {"done": True}
    assert engine.history(execution) == [
        "ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivitySucceeded",
        "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


# ----- callbacks ----------------------------------------------------------------------------------------------------


def gate(table: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "Parameters": {
            "TableName": table,
            "Key": {"id": {"S": "gate"}},
            "UpdateExpression": "SET #t = :t",
            "ExpressionAttributeNames": {"#t": "token"},
            "ExpressionAttributeValues": {":t": {"S.$": "$$.Task.Token"}},
        },
        "End": True,
        **fields,
    }


def test_a_callback_has_a_timeout_by_path(engine: Engine) -> None:
    # Upstream: TimeoutSecondsPath is ignored, the gate never closes.
    table = engine.table()
    execution = engine.run({"Gate": gate(table, TimeoutSecondsPath="$.limit")}, {"limit": 1})
    token = engine.gate_token(table)
    assert engine.end(execution)["error"] == "States.Timeout"
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert engine.history(execution) == [
        "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskTimedOut",
        "ExecutionFailed",
    ]  # fmt: skip


def test_a_callback_has_heartbeats(engine: Engine) -> None:
    # Upstream: never enforced.
    table = engine.table()
    execution = engine.run({"Gate": gate(table, HeartbeatSeconds=0.3)})
    assert engine.end(execution)["error"] == "States.Timeout", "recorded of a callback"


def test_every_attempt_of_a_callback_has_its_own_token(engine: Engine) -> None:
    # Upstream: one token for all attempts, so an answer to the first try completes the second.
    table = engine.table()
    execution = engine.run({"Gate": gate(table, Retry=[{"ErrorEquals": ["Try.Again"]}])})
    first = engine.gate_token(table)
    engine.sfn.send_task_failure(taskToken=first, error="Try.Again")
    second = engine.gate_token(table, other_than=first)
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=first, output="{}")) == "TaskTimedOut"
    engine.sfn.send_task_success(taskToken=second, output='{"approvedBy": "ops"}')
    assert engine.output(execution) == {"approvedBy": "ops"}


def test_a_failed_callback_request_fails_the_task_by_name(engine: Engine) -> None:
    table = engine.table()
    parameters = {**gate(table)["Parameters"], "ConditionExpression": "attribute_exists(id)"}
    ended = engine.end(engine.run({"Gate": gate(table, Parameters=parameters)}))
    assert ended["error"] == "DynamoDb.ConditionalCheckFailedException"


def test_stop_ends_a_gate(engine: Engine) -> None:
    # Upstream: the gate still takes an answer, and the execution goes on behind ABORTED.
    table = engine.table()
    execution = engine.run({"Gate": gate(table)})
    token = engine.gate_token(table)
    engine.sfn.stop_execution(executionArn=execution)
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert engine.end(execution)["status"] == "ABORTED"
