"""Pause and resume, decline, time out, cancel: what a person does to a run (US-5, T5.8)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lab import Lab, wait_for, wave
from run import Starter


def paused_plan(lab: Lab, **second: Any) -> dict[str, Any]:
    """Two waves, a pause before the second."""
    return lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True, **second))


# What people type as --task-output, and what the record says of it afterwards.
ANSWERS = [
    pytest.param("{}", {}, id="empty"),
    pytest.param(
        '{"approvedBy": "ana@example.com", "comment": "go"}',
        {"approvedBy": "ana@example.com", "comment": "go"},
        id="approval",
    ),
    pytest.param('"yes"', "yes", id="string"),
    pytest.param("42", 42, id="number"),
    pytest.param("null", None, id="null"),
    pytest.param('["a", {"decision": "abort"}]', ["a", {"decision": "abort"}], id="list"),
]


@pytest.mark.parametrize(("typed", "stored"), ANSWERS)
def test_any_answer_resumes_and_is_recorded(lab: Lab, start: Starter, typed: str, stored: Any) -> None:
    """AC-5.1..5.5, FR-4.4, FR-7.1..7.5, T2.7, T2.8, T5.8, AC-2.2, AC-6.2: whatever people type is safe."""
    run = start(paused_plan(lab))
    record = run.wait_status("PAUSED")
    assert record["gate"]["waveNumber"] == 2 and record["gate"]["kind"] == "RESUME"
    assert record["completedWaves"] == 1 and len(run.waves()) == 1
    wait_for(lambda: "PAUSED" in run.watch.statuses, "the observer to see PAUSED")
    run.answer(raw=typed)
    record = run.end("COMPLETED")
    assert json.loads(record["lastAnswer"]) == stored
    resumed = [entry for entry in record["timeline"] if entry["event"] == "RESUMED"]
    assert [json.loads(entry["detail"]) for entry in resumed] == [stored]
    seen = run.watch.statuses
    assert seen[seen.index("PAUSED") :] == ["PAUSED", "POLLING", "COMPLETED"], seen


@pytest.mark.parametrize("length", [2_000, 150_000, 250_000])
@pytest.mark.parametrize("record_kb", [0, 300], ids=["small", "large"])
def test_an_answer_of_any_length_resumes(lab: Lab, start: Starter, length: int, record_kb: int) -> None:
    """FR-7.1: an item holds 400 KB, and whatever is pasted into an answer must leave room for the outcome."""
    run = start(paused_plan(lab))
    record = run.wait_status("PAUSED")
    if record_kb:
        # A plan of that size takes hundreds of servers; what counts is the item.
        lab.dynamodb.update_item(
            TableName=lab.tables["executionHistory"],
            Key={"executionId": {"S": run.id}, "planId": {"S": record["planId"]}},
            UpdateExpression="SET padding = :padding",
            ExpressionAttributeValues={":padding": {"S": "x" * record_kb * 1024}},
        )
    run.answer({"approvedBy": "ana", "comment": "x" * length})
    record = run.end("COMPLETED")
    resumed = [entry["detail"] for entry in record["timeline"] if entry["event"] == "RESUMED"]
    assert len(resumed) == 1 and "more than 2,000 characters" in resumed[0]
    assert json.loads(record["lastAnswer"]) == json.loads(resumed[0])


def test_a_long_decision_counts(lab: Lab, start: Starter) -> None:
    """FR-7.3: what comes with a decision may be too long to be kept; the decision is taken all the same."""
    fleet = lab.fleet()
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0]})
    run = start(lab.plan(wave(fleet, onFailure="gate"), lab.fleet()))
    run.answer({"decision": "skip", "comment": "x" * 150_000})
    record = run.end("PARTIAL")
    details = [entry["detail"] for entry in record["timeline"] if entry["event"] in ("DECIDED", "WAVE_CLOSED")]
    assert details == ["skip", "SKIPPED", "COMPLETED"], "the timeline and the wave's item tell the same"
    assert [one["status"] for one in run.waves()] == ["SKIPPED", "COMPLETED"]
    assert "more than 2,000 characters" in record["lastAnswer"]


def test_a_pause_lasts_until_it_is_answered(lab: Lab, start: Starter) -> None:
    """AC-5.3: no automatic continuation. While PAUSED nothing is written, polled or launched."""
    run = start(paused_plan(lab))
    paused = run.wait_status("PAUSED")
    calls, before = lab.control("GET", "calls")["total"], run.watch.looks
    run.wait_until(lambda _: run.watch.looks >= before + 25, "twenty-five looks at a paused run")
    assert run.record() == paused and lab.control("GET", "calls")["total"] == calls
    run.answer({})
    run.end("COMPLETED")


def test_a_pause_before_wave_one_comes_before_anything_starts(lab: Lab, start: Starter) -> None:
    """AC-5.1: pauseBeforeWave on wave 1 holds the whole run."""
    fleet = lab.fleet()
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True)))
    assert run.wait_status("PAUSED")["currentWave"] == 0
    assert not run.waves() and not lab.jobs(fleet)
    run.answer({})
    run.end("COMPLETED")


def test_an_answered_token_is_dead(lab: Lab, start: Starter) -> None:
    """FR-7.5: a second answer to the same gate is refused and changes nothing."""
    run = start(paused_plan(lab))
    token = run.answer({})
    run.wait_until(lambda record: record["status"] != "PAUSED", "the resume")
    with pytest.raises(ClientError, match=r"TaskTimedOut|InvalidToken|TaskDoesNotExist"):
        lab.sfn.send_task_failure(taskToken=token, error="Late", cause="the run goes on")
    run.end("COMPLETED")


@pytest.mark.parametrize(
    "words",
    [
        {}, {"error": "", "cause": ""}, {"error": "NotToday"}, {"cause": "the database team is not ready"},
        {"error": "NotToday", "cause": "the database team is not ready"},
    ],
    ids=["bare", "empty", "error", "cause", "both"],
)  # fmt: skip
def test_a_declined_gate_cancels(lab: Lab, start: Starter, words: dict[str, str]) -> None:
    """FR-7.5, NFR-1.2: SendTaskFailure declines; what has launched is cleaned up, the next wave never starts."""
    fleet = lab.fleet()
    run = start(lab.plan(lab.fleet(), wave(fleet, pauseBeforeWave=True)))
    run.decline(**words)
    record = run.end("CANCELLED")
    outcome = record["outcome"]
    assert outcome["reason"] == "DECLINED" and all(word in outcome["cause"] for word in words.values())
    assert [one["status"] for one in run.waves()] == ["COMPLETED", "SKIPPED"]
    assert not lab.jobs(fleet) and record["cleanup"]["status"] == "COMPLETED"


def test_a_gate_nobody_answers_times_out(lab: Lab, start: Starter) -> None:
    """FR-7.5 (timeout policy), TC-2.1: after gateTimeoutSeconds the run ends TIMED_OUT and its token is dead."""
    run = start(paused_plan(lab, gateTimeoutSeconds=5))
    token = run.gate()["token"]
    record = run.end("TIMED_OUT")
    assert record["outcome"]["reason"] == "GATE_TIMED_OUT"
    with pytest.raises(ClientError, match=r"TaskTimedOut|InvalidToken|TaskDoesNotExist"):
        lab.sfn.send_task_success(taskToken=token, output="{}")


def test_an_operator_can_ask_for_a_pause(lab: Lab, start: Starter) -> None:
    """US-5, T2.7: pauseRequested pauses before the next wave, once."""
    run = start(lab.plan(lab.fleet(), lab.fleet(), lab.fleet()))
    run.wait_until(lambda record: record["currentWave"] == 1, "the first wave")
    run.request("pauseRequested")
    record = run.wait_status("PAUSED")
    assert record["gate"]["waveNumber"] == 2 and "pauseRequested" not in lab.requests(run.id)
    assert "operator" in record["gate"]["reason"]
    run.answer({})
    run.end("COMPLETED")
    assert [event for event, _ in run.events()].count("PAUSED") == 1


def test_cancel_while_polling_ends_after_the_wave(lab: Lab, start: Starter) -> None:
    """NFR-1.2, c-09b, c-35: the running wave is seen through, the next one never starts, the drill is cleaned up."""
    later = lab.fleet()
    run = start(lab.plan(lab.fleet(), later))
    # A cancel before the job is sent would keep the first wave from being launched, too.
    run.wait_until(lambda _: any("job" in shard for shard in run.shards(1)), "the first wave's job")
    run.request("cancelRequested")
    record = run.end("CANCELLED")
    assert record["outcome"]["reason"] == "CANCELLED" and record["completedWaves"] == 1
    assert [one["status"] for one in run.waves()] == ["COMPLETED", "SKIPPED"] and not lab.jobs(later)
    assert record["cleanup"]["status"] == "COMPLETED"


@pytest.mark.parametrize("kind", ["resume", "decision"])
def test_cancel_while_paused_wins_over_any_answer(lab: Lab, start: Starter, kind: str) -> None:
    """NFR-1.2, c-09b: who cancels at a gate and then answers it, whatever the answer, has cancelled."""
    fleet = lab.fleet()
    if kind == "resume":
        run = start(lab.plan(lab.fleet(), wave(fleet, pauseBeforeWave=True)))
    else:
        lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0]})
        run = start(lab.plan(wave(fleet, onFailure="gate")))
    run.wait_status("PAUSED")
    run.request("cancelRequested")
    run.answer("retry")
    record = run.end("CANCELLED")
    assert record["outcome"]["reason"] == "CANCELLED"
    assert len(lab.jobs(fleet)) == (0 if kind == "resume" else 1)


def test_a_planned_wait_after_a_wave_is_kept(lab: Lab, start: Starter) -> None:
    """FR-4.3: waitAfterSeconds passes between a wave's end and the next one's start (scaled as all Waits are here)."""
    run = start(lab.plan(wave(lab.fleet(), waitAfterSeconds=50), lab.fleet()))
    began = time.monotonic()
    run.end("COMPLETED")
    first, second = run.waves()
    assert first["endTime"] < second["startTime"] and time.monotonic() - began >= 1.0
