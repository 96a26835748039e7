"""What the objectives' list shows of a row. Only what is known to be well is green."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.objectives.model import Standing, State
from controlplane.objectives.words import burn_words, empties_words, left_words, target_words
from screens.widgets.columns import Cell, Column, Tone

STATE: dict[State, tuple[str, str, Tone]] = {
    "page": ("✕", "page", "bad"),
    "ticket": ("◐", "ticket", "warn"),
    "unknown": ("?", "unknown", "unknown"),
    "insufficient data": ("?", "too little data", "unknown"),
    "ok": ("●", "ok", "good"),
}


def state_cell(state: State) -> Cell:
    glyph, word, tone = STATE[state]
    return Cell(f"{glyph} {word}", tone)


def left_cell(standing: Standing) -> Cell:
    left = standing.remaining
    tone: Tone = "unknown" if left is None else "bad" if left <= 0 else "warn" if left < 0.25 else ""
    return Cell(left_words(left), tone)


def burn_cell(standing: Standing) -> Cell:
    rate = standing.burn
    return Cell(burn_words(rate), "unknown" if rate is None else "warn" if rate > 1 else "")


def objective_columns() -> Sequence[Column[Standing]]:
    return (
        Column("name", "OBJECTIVE", 12, 1, lambda s: Cell(s.objective.name), grow=True),
        Column("scope", "OF", 12, 2, lambda s: Cell(s.objective.scope), grow=True),
        Column("state", "STATE", 17, 3, lambda s: state_cell(s.state)),
        Column("budget", "LEFT", 9, 4, left_cell, "right", field="remaining"),
        Column("burn", "BURN", 6, 5, burn_cell, "right"),
        Column("empty", "EMPTY IN", 9, 6, lambda s: Cell(empties_words(s)), "right", field="empties_in_seconds"),
        Column("target", "TARGET", 8, 7, lambda s: Cell(target_words(s.objective.target)), "right"),
        Column("period", "WINDOW", 7, 8, lambda s: Cell(s.objective.period)),
        Column("kind", "KIND", 12, 9, lambda s: Cell(s.objective.kind)),
        Column("id", "NO", 4, 10, lambda s: Cell(s.objective.key), "right"),
    )
