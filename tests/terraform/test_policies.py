"""US-7, FR-8.8: what the policies allow is what the contract says is called: no more, no less.

The templates are read as text, so that what a variable switches off counts, too. Actions may not be computed; that the text
is read right is held against what Terraform renders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from configuration import CHECKOUT, Directory

MODULES = CHECKOUT / "terraform" / "modules"
CONTRACT = json.loads((CHECKOUT / "statemachine" / "contract" / "contract.json").read_text())
PROCESSES = {process["name"]: process for process in CONTRACT["processes"]}

# Which templates make up a process's rights.
TEMPLATES = {
    "worker": [f"contract/{name}" for name in ("worker", "drs-observe", "drs-launch", "drs-actions", "drs-cleanup")],
    "recovery-machine": ["contract/machine-recovery", "contract/machine-platform"],
    "reconcile-machine": ["contract/machine-reconcile", "contract/machine-platform"],
    "worker-start": ["contract/worker-execution"],
    "reconcile-rule": ["notifications/start-reconcile"],
    "notification-rules": ["notifications/publish"],
    "pause-watch": ["observability/pause-watch"],
    "pause-watch-rule": ["observability/start-pause-watch"],
}
# Policies of a resource: who may come near it, not what a process may do.
OF_RESOURCES = {"encryption-key/key", "event-bus/bus", "notifications/queue", "notifications/topic"}
OF_RESOURCES |= {f"vpc-endpoints/{name}" for name in ("dynamodb", "s3", "interface")}


@dataclass(frozen=True)
class Statement:
    sid: str
    effect: str
    actions: tuple[str, ...]
    text: str


def template_names() -> list[str]:
    found = MODULES.glob("*/policies/*.json.tftpl")
    return sorted(f"{path.parts[-3]}/{path.name.removesuffix('.json.tftpl')}" for path in found)


def template_text(name: str) -> str:
    module, _, file = name.partition("/")
    folder = MODULES / module / "policies"
    text = (folder / f"{file}.json.tftpl").read_text()

    def fragment(match: re.Match[str]) -> str:
        path = folder / "fragments" / f"{match.group(1).replace('_', '-')}.json.tftpl"
        return path.read_text() if path.exists() else match.group(0)

    return re.sub(r"\$\{([a-z_]+)\}", fragment, text)


def statements(name: str) -> Iterator[Statement]:
    """The statements of a template. Each begins with its Sid, which the head of every policies/README.md asks for."""
    parts = re.split(r'"Sid":\s*"', template_text(name))[1:]
    for part in parts:
        sid = part.partition('"')[0]
        effect = re.search(r'"Effect":\s*"(Allow|Deny)"', part)
        actions = re.search(r'"Action":\s*("[^"]*"|\[[^\]]*\])', part)
        assert effect and actions, f"{name}: the statement {sid} has no Effect, or no Action in plain words"
        words = json.loads(actions.group(1))
        yield Statement(sid, effect.group(1), tuple([words] if isinstance(words, str) else words), part)


def allowed(*names: str) -> set[str]:
    return {
        action
        for name in names
        for statement in statements(name)
        if statement.effect == "Allow"
        for action in statement.actions
    }


def is_trust(name: str) -> bool:
    return name.rpartition("/")[2].startswith("trust")


def test_every_template_belongs_to_somebody() -> None:
    claimed = {name for names in TEMPLATES.values() for name in names} | OF_RESOURCES
    claimed |= {f"operator-policies/{operator['name']}" for operator in CONTRACT["operators"]}
    found = {name for name in template_names() if not is_trust(name)}
    assert found == claimed


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_may_do_what_it_calls_and_nothing_else(name: str) -> None:
    process = PROCESSES[name]
    called = {*process["awsActions"], *process["forwardedActions"], *process["keyActions"]}
    given = allowed(*TEMPLATES[name])
    assert given == called, {"too much": sorted(given - called), "missing": sorted(called - given)}


@pytest.mark.parametrize("operator", CONTRACT["operators"], ids=lambda operator: operator["name"])
def test_a_person_may_do_what_the_commands_of_the_role_call(operator: dict[str, list[str]]) -> None:
    called = {*operator["awsActions"], *operator["keyActions"]}
    given = allowed(f"operator-policies/{operator['name']}")
    assert given == called, {"too much": sorted(given - called), "missing": sorted(called - given)}


def test_the_union_of_all_policies_is_the_union_of_the_contract() -> None:
    called = {
        action
        for one in [*CONTRACT["processes"], *CONTRACT["operators"]]
        for kind in ("awsActions", "forwardedActions", "keyActions")
        for action in one.get(kind, [])
    }
    given = allowed(*(name for name in template_names() if name not in OF_RESOURCES and not is_trust(name)))
    assert given == called


def test_every_activity_and_machine_is_in_a_process() -> None:
    worker = set(PROCESSES["worker"]["awsActions"])
    for activity in CONTRACT["activities"]:
        assert worker >= set(activity["awsActions"]), activity["name"]
    for machine in CONTRACT["stateMachines"]:
        assert set(PROCESSES[f"{machine['name']}-machine"]["awsActions"]) >= set(machine["awsActions"])


def test_every_command_of_the_tool_is_in_the_contract() -> None:
    source = (CHECKOUT / "cli" / "src" / "args.rs").read_text()
    body = re.search(r"enum Command \{(.*?)\n\}", source, re.DOTALL)
    assert body
    shipped = {word.lower() for word in re.findall(r"^\s+([A-Z][A-Za-z]+)\(", body.group(1), re.MULTILINE)}
    assert shipped == {command["name"] for command in CONTRACT["commands"]}


@pytest.mark.parametrize("name", [name for name in template_names() if name not in OF_RESOURCES])
def test_actions_are_plain_and_statements_have_a_name(name: str) -> None:
    """No wildcard in an action: `drs:Describe*` would grow with AWS. Policies of resources have AWS's own wording."""
    found = list(statements(name))
    assert found, f"{name} has no statement with a Sid"
    assert template_text(name).count('"Effect"') == len(found), f"{name} has a statement without a Sid"
    assert not [action for one in found for action in one.actions if "*" in action]
    if is_trust(name):
        assert {action for one in found for action in one.actions} <= {"sts:AssumeRole", "sts:TagSession"}


@pytest.mark.parametrize("name", [name for name in template_names() if not is_trust(name) and name not in OF_RESOURCES])
def test_every_resource_wildcard_has_its_reason(name: str) -> None:
    everything = [one.sid for one in statements(name) if one.effect == "Allow" and re.search(r'"Resource":\s*"\*"', one.text)]
    module = MODULES / name.partition("/")[0]
    readme = next((path for path in (module / "policies" / "README.md", module / "README.md") if path.exists()), None)
    reasons = readme.read_text() if readme else ""
    missing = [sid for sid in everything if f"`{sid}`" not in reasons]
    assert not missing, f"{name}: no reason for the * of {missing} in {readme}"


@pytest.mark.parametrize("name", ["contract/drs-launch", "contract/drs-actions"])
def test_what_changes_ec2_is_fenced(name: str) -> None:
    """Mutations only through DRS or on what DRS manages; roles are passed to EC2 only."""
    reads = re.compile(r"^(ec2:(Describe|Get)|drs:|ssm:(Describe|Get|List))|kms:DescribeKey")
    for one in statements(name):
        if one.effect == "Allow" and not all(reads.match(action) for action in one.actions):
            fences = ("aws:ViaAWSService", "aws:CalledVia", "AWSElasticDisasterRecoveryManaged", "iam:PassedToService", "kms:")
            assert any(f'"{fence}' in one.text or f"/{fence}" in one.text for fence in fences), one.sid
            assert '"Resource": "*"' not in one.text, one.sid
    passing = [one for one in statements(name) if "iam:PassRole" in one.actions]
    service = {"contract/drs-launch": "ec2", "contract/drs-actions": "ssm"}[name]
    assert passing and all(f'"iam:PassedToService": "{service}.amazonaws.com"' in one.text for one in passing)
    ending = [one for one in statements(name) if "ec2:TerminateInstances" in one.actions]
    assert all("AWSElasticDisasterRecoveryManaged" in one.text for one in ending)
    assert len(ending) == (name == "contract/drs-launch")


def everything_on() -> dict[str, object]:
    return {
        "name_prefix": "tidegate-x",
        "region": "us-west-2",
        "account_id": "111122223333",
        "target_accounts": {"444455556666": {"role_arn": "arn:aws:iam::444455556666:role/tidegate-target"}},
        "kms_key_arn": "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d",
        "volume_key_arns": ["arn:aws:kms:us-west-2:111122223333:key/4e5f6a7b"],
        "source_server_tags": {"Application": "crm"},
        "automation_role_arns": ["arn:aws:iam::111122223333:role/after-launch"],
        "tag_jobs": True,
    }


@pytest.mark.terraform
def test_what_terraform_renders_allows_the_same(copy: Path, tmp_path: Path) -> None:
    here = Directory(copy / "terraform" / "modules" / "contract")
    here.init()
    values = tmp_path / "all.tfvars.json"
    values.write_text(json.dumps(everything_on()))
    plan = tmp_path / "plan"
    here.plan(f"-var-file={values}", f"-out={plan}")
    shown = json.loads(here.run("show", "-json", str(plan)).out)
    policies: dict[str, str] = shown["planned_values"]["outputs"]["policies"]["value"]
    assert {f"contract/{name}" for name in policies} == {name for name in template_names() if name.startswith("contract/")}
    for name, text in policies.items():
        rendered = json.loads(text)["Statement"]
        actions = {
            action
            for one in rendered
            for action in (one["Action"] if isinstance(one["Action"], list) else [one["Action"]])
        }
        assert actions == allowed(f"contract/{name}")
        assert [one["Sid"] for one in rendered] == [one.sid for one in statements(f"contract/{name}")]
        assert len({one["Sid"] for one in rendered}) == len(rendered)
    sizes = {name: len(policies[name.partition("/")[2]]) for name in TEMPLATES["worker"]}
    assert max(sizes.values()) <= 6_144, f"a managed policy has at most 6,144 characters: {sizes}"


def test_the_worker_service_sets_what_the_worker_reads() -> None:
    """FR-8.1: every variable of config.rs and no other, but HOSTNAME, which containers have, and AWS_REGION, the SDK's."""
    source = (CHECKOUT / "workers" / "worker" / "src" / "config.rs").read_text()
    read = set(re.findall(r'env = "([A-Z_]+)"', source)) - {"HOSTNAME"}
    module = (MODULES / "workers" / "main.tf").read_text()
    block = re.search(r"environment = \{(.*?)\n  \}", module, re.DOTALL)
    assert block
    assert set(re.findall(r"^\s+([A-Z_]+)\s+=", block.group(1), re.MULTILINE)) - {"AWS_REGION"} == read
