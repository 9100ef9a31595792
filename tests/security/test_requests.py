"""A request cannot kill a run, and only approvers come by a gate's token.

The attacker has the policy `request` (pause and cancel) and calls DynamoDB as they like: each of the calls that once ended a
recovery in FinalizeFailed, jammed its servers and blinded the tool. The engine holds the attacker to the policy as Terraform
renders it: what it refuses changes nothing, and what it lets pass is written where nothing but a request is read.
tests/rights/test_gates.py has the same as evaluated policies, and what a stolen worker role may do.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from lab import REGION, Json, Lab, wait_for, wave
from run import Run, Starter

from local.lifecycle import ACCOUNT

POLICIES = Path(__file__).resolve().parents[2] / "terraform" / "modules" / "operator-policies" / "policies"
LONG = "x" * 390_000


@cache
def rendered(task: str, tables: str) -> str:
    """A policy as Terraform renders it, for these tables (JSON, by their keys)."""
    arns = {key: f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for key, name in json.loads(tables).items()}
    values = {
        "history_arn": arns["executionHistory"], "waves_arn": arns["executionWaves"], "requests_arn": arns["executionRequests"],
        "gates_arn": arns["executionGates"], "recovery_executions": "*", "kms_key_arn": None, "approval_needs_mfa": False,
        "approval_source_cidrs": [], "use_tables_key": "",
    }  # fmt: skip

    def template(path: str, values: Json) -> str:
        expression = f'templatefile("{POLICIES / path}", jsondecode({json.dumps(json.dumps(values))}))'
        done = subprocess.run(["terraform", "console"], input=f"jsonencode({expression})", capture_output=True, text=True, check=True)
        return str(json.loads(json.loads(done.stdout.strip())))

    fragments = {name: template(f"fragments/{name.replace('_', '-')}.json.tftpl", values) for name in ("read_records", "follow_executions")}
    return template(f"{task}.json.tftpl", {**values, **fragments})


class Person:
    """Somebody with one policy and nothing else."""

    def __init__(self, lab: Lab, task: str) -> None:
        iam, self.name = lab.client("iam"), f"user-{uuid.uuid4().hex}"
        iam.create_user(UserName=self.name)
        iam.put_user_policy(UserName=self.name, PolicyName=task, PolicyDocument=rendered(task, json.dumps(lab.tables)))
        key = iam.create_access_key(UserName=self.name)["AccessKey"]
        self.credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self.dynamodb = boto3.client(
            "dynamodb", endpoint_url=lab.endpoint, region_name=REGION, aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )  # fmt: skip
        self._lab = lab

    def tidegate(self, *arguments: str, ok: int = 0) -> str:
        done = subprocess.run(
            [str(self._lab.stack.options.bin_dir / "tidegate"), *arguments],
            env={**self._lab.stack.environment(), **self.credentials, "NO_COLOR": "1", "USER": "mallory"},
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == ok, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def answer(self, call: str, **arguments: Any) -> str:
        """What DynamoDB says to a call: `accepted`, or the error's name."""
        try:
            getattr(self.dynamodb, call)(**arguments)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "accepted"


@pytest.fixture
def mallory(lab: Lab) -> Person:
    return Person(lab, "request")


@pytest.fixture
def paused(lab: Lab, start: Starter) -> Iterator[Run]:
    """A run of three waves, at the gate before the second."""
    run = start(lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True), lab.fleet()))
    run.wait_status("PAUSED")
    yield run


def completes(run: Run, gates: int) -> Json:
    """The run ends COMPLETED once each of so many gates is answered."""
    token = ""
    for _ in range(gates):
        token = run.answer({}, other_than=token)
    return run.end("COMPLETED")


def text(value: str) -> Json:
    return {"S": value}


def key_of(run_id: str, plan_id: str | None = None) -> Json:
    return {"executionId": text(run_id)} if plan_id is None else {"executionId": text(run_id), "planId": text(plan_id)}


# ----- the record: nobody but the machines and workers write there -----


def on_the_record(plan_id: str) -> dict[str, Json]:
    """Each attack that worked, as UpdateItem's arguments but for table and execution."""
    return {
        "phantom": {"planId": "!", "UpdateExpression": "SET pauseRequested = :v", "ExpressionAttributeValues": {":v": text("true")}},
        "endtime": {"planId": plan_id, "UpdateExpression": "SET endTime = :v", "ExpressionAttributeValues": {":v": text("2026-11-30T00:00:00Z")}},
        "number": {"planId": plan_id, "UpdateExpression": "SET pauseRequested = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}},
        "remove": {"planId": plan_id, "UpdateExpression": "REMOVE pauseRequested, cancelRequested"},
        "token copied": {"planId": plan_id, "UpdateExpression": "SET pauseRequested = gate"},
        "pause as before": {"planId": plan_id, "UpdateExpression": "SET pauseRequested = :v", "ExpressionAttributeValues": {":v": text("true")}},
    }


def test_the_record_cannot_be_written_by_who_asks(lab: Lab, mallory: Person, paused: Run) -> None:
    """P1, every row on a run that stands at a gate, and S1: denied, and the run ends as if nobody had tried."""
    before = paused.record()
    for name, attack in on_the_record(before["planId"]).items():
        arguments = {field: value for field, value in attack.items() if field != "planId"}
        said = mallory.answer("update_item", TableName=lab.tables["executionHistory"], Key=key_of(paused.id, attack["planId"]), **arguments)
        assert said == "AccessDeniedException", name
    item = {"executionId": text(paused.id), "planId": text("!")}
    assert mallory.answer("put_item", TableName=lab.tables["executionHistory"], Item=item) == "AccessDeniedException"
    for table in ("executionWaves", "serverLocks", "recoveryPlans", "protectionGroups", "executionGates"):
        assert mallory.answer("put_item", TableName=lab.tables[table], Item=item) == "AccessDeniedException", table
        assert mallory.answer("delete_item", TableName=lab.tables[table], Key=item) == "AccessDeniedException", table
    assert paused.record() == before
    completes(paused, gates=1)
    assert not set(lab.locks().values()) & {paused.id}


def test_an_ended_record_is_not_rewritten(lab: Lab, start: Starter, mallory: Person) -> None:
    """P1, the last row: the evidence stands, and a request to what has ended does nothing and is refused by the tool."""
    run = start(lab.fleet())
    record = run.end("COMPLETED")
    for value in (text("2020-01-01T00:00:00Z"), {"N": "1"}):
        said = mallory.answer(
            "update_item", TableName=lab.tables["executionHistory"], Key=key_of(run.id, record["planId"]), UpdateExpression="SET endTime = :v",
            ExpressionAttributeValues={":v": value},
        )  # fmt: skip
        assert said == "AccessDeniedException"
    for command in ("pause", "cancel"):
        assert "has ended already (COMPLETED)" in mallory.tidegate(command, run.id, ok=1)
    assert not lab.requests(run.id), "nothing was written"
    run.request("cancelRequested")
    assert run.record() == record
    assert "requests" not in mallory.tidegate("show", run.id)
    mallory.tidegate("list")


# ----- the requests: whatever is written there is a request or nothing -----

ODD: dict[str, Json] = {
    "number": {"pauseRequested": {"N": "1"}},
    "flag": {"pauseRequested": {"BOOL": True}, "cancelRequested": {"BOOL": True}},
    "null": {"cancelRequested": {"NULL": True}},
    "map": {"cancelRequested": {"M": {"S": text("true")}}, "schemaVersion": text("x")},
    "set": {"cancelRequested": {"SS": ["true", "false"]}},
    "another word": {"cancelRequested": text("TRUE")},
    "long": {"cancelRequested": text(LONG)},
}
NOTHING: dict[str, Json] = {
    "no attribute": {},
    "other attributes": {"endTime": text("2020-01-01T00:00:00Z"), "status": {"N": "7"}, "planId": {"BOOL": False}, "gate": text("x")},
    "false": {"pauseRequested": text("false"), "cancelRequested": text("false")},
    "long names": {"pauseRequestedBy": text(LONG)},
    "bytes": {"pause": {"B": b"\x00\xff"}, "version": {"NS": ["1", "2"]}},
}


def put(lab: Lab, mallory: Person, run_id: str, attributes: Json) -> None:
    """Attribute by attribute, because the policy gives no PutItem."""
    assert mallory.answer("put_item", TableName=lab.tables["executionRequests"], Item=key_of(run_id)) == "AccessDeniedException"
    for name, value in attributes.items() or {"nothing": text("")}.items():
        said = mallory.answer(
            "update_item", TableName=lab.tables["executionRequests"], Key=key_of(run_id), UpdateExpression="SET #a = :v",
            ExpressionAttributeNames={"#a": name}, ExpressionAttributeValues={":v": value},
        )  # fmt: skip
        assert said == "accepted", name


@pytest.mark.parametrize("written", NOTHING)
def test_what_is_no_request_changes_nothing(lab: Lab, start: Starter, mallory: Person, written: str) -> None:
    """P1, phantom and "before the start": an item that was there before the run, and one that comes in between."""
    name = f"early-{lab.number()}"
    put(lab, mallory, name, NOTHING[written])
    plan = lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True), lab.fleet())
    early = lab.sfn.start_execution(stateMachineArn=lab.machine, name=name, input=json.dumps({"plan": plan, "executionType": "DRILL"}))
    run = start(lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True), lab.fleet()))
    run.wait_status("PAUSED")
    put(lab, mallory, run.id, NOTHING[written])
    assert run.id in mallory.tidegate("show", run.id) and run.id in mallory.tidegate("list", "--limit", "1000")
    completes(run, gates=1)

    def gate() -> Json | None:
        items = lab.read_execution(name)
        return items if items and items["status"]["S"] == "PAUSED" else None

    record = wait_for(gate, f"the gate of {name}")
    token = wait_for(lambda: lab.gate_token(name, {"since": record["gate"]["M"]["since"]["S"]}), "its token")
    lab.sfn.send_task_success(taskToken=token, output="{}")
    wait_for(lambda: lab.sfn.describe_execution(executionArn=early["executionArn"])["status"] == "SUCCEEDED", f"the end of {name}")


@pytest.mark.parametrize("written", ODD)
def test_what_is_no_answer_is_asked_about(lab: Lab, mallory: Person, paused: Run, written: str) -> None:
    """P1, number: neither true nor false. A person is asked before the next wave, told so, and the run goes on."""
    put(lab, mallory, paused.id, ODD[written])
    shown = mallory.tidegate("show", paused.id)
    assert "unclearly: a gate opens before the next wave" in shown
    assert "unclearly" in json.loads(mallory.tidegate("show", paused.id, "--json"))["requests"][0]
    assert len(shown) < 20_000 and paused.id in mallory.tidegate("list", "--limit", "1000")
    record = completes(paused, gates=2)
    pauses = [entry for entry in record["timeline"] if entry["event"] == "PAUSED"]
    assert [entry["waveNumber"] for entry in pauses] == [2, 3]
    assert "in a way that cannot be read" in pauses[1]["detail"]
    assert not set(lab.locks().values()) & {paused.id}


def test_a_request_removed_is_no_request(lab: Lab, mallory: Person, paused: Run) -> None:
    """P1, remove."""
    put(lab, mallory, paused.id, {"cancelRequested": text("true")})
    said = mallory.answer(
        "update_item", TableName=lab.tables["executionRequests"], Key=key_of(paused.id), UpdateExpression="REMOVE pauseRequested, cancelRequested"
    )
    assert said == "accepted"
    completes(paused, gates=1)


def test_who_asks_is_heard_and_named(lab: Lab, mallory: Person, paused: Run) -> None:
    """The right itself: a pause is granted once, a second one says that it was asked before, an end is an end."""
    assert "pause again before its next wave" in mallory.tidegate("pause", paused.id)
    assert "was asked before" in mallory.tidegate("pause", paused.id, "--by", "somebody else")
    assert "pause requested (says mallory)" in mallory.tidegate("show", paused.id)
    token = paused.answer({})
    gate = paused.gate(other_than=token)
    assert gate["waveNumber"] == 3 and "operator" in gate["reason"] and "pauseRequested" not in lab.requests(paused.id)
    assert "tidegate decline" in mallory.tidegate("cancel", paused.id)
    paused.answer({}, other_than=token)
    assert paused.end("CANCELLED")["outcome"]["reason"] == "CANCELLED"


def test_a_run_that_is_not_there_is_not_asked(lab: Lab, mallory: Person) -> None:
    name = f"nobody-{lab.number()}"
    assert "there is no execution named" in mallory.tidegate("cancel", name, ok=1)
    assert not lab.requests(name)


# ----- the token -----


def test_only_approvers_come_by_a_token(lab: Lab, mallory: Person, paused: Run) -> None:
    """P7 and S1: the gate is there for everybody to see, its token in no item that others can read."""
    token = paused.gate()["token"]
    table = lab.tables["executionGates"]
    query = {"KeyConditionExpression": "executionId = :id", "ExpressionAttributeValues": {":id": text(paused.id)}}
    assert mallory.answer("get_item", TableName=table, Key=key_of(paused.id)) == "AccessDeniedException"
    assert mallory.answer("query", TableName=table, **query) == "AccessDeniedException"
    assert mallory.answer("scan", TableName=table) == "AccessDeniedException"
    assert "RESUME" in mallory.tidegate("show", paused.id)
    assert "approve policy" in mallory.tidegate("resume", paused.id, ok=1)
    everything = json.dumps([lab.read_execution(paused.id), lab.read_waves(paused.id), lab.requests(paused.id)])
    assert token not in everything and paused.record()["gate"]["kind"] == "RESUME"
    approver = Person(lab, "approve")
    assert "RESUME" in approver.tidegate("show", paused.id)
    approver.tidegate("resume", paused.id)
    paused.end("COMPLETED")
