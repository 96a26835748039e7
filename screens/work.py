"""Long work: it goes on when its screen is left, and is found again here with its rate and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from textual.widget import Widget

from controlplane.lists import Line
from screens.actions import Done
from screens.area import AreaScreen
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Lines

State = Literal["running", "done", "failed", "stopped"]
BAR_CELLS = 20
TONES: dict[State, str] = {"running": "", "done": "good", "failed": "bad", "stopped": "warn"}
GLYPHS: dict[State, str] = {"running": "›", "done": "●", "failed": "✕", "stopped": "◌"}


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


def work_lines(works: Iterable[Work]) -> list[Line]:
    """The newest first, each with its progress and, when it ended, what came of it."""
    lines: list[Line] = []
    for work in reversed(list(works)):
        lines += [(f"{GLYPHS[work.state]} {work.title}: {work.state}", TONES[work.state] or "title")]
        lines += [f"  {work.progress()}"]
        lines += [f"  {line}" for line in work.words.splitlines()] + [""]
    return lines[:-1]


class WorkScreen(AreaScreen):
    noun = "work"
    means = "Imports, exports and other long work of this console. It goes on when this screen is left."
    hints = (("esc", "back"), ("ctrl+c", "stop the newest"), (":", "command"), ("?", "help"))

    def body(self) -> Widget:
        return Lines()

    def on_mount(self) -> None:
        self.set_interval(1.0, self.draw_frame)
        self.focus_body()
        self.draw_frame()

    async def refresh_data(self) -> None:
        self.draw_frame()

    def draw_title(self, title: TitleLine) -> None:
        works = self.session.works
        running = sum(work.state == "running" for work in works)
        title.show(noun="long work", count=f"{running} running of {len(works)}")
        nothing: list[Line] = ["Nothing yet. An import or an export shows its progress here."]
        self.query_one(Lines).show(work_lines(works) or nothing)

    def interrupt(self) -> bool:
        """Stop the newest work that runs; what it stored up to there stays."""
        running = [work for work in self.session.works if work.stop is not None]
        if not running or running[-1].stop is None:
            return False
        running[-1].stop()
        self.say(Done(f"stopping: {running[-1].title}", "warn"))
        return True
