"""Times, durations and numbers as a person reads and types them. The clock is always given, never asked.

All datetimes are aware. What is not known (None, NaN) is shown as "–", never as 0.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

from controlplane.errors import Usage
from controlplane.text import UNKNOWN, clean
from controlplane.zones import first_showing, zone_of

Form = Literal["age", "utc", "local", "zone"]

_UNITS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
    "y": Decimal(31_536_000),
}
_MAX_SECONDS = 1000 * _UNITS["y"]  # so that a time minus a duration is still a valid time
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,12})?)(ms|[smhdwy])")
_DURATION = re.compile(rf"(?:{_PART.pattern} ?)+")


def exact_duration(text: str) -> Decimal:
    """Seconds in "15m", "7d", "1.5h", "250ms", "1h 30m" (a year is 365 days). Usage `duration_unreadable`."""
    shown = clean(text, 40)
    if not _DURATION.fullmatch(text):
        raise Usage("duration_unreadable", f'"{shown}" is not a duration.', "Write 250ms, 15m, 1.5h, 7d, 2w or 1y.")
    seconds = sum((Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Decimal(0))
    if seconds > _MAX_SECONDS:
        raise Usage("duration_unreadable", f'"{shown}" is too long.', "A duration is at most 1000y.")
    return seconds


def parse_duration(text: str) -> float:
    """Seconds; see `exact_duration`."""
    return float(exact_duration(text))


def as_seconds(value: object) -> object:
    """ "5m" as 300, for a field that takes a duration or whole seconds. Raises ValueError, as validators do."""
    if not isinstance(value, str) or value.isdigit():
        return value
    try:
        return int(parse_duration(value))
    except Usage as fault:
        raise ValueError(f"{fault.message} {fault.hint}".strip()) from None


FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Every request lies between them; and a month before the first or after the last is still a valid time."""


def parse_time(text: str) -> datetime:
    """A time in UTC, as "2026-11-21" or "2026-11-21T05:00+01:00"; without a zone it is UTC. Usage `time_unreadable`."""
    hint = "Write 2026-11-21 or 2026-11-21T05:00, in UTC unless it names a zone."
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Usage("time_unreadable", f'"{clean(text, 40)}" is not a time.', hint) from None
    if not FIRST <= at < LAST:
        raise Usage("time_unreadable", f'"{clean(text, 40)}" is not between {FIRST.year} and {LAST.year}.', hint)
    return at


def parse_moment(text: str, now: datetime) -> datetime:
    """A time in UTC: "now", "2h" (from now), what `parse_time` reads, or a time and a zone: "2026-03-08 02:30
    America/New_York". Of a time that the zone's clocks show twice, the first. Raises Usage; Refusal `zone_unknown`.
    """
    text = text.strip()
    if text == "now":
        return now
    if _DURATION.fullmatch(text):
        return now + timedelta(seconds=parse_duration(text))
    clock, _, zone = text.rpartition(" ")
    if not clock or not zone[:1].isalpha():
        return parse_time(text)
    shown = parse_time(clock).replace(tzinfo=None)
    return first_showing(shown, zone_of(zone))


def spell(seconds: float | None) -> str:
    """A duration by its two largest units, cut rather than rounded: "14m 32s", "30d", "250ms"."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if abs(seconds) < 1:
        return f"{int(seconds * 1000)}ms" if seconds else "0s"
    sign, rest, parts = "-" if seconds < 0 else "", int(abs(seconds)), []
    for unit in ("y", "d", "h", "m", "s"):
        size = int(_UNITS[unit])
        parts.append((rest // size, unit))
        rest %= size
    first = next(place for place, (number, _) in enumerate(parts) if number)
    return sign + " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number)


def age(at: datetime | None, now: datetime) -> str:
    """Time since `at` by its largest unit: "42s", "12m", "3h", "5d", "9y"; in the future: "in 29d"."""
    if at is None:
        return UNKNOWN
    number, unit = _largest(at, now)
    return f"in {number}{unit}" if at > now and number else f"{number}{unit}"


def relative(at: datetime | None, now: datetime) -> str:
    """ "3 h ago", "in 29 d", "now"."""
    if at is None:
        return UNKNOWN
    number, unit = _largest(at, now)
    if not number:
        return "now"
    return f"in {number} {unit}" if at > now else f"{number} {unit} ago"


def show(at: datetime | None, now: datetime, form: Form = "age", zone: tzinfo | None = None) -> str:
    """`at` in one of the forms that the key `t` goes through.

    utc: 2026-11-21 05:33:12Z. local (this machine's zone) and zone (the tenant's; UTC where it has none):
    2026-11-21 06:33:12+01:00.
    """
    if at is None:
        return UNKNOWN
    if form == "age":
        return age(at, now)
    try:
        here = at.astimezone(None if form == "local" else zone if form == "zone" and zone else UTC)
    except OverflowError:  # 9999-12-31, often written for "never", overflows in zones east of UTC
        here = at.astimezone(UTC)
    shown = here.isoformat(" ", "seconds")
    return shown.removesuffix("+00:00") + "Z" if here.tzinfo is UTC else shown


def count(number: float | None) -> str:
    """ "1,204"."""
    return UNKNOWN if number is None or not math.isfinite(number) else f"{number:,.0f}"


def count_words(number: int, noun: str) -> str:
    """ "1 alert", "1,204 alerts"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain_number(number: float | None) -> str:
    """Six of its digits, without the powers of ten of `:g`: "0.0041", "1,500", "1,250,000"."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    return f"{number:,.6g}" if abs(number) < 1e6 else f"{number:,.0f}"


def rate(number: float | None) -> str:
    """A number per time: "1,204", "3.4", "<0.1". "0" means exactly 0."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    if 0 < number < 0.1:
        return "<0.1"
    return f"{number:.1f}" if 0 < number < 10 else f"{number:,.0f}"


def percent(share: float | None) -> str:
    """A share as per cent, without the sign: 0.0041 is "0.41". "0.00" and "100.00" mean exactly 0 and 1."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    shown = f"{share * 100:.2f}"
    if shown == "0.00" and share > 0:
        return "<0.01"
    return ">99.99" if shown == "100.00" and share < 1 else shown


def milliseconds(number: float | None) -> str:
    """ "3.2ms", "212ms", "1.2s", "75s"."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    value, unit = (number, "ms") if number < 999.5 else (number / 1000, "s")
    return f"{value:.1f}{unit}" if 0 < value < 9.95 else f"{value:.0f}{unit}"


def _largest(at: datetime, now: datetime) -> tuple[int, str]:
    seconds = int(abs((now - at).total_seconds()))
    for unit in ("y", "d", "h", "m"):
        if seconds >= _UNITS[unit]:
            return seconds // int(_UNITS[unit]), unit
    return seconds, "s"
