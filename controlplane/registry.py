"""Every operation there is. Importing a noun's module registers its operations; this imports them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import controlplane.contexts
import controlplane.impersonations.operations
import controlplane.jobs.operations
import controlplane.keys.operations
import controlplane.objectives.operations
import controlplane.operators.operations
import controlplane.plans.operations
import controlplane.runs.operations
import controlplane.subscriptions.operations
import controlplane.subscriptions.trials
import controlplane.telemetry.operations
import controlplane.tenants.apply
import controlplane.tenants.operations
import controlplane.tenants.projects  # noqa: F401
from controlplane.operations import REGISTRY, Operation
from controlplane.refusals import OPERATION_UNKNOWN


def operations() -> Mapping[str, Operation[Any]]:
    return dict(sorted(REGISTRY.items()))


def named(name: str) -> Operation[Any]:
    """Raises Usage `operation_unknown`."""
    if name not in REGISTRY:
        raise OPERATION_UNKNOWN(f"There is no operation {name}.")
    return REGISTRY[name]


def describe(operation: Operation[Any]) -> dict[str, Any]:
    """An operation for `watchfloor operations --json`."""
    return {
        "name": operation.name,
        "summary": operation.summary,
        "role": operation.role,
        "risk": operation.risk.value,
        "needs_reason": operation.needs_reason,
        "undo": operation.undo,
        "request": operation.request.model_json_schema(),
    }
