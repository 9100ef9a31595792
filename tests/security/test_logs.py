"""No log filter lets a token out (whoever may set TIDEGATE_LOG, which is Terraform's `log_filter`, reads the log and must not
become an approver by it). Each worker has a nasty filter and reads the record of a paused execution, whose locks it meets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from bench import start_stack
from lab import Lab, wait_for, wave
from observer import Observer
from run import Starter

from local import processes

FILTERS = [
    "trace",
    "info,aws_smithy_runtime::client=trace",
    "info,[task]=trace",
    "info,[task{activity=prepare-execution-v1}]=trace",
    "info,aws_smithy_runtime::client::orchestrator=trace,hyper_util=trace,aws_sdk_sfn=trace,aws_sdk_dynamodb=trace,aws_runtime=trace",
    "info,[{token_hash}]=trace",
]
# What only a logged request or answer holds.
OF_BODIES = ("taskToken", "AWS4-HMAC-SHA256", "Authorization", "ConsistentRead", "externalId")


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A stack of its own, whose only workers are these."""
    stack = start_stack(tmp_path_factory.mktemp("logs"), workers=0)
    started = []
    try:
        for number, text in enumerate(FILTERS):
            environment = {**stack.environment(), "PATH": os.environ["PATH"], "TIDEGATE_LOG": text}
            environment["TIDEGATE_HEALTH_ADDR"] = f"127.0.0.1:{processes.free_port()}"
            argv = [str(stack.options.bin_dir / "tidegate-worker"), "run"]
            process = processes.spawn(argv, environment, stack.log(f"worker-{number}"), die_with_parent=True)
            started.append(processes.identify(process))
        yield Lab(stack)
    finally:
        processes.stop(started, 3.0)
        stack.down()


def test_no_filter_lets_a_token_out(stack: Lab) -> None:
    observer = Observer(stack)
    observer.start()
    start = Starter(stack, observer)
    try:
        fleet = stack.fleet()
        paused = start(stack.plan(wave(fleet, pauseBeforeWave=True)))
        paused.gate()

        def has_met(number: int) -> bool:
            text = stack.stack.log(f"worker-{number}").read_text()
            return "ActivityFailed" in text and "Conflict" in text

        def everybody() -> bool:
            start(fleet).refused("Tidegate.Conflict")
            return all(has_met(number) for number in range(len(FILTERS)))

        wait_for(everybody, "each worker to meet the lock", 120)
        for number, text in enumerate(FILTERS):
            log = stack.stack.log(f"worker-{number}").read_text()
            assert not [token for token in stack.tokens if token in log], f"a gate's token with {text}"
            assert not [word for word in OF_BODIES if word in log], f"a body of a call with {text}"
        paused.decline(error="NotNow")
        paused.end("CANCELLED")
    finally:
        start.stop()
        observer.stop()
