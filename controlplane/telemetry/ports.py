"""What a home does with its own telemetry: roll it up, and drop what is old."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.telemetry.retention import Data, Partition, Rolled, RollupStatus, Verification


class Rollups(Protocol):
    """The upkeep of a home's own telemetry."""

    async def status(self) -> RollupStatus: ...

    async def make_ahead(self) -> int | None:
        """Make the partitions of the coming week; None: a reader held a lock. Raises NotPermitted."""
        ...

    async def roll_up(self) -> Rolled:
        """Roll up what was stored since the last run; repeating is harmless. Raises NotPermitted."""
        ...

    async def verify(self, start: datetime, end: datetime) -> Verification:
        """Compare minutes and hours with the raw rows they were made of. Raises Usage `window_unreadable`."""
        ...


class RetentionStore(Protocol):
    async def keep(self, data: Data, days: int) -> int:
        """Set how long a class is kept. Returns the days before."""
        ...

    async def old(self) -> list[Partition]:
        """The partitions that are past their retention."""
        ...

    async def note(self, what: Record) -> None:
        """A row in the trail that names partitions; a preview shows it."""
        ...

    async def drop_old(self) -> list[Partition]:
        """Drop them. Returns them all; one that cannot be dropped now says what it waits for."""
        ...
