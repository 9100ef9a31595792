"""US-7, AC-7.6: every call of every process is evaluated against the policies Terraform rendered, by an evaluator not ours.

The other parts of `make test` record their calls (TIDEGATE_CALLS) and leave the rendered policies of environments/prod; this
part comes last. Alone, `make test-rights` evaluates what the last `make test-python` and `make test-terraform` have left.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import on_behalf
import pytest
from calls import CONTRACT, PREFIX, TARGET, Call, recorded
from evaluator import Answer, Request, evaluate

FOLDER = Path(os.environ.get("TIDEGATE_CALLS", "none"))

# (policy, Sid) that no recorded call uses: why nothing here can record one. Each is used by calls of on_behalf.py.
_DRS = "DRS calls with the caller's credentials; the simulator launches with its own"
_KMS = "the local engines encrypt nothing with a key of a customer"
_SSM = "post-launch actions are run by DRS and Systems Manager, not by the simulator"
UNRECORDED = {
    ("drs-launch", "RecoveryInstancesOfDrs"): _DRS,
    ("drs-launch", "ReadForDrs"): _DRS,
    ("drs-launch", "ReadInstancesForDrs"): _DRS,
    ("drs-launch", "LaunchThroughDrs"): _DRS,
    ("drs-launch", "TagWhatDrsCreates"): _DRS,
    ("drs-launch", "MaintainLaunchTemplatesOfDrs"): _DRS,
    ("drs-launch", "TerminateWhatDrsManages"): _DRS,
    ("drs-launch", "GiveInstancesTheirRoles"): _DRS,
    ("drs-launch", "SeeVolumeKeys"): _KMS,
    ("drs-launch", "UseVolumeKeysThroughEc2"): _KMS,
    ("drs-launch", "LendVolumeKeysToEc2"): _KMS,
    ("drs-actions", "RunPostLaunchCommands"): _SSM,
    ("drs-actions", "RunPostLaunchAutomations"): _SSM,
    ("drs-actions", "RunThemOnLaunchedInstances"): _SSM,
    ("drs-actions", "RunThemOnInstancesLaunchedInto"): _SSM,
    ("drs-actions", "FollowPostLaunchAutomations"): _SSM,
    ("drs-actions", "ReadPostLaunchDocuments"): _SSM,
    ("drs-actions", "ReadPostLaunchParameters"): _SSM,
    ("drs-actions", "FindLaunchedInstancesInSsm"): _SSM,
    ("drs-actions", "GiveAutomationsTheirRoles"): _SSM,
    ("*", "UseTheTablesKey"): _KMS,
    ("*", "UseTheTopicsKey"): _KMS,
    ("*", "DeliverExecutionLogs"): "Step Functions delivers logs itself; the engine has no delivery to make",
    ("*", "SendTraces"): "Step Functions sends traces itself; the engine sends none",
    ("*", "LogInToRegistry"): "ECS pulls images; the engine records tasks without running them",
    ("*", "PullTheImage"): "the same",
    ("*", "WriteTheLog"): "the log driver of ECS writes; local workers write to a file",
    ("person/approve", "ReadHistoriesWhichHoldGateTokens"): "for people who look for a token in the console; the tool reads it from the record",
}

# Condition keys that calls carry and the evaluator holds against no statement, because AWS's own list does not have them for
# the action. No policy of ours may lean on one of them there.
UNEVALUATED = {
    "dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnValues", "dynamodb:Select",
}  # fmt: skip


@dataclass(frozen=True)
class Rights:
    rendered: dict[str, Any]
    calls: list[Call]
    on_behalf: list[Call]

    @property
    def sets(self) -> dict[str, dict[str, Any]]:
        roles = {name.removeprefix(f"{PREFIX}-"): role["policies"] for name, role in self.rendered["roles"].items()}
        return roles | {f"person/{name}": {f"person/{name}": policy} for name, policy in self.rendered["people"].items()}

    def request(self, call: Call, without: tuple[str, str, str] | None = None) -> Request:
        role = self.rendered["roles"].get(f"{PREFIX}-{call.who}", {})
        home = role.get("arn", self.rendered["key"]["arn"]).split(":")[4]
        principal = role.get("arn", f"arn:aws:iam::{home}:role/{call.who.replace('/', '-')}")
        owner = call.resource.split(":")[4] if call.resource.count(":") > 4 else ""
        keys = {
            "aws:PrincipalAccount": home, "aws:PrincipalArn": principal, "aws:RequestedRegion": call.region,
            "aws:ResourceAccount": owner or home, "aws:SecureTransport": "true", "aws:ViaAWSService": "false", **call.keys,
        }  # fmt: skip
        policy = None
        if call.action == "sts:AssumeRole":
            policy = self.rendered["roles"][TARGET]["trust"]
        elif call.action.startswith("kms:"):
            # That of a key made elsewhere, which names nobody but the account: then the caller's own policy decides.
            root = {"Sid": "TheAccount", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{owner}:root"}, "Action": "kms:*", "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [root]}
        # Of a snapshot, an image or a document of AWS, and of a subnet that is shared: what the caller may do is asked here.
        account = owner if call.action in ("sts:AssumeRole",) else home
        return Request(call.who, principal, account, call.action, call.resource, keys, policy, without)

    def answers(self, calls: Iterable[Call]) -> list[tuple[Call, Answer]]:
        asked = list(calls)
        return list(zip(asked, evaluate(self.sets, map(self.request, asked)), strict=True))


@pytest.fixture(scope="module")
def rights() -> Rights:
    rendered, ledgers = next(FOLDER.rglob("rendered.json"), None), list(FOLDER.rglob("*.jsonl"))
    if rendered is None or not ledgers:
        pytest.skip("no rendered policies or no recorded calls: `make test-python` and `make test-terraform` leave them")
    policies = json.loads(rendered.read_text())
    found = Rights(policies, recorded(FOLDER, policies), on_behalf.calls(policies))
    unknown = {call.who for call in found.calls} - set(found.sets)
    assert not unknown, f"calls of nobody who has a policy: {sorted(unknown)}"
    return found


@pytest.fixture(scope="module")
def asked(rights: Rights) -> list[tuple[Call, Answer]]:
    """Every call, evaluated once."""
    return rights.answers([*rights.calls, *rights.on_behalf])


def test_every_call_is_allowed(asked: list[tuple[Call, Answer]], record_property: Callable[[str, object], None]) -> None:
    """Also those that DRS, Step Functions, ECS and people by hand make in the name of our roles."""
    record_property("kinds of calls", str(Counter(call.who for call, _ in asked if not call.source)))
    denied = [str(call) for call, answer in asked if not call.denied and not answer.allowed]
    assert not denied, f"{len(denied)} would be denied on AWS:\n" + "\n".join(sorted(denied))


def test_the_deployments_own_key_lets_them_all(rights: Rights) -> None:
    """encryption-key: the same calls, under the policy of the key that Terraform made."""
    key = rights.rendered["key"]
    calls = [call for call in rights.on_behalf if call.resource == key["arn"]]
    requests = [replace(rights.request(call), resource_policy=key["policy"]) for call in calls]
    assert calls and all(answer.allowed for answer in evaluate(rights.sets, requests))


def test_no_endpoint_stands_in_the_way(rights: Rights) -> None:
    """vpc-endpoints: what workers call, and ECS to start them, passes the policy of its endpoint; in the own Region only."""
    through = [call for call in (*rights.calls, *rights.on_behalf) if call.who in ("worker-task", "target", "worker-execution")]
    through = [call for call in through if call.region == on_behalf.REGION and "aws:ViaAWSService" not in call.keys and not call.denied]
    asked = []
    for call in through:
        service = call.action.partition(":")[0]
        # com.amazonaws.<region>.ecr.api is the only one not named as the service.
        policy = rights.rendered["endpoints"].get("api" if service == "ecr" else service)
        if policy is not None:
            asked.append(replace(rights.request(call), endpoint=policy))
    answers = evaluate(rights.sets, asked)
    stopped = [f"{request.principal}: {request.action} on {request.resource}" for request, answer in zip(asked, answers, strict=True) if not answer.allowed]
    assert not stopped, "\n".join(stopped)
    assert {"dynamodb", "states", "drs", "ec2", "sts"} <= {request.action.partition(":")[0] for request in asked}


def test_what_the_engine_denied_is_denied(asked: list[tuple[Call, Answer]]) -> None:
    """Two evaluators agree: people who tried another's task, and a token that may not be read."""
    allowed = [str(call) for call, answer in asked if call.denied and answer.allowed]
    assert not allowed, "\n".join(allowed)
    tried = {(call.who, call.action) for call, _ in asked if call.denied}
    assert {("person/start", "dynamodb:GetItem"), ("person/read-only", "dynamodb:UpdateItem"), ("person/approve", "states:StartExecution")} <= tried


def test_every_process_and_command_was_recorded(rights: Rights) -> None:
    """A suite that stopped recording would have nothing to complain of."""
    seen = {who: {call.action for call in rights.calls if call.who == who and not call.denied} for who in rights.sets}
    roles = {"worker": "worker-task", "worker-start": "worker-execution", "notification-rules": "notifications-rule"}
    missing = {}
    for process in CONTRACT["processes"]:
        who = roles.get(process["name"], process["name"])
        behalf = {call.action for call in rights.on_behalf if call.who == who}
        missing[who] = {*process["awsActions"]} - seen[who] - behalf
    for operator in CONTRACT["operators"]:
        commands = {one["name"]: one["awsActions"] for one in CONTRACT["commands"]}
        who = f"person/{operator['name']}"
        missing[who] = {action for name in operator["commands"] for action in commands[name]} - seen[who]
    worker = {action for action in seen["worker-task"] if action.startswith(("drs:", "ec2:"))}
    missing["target"] = worker - seen["target"] - IN_ONE_ACCOUNT
    assert not {who: sorted(actions) for who, actions in missing.items() if actions}, missing


# What the drill in another account does not come to do.
IN_ONE_ACCOUNT = {"drs:TagResource"}


def statements(rights: Rights) -> set[tuple[str, str, str, str]]:
    """(set, policy, Sid, action) of everything allowed."""
    return {
        (who, name, one["Sid"], action)
        for who, policies in rights.sets.items()
        for name, policy in policies.items()
        for one in policy["Statement"]
        if one["Effect"] == "Allow"
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }


def test_every_statement_is_used_or_has_its_reason(rights: Rights, asked: list[tuple[Call, Answer]]) -> None:
    used = {by for call, answer in asked if not call.source and not call.denied for by in answer.allowed_by}
    there = {(name, sid) for _, name, sid, _ in statements(rights)}
    listed = {(name, sid) for name, sid in there if (name, sid) in UNRECORDED or ("*", sid) in UNRECORDED}
    assert there - used == listed, {"unused, without a reason": sorted(there - used - listed), "listed, but used": sorted(listed & used)}
    stale = {key for key in UNRECORDED if not any(key[1] == sid and key[0] in ("*", name) for name, sid in there)}
    assert not stale, f"no such statement: {stale}"


def test_no_condition_leans_on_what_is_not_evaluated(rights: Rights, asked: list[tuple[Call, Answer]]) -> None:
    """Keys of calls that the evaluator left out, and no policy of whoever calls asks for them with that action."""
    ignored = {(call.who, call.action, key) for call, answer in asked for key in answer.ignored}
    assert {key for _, _, key in ignored} <= UNEVALUATED, sorted({key for _, _, key in ignored} - UNEVALUATED)
    leaning = [
        (who, name, one["Sid"], key)
        for who, action, key in ignored
        for name, policy in rights.sets[who].items()
        for one in policy["Statement"]
        if action in one["Action"] and key in json.dumps(one.get("Condition", {}))
        and not any(key in names for operator, names in one["Condition"].items() if operator.endswith("IfExists"))
    ]
    assert not leaning, leaning


def test_no_action_can_be_taken_away(rights: Rights, asked: list[tuple[Call, Answer]], record_property: Callable[[str, object], None]) -> None:
    """Each action of each statement, taken out alone: some call that was allowed is not any more. All of them, every time."""
    allowed = [call for call, answer in asked if answer.allowed and not call.denied]
    mutants = sorted(statements(rights))
    requests, of = [], []
    for mutant in mutants:
        who, *cut = mutant
        for call in allowed:
            if call.who == who and call.action == cut[2]:
                requests.append(rights.request(call, (cut[0], cut[1], cut[2])))
                of.append(mutant)
    answers = evaluate(rights.sets, requests)
    killed = {mutant for mutant, answer in zip(of, answers, strict=True) if not answer.allowed}
    record_property("actions taken away, noticed", f"{len(killed)} of {len(mutants)}, {len(requests)} questions")
    assert killed == set(mutants), "\n".join(map(str, sorted(set(mutants) - killed)))


# The service that takes each role, and for what.
TAKEN_BY = {
    "worker-task": ("ecs-tasks", "ecs:{}:task/tidegate-prod/1"),
    "worker-execution": ("ecs-tasks", "ecs:{}:task/tidegate-prod/1"),
    "recovery-machine": ("states", "states:{}:stateMachine:tidegate-prod-recovery"),
    "reconcile-machine": ("states", "states:{}:stateMachine:tidegate-prod-reconcile"),
    "pause-watch": ("states", "states:{}:stateMachine:tidegate-prod-pause-watch"),
    "reconcile-rule": ("events", "events:{}:rule/tidegate-prod-reconcile"),
    "notifications-rule": ("events", "events:{}:rule/tidegate-prod/tidegate-prod-paused"),
    "pause-watch-rule": ("events", "events:{}:rule/tidegate-prod/tidegate-prod-gate-opened"),
}


def test_every_role_is_taken_by_its_service_and_by_nobody_else(rights: Rights) -> None:
    """The trust policies: for what is ours, and not for another account's or in another service's name (confused deputy)."""
    roles = {name.removeprefix(f"{PREFIX}-"): role for name, role in rights.rendered["roles"].items()}
    assert {*roles} == {*TAKEN_BY, "target"}
    cases: list[tuple[Request, bool]] = []
    for who, (service, source) in TAKEN_BY.items():
        arn, trust = roles[who]["arn"], roles[who]["trust"]
        home = arn.split(":")[4]
        for principal, account, allowed in ((service, home, True), (service, "999900001111", False), ("lambda", home, False)):
            keys = {"aws:SourceAccount": account, "aws:SourceArn": "arn:aws:" + source.format(f"us-west-2:{account}")}
            cases.append((Request("none", f"{principal}.amazonaws.com", home, "sts:AssumeRole", arn, keys, trust), allowed))
    target, worker = roles["target"], roles["worker-task"]["arn"]
    account, word = target["arn"].split(":")[4], target["trust"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]
    for principal, said, allowed in ((worker, word, True), (worker, "guessed-it-not-0000", False), (roles["recovery-machine"]["arn"], word, False)):
        cases.append((Request("worker-task", principal, account, "sts:AssumeRole", target["arn"], {"sts:ExternalId": said}, target["trust"]), allowed))
    answers = evaluate({**rights.sets, "none": {}}, [request for request, _ in cases])
    wrong = [(request, allowed) for (request, allowed), answer in zip(cases, answers, strict=True) if answer.allowed is not allowed]
    assert not wrong, wrong
