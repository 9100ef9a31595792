"""Executions that end without finalizing: stopped, timed out, failed past their own Finalize. The rule repairs, the
command finds what the rule missed, and whoever repairs twice changes nothing (c-08, NFR-1.2; ADR 0013).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lab import Json, Lab, wait_for, wave
from run import Run, Starter

TIDEGATE = "tidegate"


# ----- what is common ------------------------------------------------------------------------------------------------


def reconciled(run: Run, status: str, reason: str) -> Json:
    """Waits until the record is terminal, and checks what must hold of every reconciled run."""
    record = run.wait_until(lambda found: "endTime" in found, f"{run.id} to be reconciled")
    wait_for(lambda: not run.held_locks(), f"the locks of {run.id}")
    assert (record["status"], record["outcome"]["reason"]) == (status, reason), record["outcome"]
    assert "gate" not in record
    assert {wave["status"] for wave in run.waves()} <= {"COMPLETED", "PARTIAL", "FAILED", "SKIPPED"}
    assert len(run.waves()) == record["totalWaves"]
    assert not run.watch.violations, run.watch.violations
    return record


def stuck(lab: Lab) -> tuple[Json, Json]:
    """A plan of two waves whose first never ends, and the fleet of the first."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "stuck", "sourceServerId": fleet.ids[0], "stage": "conversion"})
    return lab.plan(fleet, lab.fleet()), fleet


def job_of(run: Run, number: int = 1) -> str:
    """The job of a wave's first shard, once it is on record."""

    def recorded() -> str | None:
        return next((shard["job"]["jobId"] for shard in run.shards(number) if "job" in shard), None)

    return str(wait_for(recorded, f"the job of wave {number} of {run.id}"))


def reconcile_arn(lab: Lab) -> str:
    return str(lab.reconcile)


def reconcile_runs(lab: Lab, run: Run) -> list[Json]:
    """Executions of the reconcile machine about this run."""
    found = []
    for page in lab.sfn.get_paginator("list_executions").paginate(stateMachineArn=reconcile_arn(lab)):
        for one in page["executions"]:
            described = lab.sfn.describe_execution(executionArn=one["executionArn"])
            if json.loads(described["input"])["detail"]["executionArn"] == run.arn:
                found.append(described)
    return found


def ended_reconcile_runs(lab: Lab, run: Run, count: int = 1) -> list[Json]:
    def ended() -> list[Json] | None:
        found = reconcile_runs(lab, run)
        return found if len(found) >= count and all(one["status"] != "RUNNING" for one in found) else None

    return list(wait_for(ended, f"{count} runs of reconcile about {run.id}"))


def event_of(run: Run, **fields: Any) -> Json:
    """The event AWS sends about a run, as far as it is the same for all. Reconcile reads the execution's ARN of it, no more."""
    machine = run.machine()
    detail = {
        "executionArn": run.arn,
        "stateMachineArn": machine["stateMachineArn"],
        "name": run.id,
        "status": "ABORTED",
        "startDate": round(machine["startDate"].timestamp() * 1000),
        "input": machine["input"],
        "error": None,
        "cause": None,
    }
    return {"source": "aws.states", "detail": {**detail, **fields}}


def start_reconcile(lab: Lab, event: Json, name: str = "") -> str:
    named = {"name": name} if name else {}
    answer = lab.sfn.start_execution(stateMachineArn=reconcile_arn(lab), input=json.dumps(event), **named)
    return str(answer["executionArn"])


def ended(lab: Lab, arn: str) -> Json:
    def over() -> Json | None:
        found = lab.sfn.describe_execution(executionArn=arn)
        return dict(found) if found["status"] != "RUNNING" else None

    return dict(wait_for(over, f"the end of {arn}"))


def tidegate(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    binary = lab.stack.options.bin_dir / TIDEGATE
    environment = {**lab.stack.environment(), "NO_COLOR": "1"}
    return subprocess.run(
        [str(binary), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def without_the_rule(lab: Lab) -> Iterator[None]:
    """EventBridge delivers at its best effort: here it does not."""
    events, name = lab.client("events"), f"{lab.stack.options.prefix}-reconcile"
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


@contextmanager
def variant(lab: Lab, change: Any) -> Iterator[None]:
    """Runs of this block are executions of a changed recovery machine, watched by a rule like the deployed one, with a reconcile
    machine of its own: the deployed one reconciles no other machine's executions."""
    deployed, reconcile = lab.machine, lab.reconcile
    described = lab.sfn.describe_state_machine(stateMachineArn=deployed)
    definition = json.loads(described["definition"])
    change(definition)
    # Ends as the deployed one: the right to describe its executions, which tests/rights evaluates, goes by the name.
    name = f"tidegate-variant{lab.number()}-recovery"
    role = described["roleArn"]
    lab.machine = lab.sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)[
        "stateMachineArn"
    ]
    own = lab.sfn.describe_state_machine(stateMachineArn=reconcile)
    lab.reconcile = lab.sfn.create_state_machine(
        name=name.replace("-recovery", "-reconcile"), definition=own["definition"].replace(deployed, lab.machine), roleArn=own["roleArn"]
    )["stateMachineArn"]
    events = lab.client("events")
    pattern = json.loads(events.describe_rule(Name=f"{lab.stack.options.prefix}-reconcile")["EventPattern"])
    pattern["detail"]["stateMachineArn"] = [lab.machine]
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "reconcile", "Arn": reconcile_arn(lab)}])
    try:
        yield
    finally:
        lab.machine, lab.reconcile = deployed, reconcile
        events.remove_targets(Rule=name, Ids=["reconcile"])
        events.delete_rule(Name=name)


# ----- the rule ------------------------------------------------------------------------------------------------------


def test_a_run_stopped_in_a_wave_is_cancelled_and_its_job_named(lab: Lab, start: Starter) -> None:
    """c-08, NFR-1.2: StopExecution gives the machine no say. The record ends, and says what may still run."""
    plan, fleet = stuck(lab)
    run = start(plan)
    job = job_of(run)
    terminated = len(lab.journal("TerminateRecoveryInstances", fleet))
    lab.sfn.stop_execution(executionArn=run.arn, error="WrongPlan", cause="it was the other one")
    record = reconciled(run, "CANCELLED", "STOPPED")
    assert record["outcome"]["error"] == "Tidegate.Cancelled"
    assert "WrongPlan: it was the other one" in record["outcome"]["cause"]
    first, second = run.waves()
    assert (first["status"], second["status"]) == ("FAILED", "SKIPPED")
    assert "STOPPED" in first["error"] and job in first["error"], first["error"]
    assert run.machine()["status"] == "ABORTED"
    # StopExecution is the emergency brake: what it stopped is not touched again by itself.
    cleanup = run.wait_until(lambda found: "cleanup" in found, "the cleanup to be told")["cleanup"]
    assert cleanup["status"] == "FAILED" and f"tidegate reconcile {run.id} --clean-up" in cleanup["error"]
    assert len(lab.journal("TerminateRecoveryInstances", fleet)) == terminated
    (repaired,) = ended_reconcile_runs(lab, run)
    assert repaired["status"] == "SUCCEEDED", repaired
    assert [event for event, _ in run.events()].count("RECONCILED") == 1


def test_a_launch_nobody_was_told_of_is_found_and_named(lab: Lab, start: Starter) -> None:
    """c-14, NFR-1.2: stopped before the lost answer could be resolved, the run's job is named all the same."""
    fleet = lab.fleet(2)
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True)))
    run.gate()
    lab.fault({"fault": "stuck", "sourceServerId": fleet.ids[0], "stage": "conversion"})
    (lost,) = lab.fault(
        {"fault": "dropAfterEffect", "operation": "StartRecovery", "sourceServerId": fleet.ids[0], "count": 1}
    )
    # After the launch nobody may look before the run is stopped, or the job is adopted in the ordinary way.
    blinds = {"fault": "throttle", "operation": "DescribeJobs", "retryAfterSeconds": 0, "skip": lab.look_at_jobs()}
    (blind,) = lab.fault(blinds)
    run.answer({})
    wait_for(lambda: lab.fired(lost), "the answer to be lost")
    lab.sfn.stop_execution(executionArn=run.arn)
    lab.control("DELETE", f"faults/{blind}")
    record = reconciled(run, "CANCELLED", "STOPPED")
    (job,) = lab.jobs(fleet)
    (shard,) = run.shards(1)
    assert job["jobID"] in run.waves()[0]["error"] and shard["job"]["adopted"]
    assert record["outcome"]["cleanupDue"], "its instances are this run's"
    assert len(lab.journal("StartRecovery", fleet)) == 1


def test_a_run_stopped_at_a_gate_is_cancelled_and_cleaned_up_on_request(lab: Lab, start: Starter) -> None:
    """c-08, c-33, c-34: the gate goes with its token; drill instances go when a person says so, and only this run's."""
    fleet, other = lab.fleet(), lab.fleet()
    bystander = start(other, options={"keepInstances": True})
    run = start(lab.plan(fleet, wave(lab.fleet(), pauseBeforeWave=True)))
    token = run.gate()["token"]
    lab.sfn.stop_execution(executionArn=run.arn)
    record = reconciled(run, "CANCELLED", "STOPPED")
    assert record["completedWaves"] == 1 and record["outcome"]["cleanupDue"]
    assert token not in json.dumps(record)
    run.wait_until(lambda found: found.get("cleanup", {}).get("status") == "FAILED", "the cleanup to be told")
    bystander.end("COMPLETED")
    assert lab.recovery_instances(fleet)

    listed = tidegate(lab, "reconcile")
    assert listed.returncode == 0 and run.id in listed.stdout, listed
    told = tidegate(lab, "reconcile", run.id)
    assert told.returncode == 0 and "--clean-up" in told.stdout, told
    assert lab.recovery_instances(fleet), "nothing is terminated unasked"

    done = tidegate(lab, "reconcile", run.id, "--clean-up")
    assert done.returncode == 0 and "CANCELLED" in done.stdout, done
    cleanup = run.record()["cleanup"]
    assert cleanup["status"] == "COMPLETED" and cleanup["reopened"]
    assert not lab.recovery_instances(fleet) and lab.recovery_instances(other)
    assert run.record()["status"] == "CANCELLED"
    assert run.id not in tidegate(lab, "reconcile").stdout
    assert not run.watch.violations


def test_a_drill_stopped_while_it_is_held_keeps_its_outcome(lab: Lab, start: Starter) -> None:
    """NFR-4.3, c-34: Finalize has written. The outcome stands, and nobody waits for a cleanup that never comes."""
    fleet = lab.fleet()
    run = start(fleet, options={"holdSeconds": 36_000})
    record = run.wait_status("COMPLETED")
    lab.sfn.stop_execution(executionArn=run.arn)
    after = run.wait_until(lambda found: "cleanup" in found, "the cleanup to be told")
    assert (after["status"], after["endTime"], after["outcome"]) == ("COMPLETED", record["endTime"], record["outcome"])
    assert after["cleanup"]["status"] == "FAILED" and lab.recovery_instances(fleet)
    assert [event for event, _ in run.events()][-1] == "CLEANUP_ENDED"
    done = tidegate(lab, "reconcile", run.id, "--clean-up")
    assert done.returncode == 0, done
    assert run.record()["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)
    assert not run.watch.violations


def test_a_refused_continuation_leaves_the_clean_up_to_the_run_it_was_to_continue(lab: Lab, start: Starter) -> None:
    """c-33: it had claimed the run and took nothing over. The instances are the old run's, and its command ends them."""
    fleet, later = lab.fleet(2), lab.fleet()
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity", "count": 1})
    run = start(lab.plan(wave(fleet, onFailure="gate"), later))
    assert run.gate()["kind"] == "DECISION"
    lab.sfn.stop_execution(executionArn=run.arn)
    run.wait_until(lambda found: found.get("cleanup", {}).get("status") == "FAILED", "the cleanup to be told")
    other = start(lab.plan(wave(later, pauseBeforeWave=True)))
    other.wait_status("PAUSED")
    refused = start.raw({"continueExecution": run.id})
    assert other.id in refused.refused("Tidegate.Conflict") and run.record()["continuedBy"] == refused.id

    listed = tidegate(lab, "reconcile")
    assert listed.returncode == 0 and f"tidegate reconcile {run.id} --clean-up" in listed.stderr, listed
    assert refused.id not in listed.stdout, listed
    assert lab.recovery_instances(fleet)
    done = tidegate(lab, "reconcile", run.id, "--clean-up")
    assert done.returncode == 0, done
    assert run.record()["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)
    assert "nothing to reconcile" in tidegate(lab, "reconcile", run.id, "--clean-up").stdout
    other.decline(error="Test", cause="not wanted after all")
    other.end("CANCELLED")


def test_a_cleanup_stopped_half_way_is_told_and_taken_up_again(lab: Lab, start: Starter) -> None:
    """c-34: RUNNING without anybody at work would be a lie; instances that could not be terminated are tried anew."""
    fleet = lab.fleet()
    (refusal,) = lab.fault({"fault": "terminationFails", "sourceServerId": fleet.ids[0]})
    run = start(fleet)
    run.wait_until(lambda found: found.get("cleanup", {}).get("status") == "RUNNING", "the cleanup to run")
    lab.sfn.stop_execution(executionArn=run.arn)
    run.wait_until(lambda found: found.get("cleanup", {}).get("status") == "FAILED", "the cleanup to be FAILED")
    assert run.record()["status"] == "COMPLETED"
    lab.control("DELETE", f"faults/{refusal}")
    wait_for(lambda: all(job["status"] == "COMPLETED" for job in lab.jobs(fleet, "TERMINATE")), "the TERMINATE job")
    done = tidegate(lab, "reconcile", run.id, "--clean-up")
    assert done.returncode == 0, done
    assert run.record()["cleanup"]["status"] == "COMPLETED" and not lab.recovery_instances(fleet)


def test_the_timeout_of_the_machine_ends_in_timed_out(lab: Lab, start: Starter) -> None:
    """c-08, NFR-1.2: an execution that reaches TimeoutSeconds is not caught by anything in it."""
    plan, _ = stuck(lab)

    def hurry(definition: Json) -> None:
        definition["TimeoutSeconds"] = 6

    with variant(lab, hurry):
        run = start(plan)
        job = job_of(run)
        record = reconciled(run, "TIMED_OUT", "MACHINE_TIMED_OUT")
        assert run.machine()["status"] == "TIMED_OUT"
    assert record["outcome"]["error"] == "Tidegate.TimedOut" and job in run.waves()[0]["error"]


def test_a_fault_nothing_catches_ends_in_failed(lab: Lab, start: Starter) -> None:
    """c-05, c-06, c-09: States.Runtime leads past every Catch, and so past Finalize."""

    def break_it(definition: Json) -> None:
        definition["States"]["WaitForWave"]["SecondsPath"] = "$.wave.nextPollMinutes"

    plan, _ = stuck(lab)
    with variant(lab, break_it):
        run = start(plan)
        record = reconciled(run, "FAILED", "MACHINE_FAILED")
        assert run.machine()["status"] == "FAILED"
    assert record["outcome"]["error"] == "Tidegate.MachineFault"
    assert "States.Runtime" in record["outcome"]["cause"] and "nextPollMinutes" in record["outcome"]["cause"]


def test_a_run_stopped_before_it_has_a_record_gets_one(lab: Lab, start: Starter) -> None:
    """NFR-1.2: what was asked for can be found, whatever became of it."""

    def linger(definition: Json) -> None:
        definition["States"]["Linger"] = {"Type": "Wait", "Seconds": 36_000, "Next": "Prepare"}
        definition["States"]["Begin"]["Next"] = "Linger"

    with variant(lab, linger):
        run = start(lab.plan(lab.fleet(), plan_id="crm-early"), initiatedBy="ana@example.com")
        lab.sfn.stop_execution(executionArn=run.arn)
        record = run.wait_status("CANCELLED")
        check = start(lab.plan(lab.fleet()), mode="CHECK")
        lab.sfn.stop_execution(executionArn=check.arn)
        (repaired,) = ended_reconcile_runs(lab, check)
    assert (record["planId"], record["initiatedBy"]) == ("crm-early", "ana@example.com")
    assert record["outcome"]["reason"] == "STOPPED" and not run.held_locks()
    assert repaired["status"] == "SUCCEEDED" and check.find_record() is None, "a check leaves no record"


def test_a_cleanup_that_failed_by_itself_is_announced_once(lab: Lab, start: Starter) -> None:
    """c-34: a drill that ends in a Fail state is looked at by reconcile, too. Its own machine has told people already."""
    fleet = lab.fleet(2)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity", "count": 1})
    lab.fault({"fault": "accessDenied", "operation": "TerminateRecoveryInstances"})
    run = start(fleet)
    record = run.end("FAILED", error="Tidegate.RecoveryFailed")
    assert record["cleanup"]["status"] == "FAILED" and "denied" in record["cleanup"]["error"].lower()
    (repaired,) = ended_reconcile_runs(lab, run)
    assert repaired["status"] == "SUCCEEDED" and not json.loads(repaired["output"])["cleanupAbandoned"]
    assert run.record() == record


def test_a_cleanup_on_request_that_cannot_be_followed_is_on_record(lab: Lab, start: Starter) -> None:
    """c-34: the termination is sent and DRS denies to say what became of it. RUNNING would be a lie: the machine itself writes
    FAILED, because the tasks that would have cannot."""
    fleet = lab.fleet()
    run = start(lab.plan(fleet, wave(lab.fleet(), pauseBeforeWave=True)))
    run.gate()
    lab.sfn.stop_execution(executionArn=run.arn)
    reconciled(run, "CANCELLED", "STOPPED")
    # The first look is that of the task which sends the termination.
    lab.fault({"fault": "accessDenied", "operation": "DescribeJobs", "skip": 1})
    tidegate(lab, "reconcile", run.id, "--clean-up")
    run.wait_until(lambda found: "denied" in json.dumps(found.get("cleanup", {})).lower(), "the refusal to be on record")
    cleanup = run.record()["cleanup"]
    assert cleanup["status"] == "FAILED" and cleanup["reopened"], cleanup


def test_a_run_that_ended_by_itself_is_left_as_it_is(lab: Lab, start: Starter) -> None:
    """FR-5.4: an execution that ends in Fail starts reconcile, too. It finds the outcome and changes nothing."""
    run = start(lab.fleet(replicationState="INITIAL_SYNC"))
    record = run.end("FAILED", error="Tidegate.PlanRefused")
    (repaired,) = ended_reconcile_runs(lab, run)
    assert repaired["status"] == "SUCCEEDED"
    outcome = json.loads(repaired["output"])
    assert outcome["alreadyFinalized"] and outcome["error"] == "Tidegate.PlanRefused"
    assert run.record() == record


# ----- twice, in parallel, not at all ---------------------------------------------------------------------------------


def test_reconciling_in_parallel_changes_nothing_more(lab: Lab, start: Starter) -> None:
    """FR-5.4, AC-4.4: the event comes twice, and together with a command; the record is written once."""
    plan, _ = stuck(lab)
    run = start(plan)
    job_of(run)
    with without_the_rule(lab):
        lab.sfn.stop_execution(executionArn=run.arn)
        event = event_of(run)
        with ThreadPoolExecutor(10) as pool:
            arns = list(pool.map(lambda _: start_reconcile(lab, event), range(10)))
            commands = list(pool.map(lambda _: tidegate(lab, "reconcile", run.id), range(2)))
        ends = [ended(lab, arn) for arn in arns]
    record = reconciled(run, "CANCELLED", "STOPPED")
    assert {one["status"] for one in ends} == {"SUCCEEDED"}, [one.get("cause") for one in ends]
    assert sum(not json.loads(one["output"])["alreadyFinalized"] for one in ends) <= 1
    assert all(one.returncode == 0 for one in commands), commands
    assert [event for event, _ in run.events()].count("RECONCILED") == 1
    again = ended(lab, start_reconcile(lab, event))
    assert again["status"] == "SUCCEEDED" and json.loads(again["output"])["alreadyFinalized"]
    assert {**run.record(), "timeline": None} == {**record, "timeline": None, "cleanup": run.record()["cleanup"]}


def test_a_running_execution_is_left_alone(lab: Lab, start: Starter) -> None:
    """NFR-1.2: an event may be late, and the execution redriven since. Nobody is finalized behind his back."""
    run = start(lab.plan(lab.fleet(), wave(lab.fleet(), pauseBeforeWave=True)))
    paused = run.wait_status("PAUSED")
    left = ended(lab, start_reconcile(lab, event_of(run)))
    assert left["status"] == "SUCCEEDED" and json.loads(left["output"]) == {"status": "RUNNING"}
    refused = tidegate(lab, "reconcile", run.id)
    assert refused.returncode == 1 and "RUNNING" in refused.stderr and run.id not in tidegate(lab, "reconcile").stdout
    assert run.record() == paused
    run.answer({})
    run.end("COMPLETED")


def test_another_use_of_the_name_is_not_touched(lab: Lab, start: Starter) -> None:
    """NFR-1.2: the record is an execution's by ARN and start, and one of an earlier execution of the name is left as it is."""
    run = start(lab.fleet())
    run.end("COMPLETED")
    name = f"reused-{lab.number()}"
    arn = f"{run.arn.rsplit(':', 1)[0]}:{name}"
    told = {"executionId": name, "executionArn": arn, "startTime": "2025-01-02T03:04:05.678Z"}
    before = {**(lab.read_execution(run.id) or {}), **{key: {"S": value} for key, value in told.items()}}
    lab.dynamodb.put_item(TableName=lab.tables["executionHistory"], Item=before)
    given = {"plan": lab.plan(lab.fleet()), "executionType": "DRILL"}
    lab.sfn.start_execution(stateMachineArn=lab.machine, name=name, input=json.dumps(given))
    assert ended(lab, arn)["error"] == "Tidegate.Conflict"
    refused = ended(lab, start_reconcile(lab, {"detail": {"executionArn": arn}}))
    assert (refused["status"], refused["error"]) == ("FAILED", "Tidegate.ReconcileFailed")
    assert "Tidegate.Conflict" in refused["cause"] and lab.read_execution(name) == before


def test_a_late_task_of_a_reconciled_run_does_nothing(lab: Lab, start: Starter) -> None:
    """NFR-1.2: a redriven execution goes on where it stood; its record is closed, and its activities refuse."""
    plan, fleet = stuck(lab)
    run = start(plan)
    job_of(run)
    lab.sfn.stop_execution(executionArn=run.arn)
    reconciled(run, "CANCELLED", "STOPPED")
    run.wait_until(lambda found: "cleanup" in found, "the cleanup to be told")
    record, items, launched = run.record(), run.items(), len(lab.journal("StartRecovery", fleet))
    activities = json.loads(lab.stack.environment()["TIDEGATE_ACTIVITY_ARNS"])
    machine = run.machine()
    start_time = machine["startDate"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wave_input = {
        "executionId": run.id, "planId": record["planId"], "executionType": "DRILL", "mode": "RUN", "waveNumber": 1,
        "waveAttempt": 1, "waveCount": 2, "pollsUsed": 0, "completedWaves": 0,
    }  # fmt: skip
    prepare_input = {
        "executionId": run.id, "executionArn": run.arn, "startTime": start_time, "input": json.loads(machine["input"])
    }  # fmt: skip
    tasks = [
        ("start-wave-v1", wave_input),
        ("start-wave-v1", {**wave_input, "waveAttempt": 2}),
        ("start-wave-v1", {**wave_input, "waveNumber": 2}),
        ("poll-wave-v1", wave_input),
        ("prepare-execution-v1", prepare_input),
    ]
    for name, task_input in tasks:
        states = {"Late": {"Type": "Task", "Resource": activities[name], "End": True}}
        made = lab.sfn.create_state_machine(
            name=f"late-{lab.number()}",
            definition=json.dumps({"StartAt": "Late", "States": states}),
            roleArn="arn:aws:iam::111122223333:role/late",
        )
        began = lab.sfn.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps(task_input))
        late = ended(lab, began["executionArn"])
        assert (late["status"], late["error"]) == ("FAILED", "Tidegate.Conflict"), (name, late)
    assert run.record() == record and run.items() == items
    assert len(lab.journal("StartRecovery", fleet)) == launched and not run.held_locks()


# ----- the command ---------------------------------------------------------------------------------------------------


def test_the_command_finds_and_repairs_what_the_rule_missed(lab: Lab, start: Starter) -> None:
    """c-08: EventBridge is best effort. Nothing is repaired unasked, one by its name, the rest with --all."""
    runs = []
    with without_the_rule(lab):
        for _ in range(3):
            plan, _ = stuck(lab)
            run = start(plan)
            job_of(run)
            lab.sfn.stop_execution(executionArn=run.arn)
            runs.append(run)
        listed = tidegate(lab, "reconcile")
        assert listed.returncode == 0 and all(run.id in listed.stdout for run in runs), listed
        assert "ABORTED" in listed.stdout and "never finalized" in listed.stdout
        assert f"tidegate reconcile {runs[0].id}" in listed.stderr
        assert all(run.record()["status"] == "POLLING" for run in runs)

        one = tidegate(lab, "reconcile", runs[0].id)
        assert one.returncode == 0 and f"{runs[0].id} CANCELLED" in one.stdout, one
        assert runs[1].record()["status"] == "POLLING"
        rest = tidegate(lab, "reconcile", "--all")
        assert rest.returncode == 0, rest
    for run in runs:
        reconciled(run, "CANCELLED", "STOPPED")
    missing = tidegate(lab, "reconcile", "nobody-knows-it")
    assert missing.returncode == 1 and "nobody-knows-it" in missing.stderr
