"""The overview: the fleet at a glance, and the way to whatever needs a look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from textwrap import wrap
from typing import Any, ClassVar

from textual import on, work
from textual.widget import Widget
from textual.worker import get_current_worker

from controlplane.errors import HomeUnreachable, Refusal
from controlplane.lists import Line
from controlplane.nouns import shown_named
from controlplane.overview.entries import PARTS, Door, Entry, Part
from controlplane.overview.model import OverviewSource
from screens.area import AreaScreen
from screens.desk import Done
from screens.widgets.bars import TitleLine
from screens.widgets.glance import Block, Content, Fault, Glance

READ_EVERY = 10.0
"""Seconds between two automatic readings; the trail, which shows every change, is read at every hint."""
FIRST_ROWS_SECONDS = 0.03
"""From the first part's answer until modules are loaded for the others: time to paint it, and what comes with it."""
WIDE = Block("requests", ("incidents", "alerts", "gates", "traffic"))
PAIRS = (
    (Block("failing most", ("failing",), True, 2), Block("slowest p95", ("slowest",), True, 2)),
    (Block("due", ("keys", "plans", "stray"), False, 6), Block("work", ("work", "runs"), False, 6)),
    (Block("budgets burning", ("burning",), True, 5), Block("regions", ("regions",), False, 5)),
    (Block("changed", ("changes",), True),),
)


class OverviewScreen(AreaScreen):
    noun = "overview"
    means = "All tenants at a glance. Enter opens what is behind a line. ~ is old, ? is unknown."
    hints: ClassVar[Sequence[tuple[str, str]]] = (
        ("enter", "open"),
        ("tab", "next part"),
        ("1", "tenants"),
        (":", "command"),
        ("w", "why"),
        ("?", "help"),
    )

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.answers: dict[str, Any] = {}
        self.faults: dict[str, Refusal] = {}
        self._read_at = float("-inf")
        self._last_change: int | None = None
        self._left: list[Callable[[], object]] = [partial(self._read, part) for part in PARTS if part.loads]
        """What waits until there is something to see: all that loads modules would keep the first rows waiting."""

    def body(self) -> Widget:
        return Glance(WIDE, PAIRS, single=self.app.has_class("accessible"))

    def crumbs(self) -> list[str]:
        return ["overview"]

    @property
    def glance(self) -> Glance:
        return self.query_one(Glance)

    def on_mount(self) -> None:
        self.glance.focus()
        self.draw_frame()
        self.context_ready()

    def on_screen_resume(self) -> None:
        if self.answers:
            self.action_reload()

    def context_ready(self) -> None:
        self._read_all()

    def show_ahead(self, answers: Mapping[str, Any]) -> None:
        """Part → what another process read of the same home, until it is read here; none: forget it."""
        self.answers = dict(answers)
        self.draw()

    # Reading: every part by itself, so that none waits for another or fails with it.

    def news(self) -> None:
        """Read the trail at once, and the rest when the trail has a new row or every few seconds."""
        if time.monotonic() - self._read_at >= READ_EVERY:
            self.action_reload()
        else:
            self._read(next(part for part in PARTS if part.name == "changes"))

    async def refresh_data(self) -> None:
        self._read_all()

    def _read_all(self) -> None:
        if self.session.plane is not None and self.is_attached:
            self._read_at = time.monotonic()
            for part in PARTS:
                if not (part.loads and self._left):
                    self._read(part)

    def when_shown(self, what: Callable[[], None]) -> None:
        if self._left:
            self._left.insert(0, what)
        else:
            what()

    def _do_what_is_left(self) -> None:
        left, self._left = self._left, []
        for each in left:
            each()

    def _read(self, part: Part) -> None:
        if self.session.plane is not None:
            self.run_worker(self._answer(part), group=f"part-{part.name}", exclusive=True, exit_on_error=False)

    async def _answer(self, part: Part) -> None:
        try:
            answer = await part.read(self.session.require_plane().of(OverviewSource))
        except HomeUnreachable as refusal:
            if part.name in self.answers:  # what was read stays, as in every list
                self.say(Done(str(refusal), "bad"))
            else:
                self.faults[part.name] = refusal
        except Refusal as refusal:
            self.answers.pop(part.name, None)
            self.faults[part.name] = refusal
        else:
            self.faults.pop(part.name, None)
            self.answers[part.name] = answer
            if part.name == "changes":
                self._look_at_trail(answer.newest[0].seq if answer.newest else 0)
        if self.is_attached and not get_current_worker().is_cancelled:
            self.draw()
            if self._left:
                self.set_timer(FIRST_ROWS_SECONDS, self._do_what_is_left)

    def _look_at_trail(self, newest: int) -> None:
        if self._last_change not in (None, newest):
            self._read_at = time.monotonic()
            for part in PARTS:
                if part.name != "changes":
                    self._read(part)
        self._last_change = newest

    def draw(self) -> None:
        self.glance.show({part.name: self._content(part) for part in PARTS if self._known(part)})
        self.draw_frame()

    def _known(self, part: Part) -> bool:
        return part.name in self.answers or part.name in self.faults

    def _content(self, part: Part) -> Content:
        if part.name in self.faults:
            return Fault(f"✕ {part.title} not read: {self.faults[part.name].message}", "bad")
        return part.entries(self.answers[part.name], self.session.clock())

    def retime(self) -> None:
        self.draw()

    def draw_title(self, title: TitleLine) -> None:
        traffic = self.answers.get("traffic")
        until = traffic.until if traffic is not None else None
        title.show(noun="overview", order=f"requests up to {until:%Y-%m-%d %H:%M}Z" if until else "")

    # What is behind a line

    def current(self) -> Entry | None:
        return self.glance.current()

    @on(Glance.Moved)
    def _moved(self) -> None:
        entry = self.current()
        if entry is not None and self.app.has_class("accessible"):
            about = "; ".join(filter(None, (entry.words, entry.said)))
            self.say(Done(" ".join(filter(None, (entry.label, entry.value, about)))))

    @on(Glance.Opened)
    def _opened(self, event: Glance.Opened) -> None:
        entry = event.entry
        if entry.door is None:
            self._show_lines(entry)
        elif entry.door.noun == "audit" and entry.door.key:
            self._describe(int(entry.door.key))
        else:
            self._enter(entry.door)

    def _enter(self, door: Door) -> None:
        """Open it on top of this screen, so that escape comes back here."""
        from screens.lists import ListScreen
        from screens.nouns import list_screen

        noun = shown_named(door.noun)
        assert noun is not None
        if door.key:
            self.desk.open_thing(door.noun, door.key)
            return
        screen = list_screen(noun, door.text)
        if isinstance(screen, ListScreen) and door.sort:
            screen.sort, screen.descending = door.sort.removeprefix("-"), door.sort.startswith("-")
        self.app.push_screen(screen)

    def _show_lines(self, entry: Entry) -> None:
        from screens.dialogs.viewer import Viewer

        lines: list[Line] = [(f"{entry.label}: {entry.value}".rstrip(": "), "title"), "", *entry.lines]
        self.app.push_screen(Viewer(self.session, "overview", lines))

    @work(exit_on_error=False, group="describe", exclusive=True)
    async def _describe(self, seq: int) -> None:
        from controlplane.audit.model import AuditDirectory, as_record
        from screens.dialogs.viewer import Viewer

        try:
            row = await self.session.require_plane().of(AuditDirectory).get(seq)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        self.app.push_screen(Viewer(self.session, "describe audit", record=as_record(row)))

    def action_describe(self) -> None:
        self.glance.action_open()

    def why_lines(self) -> list[Line]:
        lines: list[Line] = []
        for part in PARTS:
            if part.name in self.faults:
                lines += [(f"{part.title}: not read", "bad"), f"  {self.faults[part.name]}"]
        entry = self.current()
        if entry is not None:
            lines += [(f"{entry.label}: {entry.value}", "title"), *([entry.words] if entry.words else [])]
        return [*lines, "", *(line for paragraph in MEANING for line in wrap(paragraph, 76))]


MEANING = (
    "Incidents: those that are open or mitigated, and the state of the most severe.",
    "Alerts: what detectors found wrong and nobody has resolved. Unknown: their source is silent.",
    "Requests, errors (5xx) and p95 are those of all tenants in the hour before the time on the title line, from"
    " what is rolled up; the trends are of the 24 hours before it. A gap is an hour of which nothing is known.",
    "Tenants: over the last hour of data, as in their list; ~ means that this hour ended a while ago.",
    "Budgets: how many times faster than allowed the last hour burned them, those that page or open a ticket first.",
    "Old keys still in use: they were rotated, and half of their grace is over. Stale: older than 30 days.",
    "Quotas near their limit: 80 % or more of what may be admitted is, as a worker saw it last.",
    "Late jobs should have begun a minute ago. Runs with refusals ended within a day. 1,000+ is that or more.",
)
