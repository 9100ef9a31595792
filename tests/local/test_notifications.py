"""What people are told, through the rules and words of terraform/modules/notifications on the strict engine, whose EventBridge
escapes nothing: whatever people and AWS wrote into an event, the message arrives and is text."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CHECKOUT, Engine, wait_for

SOURCE = (CHECKOUT / "terraform" / "modules" / "notifications" / "main.tf").read_text()
AWFUL = 'refused: "crm"\n- waves[0].groups: \\ is no <tag>\tSee {"docs": "errors.md"}'


def announcements() -> dict[str, dict[str, Any]]:
    """Every block of main.tf with `paths` and `lines`, by the detail type or the name it stands under."""
    found = {}
    pattern = r'^ {4}"?([\w ]+)"? = \{\n(.*?)^ {4}\}'
    for name, body in re.findall(pattern, SOURCE, flags=re.DOTALL | re.MULTILINE):
        paths = re.search(r"paths = \{(.*?)\}", body, re.DOTALL)
        lines = re.search(r"lines = \[(.*?)\n {6}\]", body, re.DOTALL)
        if paths and lines:
            found[name] = {
                "paths": dict(re.findall(r'(\w+)\s*= "([^"]+)"', paths[1])),
                "template": "\n".join(re.findall(r'"[^"\n]*"', lines[1])),
            }
    return found


ANNOUNCEMENTS = announcements()
OF_MACHINE = [name for name in ANNOUNCEMENTS if name.startswith("Tidegate ")]


class Post:
    """A rule with the module's words, and the queue its messages and what it could not deliver come to."""

    def __init__(self, engine: Engine) -> None:
        self._events, self._sqs = engine.client("events"), engine.client("sqs")
        self.rule = f"rule-{uuid.uuid4().hex}"
        self.queues = {name: self._queue() for name in ("told", "undelivered")}

    def _queue(self) -> str:
        return str(self._sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex}")["QueueUrl"])

    def _arn(self, name: str) -> str:
        found = self._sqs.get_queue_attributes(QueueUrl=self.queues[name], AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def tell(self, pattern: dict[str, Any], paths: dict[str, str], template: str) -> None:
        self._events.put_rule(Name=self.rule, EventPattern=json.dumps(pattern))
        target = {
            "Id": "told", "Arn": self._arn("told"),
            "InputTransformer": {"InputPathsMap": paths, "InputTemplate": template},
            "DeadLetterConfig": {"Arn": self._arn("undelivered")},
        }  # fmt: skip
        assert self._events.put_targets(Rule=self.rule, Targets=[target])["FailedEntryCount"] == 0

    def send(self, detail_type: str, detail: dict[str, Any]) -> None:
        entry = {"Source": "tidegate", "DetailType": detail_type, "Detail": json.dumps(detail)}
        assert self._events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def received(self, name: str) -> str:
        def message() -> str | None:
            found = self._sqs.receive_message(QueueUrl=self.queues[name]).get("Messages")
            return found[0]["Body"] if found else None

        return str(wait_for(message, f"a message in {name}"))

    def close(self) -> None:
        self._events.remove_targets(Rule=self.rule, Ids=["told"])
        self._events.delete_rule(Name=self.rule)


@pytest.fixture
def post(engine: Engine) -> Iterator[Post]:
    post = Post(engine)
    yield post
    post.close()


def lines_of(text: str) -> list[str]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_words_were_found() -> None:
    contract = json.loads((CHECKOUT / "statemachine" / "contract" / "contract.json").read_text())
    assert set(OF_MACHINE) == set(contract["events"]["detailTypes"])
    assert {"failed", "stopped", "succeeded"} <= set(ANNOUNCEMENTS)


@pytest.mark.parametrize("detail_type", OF_MACHINE)
def test_what_the_machine_announces_arrives_whatever_a_plan_calls_its_waves(post: Post, detail_type: str) -> None:
    post.tell({"source": ["tidegate"], "detail-type": [detail_type]}, **ANNOUNCEMENTS[detail_type])
    detail = {
        "executionId": "drill-1", "planId": "crm", "planName": AWFUL, "executionType": "DRILL", "waveNumber": 3,
        "waveName": AWFUL, "reason": "the plan pauses before this wave",
    }  # fmt: skip
    post.send(detail_type, detail)
    assert "drill-1" in lines_of(post.received("told"))[0]


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_a_bad_end_arrives_whatever_its_cause(engine: Engine, post: Post, status: str) -> None:
    states: dict[str, Any] = {"Wait": {"Type": "Wait", "Seconds": 100_000, "End": True}}
    if status == "FAILED":
        states = {"Fail": {"Type": "Fail", "Error": "Tidegate.Refused", "Cause": AWFUL}}
    machine = engine.machine(states, **({"TimeoutSeconds": 1} if status == "TIMED_OUT" else {}))
    words = ANNOUNCEMENTS["stopped" if status == "ABORTED" else "failed"]
    post.tell({"source": ["aws.states"], "detail": {"stateMachineArn": [machine], "status": [status]}}, **words)
    execution = engine.start(machine)
    if status == "ABORTED":
        engine.sfn.stop_execution(executionArn=execution, error=AWFUL[:200], cause=AWFUL)
    first, *rest = lines_of(post.received("told"))
    assert execution.rpartition(":")[2] in first and status in first and "tidegate show" in rest[0]
    assert ("Tidegate.Refused" in first) == (status == "FAILED")


@pytest.mark.parametrize("template", ['"<cause>"', '{"cause": <cause>}'])
def test_what_is_spliced_in_is_not_escaped_and_then_not_delivered(post: Post, template: str) -> None:
    """The engine's own: a text with the cause in it would be lost, quoted or not."""
    post.tell({"source": ["tidegate"], "detail-type": ["Other"]}, {"cause": "$.detail.cause"}, template)
    post.send("Other", {"cause": AWFUL})
    assert json.loads(post.received("undelivered"))["detail"] == {"cause": AWFUL}
    post.send("Other", {"cause": "plain"})
    assert "plain" in post.received("told")


def test_nothing_but_words(post: Post) -> None:
    """Not a JSON text at all: upstream's plain template stays as it is."""
    post.tell({"source": ["tidegate"], "detail-type": ["Plain"]}, {"id": "$.detail.id"}, "run <id>")
    post.send("Plain", {"id": "drill-1"})
    assert post.received("told") == "run drill-1"
