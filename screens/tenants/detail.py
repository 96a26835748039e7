"""One tenant: facts, the timeline of all that happened to it, its traffic, its projects."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from controlplane.audit import AuditRow, as_record
from controlplane.chartviews import View, render
from controlplane.errors import NotFound, Refusal
from controlplane.filters import Term
from controlplane.listing import Query
from controlplane.moments import relative
from controlplane.previews import value_words
from controlplane.telemetry import Scope
from controlplane.tenants.activity import activity
from controlplane.tenants.model import Project, Tenant
from controlplane.text import UNKNOWN
from screens.actions import Done, Target
from screens.area import AreaScreen
from screens.audit import audit_columns, charts_at
from screens.session import Session
from screens.tenants.columns import STATUS, project_columns
from screens.tenants.list import why_tenant
from screens.tenants.traffic import traffic_chart
from screens.widgets.bars import TitleLine
from screens.widgets.chart import Chart
from screens.widgets.lines import Line, Lines
from screens.widgets.table import WindowTable

PANES = ("facts", "timeline", "traffic", "projects")
WIDE = 110
CHART_SPAN, CHART_STEP = timedelta(hours=48), timedelta(hours=1)


class TenantScreen(AreaScreen):
    """On a wide terminal all panes together, on a narrow one a pane at a time: `tab` goes on."""

    noun = "tenants"
    means = "One tenant: its facts, all that was done to it, its traffic of the last 48 hours of data, its projects."
    hints = (("tab", "next pane"), ("a", "act"), ("d", "describe"), ("w", "why"), ("esc", "back"), ("?", "help"))

    DEFAULT_CSS = """
    TenantScreen #facts { padding: 0 1; }
    TenantScreen #panes { layout: grid; grid-size: 2 2; grid-columns: 2fr 3fr; grid-rows: 1fr 1fr; grid-gutter: 0 1; }
    TenantScreen #panes > * { border-top: solid $panel; border-title-color: $text-muted; }
    TenantScreen.narrow #panes { layout: vertical; }
    TenantScreen.narrow #panes > * { border: none; }
    TenantScreen.narrow #panes > * { display: none; }
    TenantScreen.narrow #panes > .chosen { display: block; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next pane", show=False, id="tenant.next_pane"),
        Binding("shift+tab", "pane(-1)", "pane before", show=False, id="tenant.previous_pane"),
        Binding("A", "api_keys", "its API keys", show=False, id="tenant.api_keys"),
    ]

    def __init__(self, tenant_id: str) -> None:
        super().__init__()
        self.tenant_id = tenant_id
        self.tenant: Tenant | None = None
        self.chosen = PANES[0]

    def body(self) -> Widget:
        return Panes(self.session)

    def crumbs(self) -> list[str]:
        return ["tenants", self.tenant_id]

    def on_mount(self) -> None:
        for pane in PANES:
            self.query_one(f"#{pane}").border_title = pane
        self._choose(self.chosen)
        self.context_ready()

    def context_ready(self) -> None:
        plane = self.session.plane
        if plane is None:
            return
        mine = Term("is", (self.tenant_id,), "tenant")
        self.query_one("#timeline", WindowTable).show(plane.audit, Query((mine,), "at", True))
        self.query_one("#projects", WindowTable).show(plane.projects, Query((mine,), "id"))
        self.action_reload()

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            self.tenant = await plane.tenants.get(self.tenant_id)
        except NotFound as missing:
            self.tenant = None
            self.query_one("#facts", Lines).show([(missing.message, "bad"), missing.hint])
            return
        except Refusal:
            return  # the header says that the link is down; what was read stays
        self.query_one("#facts", Lines).show(facts(self.tenant, self.session))
        for name in ("#timeline", "#projects"):
            await self.query_one(name, WindowTable).refresh_rows()
        self._read_traffic()

    @work(exit_on_error=False, group="traffic", exclusive=True)
    async def _read_traffic(self) -> None:
        telemetry, chart = self.session.require_plane().telemetry, self.query_one(Chart)
        end = self.tenant.until if self.tenant and self.tenant.until else await telemetry.newest()
        if end is None:
            chart.show(None)
            return
        chart.show(traffic_chart(await telemetry.series(Scope(self.tenant_id), end - CHART_SPAN, end, CHART_STEP)))

    def draw_title(self, title: TitleLine) -> None:
        narrow = self.has_class("narrow")
        names = [f"[{name}]" if name == self.chosen else name for name in PANES] if narrow else []
        title.show(noun=self.tenant_id, count="  ".join(names))

    # Panes

    def retime(self) -> None:
        for name, columns in (("#timeline", audit_columns), ("#projects", project_columns)):
            table = self.query_one(name, WindowTable)
            table.columns = tuple(columns(self.session))
            table.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")

    def action_pane(self, by: int) -> None:
        self._choose(PANES[(PANES.index(self.chosen) + by) % len(PANES)])
        self.draw_frame()

    def _choose(self, name: str) -> None:
        self.chosen = name
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "chosen")
        chosen = self.query_one(f"#{name}")
        if chosen.focusable:
            chosen.focus()

    def focus_body(self) -> None:
        self._choose(self.chosen)

    def action_api_keys(self) -> None:
        self.desk.go("keys", f"tenant:{self.tenant_id}")

    def charts_text(self) -> str:
        row = self.query_one("#timeline", WindowTable).cursor_row if self.chosen == "timeline" else None
        if row is not None:
            return charts_at(row, self.session.clock())
        return render(View(Scope(self.tenant_id)))

    # What is under the cursor

    def current(self) -> Any:
        if self.chosen == "projects":
            return self.query_one("#projects", WindowTable).cursor_row
        return self.tenant

    def targets(self) -> list[Target]:
        thing = self.current()
        if isinstance(thing, Project):
            return [Target({"tenant_id": thing.tenant_id, "id": thing.id}, thing.version, thing.key)]
        if self.chosen == "projects":
            return [Target({"tenant_id": self.tenant_id}, None, self.tenant_id)]
        mine = {"number": self.session.acting.id} if self._acting() and self.session.acting else {}
        return [Target({"id": self.tenant_id} | mine, self.tenant.version if self.tenant else None, self.tenant_id)]

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
        return self.session.acting is not None and self.session.acting.tenant_id == self.tenant_id

    def record(self) -> dict[str, Any] | None:
        if self.chosen == "timeline":
            row: AuditRow | None = self.query_one("#timeline", WindowTable).cursor_row
            return None if row is None else as_record(row)
        thing = self.current()
        return None if thing is None else dataclasses.asdict(thing)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "It could not be read.", "bad"))

    def why_lines(self) -> list[Line]:
        return [] if self.tenant is None else why_tenant(self.tenant, self)

    def view_link(self) -> str:
        return f"{self.session.context}/tenants/{self.tenant_id}"


class Panes(Container):
    """The four parts of a tenant."""

    def __init__(self, session: Session) -> None:
        super().__init__(id="panes")
        self.session = session

    def compose(self) -> ComposeResult:
        yield Lines(["reading …"], id="facts")
        yield WindowTable(audit_columns(self.session), empty="Nothing was done to it yet.", id="timeline")
        yield WindowTable(project_columns(self.session), empty="No projects. a n creates one.", id="projects")
        yield Chart(id="traffic")


def facts(tenant: Tenant, session: Session) -> list[Line]:
    """What there is to know of a tenant, in reading order; what is unknown is said so."""
    now = session.clock()
    told = activity(tenant, now)
    glyph, word, tone = STATUS.get(tenant.status, ("?", "unknown", "warn"))
    lines: list[Line] = [(tenant.name, "title"), (f"{glyph} {word}", tone)]
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
