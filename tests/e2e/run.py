"""One execution, driven as an operator drives it: StartExecution, the record, flags, task tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from lab import Fleet, Json, Lab, from_item, wait_for
from observer import Observer

# Error name in Step Functions of each outcome; FAILED has several and is compared with the record.
ERROR_OF = {"PARTIAL": "Tidegate.Partial", "CANCELLED": "Tidegate.Cancelled", "TIMED_OUT": "Tidegate.TimedOut"}


class Run:
    """An execution of the recovery machine."""

    def __init__(self, lab: Lab, observer: Observer, execution_input: Any) -> None:
        self._lab, self._observer = lab, observer
        self.id = f"run-{lab.number()}"
        self.watch = observer.watch(self.id)
        answer = lab.sfn.start_execution(stateMachineArn=lab.machine, name=self.id, input=json.dumps(execution_input))
        self.arn = str(answer["executionArn"])

    # -- what is seen --

    def record(self) -> Json:
        found = self.find_record()
        assert found is not None, f"{self.id} has no record"
        return found

    def find_record(self) -> Json | None:
        item = self._lab.read_execution(self.id)
        return None if item is None else from_item(item)

    def items(self) -> dict[str, Json]:
        """The wave, shard and members items by key."""
        return {item["waveKey"]: item for item in map(from_item, self._lab.read_waves(self.id))}

    def waves(self) -> list[Json]:
        return [item for key, item in self.items().items() if key.isdigit()]

    def shards(self, wave_number: int | None = None) -> list[Json]:
        found = [item for key, item in self.items().items() if "#" in key and not key.endswith("members")]
        return [shard for shard in found if wave_number in (None, shard["waveNumber"])]

    def servers(self) -> dict[str, Json]:
        """Server statuses by source server id."""
        return {one["sourceServerId"]: one for shard in self.shards() for one in shard["serverStatuses"]}

    def events(self) -> list[tuple[str, int]]:
        """The timeline as (event, wave)."""
        return [(entry["event"], entry["waveNumber"]) for entry in self.record()["timeline"]]

    def machine(self) -> Json:
        return dict(self._lab.sfn.describe_execution(executionArn=self.arn))

    def history(self) -> list[Json]:
        pages = self._lab.sfn.get_paginator("get_execution_history").paginate(executionArn=self.arn)
        return [event for page in pages for event in page["events"]]

    # -- what an operator does --

    def wait_until(self, condition: Callable[[Json], Any], what: str, seconds: float = 60.0) -> Json:
        """The record once `condition` holds of it."""

        def met() -> Json | None:
            record = self.find_record()
            return record if record is not None and condition(record) else None

        return dict(wait_for(met, lambda: f"{what}; {self._story()}", seconds))

    def wait_status(self, status: str, seconds: float = 60.0) -> Json:
        return self.wait_until(lambda record: record["status"] == status, f"{self.id} to be {status}", seconds)

    def gate(self, other_than: str = "", seconds: float = 60.0) -> Json:
        """The open gate with its token; `other_than` is the token of one that was answered."""

        def opened() -> Json | None:
            gate = (self.find_record() or {}).get("gate")
            token = gate and self._lab.gate_token(self.id, gate)
            # The record once more: what was read before it is not the token of a later gate.
            stands = token and self.record().get("gate") == gate
            return {**gate, "token": token} if gate and stands and token != other_than else None

        return dict(wait_for(opened, lambda: f"a gate of {self.id}; {self._story()}", seconds))

    def answer(self, output: Any = None, *, raw: str | None = None, other_than: str = "") -> str:
        """Answers the open gate and returns its token. `raw` is sent as it is typed."""
        token = str(self.gate(other_than)["token"])
        self._lab.sfn.send_task_success(taskToken=token, output=raw if raw is not None else json.dumps(output))
        return token

    def decline(self, **words: str) -> None:
        """SendTaskFailure; `error` and `cause` are optional, and what is not given comes to the machine as null."""
        self._lab.sfn.send_task_failure(taskToken=self.gate()["token"], **words)

    def request(self, flag: str) -> None:
        """Asks for a pause or the end (pauseRequested, cancelRequested), as operations.md says."""
        self._lab.dynamodb.update_item(
            TableName=self._lab.tables["executionRequests"],
            Key={"executionId": {"S": self.id}},
            UpdateExpression="SET #flag = :on",
            ExpressionAttributeNames={"#flag": flag},
            ExpressionAttributeValues={":on": {"S": "true"}},
        )

    # -- the end --

    def ended(self) -> bool:
        return bool(self.machine()["status"] != "RUNNING")

    def stop(self) -> None:
        """Ends an execution a failed test left behind."""
        if not self.ended():
            self._lab.sfn.stop_execution(executionArn=self.arn, error="test", cause="the test is over")
        self._observer.release(self.watch)

    def end(self, status: str, *, error: str = "", seconds: float = 90.0) -> Json:
        """Waits for the end, checks that everyone agrees on it (NFR-1.2, c-20), and returns the record."""
        wait_for(self.ended, lambda: f"the end of {self.id}; {self._story()}", seconds)
        self._observer.release(self.watch)
        record, machine = self.record(), self.machine()
        story = self._story()
        assert record["status"] == status, story
        assert not self.watch.violations, f"{self.watch.violations}\n{story}"
        outcome = record["outcome"]
        if status == "COMPLETED":
            assert (machine["status"], outcome["error"]) == ("SUCCEEDED", ""), story
        else:
            assert (machine["status"], machine["error"]) == ("FAILED", outcome["error"]), story
            assert machine["error"] == ERROR_OF.get(status, error or outcome["error"]), story
            assert machine["cause"] == outcome["cause"], story
        assert not self.held_locks(), f"{self.id} still holds {self.held_locks()}"
        assert "gate" not in record and not self.watch.tokens_left(), f"{self.id} left a task token behind"
        self._check_times(record)
        return record

    def refused(self, error: str) -> str:
        """The end of an execution that never began: no wave, no lock, no job. Returns the cause."""
        record = self.end("FAILED", error=error)
        assert not self.waves() or all(wave["status"] == "SKIPPED" for wave in self.waves())
        return str(record["outcome"]["cause"])

    def held_locks(self) -> list[str]:
        return [server for server, holder in self._lab.locks().items() if holder == self.id]

    def _check_times(self, record: Json) -> None:
        """Written order, exact to the millisecond, beside what the observer happened to see."""
        end = ""
        for wave in self.waves():
            # A continuation may try a wave again that the continued run had gone past: its end is after later waves' start.
            assert wave["startTime"] >= end or "continues" in record, f"wave {wave['waveNumber']} began at {wave['startTime']}, before {end}"
            end = max(end, wave.get("endTime", ""))
        assert end <= record["endTime"], f"a wave ended at {end}, the execution at {record['endTime']}"

    def _story(self) -> str:
        try:
            machine, record = self.machine(), self.find_record() or {}
        except ClientError as error:
            return f"{self.id}: {error}"
        waves = [" ".join(str(one[key]) for key in ("waveNumber", "status", "phase", "error")) for one in self.waves()]
        last = [event["type"] for event in self.history()[-6:]]
        return (
            f"{self.id}: machine {machine['status']} {machine.get('error', '')} {machine.get('cause', '')}; "
            f"record {record.get('status')} {record.get('outcome')}; waves {waves}; "
            f"cleanup {record.get('cleanup')}; last {last}"
        )


class Starter:
    """Starts runs for one test and sees to it that none outlives it."""

    def __init__(self, lab: Lab, observer: Observer) -> None:
        self._lab, self._observer = lab, observer
        self.runs: list[Run] = []

    def __call__(self, plan: Json | Fleet | str, execution_type: str = "DRILL", **fields: Any) -> Run:
        """Starts an execution of a plan (a stored one by its id; of a fleet: one wave of it)."""
        if isinstance(plan, Fleet):
            plan = self._lab.plan(plan)
        named = {"planId": plan} if isinstance(plan, str) else {"plan": plan}
        return self.raw({**named, "executionType": execution_type, **fields})

    def raw(self, execution_input: Any) -> Run:
        run = Run(self._lab, self._observer, execution_input)
        self.runs.append(run)
        return run

    def stop(self) -> list[str]:
        """Stops what still runs; returns what the observer saw of runs nobody asked for the end of."""
        for run in self.runs:
            run.stop()
        return [f"{run.id}: {run.watch.violations}" for run in self.runs if run.watch.violations]
