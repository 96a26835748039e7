"""How requests come and go: pure functions of a tenant and an instant, the same for history and for live traffic.

Instants are seconds since 1970 in UTC. A day in each region has its night, a week its weekend, and no hour is quite
like the one before. Latency moves with load. One tenant is a noisy neighbour. In one region a deploy went wrong two
days ago (`outage`), and one tenant of it fails since forty minutes ago.
"""

from __future__ import annotations

import math
import random
from functools import cache, lru_cache

from app.demo.estate import REGIONS, Estate, Firm

HOURS_FROM_UTC = dict(zip(REGIONS, (0, 1, -5, 8), strict=True))
BURST = 9.0
SLOW_SPELL, SLOW_OUTAGE = 1.9, 2.4
OUTAGE_SHARE, FAILING_SHARE = 0.18, 0.22
ONSET_SECONDS = 240.0
"""So long it takes until as many requests fail as will."""
BUSIEST = 1.12 * 1.6
SAMPLES = 12
"""How many instants of an hour its mean is taken from."""


def _spread() -> tuple[float, ...]:
    """A latency in relation to the median, sorted: answered from a cache or not, and one in fifty from a slow tail."""
    rng = random.Random("latency")

    def one(n: int) -> float:
        if n % 50 == 0:
            return rng.uniform(4, 9)
        return rng.lognormvariate(-1.3, 0.22) if n % 100 < 38 else rng.lognormvariate(0.22, 0.3)

    return tuple(sorted(one(n) for n in range(1000)))


SPREAD = _spread()


@lru_cache(maxsize=100_000)
def daily(region: str, at: float) -> float:
    """The factor, around 1, by which a region is busy at that time of its day and week."""
    local = at / 3600 + HOURS_FROM_UTC[region]
    weekend = (local // 24 + 3) % 7 >= 5  # 1970 began on a Thursday
    usual = (0.62 if weekend else 1.12) * (1 + 0.6 * math.cos((local - 14) / 24 * math.tau))
    return usual * (
        1 + 0.1 * _noise(region, local // 24) + 0.09 * _smooth(region, at / 5400) + 0.05 * _smooth(region, at / 420)
    )


def _smooth(region: str, place: float) -> float:
    """Noise from -1 to 1 that moves from one whole number to the next without a jump."""
    whole, part = divmod(place, 1)
    part = part * part * (3 - 2 * part)
    return _noise(region, whole) * (1 - part) + _noise(region, whole + 1) * part


@cache
def _noise(region: str, number: float) -> float:
    return random.Random(f"{region} {number}").uniform(-1, 1)


def demand(estate: Estate, firm: Firm, at: float) -> float:
    """Requests per second."""
    rate = firm.rate * daily(firm.region, at)
    return rate * (BURST if firm.id == estate.noisy and at // 60 % 20 < 4 else 1)


def slowness(estate: Estate, region: str, at: float) -> float:
    """What the latencies are multiplied by: near its busiest hour a region waits twice as long as at night."""
    load = daily(region, at) / BUSIEST
    if region == estate.outage.region and estate.outage.began <= at < estate.outage.mended:
        load += SLOW_OUTAGE
    spell, into = divmod(at, 5400)
    if spell % 4 == REGIONS.index(region) and into < 300:
        load += SLOW_SPELL
    return 0.7 + 0.7 * load


def failing(estate: Estate, firm: Firm, at: float) -> float:
    """The share of answers with 5xx, 0 to 1."""
    share = firm.server_errors
    if firm.region == estate.outage.region and estate.outage.began <= at < estate.outage.mended:
        share += OUTAGE_SHARE * min(1.0, (at - estate.outage.began) / ONSET_SECONDS)
    if firm.id == estate.failing and estate.onset <= at < estate.mended:
        share += FAILING_SHARE * min(1.0, (at - estate.onset) / ONSET_SECONDS)
    return share


def refused(firm: Firm, at: float) -> float:
    """The share of answers with 4xx, 0 to 1."""
    return firm.client_errors * clients(firm.region, at)


def clients(region: str, at: float) -> float:
    """The factor, around 1, by which a region's clients err: they have their better hours."""
    return 1 + 0.35 * _smooth(f"clients of {region}", at / 9000)


def samples(hour: int) -> list[float]:
    """The instants that stand for an hour, which is numbered from 1970."""
    return [3600 * hour + 3600 / SAMPLES * (n + 0.5) for n in range(SAMPLES)]
