"""Who has most of something in the window that the charts show: tenants, routes, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.formatting import count, milliseconds, percent
from controlplane.listing import Count, Page, Position, Query
from controlplane.lists import Cell
from controlplane.telemetry.model import FLEET, Scope
from controlplane.telemetry.tops import By, Measure, Top, TopRow
from controlplane.text import UNKNOWN
from screens.widgets.columns import Column

MAX_TOP_ROWS = 50
WORDS: dict[Measure, str] = {
    "requests": "requests",
    "errors": "errors",
    "error_share": "share of errors",
    "p95": "p95",
    "growth": "growth in a week",
}


@dataclass(frozen=True)
class Ranked:
    """One row of a top list; its rank is not part of its identity."""

    place: int
    top: TopRow

    @property
    def key(self) -> str:
        return "\n".join((self.top.tenant_id or "", self.top.route or "", self.top.key_prefix or ""))


class Ranking:
    """A top list of one page, for a table. After another reading, `hold` replaces its rows."""

    def __init__(self, top: Top) -> None:
        self.hold(top)

    def hold(self, top: Top) -> None:
        self.top = top
        self.rows = tuple(Ranked(place, row) for place, row in enumerate(top.rows, 1))

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[Ranked]:
        rows = self.rows
        if start is not None:
            place = int(start[0] or 0)
            least, most = (place, place) if inclusive else (place + 1, place - 1)
            rows = tuple(row for row in rows if (row.place <= most if backward else row.place >= least))
        kept = rows[-limit:] if backward else rows[:limit]
        ends = {row.place for row in kept}
        return Page(
            kept,
            tuple((row.place, row.key) for row in kept),
            not self.rows or 1 in ends,
            not self.rows or len(self.rows) in ends,
            self.top.as_of,
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        return Count(len(self.rows))


def top_columns(by: By, measure: Measure) -> Sequence[Column[Ranked]]:
    """The columns; on a narrow screen the measure that sorts the list is kept longest."""
    named: dict[By, Column[Ranked]] = {
        "tenant": Column("tenant_id", "TENANT", 12, 1, lambda r: Cell(r.top.tenant_id or UNKNOWN), grow=True),
        "route": Column("route", "ROUTE", 12, 1, lambda r: Cell(r.top.route or UNKNOWN), grow=True),
        "key": Column("key_prefix", "KEY", 12, 1, lambda r: Cell(r.top.key_prefix or UNKNOWN), grow=True),
    }
    numbers: dict[Measure, Column[Ranked]] = {
        "requests": Column("requests", "REQUESTS", 9, 3, lambda r: Cell(count(r.top.n)), "right"),
        "errors": Column("errors", "5XX", 7, 4, lambda r: Cell(count(r.top.errors_5xx)), "right"),
        "error_share": Column("error_share", "ERR%", 6, 5, lambda r: Cell(percent(r.top.error_share)), "right"),
        "p95": Column("p95", "P95", 6, 6, lambda r: Cell(milliseconds(r.top.p95)), "right"),
        "growth": Column("growth", "GROWTH", 7, 7, lambda r: Cell(growth_words(r.top.growth)), "right"),
    }
    first = numbers.pop(measure)
    owner = [] if by == "tenant" else [Column("tenant_id", "TENANT", 10, 8, named["tenant"].cell)]
    kept = Column(first.key, first.title + "▼", first.width + 1, 2, first.cell, "right")
    return (named[by], kept, *numbers.values(), *owner)


def top_words(by: By, measure: Measure, scope: Scope) -> str:
    more = f" of {scope.label.removeprefix('all tenants, ')}" if scope != FLEET else ""
    return f"{by}s by {WORDS[measure]}{more}; o: by what, v: of what, O: its tenant"


def growth_words(growth: float | None) -> str:
    """Growth against the same window a week before, as "×1.8"; None is shown as unknown."""
    return UNKNOWN if growth is None else f"×{growth:,.2f}" if growth < 100 else f"×{growth:,.0f}"
