"""Who has most of something in the window that the charts show: tenants, routes, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.formatting import count, milliseconds, percent
from controlplane.lists import Cell
from controlplane.memorylist import FewRows
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

    top: TopRow

    @property
    def key(self) -> str:
        return "\n".join((self.top.tenant_id or "", self.top.route or "", self.top.key_prefix or ""))


class Ranking(FewRows[Ranked]):
    """A top list, for a table. After another reading, `top` is replaced."""

    def __init__(self, top: Top) -> None:
        self.top = top

    async def rows(self) -> tuple[list[Ranked], datetime]:
        return [Ranked(row) for row in self.top.rows], self.top.as_of


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
    kept = Column(first.key, first.title + "↓", first.width + 1, 2, first.cell, "right")
    return (named[by], kept, *numbers.values(), *owner)


def top_words(by: By, measure: Measure, scope: Scope) -> str:
    more = f" of {scope.label.removeprefix('all tenants, ')}" if scope != FLEET else ""
    return f"{by}s by {WORDS[measure]}{more}; o: by what, v: of what, O: its tenant"


def growth_words(growth: float | None) -> str:
    """Growth against the same window a week before, as "×1.8"; None is shown as unknown."""
    return UNKNOWN if growth is None else f"×{growth:,.2f}" if growth < 100 else f"×{growth:,.0f}"
