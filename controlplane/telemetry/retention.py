"""How far rolling up has come, whether it agrees with the raw rows, and how long telemetry is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Data = Literal["raw", "minutes", "hours"]
DATA: tuple[Data, ...] = ("raw", "minutes", "hours")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a table. `upper` None: the default one, whose rows have no day of their own; they should be none.

    `rows` is an estimate, None when there is none; of a default one it is counted, up to 10,001. `waits`: why an old
    one stays for now.
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
    """One class of data, and the days that it is kept. `from_at`: since when there is any; None: not bounded yet."""

    data: Data
    days: int
    parts: int
    bytes: int
    strays: int
    from_at: datetime | None
    until_at: datetime | None


@dataclass(frozen=True, slots=True)
class RollupStatus:
    """`rolled_at` None: no run yet. `behind` are seconds since the last minute that was rolled up; None: none was.

    `minutes_due` and `hours_due` could be rolled up now and are not yet. `ahead_until`: to when days are made.
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
    """What a run did: minutes and hours folded in, cells changed, and what is left for the next run."""

    minutes: int
    hours: int
    cells: int
    minutes_left: int
    hours_left: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that says another thing than the raw rows. None: there is no such cell, or no such rows."""

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
    """`cells` were compared. `due` are minutes and hours in the window that a run has still to fold in."""

    start: datetime
    end: datetime
    cells: int
    due: int
    differences: tuple[Difference, ...]
    as_of: datetime
