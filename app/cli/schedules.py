"""Schedules on the command line: one at a time, with its week, and the proof of when nobody is on call."""

from __future__ import annotations

import asyncio
from typing import Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import text_lines
from app.cli.output import Column, document, say, table, tell
from app.cli.parameters import Parameter
from controlplane.errors import Refusal
from controlplane.formatting import parse_moment, spell
from controlplane.lists import Line
from controlplane.schedules.calendar import monday_of, week_of, zones_of
from controlplane.schedules.directory import ScheduleDirectory
from controlplane.schedules.list import as_record
from controlplane.schedules.rules import uncovered
from controlplane.schedules.words import (
    cells_of,
    local,
    override_words,
    proof_words,
    rotation_lines,
    turn_lines,
    week_lines,
)
from controlplane.text import clean

WIDTH = 78


async def show_schedule(
    name: str,
    /,
    *,
    at: Annotated[str | None, Parameter(help='At another time: 2h, or "2026-03-08 02:30 America/New_York".')] = None,
    asked: Reading = READING,
) -> None:
    """Show a schedule: who is on call and who is next, now or at another time, and the week."""
    async with opened(asked) as context:
        when = parse_moment(at, context.home.clock.now()) if at else None
        row = await context.home.of(ScheduleDirectory).get(name, when)
    if asked.json:
        document({"item": as_record(row)})
        return
    kept = row.kept
    lines: list[Line] = [f"{name} at {row.at:%Y-%m-%d %H:%M} UTC", *turn_lines(row), *rotation_lines(kept)]
    lines += [f"override {override_words(each, row.at)}" for each in kept.overrides if each.until > row.at]
    if kept.schedule is not None:
        zone = zones_of(kept.schedule)[0]
        week = week_of(kept.schedule, monday_of(row.at, zone), zone, cells_of(WIDTH))
        lines += ["", *week_lines(week, row.at)]
    for line in text_lines(lines):
        say(clean(line).rstrip())


async def prove(name: str, /, *, asked: Reading = READING) -> int:
    """List every minute of the next 12 months in which nobody is on call. The exit code is 1 when there are any."""
    async with opened(asked) as context:
        row = await context.home.of(ScheduleDirectory).get(name)
    kept = row.kept
    if kept.schedule is None:
        raise Refusal("schedule_unreadable", f"{name} cannot be read: {kept.fault}", "Edit it from a file.")
    found = await asyncio.to_thread(uncovered, kept.schedule, row.at)
    zone = zones_of(kept.schedule)[0]
    if asked.json:
        items = [
            {"start": span.start, "end": span.end, "seconds": (span.end - span.start).total_seconds()} for span in found
        ]
        document({"items": items, "next": None, "total": len(items), "as_of": row.at})
        return 1 if found else 0
    if found:
        heads = [Column(f"NOBODY FROM ({zone})"), Column("TO"), Column("FROM (UTC)"), Column("FOR", "right")]
        table(
            heads,
            [
                [local(span.start, zone), local(span.end, zone), f"{span.start:%Y-%m-%d %H:%M}",
                 spell((span.end - span.start).total_seconds())]
                for span in found
            ],
        )  # fmt: skip
    tell(clean(proof_words(found)))
    return 1 if found else 0
