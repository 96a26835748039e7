"""Where people are paged: at most one address for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from controlplane.encryption import Encrypted
from controlplane.listing import ById, Listing


@dataclass(frozen=True, slots=True)
class Contact(ById):
    """An address of somebody. `target`: as it is shown, since `target_at`; the address itself only a worker reads."""

    id: int
    person: str
    channel: str
    target: str
    target_at: datetime
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    removed_at: datetime | None


class ContactDirectory(Listing[Contact], Protocol):
    async def get(self, number: int) -> Contact:
        """Raises NotFound."""
        ...


class ContactStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> Contact:
        """Raises NotFound."""
        ...

    async def create(self, columns: Mapping[str, Any]) -> Contact: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> Contact: ...

    async def put_address(self, number: int, stored: Encrypted) -> None: ...
