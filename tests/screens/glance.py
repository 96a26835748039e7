"""What an overview is told in the snapshots: the same at every run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from controlplane.alerts.model import OpenAlerts
from controlplane.errors import Refusal
from controlplane.incidents.model import Standing
from controlplane.listing import Count
from controlplane.overview.model import (
    Burner,
    Burning,
    Change,
    Changes,
    Ending,
    Figures,
    GatesDue,
    KeysDue,
    OverviewSource,
    PlansDue,
    QuotaNear,
    Region,
    RunsDue,
    Stray,
    TenantFigures,
    Traffic,
    WorkDue,
)

NIGHT = (310, 280, 240, 210, 190, 180, 200, 260, 420, 640, 810, 905, 980, 1010, 1004, 960, 930, 890, 760, 610, 500, 440)


class FrozenGlance:
    """A fleet in the middle of a bad hour, unless the home is empty."""

    def __init__(self, now: Any, home: OverviewSource) -> None:
        self.now, self.home = now, home

    async def empty(self) -> bool:
        return await self.home.empty()

    async def alerts(self) -> OpenAlerts:
        return OpenAlerts(3, 1, 2, 1, self.now - timedelta(seconds=20))

    async def incidents(self) -> Sequence[Standing]:
        return [
            Standing(4, "SEV-1", "ana", None, self.now - timedelta(minutes=3)),
            Standing(3, "SEV-3", None, None, None),
        ]

    async def traffic(self) -> Traffic:
        day = [Figures(float(n), 0.004 + 0.03 * (place == 5), 180 + n / 10) for place, n in enumerate(NIGHT)]
        return Traffic(
            self.now - timedelta(minutes=2),
            Figures(1204, 0.0162, 212),
            (*day[:9], Figures(), Figures(), *day[9:]),
            Figures(1075, 0.0041, 208),
        )

    async def failing(self) -> Sequence[TenantFigures]:
        recent = self.now - timedelta(minutes=1)
        rows = [("umbrella", 4.2, 0.12, 88.0), ("globex", 87.5, 0.031, 1240.0), ("acme", 1204.0, 0.0041, 212.0)]
        return [TenantFigures(*row, recent) for row in rows] + [
            TenantFigures("soylent-green-株式会社-tokyo", 3.0, 0.002, 90.0, self.now - timedelta(hours=2))
        ]

    async def slowest(self) -> Sequence[TenantFigures]:
        return sorted(await self.failing(), key=lambda row: -(row.p95_ms or 0))

    async def regions(self) -> Sequence[Region]:
        until = self.now - timedelta(minutes=2)
        return [
            Region("ap-south-1", None),
            Region("eu-west-1", until, Figures(1100, 0.002, 120)),
            Region("us-east-1", until, Figures(104, 0.071, 900)),
        ]

    async def keys(self) -> KeysDue:
        return KeysDue(Count(2), Count(1000, True))

    async def plans(self) -> PlansDue:
        trials = (Ending("initech", self.now + timedelta(days=2)),)
        quotas = (QuotaNear("acme", "exports", 95, 100),)
        return PlansDue(Count(1), trials, Count(1), quotas, self.now - timedelta(minutes=3))

    async def work(self) -> WorkDue:
        return WorkDue(2, 0, 1, Count(12), Count(0))

    async def gates(self) -> GatesDue:
        return GatesDue(4, 1, 1, 1, ("release/production", "core/staging"))

    async def runs(self) -> RunsDue:
        raise Refusal("home_busy", "The home took too long to answer.", "Try again.")

    async def stray(self) -> Stray:
        return Stray(Count(0), Count(0), Count(0))

    async def burning(self) -> Burning:
        fastest = (
            Burner(3, "api (all)", "ok", 0.41, 0.62),
            Burner(1, "api (umbrella)", "page", 17.3, -0.37),
            Burner(2, "checkout (plan enterprise)", "ticket", 3.2, 0.18),
        )
        return Burning(Count(7), Count(1), fastest)

    async def changes(self) -> Changes:
        at = self.now - timedelta(minutes=7)
        return Changes(
            Count(38),
            (
                Change(41, at, "ana", "tenants.suspend", "globex", False),
                Change(40, at - timedelta(minutes=3), "wf_owner", "sql.update", "acme", True),
                Change(39, at - timedelta(minutes=20), "ben", "keys.rotate", "key_01ARZ3NDEKTSV4RRFFQ69G5FAV", False),
            ),
        )
