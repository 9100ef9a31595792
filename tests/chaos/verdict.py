"""What must hold after a chaos run, one function a promise. Each gives a line per violation; no line, no violation.

They are pure: evidence in, lines out. `test_verdict.py` feeds each of them the crime it is there for.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator

from evidence import Attempt, Evidence, Ran, WorkerFate, repairs

# Beyond what the service itself may take: a busy machine notices a deadline late. Generous, because what it separates
# is half a minute from for ever.
ENGINE_SLACK_SECONDS = 5.0
DISPATCH_SLACK_SECONDS = 15.0
SETTLED = {"COMPLETED", "PARTIAL", "FAILED", "SKIPPED"}

Violations = Iterator[str]


def judge(evidence: Evidence) -> list[str]:
    """Every violation, promise by promise."""
    return [f"{check.__name__}: {line}" for check in PROMISES for line in check(evidence)]


def nothing_is_launched_twice(evidence: Evidence) -> Violations:
    """DRS was asked to launch a server exactly as often as its plan says, and knows of as many launch jobs."""
    if not evidence.journal_complete:
        yield "the simulator's journal has a gap, so nobody can tell"
    asked = Counter(server for call in evidence.starts for server in call["servers"])
    held = Counter(
        server for job in evidence.jobs.values() if job["type"] == "LAUNCH" for server in job["servers"]
    )  # fmt: skip
    for run in evidence.runs:
        for server, times in run.expected.launches.items():
            if asked[server] != times:
                yield f"{run.id}: StartRecovery took effect {asked[server]} times for {server}, not {times}"
            if held[server] != times:
                yield f"{run.id}: {held[server]} launch jobs hold {server}, not {times}"


def drills_are_drills(evidence: Evidence) -> Violations:
    """A drill is launched as a drill and a recovery as a recovery."""
    drill = {server: run.expected.drill for run in evidence.runs for server in run.expected.launches}
    for call in evidence.starts:
        for server in call["servers"]:
            if server in drill and call["isDrill"] != drill[server]:
                yield f"{server} was launched with isDrill {call['isDrill']}"


def every_run_ends_right(evidence: Evidence) -> Violations:
    """The outcome is the one the plan leads to; record and Step Functions tell the same."""
    for run in evidence.runs:
        if run.record is None:
            yield f"{run.id} has no record"
            continue
        status, machine = run.record["status"], run.machine
        if machine["status"] == "RUNNING":
            yield f"{run.id} never ended; its record says {status}"
            continue
        if status != run.expected.status:
            yield f"{run.id} ({run.expected.kind}) ended {status}, not {run.expected.status}: {run.record.get('outcome')}"
        outcome = run.record.get("outcome", {})
        if status == "COMPLETED":
            agrees = machine["status"] == "SUCCEEDED"
        else:
            told = (machine.get("error", ""), machine.get("cause", ""))
            agrees = machine["status"] == "FAILED" and told == (outcome.get("error"), outcome.get("cause"))
        if not agrees:
            yield f"{run.id}: the record says {status} {outcome}, Step Functions {machine}"
        if "gate" in run.record or run.record.get("endTime", "") == "":
            yield f"{run.id}: ended with an open gate or without endTime"
        yield from (f"{run.id}: {line}" for line in run.seen)


def no_wave_is_skipped(evidence: Evidence) -> Violations:
    """Every wave ended as the plan leads to, one after the other."""
    for run in evidence.runs:
        waves = sorted(run.waves, key=lambda wave: wave["waveNumber"])
        found = [wave["status"] for wave in waves]
        if found != run.expected.waves:
            yield f"{run.id} ({run.expected.kind}): its waves are {found}, not {run.expected.waves}"
        end = ""
        for wave in waves:
            if wave["status"] == "SKIPPED":
                continue
            if wave["startTime"] < end:
                yield f"{run.id}: wave {wave['waveNumber']} began at {wave['startTime']}, before {end}"
            end = max(end, wave.get("endTime", ""))


def the_record_knows_every_job(evidence: Evidence) -> Violations:
    """Jobs in the record and launch jobs in DRS are the same, server by server."""
    for run in evidence.runs:
        servers = set(run.expected.launches)
        theirs = {
            id for id, job in evidence.jobs.items() if job["type"] == "LAUNCH" and servers & set(job["servers"])
        }  # fmt: skip
        ours = {shard["job"]["jobId"] for shard in run.shards if shard.get("job")}
        if ours != theirs:
            yield f"{run.id}: the record names the jobs {sorted(ours)}, DRS has {sorted(theirs)}"
        for shard in run.shards:
            for server in shard["serverStatuses"]:
                job = evidence.jobs.get(server.get("recoveryJobId", ""), {"servers": {}})
                if server["launchStatus"] == "LAUNCHED" and (
                    not server.get("instanceId")
                    or server["instanceId"] not in launched_by(evidence, run)
                    or server["sourceServerId"] not in job["servers"]
                ):
                    yield f"{run.id}: {server['sourceServerId']} is recorded with an instance or job that is not its own"


def things_happen_once(evidence: Evidence) -> Violations:
    """The outcome is written once, a wave is closed once, a cleanup begins and ends once."""
    for run in evidence.runs:
        if run.record is None:
            continue
        counts = Counter((entry["event"], entry["waveNumber"]) for entry in run.record["timeline"])
        for (event, wave), times in counts.items():
            if times > 1:
                yield f"{run.id}: {event} of wave {wave} is on the timeline {times} times"
        if ("FINALIZED", 0) not in counts:
            yield f"{run.id}: nobody finalized it"


def locks_are_free(evidence: Evidence) -> Violations:
    """Nothing holds a server once everything has ended."""
    for server, holder in sorted(evidence.locks.items()):
        yield f"{server} is still locked by {holder}"


def launched_by(evidence: Evidence, run: Ran) -> set[str]:
    """The instances launch jobs of this run's servers have made."""
    return {
        instance
        for job in evidence.jobs.values()
        if job["type"] == "LAUNCH"
        for server, instance in job["servers"].items()
        if instance and server in run.expected.launches
    }


def cleanup_takes_its_own_and_no_other(evidence: Evidence) -> Violations:
    """After a drill its instances are gone, all of them; those of recoveries and of other people are untouched."""
    may_go: set[str] = set()
    for run in evidence.runs:
        instances = launched_by(evidence, run)
        if len(instances) != run.expected.instances:
            yield f"{run.id}: {len(instances)} instances were launched, not {run.expected.instances}"
        if run.expected.drill:
            may_go |= instances
            left = {id for id in instances if id in evidence.instances or evidence.ec2.get(id) != "terminated"}
            if left:
                yield f"{run.id}: its cleanup left {sorted(left)}"
            if instances and (run.record or {}).get("cleanup", {}).get("status") != "COMPLETED":
                yield f"{run.id}: the record's cleanup says {(run.record or {}).get('cleanup')}"
        else:
            gone = {id for id in instances if id not in evidence.instances or evidence.ec2.get(id) != "running"}
            if gone:
                yield f"{run.id}: {sorted(gone)} of a recovery are gone"
    for call in evidence.terminations:
        strangers = set(call) - may_go
        if strangers:
            yield f"TerminateRecoveryInstances took {sorted(strangers)}, which no drill of ours launched"
    lost = {id for id in evidence.bystanders if id not in evidence.instances or evidence.ec2.get(id) != "running"}
    if lost:
        yield f"instances of somebody else are gone: {sorted(lost)}"


def every_task_taken_is_answered(evidence: Evidence) -> Violations:
    """SIGTERM loses no task, and neither does a healthy worker: only a kill or a freeze explains an attempt that timed
    out. The engine's count of tasks handed to a worker is the worker's own count."""
    by_worker: dict[str, list[Attempt]] = {}
    for attempt in evidence.attempts:
        if attempt.worker:
            by_worker.setdefault(attempt.worker, []).append(attempt)
    for name, attempts in by_worker.items():
        fate = evidence.workers.get(name)
        if fate is None:
            yield f"{name} took {len(attempts)} tasks, and nobody hired it"
            continue
        for attempt in attempts:
            if attempt.lost and not fate.explains(attempt):
                told = "was told to end and" if fate.terminated is not None else "is healthy and"
                yield f"{name} {told} lost a task: {attempt.execution} {attempt.state} attempt {attempt.number}"
    for name, fate in evidence.workers.items():
        if fate.killed is None:
            yield from _log_agrees(name, fate, len(by_worker.get(name, [])))


def _log_agrees(name: str, fate: WorkerFate, handed_out: int) -> Violations:
    # A frozen worker's connection may be cut under it; what it was sent then is repaired by the heartbeat.
    if len(fate.received) != handed_out and not fate.frozen:
        yield f"{name} was handed {handed_out} tasks and received {len(fate.received)}"
    for token in fate.received:
        fates = fate.finished.get(token, [])
        if len(fates) != 1:
            yield f"{name}: the task {token} has {len(fates)} terminal events"
        elif fates[0] not in ("accepted", "unknown") and not fate.frozen:
            yield f"{name}: the answer to the task {token} was {fates[0]}"


def sigterm_ends_a_worker_in_time(evidence: Evidence) -> Violations:
    """A worker told to end does so by itself, with status 0, within its drain bound."""
    for name, fate in evidence.workers.items():
        if fate.terminated is None or fate.killed is not None:
            continue
        if fate.exited is None:
            yield f"{name} is still there after SIGTERM"
        elif fate.exit_code != 0 and (fate.started or fate.exit_code != -signal.SIGTERM):
            # One that has not begun to poll may die of the signal: there is nothing it could lose.
            yield f"{name} ended with status {fate.exit_code} after SIGTERM"
        elif fate.exited - fate.terminated > evidence.drain_bound_seconds + ENGINE_SLACK_SECONDS:
            yield f"{name} took {fate.exited - fate.terminated:.0f} s to end after SIGTERM"


def nobody_dies_unasked(evidence: Evidence) -> Violations:
    """A worker that was neither killed nor told to end lives."""
    for name, fate in evidence.workers.items():
        if fate.exited is not None and fate.killed is None and fate.terminated is None:
            yield f"{name} ended by itself with status {fate.exit_code}"


def losses_are_repaired_in_time(evidence: Evidence) -> Violations:
    """A killed or frozen worker's task is given to another within HeartbeatSeconds and the state's retry interval."""
    for repair in repairs(evidence):
        lost = repair.lost
        where = f"{lost.execution} {lost.state} attempt {lost.number} ({repair.by})"
        noticed = lost.ended - repair.since
        if noticed > evidence.heartbeat_seconds + ENGINE_SLACK_SECONDS:
            yield f"{where}: the loss was noticed after {noticed:.1f} s"
        if repair.again is None or not repair.again.started:
            yield f"{where}: nobody took it again"
            continue
        bound = evidence.heartbeat_seconds + evidence.retry_pause(lost) + DISPATCH_SLACK_SECONDS
        if repair.seconds > bound:
            yield f"{where}: begun again after {repair.seconds:.1f} s, bound {bound:.1f} s"


def no_token_is_logged(evidence: Evidence) -> Violations:
    """A task token is a capability."""
    for name in evidence.tokens_in_logs:
        yield f"{name} holds a task token"


PROMISES: list[Callable[[Evidence], Violations]] = [
    nothing_is_launched_twice,
    drills_are_drills,
    every_run_ends_right,
    no_wave_is_skipped,
    the_record_knows_every_job,
    things_happen_once,
    locks_are_free,
    cleanup_takes_its_own_and_no_other,
    every_task_taken_is_answered,
    sigterm_ends_a_worker_in_time,
    nobody_dies_unasked,
    losses_are_repaired_in_time,
    no_token_is_logged,
]
