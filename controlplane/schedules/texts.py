"""Hours and shifts of a rotation as people write them. It loads no model, so lists can show them."""

from __future__ import annotations

import re
from typing import Any

from controlplane.errors import Usage
from controlplane.formatting import parse_duration
from controlplane.schedules.model import MAX_SHIFT
from controlplane.text import clean
from controlplane.weekly import MINUTES_A_DAY, Hours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([a-z+-]{3,40}) +([0-9]{1,2}):([0-9]{2}) *- *([0-9]{1,2}):([0-9]{2})")


def hours_of(text: str) -> Hours:
    """ "mon-fri 09:00-17:00", "sat+sun 22:00-06:00" (until the next day), "sat-sun" (whole days). Raises ValueError."""
    wrong = ValueError(f"{clean(text, 40)} is no hours of the week: write mon-fri 09:00-17:00 or sat+sun 10:00-24:00")
    found = _HOURS.fullmatch(text.strip().lower() if " " in text.strip() else f"{text.strip().lower()} 00:00-24:00")
    if found is None:
        raise wrong
    times = [int(found[n]) * 60 + int(found[n + 1]) for n in (2, 4)]
    if times[0] >= MINUTES_A_DAY or times[1] > MINUTES_A_DAY or int(found[3]) > 59 or int(found[5]) > 59:
        raise wrong
    days: set[int] = set()
    for part in found[1].split("+"):
        first, *last = part.split("-")
        if len(last) > 1 or not {first, *last} <= {*DAYS}:
            raise wrong
        begin, end = DAYS.index(first), DAYS.index((last or [first])[0])
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return Hours(frozenset(days), times[0], times[1])


def hours_text(hours: Hours) -> str:
    """As `hours_of` reads it."""
    begin, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (hours.start, hours.end))
    days = "+".join(DAYS[day] for day in sorted(hours.days))
    for first in range(7):
        run = [(first + n) % 7 for n in range(len(hours.days))]
        if len(run) > 2 and {*run} == hours.days:
            days = f"{DAYS[run[0]]}-{DAYS[run[-1]]}"
            break
    return f"{days} {begin}-{end}"


def shift_of(value: Any) -> int:
    """Whole hours, from "1w", "12h" or a number of hours. Raises ValueError."""
    try:
        hours = value if isinstance(value, int) else parse_duration(str(value)) / 3600
    except Usage as fault:
        raise ValueError(f"{fault.message} {fault.hint}") from None
    if not 1 <= hours <= MAX_SHIFT or hours != int(hours):
        raise ValueError(f"a shift is 1 to {MAX_SHIFT:,} whole hours: 12h, 1d, 1w")
    return int(hours)


def shift_text(hours: int) -> str:
    unit, size = next((unit, size) for unit, size in (("w", 168), ("d", 24), ("h", 1)) if hours % size == 0)
    return f"{hours // size}{unit}"
