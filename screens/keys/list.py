"""The lists of keys: all of them, those that are being rotated, those that are too old."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from textual import on, work

from controlplane.errors import Refusal
from controlplane.formatting import relative, spell
from controlplane.keys.model import (
    KEY_FIELDS,
    KEY_SORTS,
    ROTATION_FIELDS,
    ROTATION_SORTS,
    STALE_FIELDS,
    STALE_SORTS,
    Key,
    Rotation,
    StaleCounts,
    StaleKey,
    StalePolicy,
)
from controlplane.keys.rules import is_late, why
from controlplane.listing import Listing
from controlplane.telemetry.chartviews import View, render
from controlplane.telemetry.model import Scope
from screens.actions import Target, choice_lines
from screens.keys.columns import key_columns, rotation_columns, stale_columns
from screens.lists import ListScreen
from screens.widgets.bars import TitleLine
from screens.widgets.columns import Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable

NEW_KEYS = ("keys.create", "keys.register")


class KeysScreen(ListScreen[Key]):
    noun = "keys"
    means = "API keys, by what may be shown of them. A secret is shown once, when it is made; only its hash is kept."
    fields, sorts, sort, descending = KEY_FIELDS, KEY_SORTS, "created", True
    empty = "No key matches. esc clears the filter, a n makes a key."
    nothing = "No keys yet. a n makes one."

    def columns(self) -> Sequence[Column[Key]]:
        return key_columns(self.session)

    def listing(self) -> Listing[Key]:
        return self.session.require_plane().keys

    def charts_text(self) -> str:
        row = self.current()
        return "" if row is None else render(View(Scope(row.tenant_id, key_prefix=row.display)))

    def target_of(self, row: Key) -> Target:
        return Target({"id": row.id}, row.version, row.display)

    async def _act(self, operation: Any, targets: list[Target]) -> None:
        """A new key is for the tenant of the key under the cursor; without one, its tenant is asked."""
        if operation.name in NEW_KEYS:
            targets = new_key_targets(self.current(), targets)
        await super()._act(operation, targets)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("keys", event.row.key)

    def why_lines(self) -> list[Line]:
        row: Key | None = self.current()
        return [] if row is None else why_key(row, self)


class RotationsScreen(ListScreen[Rotation]):
    noun = "rotations"
    means = "Keys in their grace, the nearest end first: calls since the rotation with the old key and with the new."
    fields, sorts, sort = ROTATION_FIELDS, ROTATION_SORTS, "left"
    empty = "No rotation matches. esc clears the filter."
    nothing = "No key is being rotated. :keys, a r rotates one."

    def columns(self) -> Sequence[Column[Rotation]]:
        return rotation_columns(self.session)

    def listing(self) -> Listing[Rotation]:
        return self.session.require_plane().keys.rotations

    def target_of(self, row: Rotation) -> Target:
        return Target({"id": row.id}, row.version, row.display)

    def operations(self) -> list[Any]:
        return _of_keys("keys.grace", "keys.disable", "keys.revoke", "keys.leak")

    def record_of(self, row: Rotation) -> dict[str, Any]:
        return dataclasses.asdict(row) | {"late": is_late(row, self.session.clock())}

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("keys", event.row.key)

    def why_lines(self) -> list[Line]:
        row: Rotation | None = self.current()
        if row is None:
            return []
        now = self.session.clock()
        used = "no use of the old key since is known"
        if row.old_last_at is not None:
            used = f"the old key was last used {relative(row.old_last_at, now)}"
            used += f" from {row.old_last_address}" if row.old_last_address else ""
        lines: list[Line] = [
            (row.display, "title"),
            f"rotated {relative(row.rotated_at, now)}, good until {row.grace_until:%Y-%m-%d %H:%M} UTC",
            f"successor: {row.successor_id or 'none'}",
            used,
            "calls are counted from stored requests that name their key; – where none does",
        ]
        if is_late(row, now):
            lines.append(("half of the grace is over and the old key is still used: a g extends the grace", "bad"))
        return lines


class StaleScreen(ListScreen[StaleKey]):
    noun = "stale"
    means = "Live keys that are too old, or whose tenant rotated none in the window. The counts are of all live keys."
    fields, sorts, sort = STALE_FIELDS, STALE_SORTS, "created"
    empty = "No stale key matches. esc clears the filter."
    nothing = "No live key is stale, and every tenant rotated one in time."
    policy = StalePolicy()

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.counts: StaleCounts | None = None

    def columns(self) -> Sequence[Column[StaleKey]]:
        return stale_columns(self.session)

    def listing(self) -> Listing[StaleKey]:
        return self.session.require_plane().keys.stale(self.policy)

    def target_of(self, row: StaleKey) -> Target:
        return Target({"id": row.id}, row.version, row.display)

    def operations(self) -> list[Any]:
        return _of_keys("keys.rotate", "keys.edit", "keys.disable", "keys.revoke", "keys.leak")

    def show_list(self) -> None:
        super().show_list()
        if self.is_readable:
            self._count_stale()

    @work(exit_on_error=False, group="stale", exclusive=True)
    async def _count_stale(self) -> None:
        try:
            self.counts = await self.session.require_plane().keys.stale(self.policy).counts()
        except Refusal:
            self.counts = None
        self.draw_frame()

    def draw_title(self, title: TitleLine) -> None:
        super().draw_title(title)
        if self.counts is not None and not (self.filter_text or self.fault or self.choosing_sort or self.table.marks):
            found = self.counts
            words = f"{found.stale:,} stale, {found.warn:,} soon of {found.keys:,}"
            title.show(
                noun=self.noun,
                count=f"{words}; {found.tenants_unrotated:,} of {found.tenants:,} tenants rotated none",
            )

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("keys", event.row.key)

    def why_lines(self) -> list[Line]:
        row: StaleKey | None = self.current()
        if row is None:
            return []
        days = {name: spell(value.total_seconds()) for name, value in vars(self.policy).items()}
        age = spell((self.session.clock() - row.created_at).total_seconds())
        rotated = "rotated none" if row.unrotated else "rotated one, or is younger than that itself"
        return [
            (row.display, "title"),
            f"it is {age} old: stale from {days['max_age']} on, a warning from {days['warn']} on",
            f"its tenant {row.tenant_id} {rotated} in the last {days['window']}",
            f"last used: {relative(row.last_used_at, self.session.clock())}",
            "other limits: watchfloor keys stale --max-age 90d --warn 60d --window 90d",
        ]


def new_key_targets(row: Key | None, named: list[Target]) -> list[Target]:
    """Whom a new key is for: who was named, else the tenant of this key."""
    if named and "tenant_id" in named[0].subject:
        return named
    return [] if row is None else [Target({"tenant_id": row.tenant_id}, None, f"a key of {row.tenant_id}")]


def _of_keys(*names: str) -> list[Any]:
    """Operations on keys for a list whose rows are none: whether one fits is found when it is tried."""
    from controlplane.registry import named

    return [dataclasses.replace(named(name), fits=None) for name in names]


def why_key(key: Key, screen: Any) -> list[Line]:
    """How its state came to be, and what can be done and cannot, with the reason."""
    session = screen.session
    return [(key.display, "title"), *why(key, session.clock()), *choice_lines(screen.operations(), session, key)]
