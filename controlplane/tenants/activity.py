"""A tenant's activity in words: old numbers are marked as old, unknown ones are shown as unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from controlplane.formatting import milliseconds, percent, rate
from controlplane.tenants.model import Tenant

STALE_AFTER = timedelta(minutes=10)
"""Numbers whose hour ended longer ago than this are marked as old."""
STALE_MARK = "~"


class Activity(NamedTuple):
    """Requests per minute, share of 5xx in per cent, p95: over the last hour of data. `stale`: they are old."""

    requests: str
    errors: str
    p95: str
    stale: bool


def activity(tenant: Tenant, now: datetime) -> Activity:
    stale = tenant.until is not None and now - tenant.until > STALE_AFTER
    known = (
        (tenant.per_minute, rate(tenant.per_minute)),
        (tenant.error_share, percent(tenant.error_share)),
        (tenant.p95_ms, milliseconds(tenant.p95_ms)),
    )
    words = [STALE_MARK + text if stale and value is not None else text for value, text in known]
    return Activity(words[0], words[1], words[2], stale)
