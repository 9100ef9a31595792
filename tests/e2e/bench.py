"""How a stack for tests begins, is watched and ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab
from observer import Observer

from local import processes
from local.lifecycle import Options, Stack, StackError

# A wave of twenty minutes in about a second, polls every few tenths of one. Faster leaves too few polls to see.
SPEED, WAIT_SCALE = 1200.0, 0.02

# Where the workers may recover, beside their own account and us-west-2.
REGIONS = ("us-east-2", "eu-west-1")
OTHER = "444455556666"
ROLE = {"roleArn": f"arn:aws:iam::{OTHER}:role/tidegate-target", "externalId": "c0ffee00-1234-5678-9abc-def012345678"}


def start_stack(directory: Path, **options: object) -> Stack:
    """A stack of this process on free ports; it dies with the process, however that ends."""
    settings = {
        "ministack_port": 0,
        "simulator_port": 0,
        "die_with_parent": True,
        "speed": SPEED,
        "wait_scale": WAIT_SCALE,
        "regions": REGIONS,
        "target_accounts": {OTHER: ROLE},
    }
    stack = Stack(Options(dir=directory, **{**settings, **options}))  # type: ignore[arg-type]
    try:
        stack.up()
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    return stack


def no_token_in_logs(lab: Lab) -> None:
    """NFR: a task token is a capability; whoever reads logs must not get one."""
    for path in lab.logs():
        text = path.read_text(errors="replace")
        leaked = [token for token in lab.tokens if token in text]
        assert not leaked, f"{path.name} holds {len(leaked)} of {len(lab.tokens)} task tokens"


def all_alive(stack: Stack) -> None:
    """A process that died says so once and in a line, not as whatever its absence breaks next."""
    dead = [name for name, member in stack.status().items() if not member.running]
    if dead:
        pytest.fail(f"{', '.join(dead)} died; the end of the log: {processes.tail(stack.log(dead[0]))}", pytrace=False)


def watched(stack: Stack) -> Iterator[tuple[Lab, Observer]]:
    lab = Lab(stack)
    observer = Observer(lab)
    observer.start()
    try:
        yield lab, observer
        no_token_in_logs(lab)
    finally:
        observer.stop()
        stack.down()
