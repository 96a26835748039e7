"""What a home does to keep its own telemetry: rolling up, and dropping what is old."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from controlplane.audit.model import Record
from controlplane.telemetry.retention import Data, Partition, Rolled, RollupStatus, Verification


class Rollups(Protocol):
    """The upkeep of telemetry that a home keeps itself."""

    async def status(self) -> RollupStatus: ...

    async def make_ahead(self) -> int | None:
        """Make the partitions of a week to come; None: a reader was in the way. Raises NotPermitted."""
        ...

    async def roll_up(self) -> Rolled:
        """Fold in what was stored since the last run; repeating is harmless. Raises NotPermitted."""
        ...

    async def verify(self, start: datetime, end: datetime) -> Verification:
        """Compare minutes and hours with the raw rows they were made of. Raises Usage `window_unreadable`."""
        ...


class RetentionStore(Protocol):
    async def keep(self, data: Data, days: int) -> int:
        """Set it; returns the days before."""
        ...

    async def old(self) -> list[Partition]:
        """What is older than it is kept."""
        ...

    async def note(self, what: Record) -> None:
        """A row in the trail that names partitions; a preview shows it."""
        ...

    async def drop_old(self) -> list[Partition]:
        """Drop that; what cannot go now is returned with what it waits for."""
        ...
