"""What the list of objectives is told in the snapshots: the same at every run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controlplane.errors import NotFound
from controlplane.filters.grammar import Term
from controlplane.memorylist import MemoryList
from controlplane.objectives.list import OBJECTIVES, shown
from controlplane.objectives.model import (
    Attribution,
    Counts,
    Held,
    Maintenance,
    Objective,
    ObjectiveDirectory,
    Share,
    Slice,
    Standing,
)
from controlplane.objectives.rules import evaluate
from tests.controlplane.objectives import objective

HOUR = timedelta(hours=1)
GAP, OUTAGE, PLANNED = range(200, 215), range(90, 96), range(30, 34)
"""Hours ago: nothing is known of the first; in the last maintenance was planned."""


class FrozenObjectives(MemoryList[Standing], ObjectiveDirectory):
    """A promise that was kept until an outage, one that is quiet, and one that nothing is known of."""

    declared = OBJECTIVES

    def __init__(self, now: datetime) -> None:
        self.now = now
        since = {"created_at": now, "updated_at": now}
        self.objectives = {
            1: objective(id=1, contractual=0.99, **since),
            2: objective(id=2, name="checkout", plan="enterprise", target=0.95, period="month", **since),
            3: objective(id=3, name="speed", kind="latency", threshold_ms=300.0, tenant_id="acme[red]", **since),
        }

    def slices(self, which: Objective) -> tuple[Slice, ...]:
        if which.id == 3:
            return ()
        found = []
        for back in reversed(range(24 * 30)):
            bad = 60 if which.id == 1 and back in OUTAGE else 8 if back in PLANNED else 1 if back % 4 == 0 else 0
            if back not in GAP:
                skipped = Counts(1000 - bad, 1000) if back in PLANNED else Counts()
                found.append(Slice(self.now - (back + 1) * HOUR, 3600, 1000 - bad, 1000, skipped))
        return tuple(found)

    async def rows(self) -> tuple[list[Standing], datetime]:
        return [await self.standing(id) for id in self.objectives], self.now

    def matching(self, rows: Sequence[Standing], terms: Sequence[Term], now: datetime) -> list[Standing]:
        return shown(rows, terms, now)

    async def standing(self, objective_id: int) -> Standing:
        if objective_id not in self.objectives:
            raise NotFound("no_objective", f"There is no objective {objective_id}.")
        which = self.objectives[objective_id]
        return evaluate(which, self.slices(which), self.now)

    async def history(self, objective_id: int, start: datetime, fine: timedelta = HOUR) -> tuple[Slice, ...]:
        return self.slices(self.objectives[objective_id])

    async def attribution(self, standing: Standing) -> Attribution:
        return Attribution(
            (Share("globex", 310, 41_000), Share("soylent-green-株式会社", 50, 9_000)),
            (Share("/v1/orders", 355, 70_000), Share("/v1/[red]users", 5, 3_000)),
            (Share("wf_live_8sKq", 12, 400), Share("", 3, 90)),
            self.now - timedelta(days=2),
        )

    async def rivals(self, name: str) -> tuple[Objective, ...]:
        return tuple(each for each in self.objectives.values() if each.name == name)

    async def maintenance(self, standing: Standing) -> tuple[Maintenance, ...]:
        begins = self.now - PLANNED.stop * HOUR
        return (Maintenance(4, None, None, None, begins, begins + 4 * HOUR, "new disks, CHG-7", "ana", begins),)

    async def of_tenant(self, tenant_id: str, route: str | None = None) -> list[tuple[Held, Standing]]:
        return []
