"""The executions a chaos or load run starts, and the operator who answers their gates.

Every execution has servers of its own, so that how often a server was launched tells on whom it was. The kinds lead to
different outcomes on purpose: a checker that only ever sees COMPLETED does not notice a run that completes too easily.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError
from evidence import Expected
from lab import Fleet, Json, Lab, from_item, wave

# DRS allows 20 jobs at a time in a Region; the stream is spread so that quotas are met now and then, not all the time.
REGIONS = ("us-west-2", "eu-west-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "us-east-2")


@dataclass
class Order:
    """A plan to run, what it must lead to, and how its gates are answered."""

    plan: Json
    expected: Expected
    decline: bool = False


@dataclass
class Started:
    """An order that runs."""

    id: str
    arn: str
    order: Order
    answered: set[str] = field(default_factory=set)


def failing(lab: Lab, region: str) -> Fleet:
    """A server that never launches."""
    fleet = lab.fleet(1, region=region)
    lab.fault({"fault": "launchFails", "sourceServerId": fleet.ids[0], "rawError": "no capacity"})
    return fleet


def once(*fleets: Fleet) -> dict[str, int]:
    return {server: 1 for fleet in fleets for server in fleet.ids}


def drill(lab: Lab, chance: random.Random, region: str) -> Order:
    """Waves one after the other, pauses between some, cleanup. COMPLETED."""
    fleets = [lab.fleet(chance.randint(1, 3), region=region) for _ in range(chance.randint(2, 3))]
    waves = [wave(fleet, pauseBeforeWave=chance.random() < 0.3) for fleet in fleets]
    launches = once(*fleets)
    return Order(
        lab.plan(*waves),
        Expected("drill", "COMPLETED", ["COMPLETED"] * len(waves), launches, True, len(launches)),
    )


def recovery(lab: Lab, chance: random.Random, region: str) -> Order:
    """A real recovery: its instances stay. COMPLETED."""
    fleets = [lab.fleet(chance.randint(1, 2), region=region) for _ in range(2)]
    launches = once(*fleets)
    return Order(
        lab.plan(fleets[0], wave(fleets[1], pauseBeforeWave=chance.random() < 0.3)),
        Expected("recovery", "COMPLETED", ["COMPLETED"] * 2, launches, False, len(launches)),
    )


def tolerant(lab: Lab, chance: random.Random, region: str) -> Order:
    """A wave may lose an optional server and go on. PARTIAL."""
    broken, first, second = failing(lab, region), lab.fleet(1, region=region), lab.fleet(1, region=region)
    optional = broken.group(importance="optional")
    return Order(
        lab.plan(wave(first.group(), optional), second),
        Expected("tolerant", "PARTIAL", ["PARTIAL", "COMPLETED"], once(broken, first, second), True, 2),
    )


def aborted(lab: Lab, chance: random.Random, region: str) -> Order:
    """A wave fails and the plan says abort: nothing after it starts. FAILED, and the drill is cleaned up."""
    first, broken, never = lab.fleet(1, region=region), failing(lab, region), lab.fleet(1, region=region)
    launches = {**once(first, broken), never.ids[0]: 0}
    return Order(
        lab.plan(first, broken, never),
        Expected("aborted", "FAILED", ["COMPLETED", "FAILED", "SKIPPED"], launches, True, 1),
    )


def declined(lab: Lab, chance: random.Random, region: str) -> Order:
    """A person says no at a gate. CANCELLED, and the drill is cleaned up."""
    first, never = lab.fleet(2, region=region), lab.fleet(1, region=region)
    launches = {**once(first), never.ids[0]: 0}
    return Order(
        lab.plan(first, wave(never, pauseBeforeWave=True)),
        Expected("declined", "CANCELLED", ["COMPLETED", "SKIPPED"], launches, True, 2),
        decline=True,
    )


KINDS: list[tuple[Callable[[Lab, random.Random, str], Order], int]] = [
    (drill, 5),
    (recovery, 2),
    (tolerant, 1),
    (aborted, 1),
    (declined, 1),
]


def place(lab: Lab, chance: random.Random) -> Order:
    """The next order of the stream."""
    kinds, weights = zip(*KINDS, strict=True)
    (kind,) = chance.choices(kinds, weights)
    order: Order = kind(lab, chance, chance.choice(REGIONS))
    return order


def start(lab: Lab, order: Order, name: str) -> Started:
    kind = "DRILL" if order.expected.drill else "RECOVERY"
    answer = lab.sfn.start_execution(
        stateMachineArn=lab.machine, name=name, input=json.dumps({"plan": order.plan, "executionType": kind})
    )
    return Started(name, str(answer["executionArn"]), order)


def running(lab: Lab, machine: str) -> set[str]:
    """ARNs of the executions of a machine that have not ended."""
    pages = lab.sfn.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    return {one["executionArn"] for page in pages for one in page["executions"]}


class Operator(threading.Thread):
    """Answers every gate, as its order says."""

    def __init__(self, lab: Lab, runs: dict[str, Started]) -> None:
        super().__init__(daemon=True, name="operator")
        self._lab, self._runs = lab, runs
        self._stopped = threading.Event()
        self.gates = 0

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=30)

    def run(self) -> None:
        while not self._stopped.wait(0.5):
            with suppress(ClientError, BotoCoreError):
                for record in self._paused():
                    self._answer(record)

    def _paused(self) -> list[Json]:
        pages = self._lab.dynamodb.get_paginator("query").paginate(
            TableName=self._lab.tables["executionHistory"],
            IndexName="StatusIndex",
            KeyConditionExpression="#s = :paused",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":paused": {"S": "PAUSED"}},
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _answer(self, record: Json) -> None:
        run, gate = self._runs.get(record["executionId"]), record.get("gate")
        token = gate and self._lab.gate_token(record["executionId"], gate)
        if run is None or not token or token in run.answered:
            return
        if run.order.decline:
            self._lab.sfn.send_task_failure(taskToken=token, error="Declined", cause="not tonight")
        else:
            self._lab.sfn.send_task_success(taskToken=token, output="{}")
        run.answered.add(token)
        self.gates += 1
