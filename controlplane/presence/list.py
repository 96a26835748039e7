"""The list of consoles that are open."""

from __future__ import annotations

from datetime import datetime, timedelta

from controlplane.formatting import age, relative
from controlplane.listing import View
from controlplane.lists import AGE, Cell, Column, Line, ListOf
from controlplane.presence.model import Presence, PresenceDirectory
from controlplane.presence.refusals import NO_CONSOLE
from controlplane.text import clean

IDLE = timedelta(minutes=2)
"""Without a key for so long, a person is said to be idle."""


def idle_cell(row: Presence, now: datetime) -> Cell:
    return Cell(age(row.moved_at, now), "muted") if now - row.moved_at >= IDLE else Cell("here", "good")


def view_words(row: Presence) -> str:
    return clean(View.read(row.view).words, 200)


def _row_words(row: Presence) -> str:
    view = View.read(row.view)
    return clean(view.row, 100) if view.noun != "consoles" else ""


def _why(row: Presence, now: datetime) -> list[Line]:
    on = f", the cursor on {_row_words(row)}" if _row_words(row) else ""
    return [
        (f"{clean(row.person, 63)}: {view_words(row)}", "title"),
        f"since {relative(row.view_at, now)}{on}",
        f"last key {relative(row.moved_at, now)}; the console said so {relative(row.seen_at, now)}",
        "Enter opens the same view; f follows, until esc. The other person does not see that.",
    ]


CONSOLES: ListOf[Presence] = ListOf(
    "consoles",
    Presence,
    of=lambda plane: plane.of(PresenceDirectory),
    order="person",
    summary="List the consoles that are open: who looks at what, and since when they are idle.",
    means="Who is here, and what they look at. Enter opens the same view; f follows them, until esc.",
    nothing="No other console is open.",
    key=("console",),
    missing=NO_CONSOLE,
    label=lambda row: f"the console of {clean(row.person, 63)}",
    why=_why,
    search=lambda row: (row.person,),
    few=True,
    columns=(
        Column("person", priority=1, width=16, grow=True, sorts=True),
        Column("role", priority=4, width=9, filters=False, value=lambda row: row.role or "none"),
        Column("view", priority=1, width=24, grow=True, filters=False, title="LOOKS AT", value=view_words),
        Column("row", priority=3, width=14, grow=True, filters=False, title="CURSOR ON", value=_row_words),
        Column("since", AGE, priority=5, field="view_at", what="since when they look at it"),
        Column("console", filters=False, value=lambda row: row.key),
        Column("idle", AGE, priority=2, field="moved_at", cell=idle_cell, what="since the last key"),
    ),
)  # fmt: skip
