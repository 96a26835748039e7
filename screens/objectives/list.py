"""The list of objectives: the least budget first, and what is unknown before it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from textual import on

from controlplane.listing import Listing
from controlplane.objectives.lists import as_record
from controlplane.objectives.model import OBJECTIVE_FIELDS, OBJECTIVE_SORTS, Objective, Standing
from controlplane.objectives.rules import rank
from controlplane.objectives.words import budget_words, promise_words, scope_words
from screens.actions import Target, choices
from screens.area import AreaScreen
from screens.lists import ListScreen
from screens.objectives.columns import objective_columns
from screens.widgets.columns import Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable


class ObjectivesScreen(ListScreen[Standing]):
    noun = "objectives"
    rows = Standing
    means = (
        "What was promised, what is left of each error budget, how fast it burns. /state:retired shows those that are."
    )
    fields, sorts, sort = OBJECTIVE_FIELDS, OBJECTIVE_SORTS, "budget"
    empty = "No objective matches. esc clears the filter, a n sets one."
    nothing = "No objectives yet. a n sets one."

    def columns(self) -> Sequence[Column[Standing]]:
        return objective_columns()

    def listing(self) -> Listing[Standing]:
        return self.session.require_plane().objectives

    def target_of(self, row: Standing) -> Target:
        return target_of(row.objective)

    def record_of(self, row: Standing) -> dict[str, Any]:
        return as_record(row)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("objectives", event.row.key)

    def why_lines(self) -> list[Line]:
        row = self.current()
        return [] if row is None else why_objective(row, (), self)


def target_of(objective: Objective) -> Target:
    return Target({"id": objective.id}, objective.version, objective.label)


def why_objective(standing: Standing, rivals: Sequence[Objective], screen: AreaScreen) -> list[Line]:
    """Why it is in this state, which requests it counts, and what can be done."""
    objective = standing.objective
    window = f"{standing.start:%Y-%m-%d %H:%M} to {standing.end:%Y-%m-%d %H:%M} UTC"
    lines: list[Line] = [(f"{objective.label}: {standing.state}", "title")]
    for words in (*standing.why, promise_words(objective), f"window: {window}", *budget_words(standing)):
        lines += wrap(words, 76, subsequent_indent="  ")
    newest = f"{standing.newest:%Y-%m-%d %H:%M:%S} UTC" if standing.newest else "none is known"
    lines += [f"newest request that is counted: {newest}", ""]
    lines.append(("which requests it counts", "title"))
    lines += wrap(
        "A request counts for the most specific objective of a name: a tenant's route, a tenant, a plan, a route, all.",
        76,
    )
    for each in sorted(rivals, key=rank, reverse=True):
        mine = each.id == objective.id
        lines.append((f"{'›' if mine else ' '} {scope_words(each)}", "" if mine else "muted"))
    lines += ["", ("what can be done", "title")]
    for operation, why_not in choices(screen.operations(), screen.session, screen.current()):
        lines.append((f"  {operation.verb}: {why_not or 'yes'}", "muted" if why_not else ""))
    return lines
