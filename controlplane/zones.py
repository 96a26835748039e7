"""Time zones by name, as this machine knows them (the home may know others), and what their clocks do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from controlplane.errors import Refusal, Usage
from controlplane.text import clean


def a_zone(name: str) -> str:
    """A field of a request: the name as it is. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("not a time zone") from None
    return name


def zone_of(name: str) -> tzinfo:
    """Raises Refusal `zone_unknown`."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise Refusal(
            "zone_unknown", f"This machine knows no time zone {clean(name, 40)}.", "Install its time zones (tzdata)."
        ) from None


def first_showing(local: datetime, zone: tzinfo) -> datetime:
    """When (UTC) clocks in `zone` first show `local`, a time without a zone; of a time that they jump over, the moment
    of that jump.
    """
    at = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == local:
        return at
    # By its rules (PEP 495) a skipped time is read with the offset before the jump, or with fold with the one after it.
    return _change(zone, local.replace(tzinfo=zone, fold=1).astimezone(UTC), at)


def parse_local(text: str) -> tuple[datetime, str]:
    """The UTC time of "2026-03-08 02:30 America/New_York", and what is odd about it: that clocks there never show it,
    or show it twice; "" when nothing is. Raises Usage `time_unreadable`, Refusal `zone_unknown`.
    """
    words, _, name = text.strip().rpartition(" ")
    try:
        local = datetime.fromisoformat(words)
    except ValueError:
        local = None
    if local is None or local.tzinfo is not None or not 1970 < local.year < 3000:
        raise Usage(
            "time_unreadable",
            f'"{clean(text, 60)}" is not a time by the clocks of a zone.',
            "Write 2026-03-08 02:30 America/New_York.",
        )
    zone = zone_of(name)
    at = first_showing(local, zone)
    shows = at.astimezone(zone).replace(tzinfo=None)
    if shows != local:
        return at, f"clocks in {name} never show {local:%H:%M} that day: they jump to {shows:%H:%M}, which is meant"
    again = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return at, f"clocks in {name} show {local:%H:%M} twice that day: the first is meant" if again > at else ""


def stretches(zone: tzinfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The periods from `start` to `end` (UTC) in which clocks in `zone` are ahead of UTC by the same."""
    while start < end:
        offset, stop = _ahead(zone, start), start
        while stop < end and _ahead(zone, step := min(stop + _STEP, end)) == offset:
            stop = step
        if stop < end:
            stop = _change(zone, stop, step)
        yield start, min(stop, end), offset
        start = stop


_STEP = timedelta(days=3)
"""Since 1970 no zone has changed its clocks twice within this: the shortest time between two changes was 6 d 23 h, in
Brazil in 2000.
"""


def _ahead(zone: tzinfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first whole second between the two at which clocks are as they are `after`."""
    low, high = math.floor(before.timestamp()), math.ceil(after.timestamp())
    becomes = _ahead(zone, datetime.fromtimestamp(high, UTC))
    while high - low > 1:
        middle = (low + high) // 2
        if _ahead(zone, datetime.fromtimestamp(middle, UTC)) == becomes:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)
