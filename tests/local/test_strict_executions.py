"""Executions, data flow and API refusals in strict mode. Each test says what plain MiniStack does instead."""

from __future__ import annotations

import json
import time
import uuid
from importlib import metadata
from typing import Any

import pytest
from conftest import Engine, wait_for

from local import ministack_strict
from local.engine import IncompatibleEngine, install

CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": "Caught"}]
CAUGHT = {"Caught": {"Type": "Succeed"}}


# ----- the end of an execution --------------------------------------------------------------------------------------


def test_the_machine_timeout_ends_the_execution(engine: Engine) -> None:
    # Upstream: TimeoutSeconds of a machine is ignored; TIMED_OUT does not exist.
    activity = engine.activity()
    execution = engine.run(
        {"Work": {"Type": "Task", "Resource": activity, "Catch": CATCH_ALL, "End": True}, **CAUGHT}, TimeoutSeconds=1
    )
    token = engine.poll(activity)["taskToken"]
    assert engine.end(execution)["status"] == "TIMED_OUT"  # and no Catch sees it
    assert engine.refused(lambda: engine.sfn.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert engine.history(execution)[-1] == "ExecutionTimedOut"


def test_an_aborted_execution_is_told_to_the_event_bus(engine: Engine) -> None:
    queue = engine.client("sqs").create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
    arn = engine.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events, rule = engine.client("events"), uuid.uuid4().hex
    machine = engine.machine({"Hold": {"Type": "Wait", "Seconds": 99_999, "End": True}}, TimeoutSeconds=1)
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine], "status": ["ABORTED", "TIMED_OUT"]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])

    stopped, expiring = engine.start(machine), engine.start(machine)
    engine.sfn.stop_execution(executionArn=stopped)
    engine.end(expiring)
    seen: dict[str, str] = {}

    def both() -> bool:
        for message in engine.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            seen[detail["executionArn"]] = detail["status"]
        return len(seen) == 2

    wait_for(both, "both status events")
    assert seen == {stopped: "ABORTED", expiring: "TIMED_OUT"}


def test_stop_ends_a_wait_and_what_would_follow(engine: Engine) -> None:
    # Upstream: the thread sleeps on, and the rest of a Parallel branch still runs, side effects included.
    table = engine.table()
    write = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Parameters": {"TableName": table, "Item": {"id": {"S": "zombie"}}},
        "End": True,
    }
    branch = {"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 60, "Next": "Write"}, "Write": write}}
    execution = engine.run({"Both": {"Type": "Parallel", "Branches": [branch], "End": True}})
    wait_for(lambda: "WaitStateEntered" in engine.history(execution), "the wait")
    engine.sfn.stop_execution(executionArn=execution)
    again = engine.sfn.stop_execution(executionArn=execution)
    assert again["stopDate"] == engine.describe(execution)["stopDate"], "stopping twice is harmless"

    # The scaled wait is 0.6 s. An execution of the same kind that is not stopped tells when it is certainly over.
    engine.end(engine.run({"Hold": {"Type": "Wait", "Seconds": 80, "End": True}}))
    assert engine.dynamodb.scan(TableName=table)["Count"] == 0
    assert engine.history(execution)[-1] == "ExecutionAborted"
    assert engine.describe(execution)["status"] == "ABORTED"


def test_the_history_is_limited(engine: Engine) -> None:
    # Upstream: a loop runs for ever.
    spin = {"Type": "Pass", "Next": "Spin"}
    ended = engine.end(engine.run({"Spin": spin}))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "25000" in ended["cause"]


def test_a_failed_child_execution_is_a_failed_task(engine: Engine) -> None:
    # Upstream: the child's own error name, so that a Catch which never matches on AWS matches locally.
    child = engine.machine({"No": {"Type": "Fail", "Error": "Child.Failed", "Cause": "because"}})
    run_child = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {}},
        "Catch": CATCH_ALL,
        "End": True,
    }
    caught = engine.output(engine.run({"Run": run_child, **CAUGHT}))["caught"]
    assert caught["Error"] == "States.TaskFailed"
    assert json.loads(caught["Cause"])["Error"] == "Child.Failed"


def test_an_updated_definition_does_not_reach_a_running_execution(engine: Engine) -> None:
    activity = engine.activity()
    machine = engine.machine(
        {
            "Work": {"Type": "Task", "Resource": activity, "Next": "Old"},
            "Old": {"Type": "Pass", "Result": "old", "End": True},
        }
    )
    execution = engine.start(machine)
    token = engine.poll(activity)["taskToken"]
    new = {"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": "new", "End": True}}}
    engine.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(new))
    engine.sfn.send_task_success(taskToken=token, output="{}")
    assert engine.output(execution) == "old"
    assert engine.output(engine.start(machine)) == "new"


# ----- starting -----------------------------------------------------------------------------------------------------


def test_start_execution_is_idempotent_while_it_runs(engine: Engine) -> None:
    # Upstream: ExecutionAlreadyExists at once, so that a retried StartExecution looks like a failure.
    activity = engine.activity()
    machine = engine.machine({"Work": {"Type": "Task", "Resource": activity, "End": True}})
    first = engine.sfn.start_execution(stateMachineArn=machine, name="drill-1", input='{"a": 1}')
    again = engine.sfn.start_execution(stateMachineArn=machine, name="drill-1", input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])

    def start(text: str) -> str:
        return engine.refused(lambda: engine.sfn.start_execution(stateMachineArn=machine, name="drill-1", input=text))

    assert start('{"a": 2}') == "ExecutionAlreadyExists"
    engine.sfn.send_task_success(taskToken=engine.poll(activity)["taskToken"], output="{}")
    engine.end(first["executionArn"])
    assert start('{"a": 1}') == "ExecutionAlreadyExists", "an ended execution keeps its name"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"name": "two words"}, "InvalidName"),
        ({"name": "a/b"}, "InvalidName"),
        ({"name": "a:b"}, "InvalidName"),
        ({"name": "x" * 81}, "ValidationException"),
        ({"input": "not json"}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262_144)}, "ValidationException"),
        ({"stateMachineArn": "arn:aws:states:us-west-2:111122223333:stateMachine:none"}, "StateMachineDoesNotExist"),
    ],
)
def test_start_execution_refuses_bad_arguments(engine: Engine, arguments: dict[str, str], code: str) -> None:
    # Upstream: any name is taken, and text that is not JSON runs as {}.
    machine = engine.machine({"Ok": {"Type": "Succeed"}})
    call = {"stateMachineArn": machine, "input": "{}", **arguments}
    assert engine.refused(lambda: engine.sfn.start_execution(**call)) == code


def test_create_activity_is_idempotent(engine: Engine) -> None:
    # Upstream: ActivityAlreadyExists.
    name = f"activity-{uuid.uuid4().hex}"
    first, again = (engine.sfn.create_activity(name=name) for _ in range(2))
    assert first["activityArn"] == again["activityArn"]
    assert engine.refused(lambda: engine.sfn.create_activity(name="with space")) == "InvalidName"


@pytest.mark.parametrize(
    "definition",
    [
        "not json",
        '{"StartAt": "A", "States": {"B": {"Type": "Succeed"}}}',
        '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}',
        '{"StartAt": "A", "States": {"A": {"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {}}]}}}',
    ],
)
def test_a_definition_that_leads_nowhere_is_refused(engine: Engine, definition: str) -> None:
    # Upstream: accepted; the execution fails when it gets there.
    role = "arn:aws:iam::111122223333:role/local"
    create = engine.sfn.create_state_machine
    assert (
        engine.refused(lambda: create(name=uuid.uuid4().hex, definition=definition, roleArn=role))
        == "InvalidDefinition"
    )


# ----- data flow ----------------------------------------------------------------------------------------------------

WRITE_NOTHING = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:listTables"}


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "Parameters": {"x.$": "$.missing"}},
        {"Type": "Pass", "Parameters": {"deep": [{"x.$": "$.there.missing"}]}},
        {"Type": "Pass", "Parameters": {"x.$": "States.Format('{}', $.missing)"}},
        {"Type": "Pass", "Parameters": {"x.$": "$.list[5]"}},
        {"Type": "Pass", "Parameters": {"x.$": "$$.Task.Token"}},
        {"Type": "Pass", "InputPath": "$.missing"},
        {"Type": "Pass", "OutputPath": "$.missing"},
        {"Type": "Wait", "SecondsPath": "$.missing"},
        {"Type": "Wait", "SecondsPath": "$.text"},
        {**WRITE_NOTHING, "ResultSelector": {"x.$": "$.Missing"}, "Catch": CATCH_ALL},
        {
            **WRITE_NOTHING,
            "Parameters": {"Limit.$": "$.missing"},
            "Catch": CATCH_ALL,
            "Retry": [{"ErrorEquals": ["States.ALL"]}],
        },
        {
            "Type": "Map",
            "ItemsPath": "$.missing",
            "ItemProcessor": {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}},
            "Catch": CATCH_ALL,
        },
    ],
    ids=lambda state: json.dumps(state)[:60],
)
def test_a_missing_field_ends_the_execution_and_no_catch_takes_it(engine: Engine, state: dict[str, Any]) -> None:
    # Upstream: null, and on it goes.
    execution_input = {"there": {}, "list": [1], "text": "soon"}
    ended = engine.end(engine.run({"Here": {**state, "End": True}, **CAUGHT}, execution_input))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_null_is_not_missing(engine: Engine) -> None:
    parameters = {
        "null.$": "$.null", "wild.$": "$.list[*].id", "none.$": "$.empty[*]", "name.$": "$$.Execution.Name",
        "nested": [{"deep.$": "$.list[1].id"}], "role.$": "$$.Execution.RoleArn",
    }  # fmt: skip
    execution = engine.run(
        {"Here": {"Type": "Pass", "Parameters": parameters, "End": True}},
        {"null": None, "list": [{"id": 1}, {"id": 2}], "empty": []},
    )
    assert engine.output(execution) == {
        "null": None, "wild": [1, 2], "none": [], "name": execution.rpartition(":")[2], "nested": [{"deep": 2}],
        "role": "arn:aws:iam::111122223333:role/local",
    }  # fmt: skip


def rule_outcome(engine: Engine, rule: dict[str, Any], data: dict[str, Any]) -> str:
    states = {
        "Ask": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": "yes", "End": True},
        "No": {"Type": "Pass", "Result": "no", "End": True},
    }
    ended = engine.end(engine.run(states, data))
    return str(json.loads(ended["output"])) if ended["status"] == "SUCCEEDED" else str(ended["error"])


@pytest.mark.parametrize(
    ("rule", "data", "expected"),
    [
        ({"Variable": "$.a", "IsPresent": True}, {"a": None}, "yes"),  # upstream: no
        ({"Variable": "$.a", "IsPresent": True}, {}, "no"),
        ({"Variable": "$.a.b.c", "IsPresent": False}, {"a": 1}, "yes"),
        ({"Variable": "$.a", "IsNull": True}, {}, "States.Runtime"),  # upstream: yes
        ({"Variable": "$.a", "StringEquals": "x"}, {}, "States.Runtime"),  # upstream: no
        ({"And": [{"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "StringEquals": "x"}]}, {}, "no"),
        ({"Not": {"Variable": "$.a", "BooleanEquals": True}}, {"a": 1}, "yes"),  # upstream: 1 == true, no
        ({"Variable": "$.a", "StringGreaterThanPath": "$.b"}, {"a": "b", "b": "a"}, "yes"),  # upstream: no
        ({"Variable": "$.a", "NumericLessThanEqualsPath": "$.b"}, {"a": 2, "b": 2}, "yes"),
        ({"Variable": "$.a", "NumericEquals": 1}, {"a": True}, "no"),
        ({"Variable": "$.a", "StringMatches": "i-*.log"}, {"a": "i-77.log"}, "yes"),
        ({"Variable": "$.a", "StringMatches": "a\\*b"}, {"a": "axb"}, "no"),
        (
            {"Variable": "$.a", "TimestampLessThanPath": "$.b"},
            {"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T01:00:00+00:00"},
            "yes",
        ),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_choice_rules(engine: Engine, rule: dict[str, Any], data: dict[str, Any], expected: str) -> None:
    assert rule_outcome(engine, rule, data) == expected


def test_result_path_does_not_destroy_input(engine: Engine) -> None:
    # Upstream: the text in the way is replaced by an object.
    state = {"Type": "Pass", "Result": 1, "ResultPath": "$.name.first", "End": True}
    ended = engine.end(engine.run({"Here": state}, {"name": "text"}))
    assert ended["error"] == "States.ResultPathMatchFailure"
    assert engine.output(engine.run({"Here": state}, {"other": 2})) == {"other": 2, "name": {"first": 1}}


def test_a_failing_intrinsic_can_be_caught(engine: Engine) -> None:
    # Upstream: the Python error ends the execution past every Catch.
    state = {
        **WRITE_NOTHING,
        "Parameters": {"Limit.$": "States.ArrayGetItem($.list, 9)"},
        "Catch": CATCH_ALL,
        "End": True,
    }
    caught = engine.output(engine.run({"Here": state, **CAUGHT}, {"list": []}))["caught"]
    assert caught["Error"] == "States.IntrinsicFailure"


@pytest.mark.parametrize(
    ("errors", "expected"), [(["States.TaskFailed"], "FAILED"), (["States.ALL"], "SUCCEEDED"), (["States.DataLimitExceeded"], "SUCCEEDED")]
)
def test_the_state_payload_is_limited(engine: Engine, errors: list[str], expected: str) -> None:
    # Upstream: no limit. Result and input are each under the quota; together they are not.
    activity = engine.activity()
    catch = [{"ErrorEquals": errors, "ResultPath": None, "Next": "Caught"}]
    work = {"Type": "Task", "Resource": activity, "ResultPath": "$.result", "Catch": catch, "End": True}
    execution = engine.run({"Work": work, **CAUGHT}, {"big": "x" * 150_000})
    engine.sfn.send_task_success(taskToken=engine.poll(activity)["taskToken"], output=json.dumps("y" * 150_000))
    ended = engine.end(execution)
    assert ended["status"] == expected
    if expected == "FAILED":
        assert ended["error"] == "States.DataLimitExceeded"


def test_branches_do_not_see_each_others_state(engine: Engine) -> None:
    # Upstream: one context object for all branches, so the name of the state is anybody's.
    def branch(name: str) -> dict[str, Any]:
        states = {
            f"{name}1": {"Type": "Wait", "Seconds": 10, "Next": f"{name}2"},
            f"{name}2": {"Type": "Pass", "Parameters": {"state.$": "$$.State.Name"}, "End": True},
        }
        return {"StartAt": f"{name}1", "States": states}

    names = [f"Branch{number}-" for number in range(20)]
    both = {"Type": "Parallel", "Branches": [branch(name) for name in names], "End": True}
    assert engine.output(engine.run({"Both": both})) == [{"state": f"{name}2"} for name in names]


def test_retries_wait_no_longer_than_max_delay(engine: Engine) -> None:
    # Upstream: MaxDelaySeconds is ignored. Unbounded, this retry would wait 1000 x 10^2 x 0.01 = 1000 s.
    retry = [
        {
            "ErrorEquals": ["No"],
            "IntervalSeconds": 1000,
            "BackoffRate": 10,
            "MaxDelaySeconds": 2,
            "JitterStrategy": "FULL",
            "MaxAttempts": 3,
        }
    ]
    activity = engine.activity()
    execution = engine.run({"Work": {"Type": "Task", "Resource": activity, "Retry": retry, "End": True}})
    started = time.monotonic()
    for _ in range(4):
        engine.sfn.send_task_failure(taskToken=engine.poll(activity)["taskToken"], error="No")
    assert engine.end(execution)["error"] == "No"
    assert time.monotonic() - started < 5


def test_jitter_and_max_delay_shape_the_delay() -> None:
    from local.engine.tasks import retry_delay

    assert [retry_delay({}, count, 0.5) for count in range(3)] == [1, 2, 4]
    capped = {"IntervalSeconds": 3, "BackoffRate": 2, "MaxDelaySeconds": 10}
    assert [retry_delay(capped, count, 0.5) for count in range(4)] == [3, 6, 10, 10]
    jittered = {**capped, "JitterStrategy": "FULL"}
    assert [retry_delay(jittered, count, 0.5) for count in range(4)] == [1.5, 3, 5, 5]


# ----- the pin ------------------------------------------------------------------------------------------------------


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "9.9.9")
    monkeypatch.setattr("sys.argv", ["ministack_strict.py", "--port", "0"])
    with pytest.raises(SystemExit, match=r"ministack 9\.9\.9 is installed.*1\.5\.33.*local/venv\.sh"):
        ministack_strict.main()


def test_a_missing_or_changed_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import ministack.services.stepfunctions as sfn

    monkeypatch.setattr(sfn, "_stop_execution", lambda data, force: None)
    with pytest.raises(IncompatibleEngine, match=r"_stop_execution takes \(data, force\), expected \(data\)"):
        install()
    monkeypatch.delattr(sfn, "_stop_execution")
    with pytest.raises(IncompatibleEngine, match="no function _stop_execution"):
        install()
    monkeypatch.delattr(sfn, "_parse_ts")
    with pytest.raises(IncompatibleEngine, match="_parse_ts"):
        install()
