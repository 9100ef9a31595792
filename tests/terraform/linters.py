"""checkov, parliament, asl-validator and hadolint. They live in `.venv-terraform` (tools.sh), because what they pull in is large and not
what the rest of the tests should run with."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from configuration import CHECKOUT

TOOLS = CHECKOUT / ".venv-terraform"
CHECKOV_CONFIGURATION = Path(__file__).parent / "checkov.yaml"

# parliament's command line misbehaves without a terminal; its API does not.
_PARLIAMENT = """
import json, sys, parliament
findings = {}
for name, text in json.load(sys.stdin).items():
    policy = parliament.analyze_policy_string(text)
    findings[name] = [[one.issue, str(one.detail), str(one.location.get("string", ""))] for one in policy.findings]
json.dump(findings, sys.stdout)
"""


def _run(argv: Iterable[object], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(one) for one in argv], capture_output=True, text=True, **more)


def parliament(policies: dict[str, str]) -> dict[str, list[tuple[str, str, str]]]:
    """(issue, detail, the text it is about) per policy: misspelt actions, resources an action does not take, bad JSON."""
    done = _run([TOOLS / "bin" / "python", "-c", _PARLIAMENT], input=json.dumps(policies))
    assert done.returncode == 0, done.stderr
    return {name: [tuple(one) for one in found] for name, found in json.loads(done.stdout).items()}


def checkov(plan: Path) -> dict[str, Any]:
    """checkov's report on a plan as JSON; nothing is downloaded and nothing is sent."""
    done = _run(
        [TOOLS / "bin" / "checkov", "--file", plan, "--framework", "terraform_plan", "--skip-download", "--compact",
         "--output", "json"],
        env={**os.environ, "LOG_LEVEL": "ERROR"},
    )  # fmt: skip
    assert done.stdout.strip(), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def accepted_by_checkov() -> dict[str, str]:
    """The checks that are known to fail, and why that is right, from checkov.yaml (which checkov itself can read)."""
    lines = CHECKOV_CONFIGURATION.read_text().splitlines()
    items = (line.strip()[2:].partition("#") for line in lines if line.strip().startswith("- "))
    return {check.strip(): reason.strip() for check, _, reason in items}


def asl_validator(file: Path) -> str:
    """What is wrong with a definition by Amazon's schema; empty when nothing is."""
    done = _run([TOOLS / "npm" / "node_modules" / ".bin" / "asl-validator", "--json-path", file])
    return "" if done.returncode == 0 else done.stdout + done.stderr


def hadolint(file: Path) -> str:
    """What hadolint has to say about a Dockerfile; empty when nothing."""
    done = _run([TOOLS / "bin" / "hadolint", "--no-color", file])
    return "" if done.returncode == 0 else done.stdout + done.stderr
