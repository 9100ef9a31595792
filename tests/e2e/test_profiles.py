"""Profiles of real operators (field case F01): the tool takes what the AWS CLI takes, and says what to do when a sign-in is over."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from lab import REGION, Lab

from local.lifecycle import ACCOUNT

SSO = """
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = {region}
[profile dr]
sso_session = corp
sso_account_id = {account}
sso_role_name = DrOperator
"""


def tidegate(lab: Lab, home: Path, config: str) -> subprocess.CompletedProcess[str]:
    """`tidegate list` with a profile `dr` and nothing else: no key in the environment."""
    aws = home / ".aws"
    aws.mkdir(exist_ok=True)
    (aws / "config").write_text(config.format(account=ACCOUNT, region=REGION))
    environment = {name: value for name, value in lab.stack.environment().items() if "ACCESS_KEY" not in name}
    environment |= {"HOME": str(home), "AWS_PROFILE": "dr", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    binary = str(lab.stack.options.bin_dir / "tidegate")
    return subprocess.run([binary, "list"], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_credential_process_gives_the_credentials(lab: Lab, tmp_path: Path) -> None:
    """Also how a worker that runs elsewhere gets its role: IAM Roles Anywhere is one."""
    answer = {"Version": 1, "AccessKeyId": ACCOUNT, "SecretAccessKey": "local"}
    program = tmp_path / "credentials"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o755)
    listed = tidegate(lab, tmp_path, f"[profile dr]\ncredential_process = {program}\n")
    assert listed.returncode == 0, listed.stderr
    program.write_text("#!/bin/sh\necho 'the certificate has expired' >&2\nexit 1\n")
    refused = tidegate(lab, tmp_path, f"[profile dr]\ncredential_process = {program}\n")
    assert refused.returncode == 1 and "credentials" in refused.stderr, refused.stderr


@pytest.mark.parametrize("cached", [None, "2026-01-01T00:00:00Z"], ids=["never signed in", "expired"])
def test_a_sign_in_that_is_over_asks_for_aws_sso_login(lab: Lab, tmp_path: Path, cached: str | None) -> None:
    if cached:
        folder = tmp_path / ".aws" / "sso" / "cache"
        folder.mkdir(parents=True)
        token = {"accessToken": "t", "expiresAt": cached, "region": REGION, "startUrl": "https://corp.example/start"}
        # The name is the SHA-1 of the session's, as the AWS CLI makes it.
        (folder / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(json.dumps(token))
    refused = tidegate(lab, tmp_path, SSO)
    assert refused.returncode == 1 and "run `aws sso login`" in refused.stderr, refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_console_sign_in_that_is_over_asks_for_aws_login(lab: Lab, tmp_path: Path) -> None:
    refused = tidegate(lab, tmp_path, "[profile dr]\nlogin_session = arn:aws:iam::{account}:user/maria\n")
    assert refused.returncode == 1 and "run `aws login`" in refused.stderr, refused.stderr
