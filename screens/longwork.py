"""Long work: it goes on when its screen is left, and is found again here with its rate and the time left."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from controlplane.lists import Line
from screens.area import AreaScreen
from screens.desk import Done
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Lines
from screens.work import State, Work

TONES: dict[State, str] = {"running": "", "done": "good", "failed": "bad", "stopped": "warn"}
GLYPHS: dict[State, str] = {"running": "›", "done": "●", "failed": "✕", "stopped": "◌"}


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
    means = "Imports, exports and other long work of this console. It continues when you leave this screen."
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
