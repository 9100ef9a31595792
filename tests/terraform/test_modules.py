"""FR-8.1..FR-8.9: every module and environment is well formed, valid against the provider's schema, and passes its own tests."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from configuration import CHECKOUT, TERRAFORM, Directory, directories

MODULES = directories("modules")
ENVIRONMENTS = directories("environments")
AT_ONCE = 2


def test_there_is_something_to_test() -> None:
    assert {path.name for path in ENVIRONMENTS} == {"dev", "test", "prod", "local"}
    assert MODULES


@pytest.mark.terraform
def test_the_code_is_formatted(copy: Path) -> None:
    answer = Directory(copy / TERRAFORM).run("fmt", "-check", "-recursive", "-diff", ok=(0, 3))
    assert answer.code == 0, f"run `make fmt`:\n{answer.out}"


@dataclass(frozen=True)
class Outcome:
    """What came of one directory: why it failed, if it did, and how many runs `terraform test` had."""

    wrong: str
    runs: int


@pytest.fixture(scope="module")
def tested(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Future[Outcome]]]:
    """All directories, two at a time: most of each is Terraform starting the provider to ask for its schema."""
    reports = tmp_path_factory.mktemp("reports")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {path: pool.submit(_test, path, copy, reports) for path in MODULES + ENVIRONMENTS}


def _test(path: Path, copy: Path, reports: Path) -> Outcome:
    here, report = Directory(copy / path), reports / f"{path.parent.name}-{path.name}.xml"
    for arguments in (["init", "-backend=false", "-input=false"], ["validate"], ["test", f"-junit-xml={report}"]):
        answer = here.run(*arguments, "-no-color", ok=(0, 1))
        if answer.code != 0:
            return Outcome(f"terraform {arguments[0]}:\n{answer.text[-6000:]}", 0)
    runs = list(ElementTree.parse(report).getroot().iter("testcase"))
    skipped = [run.get("name") for run in runs if run.find("skipped") is not None]
    return Outcome(f"skipped: {skipped}" if skipped else "" if runs else "there are no tests", len(runs))


@pytest.mark.terraform
@pytest.mark.parametrize("path", MODULES + ENVIRONMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_is_valid_and_passes_its_tests(
    path: Path, tested: dict[Path, Future[Outcome]], record_property: Callable[[str, object], None]
) -> None:
    """US-7: init, validate and `terraform test`, whose runs are counted: a directory without any proves nothing."""
    found = tested[path].result()
    assert not found.wrong, found.wrong
    record_property("terraform runs", found.runs)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_module_is_used_or_stands_alone(path: Path) -> None:
    """A module no environment uses, directly or through another, is deployed by nobody; one is deployed by itself."""
    used = "\n".join(file.read_text() for file in (CHECKOUT / TERRAFORM).rglob("*.tf") if ".terraform" not in file.parts)
    assert f'/{path.name}"' in used or path.name == "target-account-role"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environments_only_wire(path: Path) -> None:
    blocks = [
        line
        for file in sorted((CHECKOUT / path).glob("*.tf"))
        for line in file.read_text().splitlines()
        if line.startswith("resource ")
    ]
    assert not blocks, f"{path} holds resources; they belong into a module"
