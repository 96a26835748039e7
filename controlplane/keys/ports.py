"""The store that the operations of keys write through."""

from __future__ import annotations

from typing import Protocol

from controlplane.audit.model import Record
from controlplane.keys.model import Key


class KeyStore(Protocol):
    async def lock(self, key_id: str) -> Key:
        """Read a key and lock it until the change ends. Raises NotFound, NotPermitted."""
        ...

    async def create(self, columns: Record) -> Key:
        """`hash` is among the columns, and is never read back. Raises Conflict `key_hash_taken`."""
        ...

    async def update(self, key_id: str, columns: Record) -> Key: ...

    async def record_leak(self, key: Key, successor_id: str | None, reason: str) -> Record:
        """Keep what an incident needs: `leak` is its number, `calls` how many were made with the key in 30 days."""
        ...
