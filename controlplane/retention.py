"""How far rolling up has come, whether it agrees with the raw rows, and how long telemetry is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field

from controlplane.audit import AuditRow, Record
from controlplane.errors import Refusal
from controlplane.operations import Request, Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change

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
    """`rolled_at` None: no run yet. `behind` are seconds since the last minute that was rolled up.

    `minutes_due` and `hours_due` could be rolled up now and are not yet. `ahead_until`: to when days are made.
    """

    rolled_at: datetime | None
    behind: float
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


class RetentionRequest(Request):
    subject = ("data",)
    data: Annotated[Data, Field(description="raw, minutes or hours")]
    days: Annotated[int, Field(ge=2, le=3660, description="how long it is kept")]


class DropRequest(Request):
    """Of all classes at once."""

    subject = ()


def as_before(row: AuditRow) -> Record:
    return {"data": row.thing, "days": (row.before or {}).get("days")}


@operation(
    "telemetry.retention",
    RetentionRequest,
    role="admin",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    undo="telemetry.retention",
    undo_request=as_before,
)
async def retention(change: Change, request: RetentionRequest) -> Record:
    """Keep a class of telemetry for so many days; what is older goes with the next drop, and is named here."""
    before = await change.retention.keep(request.data, request.days)
    if before == request.days:
        raise Refusal("retention_as_it_is", f"{request.data} is kept for {before} days already.")
    old = [part for part in await change.retention.old() if part.data == request.data]
    if old:
        await change.retention.note({"would_go": [part.part for part in old]})
    return {"data": request.data, "days": request.days, "before": before, "would_go": _named(old)}


@operation("telemetry.drop-old", DropRequest, role="admin", risk=Risk.TYPED, key="x", writes="telemetry-drops")
async def drop_old(change: Change, request: DropRequest) -> Record:
    """Drop the days and months of telemetry that are older than they are kept, as a worker does."""
    found = await change.retention.drop_old()
    return {
        "dropped": _named([part for part in found if part.waits is None]),
        "stay": [part.part + ": " + part.waits for part in found if part.waits is not None],
    }


def _named(parts: list[Partition]) -> list[Record]:
    names = ("data", "part", "rows", "bytes")
    return [{name: value for name, value in asdict(part).items() if name in names} for part in parts]
