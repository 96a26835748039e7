"""One tenant: facts, the timeline of all that happened to it, its traffic, its projects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.widget import Widget

from controlplane.audit.list import AUDIT, charts_at
from controlplane.filters.grammar import Term
from controlplane.formatting import relative
from controlplane.listing import Query
from controlplane.lists import Line, status_cell
from controlplane.previews import value_words
from controlplane.telemetry.chartviews import View, render
from controlplane.telemetry.model import Scope
from controlplane.tenants.activity import activity
from controlplane.tenants.list import OF_A_TENANT, STATES, why
from controlplane.tenants.model import Project, Tenant
from controlplane.text import UNKNOWN, clean
from screens.actions import Target, choice_lines
from screens.columns import table_columns
from screens.detail import LONGEST_TITLE, DetailScreen, Hints
from screens.session import Session
from screens.tenants.traffic import traffic_chart
from screens.widgets.chart import Chart
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

CHART_SPAN, CHART_STEP = timedelta(hours=48), timedelta(hours=1)


class TenantScreen(DetailScreen[Tenant]):
    noun = "tenants"
    means = "One tenant: its facts, all that was done to it, its traffic of the last 48 hours of data, its projects."
    panes = ("facts", "timeline", "traffic", "projects")
    tables: ClassVar[Any] = {"timeline": AUDIT.table, "projects": OF_A_TENANT}
    hints: ClassVar[Hints] = (
        ("tab", "next pane"),
        ("a", "act"),
        ("A", "keys"),
        ("P", "plan"),
        ("w", "why"),
        ("?", "help"),
    )

    def parts(self) -> Sequence[Widget]:
        return (
            Lines(["reading …"], id="facts"),
            WindowTable(table_columns(AUDIT.table, self.session), empty="Nothing was done to it yet.", id="timeline"),
            WindowTable(table_columns(OF_A_TENANT, self.session), empty="No projects. a n creates one.", id="projects"),
            Chart(id="traffic"),
        )

    def show_tables(self, plane: ControlPlane) -> None:
        mine = Term("is", (self.thing_id,), "tenant")
        self.query_one("#timeline", WindowTable).show(plane.audit, Query((mine,), "at", True))
        self.query_one("#projects", WindowTable).show(plane.projects, Query((mine,), "id"))

    async def read(self, plane: ControlPlane) -> Tenant:
        return await plane.tenants.get(self.thing_id)

    def show_thing(self, thing: Tenant) -> None:
        self.query_one("#facts", Lines).show(facts(thing, self.session))
        self._read_traffic()

    @work(exit_on_error=False, group="traffic", exclusive=True)
    async def _read_traffic(self) -> None:
        telemetry, chart = self.session.require_plane().telemetry, self.query_one(Chart)
        end = self.thing.until if self.thing and self.thing.until else await telemetry.newest()
        if end is None:
            chart.show(None)
            return
        chart.show(traffic_chart(await telemetry.series(Scope(self.thing_id), end - CHART_SPAN, end, CHART_STEP)))

    def charts_text(self) -> str:
        row = self.query_one("#timeline", WindowTable).cursor_row if self.chosen == "timeline" else None
        if row is not None:
            return charts_at(row, self.session.clock())
        return render(View(Scope(self.thing_id)))

    # What is under the cursor

    def current(self) -> Any:
        if self.chosen == "projects":
            return self.query_one("#projects", WindowTable).cursor_row
        return self.thing

    def targets(self) -> list[Target]:
        thing = self.current()
        if isinstance(thing, Project):
            return [Target({"tenant_id": thing.tenant_id, "id": thing.id}, thing.version, thing.key)]
        if self.chosen == "projects":
            return [Target({"tenant_id": self.thing_id}, None, self.thing_id)]
        mine = {"number": self.session.acting.id} if self._acting() and self.session.acting else {}
        return [Target({"id": self.thing_id} | mine, self.thing.version if self.thing else None, self.thing_id)]

    def operations(self) -> list[Any]:
        from controlplane.registry import operations

        noun = "projects" if self.chosen == "projects" else "tenants"
        unfit = ["tenants.create", "tenants.apply", "tenants.provision", "tenants.approve-writing"]
        if not self._acting():
            unfit.append("tenants.end-impersonation")
        found = [each for each in operations().values() if each.noun == noun and each.name not in unfit]
        return [dataclasses.replace(each, fits=None) if "number" in each.request.subject else each for each in found]

    def _acting(self) -> bool:
        """Whether the person acts for this tenant now."""
        return self.session.acting is not None and self.session.acting.tenant_id == self.thing_id

    def record(self) -> dict[str, Any] | None:
        if self.chosen == "timeline":
            return self.timeline_record()
        thing = self.current()
        return None if thing is None else dataclasses.asdict(thing)

    def why_lines(self) -> list[Line]:
        if self.thing is None:
            return []
        now = self.session.clock()
        return why(self.thing, now) + choice_lines(self.operations(), self.session, self.thing)


def facts(tenant: Tenant, session: Session) -> list[Line]:
    """What there is to know of a tenant, in reading order; what is unknown is said so."""
    now = session.clock()
    told = activity(tenant, now)
    lines: list[Line] = [(clean(tenant.name, LONGEST_TITLE), "title"), status_cell(STATES, tenant.status)]
    if tenant.suspended_at:
        lines.append((f"  since {relative(tenant.suspended_at, now)}: {tenant.suspension_reason}", "warn"))
    if tenant.purge_after:
        lines.append((f"  purged after {tenant.purge_after:%Y-%m-%d %H:%M} UTC", "bad"))
    rows = {
        "plan": tenant.plan,
        "region": tenant.region,
        "allowed": ", ".join(tenant.allowed_regions) or "any region",
        "owner": tenant.owner_email or UNKNOWN,
        "protected": "yes" if tenant.protected else "no",
        "created": relative(tenant.created_at, now),
        "changed": f"{relative(tenant.updated_at, now)}, version {tenant.version}",
        "requests": f"{told.requests} per minute" if tenant.per_minute is not None else UNKNOWN,
        "errors": f"{told.errors} %" if tenant.error_share is not None else UNKNOWN,
        "p95": told.p95,
        "data until": (relative(tenant.until, now) if tenant.until else "no data")
        + (", not now" if told.stale else ""),
    }
    lines += ["", *(f"{name:<11}{value}" for name, value in rows.items())]
    if tenant.metadata:
        lines += ["", ("metadata", "title"), *(f"  {k}: {value_words(v)}" for k, v in tenant.metadata.items())]
    return lines
