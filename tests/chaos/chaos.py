"""Real workers die while real executions run: `make chaos`, or `.venv/bin/python tests/chaos/chaos.py --help`.

A stream of drills and recoveries runs on a local stack of its own (strict MiniStack, the DRS simulator) while a seeded
storm kills (-9), terminates and freezes the worker processes, which are replaced. When everything has ended, the
evidence is collected (`gather.py`) and judged (`verdict.py`). The exit status is 1 if a promise was broken.

The seed decides who is struck when and which plans run; which task a worker has in hand at that moment is the machine's
doing, so a seed does not repeat a run exactly. For that there is the simulation (`make sim`).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "e2e"), str(CHECKOUT / "tests" / "chaos")]

from crew import Crew, Member
from evidence import Evidence
from figures import summary
from gather import Journal, gather, machines
from lab import Lab, wait_for
from observer import Observer, Watch
from storm import Blow, forecast
from verdict import judge
from workload import REGIONS, Operator, Started, place, running, start

from local.lifecycle import Options, Stack

HEARTBEAT_SECONDS = 30.0
# The longest an execution may still need when the storm is over: a wave start whose outcome nobody knows is waited out
# for 150 s (core::wave_start::SETTLE_SECONDS), and each loss on the way costs a heartbeat.
PATIENCE_SECONDS = 420.0
SPEED, WAIT_SCALE = 1200.0, 0.02


@dataclass(frozen=True)
class Weather:
    """How bad a night it is."""

    seed: int = 1
    kills: int = 100
    terms: int = 30
    stops: int = 30
    seconds: float = 270.0  # of the storm
    at_once: int = 70  # executions
    workers: int = 3


class Gentle(Observer):
    """The observer of the end-to-end tests, at a tenth of the time: the stream is large and the machine small."""

    def run(self) -> None:
        while not self._stopped.wait(0.02):
            for watch in list(self._watches):
                began = time.monotonic()
                with self._lock:
                    if watch in self._watches and self._failure is None:
                        try:
                            watch.look()
                        except Exception as error:
                            self._failure = error
                if self._stopped.wait(9 * (time.monotonic() - began)):
                    return


class Night:
    """One chaos run."""

    def __init__(self, lab: Lab, crew: Crew, weather: Weather, report: Callable[[str], None]) -> None:
        self._lab, self._crew, self._weather, self._report = lab, crew, weather, report
        self._chance = random.Random(weather.seed)
        self._journal = Journal(lab)
        self.runs: dict[str, Started] = {}
        self._watches: dict[str, Watch] = {}
        self._observer, self._operator = Gentle(lab), Operator(lab, self.runs)

    def live(self) -> Evidence:
        """Runs the storm and everything under it to the end, and returns what is left behind."""
        bystanders = self._foreign_drills()
        self._slow_answers()
        self._crew.fill()
        self._observer.start()
        self._operator.start()
        try:
            self._storm()
            self._calm()
        finally:
            self._operator.stop()
            self._observer.stop()
        for watch in self._watches.values():
            self._observer.release(watch)
        seen = {id: watch.violations for id, watch in self._watches.items()}
        return gather(self._lab, self.runs.values(), self._crew, self._journal, bystanders, seen)

    def _foreign_drills(self) -> set[str]:
        """Drill instances that somebody else launched and no cleanup of ours may touch."""
        fleets = [self._lab.fleet(2, region=region) for region in REGIONS[:3]]
        for fleet in fleets:
            servers = [{"sourceServerID": server} for server in fleet.ids]
            self._lab.client("drs", fleet.region).start_recovery(sourceServers=servers, isDrill=True)

        def launched() -> set[str]:
            found = {id for fleet in fleets for id in self._lab.recovery_instances(fleet)}
            return found if len(found) == sum(len(fleet.ids) for fleet in fleets) else set()

        return set(wait_for(launched, "the drills of somebody else"))

    def _slow_answers(self) -> None:
        """The moments that matter are those between an effect and the answer to it: they are made long enough to hit."""
        slow = {"fault": "slowAnswer"}
        self._lab.fault(
            {**slow, "operation": "StartRecovery", "seconds": 3, "probability": 0.5},
            {**slow, "operation": "TerminateRecoveryInstances", "seconds": 2, "probability": 0.5},
            {**slow, "operation": "DescribeJobs", "seconds": 2, "probability": 0.1},
        )

    def _storm(self) -> None:
        weather = self._weather
        blows = forecast(weather.seed, weather.kills, weather.terms, weather.stops, weather.seconds, HEARTBEAT_SECONDS)
        began = time.monotonic()
        frozen: list[tuple[float, Member]] = []
        self._keep_busy()
        looked = told = began
        while blows or frozen:
            now = time.monotonic()
            while blows and blows[0].at <= now - began:
                self._strike(blows.pop(0), frozen, now)
            for until, member in [one for one in frozen if one[0] <= now]:
                self._crew.thaw(member)
                frozen.remove((until, member))
            self._crew.fill()
            if blows and now - looked > 1.0:
                self._keep_busy()
                self._journal.read()
                looked = time.monotonic()
            if now - told > 30.0:
                self._report(f"  {now - began:4.0f} s: {len(blows)} blows to come, {len(self.runs)} executions started")
                told = now
            time.sleep(0.02)

    def _strike(self, blow: Blow, frozen: list[tuple[float, Member]], now: float) -> None:
        active = self._crew.active()
        victim = active[int(blow.victim * len(active))]
        if blow.act == "kill":
            self._crew.kill(victim)
        elif blow.act == "terminate":
            self._crew.terminate(victim)
        else:
            self._crew.freeze(victim)
            frozen.append((now + blow.seconds, victim))
        self._crew.fill()

    def _keep_busy(self) -> None:
        """Starts executions until enough run at once."""
        missing = self._weather.at_once - len(running(self._lab, self._lab.machine))
        for _ in range(missing):
            name = f"night-{len(self.runs) + 1}"
            order = place(self._lab, self._chance)
            # Watched and known before it runs: the first pause may come before StartExecution has answered.
            self._watches[name] = self._observer.watch(name)
            self.runs[name] = Started(name, "", order)
            self.runs[name].arn = start(self._lab, order, name).arn

    def _calm(self) -> None:
        """Lets everything end: executions, whatever their ends have set off, and the workers that drain."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = -1
        while time.monotonic() < deadline:
            self._crew.fill()
            self._journal.read()
            still = self._running()
            draining = len(self._crew.draining())
            if not still and not draining:
                return
            if still + draining != left:
                left = still + draining
                self._report(f"  calm: {still} executions still run, {draining} workers drain")
            time.sleep(1.0)

    def _running(self) -> int:
        return sum(len(running(self._lab, machine)) for machine in machines(self._lab))


def spend(weather: Weather, options: Options, report: Callable[[str], None]) -> Evidence:
    """A whole night on a stack of its own."""
    with ExitStack() as ending:
        stack = Stack(options)
        stack.up()
        ending.callback(stack.down)
        lab = Lab(stack)
        binary = stack.options.bin_dir / "tidegate-worker"
        crew = Crew(binary, stack.environment(), stack.log("any").parent, weather.workers)
        ending.callback(crew.disband)
        return Night(lab, crew, weather, report).live()


def options_for(directory: Path, weather: Weather) -> Options:
    """A stack without workers of its own on free ports; it dies with this process."""
    return Options(
        dir=directory,
        ministack_port=0,
        simulator_port=0,
        die_with_parent=True,
        workers=0,
        speed=SPEED,
        wait_scale=WAIT_SCALE,
        seed=weather.seed,
        regions=REGIONS,
    )


def tell(weather: Weather, evidence: Evidence, violations: list[str], seconds: float) -> list[str]:
    """The report of a run."""
    head = (
        f"chaos: seed {weather.seed}, {weather.kills} kill -9, {weather.terms} SIGTERM, {weather.stops} SIGSTOP, "
        f"{weather.workers} workers, {weather.at_once} executions at once, {seconds:.0f} s"
    )
    return [head, *summary(evidence), *(f"VIOLATION {line}" for line in violations), f"violations: {len(violations)}"]


def main() -> int:
    default = Weather()
    parser = argparse.ArgumentParser(description="Kill, terminate and freeze real workers under real executions.")
    parser.add_argument("--seed", type=int, default=default.seed, help="of who is struck when, and of the plans")
    parser.add_argument("--kills", type=int, default=default.kills)
    parser.add_argument("--terms", type=int, default=default.terms)
    parser.add_argument("--stops", type=int, default=default.stops)
    parser.add_argument("--seconds", type=float, default=default.seconds, help="of the storm, default %(default)s")
    parser.add_argument("--at-once", type=int, default=default.at_once, help="executions, default %(default)s")
    parser.add_argument("--workers", type=int, default=default.workers, help="active at a time, default %(default)s")
    parser.add_argument("--keep", type=Path, help="where to leave the logs of every process")
    weather = Weather(**{key: value for key, value in vars(parser.parse_args()).items() if key != "keep"})
    keep: Path | None = parser.parse_args().keep
    print(f"chaos: seed {weather.seed}", flush=True)
    began = time.monotonic()
    with ExitStack() as ending:
        directory = keep or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-chaos-")))
        evidence = spend(weather, options_for(directory.absolute(), weather), lambda line: print(line, flush=True))
    violations = judge(evidence)
    print("\n".join(tell(weather, evidence, violations, time.monotonic() - began)))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
