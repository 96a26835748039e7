"""When a quota's period began: hours, days and months of the tenant's zone. The home has the same rule in SQL
(wf.period_start); a test compares the two.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from controlplane.zones import zone_of


def began(period: str, at: datetime, zone: str) -> datetime:
    """The beginning of the period of a time, in that time's own zone."""
    local = at.astimezone(zone_of(zone))
    if period != "hour":  # a midnight that is twice is the first one, one that is skipped is where the clock goes on
        day = local.date() if period == "day" else local.date().replace(day=1)
        return datetime.combine(day, time(), local.tzinfo).astimezone(at.tzinfo)
    start = at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    # A clock that was put forward or back by half an hour since then began a new hour.
    return start if start.astimezone(local.tzinfo).minute == 0 else start + timedelta(minutes=30)
