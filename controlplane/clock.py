"""The home's time, from which ages, windows and judgements are computed, kept without asking for it each time.

This machine's own clock may be a day off. So the home's time is what its server last said, plus the seconds since then
by a monotonic counter, which nobody can set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from controlplane.formatting import age

ALLOWED = timedelta(seconds=2)
"""How far this machine's clock may be off before the console says so."""


def machine_now() -> datetime:
    """This machine's own clock: for its own files and logs, and until a home has answered."""
    return datetime.now(UTC)


class HomeClock:
    """`seconds`: a counter that only goes forward."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._at: datetime | None = None
        self._heard = 0.0
        self._ahead, self._doubt = timedelta(0), timedelta(0)

    def hear(self, at: datetime, asked: float) -> None:
        """Take the time from an answer of the server that came just now; `asked`: the counter when it was asked."""
        heard = self.seconds()
        self._doubt = timedelta(seconds=heard - asked) / 2
        self._at, self._heard = at.astimezone(UTC) + self._doubt, heard
        self._ahead = machine_now() - self._at

    def now(self) -> datetime:
        """The home's time; this machine's until a home has answered."""
        if self._at is None:
            return machine_now()
        return self._at + timedelta(seconds=self.seconds() - self._heard)

    @property
    def off(self) -> str:
        """How far this machine's clock is off the home's, in words; "" when that is within ALLOWED."""
        if abs(self._ahead) - self._doubt <= ALLOWED:
            return ""
        start = datetime.min.replace(tzinfo=UTC)
        off = timedelta(seconds=round(abs(self._ahead).total_seconds()))
        return f"{age(start, start + off)} {'ahead' if self._ahead > timedelta(0) else 'behind'}"
