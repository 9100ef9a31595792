"""A bad plan is refused before the first server moves, with every reason, its field and the remedy (tenet 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Fleet, Json, Lab, wave
from run import Run, Starter

from local.lifecycle import ACCOUNT


def refused(lab: Lab, run: Run, error: str, *words: str) -> None:
    """The run is FAILED with this error and these words, and DRS was asked for nothing."""
    cause = run.refused(error)
    missing = [word for word in words if word not in cause]
    assert not missing, f"{missing} not in {cause}"
    assert "Remedy:" in cause and f"docs/errors.md, {error}" in cause


@pytest.fixture
def untouched(lab: Lab) -> Iterator[None]:
    """DRS sees no call in this test that could change anything."""
    before = lab.mutating_calls()
    yield
    assert lab.mutating_calls() == before, "a refused run made a mutating call"


GOOD_WAVE = {"waveNumber": 1, "waveName": "one", "groups": [{"region": "us-west-2", "tags": {"batch": "none"}}]}
GARBAGE = [
    pytest.param("crm", ["input"], id="text"),
    pytest.param(7, ["input"], id="number"),
    pytest.param([{"planId": "crm"}], ["input"], id="list"),
    pytest.param(None, ["input"], id="null"),
    pytest.param({}, ["executionType", "planId"], id="empty"),
    pytest.param({"planId": "crm"}, ["executionType: is missing"], id="no-type"),
    pytest.param(
        {"planId": "crm", "executionType": "drill"},
        ['executionType: "drill" is not allowed', "DRILL", "RECOVERY"],
        id="wrong-case",
    ),
    pytest.param({"planId": "crm", "executionType": None, "mode": 1}, ["executionType", "mode"], id="wrong-types"),
    pytest.param({"planId": "crm", "executionType": "DRILL", "schemaVersion": 2}, ["schemaVersion"], id="newer-schema"),
    pytest.param({"planId": "a/../b", "executionType": "DRILL"}, ["planId"], id="bad-plan-id"),
    pytest.param(
        {"planId": "crm", "executionType": "DRILL", "dryRun": True, "options": {"holdSecond": 5, "holdSeconds": -1}},
        ["dryRun: is not a field", "options.holdSecond: is not a field", "options.holdSeconds"],
        id="unknown-fields",
    ),
    pytest.param(
        {"executionType": "DRILL", "planId": "x", "plan": {"planId": "x", "planName": "x", "waves": [GOOD_WAVE]}},
        ["planId"],
        id="both-plans",
    ),
    pytest.param(
        {
            "executionType": "REHEARSAL",
            "mode": "RUNN",
            "plan": {
                "planId": "x",
                "planName": "",
                "waves": [
                    {
                        "waveNumber": 0,
                        "waveName": "w",
                        "pauseBeforWave": True,
                        "onFailure": "ignore",
                        "groups": [{"region": "Oregon", "sourceServerIds": ["s-1"]}],
                    },
                    {},
                ],
            },
        },
        [
            "executionType",
            "mode",
            "plan.planName",
            "plan.waves[0].waveNumber",
            "plan.waves[0].pauseBeforWave: is not a field",
            "plan.waves[0].onFailure",
            "plan.waves[0].groups[0].region",
            "plan.waves[0].groups[0].sourceServerIds[0]",
            "plan.waves[1].groups: is missing",
        ],
        id="everything-at-once",
    ),
]


@pytest.mark.parametrize(("execution_input", "words"), GARBAGE)
def test_garbage_is_refused_with_every_reason(
    lab: Lab, start: Starter, untouched: None, execution_input: Any, words: list[str]
) -> None:
    """T2.1, FR-1.4, T1.4, NFR-1.2: bad input ends FAILED, with a record that can be found, and never hangs."""
    run = start.raw(execution_input)
    refused(lab, run, "Tidegate.InvalidInput", *words)
    assert run.record()["totalWaves"] == 0


def bad_plans(lab: Lab) -> dict[str, tuple[Json, str, list[str]]]:
    one, two = lab.fleet(), lab.fleet()
    nowhere = Fleet(["s-0fffffffffffffff0"], {"batch": "nobody"})
    twice = one.group()
    misnumbered = lab.plan(one, two)
    misnumbered["waves"][1]["waveNumber"] = 3
    return {
        "unknown server": (lab.plan(one, nowhere), "Tidegate.PlanRefused", ["plan.waves[1]", nowhere.ids[0]]),
        "unknown server in another Region": (
            lab.plan(Fleet(one.ids, {}, "us-east-2")),
            "Tidegate.PlanRefused",
            ["us-east-2", one.ids[0]],
        ),
        "tags that match nothing": (
            lab.plan(wave(nowhere.tagged())),
            "Tidegate.PlanRefused",
            ["plan.waves[0].groups[0].tags"],
        ),
        "a group without members": (
            lab.plan(wave({"region": "us-west-2"})),
            "Tidegate.InvalidInput",
            ["plan.waves[0].groups[0]"],
        ),
        "a wave without groups": (lab.plan(wave()), "Tidegate.InvalidInput", ["plan.waves[0].groups"]),
        "no waves": (lab.plan(), "Tidegate.InvalidInput", ["plan.waves"]),
        "a server twice by id": (
            lab.plan(wave(twice), wave(twice)),
            "Tidegate.InvalidInput",
            [one.ids[0], "plan.waves[1]"],
        ),
        "a server by id and by tag": (
            lab.plan(one, wave(one.tagged())),
            "Tidegate.PlanRefused",
            [one.ids[0], "wave 1"],
        ),
        "wrong numbers": (misnumbered, "Tidegate.InvalidInput", ["plan.waves[1].waveNumber", "expected 2"]),
        "minLaunched above the wave": (
            lab.plan(wave(one, minLaunched=2)),
            "Tidegate.PlanRefused",
            ["minLaunched", "2 of 1"],
        ),
        "options of a stranger": (
            lab.plan(wave(one.group(serverOptions={two.ids[0]: {"importance": "optional"}}))),
            "Tidegate.PlanRefused",
            [two.ids[0]],
        ),
        "a missing protection group": (
            lab.plan(wave({"protectionGroupId": "no-such-group"})),
            "Tidegate.PlanRefused",
            ["protectionGroupId", "no-such-group"],
        ),
        "longer than the machine lives": (
            lab.plan(*[wave(lab.fleet(), timeoutSeconds=86_400) for _ in range(31)]),
            "Tidegate.InvalidInput",
            ["plan.waves", "2592000"],
        ),
    }


def test_bad_plans_are_refused(lab: Lab, start: Starter, untouched: None) -> None:
    """S002 (wave without servers: an error, not a hang), c-44 (a server in one wave only), FR-4.1."""
    for name, (plan, error, words) in bad_plans(lab).items():
        try:
            refused(lab, start(plan), error, *words)
        except AssertionError as failure:
            raise AssertionError(f"{name}: {failure}") from failure


def test_a_stored_plan_must_exist_and_be_whole(lab: Lab, start: Starter, untouched: None) -> None:
    """T2.1: unknown ids, text that is no JSON, a plan under another's id."""
    refused(lab, start("no-such-plan"), "Tidegate.InvalidInput", "planId", "no-such-plan")
    broken = lab.plan(lab.fleet())
    lab.put("recoveryPlans", {"planId": broken["planId"], "plan": "{"})
    refused(lab, start(broken["planId"]), "Tidegate.InvalidInput", "not JSON")
    lab.put("recoveryPlans", {"planId": "another-id", "plan": json.dumps(broken)})
    refused(lab, start("another-id"), "Tidegate.InvalidInput", "plan.planId", "another-id")


def test_servers_that_cannot_be_launched_are_named_together(lab: Lab, start: Starter, untouched: None) -> None:
    """c-18, c-19: replication states without a point in time; fails closed."""
    syncing, stalled = lab.fleet(replicationState="INITIAL_SYNC"), lab.fleet(replicationState="DISCONNECTED")
    run = start(lab.plan(lab.fleet(), syncing, stalled))
    refused(lab, run, "Tidegate.PlanRefused", syncing.ids[0], "INITIAL_SYNC", stalled.ids[0], "plan.waves[2]")


def test_a_lagging_server_is_a_warning(lab: Lab, start: Starter) -> None:
    """c-19: BACKLOG can be launched; the record says how old the data may be."""
    run = start(lab.fleet(replicationState="BACKLOG", lag="PT3H"))
    warnings = run.end("COMPLETED")["warnings"]
    assert any("BACKLOG" in one["message"] for one in warnings) and any("10800" in one["message"] for one in warnings)


def test_a_server_in_a_foreign_job_is_refused(lab: Lab, start: Starter) -> None:
    """c-18, c-36: whoever holds the server is named."""
    fleet = lab.fleet()
    lab.fault({"fault": "stuck", "sourceServerId": fleet.ids[0]})
    answer = lab.client("drs").start_recovery(sourceServers=[{"sourceServerID": fleet.ids[0]}], isDrill=True)
    refused(lab, start(fleet), "Tidegate.PlanRefused", fleet.ids[0], answer["job"]["jobID"], "START_DRILL")
    assert len(lab.jobs(fleet)) == 1


def test_a_server_in_a_native_plan_execution_is_refused(lab: Lab, start: Starter, untouched: None) -> None:
    """Design 10: native executions are conflicts, named by their ARN; once ended they hold nothing."""
    fleet = lab.fleet()
    place = {"account": ACCOUNT, "region": fleet.region}
    execution = {"executionId": f"rpe-{lab.number():017x}", "planId": f"rp-{lab.number():017x}", **place}
    steps = [{"name": "databases", "sourceServerIds": fleet.ids}]
    native = {"planId": execution["planId"], "name": "native", "steps": steps, **place}
    lab.control("POST", "servers", {"nativePlans": [native], "nativeExecutions": [execution]})
    try:
        refused(lab, start(fleet), "Tidegate.PlanRefused", fleet.ids[0], execution["executionId"])
    finally:
        lab.control("POST", "native-executions", {**execution, "status": "COMPLETED"})
    start(lab.plan(fleet), mode="CHECK")


def test_a_stored_plan_and_protection_group_run(lab: Lab, start: Starter) -> None:
    """Plan model: planId alone, members by the protection group's tags, resolved once."""
    fleet = lab.fleet(2)
    group = {"groupId": f"group-{lab.number()}", "groupName": "by tag", "region": fleet.region, "tags": fleet.tags}
    lab.store_group(group)
    plan_id = lab.store_plan(lab.plan(wave({"protectionGroupId": group["groupId"]})))
    run = start(plan_id)
    record = run.end("COMPLETED")
    assert record["planId"] == plan_id and sorted(run.servers()) == fleet.ids and record["membershipHash"]


def test_an_edit_during_a_pause_does_not_reach_the_run(lab: Lab, start: Starter) -> None:
    """c-22: plan and membership are those of the start; whatever is edited meanwhile is for the next run."""
    first, second, late = lab.fleet(), lab.fleet(), lab.fleet()
    plan = lab.plan(first, wave(second.tagged(), pauseBeforeWave=True))
    lab.store_plan(plan)
    run = start(plan["planId"])
    run.wait_status("PAUSED")
    lab.store_plan(lab.plan(late, plan_id=plan["planId"]))
    lab.fleet(tags=second.tags)
    run.answer({})
    run.end("COMPLETED")
    assert sorted(run.servers()) == sorted(first.ids + second.ids)
