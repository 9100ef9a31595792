"""A local stack as the end-to-end tests use it: its clients, the simulator's control API, servers and plans to order.

Nothing here judges an execution: driving one is `run.py`, watching it is `observer.py`. Every test orders servers of
its own, so no two tests of a stack meet, and whatever one test did wrong stays with it.
"""

from __future__ import annotations

import itertools
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config

from local.lifecycle import ACCOUNT, Stack

REGION = "us-west-2"
Json = dict[str, Any]


def wait_for(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = 60.0) -> Any:
    """The first truthy value of `condition`; fails naming what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


def from_item(item: Json) -> Json:
    """A DynamoDB item as plain JSON."""
    plain: Json = _plain(_deserializer.deserialize({"M": item}))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if type(value).__name__ == "Decimal" else value


_deserializer, _serializer = TypeDeserializer(), TypeSerializer()


@dataclass(frozen=True)
class Fleet:
    """Source servers that belong to one test."""

    ids: list[str]
    tags: dict[str, str]
    region: str = REGION

    def group(self, **fields: Any) -> Json:
        """A plan's group that names them by id."""
        return {"region": self.region, "sourceServerIds": self.ids, **fields}

    def tagged(self, **fields: Any) -> Json:
        """A plan's group that finds them by tag."""
        return {"region": self.region, "tags": self.tags, **fields}


def wave(*groups: Fleet | Json, **fields: Any) -> Json:
    """A wave without its number, which `Lab.plan` gives."""
    return {"groups": [group.group() if isinstance(group, Fleet) else group for group in groups], **fields}


class Lab:
    """One stack and what a test asks of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        environment = stack.environment()
        self.machine = environment["TIDEGATE_STATE_MACHINE_ARN"]
        self.reconcile = environment["TIDEGATE_RECONCILE_ARN"]
        self.tables: dict[str, str] = json.loads(environment["TIDEGATE_TABLES"])
        self.endpoint, self._simulator = environment["AWS_ENDPOINT_URL"], environment["TIDEGATE_SIMULATOR_URL"]
        self.sfn = self.client("stepfunctions")
        self.dynamodb = self.client("dynamodb")
        # Task tokens of gates that were seen: none may be found anywhere but in execution-gates.
        self.tokens: set[str] = set()
        self._numbers = itertools.count(1)

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._simulator if service == "drs" else self.endpoint,
            region_name=region,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 2}, read_timeout=30, max_pool_connections=32),
        )

    def number(self) -> int:
        """A number no other test of this stack has."""
        return next(self._numbers)

    # -- servers and plans --

    def fleet(self, count: int = 1, *, region: str = REGION, account: str = ACCOUNT, **facts: Any) -> Fleet:
        """New source servers; `facts` are members of the simulator's InventoryServer."""
        batch = self.number()
        tags = {"batch": f"batch-{batch}", **facts.pop("tags", {})}
        ids = [f"s-{batch * 1000 + index:017x}" for index in range(count)]
        servers = [
            {
                "sourceServerId": server,
                "hostname": f"host-{batch}-{index}",
                "tags": {"Name": f"server-{batch}-{index}", **tags},
                **facts,
            }
            for index, server in enumerate(ids)
        ]
        answer = self.control("POST", "servers", {"region": region, "account": account, "servers": servers})
        assert answer == {"added": count}
        return Fleet(ids, tags, region)

    def plan(self, *waves: Fleet | Json, plan_id: str | None = None) -> Json:
        """A plan of these waves, numbered in order."""
        plan_id = plan_id or f"plan-{self.number()}"
        listed = [wave(one) if isinstance(one, Fleet) else one for one in waves]
        numbered = [{"waveNumber": n, "waveName": f"wave {n}", **one} for n, one in enumerate(listed, start=1)]
        return {"planId": plan_id, "planName": f"The plan {plan_id}", "waves": numbered}

    def store_plan(self, plan: Json) -> str:
        """Stores a plan as operators do; returns its id."""
        self.put("recoveryPlans", {"planId": plan["planId"], "plan": json.dumps(plan)})
        return str(plan["planId"])

    def store_group(self, group: Json) -> str:
        """Stores a protection group; returns its id."""
        self.put("protectionGroups", {"groupId": group["groupId"], "group": json.dumps(group)})
        return str(group["groupId"])

    def put(self, table: str, item: Json) -> None:
        """Stores an item as the tools do, or as nobody should."""
        item = {**item, "version": 1, "updatedAt": "2026-01-01T00:00:00Z"}
        typed = {key: _serializer.serialize(value) for key, value in item.items()}
        self.dynamodb.put_item(TableName=self.tables[table], Item=typed)

    def replace(self, table: str, item: Json) -> None:
        """Stores an item as it is, whatever was there."""
        self.dynamodb.put_item(TableName=self.tables[table], Item={key: _serializer.serialize(value) for key, value in item.items()})

    # -- records --

    def read_execution(self, execution_id: str) -> Json | None:
        """The raw item of an execution, read consistently; its plan id is not needed."""
        items = self._query("executionHistory", execution_id)
        assert len(items) <= 1, f"{execution_id} has {len(items)} records"
        return items[0] if items else None

    def gate_token(self, execution_id: str, gate: Json) -> str | None:
        """The token of this open gate; None while it is that of the gate before, or not written yet."""
        key = {"executionId": {"S": execution_id}}
        item = self.dynamodb.get_item(TableName=self.tables["executionGates"], Key=key, ConsistentRead=True).get("Item")
        if item is None or item["since"]["S"] < gate["since"]:
            return None
        self.tokens.add(item["token"]["S"])
        return str(item["token"]["S"])

    def requests(self, execution_id: str) -> Json:
        """What is asked of an execution, as it is stored."""
        key = {"executionId": {"S": execution_id}}
        found = self.dynamodb.get_item(TableName=self.tables["executionRequests"], Key=key, ConsistentRead=True)
        return dict(found.get("Item", {}))

    def read_waves(self, execution_id: str) -> list[Json]:
        """The raw items of an execution's waves, shards and members, in key order."""
        return self._query("executionWaves", execution_id)

    def _query(self, table: str, execution_id: str) -> list[Json]:
        arguments: Json = {
            "TableName": self.tables[table],
            "ConsistentRead": True,
            "KeyConditionExpression": "executionId = :id",
            "ExpressionAttributeValues": {":id": {"S": execution_id}},
        }
        items: list[Json] = []
        while True:
            page = self.dynamodb.query(**arguments)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def locks(self) -> dict[str, str]:
        """Locked servers and the executions that hold them."""
        items = self.dynamodb.scan(TableName=self.tables["serverLocks"], ConsistentRead=True)["Items"]
        return {item["server"]["S"]: item.get("executionId", {}).get("S", "") for item in items}

    # -- the simulator --

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self._simulator}/_simulator/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fault(self, *rules: Json) -> list[str]:
        """Puts faults in force; the test's end takes them back (see the `lab` fixture)."""
        return list(self.control("POST", "faults", list(rules))["ids"])

    def fired(self, fault_id: str) -> int:
        """How often a fault has struck."""
        rules = self.control("GET", "faults")["faults"]
        return sum(rule["fired"] for rule in rules if rule["id"] == fault_id)

    def mutating_calls(self) -> int:
        """DRS calls so far that may change something, refused ones included."""
        return int(self.control("GET", "calls")["mutating"])

    def journal(self, operation: str, fleet: Fleet | None = None) -> list[Json]:
        """Calls of an operation, oldest first; with a fleet only those that name one of its servers."""
        query = urllib.parse.urlencode({"operation": operation})
        entries: list[Json] = self.control("GET", f"journal?{query}")["entries"]
        if fleet is None:
            return entries
        return [entry for entry in entries if any(server in json.dumps(entry["request"]) for server in fleet.ids)]

    def look_at_jobs(self) -> int:
        """How many calls of DescribeJobs the look before a launch takes: one a page of this stack's jobs."""
        return sum(1 for _ in self.client("drs").get_paginator("describe_jobs").paginate(filters={}))

    def jobs(self, fleet: Fleet, kind: str = "LAUNCH") -> list[Json]:
        """DRS jobs with servers of this fleet."""
        found = self.client("drs", fleet.region).get_paginator("describe_jobs").paginate(filters={})
        jobs = (job for page in found for job in page["items"] if job["type"] == kind)
        return [job for job in jobs if {one["sourceServerID"] for one in job["participatingServers"]} & set(fleet.ids)]

    def recovery_instances(self, fleet: Fleet) -> dict[str, Json]:
        """Recovery instances DRS lists of this fleet, by id."""
        instances: dict[str, Json] = {}
        drs = self.client("drs", fleet.region)
        for start in range(0, len(fleet.ids), 200):
            filters = {"sourceServerIDs": fleet.ids[start : start + 200]}
            for page in drs.get_paginator("describe_recovery_instances").paginate(filters=filters):
                instances.update({item["recoveryInstanceID"]: item for item in page["items"]})
        return instances

    def instance_states(self, ids: list[str], region: str = REGION) -> dict[str, str]:
        """What EC2 says of instances."""
        answer = self.client("ec2", region).describe_instances(InstanceIds=ids)
        found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
        return {one["InstanceId"]: one["State"]["Name"] for one in found if one["InstanceId"] in ids}

    # -- the processes --

    def logs(self) -> Iterator[Path]:
        yield from sorted(self.stack.log("any").parent.glob("*.log"))

    def worker_log(self, name: str = "") -> list[Json]:
        """Every JSON line the workers, or one of them, have printed; metric lines included."""
        lines: list[Json] = []
        for path in self.logs():
            if path.name.startswith("worker-") and name in path.name:
                lines += [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
        return lines

    @contextmanager
    def without_faults_afterwards(self) -> Iterator[Lab]:
        try:
            yield self
        finally:
            with suppress(OSError):  # the simulator is dead, and somebody else says so
                self.control("DELETE", "faults")
