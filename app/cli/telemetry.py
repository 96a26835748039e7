"""`watchfloor telemetry …`: requests over time, who has most, and whether what is shown can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, document, listed, table, tell, write
from app.cli.parameters import Parameter
from app.cli.writing import refuse_read_only
from controlplane.errors import Usage
from controlplane.exports import Heading, chunks
from controlplane.formatting import count, milliseconds, parse_duration, parse_time, percent, show, spell
from controlplane.telemetry.model import ManySeries, Point, RequestTelemetry, Scope, Series, Source
from controlplane.telemetry.ports import Rollups
from controlplane.telemetry.reading import series_as_kept, series_of
from controlplane.telemetry.tops import MIN_REQUESTS_RANKED, By, Measure, TopRow
from controlplane.text import UNKNOWN, clean

if TYPE_CHECKING:
    from controlplane.telemetry.retention import Rolled

ROUND_STEPS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86_400)
"""The steps, in seconds, to choose from when none is asked for."""
MAX_TABLE_STEPS = 60
"""The most steps of a window that is shown as a table."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window that ends at a time, or now: `--window` before it, or from `--start`."""

    window: Annotated[str | None, Parameter(help="How long: 15m, 6h, 7d … 90d; default: 1h.")] = None
    start: Annotated[str | None, Parameter(help="From when, as 2026-11-21T05:00Z.")] = None
    end: Annotated[str | None, Parameter(help="Until when, excluded; default: now.")] = None

    def read(self, now: datetime) -> tuple[datetime, datetime]:
        end = parse_time(self.end) if self.end else now
        if self.start is None:
            return end - timedelta(seconds=parse_duration(self.window or "1h")), end
        if self.window is not None:
            raise Usage("usage", "Give --window or --start, not both.")
        return parse_time(self.start), end


WINDOW = Window()
StepText = Annotated[str | None, Parameter(help="The length of a step: 1m, 1h, 1d; default: it fits the window.")]
Tenant = Annotated[str | None, Parameter(help="Of this tenant; default: all tenants.")]
Route = Annotated[str | None, Parameter(help="Of this route.")]
Key = Annotated[str | None, Parameter(help="Of the key with this prefix; needs its tenant.")]
Region = Annotated[str | None, Parameter(help="Of this region.")]
From = Annotated[Source, Parameter(help="Whose numbers: home, or prometheus, which the settings name.")]
Form = Literal["csv", "json", "ndjson", "svg"]
Each = Annotated[
    Literal["tenant", "route", "key", "region"] | None, Parameter(help="One series for each, a page at a time.")
]
After = Annotated[
    str | None, Parameter(help="The next page: the cursor that the last page printed; it holds the window.")
]


@dataclass(frozen=True, kw_only=True)
class Which:
    """The series that are asked for."""

    tenant: Tenant = None
    route: Route = None
    key: Key = None
    region: Region = None
    by: Each = None
    limit: Annotated[int, Parameter(help="Series of a page.")] = 20
    after: After = None
    step: StepText = None
    source: From = "home"

    @property
    def scope(self) -> Scope:
        return Scope(self.tenant, self.route, self.key, self.region)


WHICH = Which()


def step_of(text: str | None, start: datetime, end: datetime) -> timedelta:
    if text is not None:
        return timedelta(seconds=parse_duration(text))
    seconds = (end - start).total_seconds()
    return timedelta(seconds=next((step for step in ROUND_STEPS if seconds <= step * MAX_TABLE_STEPS), ROUND_STEPS[-1]))


async def series(
    *,
    which: Which = WHICH,
    window: Window = WINDOW,
    asked: Reading = READING,
) -> None:
    """Show requests, errors and latencies over time. Unknown steps are gaps."""
    found, following, _, as_of = await _read(which, window, asked)
    by, notes = which.by, notes_of(found)
    if asked.json:
        items = [record for each in found for record in records(each, every=True)]
        document({"items": items, "next": following, "total": None, "as_of": as_of, "notes": notes})
        return
    columns = [Column("AT"), *([Column(by.upper())] if by else [])]
    columns += [Column(name, "right") for name in ("REQUESTS", "4XX", "5XX", "ERR%", "P50", "P95", "P99")]
    rows = [
        [show(at, at, "utc"), *([named(each.scope, by)] if by else []), *words(point)]
        for each in found
        for at, point in zip(each.times(), each.points, strict=True)
        if point is not None or not by
    ]
    table(columns, rows)
    for note in notes:
        tell(f"{which.source} says: {clean(note)}")
    if following:
        tell(f"next page: --after {following}")


async def export(
    *,
    which: Which = WHICH,
    window: Window = WINDOW,
    form: Annotated[Form, Parameter(help="The format; svg draws charts of one scope.", name="--format")] = "csv",
    asked: Reading = READING,
) -> None:
    """Write series as CSV, JSON or NDJSON: a row for each step; one of which nothing is known has empty fields."""
    if form == "svg" and (which.by or which.after or asked.json):
        raise Usage("usage", "A drawing is of one series.", "Leave --by, --after and --json out.")
    found, following, context, as_of = await _read(which, window, asked)
    if form == "svg":
        write(_drawn(found[0]))
        return
    label = f"each {which.by}" if which.by else which.scope.label if which.after else found[0].label
    heading = Heading(context, "telemetry", label, "at", as_of, notes_of(found))
    rows = [record for each in found for record in records(each)]
    names = list(rows[0]) if rows else ["at"]
    for piece in chunks("json" if asked.json else form, heading, names, rows):
        write(piece.replace("\r\n", "\n"))
    if following:
        tell(f"next page: --after {following}")


def notes_of(found: Sequence[Series]) -> list[str]:
    """What the source says may be missing, each note once."""
    return list(dict.fromkeys(note for each in found for note in each.notes))


def _drawn(found: Series) -> str:
    """The charts of the console's screen, under each other."""
    from controlplane.telemetry import chartviews
    from controlplane.telemetry.measures import CHARTS_OF, Measured
    from controlplane.telemetry.svg import drawing

    span = len(found.points) * found.step
    view = chartviews.View(found.scope, chartviews.Window(span, found.start + span), source=found.source)
    return drawing(Measured(view, found), list(CHARTS_OF))


async def _read(which: Which, window: Window, asked: Reading) -> tuple[Sequence[Series], str | None, str, datetime]:
    """The series, the cursor of the next page, the context's name, and the home's time of asking."""
    scope = which.scope
    async with opened(asked) as context:
        now = context.home.clock.now()
        start, end = window.read(now)
        step = step_of(which.step, start, end)
        if which.by is None and which.after is None:
            if which.step is None:  # no step was asked for: hours where the minutes are no longer kept
                [found] = await series_as_kept(context.home, which.source, [scope], start, end, step)
            else:
                found = await series_of(context.home, which.source, scope, start, end, step)
            return [found], None, context.name, found.as_of
        if which.source != "home":
            raise Usage("usage", "Prometheus is asked for one scope at a time.", "Leave --by and --after out.")
        if scope != Scope(scope.tenant_id):
            raise Usage("usage", "A page of series is of one tenant or of all.", "Leave route, key and region out.")
        many = ManySeries(which.by or "tenant", start, end, step, scope.tenant_id, which.limit)
        page = await context.home.of(RequestTelemetry).page(many, which.after)
        if not page.items:
            await context.home.of(RequestTelemetry).require(scope)
        return page.items, page.next, context.name, page.items[0].as_of if page.items else now


def named(scope: Scope, by: str | None) -> str:
    parts = {"tenant": scope.tenant_id, "route": scope.route, "key": scope.key_prefix, "region": scope.region}
    return clean(parts.get(by or "") or scope.label)


def words(point: Point | None) -> list[str]:
    if point is None:
        return [UNKNOWN] * 7
    counts = [count(point.n), count(point.errors_4xx), count(point.errors_5xx), percent(point.error_share)]
    return [*counts, *map(milliseconds, (point.p50, point.p95, point.p99))]


def records(found: Series, *, every: bool = False) -> list[dict[str, Any]]:
    """A record for each step, for another program. `every`: with the histogram."""
    rows = []
    for at, point in zip(found.times(), found.points, strict=True):
        row: dict[str, Any] = {"at": at} | dataclasses.asdict(found.scope)
        for name in ("n", "errors_4xx", "errors_5xx", "error_share", "p50", "p95", "p99", "latency_max"):
            row[name] = None if point is None else getattr(point, name)
        if every:
            row["histogram"] = None if point is None else dataclasses.asdict(point.latency)
        rows.append(row)
    return rows


async def top(
    by: Annotated[By, Parameter(help="tenant, route or key.")] = "tenant",
    /,
    *,
    measure: Annotated[Measure, Parameter(help="requests, errors, error_share, p95 or growth.")] = "requests",
    tenant: Tenant = None,
    route: Route = None,
    key: Key = None,
    region: Region = None,
    limit: Annotated[int, Parameter(help="Rows.")] = 20,
    window: Window = WINDOW,
    asked: Reading = READING,
) -> None:
    """Show who has most of something, from what was rolled up; growth is against the same window a week before."""
    async with opened(asked) as context:
        start, end = window.read(context.home.clock.now())
        scope = Scope(tenant, route, key, region)
        found = await context.home.of(RequestTelemetry).top(by, start, end, measure, limit, scope)
        if not found.rows:
            await context.home.of(RequestTelemetry).require(scope)
    if asked.json:
        items = [_top_record(row) for row in found.rows]
        listed(items, found.as_of, start=found.start, end=found.end, by=by, measure=measure)
        return
    columns = [Column(by.upper()), *([Column("TENANT")] if by != "tenant" else [])]
    columns += [Column(name, "right") for name in ("REQUESTS", "5XX", "ERR%", "P95", "P99", "× WEEK BEFORE")]
    table(columns, [_top_words(by, row) for row in found.rows])
    if found.end <= found.start:
        tell("Nothing of this window is rolled up yet: watchfloor telemetry roll-up")
        return
    floor = f"; of at least {MIN_REQUESTS_RANKED} requests" if measure in ("error_share", "p95", "growth") else ""
    tell(f"{show(found.start, found.start, 'utc')} to {show(found.end, found.end, 'utc')}{floor}")


def _top_words(by: By, row: TopRow) -> list[str]:
    name = {"tenant": row.tenant_id, "route": row.route, "key": row.key_prefix}[by]
    grown = UNKNOWN if row.growth is None else f"{row.growth:.2f}"
    who = [name or UNKNOWN, *([row.tenant_id or "all"] if by != "tenant" else [])]
    counts = [count(row.n), count(row.errors_5xx), percent(row.error_share)]
    return [*who, *counts, milliseconds(row.p95), milliseconds(row.p99), grown]


def _top_record(row: TopRow) -> dict[str, Any]:
    record = {name: value for name, value in dataclasses.asdict(row).items() if name != "latency"}
    return record | {name: getattr(row, name) for name in ("error_share", "p95", "p99", "growth")}


async def status(*, asked: Reading = READING) -> None:
    """Show how far the roll-up has come, what is kept, and rows whose day has no partition."""
    async with opened(asked) as context:
        found = await context.home.of(Rollups).status()
    if asked.json:
        document({"item": dataclasses.asdict(found)})
        return
    columns = [Column("DATA"), Column("DAYS", "right"), Column("PARTS", "right"), Column("SIZE", "right")]
    columns += [Column("FROM"), Column("UNTIL"), Column("STRAYS", "right")]
    rows = [
        [
            kept.data,
            str(kept.days),
            count(kept.parts),
            f"{kept.bytes / 1e6:,.1f} MB",
            show(kept.from_at, found.as_of, "utc"),
            show(kept.until_at, found.as_of, "utc"),
            count(kept.strays) if kept.strays <= 10_000 else "10,000+",
        ]
        for kept in found.kept
    ]
    table(columns, rows)
    tell(_how_far(found.rolled_at, found.behind, found.minutes_due, found.hours_due))
    for kept in found.kept:
        if kept.strays:
            tell(f"{kept.data}: rows lie in the default partition, because their day has none.")
    if found.ahead_until is None or found.ahead_until < found.as_of + timedelta(days=1):
        tell("No partitions are made for the days to come: watchfloor telemetry roll-up makes them.")


def _how_far(rolled_at: datetime | None, behind: float | None, minutes: int, hours: int) -> str:
    if rolled_at is None:
        return "Nothing was rolled up here yet: watchfloor telemetry roll-up, or a worker (watchfloor worker)."
    due = f"; {minutes:,} minutes and {hours:,} hours are due" if minutes or hours else ""
    return f"rolled up {show(rolled_at, rolled_at, 'utc')}, {spell(behind)} behind now{due}"


async def roll_up(*, asked: Reading = READING) -> None:
    """Roll up what was stored since the last time, until nothing is left; a worker does this every minute."""
    runs: list[Rolled] = []
    async with opened(asked) as context:
        await refuse_read_only(context)
        await context.home.of(Rollups).make_ahead()
        while not runs or runs[-1].minutes_left or runs[-1].hours_left:
            runs.append(await context.home.of(Rollups).roll_up())
            if not runs[-1].minutes and not runs[-1].hours:
                break
    minutes, hours, cells = (sum(getattr(run, name) for run in runs) for name in ("minutes", "hours", "cells"))
    if asked.json:
        last = dataclasses.asdict(runs[-1]) | {"minutes": minutes, "hours": hours, "cells": cells}
        document({"item": last})
        return
    tell(f"{minutes:,} minutes and {hours:,} hours rolled up, {cells:,} cells changed")


async def verify(*, window: Window = WINDOW, asked: Reading = READING) -> int:
    """Compare what was rolled up with the raw rows; exit code 1 when they differ."""
    async with opened(asked) as context:
        start, end = window.read(context.home.clock.now())
        found = await context.home.of(Rollups).verify(start, end)
    if asked.json:
        document({"item": dataclasses.asdict(found)})
        return 1 if found.differences else 0
    columns = [Column("AT"), Column("STEP"), Column("TENANT"), Column("CELL"), Column("ROLLED", "right")]
    columns += [Column("RAW", "right"), Column("DIFFERS IN")]
    rows = [
        [
            show(each.at, each.at, "utc"),
            each.step,
            each.tenant_id or "all",
            f"{each.dim} {each.value or each.route or '(all)'}",
            count(each.rolled),
            count(each.raw),
            each.what,
        ]
        for each in found.differences
    ]
    if rows:
        table(columns, rows)
    tell(f"{found.cells:,} cells compared, {len(rows):,} differ" + (f"; {found.due:,} are due" if found.due else ""))
    if not found.cells:
        tell("Nothing could be compared: nothing of this window is rolled up, or its raw rows are gone.")
    return 1 if rows else 0
