"""Every operation there is. Importing a noun's module registers its operations; this imports those of all nouns."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from controlplane import nouns
from controlplane.operations import REGISTRY, Operation
from controlplane.refusals import OPERATION_UNKNOWN


def operations() -> Mapping[str, Operation[Any]]:
    for noun in nouns.NOUNS:
        for module in noun.operations:
            import_module(module)
    return dict(sorted(REGISTRY.items()))


def find(name: str) -> Operation[Any] | None:
    """An operation by its name. Loads those of its noun; those of all nouns only when it is not among them."""
    if name not in REGISTRY and (noun := nouns.noun_named(name.partition(".")[0])):
        for module in noun.operations:
            import_module(module)
    return REGISTRY.get(name) or operations().get(name)


def named(name: str) -> Operation[Any]:
    """Raises Usage `operation_unknown`."""
    if (found := find(name)) is None:
        raise OPERATION_UNKNOWN(f"There is no operation {name}.")
    return found


def done_on(row: type) -> list[Operation[Any]]:
    """The operations on the thing that such a row shows."""
    return [each for each in operations().values() if _is_on(each, row)]


def offered(noun: str, row: type) -> list[Operation[Any]]:
    """The operations offered in a list of such rows: those on a row or begun from one, and those of the noun that need
    none.
    """
    every = operations().values()
    return [
        each
        for each in every
        if _is_on(each, row) or row in each.begins or (each.noun == noun and (each.on is None or _makes(each)))
    ]


def _is_on(operation: Operation[Any], row: type) -> bool:
    on = operation.on
    return on is not None and not _makes(operation) and (issubclass(row, on.row) or row in on.within)


def _makes(operation: Operation[Any]) -> bool:
    """Whether it makes a new thing; it is then done on what the new thing belongs to."""
    return bool(operation.request.makes)


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
