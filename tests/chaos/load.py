"""Many executions at once on one worker: `make load`, or `.venv/bin/python tests/chaos/load.py --help`.

The same plans and the same judge as `make chaos`, without the storm: all outcomes must be right. It prints what a worker
costs. The worker's DynamoDB calls pass through a counting proxy (`meter.py`), which adds about a millisecond to each.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e"), str(CHECKOUT / "tests" / "chaos")]

from chaos import PATIENCE_SECONDS, Weather, options_for
from crew import Crew, cpu_seconds, read_log, resident_bytes
from evidence import Evidence
from figures import spread
from gather import Journal, gather, machines
from lab import Lab, wait_for
from meter import Meter
from verdict import judge
from workload import Operator, Started, place, running, start

from local.lifecycle import Options, Stack

MEGABYTE = 1024 * 1024


@dataclass
class Load:
    """What a load run measured."""

    executions: int
    seconds: float = 0.0
    resident_idle: int = 0
    resident_peak: int = 0
    cpu: float = 0.0
    calls: int = 0
    lost_conditions: int = 0
    handlers: dict[str, list[float]] = field(default_factory=dict)  # milliseconds by activity

    def per_execution(self) -> float:
        return (self.resident_peak - self.resident_idle) / self.executions

    def lines(self, evidence: Evidence) -> list[str]:
        outcomes = Counter((run.record or {}).get("status", "no record") for run in evidence.runs)
        tasks = sum(len(times) for times in self.handlers.values())
        found = [
            f"load: {self.executions} executions at once, all ended after {self.seconds:.1f} s "
            f"({', '.join(f'{key} {number}' for key, number in outcomes.most_common())})",
            f"worker: {tasks} tasks, CPU {self.cpu:.1f} s ({1000 * self.cpu / max(1, tasks):.1f} ms a task), RSS "
            f"{self.resident_idle / MEGABYTE:.1f} MB idle, {self.resident_peak / MEGABYTE:.1f} MB peak: "
            f"{self.per_execution() / 1024:.0f} KB an execution",
            f"DynamoDB: {self.calls} calls of the worker, {self.lost_conditions} lost conditions",
        ]
        found += [f"  {name}: {spread(times, 'ms', 0)}" for name, times in sorted(self.handlers.items())]
        waits = [one.started - one.scheduled for one in evidence.attempts if one.started]
        found.append(f"  hand-off, scheduled to started: {spread((1000 * wait for wait in waits), 'ms', 0)}")
        return found


class Scales(threading.Thread):
    """Watches a process's resident memory."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True, name="scales")
        self._pid, self._stopped, self.peak = pid, threading.Event(), 0

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            self.peak = max(self.peak, resident_bytes(self._pid))

    def stop(self) -> int:
        self._stopped.set()
        self.join()
        return self.peak


def bear(executions: int, seed: int, options: Options) -> tuple[Load, Evidence]:
    """Starts so many executions as fast as they can be started, and waits for the last to end."""
    with ExitStack() as ending:
        stack = Stack(options)
        stack.up()
        ending.callback(stack.down)
        lab, load = Lab(stack), Load(executions)
        meter = ending.enter_context(Meter(lab.endpoint))
        environment = {**stack.environment(), "AWS_ENDPOINT_URL_DYNAMODB": meter.url}
        logs = stack.log("any").parent
        crew = Crew(stack.options.bin_dir / "tidegate-worker", environment, logs, 1, TIDEGATE_POLLERS="4")
        ending.callback(crew.disband)
        worker = crew.hire()
        wait_for(lambda: any(line.get("message") == "WorkerStarted" for line in read_log(worker.log)), "the worker")
        load.resident_idle = resident_bytes(worker.process.pid)

        chance = random.Random(seed)
        orders = [place(lab, chance) for _ in range(executions)]
        runs = {f"load-{n}": Started(f"load-{n}", "", order) for n, order in enumerate(orders, start=1)}
        operator, journal, scales = Operator(lab, runs), Journal(lab), Scales(worker.process.pid)
        operator.start()
        scales.start()
        began = time.monotonic()
        for name, run in runs.items():
            run.arn = start(lab, run.order, name).arn
        while running(lab, lab.machine) and time.monotonic() - began < PATIENCE_SECONDS:
            journal.read()
            time.sleep(0.25)
        load.seconds = time.monotonic() - began
        wait_for(lambda: not any(running(lab, one) for one in machines(lab)), "what the ends have set off")
        operator.stop()
        load.resident_peak, load.cpu = scales.stop(), cpu_seconds(worker.process.pid)
        load.calls, load.lost_conditions = len(meter.calls), meter.lost_conditions()
        for line in read_log(worker.log):
            if line.get("message") == "TaskFinished":
                load.handlers.setdefault(line["activity"], []).append(float(line["duration_ms"]))
        return load, gather(lab, runs.values(), crew, journal, set(), {})


def main() -> int:
    parser = argparse.ArgumentParser(description="Many executions at once on one worker, all with the right outcome.")
    parser.add_argument("--executions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the plans")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-load-") as directory:
        load, evidence = bear(given.executions, given.seed, options_for(Path(directory), Weather(seed=given.seed)))
    violations = judge(evidence)
    lines = [*load.lines(evidence), *(f"VIOLATION {line}" for line in violations), f"violations: {len(violations)}"]
    print("\n".join(lines))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
