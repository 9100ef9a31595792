"""Who may store plans, and who may install an agent: neither may start anything, and both decide what a start launches.

Attacks: the stored plan is exchanged between the question and the yes; an agent registers with the tags that a wave selects by, and
under the name of a server that is there already. The start carried a plan's id and nothing else, so what ran was whatever Prepare
found. Now it carries the digests of what was shown, and who is in a plan is compared with its last good run (ADR 0021).
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from typing import Any

from lab import Fleet, Json, Lab, from_item, wait_for
from run import Starter


def checked(lab: Lab, plan: Json | str, **fields: Any) -> Json:
    """What a CHECK of a plan says, as anybody gets it with the AWS CLI."""
    named = {"planId": plan} if isinstance(plan, str) else {"plan": plan}
    given = {**named, "executionType": "RECOVERY", "mode": "CHECK", **fields}
    arn = lab.sfn.start_execution(stateMachineArn=lab.machine, input=json.dumps(given))["executionArn"]
    end = wait_for(lambda: (found := lab.sfn.describe_execution(executionArn=arn))["status"] != "RUNNING" and found, "the check")
    assert end["status"] == "SUCCEEDED", end
    return dict(json.loads(end["output"]))


def digests(said: Json) -> Json:
    return {"planHash": said["planHash"], "membershipHash": said["membershipHash"]}


def joining(lab: Lab, fleet: Fleet, hostname: str, **tags: str) -> str:
    """An agent is installed, with the tags of a fleet."""
    server = f"s-{lab.number():04d}bad0000000000"
    added = {"sourceServerId": server, "hostname": hostname, "tags": {**fleet.tags, **tags}}
    lab.control("POST", "servers", {"region": fleet.region, "account": "111122223333", "servers": [added]})
    return server


def test_another_plan_than_was_checked_does_not_run(lab: Lab, start: Starter) -> None:
    shown, exchanged = lab.fleet(), lab.fleet()
    plan = lab.plan(shown)
    lab.store_plan(plan)
    expected = digests(checked(lab, plan["planId"]))
    lab.store_plan({**lab.plan(exchanged), "planId": plan["planId"], "planName": plan["planName"]})
    run = start(plan["planId"], "RECOVERY", expected=expected)
    cause = run.refused("Tidegate.PlanRefused")
    assert f"expected.planHash: is {expected['planHash']}" in cause and "CHECK" in cause
    assert not lab.jobs(exchanged) and not lab.jobs(shown)
    # With the plan that was checked it runs, and says what it was.
    lab.store_plan(plan)
    record = start(plan["planId"], "RECOVERY", expected=expected).end("COMPLETED")
    assert {name: record[name] for name in expected} == expected and record["planUpdatedAt"] == "2026-01-01T00:00:00Z"


def test_other_servers_than_were_checked_are_not_launched(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    plan = lab.plan({"groups": [fleet.tagged()]})
    said = checked(lab, plan)
    assert said["sourceServerIds"] == [fleet.ids]
    rogue = joining(lab, fleet, "rogue")
    cause = start(plan, "DRILL", expected=digests(said)).refused("Tidegate.PlanRefused")
    assert "expected.membershipHash" in cause and "2, " in cause
    assert sorted(checked(lab, plan)["sourceServerIds"][0]) == sorted([*fleet.ids, rogue])


def test_who_joins_is_named_in_a_drill_and_refused_in_a_recovery(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet(2)
    plan = lab.plan({"groups": [fleet.tagged()]})
    first = start(plan)
    assert "comparedWith" not in first.end("COMPLETED"), "nothing to compare with"
    rogue = joining(lab, fleet, "rogue")

    said = checked(lab, plan)
    assert said["comparedWith"] == first.id
    assert any(rogue in warning["message"] and "has joined" in warning["message"] for warning in said["warnings"])
    cause = start(plan, "RECOVERY").refused("Tidegate.PlanRefused")
    assert f"{rogue} (rogue)" in cause and "has joined" in cause and first.id in cause and said["membershipHash"] in cause
    assert not lab.jobs(fleet, "LAUNCH")[1:]

    record = start(plan, "RECOVERY", expected={"membershipHash": said["membershipHash"]}).end("COMPLETED")
    assert record["comparedWith"] == first.id and any(rogue in warning["message"] for warning in record["warnings"])


def test_two_of_one_name_are_not_told_apart(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    (victim,) = fleet.ids
    rogue = joining(lab, fleet, f"host-{fleet.tags['batch'].removeprefix('batch-')}-0", Name="another")
    plan = lab.plan({"groups": [fleet.tagged()]})
    cause = start(plan).refused("Tidegate.PlanRefused")
    assert victim in cause and rogue in cause and "same name" in cause
    said = checked(lab, plan)
    start(plan, expected={"membershipHash": said["membershipHash"]}).end("COMPLETED")


def test_the_tool_shows_what_and_where_and_starts_only_that(lab: Lab) -> None:
    """The question of a recovery, on a terminal; the plan is exchanged while it stands."""
    shown, exchanged = lab.fleet(2), lab.fleet()
    plan = lab.plan(shown)
    lab.store_plan(plan)
    name = f"asked-{lab.number()}"
    text, code = _answered(lab, ["start", "--plan", plan["planId"], "--type", "recovery", "--name", name], lambda: lab.store_plan(
        {**lab.plan(exchanged), "planId": plan["planId"]}))
    assert code == 0, text
    for told in (*shown.ids, "2 servers", "account 111122223333", "Region us-west-2", lab.machine.rsplit(":", 1)[-1], "NOT AT AWS", "no earlier good run"):
        assert told in text, f"{told!r} not in\n{text}"
    arn = lab.machine.replace(":stateMachine:", ":execution:") + f":{name}"
    end = wait_for(lambda: (found := lab.sfn.describe_execution(executionArn=arn))["status"] != "RUNNING" and found, "the end")
    assert (end["status"], end["error"]) == ("FAILED", "Tidegate.PlanRefused") and "expected.planHash" in end["cause"]
    assert not lab.jobs(exchanged) and not lab.jobs(shown)
    assert from_item(lab.read_execution(name) or {})["status"] == "FAILED"


def _answered(lab: Lab, arguments: list[str], meanwhile: Any) -> tuple[str, int]:
    """Runs the tool on a terminal and types yes, after something else has happened."""
    master, slave = pty.openpty()
    environment = {**lab.stack.environment(), "NO_COLOR": "1", "USER": "ana"}
    process = subprocess.Popen([str(lab.stack.options.bin_dir / "tidegate"), *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen, asked, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([master], [], [], 0.2)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:
                break
        if not asked and b"Type yes to start" in seen:
            asked = True
            meanwhile()
            os.write(master, b"yes\n")
    code = process.wait(10)
    os.close(master)
    assert asked, seen.decode(errors="replace")
    return re.sub(r"\s+", " ", seen.decode(errors="replace")), code
