"""Quiet windows in words: how long one really is on a night when the clocks change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache

from controlplane.formatting import spell
from controlplane.routes.policy import QuietWindow
from controlplane.weekly import DAY
from controlplane.zones import zone_of

AHEAD = 366
"""Days that `odd_days` looks ahead."""


def in_window(windows: Sequence[QuietWindow], at: datetime) -> tuple[QuietWindow, date] | None:
    """The first window that `at` is in, and the day on which that began."""
    for window in windows:
        if day := window.hours.day_of(at, zone_of(window.timezone)):
            return window, day
    return None


def odd_days(window: QuietWindow, start: date, days: int = AHEAD) -> Iterator[tuple[date, str]]:
    """The days from `start` on which it is longer or shorter than usual, in words: to be said before it is saved."""
    for number in range(days):
        day = start + number * DAY
        if words := odd(window, day):
            yield day, words


def odd_today(windows: Sequence[QuietWindow], at: datetime) -> str:
    """What is odd about any window that begins on the day of `at`: one that does not happen is said too."""
    days = ((window, at.astimezone(zone_of(window.timezone)).date()) for window in windows)
    return "; ".join(words(window, day) for window, day in days if odd(window, day))


@lru_cache(maxsize=4096)
def odd(window: QuietWindow, day: date) -> str:
    """How long the window that begins on `day` really is, where the clocks make it longer or shorter; else "" ."""
    hours = window.hours
    if day.weekday() not in hours.days:
        return ""
    minutes = hours.length(day, zone_of(window.timezone)).total_seconds() / 60
    if minutes == hours.minutes:
        return ""
    change = "forward" if minutes < hours.minutes else "back"
    return f"on {day:%Y-%m-%d} it lasts {minutes:g} minutes, not {hours.minutes}, for the clocks go {change}"


def words(window: QuietWindow, day: date) -> str:
    """ "22:00–06:00 Europe/Berlin, 8h", and what is odd about that day."""
    length = spell(window.hours.minutes * 60)
    shown = f"{window.start}–{window.end} {window.timezone}, {length}"
    return f"{shown}; {extra}" if (extra := odd(window, day)) else shown
