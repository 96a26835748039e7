"""One gate in one environment: why it is closed, what must change, its checks, and what it decided before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual import on

from controlplane.audit.list import AUDIT
from controlplane.filters.grammar import Term
from controlplane.gates.list import CHECKS, DECISIONS, gate_record
from controlplane.gates.model import GateRow, RunDirectory
from controlplane.gates.standing import flaky
from controlplane.gates.words import why_lines
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.text import clean
from screens.detail import Also, DetailScreen
from screens.panes import Facts, Reading, Seen, TablePane
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.changes import ControlPlane

LAST_RUNS = 10


async def read_history(plane: ControlPlane, row: GateRow, now: datetime) -> Sequence[Mapping[str, str]]:
    return await plane.of(RunDirectory).history(row.gate, row.environment, LAST_RUNS)


HISTORY = Reading(read_history, every=15.0)


def why_pane(seen: Seen[GateRow]) -> list[Line]:
    lines = why_lines(seen.thing, seen.now)
    names = flaky(seen.known(HISTORY) or ())
    if names:
        words = f"flaky: {', '.join(names)} went back and forth in the last {LAST_RUNS} runs"
        lines[1:1] = [(clean(words, 300), "warn")]
    return lines


def runs_of(key: str) -> Query:
    gate, _, environment = key.partition("/")
    return Query((Term("is", (gate,), "gate"), Term("is", (environment,), "environment")), "started", True)


def changes_of(key: str) -> Query:
    return Query((Term("is", (key.partition("/")[0],), "thing"), Term("is", ("gates",), "noun")), "at", True)


def place_of(screen: Any) -> dict[str, Any]:
    """The fields that name the gate and where: of one that was never run, the environment of the console."""
    gate, _, environment = screen.thing_id.partition("/")
    return {"gate": gate, "environment": environment or screen.session.environment}


class GateScreen(DetailScreen[GateRow]):
    noun = "gates"
    subject = "key"
    rows = GateRow
    means = "One gate: why it is closed, what must change to open it, its checks, and what it decided before."
    panes = (
        Facts("why", why_pane),
        TablePane("checks", CHECKS, CHECKS.table, lambda key: Query((Term("is", (key,), "of"),)), "It has no checks."),
        TablePane("history", DECISIONS, DECISIONS.table, runs_of, "It was never run there."),
        TablePane("timeline", AUDIT, AUDIT.table, changes_of, "Nothing was done to it yet."),
    )
    grid, widths, heights = ("why checks", "why history", "why timeline"), "2fr 3fr", "2fr 1fr 1fr"
    readings = (HISTORY,)
    also = (
        Also("gates.run", place_of),
        Also("gates.answer", place_of),
        Also("gates.schedule", place_of),
        Also("gates.unschedule", place_of),
        Also("gates.retire", place_of),
    )

    def record_of(self, thing: GateRow) -> dict[str, Any]:
        return gate_record(thing)

    @property
    def label(self) -> str:
        return self.thing_id.rstrip("/")

    def why(self, seen: Seen[GateRow]) -> list[Line]:
        return why_pane(seen)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        pane, row = self.chosen_row()
        if pane is not None and pane.name == "history" and row is not None:
            self.desk.open_thing("decisions", row.key)
        else:
            self.action_describe()
