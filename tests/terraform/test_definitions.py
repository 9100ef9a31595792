"""The definitions as text: their placeholders against what fills them, and Terraform's rendering against the local deploy's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from configuration import CHECKOUT, TERRAFORM, Directory, copy_to

from local import deploy

TERRAFORM_MODULES = CHECKOUT / "terraform" / "modules"
CONTRACT = deploy.load_contract(CHECKOUT / "statemachine" / "contract" / "contract.json")
ACCOUNT, REGION, PREFIX = "111122223333", "eu-west-1", "tidegate-x"


def used() -> set[str]:
    texts = ((CHECKOUT / "statemachine" / one["definition"]).read_text() for one in CONTRACT["stateMachines"])
    return {name for text in texts for name in re.findall(r"(?<!\$)\$\{([^}]*)\}", text)}


def activity_arns() -> dict[str, str]:
    names = deploy.resource_names(CONTRACT, PREFIX).activities
    return {name: f"arn:aws:states:{REGION}:{ACCOUNT}:activity:{full}" for name, full in names.items()}


def test_every_placeholder_is_filled_and_every_filling_used() -> None:
    """AC-7.3, FR-8.4: templatefile refuses a missing value and is silent about one too many. Tables are offered all: which of
    them a machine touches itself is the machine's business."""
    given = set(deploy.placeholder_values(CONTRACT, PREFIX, activity_arns()))
    assert used() <= given
    assert given - used() <= {table["placeholder"] for table in CONTRACT["tables"]}


DEFINITIONS = [
    *(CHECKOUT / "statemachine" / one["definition"] for one in CONTRACT["stateMachines"]),
    TERRAFORM_MODULES / "observability" / "pause-watch.asl.json",
]


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_a_definition_is_json_before_it_is_rendered(path: Path) -> None:
    """Tools that lint state machines read the file as it lies here."""
    assert json.loads(path.read_text())["States"]


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_every_arn_is_of_the_deployments_partition(path: Path, partition: str) -> None:
    """An integration of another partition is States.Runtime at run time, with the servers locked."""
    arns = {name: arn.replace("arn:aws:", f"arn:{partition}:") for name, arn in activity_arns().items()}
    values = {
        **deploy.placeholder_values(CONTRACT, PREFIX, arns), "Partition": partition,
        "Namespace": "n", "PausedSeconds": "60", "RepeatSeconds": "60",
    }  # fmt: skip
    states = json.loads(deploy.render(path.read_text(), values))["States"]
    resources = [state["Resource"] for state in states.values() if state["Type"] == "Task"]
    assert resources and {resource.split(":")[1] for resource in resources} == {partition}


@pytest.mark.terraform
def test_terraform_renders_what_the_local_deploy_renders(tmp_path: Path) -> None:
    """AC-7.3: for the same prefix, account and Region, the same bytes after normalising, without any engine between."""
    module = Directory(
        copy_to(tmp_path) / TERRAFORM / "modules" / "contract",
        {"TF_VAR_name_prefix": PREFIX, "TF_VAR_account_id": ACCOUNT, "TF_VAR_region": REGION},
    )
    module.init()
    module.apply()
    rendered = module.outputs()["state_machines"]
    values = deploy.placeholder_values(CONTRACT, PREFIX, activity_arns())
    assert set(rendered) == {one["name"] for one in CONTRACT["stateMachines"]}
    for machine in CONTRACT["stateMachines"]:
        text = (CHECKOUT / "statemachine" / machine["definition"]).read_text()
        wanted = json.dumps(json.loads(deploy.render(text, values)), sort_keys=True)
        assert json.dumps(json.loads(rendered[machine["name"]]["definition"]), sort_keys=True) == wanted
