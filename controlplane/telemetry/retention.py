"""How far telemetry is rolled up, whether that agrees with the raw rows, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Data = Literal["raw", "minutes", "hours"]
DATA: tuple[Data, ...] = ("raw", "minutes", "hours")


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a table. `upper` None: the default one, for rows of days without a partition; it should be empty.

    `rows` is an estimate, None when there is none; in a default partition they are counted, up to 10,001. `waits`: why
    an old one is not dropped yet.
    """

    data: Data
    part: str
    lower: datetime | None
    upper: datetime | None
    rows: int | None
    bytes: int
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One class of data, and how many days it is kept. `from_at`: since when there is any; None: not bounded yet."""

    data: Data
    days: int
    parts: int
    bytes: int
    strays: int
    from_at: datetime | None
    until_at: datetime | None


@dataclass(frozen=True, slots=True)
class RollupStatus:
    """`rolled_at` None: no run yet. `behind`: seconds since the last minute that was rolled up; None: none was.

    `minutes_due` and `hours_due`: how many could be rolled up now but are not. `ahead_until`: partitions exist until
    then.
    """

    rolled_at: datetime | None
    behind: float | None
    minutes_due: int
    hours_due: int
    ahead_until: datetime | None
    kept: tuple[Kept, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Rolled:
    """What a run did: minutes and hours rolled up, cells changed, and what is left for the next run."""

    minutes: int
    hours: int
    cells: int
    minutes_left: int
    hours_left: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that differs from the raw rows. `rolled` None: there is no such cell; `raw` None: no such rows."""

    step: Literal["minute", "hour"]
    tenant_id: str | None
    dim: str
    value: str
    route: str
    at: datetime
    rolled: int | None
    raw: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """`cells`: how many were compared. `due`: the minutes and hours in the window that are still to be rolled up."""

    start: datetime
    end: datetime
    cells: int
    due: int
    differences: tuple[Difference, ...]
    as_of: datetime
