"""When what happens to which worker: decided by the seed, before anything runs. Acting is `chaos.py`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Act = Literal["kill", "terminate", "freeze"]


@dataclass(frozen=True)
class Blow:
    """One thing that happens."""

    at: float  # seconds after the storm's begin
    act: Act
    # Which of the active workers, as a share of their number: how many there are then is not known yet.
    victim: float
    # How long a frozen one stays frozen.
    seconds: float = 0.0


def forecast(seed: int, kills: int, terms: int, stops: int, seconds: float, heartbeat: float) -> list[Blow]:
    """So many blows at moments that have no rhythm (Poisson), in `seconds`."""
    chance = random.Random(seed)
    acts: list[Act] = ["kill"] * kills + ["terminate"] * terms + ["freeze"] * stops
    chance.shuffle(acts)
    gaps = [chance.expovariate(1.0) for _ in acts]
    pace = seconds / max(sum(gaps), 1e-9)
    blows, at = [], 0.0
    for act, gap in zip(acts, gaps, strict=True):
        at += gap * pace
        # Longer than the heartbeat: the task is somebody else's when the worker wakes up in the middle of it.
        asleep = heartbeat + chance.uniform(2.0, 8.0) if act == "freeze" else 0.0
        blows.append(Blow(at, act, chance.random(), asleep))
    return blows
