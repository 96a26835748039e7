"""The store that the operations of subscriptions write through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from controlplane.changes import Store
from controlplane.subscriptions.model import Facts, Grant, PlanChange, Subscription


class SubscriptionStore(Store[Subscription], Protocol):
    """A subscription's key is its tenant's id; it is made with its tenant."""

    async def facts(self, tenant_id: str) -> Facts:
        """What the tenant's entitlements are derived from."""
        ...

    async def currency(self, tenant_id: str) -> str | None:
        """The currency that the tenant pays in; None: not known."""
        ...

    async def grant(self, columns: dict[str, Any]) -> Grant: ...

    async def end_grant(self, tenant_id: str, grant: int) -> Grant:
        """Raises NotFound; Refusal `grant_over`."""
        ...

    async def pending(self, tenant_id: str) -> PlanChange | None:
        """The change that waits for its day."""
        ...

    async def cancel_pending(self, tenant_id: str, at: datetime) -> None: ...

    async def note_change(self, columns: dict[str, Any]) -> int:
        """Record a change of plan with its lines. Returns its number."""
        ...

    async def expire_trials(self) -> tuple[int, int]:
        """End what is over, of all tenants. Returns how many were ended, and how many reminders were recorded."""
        ...

    async def apply_due(self) -> int:
        """Make the changes whose day has come. Returns how many."""
        ...
