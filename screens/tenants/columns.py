"""What the tenants' list shows of a row."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.formatting import show
from controlplane.tenants.activity import activity
from controlplane.tenants.model import Project, Tenant
from controlplane.text import UNKNOWN
from screens.session import Session
from screens.widgets.columns import Cell, Column, Tone

ERRORS_WARN, ERRORS_BAD = 0.01, 0.05

STATUS: dict[str, tuple[str, str, Tone]] = {
    "active": ("●", "active", "good"),
    "suspended": ("◐", "suspended", "warn"),
    "pending_deletion": ("✕", "deleting", "bad"),
    "erased": ("∅", "erased", "muted"),
    "archived": ("◌", "archived", "muted"),
}


def status_cell(status: str) -> Cell:
    glyph, word, tone = STATUS.get(status, ("?", "unknown", "unknown"))
    return Cell(f"{glyph} {word}", tone)


def number_cell(words: str, tone: Tone = "") -> Cell:
    return Cell(words, "unknown" if words == UNKNOWN else tone)


def error_tone(share: float | None) -> Tone:
    if share is None:
        return "unknown"
    return "bad" if share >= ERRORS_BAD else "warn" if share >= ERRORS_WARN else ""


def tenant_columns(session: Session) -> Sequence[Column[Tenant]]:
    """In the order that they stand in; the priority says which go first on a narrow screen."""

    def measured(tenant: Tenant, which: int) -> Cell:
        told = activity(tenant, session.clock())
        words = (told.requests, told.errors, told.p95)[which]
        tone = error_tone(tenant.error_share) if which == 1 else ""
        return number_cell(words, "muted" if told.stale else tone)

    return (
        Column("id", "TENANT", 16, 1, lambda t: Cell(t.id), grow=True),
        Column("name", "NAME", 12, 3, lambda t: Cell(t.name), grow=True),
        Column("status", "STATUS", 11, 2, lambda t: status_cell(t.status)),
        Column("plan", "PLAN", 10, 7, lambda t: Cell(t.plan)),
        Column("region", "REGION", 14, 9, lambda t: Cell(t.region)),
        Column("req", "REQ/m", 7, 4, lambda t: measured(t, 0), "right", field="per_minute"),
        Column("err", "ERR%", 6, 5, lambda t: measured(t, 1), "right", field="error_share"),
        Column("p95", "P95", 7, 6, lambda t: measured(t, 2), "right", field="p95_ms"),
        Column("protected", "PROTECTED", 9, 11, lambda t: Cell("protected" if t.protected else "")),
        Column("owner", "OWNER", 18, 10, lambda t: Cell(t.owner_email or UNKNOWN), field="owner_email"),
        Column(
            "created",
            "CREATED",
            session.time_cells("CREATED"),
            9,
            lambda t: Cell(show(t.created_at, session.clock(), session.time_form)),
            "right",
            field="created_at",
        ),
    )


def project_columns(session: Session) -> Sequence[Column[Project]]:
    return (
        Column("id", "PROJECT", 16, 1, lambda p: Cell(p.id), grow=True),
        Column("name", "NAME", 12, 3, lambda p: Cell(p.name), grow=True),
        Column("status", "STATUS", 11, 2, lambda p: status_cell(p.status)),
        Column(
            "created",
            "CREATED",
            session.time_cells("CREATED"),
            4,
            lambda p: Cell(show(p.created_at, session.clock(), session.time_form)),
            "right",
            field="created_at",
        ),
    )
