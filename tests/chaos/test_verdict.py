"""The checker's own teeth: a quiet night passes, and each crime in it is seen by the promise it breaks."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from evidence import Attempt, Evidence, Expected, Ran, WorkerFate, repairs
from figures import percentile, summary
from gather import attempts_of, holds_token, retry_pauses
from storm import forecast
from verdict import PROMISES, judge

DB, WEB, ERP = "s-00000000000000001", "s-00000000000000002", "s-00000000000000003"


def shard(wave: int, job: str, server: str, instance: str) -> dict[str, object]:
    status = {
        "sourceServerId": server,
        "launchStatus": "LAUNCHED",
        "recoveryJobId": job,
        "instanceId": instance,
    }
    return {"waveNumber": wave, "job": {"jobId": job}, "serverStatuses": [status]}


def wave(number: int, start: str, end: str, status: str = "COMPLETED") -> dict[str, object]:
    return {"waveNumber": number, "status": status, "startTime": start, "endTime": end}


def record(*events: tuple[str, int], cleanup: bool = True) -> dict[str, object]:
    return {
        "status": "COMPLETED",
        "endTime": "T9",
        "outcome": {"error": "", "cause": ""},
        "timeline": [{"event": event, "waveNumber": number} for event, number in events],
        **({"cleanup": {"status": "COMPLETED"}} if cleanup else {}),
    }


def night() -> Evidence:
    """A drill of two waves and a recovery; one worker was killed, one told to end, one frozen, one is healthy."""
    succeeded = {"status": "SUCCEEDED", "error": "", "cause": ""}
    drill = Ran(
        "drill-1",
        Expected("drill", "COMPLETED", ["COMPLETED", "COMPLETED"], {DB: 1, WEB: 1}, True, 2),
        dict(succeeded),
        record(("CREATED", 0), ("WAVE_CLOSED", 1), ("WAVE_CLOSED", 2), ("FINALIZED", 0), ("CLEANUP_ENDED", 0)),
        [wave(1, "T1", "T2"), wave(2, "T3", "T4")],
        [shard(1, "job-1", DB, "i-1"), shard(2, "job-2", WEB, "i-2")],
    )
    recovery = Ran(
        "recovery-1",
        Expected("recovery", "COMPLETED", ["COMPLETED"], {ERP: 1}, False, 1),
        dict(succeeded),
        record(("CREATED", 0), ("WAVE_CLOSED", 1), ("FINALIZED", 0), cleanup=False),
        [wave(1, "T1", "T2")],
        [shard(1, "job-3", ERP, "i-3")],
    )
    return Evidence(
        runs=[drill, recovery],
        attempts=[
            Attempt("drill-1", "StartWave", 1, 99.0, 100.0, "killed", 130.0, "timedOut", "States.HeartbeatTimeout"),
            Attempt("drill-1", "StartWave", 2, 130.1, 130.2, "healthy", 131.0, "succeeded"),
            Attempt("drill-1", "PollWave", 1, 131.0, 131.1, "ended", 131.2, "failed", "Tidegate.WorkerShutdown"),
            Attempt("drill-1", "PollWave", 2, 131.3, 131.4, "frozen", 161.4, "timedOut", "States.HeartbeatTimeout"),
            Attempt("drill-1", "PollWave", 3, 161.5, 161.6, "healthy", 161.7, "succeeded"),
        ],
        workers={
            "killed": WorkerFate("killed", killed=101.0, exited=101.0, exit_code=-9, received=["a"]),
            "ended": WorkerFate(
                "ended", terminated=131.0, exited=150.0, exit_code=0, received=["b"], finished={"b": ["accepted"]}
            ),
            "frozen": WorkerFate("frozen", frozen=[(131.5, 165.0)], received=["c"], finished={"c": ["unwanted"]}),
            "healthy": WorkerFate(
                "healthy", received=["d", "e"], finished={"d": ["accepted"], "e": ["accepted"]}
            ),
        },
        starts=[
            {"servers": [DB], "isDrill": True},
            {"servers": [WEB], "isDrill": True},
            {"servers": [ERP], "isDrill": False},
        ],
        terminations=[["i-1", "i-2"]],
        jobs={
            "job-1": {"type": "LAUNCH", "servers": {DB: "i-1"}},
            "job-2": {"type": "LAUNCH", "servers": {WEB: "i-2"}},
            "job-3": {"type": "LAUNCH", "servers": {ERP: "i-3"}},
            "job-4": {"type": "TERMINATE", "servers": {DB: "i-1", WEB: "i-2"}},
        },
        instances={"i-3": {"server": ERP, "job": "job-3"}, "i-9": {"server": "s-9", "job": "job-9"}},
        ec2={"i-1": "terminated", "i-2": "terminated", "i-3": "running", "i-9": "running"},
        bystanders={"i-9"},
        retry_pauses={"StartWave": [0.1, 0.2], "PollWave": [0.1, 0.2]},
    )


def test_a_night_without_a_crime_passes() -> None:
    assert judge(night()) == []


def launched_twice(evidence: Evidence) -> None:
    evidence.starts.append({"servers": [DB], "isDrill": True})


def second_job(evidence: Evidence) -> None:
    evidence.jobs["job-5"] = {"type": "LAUNCH", "servers": {WEB: "i-5"}}


def never_launched(evidence: Evidence) -> None:
    del evidence.starts[1]


def gap(evidence: Evidence) -> None:
    evidence.journal_complete = False


def drill_as_recovery(evidence: Evidence) -> None:
    evidence.starts[0]["isDrill"] = False


def wrong_outcome(evidence: Evidence) -> None:
    evidence.runs[0].expected.status = "PARTIAL"


def never_ended(evidence: Evidence) -> None:
    evidence.runs[0].machine["status"] = "RUNNING"


def no_record(evidence: Evidence) -> None:
    evidence.runs[0].record = None


def disagreement(evidence: Evidence) -> None:
    evidence.runs[0].machine = {"status": "FAILED", "error": "States.Runtime", "cause": ""}


def other_error(evidence: Evidence) -> None:
    run = evidence.runs[0]
    run.expected.status = "FAILED"
    run.record = {**(run.record or {}), "status": "FAILED", "outcome": {"error": "Tidegate.RecoveryFailed", "cause": "x"}}
    run.machine = {"status": "FAILED", "error": "Tidegate.RecoveryFailed", "cause": "y"}


def open_gate(evidence: Evidence) -> None:
    evidence.runs[0].record = {**(evidence.runs[0].record or {}), "gate": {"token": "t"}}


def seen_by_observer(evidence: Evidence) -> None:
    evidence.runs[1].seen.append("completedWaves fell from 2 to 1")


def skipped_wave(evidence: Evidence) -> None:
    evidence.runs[0].waves[1]["status"] = "SKIPPED"


def missing_wave(evidence: Evidence) -> None:
    evidence.runs[0].waves.pop()


def overlapping_waves(evidence: Evidence) -> None:
    evidence.runs[0].waves[1]["startTime"] = "T1"


def unknown_job(evidence: Evidence) -> None:
    evidence.runs[0].shards[0]["job"] = {"jobId": "job-7"}


def foreign_instance(evidence: Evidence) -> None:
    evidence.runs[0].shards[0]["serverStatuses"][0]["instanceId"] = "i-9"


def finalized_twice(evidence: Evidence) -> None:
    (evidence.runs[0].record or {})["timeline"].append({"event": "FINALIZED", "waveNumber": 0})


def never_finalized(evidence: Evidence) -> None:
    (evidence.runs[1].record or {})["timeline"].pop()


def lock_left(evidence: Evidence) -> None:
    evidence.locks = {f"111122223333/us-west-2/{DB}": "drill-1"}


def instance_left(evidence: Evidence) -> None:
    evidence.ec2["i-2"] = "running"


def listed_still(evidence: Evidence) -> None:
    evidence.instances["i-2"] = {"server": WEB, "job": "job-2"}


def cleanup_failed(evidence: Evidence) -> None:
    (evidence.runs[0].record or {})["cleanup"] = {"status": "FAILED"}


def recovery_cleaned_up(evidence: Evidence) -> None:
    evidence.terminations.append(["i-3"])


def recovery_gone(evidence: Evidence) -> None:
    del evidence.instances["i-3"]


def bystander_gone(evidence: Evidence) -> None:
    evidence.ec2["i-9"] = "terminated"


def one_instance_too_many(evidence: Evidence) -> None:
    evidence.jobs["job-1"]["servers"][WEB] = "i-8"


def lost_on_sigterm(evidence: Evidence) -> None:
    evidence.attempts[2].end, evidence.attempts[2].error = "timedOut", "States.HeartbeatTimeout"


def lost_in_transit(evidence: Evidence) -> None:
    evidence.workers["ended"].received.clear()


def lost_by_a_healthy_worker(evidence: Evidence) -> None:
    evidence.attempts[4].end = "timedOut"


def unanswered(evidence: Evidence) -> None:
    evidence.workers["healthy"].finished["d"] = []


def answered_twice(evidence: Evidence) -> None:
    evidence.workers["healthy"].finished["d"] = ["accepted", "accepted"]


def answer_given_up(evidence: Evidence) -> None:
    evidence.workers["ended"].finished["b"] = ["expired"]


def stranger(evidence: Evidence) -> None:
    evidence.attempts[4].worker = "nobody"


def hangs_after_sigterm(evidence: Evidence) -> None:
    evidence.workers["ended"].exited = None


def slow_drain(evidence: Evidence) -> None:
    evidence.workers["ended"].exited = 131.0 + 300.0


def bad_exit(evidence: Evidence) -> None:
    evidence.workers["ended"].exit_code = 1


def died_of_sigterm(evidence: Evidence) -> None:
    evidence.workers["ended"].exit_code = -15


def died_unasked(evidence: Evidence) -> None:
    evidence.workers["healthy"].exited, evidence.workers["healthy"].exit_code = 140.0, 101


def late_notice(evidence: Evidence) -> None:
    evidence.attempts[0].ended = 145.0


def late_repair(evidence: Evidence) -> None:
    evidence.attempts[1].started = 190.0


def never_repaired(evidence: Evidence) -> None:
    del evidence.attempts[1]


def token_logged(evidence: Evidence) -> None:
    evidence.tokens_in_logs = ["worker-1.log"]


CRIMES: list[tuple[Callable[[Evidence], None], str]] = [
    (launched_twice, "nothing_is_launched_twice"),
    (second_job, "nothing_is_launched_twice"),
    (never_launched, "nothing_is_launched_twice"),
    (gap, "nothing_is_launched_twice"),
    (drill_as_recovery, "drills_are_drills"),
    (wrong_outcome, "every_run_ends_right"),
    (never_ended, "every_run_ends_right"),
    (no_record, "every_run_ends_right"),
    (disagreement, "every_run_ends_right"),
    (other_error, "every_run_ends_right"),
    (open_gate, "every_run_ends_right"),
    (seen_by_observer, "every_run_ends_right"),
    (skipped_wave, "no_wave_is_skipped"),
    (missing_wave, "no_wave_is_skipped"),
    (overlapping_waves, "no_wave_is_skipped"),
    (unknown_job, "the_record_knows_every_job"),
    (foreign_instance, "the_record_knows_every_job"),
    (finalized_twice, "things_happen_once"),
    (never_finalized, "things_happen_once"),
    (lock_left, "locks_are_free"),
    (instance_left, "cleanup_takes_its_own_and_no_other"),
    (listed_still, "cleanup_takes_its_own_and_no_other"),
    (cleanup_failed, "cleanup_takes_its_own_and_no_other"),
    (recovery_cleaned_up, "cleanup_takes_its_own_and_no_other"),
    (recovery_gone, "cleanup_takes_its_own_and_no_other"),
    (bystander_gone, "cleanup_takes_its_own_and_no_other"),
    (one_instance_too_many, "cleanup_takes_its_own_and_no_other"),
    (lost_on_sigterm, "every_task_taken_is_answered"),
    (lost_in_transit, "every_task_taken_is_answered"),
    (lost_by_a_healthy_worker, "every_task_taken_is_answered"),
    (unanswered, "every_task_taken_is_answered"),
    (answered_twice, "every_task_taken_is_answered"),
    (answer_given_up, "every_task_taken_is_answered"),
    (stranger, "every_task_taken_is_answered"),
    (hangs_after_sigterm, "sigterm_ends_a_worker_in_time"),
    (slow_drain, "sigterm_ends_a_worker_in_time"),
    (bad_exit, "sigterm_ends_a_worker_in_time"),
    (died_of_sigterm, "sigterm_ends_a_worker_in_time"),
    (died_unasked, "nobody_dies_unasked"),
    (late_notice, "losses_are_repaired_in_time"),
    (late_repair, "losses_are_repaired_in_time"),
    (never_repaired, "losses_are_repaired_in_time"),
    (token_logged, "no_token_is_logged"),
]


@pytest.mark.parametrize(("crime", "promise"), [pytest.param(*one, id=one[0].__name__) for one in CRIMES])
def test_every_crime_is_seen(crime: Callable[[Evidence], None], promise: str) -> None:
    evidence = copy.deepcopy(night())
    crime(evidence)
    assert promise in {line.split(":")[0] for line in judge(evidence)}, judge(evidence)


def test_a_worker_that_has_not_begun_may_die_of_sigterm() -> None:
    evidence = night()
    evidence.workers["young"] = WorkerFate("young", terminated=5.0, exited=5.1, exit_code=-15, started=False)
    assert judge(evidence) == []
    evidence.workers["young"].exit_code = 101
    assert judge(evidence) != []


def test_every_promise_has_a_crime() -> None:
    assert {check.__name__ for check in PROMISES} == {promise for _, promise in CRIMES}


def test_repairs_are_measured_from_the_signal() -> None:
    """From the kill, or from the moment a dead worker's open poll took the task."""
    evidence = night()
    in_hand, frozen = repairs(evidence)
    assert (in_hand.by, round(in_hand.seconds, 1)) == ("kill in hand", 29.2)
    assert (frozen.by, round(frozen.seconds, 1)) == ("freeze", 30.1)
    evidence.attempts[0].started = 105.0
    (open_poll, _) = repairs(evidence)
    assert (open_poll.by, round(open_poll.seconds, 1)) == ("kill, open poll", 25.2)
    assert any("p95 30.1 s" in line for line in summary(evidence))


def test_a_history_is_read_attempt_by_attempt() -> None:
    def event(second: int, kind: str, **details: object) -> dict[str, object]:
        return {"type": kind, "timestamp": datetime.fromtimestamp(second, timezone.utc), **details}

    def entered(second: int) -> dict[str, object]:
        return event(second, "TaskStateEntered", stateEnteredEventDetails={"name": "PollWave"})

    events = [
        entered(1),
        event(1, "ActivityScheduled"),
        event(2, "ActivityStarted", activityStartedEventDetails={"workerName": "w-1"}),
        event(32, "ActivityTimedOut", activityTimedOutEventDetails={"error": "States.HeartbeatTimeout"}),
        event(33, "ActivityScheduled"),
        event(34, "ActivityStarted", activityStartedEventDetails={"workerName": "w-2"}),
        event(35, "ActivitySucceeded"),
        entered(36),
        event(36, "ActivityScheduled"),
    ]
    lost, again, open_still = attempts_of("run-1", events)
    assert (lost.worker, lost.number, lost.end, lost.ended) == ("w-1", 1, "timedOut", 32)
    assert (again.worker, again.number, again.end) == ("w-2", 2, "succeeded")
    assert (open_still.number, open_still.started, open_still.end) == (1, 0.0, "")


def test_the_retry_pause_is_the_states_own() -> None:
    retry = [
        {"ErrorEquals": ["Tidegate.Internal"], "IntervalSeconds": 10, "MaxAttempts": 2},
        {
            "ErrorEquals": ["States.HeartbeatTimeout"],
            "IntervalSeconds": 5,
            "BackoffRate": 2,
            "MaxAttempts": 3,
            "MaxDelaySeconds": 12,
        },
    ]
    definition = {"States": {"PollWave": {"Retry": retry}, "Done": {}}}
    assert retry_pauses(definition, 0.1) == {"PollWave": pytest.approx([0.5, 1.0, 1.2])}


def test_the_storm_is_the_seeds() -> None:
    blows = forecast(7, 100, 30, 30, 250.0, 30.0)
    assert blows == forecast(7, 100, 30, 30, 250.0, 30.0) != forecast(8, 100, 30, 30, 250.0, 30.0)
    acts = [blow.act for blow in blows]
    assert (acts.count("kill"), acts.count("terminate"), acts.count("freeze")) == (100, 30, 30)
    assert [blow.at for blow in blows] == sorted(blow.at for blow in blows) and round(blows[-1].at) == 250
    assert all(blow.seconds > 30.0 for blow in blows if blow.act == "freeze")


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([], 0.95) == 0.0


@pytest.mark.parametrize("token", ["7d0d4b2e-98f5-4f0b-8d0e-0f6f3ad05a11", "AQCgAAAAKgAAAAMAAAAAAAAAAf/k+J9x=="])
def test_a_tokens_hash_is_enough_to_find_it_in_a_log(token: str) -> None:
    """NFR: what a worker holds is a capability, too; its log names the hash only."""
    known = hashlib.sha256(token.encode()).hexdigest()[:12]
    line = '{"message":"TaskFinished","token_hash":"%s","cause":"%s"}'
    assert holds_token(line % (known, f"token {token} is invalid"), [], [known])
    assert not holds_token(line % (known, "token *** is invalid"), [], [known])
    assert holds_token(line % ("", f"gate {token}"), [token], [])
