"""What a poll and a finalize cost: `make bench`, or `.venv/bin/python tests/chaos/measure.py --help`.

Four figures, on a local stack: detection lag, calls and DynamoDB units per poll, handler times at 10 and 100 servers a
shard, memory. Everything runs on one machine, so wall time has the load of all others in it: CPU time is printed beside
it, and the time the handler spends waiting for an answer of the local services beside that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from statistics import mean

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e"), str(CHECKOUT / "tests" / "chaos")]

from chaos import Weather, options_for
from crew import Crew, Member, cpu_seconds, read_log, resident_bytes
from figures import percentile, spread
from lab import Json, Lab, from_item, wait_for
from meter import Call, Meter
from workload import REGIONS

from local.lifecycle import Options, Stack

POLL, FINALIZE = "poll-wave-v1", "finalize-execution-v1"
LIMIT_MS = {POLL: 500, FINALIZE: 1000}  # NFR-2.1, NFR-2.2
# Waits and DRS run this much faster than on AWS, both, so that a poll meets a wave as often as it would there.
LAG_SPEED = 50.0
HANDLER_SPEED, HANDLER_WAIT_SCALE = 300.0, 0.02


@dataclass
class Task:
    """One task as the worker tells it."""

    activity: str
    began: float
    ended: float
    duration_ms: float
    execution: str = ""

    def under_way(self, calls: list[Call]) -> list[Call]:
        """The calls it made; nothing else runs beside it."""
        return [call for call in calls if self.began <= call.began <= self.ended]


@dataclass
class Handlers:
    """The tasks of some runs, and what they and the services used meanwhile."""

    tasks: list[Task] = field(default_factory=list)
    worker_cpu: float = 0.0
    engine_cpu: float = 0.0
    resident: int = 0

    def of(self, activity: str) -> list[Task]:
        return [task for task in self.tasks if task.activity == activity]


def seconds_of(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def tasks_of(log: Path) -> list[Task]:
    tasks = []
    for line in read_log(log):
        if line.get("message") == "TaskFinished":
            ended, took = seconds_of(line["timestamp"]), float(line["duration_ms"])
            # Milliseconds are cut off: a call at the very edge belongs to the task.
            execution = line.get("span", {}).get("execution_id", "")
            tasks.append(Task(line["activity"], ended - (took + 1) / 1000, ended, took, execution))
    return tasks


def waiting_ms(task: Task, calls: list[Call]) -> float:
    """How long at least one call of the task was with a service."""
    total, until = 0.0, 0.0
    for call in sorted(task.under_way(calls), key=lambda one: one.began):
        end = min(call.began + call.seconds, task.ended)
        total += max(0.0, end - max(call.began, until))
        until = max(until, end)
    return 1000 * total


@contextmanager
def bench(options: Options, *metered: str) -> Iterator[tuple[Lab, Member, dict[str, Meter]]]:
    """A stack and one worker, its calls to the named services metered."""
    with ExitStack() as ending:
        stack = Stack(options)
        stack.up()
        ending.callback(stack.down)
        lab, environment = Lab(stack), dict(stack.environment())
        meters = {name: Meter(environment[f"AWS_ENDPOINT_URL_{name}"]) for name in metered}
        for name, meter in meters.items():
            environment[f"AWS_ENDPOINT_URL_{name}"] = ending.enter_context(meter).url
        crew = Crew(
            stack.options.bin_dir / "tidegate-worker", environment, stack.log("any").parent, 1, TIDEGATE_POLLERS="4"
        )
        ending.callback(crew.disband)
        yield lab, crew.hire(), meters


def drill(lab: Lab, servers: int, region: str = REGIONS[0]) -> tuple[str, str]:
    """Starts a drill of one wave; its id and ARN."""
    name = f"bench-{lab.number()}"
    text = json.dumps({"plan": lab.plan(lab.fleet(servers, region=region)), "executionType": "DRILL"})
    return name, str(lab.sfn.start_execution(stateMachineArn=lab.machine, name=name, input=text)["executionArn"])


def completed(lab: Lab, name: str, arn: str, seconds: float = 180.0) -> None:
    wait_for(lambda: lab.sfn.describe_execution(executionArn=arn)["status"] != "RUNNING", f"the end of {name}", seconds)
    ended = lab.sfn.describe_execution(executionArn=arn)
    if ended["status"] != "SUCCEEDED":
        raise AssertionError(f"{name}: {ended['status']} {ended.get('error')} {ended.get('cause')}")


def items(lab: Lab, name: str) -> dict[str, Json]:
    return {item["waveKey"]: item for item in map(from_item, lab.read_waves(name))}


def detection_lag(options: Options, runs: int) -> list[tuple[float, float]]:
    """Per drill, seconds from the end of the job in DRS to the stored verdict: by the wall clock, and on AWS. Waits run
    faster here, handlers do not, so only what is not a handler's time is multiplied."""
    with bench(replace(options, speed=LAG_SPEED, wait_scale=1 / LAG_SPEED)) as (lab, worker, _):
        started = [drill(lab, 1, REGIONS[n % len(REGIONS)]) for n in range(runs)]
        spans: dict[str, tuple[float, float]] = {}
        for name, arn in started:
            completed(lab, name, arn)
            found = items(lab, name)
            spans[name] = seconds_of(found["0001#01"]["job"]["endTime"]), seconds_of(found["0001"]["endTime"])
        polls = [task for task in tasks_of(worker.log) if task.activity == POLL]
        return [(until - since, on_aws(name, since, until, polls)) for name, (since, until) in spans.items()]


def on_aws(execution: str, since: float, until: float, polls: list[Task]) -> float:
    """The span as it would be with waits and DRS at their own speed."""
    mine = [poll for poll in polls if poll.execution == execution]
    handled = sum(max(0.0, min(poll.ended, until) - max(poll.began, since)) for poll in mine)
    return (until - since - handled) * LAG_SPEED + handled


def handlers(options: Options, servers: int, runs: int) -> Handlers:
    """Drills one after the other, nothing between worker and services."""
    with bench(replace(options, speed=HANDLER_SPEED, wait_scale=HANDLER_WAIT_SCALE)) as (lab, worker, _):
        engine = lab.stack.status()["ministack"].identity.pid
        completed(lab, *drill(lab, 1))  # connections, credentials, first pages of everything
        warm = len(tasks_of(worker.log))
        found = Handlers()
        found.worker_cpu, found.engine_cpu = -cpu_seconds(worker.process.pid), -cpu_seconds(engine)
        for _ in range(runs):
            completed(lab, *drill(lab, servers))
        found.worker_cpu += cpu_seconds(worker.process.pid)
        found.engine_cpu += cpu_seconds(engine)
        found.tasks, found.resident = tasks_of(worker.log)[warm:], resident_bytes(worker.process.pid)
        return found


def calls(options: Options, servers: int) -> tuple[list[Task], list[Call]]:
    """One drill with every call of the worker metered."""
    services = ("SFN", "DYNAMODB", "EC2", "DRS")
    with bench(replace(options, speed=HANDLER_SPEED, wait_scale=HANDLER_WAIT_SCALE), *services) as (lab, worker, meters):
        completed(lab, *drill(lab, servers))
        met = [call for meter in meters.values() for call in meter.calls if call.operation != "GetActivityTask"]
        return tasks_of(worker.log), met


def describes(task: Task, met: list[Call]) -> list[str]:
    return [call.operation for call in task.under_way(met) if "Describe" in call.operation]


def handler_lines(servers: int, found: Handlers) -> list[str]:
    lines = [f"handlers at {servers} servers a shard, {len(found.tasks)} tasks of all kinds:"]
    for name in (POLL, FINALIZE):
        times = [task.duration_ms for task in found.of(name)]
        verdict = "met" if percentile(times, 0.95) < LIMIT_MS[name] else "NOT met"
        lines.append(f"  {name}: {spread(times, 'ms', 0)}; p95 < {LIMIT_MS[name]} ms {verdict}")
    lines.append(
        f"  CPU a task: worker {1000 * found.worker_cpu / len(found.tasks):.1f} ms, MiniStack "
        f"{1000 * found.engine_cpu / len(found.tasks):.1f} ms (its own work of the machine included); "
        f"worker RSS {found.resident / 1024 / 1024:.1f} MB"
    )
    return lines


def call_lines(servers: int, tasks: list[Task], met: list[Call]) -> list[str]:
    polls = [task for task in tasks if task.activity == POLL]
    asked = [describes(task, met) for task in polls]
    reads = [sum(call.read_units for call in task.under_way(met)) for task in polls]
    writes = [sum(call.write_units for call in task.under_way(met)) for task in polls]
    lines = [
        f"calls at {servers} servers in one shard, {len(polls)} polls:",
        f"  describe operations a poll: mean {mean(len(set(one)) for one in asked):.2f}, most "
        f"{max(len(set(one)) for one in asked)}; with every page counted: mean {mean(map(len, asked)):.2f}, most "
        f"{max(map(len, asked))}",
        f"  DynamoDB units a poll: read {spread(reads, 'RCU', 0)}; write {spread(writes, 'WCU', 0)}",
    ]
    for name in (POLL, FINALIZE):
        mine = [task for task in tasks if task.activity == name]
        waits = [waiting_ms(task, met) for task in mine]
        rest = [task.duration_ms - wait for task, wait in zip(mine, waits, strict=True)]
        number = sum(len(task.under_way(met)) for task in mine) / len(mine)
        lines.append(
            f"  {name}: {number:.1f} calls; with the services {spread(waits, 'ms', 0)}; "
            f"the rest (worker, proxy) {spread(rest, 'ms', 0)}"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="What a poll and a finalize cost.")
    parser.add_argument("--lag-runs", type=int, default=18, help="drills for the detection lag, default %(default)s")
    parser.add_argument("--runs", type=int, default=5, help="drills per size for handler times, default %(default)s")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100], help="servers a shard, default %(default)s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as directory:
        report(options_for(Path(directory), Weather()), given.lag_runs, given.runs, given.sizes)
    return 0


def report(options: Options, lag_runs: int, runs: int, sizes: list[int]) -> None:
    began = time.monotonic()
    count = os.cpu_count() or 1

    def fresh(name: str) -> Options:
        return replace(options, dir=options.dir / name)

    print(f"bench: {count} processors, load {os.getloadavg()[0]:.1f} before it began", flush=True)
    if lag_runs:
        lags = detection_lag(fresh("lag"), lag_runs)
        print(f"detection lag, job ended in DRS to verdict stored: {spread(lag for _, lag in lags)}")
        wall = spread((lag for lag, _ in lags), "s", 2)
        print(f"  (waits and DRS ran {LAG_SPEED:g} times faster and are counted at their own speed; wall {wall})", flush=True)
    for servers in sizes:
        print("\n".join(handler_lines(servers, handlers(fresh(f"handlers-{servers}"), servers, runs))), flush=True)
    for servers in sizes:
        print("\n".join(call_lines(servers, *calls(fresh(f"calls-{servers}"), servers))), flush=True)
    print(f"bench: {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    sys.exit(main())
