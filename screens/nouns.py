"""The nouns that have a screen, in the order of their digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from screens.area import AreaScreen


class Noun(NamedTuple):
    """`make` builds the noun's list with a filter; `open` the screen of one thing, None when there is none."""

    name: str
    make: Callable[[str], AreaScreen]
    open: Callable[[str], AreaScreen] | None = None


def _tenants(text: str) -> AreaScreen:
    from screens.tenants.list import TenantsScreen

    return TenantsScreen(text)


def _tenant(key: str) -> AreaScreen:
    from screens.tenants.detail import TenantScreen

    return TenantScreen(key)


def _projects(text: str) -> AreaScreen:
    from screens.tenants.list import ProjectsScreen

    return ProjectsScreen(text)


def _audit(text: str) -> AreaScreen:
    from screens.audit import AuditScreen

    return AuditScreen(text)


def _runs(text: str) -> AreaScreen:
    from screens.runs import RunsScreen

    return RunsScreen(text)


def _impersonations(text: str) -> AreaScreen:
    from screens.impersonations import ImpersonationsScreen

    return ImpersonationsScreen(text)


def _run(key: str) -> AreaScreen:
    from screens.runs import RunScreen

    return RunScreen(key)


def _keys(text: str) -> AreaScreen:
    from screens.keys.list import KeysScreen

    return KeysScreen(text)


def _key(key: str) -> AreaScreen:
    from screens.keys.detail import KeyScreen

    return KeyScreen(key)


def _rotations(text: str) -> AreaScreen:
    from screens.keys.list import RotationsScreen

    return RotationsScreen(text)


def _stale(text: str) -> AreaScreen:
    from screens.keys.list import StaleScreen

    return StaleScreen(text)


def _plans(text: str) -> AreaScreen:
    from screens.plans.list import PlansScreen

    return PlansScreen(text)


def _subscription(tenant_id: str) -> AreaScreen:
    from screens.subscriptions.detail import SubscriptionScreen

    return SubscriptionScreen(tenant_id)


def _jobs(text: str) -> AreaScreen:
    from screens.jobs import JobsScreen

    return JobsScreen(text)


def _job(key: str) -> AreaScreen:
    from screens.jobs import JobScreen

    return JobScreen(key)


def _workers(text: str) -> AreaScreen:
    from screens.jobs import WorkersScreen

    return WorkersScreen(text)


def _telemetry(text: str) -> AreaScreen:
    from screens.telemetry.screen import TelemetryScreen

    return TelemetryScreen(text)


def _overview(text: str) -> AreaScreen:
    from screens.overview import OverviewScreen

    return OverviewScreen()


def _objectives(text: str) -> AreaScreen:
    from screens.objectives.list import ObjectivesScreen

    return ObjectivesScreen(text)


def _objective(key: str) -> AreaScreen:
    from screens.objectives.detail import ObjectiveScreen

    return ObjectiveScreen(key)


NOUNS: tuple[Noun, ...] = (
    Noun("tenants", _tenants, _tenant),
    Noun("projects", _projects),
    Noun("audit", _audit),
    Noun("runs", _runs, _run),
    Noun("keys", _keys, _key),
    Noun("rotations", _rotations, _key),
    Noun("stale", _stale, _key),
    Noun("plans", _plans),
    Noun("impersonations", _impersonations),
    Noun("jobs", _jobs, _job),
    Noun("workers", _workers),
    Noun("telemetry", _telemetry, _telemetry),
    Noun("overview", _overview),
    Noun("objectives", _objectives, _objective),
)
OPENED: dict[str, Callable[[str], AreaScreen]] = {
    **{noun.name: noun.open for noun in NOUNS if noun.open},
    "subscriptions": _subscription,
}
"""The screen of one thing of a noun; a tenant's subscription is in no list."""
FIRST = "overview"
"""What the console shows first; the key 0 comes back to it."""


def noun_named(name: str) -> Noun | None:
    return next((noun for noun in NOUNS if noun.name == name), None)
