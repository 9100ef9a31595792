"""The Terraform code under test: which directories there are, a copy of them to work in, and a way to run Terraform there.

Everything runs in a copy. Terraform leaves `.terraform`, lock files and state beside the code; in the checkout they would be
in everybody's way, and a stale one would change what the next test sees.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
TERRAFORM = Path("terraform")
# What a test may change, and Terraform writes beside.
COPIED = (TERRAFORM, Path("statemachine"))
# What the modules' own tests read besides: alarms name sections of the documentation and metrics of the code.
LINKED = (Path("docs"), Path("workers"))
_PLAN = "test.tfplan"
_LEFTOVERS = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate", "*.tfstate.*", "*.tfplan")


def directories(kind: str) -> list[Path]:
    """Every module or environment there is, found and not listed: a new one cannot be forgotten."""
    folder = CHECKOUT / TERRAFORM / kind
    found = (path for path in folder.iterdir() if any(path.glob("*.tf"))) if folder.is_dir() else ()
    return sorted(path.relative_to(CHECKOUT) for path in found)


def copy_to(folder: Path) -> Path:
    """A copy of what Terraform needs of the checkout, at the same places below `folder`."""
    for part in COPIED:
        shutil.copytree(CHECKOUT / part, folder / part, ignore=_LEFTOVERS)
    for part in LINKED:
        (folder / part).symlink_to(CHECKOUT / part)
    return folder


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    text: str  # both streams
    seconds: float


@dataclass
class Directory:
    """One directory of a copy, and the environment Terraform gets there. Credentials come from `environment` alone."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> Answer:
        """Runs terraform; an exit code that is not in `ok` fails with what it said."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_"))}
        began = time.monotonic()
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.path,
            env={**kept, "AWS_EC2_METADATA_DISABLED": "true", **self.environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        answer = Answer(done.returncode, done.stdout, done.stdout + done.stderr, time.monotonic() - began)
        # A plan before an error may be pages long; the error is at the end.
        told = answer.text[-6000:]
        assert answer.code in ok, f"terraform {' '.join(arguments)} in {self.path.name}: {answer.code}\n{told}"
        return answer

    def init(self) -> Answer:
        return self.run("init", "-backend=false", "-no-color", "-input=false")

    def apply(self, *arguments: str) -> Answer:
        return self.run("apply", "-auto-approve", "-no-color", "-input=false", *arguments)

    def plan(self, *arguments: str, ok: tuple[int, ...] = (0, 2)) -> Answer:
        return self.run("plan", "-no-color", "-input=false", "-detailed-exitcode", *arguments, ok=ok)

    def shown_plan(self, *arguments: str) -> dict[str, Any]:
        """Makes a plan, leaves it for `apply_plan`, and returns it as JSON."""
        self.plan(f"-out={self.path / _PLAN}", *arguments)
        shown: dict[str, Any] = json.loads(self.run("show", "-json", _PLAN).out)
        return shown

    def apply_plan(self) -> Answer:
        answer = self.apply(_PLAN)
        (self.path / _PLAN).unlink()
        return answer

    def planned(self, *arguments: str) -> list[dict[str, Any]]:
        """The changes a plan would make: address, type, actions."""
        changes = self.shown_plan(*arguments).get("resource_changes", [])
        return [
            {"address": one["address"], "type": one["type"], "actions": one["change"]["actions"]}
            for one in changes
            if one["change"]["actions"] not in (["no-op"], ["read"])
        ]

    def destroy(self, *arguments: str) -> Answer:
        return self.run("destroy", "-auto-approve", "-no-color", "-input=false", *arguments)

    def outputs(self) -> dict[str, Any]:
        return {name: one["value"] for name, one in json.loads(self.run("output", "-json").out).items()}

    def resources(self) -> list[dict[str, Any]]:
        """Every managed resource of the state, with its attributes."""
        return managed_resources(json.loads(self.run("show", "-json").out).get("values", {}))


def managed_resources(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Every managed resource of a state or of what a plan wants."""
    return [one for one in _resources(values.get("root_module", {})) if one["mode"] == "managed"]


def _resources(module: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(module.get("resources", []))
    for child in module.get("child_modules", []):
        found += _resources(child)
    return found
