"""What a drill of a runbook is done on: things that are made for it, and named after it. Nothing else is touched."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from controlplane.filters.grammar import parse
from controlplane.listing import Query
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


async def subscriber(plane: ControlPlane) -> Mapping[str, str]:
    name = fresh()
    await make(plane, "tenants.provision", id=name, name="A drill", plan="trial")
    return {"tenant": name, "state": "active"}


async def sign_up(plane: ControlPlane) -> Mapping[str, str]:
    """A tenant that is not there yet."""
    return {"tenant": fresh(), "plan": "trial"}


async def abuse(plane: ControlPlane) -> Mapping[str, str]:
    """Three tenants of one pattern."""
    name = fresh()
    for number in (1, 2, 3):
        await make(plane, "tenants.create", id=f"{name}-{number}", name="A drill")
    return {"pattern": name}


async def key(plane: ControlPlane) -> Mapping[str, str]:
    name = (await tenant(plane))["tenant"]
    return {"key": str((await make(plane, "keys.create", tenant_id=name, label="a drill"))["id"])}


async def letters(plane: ControlPlane) -> Mapping[str, str]:
    """Messages that die on purpose, of two causes."""
    from controlplane.queues.drill import DRILL
    from controlplane.queues.list import LETTERS
    from controlplane.queues.model import LetterDirectory

    name = f"drill-{uuid.uuid4().hex[:12]}"
    await execute(plane, DRILL, DRILL.parse({"name": name}), Call(REASON))
    terms = parse(f"payload.drill:{name} class:no_answer", LETTERS.fields)
    [letter, *_] = (await plane.of(LetterDirectory).page(Query(terms, "age", True), limit=1)).rows
    return {"cause": letter.cause_id, "release": "drill"}


async def gate(plane: ControlPlane) -> Mapping[str, str]:
    """A gate that a person opens. Only an admin may keep one."""
    name = fresh()
    question = {"name": "ready", "kind": "manual", "question": "Is it a drill?"}
    await make(plane, "gates.apply", gates=[{"name": name, "owner": "drill", "checks": [question]}])
    answer = {"gate": name, "environment": "staging", "check_name": "ready", "answer": "pass"}
    await make(plane, "gates.answer", **answer)
    return {"gate": name, "environment": "staging", "tenant": fresh()}


SCENARIOS: Mapping[str, Scenario] = {
    "p1-cross-tenant-leak": tenant,
    "p2-billing-inconsistent": subscriber,
    "p3-provisioning-failing": sign_up,
    "p4-sign-up-abuse": abuse,
    "key-leak": key,
    "dead-letter-replay": letters,
    "hosted-rollout": gate,
    "restore-of-a-home": tenant,
}


def scenario(name: str) -> Scenario:
    """Of a runbook without one, questions are answered by their first choice, or with "drill"."""
    return SCENARIOS.get(name, nothing)
