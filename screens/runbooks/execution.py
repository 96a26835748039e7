"""One execution of a runbook: its steps, and the page of the step under the cursor. One page is drawn at a time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from textual import on

from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.runbooks.list import STEPS
from controlplane.runbooks.model import Execution, ExecutionDirectory, StepRow, Whole
from controlplane.runbooks.words import execution_lines, step_lines, step_page
from screens.desk import Target
from screens.detail import DetailScreen, Related
from screens.panes import Facts, Seen, TablePane, timeline
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane
    from controlplane.operations import Operation

SHOWN = ("place", "name", "state", "by", "took")


@dataclass(frozen=True)
class Shown:
    """`place`: the step whose page is shown."""

    whole: Whole
    place: int


def page(seen: Seen[Shown]) -> list[Line]:
    whole = seen.thing.whole
    return [*step_page(whole, seen.thing.place, seen.now), "", *execution_lines(whole.execution, seen.now)]


RUNBOOK = Related(
    "runbook", "T", "its runbook", "runbook", "runbooks", of=lambda screen: screen.row and screen.row.runbook
)


class ExecutionScreen(DetailScreen[Shown]):
    noun = "executions"
    numbered = True
    rows = Execution
    means = "One execution: its steps, who has which, and the results. a, then d, does the step under the cursor."
    panes = (
        TablePane(
            "steps",
            STEPS,
            tuple(column for column in STEPS.table if column.name in SHOWN),
            lambda key: Query((Term("is", (key,), "execution"),), "place"),
            "It has no steps.",
        ),
        Facts("step", page),
        dataclasses.replace(
            timeline("thing"),
            query=lambda key: Query((Term("is", (key,), "execution"),), "at", True),
        ),
    )
    grid, widths, heights = ("steps step", "timeline step"), "1fr 1fr", "3fr 1fr"
    related = (RUNBOOK,)
    own_hints = (("enter", "read the step"), ("a d", "do it"))

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self._placed = False

    async def read(self, plane: ControlPlane) -> Shown:
        whole = await plane.of(ExecutionDirectory).whole(int(self.thing_id))
        row = self._under_cursor()
        return Shown(whole, self.thing.place if row is None and self.thing else row.place if row else 1)

    def row_of(self, thing: Shown) -> Execution:
        return thing.whole.execution

    def record_of(self, thing: Shown) -> dict[str, Any]:
        return dataclasses.asdict(thing.whole.execution) | {
            "step_list": list(map(dataclasses.asdict, thing.whole.steps))
        }

    @property
    def label(self) -> str:
        return f"execution {self.thing_id}"

    def _under_cursor(self) -> StepRow | None:
        row: StepRow | None = self.query_one("#steps", WindowTable).cursor_row
        return row

    @on(WindowTable.Highlighted, "#steps")
    def _other_step(self) -> None:
        row = self._under_cursor()
        if self.thing is not None and row is not None and row.place != self.thing.place:
            self.thing = replace(self.thing, place=row.place)
            self.query_one("#step", Lines).action_edge(-1)
            self.draw_panes()

    @on(WindowTable.Loaded, "#steps")
    def _begin_at_next(self) -> None:
        """The first time, the cursor goes to the step that comes next."""
        if not self._placed and self.thing is not None:
            self._placed = True
            self.query_one("#steps", WindowTable).action_move((self.row.at or 1) - 1)

    def on_window_table_opened(self, event: WindowTable.Opened) -> None:
        """Enter on a step reads its page; on a row of the trail it describes it."""
        if event.table.id == "steps":
            event.stop()
            event.prevent_default()
            self._choose("step")
            self.draw_frame()

    # What is done: to the step under the cursor, and to the execution

    def current(self) -> Any:
        pane, row = self.chosen_row()
        return row if pane is not None and pane.name != "steps" else self._under_cursor()

    def targets(self) -> list[Target]:
        row = self._under_cursor()
        fields = {"id": int(self.thing_id)} | ({} if row is None else {"execution": row.execution, "place": row.place})
        label = self.label if row is None else f"step {row.place} of {self.thing_id}"
        return [Target(fields, None, label, row)]

    def operations(self) -> list[Operation[Any]]:
        from controlplane.registry import done_on

        stopped = self.thing is not None and self.row.stopped_at is not None
        of_execution = [each for each in done_on(Execution) if each.verb == ("resume" if stopped else "stop")]
        return sorted([*done_on(StepRow), *of_execution], key=lambda each: each.name)

    def why(self, seen: Seen[Shown]) -> list[Line]:
        return [*execution_lines(seen.thing.whole.execution, seen.now), "",
                *step_lines(seen.thing.whole.step(seen.thing.place), seen.now)]  # fmt: skip
