"""Impersonations as they are read: who acts for which tenant, why, for which ticket, until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from controlplane.changes import Store
from controlplane.listing import ById, Listing

State = Literal["open", "ended", "over"]
STATES: tuple[State, ...] = ("open", "ended", "over")


@dataclass(frozen=True, slots=True)
class Impersonation(ById):
    """`ends_at` is a hard stop. `state`: "ended" by somebody, "over" by itself. Writing needs `approved_by`."""

    id: int
    tenant_id: str
    actor: str
    reason: str
    ticket: str
    mode: Literal["read", "write"]
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    state: State

    @property
    def number(self) -> int:
        """What its operations call it."""
        return self.id


class ImpersonationDirectory(Listing[Impersonation], Protocol):
    async def mine(self) -> Impersonation | None:
        """The one that the actor has open."""
        ...


class ImpersonationStore(Store[Impersonation], Protocol):
    """What the operations of impersonations write through. The home itself notes when one is ended or approved."""
