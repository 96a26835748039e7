"""When a quota's period began: hours, days and months in the tenant's zone. The home has the same rule in SQL
(wf.period_start); a test compares the two.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from controlplane.zones import zone_of


def began(period: str, at: datetime, zone: str) -> datetime:
    """When the period that `at` is in began, in the zone of `at`."""
    local = at.astimezone(zone_of(zone))
    if period != "hour":  # of two midnights the first counts; of a skipped one, the time that the clock jumps to
        day = local.date() if period == "day" else local.date().replace(day=1)
        return datetime.combine(day, time(), local.tzinfo).astimezone(at.tzinfo)
    start = at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    # When the clock was moved by half an hour since then, a new hour began at that moment.
    return start if start.astimezone(local.tzinfo).minute == 0 else start + timedelta(minutes=30)
