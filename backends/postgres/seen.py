"""Whether what a scope names exists: it is in a list, or a stored request names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from controlplane.errors import NotFound, Refusal
from controlplane.keys.refusals import NO_KEY
from controlplane.telemetry.model import Scope
from controlplane.tenants.refusals import NO_TENANT

if TYPE_CHECKING:
    from backends.postgres.home import Home

# Telemetry may come before its tenant or key and outlive them. Raw rows are searched where there are no cells yet.
TENANT: LiteralString = """
SELECT EXISTS (SELECT FROM wf.tenant_list WHERE id = %(tenant)s)
  OR EXISTS (SELECT FROM wf.request_hours WHERE tenant_id = %(tenant)s)
  OR EXISTS (SELECT FROM wf.quiet_hours WHERE tenant_id = %(tenant)s)
  OR EXISTS (SELECT FROM wf.request_minutes WHERE tenant_id = %(tenant)s)
  OR EXISTS (SELECT FROM wf.requests WHERE tenant_id = %(tenant)s)
"""
KEY: LiteralString = """
SELECT EXISTS (SELECT FROM wf.key_list WHERE tenant_id = %(tenant)s AND display = %(key)s)
  OR EXISTS (SELECT FROM wf.request_hours WHERE tenant_id = %(tenant)s AND dim = 'key' AND value = %(key)s)
  OR EXISTS (SELECT FROM wf.quiet_hours q, unnest(q.requests) e WHERE q.tenant_id = %(tenant)s AND e.key = %(key)s)
  OR EXISTS (SELECT FROM wf.request_minutes WHERE tenant_id = %(tenant)s AND dim = 'key' AND value = %(key)s)
  OR EXISTS (SELECT FROM wf.requests r, wf.request_marks m
             WHERE r.tenant_id = %(tenant)s AND r.key_prefix = %(key)s AND r.at >= m.minutes_until)
"""
ROUTE: LiteralString = """
SELECT EXISTS (SELECT FROM wf.request_minutes WHERE tenant_id = '' AND dim = 'route' AND route = %(route)s)
  OR EXISTS (SELECT FROM wf.request_hours WHERE tenant_id = '' AND dim = 'route' AND route = %(route)s)
  OR EXISTS (SELECT FROM wf.requests r, wf.request_marks m WHERE r.route = %(route)s AND r.at >= m.minutes_until)
"""
REGION: LiteralString = """
SELECT EXISTS (SELECT FROM wf.tenant_list WHERE region = %(region)s OR %(region)s = ANY (allowed_regions))
  OR EXISTS (SELECT FROM wf.request_minutes WHERE tenant_id = '' AND dim = 'region' AND value = %(region)s)
  OR EXISTS (SELECT FROM wf.request_hours WHERE tenant_id = '' AND dim = 'region' AND value = %(region)s)
  OR EXISTS (SELECT FROM wf.requests r, wf.request_marks m WHERE r.region = %(region)s AND r.at >= m.minutes_until)
"""


async def require_seen(home: Home, scope: Scope) -> None:
    """See `RequestTelemetry.require`."""
    tenant, route, key, region = scope.tenant_id, scope.route, scope.key_prefix, scope.region
    named: list[tuple[str | None, LiteralString, Refusal]] = [
        (tenant, TENANT, NO_TENANT.of(tenant)),
        (key, KEY, NO_KEY(f"Tenant {tenant} has no key {key}.")),
        (
            route,
            ROUTE,
            NotFound("no_route", f"No request to {route} is stored.", "watchfloor telemetry top route finds some."),
        ),
        (
            region,
            REGION,
            NotFound(
                "no_region",
                f"No tenant and no stored request is in the region {region}.",
                "watchfloor telemetry export --by region finds some.",
            ),
        ),
    ]
    values = {"tenant": tenant, "key": key, "route": route, "region": region}
    async with home.connection() as connection:
        for name, statement, missing in named:
            if name is None:
                continue
            row = await (await connection.execute(statement, values)).fetchone()
            if row is None or not row[0]:
                raise missing
