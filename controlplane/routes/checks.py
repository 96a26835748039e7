"""What may be done with a route in which state: pure functions. The home guards the same."""

from __future__ import annotations

from controlplane.audit.model import Record
from controlplane.routes.kept import RouteRow
from controlplane.routes.refusals import ROUTE_LIVE, ROUTE_NO_SECRET, ROUTE_OFF, ROUTE_ON, ROUTE_RETIRED


def check_open(route: RouteRow) -> None:
    """Raises Refusal `route_retired`."""
    if route.retired_at is not None:
        raise ROUTE_RETIRED(f"The route {route.name} is retired.", f"watchfloor routes restore {route.id}")


def check_restore(route: RouteRow) -> None:
    if route.retired_at is None:
        raise ROUTE_LIVE(f"The route {route.name} is not retired.")


def check_disable(route: RouteRow) -> None:
    check_open(route)
    if not route.enabled:
        raise ROUTE_OFF(f"The route {route.name} is disabled already.")


def check_enable(route: RouteRow) -> None:
    check_open(route)
    if route.enabled and route.disabled is None:
        raise ROUTE_ON(f"The route {route.name} is enabled, and so is its endpoint.")


def check_signs(route: RouteRow) -> None:
    check_open(route)
    if route.channel != "webhook":
        raise ROUTE_NO_SECRET(f"The route {route.name} is of {route.channel}: only a webhook signs with a secret.")


def result(route: RouteRow) -> Record:
    """What an operation tells of it."""
    told = ("id", "name", "tenant_id", "channel", "target", "enabled", "version")
    return {name: getattr(route, name) for name in told}
