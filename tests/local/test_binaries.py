"""The stack runs the binaries that cargo has just built, wherever it was told to build them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MOVES = ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "TIDEGATE_BIN_DIR")


def told(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in MOVES}
    return subprocess.run(
        [sys.executable, *program.split()], cwd=CHECKOUT, env={**kept, **environment}, capture_output=True, text=True
    )


def default_of(program: str, **environment: str) -> str:
    """What `--help` says the folder of the binaries is; argparse breaks long lines, also within a path."""
    return "".join(told(f"{program} --help", **environment).stdout.split())


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "cargo-home"
    home.mkdir()
    (home / "config.toml").write_text(f'[build]\ntarget-dir = "{tmp_path}/configured"\n')
    return {"CARGO_HOME": str(home)}


@pytest.mark.parametrize("program", ["local/stack.py up", "local/drill.py"])
def test_the_folder_is_the_one_cargo_builds_into(program: str, tmp_path: Path, elsewhere: dict[str, str]) -> None:
    moved = str(tmp_path / "moved")
    assert f"default{moved}/debug" in default_of(program, CARGO_TARGET_DIR=moved)
    assert f"default{tmp_path}/configured/debug" in default_of(program, **elsewhere)
    assert f"default{moved}/debug" in default_of(program, CARGO_TARGET_DIR=moved, **elsewhere), "as cargo ranks them"
    assert f"default{CHECKOUT}/relative/debug" in default_of(program, CARGO_BUILD_TARGET_DIR="relative")
    assert f"default{moved}" in default_of(program, TIDEGATE_BIN_DIR=moved, **elsewhere)


def test_without_cargo_it_is_the_checkout_s_own(tmp_path: Path) -> None:
    assert f"default{CHECKOUT}/target/debug" in default_of("local/stack.py up", PATH=str(tmp_path))


def test_a_drill_looks_where_the_build_went(tmp_path: Path) -> None:
    ended = told("local/drill.py", CARGO_TARGET_DIR=str(tmp_path / "moved"))
    assert ended.returncode == 1
    assert f"{tmp_path}/moved/debug/tidegate is missing" in ended.stderr
