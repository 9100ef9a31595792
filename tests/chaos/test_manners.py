"""A worker's manners against the strict engine, one at a time: poison, SIGTERM with work in hand, a zombie that wakes up.

The storm (`test_chaos.py`) meets these moments by chance; here each is made. Own stack, own workers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bench import start_stack
from crew import Crew, Member, read_log
from evidence import Attempt
from gather import attempts_of, history
from lab import Json, Lab, wait_for
from run import Run, Starter

from observer import Observer

HUGE = "x" * 200_000
DEEP: Any = 0
for _ in range(200):  # valid JSON for Step Functions, deeper than serde_json reads
    DEEP = [DEEP]

POISON: dict[str, Any] = {
    "null": None,
    "text": "drill",
    "number": 7,
    "list": [{"executionId": "x"}],
    "empty": {},
    "wrong types": {"executionId": 7, "executionArn": {}, "waveNumber": "two", "input": 1, "ending": [], "startTime": 0},
    "unknown fields": {"executionId": "nobody", "surprise": True},
    "deep": DEEP,
    "huge": {"executionId": HUGE, "waveNumber": 1, "input": HUGE[:1000]},
    "no number": {"executionId": "nobody", "waveNumber": -1, "attempt": 1e300},
}
ACTIVITY_STATES = ("Prepare", "StartWave", "PollWave", "Finalize", "StartCleanup", "PollCleanup")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Crew, Observer]]:
    stack = start_stack(tmp_path_factory.mktemp("manners"), workers=0)
    lab = Lab(stack)
    # One slot: while a worker has a task in hand it has no poll open for another of its kind.
    crew = Crew(
        stack.options.bin_dir / "tidegate-worker",
        stack.environment(),
        stack.log("any").parent,
        size=1,
        TIDEGATE_SLOTS="1",
    )
    observer = Observer(lab)
    observer.start()
    try:
        yield lab, crew, observer
    finally:
        observer.stop()
        crew.disband()
        stack.down()


@pytest.fixture
def start(bench: tuple[Lab, Crew, Observer]) -> Iterator[Starter]:
    lab, crew, observer = bench
    crew.fill()
    with lab.without_faults_afterwards():
        starter = Starter(lab, observer)
        yield starter
        violations = starter.stop()
        assert not violations, violations


def attempts(lab: Lab, arn: str) -> list[Attempt]:
    return attempts_of(arn.rpartition(":")[2], history(lab, arn))


def alone(lab: Lab, state_name: str) -> str:
    """A machine of one state, which is the shipped one, retries included, but takes any input."""
    shipped = json.loads(lab.sfn.describe_state_machine(stateMachineArn=lab.machine)["definition"])
    taken = ("Type", "Resource", "TimeoutSeconds", "HeartbeatSeconds", "Retry")
    state = {key: shipped["States"][state_name][key] for key in taken}
    definition = {"StartAt": state_name, "States": {state_name: {**state, "End": True}}}
    answer = lab.sfn.create_state_machine(
        name=f"poison-{state_name}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::111122223333:role/poison",
    )
    return str(answer["stateMachineArn"])


@pytest.mark.parametrize("state", ACTIVITY_STATES)
def test_poison_is_answered_within_a_second_and_not_tried_again(
    bench: tuple[Lab, Crew, Observer], start: Starter, state: str
) -> None:
    """Issue 3.4: every activity, every poison: one attempt, one answer, InvalidInput, and the worker lives."""
    lab, crew, _ = bench
    machine = alone(lab, state)
    started = {
        name: lab.sfn.start_execution(stateMachineArn=machine, input=json.dumps(poison))["executionArn"]
        for name, poison in POISON.items()
    }
    slowest = 0.0
    for name, arn in started.items():
        wait_for(lambda arn=arn: lab.sfn.describe_execution(executionArn=arn)["status"] != "RUNNING", f"{state} {name}")
        ended = lab.sfn.describe_execution(executionArn=arn)
        assert (ended["status"], ended.get("error")) == ("FAILED", "Tidegate.InvalidInput"), (state, name, ended)
        assert len(ended["cause"].encode()) <= 32_768 and HUGE[:2000] not in ended["cause"]
        (attempt,) = attempts(lab, arn)
        slowest = max(slowest, attempt.ended - attempt.started)
    print(f"{state}: {len(POISON)} poisoned inputs answered, the slowest after {slowest * 1000:.0f} ms")
    assert slowest < 1.0, f"{state}: answered after {slowest:.2f} s"
    assert crew.active(), "the worker died of it"


@pytest.mark.parametrize("state", [state for state in ACTIVITY_STATES if state != "Prepare"])
def test_an_execution_nobody_knows_is_answered_and_not_looped_over(
    bench: tuple[Lab, Crew, Observer], start: Starter, state: str
) -> None:
    """Issue 3.4: well-formed input of an execution without a record. Finalize writes the refusal it is asked for; the
    others answer an error that no retry repeats for long."""
    lab, crew, _ = bench
    machine = alone(lab, state)
    calls = lab.mutating_calls()
    name = f"nobody-{state}"
    known: Json = {
        "executionId": name,
        "executionArn": f"arn:aws:states:us-west-2:111122223333:execution:poison-{state}:{name}",
        "startTime": "2026-01-01T00:00:00.000Z",
        "input": {"planId": "nobody", "executionType": "DRILL"},
        "planId": "nobody",
        "executionType": "DRILL",
        "mode": "RUN",
        **dict.fromkeys(("waveNumber", "waveAttempt", "waveCount"), 1),
        **dict.fromkeys(("pollsUsed", "completedWaves"), 0),
        "ending": {"reason": "FAULT", "waveCount": 0, "failure": {"Error": "", "Cause": ""}},
    }
    shipped = json.loads(lab.sfn.describe_state_machine(stateMachineArn=lab.machine)["definition"])
    given = [key.removesuffix(".$") for key in shipped["States"][state]["Parameters"]]
    execution_input = {key: known[key] for key in given if key in known}
    arn = lab.sfn.start_execution(stateMachineArn=machine, name=name, input=json.dumps(execution_input))["executionArn"]
    wait_for(lambda: lab.sfn.describe_execution(executionArn=arn)["status"] != "RUNNING", f"{state} of nobody")
    made = attempts(lab, arn)
    slowest = max(one.ended - one.started for one in made)
    print(f"{state}: {len(made)} attempts, {[one.error for one in made]}, the slowest {slowest * 1000:.0f} ms")
    # Once, and the eight tries of the machine: it cannot tell this from an error of AWS that may pass.
    assert len(made) <= 9 and slowest < 1.0, made
    assert all(one.error != "Tidegate.InvalidInput" for one in made), (execution_input, made)
    assert lab.mutating_calls() == calls and crew.active()


def begun(lab: Lab, run: Run, member: Member, state: str) -> Attempt | None:
    """The task of this state that a worker has in hand."""
    held = [one for one in attempts(lab, run.arn) if one.worker == member.name and one.started and not one.ended]
    return next((one for one in held if one.state == state), None)


def test_sigterm_with_a_task_in_hand_answers_it(bench: tuple[Lab, Crew, Observer], start: Starter) -> None:
    """Issue 3.4, c-46: the poll is under way when the worker is told to end; it finishes it, and nothing is repeated."""
    lab, crew, _ = bench
    fleet = lab.fleet()
    (worker,) = crew.active()
    lab.fault({"fault": "slowAnswer", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "seconds": 4})
    run = start(lab.plan(fleet))
    wait_for(lambda: lab.jobs(fleet), "StartRecovery under way")
    assert begun(lab, run, worker, "StartWave")
    crew.terminate(worker)
    crew.fill()
    run.end("COMPLETED")
    made = attempts(lab, run.arn)
    (started,) = [one for one in made if one.state == "StartWave"]
    assert (started.worker, started.end) == (worker.name, "succeeded")
    assert not [one for one in made if one.lost], made
    # What its open polls were handed after the signal went back at once, to be done by others.
    refused = [one for one in made if one.worker == worker.name and one.end == "failed"]
    assert all(one.error == "Tidegate.WorkerShutdown" and one.ended - one.started < 1.0 for one in refused), refused


def test_a_zombie_that_wakes_up_changes_nothing(bench: tuple[Lab, Crew, Observer], start: Starter) -> None:
    """Issue 3.2, 3.4: frozen between StartRecovery's effect and its record, past its heartbeat; another attempt adopts
    the job, and what the first one knows when it wakes up is refused."""
    lab, crew, _ = bench
    fleet = lab.fleet(2)
    (worker,) = crew.active()
    lab.fault({"fault": "slowAnswer", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "seconds": 3})
    run = start(lab.plan(fleet, lab.fleet()), "RECOVERY")
    wait_for(lambda: lab.jobs(fleet), "StartRecovery under way")
    assert begun(lab, run, worker, "StartWave")
    crew.freeze(worker)
    try:
        crew.fill()
        wait_for(lambda: run.shards(1) and run.shards(1)[0].get("job"), "another worker to find the job", 60)
        found = run.shards(1)[0]
    finally:
        crew.thaw(worker)

    def refused() -> list[Json]:
        lines = [line for line in read_log(worker.log) if line.get("message") == "TaskFinished"]
        return [line for line in lines if line["activity"] == "start-wave-v1" and line["answer"] == "unwanted"]

    wait_for(refused, "the zombie to learn that nobody wants its answer")
    run.end("COMPLETED", seconds=120)
    (job,) = lab.jobs(fleet)
    assert found["job"]["jobId"] == job["jobID"] == run.shards(1)[0]["job"]["jobId"] and found["job"]["adopted"]
    assert len(lab.journal("StartRecovery", fleet)) == 1
    made = [one for one in attempts(lab, run.arn) if one.state == "StartWave"]
    (lost,) = [one for one in made if one.lost]
    after = made[made.index(lost) + 1]
    assert lost.worker == worker.name and after.worker != worker.name and after.end == "succeeded", made
