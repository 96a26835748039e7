"""The store that the operations of objectives write through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from controlplane.changes import Store
from controlplane.objectives.model import Maintenance, Objective, Slice


class ObjectiveStore(Store[Objective], Protocol):
    """Raises Conflict `objective_taken` for a second objective with the same name and scope."""

    async def history(self, objective: Objective, start: datetime) -> tuple[Slice, ...]:
        """Its stored requests, counted as it is defined within this change: what a preview judges."""
        ...

    async def plan_maintenance(self, columns: dict[str, Any]) -> Maintenance: ...

    async def end_maintenance(self, number: int) -> Maintenance:
        """Raises NotFound; Refusal `maintenance_over`."""
        ...
