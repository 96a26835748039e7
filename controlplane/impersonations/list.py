"""The list of impersonations: who acts for which tenant, and who did."""

from __future__ import annotations

from datetime import datetime

from controlplane.impersonations.model import STATES, Impersonation, ImpersonationDirectory
from controlplane.impersonations.refusals import NO_IMPERSONATION
from controlplane.impersonations.rules import minutes_left
from controlplane.lists import ID, TIME, Cell, Column, Line, ListOf, choice


def _state(row: Impersonation, now: datetime) -> Cell:
    left = minutes_left(row, now)
    if row.state == "ended":
        return Cell("■ ended", "muted")
    return Cell(f"▶ open {left}m", "warn") if left else Cell("– over", "muted")


def _mode(row: Impersonation, now: datetime) -> Cell:
    return Cell(f"write, by {row.approved_by}", "bad") if row.mode == "write" else Cell("read")


def why(row: Impersonation, now: datetime) -> list[Line]:
    approved = f"{row.approved_by} approved writing at {row.approved_at:%H:%M:%S} UTC" if row.approved_at else ""
    return [
        (f"impersonation {row.id} of {row.tenant_id}", "title"),
        f"{row.actor} since {row.started_at:%Y-%m-%d %H:%M:%S} UTC, for {row.ticket}: {row.reason}",
        f"{row.state}; hard stop at {row.ends_at:%H:%M:%S} UTC, whatever happens",
        *([f"ended at {row.ended_at:%H:%M:%S} UTC"] if row.ended_at else []),
        approved or "reading only: nobody approved writing",
        "Changes of this tenant by its actor carry its number in the trail meanwhile.",
    ]


IMPERSONATIONS = ListOf(
    "impersonations",
    Impersonation,
    of=lambda plane: plane.of(ImpersonationDirectory),
    order="-started",
    summary="List who acts for which tenant and who did, newest first: state:open finds those that are open now.",
    means="Who acts for which tenant: read-only, unless another person approved writing; an hour at most.",
    nothing="Nobody has acted for a tenant yet. On a tenant, press a, then i, to begin.",
    missing=NO_IMPERSONATION,
    label=lambda row: f"impersonation {row.id}",
    opens=lambda row: ("tenants", row.tenant_id),
    why=why,
    columns=(
        Column("id", ID, filters=False, priority=1, width=5, title="NO", sorts=True),
        Column("tenant", priority=2, width=14, field="tenant_id", grow=True),
        Column("actor", priority=3, width=8, title="WHO", grow=True, what="who acts"),
        Column("state", choice(*STATES), priority=4, width=10, cell=_state, what="ended by somebody, over by itself"),
        Column("mode", choice("read", "write"), priority=5, width=14, cell=_mode, grow=True),
        Column("ticket", priority=6, width=10),
        Column("reason", filters=False, priority=7, width=12, title="WHY", grow=True),
        Column("started", TIME, priority=8, field="started_at", sorts=True),
    ),
)
