"""`make push`, with stand-ins for what needs AWS and a daemon: what is called, in which order, and what comes out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from configuration import CHECKOUT

REPOSITORY = "111122223333.dkr.ecr.us-west-2.amazonaws.com/tidegate-dev-worker"
DIGEST = "sha256:" + "ab" * 32

# Each writes its arguments to a file; docker also shows that the password came by standard input.
STANDINS = {
    "terraform": """echo "$@" >> "$CALLS"; echo '{"cluster_name":"c","repository_url":"'"$REPOSITORY"'","service_name":null}'""",
    "aws": 'echo "aws $*" >> "$CALLS"; echo the-password',
    "docker": f"""
case $1 in login) test "$(cat)" = the-password ;; esac
echo "docker $*" >> "$CALLS"
case $1 in inspect) printf 'elsewhere/other@sha256:0\\n%s@{DIGEST}\\n\\n' "$REPOSITORY" ;; esac""",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name, text in STANDINS.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "REPOSITORY": REPOSITORY}


def push(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "push", "TAG=v1", "ENVIRONMENT=dev"], cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )


def test_it_pushes_and_prints_the_digest(environment: dict[str, str]) -> None:
    done = push(environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{REPOSITORY}@{DIGEST}"
    calls = Path(environment["CALLS"]).read_text().splitlines()
    assert calls == [
        "-chdir=terraform/environments/dev output -json worker",
        "aws ecr get-login-password --region us-west-2",
        f"docker login --username AWS --password-stdin {REPOSITORY.partition('/')[0]}",
        f"docker tag tidegate-worker:v1 {REPOSITORY}:v1",
        f"docker push {REPOSITORY}:v1",
        f"docker inspect --format {{{{range .RepoDigests}}}}{{{{println .}}}}{{{{end}}}} {REPOSITORY}:v1",
    ]


def test_without_a_repository_it_says_what_to_do(environment: dict[str, str]) -> None:
    done = push({**environment, "REPOSITORY": ""})
    assert done.returncode != 0 and "apply it first" in done.stderr and not done.stdout
