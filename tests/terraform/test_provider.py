"""How Terraform's provider is looked for, and that its absence is said and not failed on."""

from __future__ import annotations

import os
from pathlib import Path

import provider
import pytest


def mirror(root: Path) -> Path:
    (root / provider.MIRROR_NAME / provider.AWS_PROVIDER).mkdir(parents=True)
    return root


def test_a_mirror_is_found_where_it_lies(tmp_path: Path) -> None:
    wanted = mirror(tmp_path / "a" / "b" / "plugins")
    (tmp_path / "a" / provider.MIRROR_NAME / "hashicorp" / "random").mkdir(parents=True)
    assert provider.search(tmp_path) == wanted


def test_the_search_is_bounded(tmp_path: Path) -> None:
    mirror(tmp_path / "1" / "2" / "3" / "4")
    assert provider.search(tmp_path, depth=3) is None
    assert provider.search(tmp_path, seconds=0) is None


def test_what_terraform_made_itself_is_no_mirror(tmp_path: Path) -> None:
    mirror(tmp_path / ".terraform" / "providers")
    assert provider.search(tmp_path) is None


@pytest.mark.parametrize("below", ["", provider.MIRROR_NAME])
def test_either_directory_may_be_named(tmp_path: Path, below: str) -> None:
    assert provider.mirror_of(tmp_path / below) == tmp_path


def test_without_terraform_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provider.find(os.environ, tmp_path).missing == "terraform is not installed"


@pytest.mark.terraform
def test_a_mirror_without_the_provider_is_told_and_nothing_else_tried(tmp_path: Path) -> None:
    """Named on purpose: falling back to the registry would hide that the name is wrong."""
    empty = tmp_path / "empty"
    empty.mkdir()
    found = provider.find({**os.environ, "TIDEGATE_TF_MIRROR": str(empty)}, tmp_path / "work")
    assert not found.environment and "hashicorp/aws cannot be had" in found.missing and str(empty) in found.missing
    assert "the registry:" not in found.missing
