"""Where Terraform's providers come from on this machine, and whether they can be had at all.

In this order: the mirror TIDEGATE_TF_MIRROR names; the user's own CLI configuration, if there is one; a filesystem mirror
(a directory named `registry.terraform.io`) wherever one lies; the registry. Which one it was is said in the test report and
written nowhere: a path of this machine has no business in a checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MIRROR_NAME = "registry.terraform.io"
AWS_PROVIDER = Path("hashicorp/aws")
MINIMUM_TERRAFORM = (1, 11)

_SEARCH_SECONDS = 15.0
_SEARCH_DEPTH = 6
_INIT_SECONDS = 180.0
# Kernel interfaces, not files; and what is below the temporary directories belongs to somebody else's run.
_NOT_SEARCHED = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"}
# Huge, and never the home of a mirror.
_NEVER_BELOW = {"node_modules", ".git", "target", "__pycache__", "site-packages", ".terraform"}

# What the modules ask for; the probe installs it as they do.
_PROBE = """terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}
"""


@dataclass(frozen=True)
class Provider:
    """How to run Terraform here. `missing` says why it cannot be, `source` where the provider is from."""

    source: str = ""
    missing: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def find(environment: Mapping[str, str], work: Path) -> Provider:
    """Finds the provider and proves it by an init; `work` keeps the CLI configuration and the plugin cache."""
    if shutil.which("terraform") is None:
        return Provider(missing="terraform is not installed")
    version = _terraform_version()
    if version < MINIMUM_TERRAFORM:
        return Provider(missing=f"terraform {'.'.join(map(str, version))} is older than 1.11")
    tried = []
    for source, configuration in _candidates(environment):
        variables = _variables(configuration, work)
        why = _probe({**environment, **variables}, work)
        if not why:
            return Provider(source=source, environment=variables)
        tried.append(f"{source}: {why}")
    return Provider(missing=f"the provider hashicorp/aws cannot be had ({'; '.join(tried)})")


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, str | Path]]:
    """(what to call it, the CLI configuration as text or as the user's file), best first."""
    named = environment.get("TIDEGATE_TF_MIRROR")
    if named:
        # Named on purpose: anything else would hide that it is wrong.
        yield f"the mirror {named}", cli_configuration(mirror_of(Path(named)))
        return
    own = Path(environment.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    if own.is_file():
        yield "the CLI configuration of the user", own
    mirror = search(Path("/"))
    if mirror is not None:
        yield f"the mirror {mirror}", cli_configuration(mirror)
    yield "the registry", ""


def cli_configuration(mirror: Path) -> str:
    """Providers from this mirror and from nowhere else: a version it lacks is an error and not a download."""
    return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'


def mirror_of(path: Path) -> Path:
    """The directory that holds `registry.terraform.io`, whichever of the two was named."""
    return path.parent if path.name == MIRROR_NAME else path


def search(root: Path, seconds: float = _SEARCH_SECONDS, depth: int = _SEARCH_DEPTH) -> Path | None:
    """The first mirror with the AWS provider below `root`, breadth first: the shallow places are the likely ones."""
    deadline = time.monotonic() + seconds
    level = [root]
    for _ in range(depth):
        below: list[Path] = []
        for directory in level:
            if time.monotonic() > deadline:
                return None
            for entry in _directories(directory):
                if entry.name == MIRROR_NAME and (entry / AWS_PROVIDER).is_dir():
                    return directory
                below.append(entry)
        level = below
    return None


def _directories(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            found = [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(one for one in found if str(one) not in _NOT_SEARCHED and one.name not in _NEVER_BELOW)


def _variables(configuration: str | Path, work: Path) -> dict[str, str]:
    cache = work / "plugin-cache"
    cache.mkdir(parents=True, exist_ok=True)
    if isinstance(configuration, str):
        own = work / "terraform.rc"
        own.write_text(configuration)
        configuration = own
    return {
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_PLUGIN_CACHE_DIR": str(cache),
        # Without a lock file Terraform would fetch into the cache anew for each directory, to learn all checksums.
        "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }


def _probe(environment: Mapping[str, str], work: Path) -> str:
    """Why the provider cannot be installed; empty when it can. It also fills the cache, which parallel inits may not."""
    folder = work / "probe"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(_PROBE)
    try:
        answer = subprocess.run(
            ["terraform", "init", "-backend=false", "-no-color"],
            cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=_INIT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"terraform init did not end within {_INIT_SECONDS:g} s"
    if answer.returncode == 0:
        return ""
    words = " ".join(line.strip("│╷╵ ") for line in answer.stderr.splitlines())
    return f"terraform init: {' '.join(words.split())[:300]}"


def _terraform_version() -> tuple[int, ...]:
    answer = subprocess.run(["terraform", "version"], capture_output=True, text=True)
    number = answer.stdout.partition("Terraform v")[2].split()[0].partition("-")[0]
    return tuple(int(part) for part in number.split("."))
