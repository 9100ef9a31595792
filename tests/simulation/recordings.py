"""The local strict engine against executions that AWS was recorded to run: `make recordings FILE=…`, which runs the interpreter
against the same file (`src/machine/tests/recordings.rs`). Every task is an activity here, answered as recorded, so that the
services' own behaviour is not under test; callbacks and what waits for longer than seconds are not driven.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local.stack import Options, Stack

_WAIT_SECONDS = 20.0
_TASKS = ("Task", "Activity", "LambdaFunction")
_REPLACED = ("timestamp", "date", "datetime")
Case = dict[str, Any]


def details(event: Case) -> Case:
    return next((value for name, value in event.items() if name.endswith("EventDetails")), {})


def data(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def answers(case: Case) -> list[tuple[str, Case]]:
    """How each attempt of a task ended."""
    found = []
    for event in case.get("events", []):
        for prefix in _TASKS:
            rest = event["type"].removeprefix(prefix)
            if rest != event["type"] and rest in ("Succeeded", "Failed", "TimedOut"):
                found.append((rest, details(event)))
    return found


def wanted(case: Case) -> Case:
    if "row" in case:
        return {"status": "SUCCEEDED", "output": case["row"]["output"]}
    last = case["events"][-1]
    told = {name: value for name, value in details(last).items() if name in ("output", "error", "cause")}
    told["output"] = data(told["output"]) if "output" in told else None
    entered = [details(event)["name"] for event in case["events"] if event["type"].endswith("StateEntered")]
    status = {"Succeeded": "SUCCEEDED", "Failed": "FAILED"}.get(last["type"].removeprefix("Execution"), "CUT")
    return {"status": status, "states": entered, **told}


def alike(recorded: Any, given: Any) -> bool:
    """Equal, where what was replaced in a recording is any text."""
    if isinstance(recorded, str) and (("<" in recorded and ">" in recorded) or recorded in _REPLACED):
        return True
    if isinstance(recorded, list) and isinstance(given, list):
        return len(recorded) == len(given) and all(map(alike, recorded, given))
    if isinstance(recorded, dict) and isinstance(given, dict):
        return recorded.keys() == given.keys() and all(alike(recorded[name], given[name]) for name in recorded)
    return type(recorded is True) is type(given is True) and bool(recorded == given)


class Engine:
    def __init__(self, environment: dict[str, str]) -> None:
        config = Config(retries={"total_max_attempts": 1}, read_timeout=70, inject_host_prefix=False, max_pool_connections=32)
        self._sfn = boto3.client(
            "stepfunctions", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"], config=config,
        )  # fmt: skip

    def verdict(self, case: Case) -> str:
        definition = json.loads(case["definition"])
        tasks = [state for state in definition["States"].values() if state.get("Type") == "Task"]
        if any(".waitForTaskToken" in task["Resource"] or "Credentials" in task for task in tasks):
            return "not driven"
        name = f"recorded-{uuid.uuid4().hex}"
        activity = self._sfn.create_activity(name=name)["activityArn"]
        for task in tasks:
            task["Resource"] = activity
        try:
            machine = self._sfn.create_state_machine(
                name=name, definition=json.dumps(definition), roleArn="arn:aws:iam::111122223333:role/local"
            )["stateMachineArn"]
            started = self._sfn.start_execution(stateMachineArn=machine, input=case.get("input", "{}"))
        except ClientError:
            return "refused"
        return self._compare(case, activity, started["executionArn"])

    def _compare(self, case: Case, activity: str, execution: str) -> str:
        target, left = wanted(case), answers(case)
        deadline, answered = time.monotonic() + _WAIT_SECONDS, 0
        while time.monotonic() < deadline:
            found = self._sfn.describe_execution(executionArn=execution)
            events = self._sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
            if found["status"] != "RUNNING":
                return self._judge(target, found, events)
            scheduled = sum(event["type"] == "ActivityScheduled" for event in events)
            if scheduled > answered and left:
                self._answer(self._sfn.get_activity_task(activityArn=activity)["taskToken"], *left.pop(0))
                answered += 1
            elif target["status"] == "CUT":
                break
            time.sleep(0.02)
        self._sfn.stop_execution(executionArn=execution)
        return "equal" if target["status"] == "CUT" else "too slow"

    def _answer(self, token: str, what: str, told: Case) -> None:
        if what == "Succeeded":
            self._sfn.send_task_success(taskToken=token, output=json.dumps(data(told.get("output"))))
        elif what == "Failed":
            words = {name: told[name] for name in ("error", "cause") if name in told}
            texts = {name: word if isinstance(word, str) else json.dumps(word) for name, word in words.items()}
            self._sfn.send_task_failure(taskToken=token, **texts)

    def _judge(self, target: Case, found: Case, events: list[Case]) -> str:
        states = [details(event)["name"] for event in events if event["type"].endswith("StateEntered")]
        output = json.loads(found["output"]) if "output" in found else None
        same = (
            target["status"] in ("CUT", found["status"])
            and alike(target.get("output"), output)
            and target.get("error") == found.get("error")
            and target.get("states", states) == states
        )
        if not same:
            return "different"
        return "equal" if alike(data(target.get("cause")), data(found.get("cause"))) else "another cause"


def main() -> None:
    cases: list[Case] = json.loads(Path(sys.argv[1]).read_text())
    with tempfile.TemporaryDirectory() as directory:
        options = Options(
            dir=Path(directory), ministack_port=0, simulator=False, workers=0, deploy=False, wait_scale=0.001,
            die_with_parent=True,
        )  # fmt: skip
        with Stack(options) as stack, ThreadPoolExecutor(8) as pool:
            verdicts = list(pool.map(Engine(stack.environment()).verdict, cases))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())
    print(f"engine: {len(cases)} cases, {counts}")
    for case, verdict in zip(cases, verdicts):
        if verdict in ("different", "too slow", "refused"):
            print(f"  {verdict}: {case['id']}")


if __name__ == "__main__":
    main()
