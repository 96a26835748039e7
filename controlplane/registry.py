"""Every operation there is. Importing a noun's module registers its operations; this imports those of all nouns."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from controlplane.nouns import NOUNS
from controlplane.operations import REGISTRY, Operation
from controlplane.refusals import OPERATION_UNKNOWN


def operations() -> Mapping[str, Operation[Any]]:
    for noun in NOUNS:
        for module in noun.operations:
            import_module(module)
    return dict(sorted(REGISTRY.items()))


def named(name: str) -> Operation[Any]:
    """Raises Usage `operation_unknown`."""
    found = operations()
    if name not in found:
        raise OPERATION_UNKNOWN(f"There is no operation {name}.")
    return found[name]


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
