"""What a drill of a runbook is done on: things that are made for it, and named after it. Nothing else is touched."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from controlplane.operations import Call, execute
from controlplane.registry import named

if TYPE_CHECKING:
    from typing import Any

    from controlplane.changes import ControlPlane

Scenario = Callable[["ControlPlane"], Awaitable[Mapping[str, str]]]
REASON = "a drill"


async def nothing(plane: ControlPlane) -> Mapping[str, str]:
    return {}


async def make(plane: ControlPlane, name: str, /, **fields: Any) -> Any:
    operation = named(name)
    return (await execute(plane, operation, operation.parse(fields), Call(REASON))).result


def fresh() -> str:
    return f"drill-{uuid.uuid4().hex[:8]}"


async def tenant(plane: ControlPlane) -> Mapping[str, str]:
    """A tenant of its own."""
    name = fresh()
    await make(plane, "tenants.create", id=name, name="A drill")
    return {"tenant": name}


SCENARIOS: Mapping[str, Scenario] = {}


def scenario(name: str) -> Scenario:
    """Of a runbook without one, questions are answered by their first choice, or with "drill"."""
    return SCENARIOS.get(name, nothing)
