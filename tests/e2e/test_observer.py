"""The observer itself: every lie it is there for is told to it once. One that misses a lie proves nothing elsewhere."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from lab import Json
from observer import ENRICHED, Watch

serialize = TypeSerializer().serialize


class Told:
    """A reader that is told what to see."""

    def __init__(self) -> None:
        self.record: Json | None = None
        self.items: list[Json] = []

    def partition(self, table: str, execution_id: str) -> list[bytes]:
        found = [one for one in [self.record] if one] if table == "executions" else self.items
        return [json.dumps({"Items": [serialize(item)["M"] for item in found]}).encode()]


def record(status: str, **fields: Any) -> Json:
    ended = {"endTime": "2026-01-01T02:00:00Z", "completedTime": "2026-01-01T02:00:00Z"}
    known = {"status": status, "mode": "RUN", "totalWaves": 2, "completedWaves": 0, "timeline": []}
    gate = {"gate": {"token": "AAAA+token", "kind": "RESUME", "waveNumber": 2}} if status == "PAUSED" else {}
    return {**known, **gate, **(ended if status in ("COMPLETED", "FAILED") else {}), **fields}


def wave_item(number: int, status: str, **fields: Any) -> Json:
    ended = {"endTime": f"2026-01-01T01:0{number}:00Z"} if status in ("COMPLETED", "PARTIAL", "FAILED") else {}
    return {
        "waveKey": f"{number:04d}",
        "status": status,
        "attempt": 1,
        "pollAttempts": 1,
        "version": 1,
        **ended,
        **fields,
    }


def shard(number: int, **fields: Any) -> Json:
    server = {"sourceServerId": f"s-{number}", "launchStatus": "LAUNCHED", **dict.fromkeys(ENRICHED, "i-1"), **fields}
    return {"waveKey": f"{number:04d}#01", "waveNumber": number, "version": 1, "serverStatuses": [server]}


DONE = [wave_item(1, "COMPLETED"), shard(1), wave_item(2, "COMPLETED"), shard(2)]
FIRST = [wave_item(1, "POLLING"), shard(1)]
Story = list[tuple[Json | None, list[Json]]]
HONEST: Story = [
    (None, []),
    (record("PENDING"), []),
    (record("IN_PROGRESS"), []),
    (record("POLLING", currentWave=1), FIRST),
    (record("POLLING", currentWave=1), [wave_item(1, "POLLING", version=2, pollAttempts=2), shard(1)]),
    (record("POLLING", currentWave=1), [wave_item(1, "COMPLETED", version=3, pollAttempts=3), shard(1)]),
    (record("PAUSED", completedWaves=1), [wave_item(1, "COMPLETED", version=3, pollAttempts=3), shard(1)]),
    (
        record("POLLING", completedWaves=1, currentWave=2),
        [wave_item(1, "COMPLETED", version=3, pollAttempts=3), shard(1), wave_item(2, "POLLING"), shard(2)],
    ),
    (
        record("COMPLETED", completedWaves=2),
        [
            wave_item(1, "COMPLETED", version=3, pollAttempts=3),
            shard(1),
            wave_item(2, "COMPLETED", version=2),
            shard(2),
        ],
    ),
    (
        record("COMPLETED", completedWaves=2, cleanup={"status": "RUNNING"}),
        [
            wave_item(1, "COMPLETED", version=3, pollAttempts=3),
            shard(1),
            wave_item(2, "COMPLETED", version=2),
            shard(2),
        ],
    ),
]


def watch_of(story: Story) -> Watch:
    reader = Told()
    lab = SimpleNamespace(tables={"executionHistory": "executions", "executionWaves": "waves"}, tokens={"AAAA+token"})
    watch = Watch(lab, reader, "run-1")  # type: ignore[arg-type]
    for reader.record, reader.items in copy.deepcopy(story):
        watch.look()
        watch.look()
    return watch


def test_an_honest_run_is_believed() -> None:
    """AC-2.2, AC-2.3: no false alarm."""
    watch = watch_of(HONEST)
    assert watch.violations == [] and watch.polls_with_untouched_record >= 1
    assert watch.statuses == ["PENDING", "IN_PROGRESS", "POLLING", "PAUSED", "POLLING", "COMPLETED"]


LIES: dict[str, Story] = {
    "COMPLETED while wave 2 is POLLING": [(record("COMPLETED"), [*DONE[:2], wave_item(2, "POLLING"), shard(2)])],
    "COMPLETED while wave 2 is absent": [(record("COMPLETED"), DONE[:2])],
    "COMPLETED while wave 2 is FAILED": [(record("COMPLETED"), [*DONE[:2], wave_item(2, "FAILED"), shard(2)])],
    "wave 2 exists while wave 1 is POLLING": [(record("POLLING"), [*FIRST, wave_item(2, "STARTING")])],
    "wave 2 exists while wave 1 is None": [(record("POLLING"), [wave_item(2, "STARTING")])],
    "status went from POLLING to IN_PROGRESS": [(record("POLLING"), []), (record("IN_PROGRESS"), [])],
    "after FAILED, ['completedTime', 'endTime', 'status'] changed": [(record("FAILED"), []), (record("POLLING"), [])],
    "after COMPLETED, ['completedTime', 'endTime'] changed": [
        (record("COMPLETED"), DONE),
        (record("COMPLETED", endTime="later", completedTime="later"), DONE),
    ],
    "completedWaves fell from 1 to 0": [(record("POLLING", completedWaves=1), []), (record("POLLING"), [])],
    "the timeline was rewritten": [(record("POLLING", timeline=["a"]), []), (record("POLLING", timeline=["b"]), [])],
    "while POLLING, ['initiatedBy'] changed": [
        (record("POLLING"), []),
        (record("POLLING", initiatedBy="poll-wave"), []),
    ],
    "status POLLING with an open gate": [(record("POLLING", gate={"token": "AAAA+token"}), [])],
    "status POLLING with endTime now": [(record("POLLING", endTime="now", completedTime="now"), [])],
    "the execution is PAUSED while wave 1 is POLLING": [(record("PAUSED"), FIRST)],
    "the execution is FAILED and wave 1 still POLLING": [(record("FAILED"), FIRST)],
    "wave 0001 left COMPLETED for POLLING": [
        (record("POLLING"), DONE[:2]),
        (record("POLLING"), [wave_item(1, "POLLING", version=2), shard(1)]),
    ],
    "the endTime of wave 0001 changed": [
        (record("POLLING"), DONE[:2]),
        (record("POLLING"), [wave_item(1, "COMPLETED", endTime="later"), shard(1)]),
    ],
    "0001 went back from version 2 to 1": [
        (record("POLLING"), [wave_item(1, "POLLING", version=2)]),
        (record("POLLING"), FIRST),
    ],
    "pollAttempts of wave 0001 fell": [
        (record("POLLING"), [wave_item(1, "POLLING", pollAttempts=2)]),
        (record("POLLING"), FIRST),
    ],
    "s-1 has different instance ids": [(record("POLLING"), [wave_item(1, "COMPLETED"), shard(1, ec2InstanceId="i-2")])],
    "there are 0 records": [(record("POLLING"), []), (None, [])],
    **{
        f"wave 1 is {status} but s-1 lacks ['{field}']": [
            (record("POLLING"), [wave_item(1, status), shard(1, **{field: None})])
        ]
        for field in ENRICHED
        for status in ("COMPLETED", "PARTIAL")
    },
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_noticed(lie: str) -> None:
    """AC-2.2, AC-2.3, FR-2.4, S000, NFR-1.2, SM-3."""
    violations = watch_of(LIES[lie]).violations
    assert any(lie in one for one in violations), violations


def test_a_token_left_behind_is_noticed() -> None:
    """c-41."""
    watch = watch_of([(record("PAUSED"), []), (record("POLLING"), [])])
    assert not watch.tokens_left()
    assert watch_of([(record("PAUSED"), [])]).tokens_left()
    assert watch_of([(record("PAUSED"), []), (record("POLLING", lastAnswer="AAAA+token"), [])]).tokens_left()
