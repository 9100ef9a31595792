"""The AWS CLI lines of the operator's documents, run with what `env_lines` gives on AWS: there the machine's ARN is that of its
alias, and an execution's ARN has no alias in it. The local stack's plain ARN hides the difference."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from configuration import CHECKOUT

MACHINE = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-dev-recovery"
# What cli/src/naming.rs makes of any of the three, by its own test.
EXECUTION = "arn:aws:states:us-west-2:111122223333:execution:tidegate-dev-recovery:drill-1"
QUALIFIERS = ("", ":live", ":7")
_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_OF_EXECUTION = re.compile(r"--execution-arn (\".*stateMachine.*\")$", re.MULTILINE)

# `aws` in the place of AWS: writes down what is asked of it.
_AWS = """#!/bin/bash
printf '%s\\n' "$@" > "$CALLED"
"""


def shell(script: str, machine: str, *, path: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.pathsep.join([*([str(path)] if path else []), os.environ["PATH"]]),
        "TIDEGATE_STATE_MACHINE_ARN": machine,
        "TIDEGATE_RECONCILE_ARN": machine.replace("recovery", "reconcile"),
        **more,
    }
    return subprocess.run(["bash", "-c", script], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def operations() -> tuple[str, str]:
    """Of docs/operations.md: what its lines use, and the reconcile by hand."""
    blocks = _SHELL.findall((CHECKOUT / "docs" / "operations.md").read_text())
    (names,) = [block for block in blocks if "\nARN=" in block]
    (reconcile,) = [block for block in blocks if "$TIDEGATE_RECONCILE_ARN" in block]
    return names, reconcile


@pytest.mark.parametrize("qualifier", QUALIFIERS)
def test_every_document_finds_the_execution(qualifier: str) -> None:
    found = 0
    for page in (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))):
        for expression in _OF_EXECUTION.findall(page.read_text()):
            said = shell(f"echo {expression}", MACHINE + qualifier)
            assert said.stdout.strip() == EXECUTION, f"{page.name}: {said.stdout}{said.stderr}"
            found += 1
    assert found >= 2, "README.md and docs/errors.md have such a line"
    names, _ = operations()
    assert shell(names + 'echo "$ARN"', MACHINE + qualifier).stdout.strip() == EXECUTION


@pytest.mark.parametrize("qualifier", QUALIFIERS)
def test_the_reconcile_by_hand_is_the_event(qualifier: str, tmp_path: Path) -> None:
    """The ARN of the execution is all there is to say; the machine's alias is no part of it."""
    done, called = reconcile(tmp_path, MACHINE + qualifier)
    assert done.returncode == 0, done.stderr
    arguments = called.read_text().splitlines()
    detail = json.loads("\n".join(arguments[arguments.index("--input") + 1 :]))["detail"]
    assert detail == {"executionArn": EXECUTION}


def reconcile(folder: Path, machine: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    stand_in, called = folder / "aws", folder / "called"
    stand_in.write_text(_AWS)
    stand_in.chmod(0o755)
    return shell("".join(operations()), machine, path=folder, CALLED=str(called)), called
