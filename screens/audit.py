"""The audit trail: what was done, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from textual import on, work

from controlplane.audit.chain import ChainStatus, status_words
from controlplane.audit.model import FIELDS, SORTS, AuditRow, as_record, differences
from controlplane.errors import Refusal
from controlplane.formatting import show
from controlplane.listing import Listing
from controlplane.previews import row_lines, value_words
from controlplane.telemetry.chartviews import around, render
from controlplane.telemetry.model import Scope
from screens.actions import Target
from screens.lists import ListScreen
from screens.session import Session
from screens.widgets.columns import Cell, Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable


def what_changed(row: AuditRow) -> str:
    """The row's change in a few words."""
    if row.before is None:
        return "created" if row.noun != "reveals" else f"revealed {value_words((row.after or {}).get('field'))}"
    if row.after is None:
        return "deleted"
    return ", ".join(f"{d.field} {value_words(d.before)} → {value_words(d.after)}" for d in differences(row))


def number_cell(row: AuditRow, chained: int | None) -> Cell:
    """The number that it has in the chain; one that is not there yet, or of which that is not known, is marked."""
    if chained is None:
        return Cell(f"?{row.seq}", "unknown")
    return Cell(str(row.seq)) if row.seq <= chained else Cell(f"…{row.seq}", "muted")


def audit_columns(
    session: Session, number: Callable[[AuditRow], Cell] = lambda r: Cell(str(r.seq))
) -> Sequence[Column[AuditRow]]:
    return (
        Column(
            "at",
            "WHEN",
            session.time_cells("WHEN"),
            1,
            lambda r: Cell(show(r.at, session.clock(), session.time_form)),
            "right",
        ),
        Column("actor", "WHO", 8, 2, lambda r: Cell(r.actor)),
        Column("operation", "WHAT", 15, 3, lambda r: Cell(r.operation, "warn") if r.out_of_band else Cell(r.operation)),
        Column("thing", "THING", 12, 4, lambda r: Cell(r.thing), grow=True),
        Column("reason", "WHY", 10, 5, lambda r: Cell(r.reason or ""), grow=True),
        Column("changed", "CHANGED", 14, 6, lambda r: Cell(what_changed(r)), grow=True),
        Column("seq", "AUDIT", 7, 7, number, "right"),
    )


def charts_at(row: AuditRow, now: datetime) -> str:
    """The charts of whom a change was about, with the cursor on its time."""
    return render(around(Scope(row.tenant_id), row.at, now))


class AuditScreen(ListScreen[AuditRow]):
    noun = "audit"
    means = "Every change, with its actor, time and reason. Rows in warning colour were written past the operations."
    fields, sorts, sort, descending = FIELDS, SORTS, "at", True
    empty = "Nothing that matches was done. esc clears the filter."
    nothing = "Nothing was done yet."

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.chain: ChainStatus | None = None
        """None: not known."""

    def columns(self) -> Sequence[Column[AuditRow]]:
        def number(row: AuditRow) -> Cell:
            return number_cell(row, None if self.chain is None else self.chain.chained)

        return audit_columns(self.session, number)

    def order_words(self) -> str:
        return f"{status_words(self.chain, self.session.clock())} · {super().order_words()}"

    def show_list(self) -> None:
        super().show_list()
        if self.is_readable:
            self.read_chain()

    async def refresh_data(self) -> None:
        await super().refresh_data()
        if self.is_readable:
            self.read_chain()

    @work(exit_on_error=False, group="chain", exclusive=True)
    async def read_chain(self) -> None:
        try:
            self.chain = await self.session.require_plane().audit.chain_status()
        except Refusal:
            self.chain = None
        self.table.repaint()
        self.draw_frame()

    def listing(self) -> Listing[AuditRow]:
        return self.session.require_plane().audit

    def target_of(self, row: AuditRow) -> Target:
        return Target({}, None, "")

    def charts_text(self) -> str:
        row = self.current()
        return "" if row is None else charts_at(row, self.session.clock())

    def record_of(self, row: AuditRow) -> dict[str, Any]:
        return as_record(row)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    def why_lines(self) -> list[Line]:
        row = self.current()
        if row is None:
            return []
        marked = "it was written past the operations (psql, a script)" if row.out_of_band else "through an operation"
        return [
            (f"audit {row.seq}", "title"),
            f"{row.operation} by {row.actor} at {row.at:%Y-%m-%d %H:%M:%S} UTC, {marked}",
            f"reason: {row.reason or 'none was given'}",
            f"request id: {row.request_id or 'none'}",
            self.chain_words(row),
            *([f"acting for {row.tenant_id}: impersonation {row.impersonation}"] if row.impersonation else []),
            "",
            *row_lines(row),
        ]

    def chain_words(self, row: AuditRow) -> str:
        if self.chain is None:
            return "whether it is chained is not known"
        if row.seq > self.chain.chained:
            return "not chained yet: a worker does that every 5 seconds"
        if self.chain.trouble:
            return f"number {row.seq} of the chain, which goes no further: {self.chain.trouble}"
        signed = self.chain.signed
        held = "signed by a checkpoint" if signed is not None and row.seq <= signed else "no checkpoint holds it yet"
        return f"number {row.seq} of the chain, {held}; watchfloor audit verify computes it anew"
