"""The guide and the environments' example files: a setting that is named there can be given there, and the example works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from configuration import CHECKOUT, TERRAFORM, Directory, copy_to

GUIDE = (CHECKOUT / "docs" / "deployment.md").read_text()
ENVIRONMENTS = ("dev", "test", "prod")
MODULES = CHECKOUT / TERRAFORM / "modules"
_DECLARED = re.compile(r'^(?:variable|output) "([a-z_]+)"', re.MULTILINE)
# A word with an underscore in backticks, alone or with its value.
_SETTING = re.compile(r"`([a-z]+(?:_[a-z]+)+)(?: = [^`]*)?`")
_IN_EXAMPLE = re.compile(r"^(?:# )?([a-z_]+) += ", re.MULTILINE)
_RUN = """
run "example" {
  command = plan

  assert {
    condition     = contains(output.plan_ids, "crm")
    error_message = "The plans are not found."
  }
  assert {
    condition     = output.env.TIDEGATE_TAG_JOBS == "true"
    error_message = "The example's values were not read."
  }
}
"""
IMAGE = "sha256:" + "0123456789abcdef" * 4


def folder(environment: str) -> Path:
    return CHECKOUT / TERRAFORM / "environments" / environment


def declared(path: Path, file: str) -> set[str]:
    return set(_DECLARED.findall((path / file).read_text()))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_setting_of_the_guide_can_be_given(environment: str) -> None:
    """Terraform only warns of a value for a variable that is not declared: a fence believed to be there would not be."""
    here = declared(folder(environment), "variables.tf") | declared(folder(environment), "outputs.tf")
    # Said of the module that is applied in other accounts.
    elsewhere = declared(MODULES / "target-account-role", "variables.tf") | declared(MODULES / "target-account-role", "outputs.tf")
    unknown = []
    for paragraph in GUIDE.split("\n\n"):
        for name in _SETTING.findall(paragraph):
            known = name in here or name.startswith("aws_") or "main.tf" in paragraph or name == "role_arn"
            if not known and not (name in elsewhere and "target-account-role" in paragraph):
                unknown.append(name)
    assert not unknown, f"environments/{environment} has no such variable or output: {unknown}"
    assert len(_SETTING.findall(GUIDE)) > 20, "the guide names settings"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_example_shows_every_variable(environment: str) -> None:
    example = (folder(environment) / "terraform.tfvars.example").read_text()
    assert set(_IN_EXAMPLE.findall(example)) == declared(folder(environment), "variables.tf")


@pytest.mark.terraform
def test_the_example_with_everything_on_is_accepted(tmp_path: Path) -> None:
    """dev with the values of its example file, none left out, and plans at the path the guide gives: its own tests, which
    otherwise set the values themselves."""
    copy = copy_to(tmp_path)
    here = Directory(copy / TERRAFORM / "environments" / "dev")
    example = (here.path / "terraform.tfvars.example").read_text()
    given = re.sub(r"^# (?=[a-z_]+ += )", "", example, flags=re.MULTILINE)
    # Left at their defaults: without workers there are no endpoints, and a public address is the other way out.
    given = re.sub(r"^(workers_enabled|assign_public_ip) .*\n", "", given, flags=re.MULTILINE).replace("sha256:...", IMAGE)
    (here.path / "terraform.tfvars").write_text(given)
    shutil.copytree(CHECKOUT / "statemachine" / "inputs", copy / "my-plans")
    tests = here.path / "tests" / "dev.tftest.hcl"
    text, there = re.subn(r"^variables \{.*?^\}\n", "", tests.read_text(), count=1, flags=re.MULTILINE | re.DOTALL)
    assert there == 1
    # In the place of its runs, which turn on and off what the example does, one with nothing but the example's values.
    tests.write_text(re.split(r'^run "', text, maxsplit=1, flags=re.MULTILINE)[0] + _RUN)
    here.init()
    answer = here.run("test", "-no-color", ok=(0, 1))
    assert answer.code == 0 and "undeclared" not in answer.text, answer.text[-4000:]
