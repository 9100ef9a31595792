"""CI draws new seeds for every commit (`tests/run.py`): none that was fixed, and the same ones for the same commit."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tidegate_run", CHECKOUT / "tests" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def fixed_seeds() -> int:
    text = (CHECKOUT / "tests" / "simulation" / "tests" / "seeds.rs").read_text()
    found = re.search(r"^const SEEDS: u64 = ([\d_]+);$", text, re.MULTILINE)
    assert found is not None
    return int(found[1].replace("_", ""))


def test_fresh_seeds_are_none_of_the_fixed_ones_and_no_other_commits(runner: ModuleType) -> None:
    first, second = (runner.first_fresh_seed(digest) for digest in ("0" * 40, "0" * 7 + "1" + "0" * 32))
    assert first > fixed_seeds()
    assert second == first + runner.FRESH_SEEDS
    # The simulation counts seeds in 64 bits.
    assert runner.first_fresh_seed("f" * 40) + runner.FRESH_SEEDS < 2**64


def commit(checkout: Path, message: str) -> str:
    def git(*arguments: str) -> str:
        argv = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", message)
    return git("rev-parse", "HEAD")


def test_every_commit_has_its_own(runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    before = commit(tmp_path, "one")
    assert runner.origin() == ("commit", before)
    after = commit(tmp_path, "two")
    assert runner.origin() == ("commit", after)
    assert runner.first_fresh_seed(before) != runner.first_fresh_seed(after)


def test_sources_without_git_metadata_have_their_own_and_say_so(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    shutil.copytree(CHECKOUT / "statemachine", tmp_path / "statemachine")
    what, digest = runner.origin()
    assert "no git metadata" in what
    assert runner.origin() == (what, digest)
    machine = tmp_path / "statemachine" / "recovery.asl.json"
    machine.write_text(machine.read_text() + " ")
    assert runner.origin()[1] != digest


def test_what_is_run_is_printed(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(runner, "step", lambda argv: ran.append(argv) or runner.Tally(passed=1))
    runner.fresh_seeds()
    _, digest = runner.origin()
    assert ran == [["make", "sim", f"FROM={runner.first_fresh_seed(digest)}", f"SEEDS={runner.FRESH_SEEDS}"]]
    assert digest in capsys.readouterr().out
