"""Numbers out of evidence, and the lines that tell them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from evidence import Evidence, repairs


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank); 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


def spread(values: Iterable[float], unit: str = "s", digits: int = 1) -> str:
    """p50, p95, max and how many."""
    listed = list(values)
    if not listed:
        return "none"
    p50, p95, most = percentile(listed, 0.5), percentile(listed, 0.95), max(listed)
    return f"p50 {p50:.{digits}f} {unit}, p95 {p95:.{digits}f} {unit}, max {most:.{digits}f} {unit} ({len(listed)})"


def summary(evidence: Evidence) -> list[str]:
    """What a chaos run saw."""
    fates = evidence.workers.values()
    killed = [fate for fate in fates if fate.killed is not None]
    drained = [fate for fate in fates if fate.terminated is not None and fate.killed is None]
    frozen = [fate for fate in fates if fate.frozen]
    drains = [fate.exited - fate.terminated for fate in drained if fate.exited is not None and fate.terminated is not None]
    ends = Counter(attempt.end or "cut off" for attempt in evidence.attempts)
    errors = Counter(attempt.error for attempt in evidence.attempts if attempt.end == "failed")
    mended = list(repairs(evidence))
    pause = max((evidence.retry_pause(repair.lost) for repair in mended), default=0.0)
    named = {fate.name: fate for fate in drained}
    taken = [attempt for attempt in evidence.attempts if attempt.worker in named]
    lost = [attempt for attempt in taken if attempt.lost]
    # A worker told to end may have been frozen earlier in its life.
    frozen_out = sum(named[attempt.worker].explains(attempt) for attempt in lost)
    late = sum((named[attempt.worker].terminated or 0.0) <= attempt.started for attempt in taken)
    unwanted = sum(answers.count("unwanted") for fate in frozen for answers in fate.finished.values())
    outcomes = Counter((run.record or {}).get("status", "no record") for run in evidence.runs)
    adopted = sum(1 for run in evidence.runs for shard in run.shards if (shard.get("job") or {}).get("adopted"))
    lines = [
        f"workers: {len(evidence.workers)} processes, {len(killed)} kill -9, {len(drained)} SIGTERM, "
        f"{sum(len(fate.frozen) for fate in frozen)} SIGSTOP/SIGCONT",
        f"executions: {len(evidence.runs)} ({_counts(outcomes)}), {sum(len(run.waves) for run in evidence.runs)} waves, "
        f"{len(evidence.starts)} StartRecovery, {adopted} jobs adopted after a lost answer",
        f"attempts: {len(evidence.attempts)} ({_counts(ends)}); errors answered: {_counts(errors) or 'none'}",
    ]
    for by in ("kill in hand", "kill, open poll", "freeze"):
        of_kind = [repair for repair in mended if repair.by == by]
        lines.append(f"repaired, {by}: {spread(repair.seconds for repair in of_kind)}")
    again = [repair.again for repair in mended if repair.again is not None and repair.again.started]
    lines += [
        f"  of which until the loss is noticed: {spread(repair.lost.ended - repair.since for repair in mended)}; "
        f"retry pause: {spread(repair.again.scheduled - repair.lost.ended for repair in mended if repair.again)}; "
        f"dispatch: {spread(attempt.started - attempt.scheduled for attempt in again)}",
        f"  bound: HeartbeatSeconds {evidence.heartbeat_seconds:g} s + retry pause at most {pause:.1f} s, and dispatch",
        f"SIGTERM: {len(lost) - frozen_out} of {len(taken)} tasks lost ({late} taken after the signal by polls in flight; "
        f"{frozen_out} lost in an earlier freeze); drained in {spread(drains)}",
        f"frozen workers: {unwanted} late answers refused by the service",
    ]
    return lines


def _counts(counter: Counter[Any]) -> str:
    return ", ".join(f"{key} {number}" for key, number in counter.most_common())
