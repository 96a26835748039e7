"""The store that the operations of keys write through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from controlplane.changes import Store
from controlplane.keys.model import Key

if TYPE_CHECKING:
    from controlplane.audit.model import Record


class KeyStore(Store[Key], Protocol):
    """`hash` is among the columns of a new key, and is never read back. Raises Conflict `key_hash_taken`."""

    async def record_leak(self, key: Key, successor_id: str | None, reason: str) -> Record:
        """Keep what an incident needs: `leak` is its number, `calls` how many were made with the key in 30 days."""
        ...
