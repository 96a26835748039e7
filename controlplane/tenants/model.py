"""Tenants and projects as they are read: plain rows, what can be filtered, what can be sorted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.filters.grammar import Field
from controlplane.listing import Listing

Status = Literal["active", "suspended", "pending_deletion", "erased"]
STATUSES: tuple[Status, ...] = ("active", "suspended", "pending_deletion", "erased")


@dataclass(frozen=True, slots=True)
class Tenant:
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

    @property
    def key(self) -> str:
        return self.id


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


TENANT_FIELDS = (
    Field("id", also=("tenant",)),
    Field("name"),
    Field("status", "choice", STATUSES),
    Field("plan"),
    Field("region", what="the home region"),
    Field("owner", what="the owner's e-mail, as you may see it", also=("owner_email",)),
    Field("protected", "flag"),
    Field("created", "age", what="time since it was created", also=("created_at",)),
    Field("changed", "age", what="time since its last change", also=("updated_at",)),
    Field("req", "number", what="requests per minute over the last hour of data", also=("per_minute",)),
    Field("err", "share", what="share of answers with 5xx over the last hour of data", also=("error_share",)),
    Field("p95", "milliseconds", what="95th percentile of latency over the last hour of data", also=("p95_ms",)),
)
TENANT_SORTS = ("name", "id", "status", "plan", "region", "created", "req", "err", "p95")

PROJECT_FIELDS = (
    Field("id", also=("project",)),
    Field("name"),
    Field("tenant", also=("tenant_id",)),
    Field("status", "choice", ("active", "archived")),
    Field("created", "age", also=("created_at",)),
)
PROJECT_SORTS = ("id", "created")


class TenantDirectory(Listing[Tenant], Protocol):
    """The capability of a context to list and show tenants."""

    async def get(self, tenant_id: str) -> Tenant:
        """Raises NotFound."""
        ...


class ProjectDirectory(Listing[Project], Protocol):
    async def get(self, tenant_id: str, project_id: str) -> Project:
        """Raises NotFound."""
        ...
