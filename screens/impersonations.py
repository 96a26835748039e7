"""Who acts for which tenant, and who did: why, for which ticket, until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import on

from controlplane.formatting import show
from controlplane.impersonations.model import FIELDS, SORTS, Impersonation
from controlplane.impersonations.rules import minutes_left
from controlplane.listing import Listing
from screens.actions import Target
from screens.lists import ListScreen
from screens.widgets.columns import Cell, Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.operations import Operation
    from screens.session import Session

OF_ONE = ("tenants.end-impersonation", "tenants.approve-writing")
"""What can be done to an impersonation; the others begin one."""


def state_cell(row: Impersonation, session: Session) -> Cell:
    left = minutes_left(row, session.clock())
    if row.state == "ended":
        return Cell("■ ended", "muted")
    return Cell(f"▶ open {left}m", "warn") if left else Cell("– over", "muted")


def mode_cell(row: Impersonation) -> Cell:
    return Cell(f"write, by {row.approved_by}", "bad") if row.mode == "write" else Cell("read")


class ImpersonationsScreen(ListScreen[Impersonation]):
    noun = "impersonations"
    means = "Who acts for which tenant: reading only, unless another person approved writing; an hour at most."
    fields, sorts, sort, descending = FIELDS, SORTS, "started", True
    nothing = "Nobody has acted for a tenant yet. a i on a tenant begins it."

    def columns(self) -> Sequence[Column[Impersonation]]:
        session = self.session
        return (
            Column("id", "NO", 5, 1, lambda i: Cell(str(i.id)), "right"),
            Column("tenant", "TENANT", 14, 2, lambda i: Cell(i.tenant_id), grow=True, field="tenant_id"),
            Column("actor", "WHO", 8, 3, lambda i: Cell(i.actor), grow=True),
            Column("state", "STATE", 10, 4, lambda i: state_cell(i, session)),
            Column("mode", "MODE", 14, 5, mode_cell, grow=True),
            Column("ticket", "TICKET", 10, 6, lambda i: Cell(i.ticket)),
            Column("reason", "WHY", 12, 7, lambda i: Cell(i.reason), grow=True),
            Column(
                "started",
                "STARTED",
                session.time_cells("STARTED"),
                8,
                lambda i: Cell(show(i.started_at, session.clock(), session.time_form)),
                "right",
                field="started_at",
            ),
        )

    def listing(self) -> Listing[Impersonation]:
        return self.session.require_plane().impersonations

    def target_of(self, row: Impersonation) -> Target:
        return Target({"number": row.id}, None, f"impersonation {row.id}")

    def operations(self) -> list[Operation[Any]]:
        from controlplane.registry import named

        return [named(name) for name in OF_ONE]

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        row: Any = event.row
        self.desk.open_thing("tenants", row.tenant_id)

    def why_lines(self) -> list[Line]:
        row: Impersonation | None = self.current()
        if row is None:
            return []
        approved = f"{row.approved_by} approved writing at {row.approved_at:%H:%M:%S} UTC" if row.approved_at else ""
        return [
            (f"impersonation {row.id} of {row.tenant_id}", "title"),
            f"{row.actor} since {row.started_at:%Y-%m-%d %H:%M:%S} UTC, for {row.ticket}: {row.reason}",
            f"{row.state}; hard stop at {row.ends_at:%H:%M:%S} UTC, whatever happens",
            *([f"ended at {row.ended_at:%H:%M:%S} UTC"] if row.ended_at else []),
            approved or "reading only: nobody approved writing",
            "What its actor changes of this tenant meanwhile carries its number in the trail.",
        ]
