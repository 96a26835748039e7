"""One key: facts and the chain of its rotations, who uses it, the timeline of all that happened to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from controlplane.audit import AuditRow, as_record
from controlplane.chartviews import View, render
from controlplane.errors import NotFound, Refusal
from controlplane.filters import Term
from controlplane.keys.model import Key, KeyCalls, KeyLeak
from controlplane.listing import Query
from controlplane.moments import count, relative
from controlplane.telemetry import Scope
from controlplane.text import UNKNOWN, fit
from screens.actions import Done, Target
from screens.area import AreaScreen
from screens.audit import audit_columns
from screens.keys.columns import STATE
from screens.keys.list import NEW_KEYS, new_key_targets, why_key
from screens.session import Session
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Line, Lines
from screens.widgets.table import WindowTable

PANES = ("facts", "uses", "timeline")
WIDE = 110
USES = timedelta(days=30)
CALLS_EVERY = 30.0
"""Seconds between two readings of who calls: it counts a month of requests."""


class KeyScreen(AreaScreen):
    """On a wide terminal all panes together, on a narrow one a pane at a time: `tab` goes on."""

    noun = "keys"
    means = "One key: its facts and rotations, who called with it in the last 30 days, all that was done to it."
    hints = (("tab", "next pane"), ("a", "act"), ("d", "describe"), ("w", "why"), ("esc", "back"), ("?", "help"))

    DEFAULT_CSS = """
    KeyScreen #facts, KeyScreen #uses { padding: 0 1; }
    KeyScreen #panes { layout: grid; grid-size: 2 2; grid-columns: 2fr 3fr; grid-rows: 1fr 1fr; grid-gutter: 0 1; }
    KeyScreen #facts { row-span: 2; }
    KeyScreen #panes > * { border-top: solid $panel; border-title-color: $text-muted; }
    KeyScreen.narrow #panes { layout: vertical; }
    KeyScreen.narrow #panes > * { border: none; }
    KeyScreen.narrow #panes > * { display: none; }
    KeyScreen.narrow #panes > .chosen { display: block; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next pane", show=False, id="key.next_pane"),
        Binding("shift+tab", "pane(-1)", "pane before", show=False, id="key.previous_pane"),
    ]

    def __init__(self, key_id: str) -> None:
        super().__init__()
        self.key_id = key_id
        self.key: Key | None = None
        self.chosen = PANES[0]
        self._called_at = float("-inf")

    def body(self) -> Widget:
        return Panes(self.session)

    def crumbs(self) -> list[str]:
        return ["keys", self.key.display if self.key else self.key_id]

    def on_mount(self) -> None:
        for pane in PANES:
            self.query_one(f"#{pane}").border_title = pane
        self._choose(self.chosen)
        self.context_ready()

    def context_ready(self) -> None:
        plane = self.session.plane
        if plane is None:
            return
        mine = (Term("is", (self.key_id,), "thing"), Term("is", ("keys",), "noun"))
        self.query_one("#timeline", WindowTable).show(plane.audit, Query(mine, "at", True))
        self.action_reload()

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            self.key = await plane.keys.get(self.key_id)
            chain = await plane.keys.chain(self.key_id)
            leaks = await plane.keys.leaks(self.key_id)
        except NotFound as missing:
            self.key = None
            self.query_one("#facts", Lines).show([(missing.message, "bad"), missing.hint])
            return
        except Refusal:
            return  # the header says that the link is down; what was read stays
        self.query_one("#facts", Lines).show(facts(self.key, chain, leaks, self.session))
        await self.query_one("#timeline", WindowTable).refresh_rows()
        self._read_calls()

    @work(exit_on_error=False, group="calls", exclusive=True)
    async def _read_calls(self) -> None:
        from asyncio import get_running_loop

        now = get_running_loop().time()
        if now - self._called_at < CALLS_EVERY:
            return
        self._called_at = now
        try:
            calls = await self.session.require_plane().keys.calls(self.key_id, self.session.clock() - USES)
        except Refusal as refusal:
            self.query_one("#uses", Lines).show([(str(refusal), "bad")])
            return
        self.query_one("#uses", Lines).show(use_lines(calls, self.session))

    def draw_title(self, title: TitleLine) -> None:
        names = [f"[{name}]" if name == self.chosen else name for name in PANES] if self.has_class("narrow") else []
        title.show(noun=self.key.display if self.key else self.key_id, count="  ".join(names))

    # Panes

    def retime(self) -> None:
        table = self.query_one("#timeline", WindowTable)
        table.columns = tuple(audit_columns(self.session))
        table.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")

    def action_pane(self, by: int) -> None:
        self._choose(PANES[(PANES.index(self.chosen) + by) % len(PANES)])
        self.draw_frame()

    def _choose(self, name: str) -> None:
        self.chosen = name
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "chosen")
        self.query_one(f"#{name}").focus()

    def focus_body(self) -> None:
        self._choose(self.chosen)

    def charts_text(self) -> str:
        key = self.key
        return "" if key is None else render(View(Scope(key.tenant_id, key_prefix=key.display)))

    # What is under the cursor

    def current(self) -> Key | None:
        return self.key

    def targets(self) -> list[Target]:
        key = self.key
        return [] if key is None else [Target({"id": key.id}, key.version, key.display)]

    async def _act(self, operation: Any, targets: list[Target]) -> None:
        if operation.name in NEW_KEYS:
            targets = new_key_targets(self.key, targets)
        await super()._act(operation, targets)

    def record(self) -> dict[str, Any] | None:
        if self.chosen == "timeline":
            row: AuditRow | None = self.query_one("#timeline", WindowTable).cursor_row
            return None if row is None else as_record(row)
        return None if self.key is None else dataclasses.asdict(self.key)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "It could not be read.", "bad"))

    def why_lines(self) -> list[Line]:
        return [] if self.key is None else why_key(self.key, self)

    def view_link(self) -> str:
        return f"{self.session.context}/keys/{self.key_id}"


class Panes(Container):
    """The three parts of a key."""

    def __init__(self, session: Session) -> None:
        super().__init__(id="panes")
        self.session = session

    def compose(self) -> ComposeResult:
        yield Lines(["reading …"], id="facts")
        yield Lines(["reading …"], id="uses")
        yield WindowTable(audit_columns(self.session), empty="Nothing was done to it yet.", id="timeline")


def facts(key: Key, chain: Sequence[Key], leaks: Sequence[KeyLeak], session: Session) -> list[Line]:
    """What there is to know of a key, in reading order; what is unknown is said so."""
    now = session.clock()
    glyph, word, tone = STATE.get(key.state, ("?", "unknown", "warn"))
    lines: list[Line] = [(key.label or key.display, "title"), (f"{glyph} {word}", tone)]
    if key.revoked_at:
        lines.append((f"  {relative(key.revoked_at, now)}: {key.revoked_reason}", "bad"))
    lines += [(f"  leaked {relative(leak.at, now)}: {leak.reason} ({leak.actor})", "bad") for leak in leaks]
    if key.grace_until:
        lines.append((f"  good until {key.grace_until:%Y-%m-%d %H:%M} UTC ({relative(key.grace_until, now)})", "warn"))
    used = relative(key.last_used_at, now)
    rows = {
        "shown": key.display,
        "id": key.id,
        "tenant": f"{key.tenant_id}, {key.env}",
        "project": key.project_id or "all of the tenant",
        "scopes": " ".join(key.scopes) or "none: everything is denied",
        "addresses": " ".join(key.addresses) or "from anywhere",
        "owner": key.owner_email or UNKNOWN,
        "expires": relative(key.expires_at, now) if key.expires_at else "never",
        "spend cap": f"{key.spend_cap:,} a month" if key.spend_cap is not None else "none",
        "used": used + (f" from {key.last_address}" if key.last_address else ""),
        "created": f"{relative(key.created_at, now)} by {key.created_by}",
        "changed": f"{relative(key.updated_at, now)}, version {key.version}",
    }
    lines += ["", *(f"{name:<11}{value}" for name, value in rows.items())]
    if len(chain) > 1:
        lines += ["", ("rotations, oldest first", "title")]
        for each in chain:
            here = "›" if each.id == key.id else " "
            lines.append(f"{here} {each.display}  {each.state}, made {relative(each.created_at, now)}")
    return lines


def use_lines(calls: Sequence[KeyCalls], session: Session) -> list[Line]:
    if not calls:
        return [
            "No call that names this key is stored in the last 30 days.",
            ("whether it is used is not known", "muted"),
        ]
    now = session.clock()
    lines: list[Line] = [("   calls  from             last       route", "title")]
    for use in calls:
        address, last = fit(use.address or UNKNOWN, 15), fit(relative(use.last_at, now), 9)
        lines.append(f"{count(use.calls):>8}  {address}  {last}  {use.route}")
    if not all(use.whole for use in calls):
        lines.append(("counted: the newest 500,000 calls only", "warn"))
    return lines
