"""The store that the operations of plans write through."""

from __future__ import annotations

from typing import Any, Protocol

from controlplane.plans.model import Plan


class PlanStore(Protocol):
    async def latest(self, code: str) -> Plan | None: ...

    async def version(self, code: str, version: int) -> Plan | None: ...

    async def add(self, columns: dict[str, Any]) -> Plan:
        """Add a plan's next version."""
        ...
