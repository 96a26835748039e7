"""A real delivery on a route, marked as a test: what the receiver answers, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.audit.model import Record
from controlplane.deliveries.endpoints import outcome_of_test, send_test
from controlplane.operations import Request, Risk, operation
from controlplane.routes import checks
from controlplane.routes.kept import RouteRow
from controlplane.routes.operations import ROUTE, Number

if TYPE_CHECKING:
    from controlplane.changes import Change


class RouteTest(Request):
    id: Number


@operation(
    "routes.test",
    RouteTest,
    role="operator",
    risk=Risk.SAFE,
    key="y",
    on=ROUTE,
    check=lambda route, now: checks.check_open(route),
    writes="deliveries",
    completes=outcome_of_test,
)
async def test(change: Change, request: RouteTest, route: RouteRow) -> Record:
    """Send a test on a route: a real delivery marked TEST that counts toward nothing."""
    return {"delivery": (await send_test(change, route.id)).id, "route": route.name}
