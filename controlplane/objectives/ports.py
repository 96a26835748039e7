"""The store that the operations of objectives write through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from controlplane.objectives.model import Maintenance, Objective, Slice


class ObjectiveStore(Protocol):
    async def lock(self, objective_id: int) -> Objective:
        """Read an objective and lock it until the change ends. Raises NotFound."""
        ...

    async def create(self, columns: dict[str, Any]) -> Objective:
        """Raises Conflict `objective_taken`."""
        ...

    async def update(self, objective_id: int, columns: dict[str, Any]) -> Objective: ...

    async def history(self, objective: Objective, start: datetime) -> tuple[Slice, ...]:
        """Its stored requests, counted as it is defined within this change: what a preview judges."""
        ...

    async def plan_maintenance(self, columns: dict[str, Any]) -> Maintenance: ...

    async def end_maintenance(self, number: int) -> Maintenance:
        """Raises NotFound; Refusal `maintenance_over`."""
        ...
