"""The drill on what Terraform made: the real provider, the local engines, the worker and the tool as they ship.

The tests of this file share one deployment and run in this order; each starts executions of its own.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import guide
import pytest
from configuration import CHECKOUT, copy_to
from deployment import RUNNING, Deployment, wait_for
from engines import Engines

from local import deploy

pytestmark = pytest.mark.terraform

PREFIX = "tidegate-tf"
LOGGED_IN = "".join(guide.blocks()[2].splitlines(keepends=True)[:2])  # the lines that take over the outputs and name the plan
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def before(engines: Engines) -> set[str]:
    """What lies on the engines before anything is deployed."""
    return engines.inventory()


@pytest.fixture(scope="module")
def deployed(engines: Engines, before: set[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(engines, copy_to(tmp_path_factory.mktemp("drill")), PREFIX)
    deployment.first_apply = deployment.apply()
    deployment.start_worker()
    yield deployment
    deployment.stop_workers()


@pytest.fixture(scope="module")
def people(deployed: Deployment) -> dict[str, dict[str, str]]:
    """Somebody for each task, who has that task's policy and nothing else."""
    return {operator: deployed.person(operator) for operator in deployed.outputs["operator_policy_arns"]}


# A state both a full drill and one that waits at its gate still pass, and one a check passes.
LATE_STATE, CHECK_STATE, SUFFIX = "AllWavesSettled", "Checked", "InTheNextRelease"
OLD_ACTIVITY, NEW_ACTIVITY = "poll-wave-v1", "poll-wave-v2"


def next_release(deployment: Deployment) -> None:
    """Edits the copy as a release would: another timeout, an activity in a new version beside the old one, and two states by
    other names, so that the history of an execution shows which definition it ran."""
    path = deployment.copy / "statemachine" / "recovery.asl.json"
    text = path.read_text()
    for state in (LATE_STATE, CHECK_STATE):
        assert f'"{state}"' in text
        text = text.replace(f'"{state}"', f'"{state}{SUFFIX}"')
    text = text.replace("${PollWaveV1ActivityArn}", "${PollWaveV2ActivityArn}")
    definition = json.loads(text)
    definition.update(Comment="Tidegate, the next release", TimeoutSeconds=2_000_000)
    path.write_text(json.dumps(definition, indent=2))

    path = deployment.copy / "statemachine" / "contract" / "contract.json"
    contract = json.loads(path.read_text())
    (old,) = [one for one in contract["activities"] if one["name"] == OLD_ACTIVITY]
    contract["activities"].append({**old, "name": NEW_ACTIVITY, "placeholder": "PollWaveV2ActivityArn"})
    path.write_text(json.dumps(contract))


def release_before(deployment: Deployment) -> None:
    """Checks the release before out again."""
    for part in (Path("recovery.asl.json"), Path("contract") / "contract.json"):
        shutil.copy(CHECKOUT / "statemachine" / part, deployment.copy / "statemachine" / part)


def test_a_second_plan_changes_nothing(deployed: Deployment, record_property: Record) -> None:
    """US-7: what was applied is what is wanted; a resource that drifts at once would hide real drift for ever."""
    resources = deployed.terraform.resources()
    record_property("apply of environments/local", f"{deployed.first_apply:.0f} s, {len(resources)} resources")
    answer = deployed.terraform.plan(ok=(0,))
    record_property("plan without a change", f"{answer.seconds:.0f} s")


def test_everything_of_the_contract_is_there(deployed: Deployment) -> None:
    """AC-7.3, FR-8.4, FR-8.9: outputs name the machine, every activity, every table, the logs; and they exist."""
    contract = json.loads((deployed.copy / "statemachine" / "contract" / "contract.json").read_text())
    outputs, found = deployed.outputs, deployed.engines.inventory()
    assert set(outputs["activity_arns"]) == {one["name"] for one in contract["activities"]}
    assert set(outputs["table_names"]) == {one["key"] for one in contract["tables"]}
    assert set(outputs["state_machine_arns"]) == {one["name"] for one in contract["stateMachines"]}
    for arn in [*outputs["activity_arns"].values(), *outputs["state_machine_arns"].values()]:
        assert f"stepfunctions: {arn}" in found
    assert {f"dynamodb: {name}" for name in outputs["table_names"].values()} <= found
    assert {f"logs: {name}" for name in outputs["log_group_names"].values()} <= found


def test_the_local_deploy_makes_the_same_machines(deployed: Deployment) -> None:
    """AC-7.3, FR-8.4, FR-8.5: what the end-to-end tests run is, byte for byte, what Terraform deploys."""
    contract = deploy.load_contract(deployed.copy / "statemachine" / "contract" / "contract.json")
    values = deploy.placeholder_values(contract, PREFIX, deployed.outputs["activity_arns"])
    for machine in contract["stateMachines"]:
        text = (deployed.copy / "statemachine" / machine["definition"]).read_text()
        wanted = json.dumps(json.loads(deploy.render(text, values)), sort_keys=True)
        assert json.dumps(json.loads(deployed.definition(machine["name"])), sort_keys=True) == wanted, machine["name"]
    names = deploy.resource_names(contract, PREFIX)
    assert deployed.outputs["table_names"] == names.tables
    assert {arn.rpartition(":")[2] for arn in deployed.outputs["activity_arns"].values()} == set(names.activities.values())


def test_the_guide_leads_to_a_drill_of_three_waves(deployed: Deployment, record_property: Record) -> None:
    """US-7, AC-7.4, FR-8.6: docs/deployment.md as it stands, from the state bucket to the report: a check, then a drill that
    is started by the alias, pauses before wave 3, is resumed, COMPLETED, cleaned up, and holds no lock."""
    state, apply, check, check_by_hand, drill, *_ = guide.blocks()
    guide.run(deployed, state + apply + check + check_by_hand)
    # A drill that has begun holds the servers, which a check would then report.
    wait_for(lambda: deployed.execution("check-by-hand")["status"] != "RUNNING", "the check")
    assert deployed.execution("check-by-hand")["status"] == "SUCCEEDED"
    guide.run(deployed, LOGGED_IN + drill)
    name = "first-drill"
    paused = deployed.wait_status(name, "PAUSED")
    assert paused["gate"]["waveNumber"] == 3 and paused["completedWaves"] == 2
    shown = guide.run(deployed, LOGGED_IN + "".join(guide.blocks("when paused")))
    assert "COMPLETED" in shown
    record = deployed.wait_status(name, "COMPLETED")
    assert record["completedWaves"] == record["totalWaves"] == 3
    assert record["cleanup"]["status"] == "COMPLETED" and not deployed.locks(name)
    machine = deployed.execution(name)
    assert machine["status"] == "SUCCEEDED"
    # The engine does not say by which alias an execution was started, so it is said here what the tool was given.
    alias = deployed.outputs["state_machine_alias_arns"]["recovery"]
    assert deployed.environment["TIDEGATE_STATE_MACHINE_ARN"] == alias != deployed.machine_arn()
    seconds = (machine["stopDate"] - machine["startDate"]).total_seconds()
    record_property("drill of 3 waves on what Terraform made", f"{seconds:.0f} s")


def test_people_do_their_tasks_with_their_policies(deployed: Deployment, people: dict[str, dict[str, str]]) -> None:
    """NFR-1.2: every command under the policy of its task, which the engine holds its user to. Everybody sees that a gate is
    open, and what it asks; nobody can do another's task."""
    start, approve, request, reader = (people[name] for name in ("start", "approve", "request", "read-only"))
    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "approved", person=start)
    deployed.wait_status("approved", "PAUSED")
    for person in people.values():
        shown = json.loads(deployed.tidegate("show", "approved", "--json", person=person))["record"]
        assert shown["status"] == "PAUSED" and shown["gate"]["kind"] == "RESUME" and "token" not in shown["gate"]
        assert "approved" in deployed.tidegate("list", person=person)
    for person in (start, request, reader, people["reconcile"]):
        refused(deployed, "resume", "approved", person=person)
    for person in (approve, request, reader):
        refused(deployed, "start", "--plan", "crm", "--type", "drill", "--mode", "check", "--name", "not-mine", person=person)
    for person in (start, approve, reader):
        refused(deployed, "cancel", "approved", person=person)
    deployed.tidegate("resume", "approved", person=approve)
    for person in people.values():
        deployed.tidegate("watch", "approved", person=person)
    assert deployed.wait_status("approved", "COMPLETED")["completedWaves"] == 3

    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "declined", person=start)
    deployed.wait_status("declined", "PAUSED")
    deployed.tidegate("pause", "declined", person=request)
    deployed.tidegate("cancel", "declined", person=request)
    deployed.tidegate("decline", "declined", "--reason", "withdrawn", person=approve)
    deployed.wait_status("declined", "CANCELLED")
    wait_for(lambda: not deployed.locks("declined"), "the locks of the declined drill to be free")


def test_the_first_day_is_accepted(deployed: Deployment, worker_role: str, tmp_path: Path) -> None:
    """`tidegate accept` on what Terraform made: the roles' rendered policies allow what the contract says, on the resources and
    under the conditions it says; the notification is not left undelivered; the plan and three declined gates run as assumed."""
    report = tmp_path / "report.json"
    said = deployed.tidegate(
        "accept", "--environment", PREFIX, "--plan", "crm", "--yes", "--out", str(report), "--worker-role", worker_role,
        ok=(0, 1), told=True,
    )  # fmt: skip
    lines = json.loads(report.read_text())["lines"]
    verdicts: dict[str, set[str]] = {}
    for line in lines:
        verdicts.setdefault(line["place"].split("#")[1], set()).add(line["verdict"])
    for row in ("iam-rights", "events-to-topic", "sfn-machine-runs", "sfn-declined-ends", "sfn-hand-over"):
        assert verdicts[row] == {"asAssumed"}, said


@pytest.fixture
def worker_role(deployed: Deployment) -> Iterator[str]:
    """The role that environments with workers make: here they run elsewhere, with the policies that Terraform puts out for it."""
    iam, name, policies = deployed.engines.client("iam"), f"{PREFIX}-worker-elsewhere", deployed.outputs["worker_policies"]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for policy, document in policies.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
    yield str(role)
    for policy in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def refused(deployed: Deployment, *arguments: str, person: dict[str, str]) -> None:
    """The command fails, and for no other reason than a right."""
    said = deployed.tidegate(*arguments, ok=(1, 2, 3, 4, 5), person=person, told=True)
    assert "denied" in said.lower() or "not authorized" in said.lower() or "may not" in said.lower(), said


def test_the_guides_test_event_reaches_people(deployed: Deployment) -> None:
    """c-42: the pause the guide has its user wait for goes through bus, rule, words and topic to whoever is subscribed."""
    sqs, sns = deployed.engines.client("sqs"), deployed.engines.client("sns")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=deployed.outputs["topic_arn"], Protocol="sqs", Endpoint=arn)
        guide.run(deployed, LOGGED_IN + "".join(guide.blocks("when told")))
        told = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), "the message")
        text = json.loads(told[0]["Body"])["Message"]
        assert "told of plan crm is PAUSED before wave 3" in text and all(json.loads(line) for line in text.splitlines())
        deployed.wait_status("told", "PAUSED")
        deployed.tidegate("decline", "told", "--reason", "only a test")
        deployed.wait_status("told", "CANCELLED")
    finally:
        sqs.delete_queue(QueueUrl=queue)


def test_nobody_else_reaches_people(deployed: Deployment) -> None:
    """An event of another sender is refused by the bus, and no rule of ours believes it on the default one."""
    events = deployed.engines.client("events")
    detail = json.dumps({"executionId": "forged", "planId": "crm", "executionType": "DRILL", "waveNumber": 1, "reason": "believe me"})
    resources = [deployed.execution_arn("forged")]
    event = {"Source": "tidegate", "DetailType": "Tidegate Execution Paused", "Detail": detail, "Resources": resources}
    with pytest.raises(events.exceptions.ClientError, match="explicit deny in a resource-based policy"):
        events.put_events(Entries=[{**event, "EventBusName": PREFIX}])
    patterns = [json.loads(rule["EventPattern"]) for rule in events.list_rules(NamePrefix=PREFIX)["Rules"]]
    assert patterns and {source for pattern in patterns for source in pattern["source"]} == {"aws.states"}
    forged = {**event, "Source": "aws.states", "DetailType": "Step Functions Execution Status Change"}
    (answer,) = events.put_events(Entries=[forged])["Entries"]
    assert answer["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_stopped_execution_is_repaired(deployed: Deployment, people: dict[str, dict[str, str]]) -> None:
    """AC-7.5, NFR-1.2: StopExecution skips Finalize; the rule that Terraform made starts the reconcile machine, which closes
    the record and frees the servers. No schedule polls for it."""
    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "stopped")
    deployed.wait_status("stopped", "PAUSED")
    assert deployed.locks("stopped")
    deployed.sfn.stop_execution(executionArn=deployed.execution_arn("stopped"), error="Operator", cause="test")
    assert deployed.execution("stopped")["status"] == "ABORTED"
    record = wait_for(
        lambda: (found := deployed.record("stopped")) and found["status"] not in RUNNING and found, "the repaired record"
    )
    assert record["status"] in ("FAILED", "CANCELLED") and record["endTime"]
    wait_for(lambda: not deployed.locks("stopped"), "the locks of the stopped execution to be free")
    # Nothing is terminated unasked; asked, the machine that Terraform made cleans up, too.
    deployed.tidegate("reconcile", "stopped", "--clean-up", person=people["reconcile"])
    wait_for(lambda: (deployed.record("stopped") or {})["cleanup"]["status"] == "COMPLETED", "the cleanup of what it left")


def test_an_apply_leaves_a_run_in_flight_alone(deployed: Deployment, record_property: Record) -> None:
    """AC-7.7, FR-8.10: the next release while an execution waits at its gate: updates in place, nothing replaced or removed,
    a new version behind the alias; what runs ends as it began, on the activities it knows; what starts next is new."""
    version = deployed.routed_version()
    old = deployed.definition(version=version)
    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "in-flight")
    deployed.wait_status("in-flight", "PAUSED")

    next_release(deployed)
    changes = deployed.terraform.planned()
    created = [change["address"] for change in changes if change["actions"] == ["create"]]
    assert created == [f'module.tidegate.module.activities.aws_sfn_activity.this["{NEW_ACTIVITY}"]']
    others = [change for change in changes if change["address"] not in created]
    assert others and all(change["actions"] == ["update"] for change in others), changes
    seconds = deployed.apply_planned()
    record_property("apply with an execution in flight", f"{seconds:.0f} s, {len(others)} updates, 1 new activity")
    assert deployed.routed_version() == version + 1
    assert {OLD_ACTIVITY, NEW_ACTIVITY} <= set(deployed.outputs["activity_arns"])
    assert json.loads(deployed.definition(version=version + 1))["TimeoutSeconds"] == 2_000_000
    assert deployed.definition(version=version) == old, "a published version has changed"

    deployed.tidegate("resume", "in-flight")
    deployed.tidegate("watch", "in-flight")
    assert deployed.wait_status("in-flight", "COMPLETED")["completedWaves"] == 3
    went = deployed.states_entered("in-flight")
    assert LATE_STATE in went and LATE_STATE + SUFFIX not in went

    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "after", "--mode", "check")
    wait_for(lambda: deployed.execution("after")["status"] != "RUNNING", "the check")
    assert deployed.execution("after")["status"] == "SUCCEEDED"
    assert CHECK_STATE + SUFFIX in deployed.states_entered("after")


def test_a_worker_of_the_release_before_starts(deployed: Deployment) -> None:
    """AC-7.7: rolled back alone, the worker is given an activity it does not know. It says so and serves the others."""
    assert NEW_ACTIVITY in deployed.environment["TIDEGATE_ACTIVITY_ARNS"]
    deployed.stop_workers()
    deployed.start_worker()
    said = [json.loads(line) for line in deployed.log(2).read_text().splitlines() if "ActivitiesUnknown" in line]
    assert [(line["level"], line["activities"]) for line in said] == [("WARN", f'["{NEW_ACTIVITY}"]')]
    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "served", "--mode", "check")
    wait_for(lambda: deployed.execution("served")["status"] == "SUCCEEDED", "the check")


def test_the_guide_rolls_back(deployed: Deployment) -> None:
    """AC-7.7: the alias goes to the first version at once, and the next plan says that it would go forward again. The release
    before then takes away what the one after it brought, which is why the guide has its user wait for what runs on that."""
    newest = deployed.routed_version()
    assert newest > 1
    move, wait = guide.blocks()[6:]
    guide.run(deployed, LOGGED_IN + move)
    assert deployed.routed_version() == 1
    changes = deployed.terraform.planned()
    assert [(one["type"], one["actions"]) for one in changes] == [("aws_sfn_alias", ["update"])], changes

    release_before(deployed)
    gone = [one["address"] for one in deployed.terraform.planned() if "delete" in one["actions"]]
    assert gone == [f'module.tidegate.module.activities.aws_sfn_activity.this["{NEW_ACTIVITY}"]']
    assert "[]" in guide.run(deployed, LOGGED_IN + f"VERSION={newest}\n" + wait)
    deployed.apply_planned()
    # Not the next number: a publish that the provider repeats on a slow machine makes two.
    assert deployed.routed_version() > newest
    assert json.loads(deployed.definition())["States"].keys() == json.loads(deployed.definition(version=1))["States"].keys()
    deployed.tidegate("start", "--plan", "crm", "--type", "drill", "--name", "rolled-back", "--mode", "check")
    wait_for(lambda: deployed.execution("rolled-back")["status"] == "SUCCEEDED", "the check")


def test_nothing_has_leaked(deployed: Deployment) -> None:
    """A task token is a capability: neither logs nor Terraform's state may hold one."""
    logs = "".join(path.read_text(errors="replace") for path in (deployed.copy / "logs").glob("*.log"))
    assert "TaskFinished" in logs
    assert "taskToken" not in logs


def test_destroy_leaves_nothing(
    deployed: Deployment, people: dict[str, dict[str, str]], before: set[str], record_property: Record
) -> None:
    """AC-7.8, AC-7.2: by the guide's commands, what Terraform made goes, and nothing else does. Last: nothing works afterwards."""
    deployed.stop_workers()
    for operator in people:
        deployed.leave(operator)
    assert deployed.engines.inventory() > before
    began = time.monotonic()
    guide.run(deployed, "".join(guide.blocks("last")))
    record_property("destroy, in the guide's two steps", f"{time.monotonic() - began:.0f} s")
    assert deployed.terraform.resources() == []
    assert deployed.engines.inventory() == before
