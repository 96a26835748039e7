"""The list of silences: active ones first, those that end first at the top; then what cannot be read, what is to come,
and what is over.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from controlplane.lists import COUNT, ID, TIME, UNTIL, Cell, Column, ListOf, Status, Tone, status
from controlplane.silences.directory import STANDINGS, SilenceDirectory, SilenceRow, Standing
from controlplane.silences.refusals import NO_SILENCE
from controlplane.silences.words import hides_words, matchers_text, matchers_words, why_of

STATES: dict[Standing, Status] = {
    "active": Status("◐", "warn"),
    "unreadable": Status("✕", "bad"),
    "pending": Status("◌", "muted"),
    "expired": Status("○", "muted"),
}


def _hides(row: SilenceRow, now: datetime) -> Cell:
    words = hides_words(row)
    return Cell(words, "unknown" if row.hides is None else "warn" if row.hides else "")


def _matchers(row: SilenceRow, now: datetime) -> Cell:
    tone: Tone = "bad" if row.standing == "unreadable" else "muted" if row.standing == "expired" else ""
    return Cell(matchers_words(row.silence), tone)


def _rank(row: SilenceRow) -> float:
    """What ends next comes first; of what is over, what ended last."""
    until = row.silence.until.timestamp()
    return STANDINGS.index(row.standing) * 1e11 + (-until if row.standing == "expired" else until)


def as_record(row: SilenceRow) -> dict[str, Any]:
    """Every field, flat, for `d`, exports and `--json`."""
    record = dataclasses.asdict(row.silence) | {"state": row.standing, "hides": row.hides, "until": row.silence.until}
    return record | {
        "matchers": [dataclasses.asdict(each) for each in row.silence.matchers],
        "matches": matchers_text(row.silence),
        "after_seconds": int(record.pop("after").total_seconds()),
        "hides_more": row.more,
    }


SILENCES = ListOf(
    "silences",
    SilenceRow,
    of=lambda plane: plane.of(SilenceDirectory),
    order="state",
    summary="List silences: active ones first. state:active,pending leaves out what is over.",
    means="Alerts of which nobody is told for a while, and why. Of past silences only the newest 500 are listed.",
    nothing="Nothing is silenced. Press a, then s, to silence alerts.",
    empty="None matches. Press esc to clear the filter, or a, then s, to silence alerts.",
    missing=NO_SILENCE,
    label=lambda row: f"silence {row.silence.id}",
    opens=lambda row: ("silences", row.key),
    why=why_of,
    record=lambda row, now: as_record(row),
    search=lambda row: (matchers_text(row.silence), row.silence.comment, row.silence.created_by),
    few=True,
    columns=(
        Column("state", status(STATES, STANDINGS), priority=1, width=12, sorts=True, value=lambda row: row.standing,
               rank=_rank),
        Column("matches", priority=1, width=22, grow=True, cell=_matchers, value=lambda row: matchers_text(row.silence),
               what="what it hides: all of these hold"),
        Column("hides", COUNT, priority=2, width=9, title="HIDES NOW", cell=_hides,
               what="how many open alerts it hides now"),
        Column("until", UNTIL, priority=3, value=lambda row: row.silence.until, what="when it ends, or did"),
        Column("who", priority=4, width=8, field="created_by", value=lambda row: row.silence.created_by, also=("by",)),
        Column("comment", priority=5, width=14, grow=True, value=lambda row: row.silence.comment),
        Column("ends", priority=10, width=9, title="ENDS WHEN", value=lambda row: row.silence.ends,
               what="at its time; or before it, once all is resolved or unmatched"),
        Column("starts", TIME, priority=10, value=lambda row: row.silence.starts_at, field="starts_at"),
        Column("id", ID, priority=9, width=4, title="NO", value=lambda row: row.key),
    ),
)  # fmt: skip
