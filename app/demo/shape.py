"""How requests come and go: pure functions of a tenant and an instant, the same for history and for live traffic.

Instants are seconds since 1970 in UTC. A day in each region has its night, a week its weekend; one tenant is a noisy
neighbour, one fails more and more and then starts over; regions slow down, one of them for hours on certain days.
"""

from __future__ import annotations

import math
import random

from app.demo.estate import REGIONS, Estate, Firm

HOURS_FROM_UTC = dict(zip(REGIONS, (0, 1, -5, 8), strict=True))
BURST = 9.0
SLOW_DAY, SLOW_SPELL = 2.6, 1.9
OUTAGE_REGION = "us-east-1"
SAMPLES = 12
"""How many instants of an hour its mean is taken from."""


def _spread() -> tuple[float, ...]:
    """A latency in relation to the median: log-normal, and one in fifty from a slow tail. Sorted."""
    rng = random.Random("latency")
    return tuple(sorted(rng.lognormvariate(0, 0.45) * (1 if n % 50 else rng.uniform(3, 7)) for n in range(1000)))


SPREAD = _spread()


def daily(region: str, at: float) -> float:
    """The factor, around 1, by which a region is busy at that time of its day and week."""
    local = at / 3600 + HOURS_FROM_UTC[region]
    weekend = (local // 24 + 3) % 7 >= 5  # 1970 began on a Thursday
    return (0.7 if weekend else 1.12) * (1 + 0.6 * math.cos((local - 14) / 24 * math.tau))


def demand(estate: Estate, firm: Firm, at: float) -> float:
    """Requests per second."""
    rate = firm.rate * daily(firm.region, at)
    return rate * (BURST if firm.id == estate.noisy and at // 60 % 20 < 4 else 1)


def slowness(estate: Estate, region: str, at: float) -> float:
    """What the latencies are multiplied by."""
    place, day, hour = REGIONS.index(region), at // 86400, at / 3600 % 24
    if (day + 3 * place) % 10 == estate.seed % 10 and 9 <= hour < 13:
        return SLOW_DAY
    spell, into = divmod(at, 1500)
    return SLOW_SPELL if spell % 4 == place and into < 300 else 1.0


def failing(estate: Estate, firm: Firm, at: float) -> float:
    """The share of answers with 5xx, 0 to 1."""
    if firm.id == estate.failing:
        return float(0.005 + 0.2 * (at % 7200 / 7200) ** 2)
    outage = firm.region == OUTAGE_REGION and at // 86400 % 13 == estate.seed % 13 and 14 <= at / 3600 % 24 < 15
    return firm.server_errors + (0.25 if outage else 0.0)


def samples(hour: int) -> list[float]:
    """The instants that stand for an hour, which is numbered from 1970."""
    return [3600 * hour + 3600 / SAMPLES * (n + 0.5) for n in range(SAMPLES)]
