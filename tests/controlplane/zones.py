"""Zones whose clocks change, and when they do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from controlplane.zones import stretches

ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
"""The last by half an hour."""
FROM, UNTIL = datetime(1970, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)


@cache
def changes(name: str) -> list[tuple[datetime, timedelta]]:
    """Every change of the clocks: when (UTC), and by how much they go forward; back when it is negative."""
    found = stretches(ZoneInfo(name), FROM, UNTIL)
    return [(after[0], after[2] - before[2]) for before, after in pairwise(found)]


def all_changes() -> Iterator[tuple[str, datetime, timedelta]]:
    for name in ZONES:
        for at, by in changes(name):
            yield name, at, by


def shown(at: datetime, name: str) -> datetime:
    """What clocks show, without a zone."""
    return at.astimezone(ZoneInfo(name)).replace(tzinfo=None, fold=0)
