"""Time zones by name, as this machine knows them; the home may know others."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from controlplane.errors import Refusal
from controlplane.text import clean


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
