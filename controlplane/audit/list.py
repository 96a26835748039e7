"""The list of the audit trail: what was done, newest first."""

from __future__ import annotations

from datetime import datetime

from controlplane.audit.model import AuditDirectory, AuditRow, as_record, differences
from controlplane.audit.refusals import NO_AUDIT_ROW
from controlplane.lists import FLAG, ID, TIME, Cell, Column, Line, ListOf


def what_changed(row: AuditRow, now: datetime) -> str:
    """The row's change in a few words."""
    from controlplane.previews import value_words

    if row.before is None:
        return "created" if row.noun != "reveals" else f"revealed {value_words((row.after or {}).get('field'))}"
    if row.after is None:
        return "deleted"
    return ", ".join(f"{d.field} {value_words(d.before)} → {value_words(d.after)}" for d in differences(row))


def charts_at(row: AuditRow, now: datetime) -> str:
    """The charts of the tenant that was changed, with the cursor on the time of the change."""
    from controlplane.telemetry.chartviews import around, render
    from controlplane.telemetry.model import Scope

    return render(around(Scope(row.tenant_id), row.at, now))


def why(row: AuditRow, now: datetime) -> list[Line]:
    marked = "out of band: not by an operation (psql, a script)" if row.out_of_band else "through an operation"
    return [
        (f"audit {row.seq}", "title"),
        f"{row.operation} by {row.actor} at {row.at:%Y-%m-%d %H:%M:%S} UTC, {marked}",
        f"reason: {row.reason or 'none was given'}",
        f"request id: {row.request_id or 'none'}",
    ]


AUDIT = ListOf(
    "audit",
    AuditRow,
    of=lambda plane: plane.of(AuditDirectory),
    order="-at",
    summary="List what was done, newest first.",
    means="Every change: who, when, why. Changes by psql are named sql.update and the like.",
    nothing="Nothing was done yet.",
    empty="No change matches. Press esc to clear the filter.",
    name="audit rows",
    key=("seq",),
    missing=NO_AUDIT_ROW,
    label=lambda row: "",
    charts=charts_at,
    why=why,
    record=lambda row, now: as_record(row),
    columns=(
        Column("at", TIME, priority=1, title="WHEN", sorts=True, what="how long ago"),
        Column("actor", priority=2, width=8, title="WHO", sorts=True, what="the login that did it"),
        Column("operation", priority=3, width=15, title="WHAT", sorts=True, what="tenants.suspend, sql.update …",
               cell=lambda row, now: Cell(row.operation, "warn" if row.out_of_band else "")),
        Column("thing", priority=4, width=12, grow=True, sorts=True, what="the id of what was changed"),
        Column("reason", filters=False, priority=5, width=10, title="WHY", grow=True,
               cell=lambda row, now: row.reason or ""),
        Column("changed", filters=False, priority=6, width=14, grow=True, cell=what_changed),
        Column("seq", ID, filters=False, priority=7, width=7, title="AUDIT", sorts=True),
        Column("noun", what="tenants, projects, operators …"),
        Column("tenant", field="tenant_id", what="the tenant that it belongs to"),
        Column("request", field="request_id", what="the request id"),
        Column("outofband", FLAG, field="out_of_band", what="made without an operation, with psql for instance"),
    ),
)  # fmt: skip
