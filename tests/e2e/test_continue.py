"""Continuing a failed or stopped run: what runs is adopted, what failed is launched again, nothing is launched twice."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from lab import Fleet, Json, Lab, wait_for, wave
from run import Run, Starter

KEEP = {"keepInstances": True}
CLEAN = {"keepInstances": False}


def again(start: Starter, old: Run, **fields: Any) -> Run:
    return start.raw({"continueExecution": old.id, **fields})


def agreed(start: Starter, old: Run, **fields: Any) -> Run:
    """A continuation that asks for less than the old drill kept or held, and an approver who lets it go on."""
    run = again(start, old, **fields)
    token = run.answer({})
    run.wait_until(lambda found: found.get("gate", {}).get("token") != token, "the answer to be taken")
    return run


def sent(lab: Lab, fleet: Fleet) -> list[list[str]]:
    """The servers of every accepted StartRecovery call, in order."""
    calls = [call for call in lab.journal("StartRecovery", fleet) if not call.get("error")]
    return [[one["sourceServerID"] for one in call["request"]["sourceServers"]] for call in calls]


def failing(lab: Lab, count: int = 2) -> Fleet:
    """Servers whose first one fails to launch, once."""
    fleet = lab.fleet(count)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity", "count": 1})
    return fleet


def statuses(run: Run) -> list[str]:
    return [one["status"] for one in run.waves()]


def loses_sight(lab: Lab, start: Starter, plan: Json, execution_type: str = "DRILL", **fields: Any) -> Run:
    """A run that ends FAILED in its first wave while that wave's job runs: nobody may look at it any more."""
    plan["waves"][0]["pauseBeforeWave"] = True
    run = start(plan, execution_type, **fields)
    run.gate()
    # The look before the launch is let through, so that the wave's job runs.
    (fault,) = lab.fault({"fault": "accessDenied", "operation": "DescribeJobs", "skip": lab.look_at_jobs()})
    run.answer({})
    run.end("FAILED", error="Tidegate.Denied")
    lab.control("DELETE", f"faults/{fault}")
    return run


def test_what_was_under_way_is_adopted(lab: Lab, start: Starter) -> None:
    """c-14: the run failed while its job ran. The same job is followed to its end, and later waves are launched."""
    under_way, later = lab.fleet(2), lab.fleet()
    old = loses_sight(lab, start, lab.plan(under_way, later), options=KEEP)
    (job,) = lab.jobs(under_way)
    run = agreed(start, old, options=CLEAN, initiatedBy="maria")
    record = run.end("COMPLETED")
    assert sent(lab, under_way) == [under_way.ids] and sent(lab, later) == [later.ids]
    (shard,) = run.shards(1)
    assert shard["job"]["jobId"] == job["jobID"] and shard["intent"]["intentId"].startswith(f"{old.id}/")
    assert [one["attempt"] for one in run.waves()] == [2, 1]
    assert (record["continues"], old.record()["continuedBy"]) == (old.id, run.id)
    assert record["firstStartTime"] == old.record()["startTime"] and record["initiatedBy"] == "maria"
    assert ("CONTINUES", 0) in run.events() and ("CONTINUED", 0) in old.events()
    assert record["membershipHash"] == old.record()["membershipHash"] and record["plan"] == old.record()["plan"]
    # The proof covers both runs: time counts from the first one's start.
    assert record["report"]["launched"] == 3 and record["report"]["rtoSeconds"] >= record["durationSeconds"]
    assert record["cleanup"]["instances"] == 3
    assert not lab.recovery_instances(under_way) and not lab.recovery_instances(later)


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_a_failed_wave_is_retried_only_where_it_failed(lab: Lab, start: Starter, execution_type: str) -> None:
    """Waves that are done stay as they are, also for the rule against recovering a server twice."""
    done, half, later = lab.fleet(), failing(lab), lab.fleet()
    options = KEEP if execution_type == "DRILL" else {}
    plan = lab.plan(done, wave(half, pauseBeforeWave=True), wave(later, pauseBeforeWave=True))
    old = start(plan, execution_type, options=options)
    old.answer({})
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    kept = old.servers()[half.ids[1]]["instanceId"]
    run = agreed(start, old, options=CLEAN) if execution_type == "DRILL" else again(start, old, options={})
    # The pause before wave 2 was answered, and its wave has begun; that before wave 3 was not.
    assert run.gate()["waveNumber"] == 3
    run.answer({})
    record = run.end("COMPLETED")
    assert record["executionType"] == execution_type and statuses(run) == ["COMPLETED"] * 3
    assert sent(lab, done) == [done.ids] and sent(lab, later) == [later.ids]
    assert sent(lab, half) == [half.ids, half.ids[:1]]
    assert run.servers()[half.ids[1]]["instanceId"] == kept
    closed = [event for event in run.events() if event[0] == "WAVE_CLOSED"]
    assert closed == [("WAVE_CLOSED", 2), ("WAVE_CLOSED", 3)] and record["completedWaves"] == 3
    up = [len(lab.recovery_instances(fleet)) for fleet in (done, half, later)]
    assert up == ([0, 0, 0] if execution_type == "DRILL" else [1, 2, 1])
    if execution_type == "DRILL":
        assert record["cleanup"]["instances"] == 4 and len(lab.jobs(done, "TERMINATE")) == 1


def test_a_launch_drs_refused_is_sent_again_with_what_failed_beside_it(lab: Lab, start: Starter) -> None:
    """A refused call failed its servers: the wave is FAILED, not interrupted, and all that failed in it is tried again."""
    half, refused = failing(lab), lab.fleet(region="us-east-2")
    (denied,) = lab.fault({"fault": "accessDenied", "operation": "StartRecovery", "sourceServerId": refused.ids[0]})
    old = start(lab.plan(wave(half, refused, timeoutSeconds=40)), options=KEEP)
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    lab.control("DELETE", f"faults/{denied}")
    run = agreed(start, old, options=CLEAN)
    run.end("COMPLETED")
    assert sent(lab, half) == [half.ids, half.ids[:1]] and sent(lab, refused) == [refused.ids]


def test_a_stopped_run_goes_on_where_it_was(lab: Lab, start: Starter) -> None:
    """Issue 3: StopExecution in the middle of a wave; reconcile closes the record, the continuation adopts the job."""
    under_way, later = lab.fleet(2), lab.fleet()
    old = start(lab.plan(under_way, later), "RECOVERY")
    old.wait_until(lambda _: lab.jobs(under_way), "the job of wave 1")
    lab.sfn.stop_execution(executionArn=old.arn, error="operator", cause="wrong window")
    old.wait_until(lambda record: "endTime" in record, "reconcile to close the record")
    run = again(start, old)
    run.end("COMPLETED")
    assert sent(lab, under_way) == [under_way.ids] and sent(lab, later) == [later.ids]
    assert len(lab.jobs(under_way)) == 1 and statuses(run) == ["COMPLETED", "COMPLETED"]


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_a_lost_answer_of_the_old_run_is_found_by_the_new_one(lab: Lab, start: Starter, execution_type: str) -> None:
    """c-14: nobody ever learned the job's id. The intent says that a call was made, so it is looked for, not repeated; and
    what it brought up is no other's recovery."""
    fleet, drill = lab.fleet(2), execution_type == "DRILL"
    lab.fault({"fault": "dropAfterEffect", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "count": 1})
    old = loses_sight(lab, start, lab.plan(fleet), execution_type, options=KEEP if drill else {})
    wait_for(lambda: len(lab.recovery_instances(fleet)) == 2, "the instances of the call")
    run = agreed(start, old, options=CLEAN) if drill else again(start, old, options={})
    run.end("COMPLETED")
    (job,) = lab.jobs(fleet)
    (shard,) = run.shards(1)
    assert len(lab.journal("StartRecovery", fleet)) == 1
    assert shard["job"]["jobId"] == job["jobID"] and shard["job"]["adopted"]


def test_what_an_operator_skipped_stays_skipped_and_what_was_continued_past_is_tried_again(
    lab: Lab, start: Starter
) -> None:
    """skip says "not wanted", continue says "not now"."""
    skipped, passed, done, last = failing(lab), failing(lab), lab.fleet(), failing(lab)
    plan = lab.plan(wave(skipped, onFailure="gate"), wave(passed, onFailure="continue"), done, last)
    old = start(plan, options=KEEP)
    old.answer("skip")
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    assert statuses(old) == ["SKIPPED", "FAILED", "COMPLETED", "FAILED"]
    run = agreed(start, old, options=CLEAN)
    record = run.end("PARTIAL")
    assert statuses(run) == ["SKIPPED", "COMPLETED", "COMPLETED", "COMPLETED"] and record["completedWaves"] == 3
    assert len(sent(lab, skipped)) == 1 and sent(lab, done) == [done.ids]
    assert sent(lab, passed)[1:] == [passed.ids[:1]] and sent(lab, last)[1:] == [last.ids[:1]]
    assert not any(lab.recovery_instances(fleet) for fleet in (skipped, passed, done, last))


def test_of_two_continuations_at_once_one_wins(lab: Lab, start: Starter) -> None:
    """NFR-1.3: the record of the old run is claimed by one."""
    fleet = failing(lab)
    old = start(fleet, options=KEEP)
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    runs = [again(start, old) for _ in range(4)]
    won = []
    for run in runs:
        status = run.wait_until(lambda record: "endTime" in record, f"the end of {run.id}")["status"]
        won += [run] if status == "COMPLETED" else []
        record = run.end(status, error="Tidegate.Conflict")
        assert status == "COMPLETED" or record["planId"] == old.record()["planId"]
    assert [run.id for run in won] == [old.record()["continuedBy"]]
    assert sent(lab, fleet) == [fleet.ids, fleet.ids[:1]]
    late = again(start, old)
    assert won[0].id in late.refused("Tidegate.Conflict")


def test_a_continuation_that_could_not_begin_leaves_the_run_free(lab: Lab, start: Starter) -> None:
    """The claim counts only once its owner has begun; nothing of the run is cleaned up meanwhile."""
    half, later = failing(lab), lab.fleet()
    old = start(lab.plan(half, later), options=KEEP)
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    other = start(lab.plan(wave(later, pauseBeforeWave=True)))
    other.wait_status("PAUSED")
    refused = again(start, old, options=CLEAN)
    assert other.id in refused.refused("Tidegate.Conflict")
    assert old.record()["continuedBy"] == refused.id and "cleanup" not in refused.record()
    assert len(lab.recovery_instances(half)) == 1
    cause = again(start, refused).refused("Tidegate.PlanRefused")
    assert f"continue {old.id} instead" in cause
    other.decline(error="Test", cause="the servers are wanted")
    other.end("CANCELLED")
    run = agreed(start, old, options=CLEAN)
    run.end("COMPLETED")
    assert old.record()["continuedBy"] == run.id and sent(lab, half) == [half.ids, half.ids[:1]]


def test_a_continuation_can_be_continued(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet(2)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity", "count": 2})
    first = start(fleet, options=KEEP)
    first.end("FAILED", error="Tidegate.RecoveryFailed")
    second = again(start, first)
    record = second.end("FAILED", error="Tidegate.RecoveryFailed")
    assert record["keepInstances"], "what the input leaves out stays as it was"
    assert f"continue {second.id} instead" in again(start, first).refused("Tidegate.Conflict")
    third = agreed(start, second, options=CLEAN)
    record = third.end("COMPLETED")
    assert sent(lab, fleet) == [fleet.ids, fleet.ids[:1], fleet.ids[:1]]
    assert record["firstStartTime"] == first.record()["startTime"] and third.waves()[0]["attempt"] == 3
    assert not lab.recovery_instances(fleet)


def test_a_drill_on_hold_hands_its_instances_over(lab: Lab, start: Starter) -> None:
    """c-33: the old run's own cleanup comes later than its continuation, and must not touch what that one took over."""
    half, later = failing(lab), lab.fleet()
    old = start(lab.plan(half, wave(later, pauseBeforeWave=True)), options={"holdSeconds": 600})
    old.wait_status("FAILED")
    run = agreed(start, old, options={"holdSeconds": 0})
    run.gate()
    record = old.end("FAILED", error="Tidegate.RecoveryFailed")
    assert record["cleanup"]["status"] == "NOT_NEEDED" and not record["cleanup"]["jobs"]
    assert len(lab.recovery_instances(half)) == 2 and not lab.jobs(half, "TERMINATE")
    run.answer({})
    assert run.end("COMPLETED")["cleanup"]["instances"] == 3
    assert not lab.recovery_instances(half)


def test_cleanup_waits_for_another_execution_that_holds_the_servers(lab: Lab, start: Starter) -> None:
    """c-33: the drill's locks went with its outcome; a TERMINATE job now would be in the way of the other's launch."""
    fleet = lab.fleet()
    drill = start(fleet, options={"holdSeconds": 600})
    drill.wait_status("COMPLETED")
    other = start(lab.plan(wave(fleet, pauseBeforeWave=True)), options={"replaceDrill": True})
    other.wait_status("PAUSED")
    drill.wait_until(lambda record: "cleanup" in record, "the cleanup to begin")
    wait_for(
        lambda: [
            line
            for line in lab.worker_log()
            if str(line.get("message", "")).startswith("CleanupWaits") and other.id in str(line) and drill.id in str(line)
        ],
        "the cleanup to wait",
    )
    assert not lab.jobs(fleet, "TERMINATE") and len(lab.recovery_instances(fleet)) == 1
    other.decline(error="Test", cause="not wanted after all")
    other.end("CANCELLED")
    record = drill.end("COMPLETED")
    assert record["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)


def test_a_launch_waits_for_a_termination_under_way(lab: Lab, start: Starter) -> None:
    """A cleanup that slipped in between lock and launch delays the launch, and fails nothing."""
    fleet = lab.fleet()
    kept = start(fleet, options=KEEP)
    kept.end("COMPLETED")
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True)), options={"replaceDrill": True})
    run.wait_status("PAUSED")
    lab.client("drs").terminate_recovery_instances(recoveryInstanceIDs=list(lab.recovery_instances(fleet)))
    run.answer({})
    run.end("COMPLETED")
    calls = lab.journal("StartRecovery", fleet)
    assert [call.get("error") for call in calls[1:]][-1] is None
    assert {call.get("error") for call in calls[1:-1]} <= {"ConflictException"}


def test_a_foreign_instance_of_a_server_to_launch_is_refused(lab: Lab, start: Starter) -> None:
    """The rule against recovering a server twice holds for servers the old run did not launch."""
    half, later = failing(lab), lab.fleet()
    old = start(lab.plan(half, later), "RECOVERY")
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    start(later, "RECOVERY").end("COMPLETED")
    cause = again(start, old).refused("Tidegate.PlanRefused")
    assert later.ids[0] in cause and not any(server in cause for server in half.ids)
    assert len(lab.recovery_instances(later)) == 1
    run = again(start, old, options={"replaceRecovered": True})
    run.end("COMPLETED")
    assert any(later.ids[0] in warning["message"] for warning in run.record()["warnings"])


def test_a_server_recovered_by_hand_since_an_unanswered_call_is_refused(lab: Lab, start: Starter) -> None:
    """Tenet 1: the call never reached DRS and would be sent again. Meanwhile an operator had recovered one of its servers."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "dropBeforeEffect", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "count": 1})
    old = loses_sight(lab, start, lab.plan(fleet), "RECOVERY")
    (shard,) = old.shards(1)
    assert "job" not in shard and shard["intent"]["lastSentAt"] and not lab.jobs(fleet)
    lab.client("drs").start_recovery(sourceServers=[{"sourceServerID": fleet.ids[1]}], isDrill=False)
    wait_for(lambda: lab.recovery_instances(fleet), "the operator's instance")
    cause = again(start, old).refused("Tidegate.PlanRefused")
    assert fleet.ids[1] in cause and "recovery instance" in cause and fleet.ids[0] not in cause
    assert len(lab.jobs(fleet)) == 1


REFUSED = [
    pytest.param({"executionType": "RECOVERY"}, "Tidegate.InvalidInput", "executionType: is RECOVERY", id="type"),
    pytest.param({"mode": "CHECK"}, "Tidegate.InvalidInput", "mode: is CHECK", id="mode"),
    pytest.param({"planId": "crm"}, "Tidegate.InvalidInput", "planId: continueExecution and planId", id="plan"),
    pytest.param({"wave": 2}, "Tidegate.InvalidInput", "wave: is not a field", id="unknown field"),
    pytest.param({}, "Tidegate.PlanRefused", "is COMPLETED: nothing is left to do", id="completed"),
]


@pytest.mark.parametrize(("fields", "error", "told"), REFUSED)
def test_what_makes_no_sense_is_refused(lab: Lab, start: Starter, fields: Json, error: str, told: str) -> None:
    old = start(lab.fleet())
    old.end("COMPLETED")
    run = again(start, old, **fields)
    if fields.get("mode") == "CHECK":
        wait_for(run.ended, f"the end of {run.id}")
        assert told in run.machine()["cause"] and run.find_record() is None
        return
    assert told in run.refused(error)
    assert run.record()["planId"] in (old.record()["planId"], "crm")


def test_runs_that_cannot_be_continued_say_why(lab: Lab, start: Starter) -> None:
    assert "there is no execution" in start.raw({"continueExecution": "nobody"}).refused("Tidegate.InvalidInput")
    fleet = failing(lab)
    cleaned = start(fleet)
    cleaned.end("FAILED", error="Tidegate.RecoveryFailed")
    assert "drill instances are gone" in again(start, cleaned).refused("Tidegate.PlanRefused")
    dry = start(lab.fleet(), mode="DRY_RUN")
    dry.end("COMPLETED")
    assert "it launched nothing" in again(start, dry).refused("Tidegate.PlanRefused")
    paused = start(lab.plan(wave(lab.fleet(), pauseBeforeWave=True)))
    paused.wait_status("PAUSED")
    assert f"tidegate reconcile {paused.id}" in again(start, paused).refused("Tidegate.PlanRefused")
    paused.answer({})
    paused.end("COMPLETED")


def test_the_command_continues_and_shows_the_link(lab: Lab, start: Starter) -> None:
    """`tidegate start --continue` says what becomes of each wave; `show` and `list` name both ends."""
    half, later = failing(lab), lab.fleet()
    old = start(lab.plan(half, later), "RECOVERY")
    old.end("FAILED", error="Tidegate.RecoveryFailed")

    def tidegate(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(lab.stack.options.bin_dir / "tidegate"), *arguments],
            env={**lab.stack.environment(), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    asked = tidegate("start", "--continue", old.id)
    assert asked.returncode != 0 and "--yes" in asked.stderr and not lab.jobs(later)
    name = f"again-{lab.number()}"
    started = tidegate("start", "--continue", old.id, "--yes", "--name", name, "--watch")
    assert started.returncode == 0, started.stderr
    assert "is tried again" in started.stderr and "wave 2" in started.stderr
    assert f"continues {old.id}" in " ".join(tidegate("show", name).stdout.split())
    assert f"by {name}" in " ".join(tidegate("show", old.id).stdout.split())
    listed = tidegate("list", "--plan", old.record()["planId"]).stdout
    assert f"continued by {name}" in listed and f"continues {old.id}" in listed
    refused = tidegate("start", "--continue", name, "--yes")
    assert refused.returncode != 0 and "COMPLETED" in refused.stderr
