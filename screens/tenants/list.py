"""The lists of tenants and of projects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import on

from controlplane.formatting import relative
from controlplane.listing import Listing
from controlplane.tenants.model import (
    PROJECT_FIELDS,
    PROJECT_SORTS,
    TENANT_FIELDS,
    TENANT_SORTS,
    Project,
    Tenant,
)
from controlplane.text import UNKNOWN
from screens.actions import Target, choice_lines
from screens.lists import ListScreen
from screens.tenants.columns import project_columns, tenant_columns
from screens.widgets.columns import Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable


class TenantsScreen(ListScreen[Tenant]):
    noun = "tenants"
    means = "The tenants of this control plane, and how each is doing over the last hour of data; ~ marks old numbers."
    fields, sorts, sort = TENANT_FIELDS, TENANT_SORTS, "name"
    empty = "No tenant matches. esc clears the filter, a n creates a tenant."
    nothing = "No tenants yet. a n creates one."

    def operations(self) -> list[Any]:
        """Without those of an impersonation: they have its list."""
        return [each for each in super().operations() if "number" not in each.request.subject]

    def columns(self) -> Sequence[Column[Tenant]]:
        return tenant_columns(self.session)

    def listing(self) -> Listing[Tenant]:
        return self.session.require_plane().tenants

    def charts_text(self) -> str:
        """Of those that are marked, beside each other; else of the one under the cursor."""
        marked = sorted(self.matching_marks())
        row = self.current()
        return _charts_of(*marked) if len(marked) > 1 else "" if row is None else _charts_of(row.id)

    def target_of(self, row: Tenant) -> Target:
        return Target({"id": row.id}, row.version, row.id)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("tenants", event.row.key)

    def why_lines(self) -> list[Line]:
        row = self.current()
        return [] if row is None else why_tenant(row, self)


class ProjectsScreen(ListScreen[Project]):
    noun = "projects"
    means = "The projects of all tenants. A project belongs to its tenant for ever."
    fields, sorts, sort = PROJECT_FIELDS, PROJECT_SORTS, "id"
    empty = "No project matches. esc clears the filter, a n creates a project."
    nothing = "No projects yet. a n creates one."

    def columns(self) -> Sequence[Column[Project]]:
        tenant: Column[Project] = project_tenant_column()
        return (tenant, *project_columns(self.session))

    def listing(self) -> Listing[Project]:
        return self.session.require_plane().projects

    def charts_text(self) -> str:
        row = self.current()
        return "" if row is None else _charts_of(row.tenant_id)

    def target_of(self, row: Project) -> Target:
        return Target({"tenant_id": row.tenant_id, "id": row.id}, row.version, row.key)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("tenants", event.row.key.partition("/")[0])


def _charts_of(*tenants: str) -> str:
    from controlplane.telemetry.chartviews import View, render  # not before the first paint
    from controlplane.telemetry.model import Scope

    return render(View(tenants=tenants) if len(tenants) > 1 else View(Scope(*tenants)))


def project_tenant_column() -> Column[Project]:
    from screens.widgets.columns import Cell

    return Column("tenant", "TENANT", 16, 2, lambda p: Cell(p.tenant_id), grow=True, field="tenant_id")


def why_tenant(tenant: Tenant, screen: Any) -> list[Line]:
    """Where each shown value comes from, and what can be done and cannot, with the reason."""
    now = screen.session.clock()
    lines: list[Line] = [(tenant.id, "title"), f"status {tenant.status}"]
    if tenant.suspended_at is not None:
        lines.append(f"  suspended {relative(tenant.suspended_at, now)}: {tenant.suspension_reason}")
    if tenant.purge_after is not None:
        lines.append(f"  deleted {relative(tenant.deleted_at, now)} from {tenant.deleted_from}")
        lines.append(f"  its data is purged after {tenant.purge_after:%Y-%m-%d %H:%M} UTC")
    if tenant.until is None:
        lines.append("requests, errors, p95: unknown, no request of it was stored in the last hour of data")
    else:
        lines.append(f"requests, errors, p95: over the hour that ends {tenant.until:%Y-%m-%d %H:%M:%S} UTC")
        lines.append(f"  that is {relative(tenant.until, now)}; errors are answers with 5xx; p95 by rank")
        if tenant.p95_ms is None:
            lines.append(f"  p95 {UNKNOWN}: none of these requests has a latency")
    return lines + choice_lines(screen.operations(), screen.session, tenant)
