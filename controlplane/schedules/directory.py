"""Schedules as a context keeps and lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing
from controlplane.schedules.calendar import Turns
from controlplane.schedules.model import Override, Schedule

Standing = Literal["unreadable", "nobody", "covered", "retired"]
STANDINGS: tuple[Standing, ...] = ("unreadable", "nobody", "covered", "retired")
"""In the order of the list. A retired one is left out unless it is asked for."""


@dataclass(frozen=True, slots=True)
class KeptOverride(ById):
    """`ended_at`: when it was ended before its end."""

    id: int
    schedule: str
    person: str
    starts_at: datetime
    ends_at: datetime
    kind: Literal["replace", "add"]
    instead_of: str
    ended_at: datetime | None
    created_at: datetime
    created_by: str

    @property
    def until(self) -> datetime:
        return self.ends_at if self.ended_at is None else min(self.ends_at, self.ended_at)

    def made(self) -> Override | None:
        """As the rules take it; None: it was ended before it began."""
        if self.until <= self.starts_at:
            return None
        return Override(self.id, self.person, self.starts_at, self.until, self.kind, self.instead_of)


@dataclass(frozen=True, slots=True)
class KeptSchedule:
    """`rotations`: the document that is kept. `schedule` None: it cannot be read (`fault` says why), and nobody is on
    call by it.
    """

    name: str
    rotations: Any
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    retired_at: datetime | None = None
    overrides: tuple[KeptOverride, ...] = ()
    schedule: Schedule | None = None
    fault: str = ""

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule as it stands at a time. `turns` None: nothing is known of it, or it is retired."""

    kept: KeptSchedule
    standing: Standing
    at: datetime
    turns: Turns | None = None

    @property
    def key(self) -> str:
        return self.kept.name

    @property
    def version(self) -> int:
        return self.kept.version


class ScheduleDirectory(Listing[ScheduleRow], Protocol):
    """The capability of a context to show schedules."""

    async def get(self, name: str, at: datetime | None = None) -> ScheduleRow:
        """As it stands now, or at another time, with its overrides that end after 100 days before that: the newest
        1,000. Raises NotFound.
        """
        ...

    async def live(self, start: datetime, end: datetime) -> Sequence[Schedule]:
        """All that are not retired, each with the overrides that touch this period: one statement. By one that cannot
        be read nobody is on call, and it is left out.
        """
        ...
