"""Tests of what ships as Terraform code, of the image, and of the guide that tells how to use both.

    make test-terraform         all of it, with what it needs installed
    .venv/bin/python -m pytest tests/terraform -n 3 --dist loadfile

`provider.py` finds Terraform's AWS provider, `configuration.py` runs Terraform in a copy of the checkout, `engines.py` is the
local stack without its deployment, `deployment.py` is what Terraform made there, as a worker and the `tidegate` tool see it,
`linters.py` runs checkov, parliament and asl-validator out of `.venv-terraform`. No test here reads or changes an AWS account.

A test that needs Terraform is marked `terraform`. Where Terraform or its provider cannot be had, it is skipped and says so; CI
takes a skip for a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

import provider
from configuration import copy_to
from engines import Engines
from production import Production

# How the controller of pytest-xdist tells its workers what it has found.
_FOUND = "TIDEGATE_TEST_TERRAFORM"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "terraform: needs Terraform and its AWS provider")
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        # Once per run and not per process: the search costs seconds, and a cache may not be filled by two at a time.
        work = Path(tempfile.mkdtemp(prefix="tidegate-terraform-"))
        config.add_cleanup(lambda: shutil.rmtree(work, ignore_errors=True))
        found = provider.find(os.environ, work)
        os.environ.update(found.environment)
        os.environ[_FOUND] = json.dumps({"source": found.source, "missing": found.missing})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, one for each process; the short ones come when one of them is done."""
    first = ("test_drill", "test_production", "test_modules")
    items.sort(key=lambda item: next((at for at, name in enumerate(first) if item.path.stem == name), len(first)))


@pytest.fixture(autouse=True)
def _terraform_is_there(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("terraform"):
        missing = json.loads(os.environ[_FOUND])["missing"]
        if missing:
            pytest.skip(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = json.loads(os.environ.get(_FOUND, "{}"))
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    figures = [figure for one in reports if one.when == "call" for figure in one.user_properties]
    runs = [value for name, value in figures if name == "terraform runs"]
    terminalreporter.section("terraform")
    terminalreporter.write_line(f"provider: {found.get('source') or found.get('missing') or 'not looked for'}")
    terminalreporter.write_line(f"terraform test: {sum(runs)} runs in {len(runs)} directories")
    for name, value in figures:
        if name != "terraform runs":
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This process's copy of the Terraform code."""
    return copy_to(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Strict MiniStack and the DRS simulator, nothing deployed."""
    with Engines(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def production(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Production:
    """prod and a target account's role, applied to engines that nobody else uses; they go with the engines."""
    return Production(engines, copy_to(tmp_path_factory.mktemp("production")))
