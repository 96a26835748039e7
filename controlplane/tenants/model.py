"""Tenants and projects as they are read, and the ports that read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

Status = Literal["active", "suspended", "pending_deletion", "erased"]
STATUSES: tuple[Status, ...] = ("active", "suspended", "pending_deletion", "erased")


@dataclass(frozen=True, slots=True)
class Tenant(ById):
    """One tenant. `owner_email` is masked for those who may not see it.

    Activity is over the last hour of data, which ends at `until`; None is unknown, never zero.
    """

    id: str
    name: str
    status: Status
    plan: str
    region: str
    allowed_regions: list[str]
    owner_email: str | None
    metadata: dict[str, Any]
    protected: bool
    version: int
    created_at: datetime
    updated_at: datetime
    suspended_at: datetime | None = None
    suspension_reason: str | None = None
    deleted_at: datetime | None = None
    purge_after: datetime | None = None
    deleted_from: Status | None = None
    erased_at: datetime | None = None
    per_minute: float | None = None
    error_share: float | None = None
    p95_ms: float | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Project:
    tenant_id: str
    id: str
    name: str
    status: Literal["active", "archived"]
    version: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.tenant_id}/{self.id}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an erasure erased: rows per table, and the SHA-256 of its canonical text."""

    tenant_id: str
    erased_at: datetime
    erased_by: str
    request_id: str | None
    counts: dict[str, int]
    sha256: str


class TenantDirectory(Listing[Tenant], Protocol):
    """The capability of a context to list and show tenants."""

    async def certificate(self, tenant_id: str) -> Certificate | None:
        """What was erased; None when nothing was."""
        ...


class ProjectDirectory(Listing[Project], Protocol):
    pass
