"""The list of schedules: those by which nobody is on call first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controlplane.filters.grammar import Term
from controlplane.lists import COUNT, Cell, Column, Line, ListOf, Status, status
from controlplane.schedules.calendar import people_of, zones_of
from controlplane.schedules.directory import STANDINGS, KeptSchedule, ScheduleDirectory, ScheduleRow, Standing
from controlplane.schedules.model import Duty
from controlplane.schedules.refusals import NO_SCHEDULE
from controlplane.schedules.words import by_words, person_words, rotation_lines, turn_lines, until_words
from controlplane.text import UNKNOWN

STATES: dict[Standing, Status] = {
    "covered": Status("●", "good"),
    "nobody": Status("◌", "warn"),
    "unreadable": Status("✕", "bad"),
    "retired": Status("○", "muted"),
}


def _zones(kept: KeptSchedule) -> str:
    return " ".join(zones_of(kept.schedule)) if kept.schedule else UNKNOWN


def _people(kept: KeptSchedule) -> list[str]:
    return people_of(kept.schedule.rotations) if kept.schedule else []


def _now(row: ScheduleRow, now: datetime) -> Cell:
    if row.turns is None:
        return Cell("" if row.standing == "retired" else UNKNOWN, "unknown")
    return Cell(person_words(row.turns.now), "" if row.turns.now else "warn")


def _until(row: ScheduleRow, now: datetime) -> Cell:
    return Cell("" if row.standing == "retired" else until_words(row), "" if row.turns else "unknown")


def _next(row: ScheduleRow, now: datetime) -> Cell:
    if row.turns is None or row.turns.until is None:
        return Cell("")
    return Cell(person_words(row.turns.next), "" if row.turns.next else "warn")


def why_of(row: ScheduleRow, now: datetime) -> list[Line]:
    return [(f"schedule {row.kept.name}: {row.standing}", "title"), *turn_lines(row), *rotation_lines(row.kept)]


def _duty(duty: Duty | None) -> dict[str, Any] | None:
    return None if duty is None else {"person": duty.person, "by": by_words(duty)}


def as_record(row: ScheduleRow) -> dict[str, Any]:
    """Every field for `d`, exports and `--json`. `rotations` is the document, which a file may hold as it is."""
    kept, turns = row.kept, row.turns
    return {
        "name": kept.name,
        "state": row.standing,
        "at": row.at,
        "now": _duty(turns.now) if turns else None,
        "until": turns.until if turns else None,
        "next": _duty(turns.next) if turns and turns.until else None,
        "zone": _zones(kept),
        "people": _people(kept),
        "rotations": kept.rotations,
        "overrides": [dataclasses.asdict(each) for each in kept.overrides],
        "fault": kept.fault,
        **{name: getattr(kept, name) for name in ("version", "created_at", "created_by", "updated_at", "retired_at")},
    }


SCHEDULES = ListOf(
    "schedules",
    ScheduleRow,
    of=lambda plane: plane.of(ScheduleDirectory),
    order="state",
    summary="List schedules: who is on call now, until when, and who is next.",
    means="Who is on call, until when, and who is next. /state:retired shows the retired ones.",
    nothing="No schedule yet. Press a, then n, to make one.",
    empty="None matches. Press esc to clear the filter, or a, then n, to make one.",
    key=("name",),
    missing=NO_SCHEDULE,
    label=lambda row: row.kept.name,
    opens=lambda row: ("schedules", row.key),
    why=why_of,
    record=lambda row, now: as_record(row),
    search=lambda row: (row.kept.name, *_people(row.kept)),
    few=True,
    columns=(
        Column("name", priority=1, width=14, title="SCHEDULE", grow=True, sorts=True, value=lambda row: row.kept.name),
        Column("state", status(STATES, STANDINGS), priority=4, width=12, sorts=True, value=lambda row: row.standing,
               rank=lambda row: STANDINGS.index(row.standing)),
        Column("now", priority=1, width=12, title="ON CALL", grow=True, cell=_now, also=("person",),
               value=lambda row: row.turns.now.person if row.turns and row.turns.now else ""),
        Column("until", priority=2, width=9, title="FOR", filters=False, cell=_until, value=lambda row: None,
               what="how long that person still is"),
        Column("next", priority=3, width=12, title="THEN", grow=True, cell=_next,
               value=lambda row: row.turns.next.person if row.turns and row.turns.next else ""),
        Column("zone", priority=5, width=14, grow=True, value=lambda row: _zones(row.kept)),
        Column("people", COUNT, priority=10, width=6, value=lambda row: len(_people(row.kept)) or None,
               what="how many take turns"),
        Column("overrides", COUNT, priority=10, width=9, what="how many are not over",
               value=lambda row: sum(each.until > row.at for each in row.kept.overrides)),
    ),
)  # fmt: skip


def shown(rows: Sequence[ScheduleRow], terms: Sequence[Term], now: datetime) -> list[ScheduleRow]:
    """Those that match a filter. Retired ones match only when the filter asks for them."""
    retired = any(t.field == "state" and "retired" in t.values and not t.negated for t in terms)
    return SCHEDULES.matching([row for row in rows if retired or row.standing != "retired"], terms, now)
