"""Watches every execution of every test, from its first record to its end, and says what must never be seen.

A thread reads the execution's item and its wave items, consistently, over and over. It judges what any reader may rely
on ("the status never lies"): order of statuses, what COMPLETED promises, what never changes again. It knows the
contract of the records and nothing of how they come about.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse
from typing import Any, ClassVar

from lab import REGION, Json, Lab, from_item

from local.lifecycle import ACCOUNT

TERMINAL = {"COMPLETED", "PARTIAL", "FAILED", "CANCELLED", "TIMED_OUT"}
SETTLED = {"COMPLETED", "PARTIAL", "FAILED", "SKIPPED"}
ENRICHED = (
    "instanceId",
    "ec2InstanceId",
    "recoveredInstanceId",
    "recoveryInstanceId",
    "instanceType",
    "privateIp",
    "launchTime",
)
# From each open status, what may be seen next. A reader may miss PAUSED or POLLING, so both lead on from the start.
NEXT_STATUS = {
    "PENDING": {"PENDING", "IN_PROGRESS", "POLLING", "PAUSED"} | TERMINAL,
    "IN_PROGRESS": {"IN_PROGRESS", "POLLING", "PAUSED"} | TERMINAL,
    "POLLING": {"POLLING", "PAUSED"} | TERMINAL,
    "PAUSED": {"POLLING", "PAUSED"} | TERMINAL,
}
# What the state machine and operators may write while an execution stays POLLING. Neither poll-wave nor start-wave is
# among the writers (FR-2.4): anything else that changes is theirs, and a violation.
WRITTEN_WHILE_POLLING = {"currentWave", "completedWaves", "timeline", "lastAnswer"}
WRITTEN_AFTER_THE_END = {"cleanup", "continuedBy", "replacedBy", "timeline"}


class Reader:
    """Consistent queries without botocore: an observer that takes a processor of two changes what it sees."""

    _HEADERS: ClassVar = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.Query",
        # The engine takes account and Region from here and checks no signature.
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }

    def __init__(self, endpoint: str) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=30)

    def partition(self, table: str, execution_id: str) -> list[bytes]:
        """The pages of an execution's items, as they came."""
        query: Json = {
            "TableName": table,
            "ConsistentRead": True,
            "KeyConditionExpression": "executionId = :id",
            "ExpressionAttributeValues": {":id": {"S": execution_id}},
        }
        pages: list[bytes] = []
        while True:
            status, body = self._ask(json.dumps(query))
            if status != 200:
                raise AssertionError(f"a query of {table} was answered {status}: {body[:200]!r}")
            pages.append(body)
            if b"LastEvaluatedKey" not in body:
                return pages
            query["ExclusiveStartKey"] = json.loads(body)["LastEvaluatedKey"]

    def _ask(self, query: str) -> tuple[int, bytes]:
        try:
            self._connection.request("POST", "/", query, self._HEADERS)
            answer = self._connection.getresponse()
        except ConnectionError:
            # The server has closed a connection nobody used while tests of another stack ran.
            self._connection.close()
            self._connection.request("POST", "/", query, self._HEADERS)
            answer = self._connection.getresponse()
        return answer.status, answer.read()


def items_of(pages: list[bytes]) -> list[Json]:
    return [from_item(item) for page in pages for item in json.loads(page)["Items"]]


class Watch:
    """What was seen of one execution."""

    def __init__(self, lab: Lab, reader: Reader, execution_id: str) -> None:
        self._lab, self._reader, self.execution_id = lab, reader, execution_id
        self.violations: list[str] = []
        self.looks = 0
        # Every distinct version of the record, and of the wave items by key, in the order they were seen.
        self.records: list[Json] = []
        self.items: dict[str, list[Json]] = {}
        self.polls_with_untouched_record = 0
        self._raw_record: list[bytes] = []
        self._raw_items: list[bytes] = []

    @property
    def statuses(self) -> list[str]:
        """The statuses seen, repetitions left out."""
        seen: list[str] = []
        for record in self.records:
            if not seen or seen[-1] != record["status"]:
                seen.append(record["status"])
        return seen

    def look(self) -> None:
        """Reads the record, then the waves, and judges both."""
        tables = self._lab.tables
        raw_record = self._reader.partition(tables["executionHistory"], self.execution_id)
        untouched = bool(self.records) and raw_record == self._raw_record
        if untouched and self.items:
            # The waves read last time lay between two equal reads of the record: the pair is a snapshot.
            self._check_snapshot()
        if raw_record != self._raw_record:
            self._see_records(items_of(raw_record))
            self._raw_record = raw_record
        raw_items = self._reader.partition(tables["executionWaves"], self.execution_id)
        if raw_items != self._raw_items:
            polls = self._polls()
            self._see_items(items_of(raw_items))
            self.polls_with_untouched_record += untouched and self._polls() > polls
            self._raw_items = raw_items
        if self.records:
            self._check_completed()
        self.looks += 1

    def latest(self, key: str) -> Json | None:
        versions = self.items.get(key)
        return versions[-1] if versions else None

    # -- the record --

    def _see_records(self, found: list[Json]) -> None:
        if len(found) != 1:
            if self.records or len(found) > 1:
                self._violated(f"there are {len(found)} records")
            return
        (record,) = found
        before = self.records[-1] if self.records else None
        self.records.append(record)
        if ("gate" in record) != (record["status"] == "PAUSED"):
            self._violated(f"status {record['status']} with{'' if 'gate' in record else 'out'} an open gate")
        if ("endTime" in record) != (record["status"] in TERMINAL) or record.get("endTime") != record.get(
            "completedTime"
        ):
            self._violated(f"status {record['status']} with endTime {record.get('endTime')}")
        if before is not None:
            self._check_change(before, record)

    def _check_change(self, before: Json, record: Json) -> None:
        was, now = before["status"], record["status"]
        changed = {key for key in before.keys() | record.keys() if before.get(key) != record.get(key)}
        if was in TERMINAL:
            if changed - WRITTEN_AFTER_THE_END:
                self._violated(f"after {was}, {sorted(changed - WRITTEN_AFTER_THE_END)} changed")
        elif now not in NEXT_STATUS[was]:
            self._violated(f"status went from {was} to {now}")
        elif was == now == "POLLING" and changed - WRITTEN_WHILE_POLLING:
            self._violated(f"while POLLING, {sorted(changed - WRITTEN_WHILE_POLLING)} changed")
        if record["completedWaves"] < before["completedWaves"]:
            self._violated(f"completedWaves fell from {before['completedWaves']} to {record['completedWaves']}")
        if record["timeline"][: len(before["timeline"])] != before["timeline"]:
            self._violated("the timeline was rewritten")

    # -- the waves --

    def _waves(self) -> dict[int, Json]:
        return {int(key): versions[-1] for key, versions in self.items.items() if key.isdigit()}

    def shards(self, wave_number: int) -> list[Json]:
        prefix = f"{wave_number:04d}#"
        return [
            versions[-1]
            for key, versions in self.items.items()
            if key.startswith(prefix) and not key.endswith("members")
        ]

    def _polls(self) -> int:
        return sum(wave["pollAttempts"] for wave in self._waves().values())

    def _see_items(self, items: list[Json]) -> None:
        changed = []
        for item in items:
            versions = self.items.setdefault(item["waveKey"], [])
            if not versions or versions[-1] != item:
                if versions:
                    self._check_item(versions[-1], item)
                versions.append(item)
                changed.append(item["waveKey"][:4])
        waves = self._waves()
        for number, wave in waves.items():
            earlier = waves.get(number - 1)
            if number > 1 and (earlier is None or earlier["status"] not in SETTLED) and not self._carried(number):
                self._violated(f"wave {number} exists while wave {number - 1} is {earlier and earlier['status']}")
            if wave["status"] in ("COMPLETED", "PARTIAL") and f"{number:04d}" in changed:
                self._check_enriched(number, f"wave {number} is {wave['status']}")

    def _carried(self, number: int) -> bool:
        """Settled since it was first seen, in a continuation: a wave the continued run had gone on to past a failed one."""
        continues = bool(self.records) and "continues" in self.records[-1]
        return continues and all(item["status"] in SETTLED for item in self.items[f"{number:04d}"])

    def _check_item(self, before: Json, item: Json) -> None:
        key = item["waveKey"]
        if item.get("version", 1) < before.get("version", 1):
            self._violated(f"{key} went back from version {before['version']} to {item['version']}")
        if not key.isdigit():
            return
        was, now = before["status"], item["status"]
        retried = item["attempt"] > before["attempt"]
        if was in SETTLED and now != was and not (was == "FAILED" and (retried or now == "SKIPPED")):
            self._violated(f"wave {key} left {was} for {now}")
        if "endTime" in before and item.get("endTime") != before["endTime"] and not retried:
            self._violated(f"the endTime of wave {key} changed from {before['endTime']} to {item.get('endTime')}")
        if item["pollAttempts"] < before["pollAttempts"]:
            self._violated(f"pollAttempts of wave {key} fell")

    def _check_enriched(self, number: int, where: str) -> None:
        for shard in self.shards(number):
            for server in shard["serverStatuses"]:
                missing = [field for field in ENRICHED if not server.get(field)]
                if server["launchStatus"] == "LAUNCHED" and missing:
                    self._violated(f"{where} but {server['sourceServerId']} lacks {missing}")
                if len({server.get(field) for field in ("instanceId", "ec2InstanceId", "recoveredInstanceId")}) > 1:
                    self._violated(f"{where}: {server['sourceServerId']} has different instance ids")

    # -- both --

    def _check_completed(self) -> None:
        """COMPLETED, once seen, promises things that stay true, so reading the waves afterwards is sound."""
        record = self.records[-1]
        if record["status"] != "COMPLETED":
            return
        wanted = "SKIPPED" if record["mode"] == "DRY_RUN" else "COMPLETED"
        waves = self._waves()
        for number in range(1, record["totalWaves"] + 1):
            found = waves[number]["status"] if number in waves else "absent"
            if found != wanted:
                self._violated(f"the execution is COMPLETED while wave {number} is {found}")
            self._check_enriched(number, "the execution is COMPLETED")

    def _check_snapshot(self) -> None:
        status, gate = self.records[-1]["status"], self.records[-1].get("gate", {})
        for number, wave in self._waves().items():
            # A wave whose task failed past its retries is POLLING still: its jobs run on while a person decides.
            decided = gate.get("kind") == "DECISION" and gate["waveNumber"] == number
            if wave["status"] not in SETTLED and status != "POLLING" and status not in TERMINAL and not decided:
                self._violated(f"the execution is {status} while wave {number} is {wave['status']}")
            if wave["status"] not in SETTLED and status in TERMINAL:
                self._violated(f"the execution is {status} and wave {number} still {wave['status']}")

    def _violated(self, what: str) -> None:
        if what not in self.violations:
            self.violations.append(what)

    def tokens_left(self) -> bool:
        """Whether the record or a wave item holds a task token now."""
        text = b"".join(self._raw_record + self._raw_items).decode()
        return any(json.dumps(token)[1:-1] in text for token in self._lab.tokens)


class Observer(threading.Thread):
    """Looks at every running execution in turn until told to stop."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True, name="observer")
        self._lab, self._reader = lab, Reader(lab.endpoint)
        self._watches: list[Watch] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._failure: Exception | None = None

    def watch(self, execution_id: str) -> Watch:
        watch = Watch(self._lab, self._reader, execution_id)
        with self._lock:
            self._watches.append(watch)
        return watch

    def release(self, watch: Watch) -> None:
        """Takes a last look and stops watching; no look of the thread is under way when this returns."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
            watch.look()
        if self._failure is not None:
            raise AssertionError("the observer stopped observing") from self._failure

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=30)

    def run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            for index in range(len(self._watches)):
                with self._lock:
                    watch: Any = self._watches[index] if index < len(self._watches) else None
                    if watch is not None and self._failure is None:
                        try:
                            watch.look()
                        except Exception as error:
                            self._failure = error
            # At most half of the time: what is watched shares two processors with whoever watches.
            time.sleep(max(0.004, time.monotonic() - began))
