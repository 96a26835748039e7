"""One objective: its budget and windows, its burn-down, who burned it, and all that was done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from controlplane.errors import Refusal
from controlplane.formatting import count
from controlplane.lists import Line, status_cell
from controlplane.objectives import checks, rules
from controlplane.objectives.list import STATUSES, as_record, why_of
from controlplane.objectives.model import (
    Attribution,
    Episode,
    Maintenance,
    Objective,
    ObjectiveDirectory,
    Share,
    Slice,
    Standing,
)
from controlplane.objectives.words import (
    VERDICT_TITLES,
    budget_words,
    empties_words,
    episode_words,
    fired_words,
    history_words,
    left_words,
    maintenance_words,
    promise_words,
    target_words,
    verdict_cells,
    verdict_word,
)
from controlplane.telemetry.charts import ChartSpec
from controlplane.text import UNKNOWN, fit
from screens.detail import Also, DetailScreen
from screens.objectives.chart import burn_down_chart
from screens.panes import ChartPane, Facts, Reading, Seen, timeline
from screens.widgets.lines import Lines

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

VERDICT_WIDTHS = (6, 6, 5, 6, 6, 9, 7)
FURTHEST = timedelta(days=90)
"""The longest window that `+` can ask about."""


@dataclass(frozen=True, eq=False)
class History:
    """The slices that the budget is computed from, as of when, and who burned it."""

    slices: tuple[Slice, ...]
    planned: tuple[Maintenance, ...]
    rivals: tuple[Objective, ...]
    spent: Attribution
    as_of: datetime


@dataclass(frozen=True)
class Question:
    """What if it were another, over this history."""

    objective: Objective
    other: Objective
    history: History


@dataclass(frozen=True)
class Answer:
    """How the other would stand, and what each would have fired."""

    other: Standing
    was: tuple[Episode, ...]
    would: tuple[Episode, ...]


@dataclass(frozen=True)
class Asked:
    """How an objective stands, and the one that is asked about with `+` and `-`.

    `answer`: what was found about that one last, or the Refusal that it met, to which `question`.
    """

    standing: Standing
    other: Objective | None = None
    question: Question | None = None
    answer: Answer | Refusal | None = None

    def answered(self) -> Answer | None:
        """None: it is not known yet. Raises the Refusal that it met."""
        if isinstance(self.answer, Refusal):
            raise self.answer
        return self.answer


async def read_history(plane: ControlPlane, asked: Asked, now: datetime) -> History:
    directory, standing = plane.of(ObjectiveDirectory), asked.standing
    return History(
        await directory.history(standing.objective.id, min(standing.start, standing.as_of - FURTHEST)),
        await directory.maintenance(standing),
        await directory.rivals(standing.objective.name),
        await directory.attribution(standing),
        standing.as_of,
    )


def answer_of(question: Question) -> Answer | Refusal:
    """It goes through all that is stored: half a second, or more."""
    slices, as_of = question.history.slices, question.history.as_of
    try:
        _, was = rules.replayed(question.objective, slices, as_of)
        other, would = rules.replayed(question.other, slices, as_of)
        return Answer(other, was, would)
    except Refusal as refusal:
        return refusal


HISTORY = Reading(read_history, every=30.0)
"""Read less often than the standing, because it costs more."""


def budget_pane(seen: Seen[Asked]) -> list[Line]:
    """How the objective stands, below the what-if when there is one."""
    asked, history = seen.thing, seen.known(HISTORY)
    lines = budget_lines(asked.standing, seen.width)
    if asked.other is None:
        return lines
    if history is None:
        return [("what if: reading what is stored …", "muted"), "", *lines]
    answer = asked.answered()
    if answer is None:
        return [("what if: computing …", "muted"), "", *lines]
    return [*what_if_lines(asked.standing, answer, history.slices, seen.width), *lines]


def burn_down_pane(seen: Seen[Asked]) -> ChartSpec | None:
    history, answer = seen.of(HISTORY), seen.thing.answered()
    return burn_down_chart(seen.thing.standing, history.slices, answer.other if answer else None, history.planned)


class ObjectiveScreen(DetailScreen[Asked]):
    noun = "objectives"
    rows = Objective
    means = "One objective: what is left, what fires, who burned it. + and - ask what another target would have fired."
    panes = (
        Facts("budget", budget_pane),
        Facts("burned", lambda seen: burned_lines(seen.of(HISTORY), seen.width)),
        ChartPane("burndown", burn_down_pane, "no data: unknown"),
        timeline("thing", "objectives"),
    )
    grid, widths = ("budget burndown", "burned timeline"), "1fr 1fr"
    readings = (HISTORY,)
    own_hints = (("+ -", "what if"), ("m", "target or window"))
    also = (Also("objectives.maintenance"), Also("objectives.end-maintenance"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "move(1)", "what if: stricter target or longer window", show=False, id="objective.more"),
        Binding("minus", "move(-1)", "what if: looser target or shorter window", show=False, id="objective.less"),
        Binding("m", "moves", "+ and - move the target or the window", show=False, id="objective.moves"),
    ]

    def __init__(self, key: str) -> None:
        super().__init__(key if key.isascii() and key.isdigit() and len(key) < 10 else "0")
        self.moves_window = False
        self._computing = False

    async def read(self, plane: ControlPlane) -> Asked:
        standing = await plane.of(ObjectiveDirectory).standing(int(self.thing_id))
        return replace(self.thing, standing=standing) if self.thing else Asked(standing)

    def row_of(self, thing: Asked) -> Objective:
        return thing.standing.objective

    def record_of(self, thing: Asked) -> dict[str, Any]:
        return as_record(thing.standing)

    @property
    def label(self) -> str:
        return self.row.label if self.row else self.thing_id

    def order_words(self) -> str:
        return f"+/- move the {'window' if self.moves_window else 'target'}"

    # What if: computed beside the loop, from the history that was read

    def draw_panes(self) -> None:
        if not self._computing and self._question() is not None:
            self._computing = True
            self.run_worker(self._compute(), group="beside", exit_on_error=False)
        super().draw_panes()

    def _question(self) -> Question | None:
        """What is asked and not answered; None too while its history is not read."""
        asked, history = self.thing, self.found.get(HISTORY)
        if asked is None or asked.other is None or not isinstance(history, History):
            return None
        question = Question(asked.standing.objective, asked.other, history)
        return None if question == asked.question else question

    async def _compute(self) -> None:
        """One at a time, then what is asked by then; an answer that nobody asks for any more is dropped."""
        try:
            while (question := self._question()) is not None:
                answer = await asyncio.to_thread(answer_of, question)
                if self.thing is not None and question == self._question():
                    self.thing = replace(self.thing, question=question, answer=answer)
                    self.draw_panes()
        finally:
            self._computing = False

    def action_move(self, by: int) -> None:
        if self.thing is None:
            return
        held = self.thing.other or self.row
        if self.moves_window:
            held = replace(held, period=checks.step_period(held.period, by))
        else:
            held = replace(held, target=checks.step_target(held.target, by))
        same = (held.target, held.period) == (self.row.target, self.row.period)
        self.query_one("#budget", Lines).action_edge(-1)
        self._ask(self.thing.standing, None if same else held)

    def _ask(self, standing: Standing, other: Objective | None) -> None:
        self.thing = Asked(standing, other)
        self.draw_panes()

    def action_moves(self) -> None:
        self.moves_window = not self.moves_window
        self.draw_frame()

    def action_back(self) -> None:
        """First the what-if ends, then the screen."""
        if self.thing is not None and self.thing.other is not None:
            self._ask(self.thing.standing, None)
        else:
            super().action_back()

    def why(self, seen: Seen[Asked]) -> list[Line]:
        history = seen.known(HISTORY)
        return why_of(seen.thing.standing, history.rivals if history else ())


def budget_lines(standing: Standing, width: int = 76) -> list[Line]:
    """How the objective stands, in reading order; what is unknown is shown as unknown."""
    objective = standing.objective
    state, tone = status_cell(STATUSES, standing.state)
    lines: list[Line] = [(state, "warn" if tone == "unknown" else tone)]
    lines += [(part, "muted") for words in standing.why for part in wrap(words, width, subsequent_indent="  ")]
    lines.append("")
    for words in (promise_words(objective), *budget_words(standing)):
        lines += wrap(words, width, subsequent_indent="  ")
    empties = empties_words(standing)
    of_budget = f"empty in {empties}, at the burn of the last hour"
    lines += ["Budget exhausted" if empties == "exhausted" else of_budget, ""]
    lines.append((_row([*VERDICT_TITLES, "NOW"]), "title"))
    for verdict in standing.verdicts:
        urgent = "bad" if verdict.fires and verdict.pair.severity == "page" else "warn" if verdict.fires else ""
        lines.append((_row([*verdict_cells(verdict, standing), verdict_word(verdict)]), urgent))
    return lines


def _row(cells: Sequence[str]) -> str:
    parts = [
        fit(cell, width, "right" if 2 <= place <= 5 else "left")
        for place, (cell, width) in enumerate(zip(cells, VERDICT_WIDTHS, strict=True))
    ]
    return "  ".join(parts).rstrip()


def what_if_lines(standing: Standing, answer: Answer, slices: Sequence[Slice], width: int = 76) -> list[Line]:
    """What is left and what fired under the what-if, beside the objective as it is."""
    lines: list[Line] = [("what if", "title")]
    for name, each, episodes in (("as it is", standing, answer.was), ("what if", answer.other, answer.would)):
        fired = fired_words(episodes) if slices else UNKNOWN
        target = f"{target_words(each.objective.target)} {each.objective.period}"
        lines.append(f"  {name:<8} {target:<14} {left_words(each.remaining):>8}  {fired}")
    lines += [(f"  {episode_words(each)}", "muted") for each in answer.would[-3:]]
    for words in checks.warnings(answer.other.objective, standing.as_of):
        lines += [(part, "warn") for part in wrap(words, width, initial_indent="  ", subsequent_indent="    ")]
    for words in (history_words(slices), "esc: end it; a, then e: edit the objective"):
        lines += [(part, "muted") for part in wrap(words, width, initial_indent="  ", subsequent_indent="    ")]
    return [*lines, ""]


def burned_lines(history: History, width: int = 76) -> list[Line]:
    """Who burned the budget: each with its share of what was burned."""
    spent = history.spent
    since = f"keys, since {spent.keys_since:%Y-%m-%d %H:%M} UTC"
    lines: list[Line] = []
    for title, shares in (("tenants", spent.tenants), ("routes", spent.routes), (since, spent.keys)):
        lines.append((title, "title"))
        lines += share_lines(shares) or [("  none burned any", "muted")]
    lines += [("releases", "title"), ("  not known: no release is stored with a request", "muted")]
    lines.append(("planned maintenance", "title"))
    for each in history.planned:
        lines += wrap(maintenance_words(each), width, initial_indent="  ", subsequent_indent="    ")
    if not history.planned:
        lines.append(("  none in this window", "muted"))
    return lines


def share_lines(shares: Sequence[Share]) -> list[Line]:
    burned = sum(each.bad for each in shares)
    return [
        f"  {each.bad / burned:>4.0%} {count(each.bad):>9} bad of {count(each.total):>11}  {each.who or 'without one'}"
        for each in shares[:8]
    ]
