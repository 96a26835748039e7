"""The store that the operations of schedules write through. The home checks every step again."""

from __future__ import annotations

from typing import Any, Protocol

from controlplane.schedules.directory import KeptOverride, KeptSchedule


class ScheduleStore(Protocol):
    async def lock(self, name: str) -> KeptSchedule:
        """Read a schedule, with its overrides, and lock it until the change ends. Raises NotFound."""
        ...

    async def create(self, name: str, rotations: list[dict[str, Any]]) -> None:
        """Raises Conflict `schedule_taken`, Refusal `schedule_many`."""
        ...

    async def update(self, name: str, columns: dict[str, Any]) -> None: ...

    async def override(self, columns: dict[str, Any]) -> KeptOverride:
        """Raises Refusal `override_past`, `override_many`, `override_times`."""
        ...

    async def end_override(self, number: int) -> KeptOverride:
        """Raises NotFound; Refusal `override_over`."""
        ...
