"""The audit trail: its list, and how far it is chained."""

from __future__ import annotations

from datetime import datetime

from textual import work

from controlplane.audit.chain import ChainStatus, status_words
from controlplane.audit.list import AUDIT
from controlplane.audit.model import AuditDirectory, AuditRow
from controlplane.errors import Refusal
from controlplane.lists import Cell, Column, Line
from controlplane.previews import row_lines
from screens.desk import Done
from screens.lists import ListScreen


def number_cell(row: AuditRow, chained: int | None) -> Cell:
    """The row's number, marked when the row is not chained yet, or when that is not known."""
    if chained is None:
        return Cell(f"?{row.seq}", "unknown")
    return Cell(str(row.seq)) if row.seq <= chained else Cell(f"…{row.seq}", "muted")


class AuditScreen(ListScreen[AuditRow]):
    declared = AUDIT

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.chain: ChainStatus | None = None
        """None: not known."""

    def columns(self) -> tuple[Column[AuditRow], ...]:
        """The declared columns; the number also shows whether the row is chained."""

        def number(row: AuditRow, now: datetime) -> Cell:
            return number_cell(row, None if self.chain is None else self.chain.chained)

        own = super().columns()
        return tuple(each._replace(cell=number) if each.name == "seq" else each for each in own)

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
            self.chain = await self.session.require_plane().of(AuditDirectory).chain_status()
        except Refusal:
            self.chain = None
        self.table.repaint()
        self.draw_frame()

    def action_undo(self) -> None:
        """Take back what the row under the cursor records."""
        from controlplane.undolist import step_of, why_no_step

        row = self.current()
        if row is None:
            return
        step = step_of(row)
        if step is None:
            self.say(Done(f"row {row.seq} has no undo: {why_no_step(row)}", "warn"))
        else:
            self.undo_step(step)

    def why_lines(self) -> list[Line]:
        row = self.current()
        if row is None:
            return []
        return [
            *super().why_lines(),
            *([f"carried by the worker {row.carried_by}"] if row.carried_by else []),
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
        held = "signed by a checkpoint" if signed is not None and row.seq <= signed else "no checkpoint covers it yet"
        return f"number {row.seq} of the chain, {held}; watchfloor audit verify computes it again"
