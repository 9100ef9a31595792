"""The worker's image: what can be known of it where no base image can be pulled and no daemon runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from configuration import CHECKOUT
from deployment import BINARIES
from linters import hadolint

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.split(None, 1)
    for line in re.sub(r"\\\n(\s*#.*\n)*", " ", DOCKERFILE).splitlines()
    if line.strip() and not line.startswith("#")
]
# The libraries of BASE_IMAGE: glibc and libgcc, and no OpenSSL or anything else a crate might start to link.
BASE_LIBRARIES = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"}


def values(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def final_stage() -> list[tuple[str, str]]:
    start = max(index for index, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM")
    return [(name, rest) for name, rest in INSTRUCTIONS[start:]]


def test_hadolint_has_no_complaint() -> None:
    assert hadolint(CHECKOUT / "Dockerfile") == ""


def test_bases_are_pinned() -> None:
    """Every base comes from an ARG, so that a build can give a digest, and its default is an exact tag."""
    defaults = dict(one.split("=", 1) for one in values("ARG") if "IMAGE=" in one)
    for base in values("FROM"):
        name = re.match(r"\$\{(\w+)\}", base)
        assert name and name[1] in defaults, f"{base} is not given by an ARG"
    for image in defaults.values():
        tag = image.rpartition("/")[2].partition(":")[2]
        assert tag and tag != "latest", image


def test_the_toolchain_is_the_workspaces() -> None:
    version = re.search(r'^rust-version = "(.+)"$', (CHECKOUT / "Cargo.toml").read_text(), re.MULTILINE)
    assert version and f"rust:{version[1]}-" in DOCKERFILE


def test_it_builds_the_worker_alone_as_locked() -> None:
    """AC-1.5, FR-8.1: one artefact, out of the lock file."""
    (build,) = [one for one in values("RUN") if "cargo build" in one]
    assert "--locked" in build and "--release" in build and "--package tidegate-worker" in build
    copied = [rest for name, rest in final_stage() if name in ("COPY", "ADD")]
    assert len(copied) == 1 and copied[0].startswith("--from=build /out/tidegate-worker ")


def test_it_runs_as_nobody_in_particular() -> None:
    stage = final_stage()
    (user,) = [rest for name, rest in stage if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a name could be root in another base; a number is checked by the platform"
    assert not [name for name, _ in stage if name in ("RUN", "VOLUME", "EXPOSE", "ADD")]


def test_no_secret_is_built_in() -> None:
    suspicious = re.compile(r"(?i)secret|password|token|AKIA[0-9A-Z]{16}|aws_access_key")
    assert not [one for one in values("ARG") + values("ENV") if suspicious.search(one)]
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert next(line for line in ignored if line and not line.startswith("#")) == "*", "name what goes in, not what stays out"


def test_the_health_check_is_the_workers_own() -> None:
    """AC-7.1: exec form, because there is no shell; and the worker has that command."""
    (check,) = values("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    (entry,) = values("ENTRYPOINT")
    assert command == [*json.loads(entry), "healthcheck"]
    told = subprocess.run([str(BINARIES / "tidegate-worker"), "healthcheck", "--help"], capture_output=True)
    assert told.returncode == 0


def test_the_build_context_is_complete(tmp_path: Path) -> None:
    """Cargo wants the manifest of every workspace member; sources may take in files of the repository."""
    allowed = [line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in allowed:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("target", "__pycache__", "*.py"))
        else:
            shutil.copy(source, tmp_path / name)
    told = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--no-deps"], cwd=tmp_path, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    members = {package["name"]: Path(package["manifest_path"]).parent for package in json.loads(told.stdout)["packages"]}
    assert "tidegate-worker" in members
    included = re.compile(r'include_(?:str|bytes|dir)!\(\s*"([^"]+)"')
    for folder in members.values():
        for file in folder.rglob("src/**/*.rs"):
            for name in included.findall(file.read_text()):
                assert (file.parent / name).resolve().is_file(), f"{file.relative_to(tmp_path)} includes {name}"


@pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux, and so is ldd")
def test_the_program_needs_no_library_the_base_lacks() -> None:
    told = subprocess.run(["ldd", str(BINARIES / "tidegate-worker")], capture_output=True, text=True, check=True)
    needed = {line.split()[0] for line in told.stdout.splitlines() if "=>" in line or "vdso" in line}
    assert needed <= BASE_LIBRARIES, f"not in the base image: {needed - BASE_LIBRARIES}"


def test_both_stages_are_of_one_debian() -> None:
    """Built against a newer C library than it meets, the program would not start."""
    images = [one for one in values("ARG") if "IMAGE=" in one]
    assert re.findall(r"bookworm|debian12", " ".join(images)) == ["bookworm", "debian12"]
