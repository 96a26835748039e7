"""One objective: its budget and windows, its burn-down, who burned it, and all that was done to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from textwrap import wrap
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from controlplane.audit.list import AUDIT
from controlplane.audit.model import AuditRow, as_record
from controlplane.errors import HomeUnreachable, NotFound, Refusal
from controlplane.filters.grammar import Term
from controlplane.formatting import count
from controlplane.listing import Query
from controlplane.lists import Line, status_cell
from controlplane.objectives import checks, rules
from controlplane.objectives.list import STATUSES, why_of
from controlplane.objectives.list import as_record as as_record_of
from controlplane.objectives.model import Attribution, Episode, Maintenance, Objective, Share, Slice, Standing
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
from controlplane.text import UNKNOWN, fit
from screens.actions import Done, Target, choice_lines
from screens.area import AreaScreen
from screens.columns import table_columns
from screens.objectives.chart import burn_down_chart
from screens.session import Session
from screens.widgets.bars import TitleLine
from screens.widgets.chart import Chart
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

PANES = ("budget", "burned", "burndown", "timeline")
WIDE = 110
READ_EVERY, IDLE = 30.0, 20
"""Seconds between two readings of the history and of who burned it, and so many times as long as one took at least:
they cost more than how it stands.
"""
VERDICT_WIDTHS = (6, 6, 5, 6, 6, 9, 7)


class ObjectiveScreen(AreaScreen):
    """On a wide terminal all panes together, on a narrow one a pane at a time: `tab` goes on."""

    noun = "objectives"
    means = "One objective: what is left, what fires, who burned it. + and - ask what another target would have fired."
    hints = (
        ("tab", "next pane"),
        ("+ -", "what if"),
        ("m", "target or window"),
        ("a", "act"),
        ("w", "why"),
        ("?", "help"),
    )

    DEFAULT_CSS = """
    ObjectiveScreen #budget, ObjectiveScreen #burned { padding: 0 1; }
    ObjectiveScreen #panes { layout: grid; grid-size: 2 2; grid-rows: 1fr 1fr; grid-gutter: 0 1; }
    ObjectiveScreen #panes > * { border-top: solid $panel; border-title-color: $text-muted; }
    ObjectiveScreen.narrow #panes { layout: vertical; }
    ObjectiveScreen.narrow #panes > * { border: none; }
    ObjectiveScreen.narrow #panes > * { display: none; }
    ObjectiveScreen.narrow #panes > .chosen { display: block; height: 1fr; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next pane", show=False, id="objective.next_pane"),
        Binding("shift+tab", "pane(-1)", "pane before", show=False, id="objective.previous_pane"),
        Binding("plus", "move(1)", "what if it were stricter, or longer", show=False, id="objective.more"),
        Binding("minus", "move(-1)", "what if it were looser, or shorter", show=False, id="objective.less"),
        Binding("m", "moves", "whether + and - move the target or the window", show=False, id="objective.moves"),
    ]

    def __init__(self, key: str) -> None:
        super().__init__()
        self.number = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else 0
        self.standing: Standing | None = None
        self.other: Objective | None = None
        """What is asked about; None: nothing is."""
        self.moves_window = False
        self.slices: tuple[Slice, ...] | None = None
        """None: not read yet."""
        self.spent: Attribution | None = None
        self.planned: tuple[Maintenance, ...] = ()
        self.rivals: tuple[Objective, ...] = ()
        self.chosen = PANES[0]
        self._read_again = float("-inf")
        self._version = 0

    def body(self) -> Widget:
        return Panes(self.session)

    def crumbs(self) -> list[str]:
        return ["objectives", self.standing.objective.label if self.standing else str(self.number)]

    def on_mount(self) -> None:
        for pane in PANES:
            self.query_one(f"#{pane}").border_title = pane
        self._choose(self.chosen)
        self.context_ready()

    def context_ready(self) -> None:
        plane = self.session.plane
        if plane is None:
            return
        mine = (Term("is", (str(self.number),), "thing"), Term("is", ("objectives",), "noun"))
        self.query_one("#timeline", WindowTable).show(plane.audit, Query(mine, "at", True))
        self.action_reload()

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            self.standing = await plane.objectives.standing(self.number)
        except NotFound as missing:
            self.standing = None
            self.query_one("#budget", Lines).show([(missing.message, "bad"), missing.hint])
            return
        except HomeUnreachable:
            return  # the header says that the link is down; what was read stays
        except Refusal as refusal:
            self.unread(refusal, "#budget", new=self.standing is None)
            return
        self._show()
        await self.query_one("#timeline", WindowTable).refresh_rows()
        from asyncio import get_running_loop

        now, version = get_running_loop().time(), self.standing.objective.version
        if now >= self._read_again or version != self._version:
            self._read_again, self._version = now + READ_EVERY, version
            self._read_more(self.standing)  # never again while it runs: it would be cut off

    @work(exit_on_error=False, group="history", exclusive=True)
    async def _read_more(self, standing: Standing) -> None:
        from asyncio import get_running_loop

        begun = get_running_loop().time()
        directory = self.session.require_plane().objectives
        longest = standing.as_of - timedelta(days=90)  # as far as + can move the window
        try:
            self.slices = await directory.history(self.number, min(standing.start, longest))
            self.planned = await directory.maintenance(standing)
            self.rivals = await directory.rivals(standing.objective.name)
            self.spent = await directory.attribution(standing)
        except Refusal as refusal:
            self.query_one("#burned", Lines).show([(str(refusal), "bad")])
            return
        took = get_running_loop().time() - begun
        self._read_again = begun + max(READ_EVERY, IDLE * took)
        self._show()

    def _show(self) -> None:
        """Draw what was read. What is asked with `+` and `-` is computed here, from the same history."""
        standing = self.standing
        if standing is None:
            return
        pane, asked = self.query_one("#budget", Lines), None
        lines = budget_lines(standing, _width(pane))
        if self.other is not None and self.slices is None:
            lines = [("what if: reading what is stored …", "muted"), "", *lines]
        elif self.other is not None and self.slices is not None:
            asked = rules.evaluate(self.other, self.slices, standing.as_of)
            lines = [*what_if_lines(standing, asked, self.slices, _width(pane)), *lines]
        pane.show(lines)
        if self.spent is not None:
            burned = self.query_one("#burned", Lines)
            burned.show(burned_lines(self.spent, self.planned, _width(burned)))
        chart = None if self.slices is None else burn_down_chart(standing, self.slices, asked, self.planned)
        words = "reading …" if self.slices is None else "no data: nothing is known of it"
        self.query_one(Chart).show(chart, words=words)
        self.draw_frame()

    def draw_title(self, title: TitleLine) -> None:
        names = [f"[{name}]" if name == self.chosen else name for name in PANES] if self.has_class("narrow") else []
        label = self.standing.objective.label if self.standing else str(self.number)
        moved = f"+/- move the {'window' if self.moves_window else 'target'}"
        title.show(noun=label, count="  ".join(names), order=moved)

    # What if

    def action_move(self, by: int) -> None:
        if self.standing is None:
            return
        held = self.other or self.standing.objective
        if self.moves_window:
            held = dataclasses.replace(held, period=checks.step_period(held.period, by))
        else:
            held = dataclasses.replace(held, target=checks.step_target(held.target, by))
        same = (held.target, held.period) == (self.standing.objective.target, self.standing.objective.period)
        self.other = None if same else held
        self.query_one("#budget", Lines).action_edge(-1)
        self._show()

    def action_moves(self) -> None:
        self.moves_window = not self.moves_window
        self.draw_frame()

    def action_back(self) -> None:
        """First the question goes, then the screen."""
        if self.other is not None:
            self.other = None
            self._show()
        else:
            super().action_back()

    # Panes

    def retime(self) -> None:
        table = self.query_one("#timeline", WindowTable)
        table.columns = table_columns(AUDIT.table, self.session)
        table.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")
        self.call_after_refresh(self._show)

    def action_pane(self, by: int) -> None:
        self._choose(PANES[(PANES.index(self.chosen) + by) % len(PANES)])
        self.draw_frame()

    def _choose(self, name: str) -> None:
        self.chosen = name
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "chosen")
        self.focus_pane(self.query_one(f"#{name}"))

    def focus_body(self) -> None:
        self._choose(self.chosen)

    # What is under the cursor

    def current(self) -> Standing | None:
        return self.standing

    def targets(self) -> list[Target]:
        return (
            []
            if self.standing is None
            else [
                Target(
                    {"id": self.standing.objective.id}, self.standing.objective.version, self.standing.objective.label
                )
            ]
        )

    def operations(self) -> list[Any]:
        return [each for each in super().operations() if each.name != "objectives.create"]

    def record(self) -> dict[str, Any] | None:
        if self.chosen == "timeline":
            row: AuditRow | None = self.query_one("#timeline", WindowTable).cursor_row
            return None if row is None else as_record(row)
        return None if self.standing is None else as_record_of(self.standing)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "It could not be read.", "bad"))

    def why_lines(self) -> list[Line]:
        if self.standing is None:
            return []
        lines = why_of(self.standing, self.rivals)
        return lines + choice_lines(self.operations(), self.session, self.standing)

    def view_link(self) -> str:
        return f"{self.session.context}/objectives/{self.number}"


class Panes(Container):
    """The four parts of an objective."""

    def __init__(self, session: Session) -> None:
        super().__init__(id="panes")
        self.session = session

    def compose(self) -> ComposeResult:
        yield Lines(["reading …"], id="budget")
        yield Chart(id="burndown")
        yield Lines(["reading …"], id="burned")
        yield WindowTable(table_columns(AUDIT.table, self.session), empty="Nothing was done to it yet.", id="timeline")


def _width(pane: Lines) -> int:
    """The cells of a line; what is longer goes on in the next one."""
    return max(30, pane.size.width or 76)


def budget_lines(standing: Standing, width: int = 76) -> list[Line]:
    """How it stands, in reading order; what is unknown is said so."""
    objective = standing.objective
    state, tone = status_cell(STATUSES, standing.state)
    lines: list[Line] = [(state, "warn" if tone == "unknown" else tone)]
    lines += [(part, "muted") for words in standing.why for part in wrap(words, width, subsequent_indent="  ")]
    lines.append("")
    for words in (promise_words(objective), *budget_words(standing)):
        lines += wrap(words, width, subsequent_indent="  ")
    lines += [f"empty in (at the burn of the last hour): {empties_words(standing)}", ""]
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


def what_if_lines(standing: Standing, asked: Standing, slices: Sequence[Slice], width: int = 76) -> list[Line]:
    """What one would have had, beside what one had."""
    lines: list[Line] = [("what if", "title")]
    last: tuple[Episode, ...] = ()
    for name, each in (("as it is", standing), ("what if", asked)):
        last = rules.replay(each.objective, slices, each.end - each.start)
        fired = fired_words(last) if slices else UNKNOWN
        target = f"{target_words(each.objective.target)} {each.objective.period}"
        lines.append(f"  {name:<8} {target:<14} {left_words(each.remaining):>8}  {fired}")
    lines += [(f"  {episode_words(each)}", "muted") for each in last[-3:]]
    for words in checks.warnings(asked.objective, standing.as_of):
        lines += [(part, "warn") for part in wrap(words, width, initial_indent="  ", subsequent_indent="    ")]
    for words in (history_words(slices), "esc ends it; a e edits the objective"):
        lines += [(part, "muted") for part in wrap(words, width, initial_indent="  ", subsequent_indent="    ")]
    return [*lines, ""]


def burned_lines(spent: Attribution, planned: Sequence[Maintenance], width: int = 76) -> list[Line]:
    """Who burned the budget: each with its share of what was burned."""
    since = f"keys, since {spent.keys_since:%Y-%m-%d %H:%M} UTC"
    lines: list[Line] = []
    for title, shares in (("tenants", spent.tenants), ("routes", spent.routes), (since, spent.keys)):
        lines.append((title, "title"))
        lines += share_lines(shares) or [("  none burned any", "muted")]
    lines += [("releases", "title"), ("  not known: no release is stored with a request", "muted")]
    lines.append(("planned maintenance", "title"))
    for each in planned:
        lines += wrap(maintenance_words(each), width, initial_indent="  ", subsequent_indent="    ")
    if not planned:
        lines.append(("  none in this window", "muted"))
    return lines


def share_lines(shares: Sequence[Share]) -> list[Line]:
    burned = sum(each.bad for each in shares)
    return [
        f"  {each.bad / burned:>4.0%} {count(each.bad):>9} bad of {count(each.total):>11}  {each.who or 'without one'}"
        for each in shares[:8]
    ]
