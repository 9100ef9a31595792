"""The worker holds roles in other accounts. Nobody who may only start executions or write plans gets it to use one for them.

The attacker here has the policy `start` (StartExecution with a plan of his own) or writes plans and protection groups. That
`start` gives no way to a role itself, and the worker's role only to those of the deployment's map, is evaluated in
tests/rights/test_attacks.py.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bench import OTHER, ROLE
from lab import Json, Lab, from_item, wave
from run import Run, Starter

# What a tenant of another account keeps with its administrator, and the attacker has come to know.
STOLEN = {"roleArn": f"arn:aws:iam::{OTHER}:role/tidegate-target", "externalId": "tenant-b-and-nobody-else"}
NOWHERE = "777788889999"
MEBIBYTE = 1024 * 1024


def everything_of(lab: Lab, run: Run) -> dict[str, str]:
    """All that is kept of an execution, as text, by where it is."""
    tidegate = str(lab.stack.options.bin_dir / "tidegate")
    shown = subprocess.run([tidegate, "show", run.id, "--json"], env=lab.stack.environment(), capture_output=True, text=True, check=True)
    places = {
        "record": json.dumps(lab.read_execution(run.id)),
        "waves": json.dumps(lab.read_waves(run.id)),
        "history": json.dumps(run.history(), default=str),
        "show --json": shown.stdout,
    }
    return places | {f"log {path.name}": path.read_text(errors="replace") for path in lab.logs() if "ministack" not in path.name}


def calls_in(lab: Lab, account: str) -> int:
    return sum(entry["account"] == account for entry in lab.journal("DescribeSourceServers"))


# ----- an account is named, its role is not -----


@pytest.mark.parametrize("role", [STOLEN, [STOLEN["roleArn"], STOLEN["externalId"]], STOLEN["externalId"]], ids=["object", "list", "text"])
@pytest.mark.parametrize("way", ["inline", "stored", "group"])
def test_a_plan_cannot_lend_the_worker_a_role_or_an_external_id(lab: Lab, start: Starter, role: Any, way: str) -> None:
    victim, before = lab.fleet(account=OTHER), calls_in(lab, OTHER)
    plan: Json | str = lab.plan(wave(victim.group(accountRole=role)))
    if way == "stored":
        plan = lab.store_plan(dict(plan))  # type: ignore[call-overload]
    elif way == "group":
        group = {"groupId": f"group-{lab.number()}", "groupName": "g", **victim.group(accountRole=role)}
        plan = lab.plan(wave({"protectionGroupId": lab.store_group(group)}))
    run = start(plan)
    cause = run.refused("Tidegate.InvalidInput")
    assert "accountRole" in cause and "accountId" in cause and "target_accounts" in cause, cause
    assert calls_in(lab, OTHER) == before, "nothing was asked of that account"
    kept = {where: text for where, text in everything_of(lab, run).items() if where != "history"}  # which holds the input as it was sent
    assert not [where for where, text in kept.items() if STOLEN["externalId"] in text]


def test_an_account_without_a_role_is_refused_before_any_call(lab: Lab, start: Starter) -> None:
    there, here = lab.fleet(account=NOWHERE), lab.fleet()
    before = (calls_in(lab, NOWHERE), len(lab.journal("DescribeSourceServers")))
    cause = start(lab.plan(here, wave(there.group(accountId=NOWHERE)))).refused("Tidegate.PlanRefused")
    assert "plan.waves[1].groups[0]" in cause and NOWHERE in cause and "target_accounts" in cause
    assert (calls_in(lab, NOWHERE), len(lab.journal("DescribeSourceServers"))) == before


def test_no_external_id_is_kept_or_told_of_a_run_that_used_one(lab: Lab, start: Starter) -> None:
    run = start(lab.plan(wave(lab.fleet(2, account=OTHER).group(accountId=OTHER)), lab.fleet()), "RECOVERY")
    run.end("COMPLETED")
    kept = everything_of(lab, run)
    assert len(kept) >= 6 and all(kept.values())
    assert not [where for where, text in kept.items() if ROLE["externalId"] in text]
    assert not [where for where, text in kept.items() if "role/tidegate-target" in text], "nor which role it was"


def test_every_account_that_cannot_be_read_is_named_at_once(lab: Lab, start: Starter) -> None:
    """One tenant who revokes the role is a veto on the day; who mends it hears of all of them in the first run, not the last."""
    there, east, here = lab.fleet(account=OTHER), lab.fleet(region="us-east-2"), lab.fleet()
    lab.fault(
        {"fault": "accessDenied", "operation": "DescribeSourceServers", "account": OTHER},
        {"fault": "accessDenied", "operation": "DescribeSourceServers", "region": "us-east-2"},
    )
    cause = start(lab.plan(wave(there.group(accountId=OTHER), east, here))).refused("Tidegate.Denied")
    assert f"account {OTHER}, us-west-2" in cause and ", us-east-2" in cause and "2 of the 3 places" in cause, cause


# ----- what earlier releases wrote -----


def as_an_earlier_release_wrote_it(lab: Lab, run: Run, word: str) -> None:
    """Puts roles where they were: into members, shards and the plan's copy."""
    role = {"roleArn": f"arn:aws:iam::{OTHER}:role/tidegate-target", "externalId": word}
    digest = "f" * 64  # it covered the roles
    for item in map(from_item, lab.read_waves(run.id)):
        for target in [*item.get("targets", []), *([item["target"]] if "target" in item else [])]:
            if target["accountId"] == OTHER:
                target["role"] = role
        if "membershipHash" in item:
            item["membershipHash"] = digest
        lab.replace("executionWaves", item)
    record = run.record()
    plan = json.loads(record["plan"])
    for group in (group for one in plan["waves"] for group in one["groups"]):
        if group.pop("accountId", None):
            group["accountRole"] = role
    lab.replace("executionHistory", {**record, "plan": json.dumps(plan), "membershipHash": digest})


def test_a_run_of_an_earlier_release_is_shown_and_continued_with_the_deployments_role(lab: Lab, start: Starter) -> None:
    word = "an-external-id-of-those-days"
    done, failed = lab.fleet(account=OTHER), lab.fleet(account=OTHER)
    (denied,) = lab.fault({"fault": "accessDenied", "operation": "StartRecovery", "sourceServerId": failed.ids[0]})
    waves = [wave(fleet.group(accountId=OTHER), timeoutSeconds=40) for fleet in (done, failed)]
    old = start(lab.plan(*waves), "RECOVERY")
    old.end("FAILED", error="Tidegate.RecoveryFailed")
    lab.control("DELETE", f"faults/{denied}")
    start.runs.remove(old)  # nobody but this test rewrites a record that has ended
    as_an_earlier_release_wrote_it(lab, old, word)
    assert word in json.dumps(lab.read_waves(old.id)) and word in json.dumps(lab.read_execution(old.id))
    assert word not in everything_of(lab, old)["show --json"]
    run = start.raw({"continueExecution": old.id})
    run.end("COMPLETED")
    assert {call["account"] for call in lab.journal("StartRecovery", failed)} == {OTHER} and len(lab.jobs(done)) == 0
    assert not [where for where, text in everything_of(lab, run).items() if word in text]


# ----- bounded -----


def resident(lab: Lab) -> int:
    """Memory of the worker, in bytes."""
    member = lab.stack.status()["worker-1"]
    (line,) = [line for line in Path(f"/proc/{member.identity.pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def made_up(kind: str, count: int) -> list[Json]:
    words = itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3)
    if kind == "regions":
        return [{"region": f"us-{''.join(word)}-1", "tags": {"a": "b"}} for word in itertools.islice(words, count)]
    return [{"region": "us-west-2", "accountId": f"9{number:011d}", "tags": {"a": "b"}} for number in range(count)]


@pytest.mark.parametrize("kind", ["regions", "accounts"])
def test_a_thousand_made_up_places_leave_nothing_in_the_worker(lab: Lab, start: Starter, kind: str, record_property: Any) -> None:
    start(lab.fleet(), mode="DRY_RUN").end("COMPLETED")  # whatever the first run of all costs
    before, calls = resident(lab), len(lab.journal("DescribeSourceServers"))
    groups = made_up(kind, 1_000)
    for first in range(0, 1_000, 100):
        waves = [wave(*groups[at : at + 50]) for at in (first, first + 50)]
        cause = start(lab.plan(*waves), mode="DRY_RUN").refused("Tidegate.PlanRefused")
        assert "50 more" in cause and "TIDEGATE_" in cause and len(cause) < 32_768
    grown = resident(lab) - before
    record_property("grown", f"{grown / MEBIBYTE:.1f} MiB")
    assert len(lab.journal("DescribeSourceServers")) == calls
    # 1,000 clients were 171 MB (1,000 Regions) and 212 MB (1,000 sessions).
    assert grown < 40 * MEBIBYTE, f"{grown / MEBIBYTE:.1f} MiB"


def test_a_plan_that_leads_to_too_many_places_is_refused(lab: Lab, start: Starter) -> None:
    groups = made_up("regions", 101)
    cause = start(lab.plan(*[wave(*groups[at : at + 50]) for at in (0, 50, 100)])).refused("Tidegate.InvalidInput")
    assert "101 places" in cause and "more than 100" in cause
