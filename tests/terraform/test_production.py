"""What prod's wiring makes, applied by the real provider to the local engines: roles and their rights, machines, services."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import linters
import pytest
from configuration import CHECKOUT, TERRAFORM
from production import ADDITIONAL, DIGEST, TARGET_ACCOUNT, TARGET_ROLE, Production, listed, statements

from local.lifecycle import ACCOUNT

pytestmark = pytest.mark.terraform

CONTRACT = json.loads((CHECKOUT / "statemachine" / "contract" / "contract.json").read_text())
PREFIX = "tidegate-prod"
# The role of each process the contract lists.
ROLES = {
    "worker": f"{PREFIX}-worker-task",
    "worker-start": f"{PREFIX}-worker-execution",
    "recovery-machine": f"{PREFIX}-recovery-machine",
    "reconcile-machine": f"{PREFIX}-reconcile-machine",
    "reconcile-rule": f"{PREFIX}-reconcile-rule",
    "notification-rules": f"{PREFIX}-notifications-rule",
    "pause-watch": f"{PREFIX}-pause-watch",
    "pause-watch-rule": f"{PREFIX}-pause-watch-rule",
}
# What parliament says wrongly, because its copy of AWS's lists is of 2024: (issue, a pattern of what it says) and the reason.
PARLIAMENT_ERRS = {
    ("UNKNOWN_ACTION", "drs:ListRecoveryPlan"): "DRS has native recovery plans since 2026",
    ("UNKNOWN_CONDITION_FOR_ACTION", "aws:ViaAWSService"): "a global key: every action has it",
    ("RESOURCE_MISMATCH", "'states:DescribeExecution'.*:express:"): "our machines are standard ones; it asks for both kinds",
    ("RESOURCE_MISMATCH", "'ssm:SendCommand'.*:document/"): "needs the document and the instances, which are in a Sid each",
    ("RESOURCE_MISMATCH", "'ssm:DescribeDocument'.*'ssm:GetDocument'"): "AWS's own documents belong to no account; it asks for one",
    ("RESOURCE_MISMATCH", "'ssm:StartAutomationExecution'"): "authorised on document and execution by now, as DRS's own policy has it",
}
# Sids that prod's settings leave out, and the setting; their modules' own tests render them.
NOT_IN_PROD = {
    "AdministratorsManageButDoNotUse": "encryption-key with named administrators",
}


def test_the_first_apply_needs_no_image(production: Production, record_property: Callable[[str, object], None]) -> None:
    """AC-7.1, FR-8.1: first the repository, so that there is somewhere to push to; then one service, image by digest."""
    record_property("first apply of environments/prod", f"{production.first.seconds:.0f} s")
    record_property("second apply, with the image", f"{production.second.seconds:.0f} s, {len(production.resources)} resources")
    assert production.without_image["worker"]["service_name"] is None
    assert production.without_image["worker"]["repository_url"] == production.outputs["worker"]["repository_url"]
    services = [one for one in production.resources if one["type"] == "aws_ecs_service"]
    assert len(services) == 1, "exactly one worker service (AC-1.5)"
    tasks = [one["values"] for one in production.resources if one["type"] == "aws_ecs_task_definition"]
    assert [(task["cpu"], task["memory"]) for task in tasks] == [("1024", "2048")]
    (container,) = json.loads(tasks[0]["container_definitions"])
    assert container["image"].endswith(f"@{DIGEST}")
    assert container["readonlyRootFilesystem"] is True and container["stopTimeout"] > 90
    assert container["healthCheck"]["command"][-1].endswith("healthcheck")


def test_logs_are_kept_thirty_days(production: Production) -> None:
    """TC-2.4."""
    kept = {one["address"]: one["values"]["retention_in_days"] for one in production.resources if one["type"] == "aws_cloudwatch_log_group"}
    assert kept and set(kept.values()) == {30}, kept


def test_nothing_of_the_old_design_is_deployed(production: Production) -> None:
    """AC-1.2, AC-1.3, FR-1.5, AC-7.2, FR-8.2, FR-8.3, AC-7.5, FR-8.7: no function, no finder, no poller; the only schedule is
    the pause watch, which reads."""
    types = {one["type"] for one in production.resources}
    assert not [name for name in types if name.startswith(("aws_lambda", "aws_api_gateway", "aws_apigateway"))]
    scheduled = [
        one["values"]["name"]
        for one in production.resources
        if one["type"] == "aws_cloudwatch_event_rule" and one["values"].get("schedule_expression")
    ]
    scheduled += [one["values"]["name"] for one in production.resources if one["type"] == "aws_scheduler_schedule"]
    assert all("pause-watch" in name for name in scheduled), scheduled


@pytest.mark.parametrize("process", [one["name"] for one in CONTRACT["processes"]])
def test_every_process_may_do_what_the_contract_says_and_no_more(production: Production, process: str) -> None:
    """AC-7.6, FR-8.8: the union of the actions in the policies of its role is the contract's list."""
    (wanted,) = [one for one in CONTRACT["processes"] if one["name"] == process]
    wanted = {*wanted["awsActions"], *wanted["forwardedActions"], *wanted["keyActions"]}
    allowed = production.actions_of_role(ROLES[process])
    lower = {action.lower() for action in allowed}
    assert lower == {action.lower() for action in wanted}


def test_whoever_reads_a_table_may_use_its_key(production: Production) -> None:
    """The policy of a key made elsewhere may name nobody but the account: then a right to the table is not enough."""
    readers = {
        address: text
        for address, text in production.identity_policies().items()
        if "dynamodb:" in text and (".aws_iam_policy." in address or "pause_watch" in address)
    }
    people = {one["name"] for one in CONTRACT["operators"]}
    assert len(readers) == len(people) + 2, sorted(readers)  # the pause watch and the worker
    for address, text in readers.items():
        keys = [one for one in statements(text) if "kms:Decrypt" in listed(one["Action"])]
        assert [one["Condition"]["StringEquals"]["kms:ViaService"] for one in keys] == ["dynamodb.us-west-2.amazonaws.com"], address


def test_a_companys_own_policy_is_attached_to_whoever_launches(production: Production) -> None:
    """additional_worker_policies, in the control plane and in a target account: what own automations take."""
    attached = {
        (one["values"]["role"], one["values"]["policy_arn"])
        for one in production.resources
        if one["type"] == "aws_iam_role_policy_attachment" and one["values"]["policy_arn"].endswith("create-image")
    }
    worker, target = ROLES["worker"], TARGET_ROLE.rpartition("/")[2]
    assert attached == {(worker, ADDITIONAL), (target, ADDITIONAL.replace(ACCOUNT, TARGET_ACCOUNT))}


def test_no_role_belongs_to_two_processes(production: Production) -> None:
    roles = {one["values"]["name"] for one in production.resources if one["type"] == "aws_iam_role"}
    assert roles == {*ROLES.values(), TARGET_ROLE.rpartition("/")[2]}


def test_every_statement_says_what_it_is_for(production: Production) -> None:
    """A Sid per statement, unique in its policy; and no role or person is allowed an action by wildcard."""
    wrong = []
    for address, text in production.policies().items():
        sids = [statement.get("Sid", "") for statement in statements(text)]
        if "" in sids or len(set(sids)) != len(sids):
            wrong.append(f"{address}: {sids}")
    for address, text in production.identity_policies().items():
        for statement in statements(text):
            wide = [action for action in listed(statement.get("Action", ["*"])) if "*" in action]
            if statement["Effect"] == "Allow" and wide:
                wrong.append(f"{address}: {statement['Sid']} allows {wide}")
    assert not wrong, "\n".join(wrong)


def test_parliament_has_no_complaint(production: Production) -> None:
    """AC-7.6: misspelt actions, resources an action does not take, malformed documents."""
    policies = production.identity_policies()
    assert len(policies) > 15
    said = [
        (issue, f"{detail} {about}", address)
        for address, issues in linters.parliament(policies).items()
        for issue, detail, about in issues
    ]
    erring = {
        known: [one for one in said if one[0] == known[0] and re.search(known[1], one[1])] for known in PARLIAMENT_ERRS
    }
    assert all(erring.values()), f"no longer said, take it out: {[known for known, found in erring.items() if not found]}"
    right = set(said) - {one for found in erring.values() for one in found}
    assert not right, "\n".join(map(str, sorted(right)))


def test_every_policy_template_was_rendered(production: Production) -> None:
    """What the tests above looked at is all there is: each template's Sids are in a document of the state."""
    rendered = "\n".join(production.policies().values())
    missing = []
    for template in sorted((CHECKOUT / TERRAFORM / "modules").rglob("policies/**/*.json.tftpl")):
        for sid in re.findall(r'"Sid"\s*:\s*"([^"$]+)"', template.read_text()):
            if sid not in NOT_IN_PROD and not re.search(rf'"Sid"\s*:\s*"{sid}"', rendered):
                missing.append(f"{template.relative_to(CHECKOUT)}: {sid}")
    assert not missing, "\n".join(missing)


def test_checkov_finds_what_is_accepted_and_nothing_else(production: Production, tmp_path: Path) -> None:
    """Over the plans and not the code: values are filled in, and its parser of the code gives up on large files. What it finds
    only before the apply is an ARN nobody knows yet; what it finds only afterwards is the engines' own."""
    before, afterwards, target = (
        _failed_checks(plan, tmp_path) for plan in (production.plan, production.plan_afterwards, production.target_plan)
    )
    found = (before & afterwards) | target
    accepted = linters.accepted_by_checkov()
    assert all(accepted.values()), "each needs a reason"
    news = sorted(f"{check} {resource}" for check, resource in found if check not in accepted)
    assert not news, "\n".join(news)
    unused = set(accepted) - {check for check, _ in found}
    assert not unused, f"accepted, but not found: {unused}"


def _failed_checks(plan: dict[str, object], folder: Path) -> set[tuple[str, str]]:
    file = folder / "plan.json"
    file.write_text(json.dumps(plan))
    report = linters.checkov(file)
    assert report["summary"]["passed"] > 5 and report["summary"]["parsing_errors"] == 0, report["summary"]
    return {(one["check_id"], f"{one['resource']}: {one['check_name']}") for one in report["results"]["failed_checks"]}


def test_other_accounts_trust_one_role_and_one_external_id(production: Production) -> None:
    """c-24: by full ARN, and no session without the word both sides know."""
    (trust,) = (
        one["values"]["assume_role_policy"]
        for one in production.resources
        if one["type"] == "aws_iam_role" and one["values"]["name"] == TARGET_ROLE.rpartition("/")[2]
    )
    takers = [one for one in statements(trust) if "sts:AssumeRole" in listed(one["Action"])]
    assert takers and all(one["Effect"] == "Allow" for one in takers)
    for one in takers:
        assert one["Principal"] == {"AWS": production.outputs["worker"]["task_role_arn"]}
        assert "sts:ExternalId" in one["Condition"]["StringEquals"]


def test_people_are_told_in_plain_text_and_without_a_token(production: Production) -> None:
    """c-42: a rule outside the machine tells them, so that what fails there fails no run; it passes on fields it names."""
    told = [
        one["values"]
        for one in production.resources
        if one["type"] == "aws_cloudwatch_event_target" and ":sns:" in one["values"]["arn"]
    ]
    assert told
    for target in told:
        (transformer,) = target["input_transformer"]
        assert not re.search("(?i)token", json.dumps(transformer)), target["rule"]
        assert all(line.startswith('"') for line in transformer["input_template"].splitlines()), target["rule"]
    assert all(":sns:" not in text for text in production.definitions().values())


def test_every_machine_is_valid(production: Production, tmp_path: Path) -> None:
    """AC-7.3: Amazon's schema, over the definitions with their ARNs filled in."""
    definitions = production.definitions()
    assert {f"{PREFIX}-{one['name']}" for one in CONTRACT["stateMachines"]} <= set(definitions)
    for name, text in definitions.items():
        file = tmp_path / f"{name}.asl.json"
        file.write_text(text)
        assert linters.asl_validator(file) == "", name
        assert "${" not in text, f"{name} has a placeholder left"
