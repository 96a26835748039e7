"""Gates in a home for tests: applied by an admin, run by an operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.gating import run_gate
from app.settings import load
from backends.postgres.home import Home
from controlplane.gates.model import RunDirectory, Whole
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named


async def do(home: Home, name: str, reason: str = "as the test says", /, **fields: Any) -> Outcome:
    operation = named(name)
    return await execute(home, operation, operation.parse(fields), Call(reason))


async def apply(home: Home, *checks: dict[str, Any], name: str = "shop", **more: Any) -> Outcome:
    some = [each if "kind" in each else {"kind": "queue", "at_most": 0} | each for each in checks]
    return await do(home, "gates.apply", gates=[{"name": name, "owner": "ana", "checks": some, **more}])


async def begin(home: Home, gate: str = "shop", environment: str = "staging", **more: Any) -> int:
    return int((await do(home, "gates.run", gate=gate, environment=environment, **more)).result["id"])


async def ran(home: Home, number: int, folder: Path = Path("/nonexistent"), *, commands: bool = False) -> Whole:
    """A run that was begun, carried out."""
    await run_gate(home, number, settings=load(), folder=folder, commands=commands)
    return await home.of(RunDirectory).whole(number)
