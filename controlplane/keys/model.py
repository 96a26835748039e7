"""API keys as they are read, and the ports that read them. No row holds a secret or a hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from controlplane.errors import Usage
from controlplane.formatting import spell
from controlplane.listing import ById, Listing

KeyState = Literal["active", "rotating", "disabled", "expired", "revoked"]
Env = Literal["live", "test"]
ENVS: tuple[Env, ...] = ("live", "test")
Level = Literal["stale", "warn", "fresh"]
LEVELS: tuple[Level, ...] = ("stale", "warn", "fresh")


@dataclass(frozen=True, slots=True)
class Key(ById):
    """One key. `owner_email` is masked, `last_address` None, for those who may not see it.

    `state` is that of the moment when it was read. `last_used_at` None: no use is known.
    """

    id: str
    tenant_id: str
    project_id: str | None
    env: Env
    display: str
    label: str
    owner_email: str | None
    scopes: list[str]
    addresses: list[str]
    expires_at: datetime | None
    spend_cap: int | None
    rotated_from: str | None
    rotated_to: str | None
    rotated_at: datetime | None
    grace_until: datetime | None
    disabled_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None
    state: KeyState
    version: int
    created_at: datetime
    updated_at: datetime
    created_by: str
    last_used_at: datetime | None = None
    last_address: str | None = None


@dataclass(frozen=True, slots=True)
class Rotation(ById):
    """A key in its grace and its successor. Calls are since the rotation; None is unknown, never zero."""

    id: str
    tenant_id: str
    env: Env
    display: str
    label: str
    rotated_at: datetime
    grace_until: datetime
    successor_id: str | None
    successor_display: str | None
    old_calls: int | None
    new_calls: int | None
    old_last_at: datetime | None
    old_last_address: str | None
    version: int


@dataclass(frozen=True, slots=True)
class StaleKey(ById):
    """A key that is too old, nearly so, or of a tenant that rotated none in the window."""

    id: str
    tenant_id: str
    env: Env
    display: str
    label: str
    level: Level
    unrotated: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class StaleCounts:
    """Of all live keys, not of a page: how many are stale, nearly so, and how many tenants rotated none."""

    keys: int
    stale: int
    warn: int
    tenants: int
    tenants_unrotated: int


@dataclass(frozen=True)
class StalePolicy:
    """A key is stale when older than `max_age`, and gets a warning from `warn` on. A tenant should rotate a key in
    every `window`, except a tenant that was itself created within it.
    """

    max_age: timedelta = timedelta(days=30)
    warn: timedelta = timedelta(days=21)
    window: timedelta = timedelta(days=30)

    def __post_init__(self) -> None:
        if self.warn > self.max_age:
            raise Usage(
                "stale_warn_after_max",
                f"A warning after {spell(self.warn.total_seconds())} would come after the key is stale"
                f" ({spell(self.max_age.total_seconds())}).",
                "Give a --warn of at most --max-age.",
            )


@dataclass(frozen=True, slots=True)
class KeyCalls:
    """Calls with a key from one address (None: not known, or not for you to see) to one route.

    `whole` False: only the newest half million calls were counted.
    """

    address: str | None
    route: str
    calls: int
    first_at: datetime
    last_at: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class KeyLeak:
    """What an incident needs to know of a leaked key. `calls`: those of the 30 days before, by address and route; None:
    not for you to see.
    """

    id: int
    key_id: str
    successor_id: str | None
    reason: str
    at: datetime
    actor: str
    calls: dict[str, Any] | None


class StaleListing(Listing[StaleKey], Protocol):
    async def counts(self) -> StaleCounts: ...


class KeyDirectory(Listing[Key], Protocol):
    """The capability of a context to list keys and to show what becomes of them."""

    @property
    def rotations(self) -> Listing[Rotation]: ...

    def stale(self, policy: StalePolicy) -> StaleListing: ...

    async def of_hash(self, digest: bytes) -> Key | None:
        """The key whose secret has this SHA-256."""
        ...

    async def chain(self, key_id: str) -> Sequence[Key]:
        """The key with all its predecessors and successors, oldest first."""
        ...

    async def calls(self, key_id: str, since: datetime) -> Sequence[KeyCalls]:
        """Who called with it, the most first."""
        ...

    async def leaks(self, key_id: str) -> Sequence[KeyLeak]: ...
