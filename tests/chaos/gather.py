"""Collects the evidence of a chaos or load run: histories, records, DRS, EC2, logs. It reads and judges nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from crew import Crew, Member, read_log
from evidence import Attempt, Evidence, Json, Ran, WorkerFate
from lab import Lab, from_item
from workload import REGIONS, Started

_ENDS = {"ActivitySucceeded": "succeeded", "ActivityFailed": "failed", "ActivityTimedOut": "timedOut"}
_LOST = "States.HeartbeatTimeout"
# Whatever may be a token in a text: a UUID of the local engine, AWS's base64.
_WORD = re.compile(r"[A-Za-z0-9+/=_-]{20,}")


class Journal:
    """The mutating calls DRS got. The simulator keeps the last ten thousand calls of all kinds, so it is read as it grows."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._after = lab, 0
        self.entries: list[Json] = []

    def read(self) -> None:
        found = self._lab.control("GET", f"journal?mutating=true&after={self._after}")["entries"]
        if found:
            self._after = max(entry["sequence"] for entry in found)
            self.entries += found

    def complete(self) -> bool:
        """Whether every mutating call the simulator has counted was read."""
        self.read()
        return len(self.entries) == self._lab.mutating_calls()

    def effects(self, operation: str) -> list[Json]:
        return [entry for entry in self.entries if entry["operation"] == operation and entry["effect"]]


def gather(
    lab: Lab, runs: Iterable[Started], crew: Crew, journal: Journal, bystanders: set[str], seen: dict[str, list[str]]
) -> Evidence:
    evidence = Evidence(bystanders=bystanders)
    evidence.runs = [_ran(lab, run, seen.get(run.id, [])) for run in runs]
    for machine in machines(lab):
        for execution in _executions(lab, machine):
            evidence.attempts += attempts_of(execution.rpartition(":")[2], history(lab, execution))
    evidence.workers = {member.name: _fate(member) for member in crew.members}
    evidence.journal_complete = journal.complete()
    evidence.starts = [
        {
            "servers": [one["sourceServerID"] for one in entry["request"]["sourceServers"]],
            "isDrill": bool(entry["request"].get("isDrill")),
        }
        for entry in journal.effects("StartRecovery")
    ]
    evidence.terminations = [
        list(entry["request"]["recoveryInstanceIDs"]) for entry in journal.effects("TerminateRecoveryInstances")
    ]
    _look_at_drs(lab, evidence)
    evidence.locks = lab.locks()
    evidence.tokens_in_logs = _tokens_in_logs(lab, crew, evidence)
    definition = json.loads(lab.sfn.describe_state_machine(stateMachineArn=lab.machine)["definition"])
    evidence.heartbeat_seconds = float(definition["States"]["PollWave"]["HeartbeatSeconds"])
    evidence.retry_pauses = retry_pauses(definition, lab.stack.options.wait_scale)
    return evidence


def retry_pauses(definition: Json, scale: float) -> dict[str, list[float]]:
    """Per state, the longest pause before each retry after a lost heartbeat."""
    pauses: dict[str, list[float]] = {}
    for name, state in definition["States"].items():
        for retrier in state.get("Retry", []):
            if _LOST in retrier["ErrorEquals"]:
                first, rate = float(retrier.get("IntervalSeconds", 1)), float(retrier.get("BackoffRate", 2))
                delays = [first * rate**n for n in range(retrier.get("MaxAttempts", 3))]
                longest = float(retrier.get("MaxDelaySeconds", max(delays, default=0)))
                pauses[name] = [min(delay, longest) * scale for delay in delays]
                break
    return pauses


def attempts_of(execution: str, events: list[Json]) -> list[Attempt]:
    """The attempts of activity tasks in a history, in order."""
    attempts: list[Attempt] = []
    state, number = "", 0
    for event in events:
        kind, at = event["type"], event["timestamp"].timestamp()
        if kind.endswith("StateEntered"):
            state, number = event["stateEnteredEventDetails"]["name"], 0
        elif kind == "ActivityScheduled":
            number += 1
            attempts.append(Attempt(execution, state, number, at))
        elif kind == "ActivityStarted":
            attempts[-1].started = at
            attempts[-1].worker = event.get("activityStartedEventDetails", {}).get("workerName", "")
        elif kind in _ENDS:
            attempts[-1].ended, attempts[-1].end = at, _ENDS[kind]
            details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails", {})
            attempts[-1].error = details.get("error", "")
    return attempts


def history(lab: Lab, arn: str) -> list[Json]:
    pages = lab.sfn.get_paginator("get_execution_history").paginate(
        executionArn=arn, includeExecutionData=False, PaginationConfig={"PageSize": 1000}
    )
    return [event for page in pages for event in page["events"]]


def machines(lab: Lab) -> list[str]:
    """Every state machine of the stack: what ends a run may set off another."""
    pages = lab.sfn.get_paginator("list_state_machines").paginate()
    return [machine["stateMachineArn"] for page in pages for machine in page["stateMachines"]]


def _executions(lab: Lab, machine: str) -> list[str]:
    pages = lab.sfn.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return [execution["executionArn"] for page in pages for execution in page["executions"]]


def _ran(lab: Lab, run: Started, seen: list[str]) -> Ran:
    described = lab.sfn.describe_execution(executionArn=run.arn)
    machine = {key: described.get(key, "") for key in ("status", "error", "cause")}
    record = lab.read_execution(run.id)
    items = {item["waveKey"]: item for item in map(from_item, lab.read_waves(run.id))}
    return Ran(
        run.id,
        run.order.expected,
        machine,
        None if record is None else from_item(record),
        [item for key, item in items.items() if key.isdigit()],
        [item for key, item in items.items() if "#" in key and not key.endswith("members")],
        seen,
    )


def _fate(member: Member) -> WorkerFate:
    received: list[str] = []
    finished: dict[str, list[str]] = defaultdict(list)
    started = False
    for line in read_log(member.log):
        if line.get("message") == "WorkerStarted":
            started = True
        elif line.get("message") == "TaskReceived":
            received.append(line["span"]["token_hash"])
        elif line.get("message") == "TaskFinished":
            finished[line["token_hash"]].append(line["answer"])
    return WorkerFate(
        member.name,
        member.killed,
        member.terminated,
        member.frozen,
        member.exited,
        member.exit_code,
        started,
        received,
        dict(finished),
    )


def _look_at_drs(lab: Lab, evidence: Evidence) -> None:
    by_region: dict[str, set[str]] = defaultdict(set)
    for world in lab.control("GET", "state")["regions"]:
        for job in world["jobs"]:
            servers = {run["sourceServerID"]: run["instanceId"] or "" for run in job["servers"]}
            evidence.jobs[job["jobID"]] = {"type": job["type"], "servers": servers}
            by_region[world["region"]] |= {instance for instance in servers.values() if instance}
    for region in REGIONS:
        pages = lab.client("drs", region).get_paginator("describe_recovery_instances").paginate(filters={})
        for item in (item for page in pages for item in page["items"]):
            evidence.instances[item["recoveryInstanceID"]] = {"server": item["sourceServerID"], "job": item["jobID"]}
    for region, ids in by_region.items():
        found = _instance_states(lab.client("ec2", region), sorted(ids))
        # EC2 forgets terminated instances after a while.
        evidence.ec2.update({id: found.get(id, "terminated") for id in ids})


def _instance_states(ec2: Any, ids: list[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for begin in range(0, len(ids), 100):
        wanted = [{"Name": "instance-id", "Values": ids[begin : begin + 100]}]
        for reservation in ec2.describe_instances(Filters=wanted)["Reservations"]:
            states.update({one["InstanceId"]: one["State"]["Name"] for one in reservation["Instances"]})
    return states


def _tokens_in_logs(lab: Lab, crew: Crew, evidence: Evidence) -> list[str]:
    logs = [*lab.logs(), *(member.log for member in crew.members)]
    hashes = {token for fate in evidence.workers.values() for token in fate.received}
    return [
        path.name for path in dict.fromkeys(logs) if holds_token(path.read_text(errors="replace"), lab.tokens, hashes)
    ]


def holds_token(text: str, gates: Iterable[str], hashes: Iterable[str]) -> bool:
    """Whether the token of a gate is in the text, or one of a task, of which nobody but its worker knows more than the hash."""
    known = set(hashes)
    return any(token in text for token in gates) or any(
        hashlib.sha256(word.encode()).hexdigest()[:12] in known for word in set(_WORD.findall(text))
    )
