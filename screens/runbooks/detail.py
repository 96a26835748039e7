"""One runbook: what its steps are, and its executions."""

from __future__ import annotations

from typing import Any

from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.runbooks.list import EXECUTIONS, runbook_record
from controlplane.runbooks.model import RunbookRow
from controlplane.runbooks.words import runbook_lines
from screens.detail import Also, DetailScreen
from screens.panes import Facts, Seen, TablePane
from screens.widgets.table import WindowTable

SHOWN = ("id", "state", "done", "started", "by", "drill")


class RunbookScreen(DetailScreen[RunbookRow]):
    noun = "runbooks"
    subject = "name"
    rows = RunbookRow
    means = "One runbook: its steps, and its executions. a, then r, begins one; enter on an execution opens it."
    panes = (
        Facts("runbook", lambda seen: runbook_lines(seen.thing, seen.now)),
        TablePane(
            "executions",
            EXECUTIONS,
            tuple(column for column in EXECUTIONS.table if column.name in SHOWN),
            lambda key: Query((Term("is", (key,), "runbook"),), "started", True),
            "It was never run. Press a, then r.",
        ),
    )
    grid, widths = ("runbook executions",), "3fr 2fr"
    also = (Also("runbooks.run", lambda screen: {"name": screen.thing_id}),)

    def record_of(self, thing: RunbookRow) -> dict[str, Any]:
        return runbook_record(thing)

    def why(self, seen: Seen[RunbookRow]) -> list[Line]:
        return runbook_lines(seen.thing, seen.now)

    def on_window_table_opened(self, event: WindowTable.Opened) -> None:
        event.stop()
        event.prevent_default()
        self.desk.open_thing("executions", event.row.key)
