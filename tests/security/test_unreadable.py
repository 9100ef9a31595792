"""What cannot be read is told with its key and why; it is never the end of a list, of a run that did not write it, or of a server.

The attacker writes plans and protection groups, which needs no policy of ours (PutItem on those two tables), as anything at all.
Records and locks are spoiled here by whoever may do everything: no policy lets a person (tests/rights/test_gates.py); a stolen
worker role could.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from lab import Json, Lab, wave
from run import Starter

from local.lifecycle import ACCOUNT

WHOLE: Json = {"version": {"N": "1"}, "updatedAt": {"S": "2026-01-01T00:00:00Z"}}
ITEMS: dict[str, Json] = {
    "nothing but its key": {},
    "no version": {"plan": {"S": "{}"}, "group": {"S": "{}"}, "updatedAt": {"S": "x"}},
    "a map": {"plan": {"M": {}}, "group": {"M": {}}, **WHOLE},
    "bytes": {"plan": {"B": b"\x00"}, "group": {"B": b"\x00"}, **WHOLE},
    "a set": {"plan": {"SS": ["a"]}, "group": {"SS": ["a"]}, **WHOLE},
    "a negative version": {"plan": {"S": "{}"}, "group": {"S": "{}"}, "version": {"N": "-1"}, "updatedAt": {"S": "x"}},
    "no JSON": {"plan": {"S": "{"}, "group": {"S": "{"}, **WHOLE},
    "null": {"plan": {"S": "null"}, "group": {"S": "null"}, **WHOLE},
    "long": {"plan": {"S": "[" * 390_000}, "group": {"S": "[" * 390_000}, **WHOLE},
}


def tidegate(lab: Lab, *arguments: str, ok: int = 0) -> str:
    done = subprocess.run(
        [str(lab.stack.options.bin_dir / "tidegate"), *arguments], env={**lab.stack.environment(), "NO_COLOR": "1"},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == ok, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def put(lab: Lab, table: str, item: Json) -> None:
    lab.dynamodb.put_item(TableName=lab.tables[table], Item=item)


@pytest.mark.parametrize("item", ITEMS)
def test_a_plan_that_is_none_is_refused(lab: Lab, start: Starter, item: str) -> None:
    """A wrong plan like any other: told at once, with what to do, and no fault of ours."""
    plan_id, group_id = f"plan-{lab.number()}", f"group-{lab.number()}"
    for table, key, leave in (("recoveryPlans", {"planId": {"S": plan_id}}, "group"), ("protectionGroups", {"groupId": {"S": group_id}}, "plan")):
        put(lab, table, {**key, **{name: value for name, value in ITEMS[item].items() if name != leave}})
    for run in (start(plan_id), start(lab.plan(wave({"protectionGroupId": group_id})))):
        cause = run.refused("Tidegate.InvalidInput")
        assert len(cause) < 5_000, cause[:500]
        assert not set(lab.locks().values()) & {run.id}


def test_an_item_that_is_no_record_is_a_line_of_the_list(lab: Lab, start: Starter) -> None:
    """P1, remove: `tidegate list` failed for everybody."""
    run = start(lab.plan(lab.fleet()))
    record = run.end("COMPLETED")
    spoiled = {"executionId": {"S": f"spoiled-{lab.number()}"}, "planId": {"S": record["planId"]}, "status": {"S": "COMPLETED"}}
    put(lab, "executionHistory", {**spoiled, "startTime": {"S": "2026-01-01T00:00:00.000Z"}, "totalWaves": {"BOOL": True}})
    for arguments in (("--plan", record["planId"]), ("--status", "completed"), ()):
        told = tidegate(lab, "list", "--limit", "1000", *arguments)
        assert f'unreadable: execution "{spoiled["executionId"]["S"]}"' in told and run.id in told
    listed: list[Any] = json.loads(tidegate(lab, "list", "--json", "--plan", record["planId"]))
    assert {one["executionId"]: "unreadable" in one for one in listed} == {run.id: False, spoiled["executionId"]["S"]: True}
    tidegate(lab, "reconcile")

    copy = {"executionId": {"S": f"copy-{lab.number()}"}}
    put(lab, "executionHistory", {**lab.read_execution(run.id), **copy})  # type: ignore[dict-item]
    put(lab, "executionWaves", {**copy, "waveKey": {"S": "0002"}, "status": {"N": "1"}})
    shown = tidegate(lab, "show", copy["executionId"]["S"])
    assert 'unreadable: "0002" of execution-waves' in shown and "COMPLETED" in shown
    lab.dynamodb.delete_item(TableName=lab.tables["executionHistory"], Key={key: spoiled[key] for key in ("executionId", "planId")})


@pytest.mark.parametrize("spoiled", ["record", "lock"])
def test_a_lock_nobody_can_read_says_so_and_has_a_way_out(lab: Lab, start: Starter, spoiled: str) -> None:
    """P1: the next run of the same servers failed as a fault. It is refused by name, and docs/troubleshooting.md frees the server."""
    fleet, holder = lab.fleet(), f"gone-{lab.number()}"
    server = f"{ACCOUNT}/{fleet.region}/{fleet.ids[0]}"
    if spoiled == "record":
        put(lab, "executionHistory", {"executionId": {"S": holder}, "planId": {"S": "!"}, "executionArn": {"S": "x"}, "schemaVersion": {"N": "1"}, "pauseRequested": {"N": "1"}})
        put(lab, "serverLocks", {"server": {"S": server}, "executionId": {"S": holder}, "planId": {"S": "crm"}, "lockedAt": {"S": "x"}})
    else:
        put(lab, "serverLocks", {"server": {"S": server}, "executionId": {"N": "7"}})
    cause = start(fleet).refused("Tidegate.Conflict")
    assert server in cause and "nothing can be read" in cause and "docs/troubleshooting.md" in cause
    assert holder in cause if spoiled == "record" else "names no execution" in cause

    key = {"server": {"S": server}}
    if spoiled == "record":
        lab.dynamodb.delete_item(
            TableName=lab.tables["serverLocks"], Key=key, ConditionExpression="executionId = :x", ExpressionAttributeValues={":x": {"S": holder}}
        )
    else:
        lab.dynamodb.delete_item(TableName=lab.tables["serverLocks"], Key=key)
    start(fleet).end("COMPLETED")
