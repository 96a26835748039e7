"""One request as it is stored, and what is read of the newest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from controlplane.filters.grammar import Term, threshold
from controlplane.listing import ById, Listing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredRequest(ById):
    """`id` names its time and its place in the table. `latency_ms` None: the log has none. `address`: masked for those
    who may not read it.
    """

    id: str
    at: datetime
    tenant_id: str
    route: str
    method: str
    status: int
    latency_ms: float | None
    bytes: int | None
    key_prefix: str | None
    key_id: str | None
    address: str | None
    region: str | None
    project_id: str | None
    request_id: str | None


@dataclass(frozen=True)
class Fresh:
    """Requests, the oldest first, and up to where was read: `mark` is what the next reading goes on from.

    `found`: how many there were; more than `rows`, when only the newest were asked for.
    """

    rows: Sequence[StoredRequest]
    mark: str
    found: int
    as_of: datetime


class RequestDirectory(Listing[StoredRequest], Protocol):
    async def newest(self, terms: Sequence[Term], limit: int) -> Fresh:
        """The last requests that match; older ones are not counted."""
        ...

    async def after(self, mark: str, terms: Sequence[Term], limit: int) -> Fresh:
        """What was stored since a mark: each request once, whatever its time and however long its transaction took."""
        ...

    async def kept_from(self) -> datetime | None:
        """Requests before this time were removed; None: none were yet."""
        ...


def time_of(id: str) -> datetime | None:
    """The time in a request's id; None when it is not one."""
    micros = id.partition("-")[0]
    if not (micros.isascii() and micros.isdigit() and len(micros) <= 16):
        return None
    return EPOCH + timedelta(microseconds=int(micros))


def bounds(terms: Sequence[Term], now: datetime) -> tuple[datetime | None, datetime | None]:
    """Between which times all that matches is; None: without a bound on that side."""
    lower: datetime | None = None
    upper: datetime | None = None
    for term in terms:
        if term.field != "at":
            continue
        edge = threshold(term, now)
        if (term.operator == "below") is not term.negated:
            lower = edge if lower is None else max(lower, edge)
        else:
            upper = edge if upper is None else min(upper, edge)
    return lower, upper
