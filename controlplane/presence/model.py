"""Who looks at what in which console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from controlplane.listing import Listing, View


@dataclass(frozen=True, slots=True)
class Presence:
    """A console that is open. `view`: what it shows since `view_at`, the record of a View; `moved_at`: when a key was
    pressed there last. `role` None: the login is no operator any more.
    """

    console: UUID
    person: str
    role: str | None
    view: dict[str, Any]
    view_at: datetime
    moved_at: datetime
    seen_at: datetime

    @property
    def key(self) -> str:
        return str(self.console)


class PresenceDirectory(Listing[Presence], Protocol):
    async def say(self, console: UUID, view: View, idle: float) -> None:
        """Say what this console shows. `idle`: seconds since the last key."""
        ...

    async def of(self, console: UUID) -> Presence | None:
        """None: it is closed, or its link is down."""
        ...

    async def left_at(self, console: UUID | None) -> datetime | None:
        """When the login's other consoles were used last; None: not known."""
        ...
