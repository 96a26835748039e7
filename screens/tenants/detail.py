"""One tenant: facts, the timeline of all that happened to it, its traffic, its projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from controlplane.alerts.model import AlertDirectory
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.formatting import count, relative
from controlplane.listing import Query
from controlplane.lists import Line, status_cell
from controlplane.previews import value_words
from controlplane.telemetry.charts import ChartSpec
from controlplane.telemetry.model import RequestTelemetry, Scope
from controlplane.tenants.activity import activity
from controlplane.tenants.list import OF_A_TENANT, PROJECTS, STATES, why
from controlplane.tenants.model import Certificate, Tenant, TenantDirectory
from controlplane.text import UNKNOWN, clean
from screens.desk import Target
from screens.detail import API_KEYS, MAX_TITLE, PLAN, WEBHOOKS, Also, DetailScreen, refusal_lines
from screens.panes import READING, ChartPane, Facts, NotRead, Reading, Seen, TablePane, timeline
from screens.tenants.traffic import traffic_chart

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

CHART_SPAN, CHART_STEP = timedelta(hours=48), timedelta(hours=1)


async def read_traffic(plane: ControlPlane, tenant: Tenant, now: datetime) -> ChartSpec | None:
    """Its requests up to its newest data, else to the newest of all tenants; None when there is none."""
    end = tenant.until or await plane.of(RequestTelemetry).newest()
    if end is None:
        return None
    requests = await plane.of(RequestTelemetry).series(Scope(tenant.id), end - CHART_SPAN, end, CHART_STEP)
    alerts = await plane.of(AlertDirectory).during(requests.start, requests.end, [tenant.id])
    return traffic_chart(requests, alerts)


TRAFFIC = Reading(read_traffic)


async def read_certificate(plane: ControlPlane, tenant: Tenant, now: datetime) -> Certificate | None:
    return await plane.of(TenantDirectory).certificate(tenant.id) if tenant.status == "erased" else None


CERTIFICATE = Reading(read_certificate)


def acting_for(screen: TenantScreen) -> dict[str, int] | None:
    """The impersonation under which the person acts for this tenant now."""
    acting = screen.session.acting
    return {"number": acting.id} if acting and acting.tenant_id == screen.thing_id else None


class TenantScreen(DetailScreen[Tenant]):
    noun = "tenants"
    rows = Tenant
    means = (
        "One tenant: its facts, all that was done to it, its traffic of the last 48 hours of data (◆ is an alert), its "
        "projects."
    )
    panes = (
        Facts("facts", lambda seen: facts(seen.thing, seen.now, certificate_lines(seen))),
        timeline("tenant"),
        ChartPane("traffic", lambda seen: seen.of(TRAFFIC)),
        TablePane(
            "projects",
            PROJECTS,
            OF_A_TENANT,
            lambda key: Query((Term("is", (key,), "tenant"),), "id"),
            "No projects. Press a, then n, to create one.",
            none=lambda key: Target({"tenant_id": key}, None, key),
        ),
    )
    grid = ("facts timeline", "projects traffic")
    readings = (TRAFFIC, CERTIFICATE)
    related = (API_KEYS, PLAN, WEBHOOKS)
    also = (Also("tenants.end-impersonation", acting_for),)

    def record_of(self, thing: Tenant) -> dict[str, Any]:
        certificate = Seen(thing, self.session.clock(), found=self.found).known(CERTIFICATE)
        return super().record_of(thing) | ({"certificate": asdict(certificate)} if certificate else {})

    @property
    def tenant_id(self) -> str:
        return self.thing_id

    def scope(self) -> Scope:
        return Scope(self.thing_id)

    def why(self, seen: Seen[Tenant]) -> list[Line]:
        return why(seen.thing, seen.now)


def facts(tenant: Tenant, now: datetime, certificate: Sequence[Line] = ()) -> list[Line]:
    """The facts of a tenant, in reading order; what is unknown is shown as unknown."""
    told = activity(tenant, now)
    lines: list[Line] = [(clean(tenant.name, MAX_TITLE), "title"), status_cell(STATES, tenant.status)]
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
    lines += [*certificate, "", *(f"{name:<11}{value}" for name, value in rows.items())]
    if tenant.metadata:
        lines += ["", ("metadata", "title"), *(f"  {k}: {value_words(v)}" for k, v in tenant.metadata.items())]
    return lines


def certificate_lines(seen: Seen[Tenant]) -> list[Line]:
    """Of an erased tenant: what was erased, by whom and when, and the SHA-256 that an auditor compares."""
    if seen.thing.status != "erased":
        return []
    title: Line = ("certificate of the erasure", "title")
    try:
        made = seen.of(CERTIFICATE)
    except NotRead:
        return ["", title, *READING]
    except Refusal as refusal:
        return ["", title, *refusal_lines(refusal)]
    if made is None:
        return ["", title, ("none is kept", "bad")]
    rows = {
        "erased": f"{made.erased_at:%Y-%m-%d %H:%M:%S} UTC",
        "by": made.erased_by,
        "request": made.request_id or UNKNOWN,
        "sha-256": made.sha256,
    }
    lines = [f"{name:<11}{value}" for name, value in rows.items()]
    erased = {name.removeprefix("wf."): number for name, number in sorted(made.counts.items()) if number}
    lines += ["rows erased", *(f"  {count(number):>9}  {name}" for name, number in erased.items())]
    lines.append(f"  none in {len(made.counts) - len(erased)} other tables")
    return ["", title, *(part for line in lines for part in wrap(line, seen.width, subsequent_indent=" " * 11))]
