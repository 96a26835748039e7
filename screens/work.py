"""One long work of this console: how far it is, how fast it goes, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["running", "done", "failed", "stopped"]
BAR_CELLS = 20


@dataclass
class Work:
    """One long work of this console. `done` counts `unit`; `share` (0 to 1) is None when the end is not known.

    Whoever does the work writes the numbers, also from a thread; the screen only reads them.
    """

    title: str
    unit: str = "rows"
    done: int = 0
    share: float | None = None
    state: State = "running"
    words: str = ""
    stop: Callable[[], None] | None = None
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    ended: float | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        return max((self.ended or self.clock()) - self.started, 1e-6)

    def end(self, state: State, words: str) -> None:
        self.state, self.words, self.ended, self.stop = state, words, self.clock(), None

    def brief(self) -> str:
        """For the header, while it runs."""
        return f"{self.title.split(' ')[0]} {self.share:.0%}" if self.share is not None else self.title.split(" ")[0]

    def progress(self) -> str:
        """Bar, count, rate, time left; none of it is guessed where the end is not known."""
        counted = f"{self.done:,} {self.unit}, {self.done / self.seconds:,.0f}/s"
        if self.state != "running":
            return f"{counted}, {self.seconds:,.0f} s"
        if not self.share:
            return f"{counted}, {self.seconds:,.0f} s so far"
        full = int(min(self.share, 1.0) * BAR_CELLS)
        left = self.seconds * (1 - self.share) / self.share
        return f"{'█' * full}{'▁' * (BAR_CELLS - full)} {self.share:4.0%}  {counted}, {left:,.0f} s left"
