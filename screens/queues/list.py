"""The list of causes: what waits in each source, and what is done to all messages of a cause at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import work
from textual.containers import Vertical
from textual.widget import Widget

from controlplane.errors import Refusal
from controlplane.lists import Line
from controlplane.queues.list import CAUSES
from controlplane.queues.model import Cause, CauseDirectory, SourceStats
from controlplane.queues.source_words import source_lines
from controlplane.queues.sources import OutsideCause, SourceDirectory
from controlplane.queues.words import ready_lines, source_words
from screens.desk import Done, Target
from screens.lists import ListScreen
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.operations import Operation

STATES = {"queues.release": "quarantined", "queues.discard": "dead,quarantined"}
"""Of which state the messages of a cause are that an operation is done to; of the others those that are dead, so that
poison is left out.
"""


OUTSIDE = ("messages.replay", "messages.discard")
"""What is done to the messages of a cause outside the home."""


class SourceLines(Lines, can_focus=False):
    """The sources outside the home, a line for each; nothing where the settings name none."""

    DEFAULT_CSS = "SourceLines { height: auto; display: none; padding: 0 1; }"

    def tell(self, lines: Sequence[Line]) -> None:
        self.show(lines)
        self.display, self.styles.height = bool(lines), len(lines)


class QueuesScreen(ListScreen[Cause]):
    declared = CAUSES

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.sources: Sequence[SourceStats] = ()

    def body(self) -> Widget:
        return Vertical(SourceLines(folds=False), super().body())

    def count_rows(self) -> None:
        super().count_rows()
        self._read_sources()

    @work(exit_on_error=False, group="sources", exclusive=True)
    async def _read_sources(self) -> None:
        plane = self.session.require_plane()
        ready = 0
        try:
            self.sources = await plane.of(CauseDirectory).sources()
            ready = await plane.of(CauseDirectory).ready()
        except Refusal:
            self.sources = ()
        self.draw_frame()
        rows = await plane.of(SourceDirectory).lines()
        for lines in self.query(SourceLines):  # none, when the screen was left meanwhile
            lines.tell([*ready_lines(ready), *source_lines(rows, self.session.clock())])

    def draw_title(self, title: TitleLine) -> None:
        super().draw_title(title)
        if self.sources and not (self.filter_text or self.fault or self.choosing_sort or self.table.marks):
            now = self.session.clock()
            title.show(noun=self.noun, count=" · ".join(source_words(each, now) for each in self.sources))

    def operations(self) -> list[Any]:
        if self.query(WindowTable) and isinstance(self.current(), OutsideCause):
            from controlplane.registry import named

            return [named(name) for name in OUTSIDE]
        return super().operations()

    async def _act(self, operation: Operation[Any], targets: list[Target]) -> None:
        """What is done to messages is done to all of the marked causes."""
        if operation.on is None or issubclass(Cause, operation.on.row):
            await super()._act(operation, targets)
            return
        away = {each.row.source for each in targets if isinstance(each.row, OutsideCause)}
        if (operation.name in OUTSIDE) != all(isinstance(each.row, OutsideCause) for each in targets) or len(away) > 1:
            self.say(Done("mark causes of this home, or of one source: those of others go by themselves", "warn"))
            return
        from screens.bulk import carry_out_matching

        named = ",".join(str(each.subject["id"]) for each in targets)
        what = "the messages of " + (targets[0].label if len(targets) == 1 else f"{len(targets)} causes")
        among = f"source:{away.pop()}" if away else f"state:{STATES.get(operation.name, 'dead')}"
        text = f"cause:{named} {among}"
        done = await carry_out_matching(self.app, self.session, operation, text, what)
        self.say(done)
        if done is not None and done.tone == "good":
            self.clear_marks()
        await self.read_again()
