"""The lists of tenants and of projects."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import relative
from controlplane.lists import (
    FLAG,
    MASKED,
    MILLISECONDS,
    RATE,
    SHARE,
    TEXT,
    TIME,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    Tone,
    status,
    toned,
)
from controlplane.tenants.activity import activity
from controlplane.tenants.model import STATUSES, Project, ProjectDirectory, Tenant, TenantDirectory
from controlplane.tenants.refusals import NO_PROJECT, NO_TENANT
from controlplane.text import UNKNOWN

ERRORS_WARN, ERRORS_BAD = 0.01, 0.05
STATES: dict[str, Status] = {
    "active": Status("●", "good"),
    "suspended": Status("◐", "warn"),
    "pending_deletion": Status("✕", "bad", "deleting"),
    "erased": Status("∅", "muted"),
    "archived": Status("◌", "muted"),
}


def error_tone(share: float | None) -> Tone:
    if share is None:
        return "unknown"
    return "bad" if share >= ERRORS_BAD else "warn" if share >= ERRORS_WARN else ""


def _requests(tenant: Tenant, now: datetime) -> Cell:
    told = activity(tenant, now)
    return toned(told.requests, "muted" if told.stale else "")


def _errors(tenant: Tenant, now: datetime) -> Cell:
    told = activity(tenant, now)
    return toned(told.errors, "muted" if told.stale else error_tone(tenant.error_share))


def _p95(tenant: Tenant, now: datetime) -> Cell:
    told = activity(tenant, now)
    return toned(told.p95, "muted" if told.stale else "")


def charts_of(*tenants: str) -> str:
    from controlplane.telemetry.chartviews import View, render  # not before the first paint
    from controlplane.telemetry.model import Scope

    return render(View(tenants=tenants) if len(tenants) > 1 else View(Scope(*tenants)))


def why(tenant: Tenant, now: datetime) -> list[Line]:
    """Where each shown value comes from."""
    lines: list[Line] = [(tenant.id, "title"), f"status {tenant.status}"]
    if tenant.suspended_at is not None:
        lines.append(f"  suspended {relative(tenant.suspended_at, now)}: {tenant.suspension_reason}")
    if tenant.purge_after is not None:
        lines.append(f"  deleted {relative(tenant.deleted_at, now)} from {tenant.deleted_from}")
        lines.append(f"  its data is purged after {tenant.purge_after:%Y-%m-%d %H:%M} UTC")
    if tenant.until is None:
        lines.append("requests, errors, p95: unknown, since none of its requests is in the last hour of data")
    else:
        lines.append(f"requests, errors, p95: over the hour that ends {tenant.until:%Y-%m-%d %H:%M:%S} UTC")
        lines.append(f"  that is {relative(tenant.until, now)}; errors are answers with 5xx; p95 by rank")
        if tenant.p95_ms is None:
            lines.append(f"  p95 {UNKNOWN}: none of these requests has a latency")
    return lines


TENANTS = ListOf(
    "tenants",
    Tenant,
    of=lambda plane: plane.of(TenantDirectory),
    order="name",
    summary="List tenants, filtered and sorted.",
    means="The tenants of this control plane, and how each is doing over the last hour of data; ~ marks old numbers.",
    nothing="No tenants yet. Press a, then n, to create one.",
    empty="No tenant matches. Press esc to clear the filter, or a, then n, to add one.",
    missing=NO_TENANT,
    opens=lambda tenant: ("tenants", tenant.id),
    charts=lambda tenant, now: charts_of(tenant.id),
    why=why,
    columns=(
        Column("id", priority=1, width=16, title="TENANT", grow=True, sorts=True),
        Column("name", priority=3, width=12, grow=True, sorts=True),
        Column("status", status(STATES, STATUSES), priority=2, width=11, sorts=True),
        Column("plan", priority=7, width=10, sorts=True),
        Column("region", priority=9, width=14, sorts=True, what="the home region"),
        Column("req", RATE, priority=4, width=7, title="REQ/m", field="per_minute", cell=_requests, sorts=True,
               what="requests per minute over the last hour of data"),
        Column("err", SHARE, priority=5, width=6, title="ERR%", field="error_share", cell=_errors, sorts=True,
               what="share of answers with 5xx over the last hour of data"),
        Column("p95", MILLISECONDS, priority=6, width=7, field="p95_ms", cell=_p95, sorts=True,
               what="95th percentile of latency over the last hour of data"),
        Column("protected", FLAG, priority=12, width=9, sorts=True,
               cell=lambda t, now: "protected" if t.protected else ""),
        Column("owner", priority=11, width=18, field="owner_email", cell=lambda t, now: t.owner_email or UNKNOWN,
               unsorted=MASKED, what="the owner's e-mail, as you may see it"),
        Column("created", TIME, priority=10, field="created_at", sorts=True, what="time since it was created"),
        Column("changed", TIME, priority=13, field="updated_at", sorts=True, what="time since its last change"),
    ),
)  # fmt: skip

PROJECTS = ListOf(
    "projects",
    Project,
    of=lambda plane: plane.of(ProjectDirectory),
    order="tenant",
    summary="List projects: tenant:acme finds those of one tenant.",
    means="The projects of all tenants. A project belongs to its tenant for ever.",
    nothing="No projects yet. Press a, then n, to create one.",
    empty="No project matches. Press esc to clear the filter, or a, then n, to add one.",
    key=("tenant", "id"),
    missing=NO_PROJECT,
    opens=lambda project: ("tenants", project.tenant_id),
    charts=lambda project, now: charts_of(project.tenant_id),
    columns=(
        Column("tenant", TEXT, priority=2, width=16, field="tenant_id", grow=True, sorts=True),
        Column("id", priority=1, width=16, title="PROJECT", grow=True, sorts=True),
        Column("name", priority=3, width=12, grow=True, sorts=True),
        Column("status", status(STATES, ("active", "archived")), priority=2, width=11, sorts=True),
        Column("created", TIME, priority=4, field="created_at", sorts=True),
    ),
)
OF_A_TENANT = PROJECTS.table[1:]
"""The columns of a list of one tenant's projects."""
