"""The rules by which the home takes jobs, once more as pure functions: the tests compare the home with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BACKOFF_SECONDS = 2.0
BACKOFF_CAP = 600.0


def backoff(tries: int, jitter: float) -> float:
    """Seconds until the next try: a part (`jitter` in [0, 1)) of 2 s, 4 s, 8 s … 10 min. The home has the same rule.

    Full jitter, so that many that failed together are not tried again together.
    """
    return float(jitter * min(BACKOFF_CAP, BACKOFF_SECONDS ** min(max(tries, 1), 20)))


@dataclass(frozen=True)
class Lane:
    """The costs of a tenant's due jobs, in the order in which they are taken; `v`: the tenant's virtual time."""

    v: float
    weight: float
    costs: Sequence[float]


def fair_batch(lanes: Mapping[str, Lane], most: int) -> list[str]:
    """The tenants whose jobs are taken next, in order: always the lane with the least virtual time, which each job
    advances by cost ÷ weight. The home's claim takes the same jobs; a lane offers at most twice its share of a claim,
    by weight.
    """
    chosen = sorted((name for name in lanes if lanes[name].costs), key=lambda name: (lanes[name].v, name))[:most]
    weights = sum(lanes[name].weight for name in chosen)
    offers: list[tuple[float, str]] = []
    for name in chosen:
        lane, v = lanes[name], lanes[name].v
        for cost in lane.costs[: min(most, math.ceil(2 * most * lane.weight / weights))]:
            offers.append((v, name))
            v += cost / lane.weight
    return [name for _, name in sorted(offers, key=lambda offer: offer)[:most]]


def returning(v: float, active: Sequence[float], last: float) -> float:
    """The virtual time of a lane that was idle: it saves up no turns. `last`: that of the last claim."""
    return max(v, min(active, default=last))
