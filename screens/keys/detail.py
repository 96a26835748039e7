"""One key: facts and the chain of its rotations, who uses it, the timeline of all that happened to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.widget import Widget

from controlplane.audit.list import AUDIT
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.formatting import count, relative
from controlplane.keys.list import KEYS, STATES
from controlplane.keys.model import Key, KeyCalls, KeyLeak
from controlplane.listing import Query
from controlplane.lists import Line, status_cell
from controlplane.plans.currencies import money
from controlplane.telemetry.anomalies import BASELINE, WINDOW, Limits, UsageReport
from controlplane.telemetry.chartviews import View, render
from controlplane.telemetry.model import Scope
from controlplane.text import UNKNOWN, clean, fit
from screens.actions import Target, choice_lines
from screens.columns import table_columns
from screens.detail import LONGEST_TITLE, DetailScreen, Hints
from screens.keys.list import NEW_KEYS, new_key_targets
from screens.keys.usage import usage_lines, usage_why
from screens.session import Session
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

USES = timedelta(days=30)
CALLS_EVERY = 30.0
"""Seconds between two readings of who calls: it counts a month of requests."""


class KeyScreen(DetailScreen[Key]):
    noun = "keys"
    means = (
        "One key: its facts and rotations; how it is used against the week before and who called with it; all that was "
        "done to it. w says by which numbers something is strange."
    )
    panes = ("facts", "uses", "timeline")
    hints: ClassVar[Hints] = (
        ("tab", "next pane"),
        ("a", "act"),
        ("O", "tenant"),
        ("P", "plan"),
        ("w", "why"),
        ("?", "help"),
    )

    DEFAULT_CSS = "KeyScreen #facts { row-span: 2; }"

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.chain: Sequence[Key] = ()
        self.leaks: Sequence[KeyLeak] = ()
        self.currency: str | None = None
        self.usage: UsageReport | None = None
        self._called_at = float("-inf")

    @property
    def tenant_id(self) -> str | None:
        return self.thing.tenant_id if self.thing else None

    @property
    def label(self) -> str:
        return self.thing.display if self.thing else self.thing_id

    def parts(self) -> Sequence[Widget]:
        return (
            Lines(["reading …"], id="facts"),
            Lines(["reading …"], id="uses"),
            WindowTable(table_columns(AUDIT.table, self.session), empty="Nothing was done to it yet.", id="timeline"),
        )

    def show_tables(self, plane: ControlPlane) -> None:
        mine = (Term("is", (self.thing_id,), "thing"), Term("is", ("keys",), "noun"))
        self.query_one("#timeline", WindowTable).show(plane.audit, Query(mine, "at", True))

    async def read(self, plane: ControlPlane) -> Key:
        key = await plane.keys.get(self.thing_id)
        self.chain, self.leaks = await plane.keys.chain(self.thing_id), await plane.keys.leaks(self.thing_id)
        self.currency = None if key.spend_cap is None else await plane.subscriptions.currency(key.tenant_id)
        return key

    def show_thing(self, thing: Key) -> None:
        self.query_one("#facts", Lines).show(facts(thing, self.chain, self.leaks, self.currency, self.session))
        from asyncio import get_running_loop

        now = get_running_loop().time()
        if now - self._called_at >= CALLS_EVERY:  # before the worker is started: it ends one that still reads
            self._called_at = now
            self._read_calls(thing)

    @work(exit_on_error=False, group="calls", exclusive=True)
    async def _read_calls(self, key: Key) -> None:
        plane = self.session.require_plane()
        try:
            self.usage = await plane.telemetry.key_usage(key.tenant_id, WINDOW, BASELINE, Limits(), key.display)
            calls = await plane.keys.calls(self.thing_id, self.session.clock() - USES)
        except Refusal as refusal:
            self.query_one("#uses", Lines).show([(str(refusal), "bad")])
            return
        parts = [usage_lines(self.usage), use_lines(calls, self.session)]
        first, second = parts if self.usage.rows else reversed(parts)
        self.query_one("#uses", Lines).show([*first, "", *second])

    def charts_text(self) -> str:
        key = self.thing
        return "" if key is None else render(View(Scope(key.tenant_id, key_prefix=key.display)))

    # What is under the cursor

    def current(self) -> Key | None:
        return self.thing

    def targets(self) -> list[Target]:
        key = self.thing
        return [] if key is None else [Target({"id": key.id}, key.version, key.display)]

    async def _act(self, operation: Any, targets: list[Target]) -> None:
        if operation.name in NEW_KEYS:
            targets = new_key_targets(self.thing, targets)
        await super()._act(operation, targets)

    def record(self) -> dict[str, Any] | None:
        if self.chosen == "timeline":
            return self.timeline_record()
        return None if self.thing is None else dataclasses.asdict(self.thing)

    def why_lines(self) -> list[Line]:
        if self.thing is None:
            return []
        now = self.session.clock()
        lines = [*KEYS.why(self.thing, now), *choice_lines(self.operations(), self.session, self.thing)]
        return lines + ([] if self.usage is None else ["", *usage_why(self.usage)])


def facts(
    key: Key, chain: Sequence[Key], leaks: Sequence[KeyLeak], currency: str | None, session: Session
) -> list[Line]:
    """What there is to know of a key, in reading order; what is unknown is said so."""
    now = session.clock()
    lines: list[Line] = [(clean(key.label or key.display, LONGEST_TITLE), "title"), status_cell(STATES, key.state)]
    if key.revoked_at:
        lines.append((f"  {relative(key.revoked_at, now)}: {key.revoked_reason}", "bad"))
    lines += [(f"  leaked {relative(leak.at, now)}: {leak.reason} ({leak.actor})", "bad") for leak in leaks]
    if key.grace_until:
        over = key.grace_until <= now
        words = f"{'was good' if over else 'good'} until {key.grace_until:%Y-%m-%d %H:%M} UTC"
        lines.append((f"  {words} ({relative(key.grace_until, now)})", "muted" if over else "warn"))
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
        "spend cap": f"{money(key.spend_cap, currency)} a month" if key.spend_cap is not None else "none",
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
