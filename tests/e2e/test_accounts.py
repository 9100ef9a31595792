"""Servers of another account, recovered with a role there (AC-1.4): the end of the chain worker, STS, DRS, EC2."""

from __future__ import annotations

from bench import OTHER
from lab import ACCOUNT, Lab, wave
from run import Starter


def test_a_drill_in_another_account_is_done_and_cleaned_up_with_its_role(lab: Lab, start: Starter) -> None:
    there, here = lab.fleet(2, account=OTHER), lab.fleet()
    run = start(lab.plan(wave(there.group(accountId=OTHER)), here))
    record = run.end("COMPLETED")
    assert record["report"]["launched"] == 3
    assert {call["account"] for call in lab.journal("StartRecovery", there)} == {OTHER}
    assert {call["account"] for call in lab.journal("TerminateRecoveryInstances")} >= {OTHER}
    assert {call["account"] for call in lab.journal("StartRecovery", here)} == {ACCOUNT}


def test_a_recovery_there_reads_what_it_needs_with_the_same_role(lab: Lab, start: Starter) -> None:
    there = lab.fleet(account=OTHER)
    start(lab.plan(wave(there.group(accountId=OTHER))), "RECOVERY").end("COMPLETED")
    assert {call["account"] for call in lab.journal("GetLaunchConfiguration", there)} == {OTHER}


def test_a_native_execution_there_is_seen_with_the_same_role(lab: Lab, start: Starter) -> None:
    """Design 10: native executions of the other account are conflicts as well."""
    there = lab.fleet(account=OTHER)
    place = {"account": OTHER, "region": there.region}
    execution = {"executionId": f"rpe-{lab.number():017x}", "planId": f"rp-{lab.number():017x}", **place}
    native = {"planId": execution["planId"], "name": "native", "steps": [{"name": "all", "sourceServerIds": there.ids}], **place}
    lab.control("POST", "servers", {"nativePlans": [native], "nativeExecutions": [execution]})
    try:
        cause = start(lab.plan(wave(there.group(accountId=OTHER)))).refused("Tidegate.PlanRefused")
        assert there.ids[0] in cause and execution["executionId"] in cause
    finally:
        lab.control("POST", "native-executions", {**execution, "status": "COMPLETED"})
