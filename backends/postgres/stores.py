"""Which class reads or writes for which port: found from the ports that the classes declare to implement."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

P = TypeVar("P")

READERS = (
    "backends.postgres.audit:AuditTrail",
    "backends.postgres.find:Finder",
    "backends.postgres.impersonations:Impersonations",
    "backends.postgres.jobs:Jobs",
    "backends.postgres.jobs:Workers",
    "backends.postgres.keys:Keys",
    "backends.postgres.objectives:Objectives",
    "backends.postgres.operators:Operators",
    "backends.postgres.overview:Overview",
    "backends.postgres.plans:Plans",
    "backends.postgres.rollups:Rollups",
    "backends.postgres.runs:Runs",
    "backends.postgres.subscriptions:Subscriptions",
    "backends.postgres.telemetry:Telemetry",
    "backends.postgres.tenants:Projects",
    "backends.postgres.tenants:Tenants",
)
"""What a home reads with: each is made of the home, once."""
WRITERS = (
    "backends.postgres.impersonations:ImpersonationWriter",
    "backends.postgres.jobs:JobWriter",
    "backends.postgres.keys:KeyWriter",
    "backends.postgres.objectives:ObjectiveWriter",
    "backends.postgres.operators:OperatorWriter",
    "backends.postgres.plans:PlanWriter",
    "backends.postgres.rollups:RetentionWriter",
    "backends.postgres.runs:RunWriter",
    "backends.postgres.subscriptions:SubscriptionWriter",
    "backends.postgres.tenants:ProjectWriter",
    "backends.postgres.tenants:TenantWriter",
)
"""What a change writes with: each is made of the change's connection."""


@cache
def classes(among: tuple[str, ...]) -> tuple[type[Any], ...]:
    """They are loaded when the first is asked for."""
    pairs = (name.split(":") for name in among)
    return tuple(getattr(import_module(module), name) for module, name in pairs)


def implementing(port: type[P], among: tuple[str, ...]) -> Callable[[Any], P]:
    """The class that is, or declares to implement, a port. Raises LookupError."""
    for each in classes(among):
        if port in each.__mro__:
            return each
    raise LookupError(f"nothing here implements {port.__name__}")
