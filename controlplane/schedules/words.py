"""Schedules in words: who is on call and who is next, a week as bars, and when nobody is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controlplane.formatting import count_words, relative, spell
from controlplane.lists import Line
from controlplane.schedules.calendar import Turns, Week, by_person, zones_of
from controlplane.schedules.directory import KeptOverride, KeptSchedule, ScheduleRow
from controlplane.schedules.model import Duty, Rotation, Span
from controlplane.schedules.texts import hours_text, shift_text
from controlplane.text import UNKNOWN, clean, fit
from controlplane.zones import zone_of

NOBODY = "nobody"
MAX_ZONES = 4
NAME_CELLS = 13
WHOLE, PART = "█", "▄"
PER_DAY = (24, 12, 8, 6, 4, 3)
"""How many cells a day may have, from the widest."""
SHOWN_SPANS = 100


def person_words(duty: Duty | None) -> str:
    return clean(duty.person, 100) if duty else NOBODY


def by_words(duty: Duty | None) -> str:
    """By what: the rotation, and the override that changed it."""
    if duty is None:
        return ""
    override = f"override {duty.override}" if duty.override is not None else ""
    return ", ".join(filter(None, (clean(duty.rotation, 64), override)))


def local(at: datetime, zone: str) -> str:
    """ "Mon 2026-12-07 09:00"."""
    return f"{at.astimezone(zone_of(zone)):%a %Y-%m-%d %H:%M}"


def across(at: datetime, zones: Sequence[str]) -> str:
    """A time by the clocks of each zone."""
    return ", ".join(f"{local(at, zone)} {zone}" for zone in dict.fromkeys([*zones[:MAX_ZONES], "UTC"]))


def now_words(turns: Turns, zones: Sequence[str]) -> str:
    """For a preview, and while a form is filled in."""
    until = f" until {local(turns.until, zones[0])} {zones[0]}, then {person_words(turns.next)}" if turns.until else ""
    return f"on call now: {person_words(turns.now)}{until}"


def proof_words(found: Sequence[Span]) -> str:
    """In one line when nobody is on call within the 12 months that were looked at."""
    if not found:
        return "somebody is on call in every minute of the next 12 months"
    total = sum(((span.end - span.start) for span in found), timedelta())
    first = f"the first from {found[0].start:%Y-%m-%d %H:%M} UTC"
    times = "once" if len(found) == 1 else f"{len(found):,} times"
    return f"nobody is on call {times} in the next 12 months, for {spell(total.total_seconds())} in total, {first}"


def rotation_words(rotation: Rotation) -> str:
    only = f", only {'; '.join(map(hours_text, rotation.only))}" if rotation.only else ""
    people = " → ".join(clean(person, 60) for person in rotation.people)
    begins = f"every {shift_text(rotation.shift)} from {rotation.starts:%Y-%m-%d %H:%M} {rotation.zone}"
    return f"{clean(rotation.name, 64)}: {people}, {begins}{only}"


def override_words(override: KeptOverride, now: datetime) -> str:
    what = "besides" if override.kind == "add" else f"for {clean(override.instead_of, 60) or 'whoever is on call'}"
    times = f"{override.starts_at:%Y-%m-%d %H:%M} to {override.until:%Y-%m-%d %H:%M} UTC"
    over = " (over)" if override.until <= now else ""
    return f"{override.id}: {clean(override.person, 60)} {what}, {times}{over}, by {clean(override.created_by, 63)}"


def turn_lines(row: ScheduleRow) -> list[Line]:
    """Who is on call and who is next, by the clocks of every zone of the schedule."""
    kept, turns = row.kept, row.turns
    if kept.retired_at is not None:
        return [(f"retired {relative(kept.retired_at, row.at)}: nobody is on call by it", "muted")]
    if kept.schedule is None or turns is None:
        hint = f"nobody is on call by it; watchfloor schedules edit {kept.name} --rotations FILE replaces it"
        return [(f"cannot be read: {clean(kept.fault, 1000)}", "bad"), hint]
    zones = zones_of(kept.schedule)
    by = f" ({by_words(turns.now)})" if turns.now else ""
    lines: list[Line] = [(f"on call: {person_words(turns.now)}{by}", "title" if turns.now else "bad")]
    if turns.until is None:
        return [*lines, "nothing changes within 12 months"]
    lines.append(f"for {until_words(row)} more, until")
    lines += [f"  {local(turns.until, zone)} {zone}" for zone in dict.fromkeys([*zones[:MAX_ZONES], "UTC"])]
    return [*lines, (f"then: {person_words(turns.next)}", "" if turns.next else "bad")]


def rotation_lines(kept: KeptSchedule) -> list[Line]:
    if kept.schedule is None:
        return []
    lines: list[Line] = [("rotations; the first that has somebody counts", "title")]
    return [*lines, *(f"  {rotation_words(each)}" for each in kept.schedule.rotations)]


def override_lines(overrides: Sequence[KeptOverride], now: datetime) -> list[Line]:
    if not overrides:
        return [("none in the last 100 days, and none planned", "muted")]
    newest = sorted(overrides, key=lambda each: each.starts_at, reverse=True)
    return [(override_words(each, now), "muted" if each.until <= now else "") for each in newest]


# A week


def cells_of(width: int) -> int:
    """How many cells a day has in lines of that width."""
    room = (width - NAME_CELLS - 8) // 7
    return next((number for number in PER_DAY if number <= room), PER_DAY[-1])


def bar_lines(week: Week, at: datetime) -> list[Line]:
    """One row for each person. A cell is full when all of it is theirs, and half when a part is."""
    cells, gap = week.per_day, " " * NAME_CELLS
    days = [week.monday + timedelta(days=n) for n in range(7)]
    shape = "%a %d" if cells >= 6 else "%a"
    lines: list[Line] = [(f"{gap} " + " ".join(fit(f"{day:{shape}}", cells) for day in days), "title")]
    now = week.place(at)
    if now is not None:
        lines.append((f"{fit('now', NAME_CELLS)} " + " " * (now + now // cells) + "▼", "muted"))
    for person, shares in week.rows:
        marks = "".join(WHOLE if share > 0.999 else PART if share > 0 else " " for share in shares)
        bars = "│".join(marks[n * cells : (n + 1) * cells] for n in range(7))
        here = now is not None and shares[now] > 0
        tone = "bad" if not person else "good" if here else ""
        lines.append((f"{fit(clean(person, 60) or NOBODY, NAME_CELLS)}│{bars}│", tone))
    return lines


def week_lines(week: Week, at: datetime) -> list[Line]:
    """The bars, on which days the clocks change, and every hand-off."""
    lines: list[Line] = [
        (f"week of {week.monday:%Y-%m-%d}, by the clocks of {week.zone}", "muted"),
        *bar_lines(week, at),
    ]
    for day, hours in week.changed:
        lines.append((f"{day:%a %d}: the clocks change, the day has {hours:g} hours", "warn"))
    lines.append("")
    joined = by_person(week.spans)
    for span in joined[:SHOWN_SPANS]:
        begin, end = (f"{edge.astimezone(zone_of(week.zone)):%a %d %H:%M}" for edge in (span.start, span.end))
        by = f"  {by_words(span.duty)}" if span.duty else ""
        lines.append((f"{begin} – {end}  {person_words(span.duty)}{by}", "" if span.duty else "bad"))
    if len(joined) > SHOWN_SPANS:
        lines.append((f"… and {count_words(len(joined) - SHOWN_SPANS, 'more hand-off')}", "muted"))
    return lines


def until_words(row: ScheduleRow) -> str:
    if row.turns is None:
        return UNKNOWN
    return "no change" if row.turns.until is None else spell((row.turns.until - row.at).total_seconds())
