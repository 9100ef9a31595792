"""Finalize is exactly once, against the real store: a hundred calls at once, half of them for another reason (FR-5.4).

Own stack: its workers have a slot for every call. `tests/simulation` holds the same for every order the calls can take.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from bench import start_stack, watched
from lab import Json, Lab, wait_for, wave
from observer import Observer
from run import Run, Starter

CALLS = 100


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Observer]]:
    """Two workers that together take a hundred tasks of an activity at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEGATE_SLOTS", str(CALLS // 2))
        patch.setenv("TIDEGATE_POLLERS", str(CALLS // 4))
        yield from watched(start_stack(tmp_path_factory.mktemp("wide"), workers=2))


def finalize_input(run: Run, reason: str) -> Json:
    machine = run.machine()
    return {
        "executionId": run.id,
        "executionArn": run.arn,
        "startTime": round(machine["startDate"].timestamp() * 1000),
        "input": {},
        "ending": {"reason": reason, "waveCount": 0, "failure": {"Error": "", "Cause": ""}},
    }


def most_at_once(lab: Lab, run: Run) -> int:
    """Finalize tasks of this run that were worked on at the same time, by the workers' own logs."""
    edges: list[tuple[datetime, int]] = []
    for line in lab.worker_log():
        if line.get("message") != "TaskFinished" or line["span"].get("execution_id") != run.id:
            continue
        if line["activity"].startswith("finalize-execution"):
            end = datetime.fromisoformat(line["timestamp"])
            edges += [(end - timedelta(milliseconds=line["duration_ms"]), 1), (end, -1)]
    now = most = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def test_a_hundred_calls_write_one_outcome(wide: tuple[Lab, Observer]) -> None:
    """FR-5.4, AC-4.3, AC-4.4, NFR-4.3: one of them writes, all the others answer what that one wrote."""
    lab, observer = wide
    start = Starter(lab, observer)
    run = start(lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True)), options={"keepInstances": True})
    run.wait_status("PAUSED")
    activity = json.loads(lab.stack.environment()["TIDEGATE_ACTIVITY_ARNS"])["finalize-execution-v1"]
    retry = [{"ErrorEquals": ["Tidegate.Superseded", "Tidegate.Transient"], "IntervalSeconds": 1, "MaxAttempts": 99}]
    state = {"Type": "Task", "Resource": activity, "TimeoutSeconds": 180, "Retry": retry, "End": True}
    machine = lab.sfn.create_state_machine(
        name="finalize-alone",
        definition=json.dumps({"StartAt": "Finalize", "States": {"Finalize": state}}),
        roleArn="arn:aws:iam::111122223333:role/finalize",
    )["stateMachineArn"]
    workers = [member.identity for name, member in lab.stack.status().items() if name.startswith("worker-")]
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        inputs = [finalize_input(run, ("CANCELLED", "DECLINED")[number % 2]) for number in range(CALLS)]
        with ThreadPoolExecutor(16) as pool:
            texts = map(json.dumps, inputs)
            begun = pool.map(lambda text: lab.sfn.start_execution(stateMachineArn=machine, input=text), texts)
            arns = [answer["executionArn"] for answer in begun]
    finally:
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)

    def over() -> list[Json] | None:
        found = [dict(lab.sfn.describe_execution(executionArn=arn)) for arn in arns]
        return found if all(one["status"] != "RUNNING" for one in found) else None

    ends = wait_for(over, "a hundred finalize tasks", 120)
    assert {one["status"] for one in ends} == {"SUCCEEDED"}, [one.get("cause") for one in ends]
    outcomes = [json.loads(one["output"]) for one in ends]
    assert sum(not outcome["alreadyFinalized"] for outcome in outcomes) <= 1
    assert len({json.dumps({**outcome, "alreadyFinalized": None}, sort_keys=True) for outcome in outcomes}) == 1
    record = run.record()
    assert record["status"] == outcomes[0]["status"] == "CANCELLED"
    assert [entry["event"] for entry in record["timeline"]].count("FINALIZED") == 1
    assert [one["status"] for one in run.waves()] == ["COMPLETED", "SKIPPED"]
    assert not run.held_locks() and "gate" not in record
    most = most_at_once(lab, run)
    print(f"{most} of {CALLS} at once")
    assert most >= CALLS // 4, f"only {most} calls met: this proves little"
    # The machine itself finds its gate closed by others and ends as the record did.
    violations = start.stop()
    assert not violations, violations
