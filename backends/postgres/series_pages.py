"""Many series, a page at a time: one statement finds which things the window has, then one reads their cells."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import TupleRow

from backends.postgres.cells import placed, read_marks, sources
from backends.postgres.statements import scalar
from controlplane.errors import Usage
from controlplane.telemetry import cursors
from controlplane.telemetry.model import ManySeries, Scope, Series, SeriesPage, whole_steps

if TYPE_CHECKING:
    from backends.postgres.home import Connection, Home

KIND = "series"
MAX_SERIES_PER_PAGE = 200
MAX_PAGE_POINTS = 20_000
"""The most points of all series of a page together."""
Part = tuple[str, datetime, datetime]

# For each `by`: the thing's column in cells, and which cells; its column in raw rows, and which rows. Without a tenant,
# `tenant` is ''.
CUTS = {
    "tenant": ("tenant_id", "dim = 'route' AND tenant_id <> ''", "tenant_id", "true"),
    "route": ("route", "dim = 'route' AND tenant_id = %(tenant)s AND route <> ''", "route", "true"),
    "key": ("value", "dim = 'key' AND tenant_id = %(tenant)s", 'key_prefix COLLATE "C"', "key_prefix IS NOT NULL"),
    "region": ("value", "dim = 'region' AND tenant_id = %(tenant)s", 'region COLLATE "C"', "region IS NOT NULL"),
}
CELLS = """SELECT {thing}, {clock}, n, errors_4xx, errors_5xx, latency_max, buckets, counts FROM {table}
WHERE {where} AND {clock} >= %(lower)s AND {clock} < %(upper)s AND {thing} = ANY(%(things)s)"""
RAW = """
SELECT thing, step, sum(n), sum(errors_4xx), sum(errors_5xx), max(latency_max),
       coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{{}}'),
       coalesce(array_agg(n ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{{}}')
FROM (SELECT {thing} AS thing, date_bin(%(step)s, at, %(start)s) AS step, wf.latency_bucket(latency_ms) AS bucket,
             count(*)::integer AS n, count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS errors_4xx,
             count(*) FILTER (WHERE status >= 500) AS errors_5xx, max(latency_ms) AS latency_max
      FROM wf.requests WHERE {where} AND at >= %(lower)s AND at < %(upper)s AND {thing} = ANY(%(things)s)
      GROUP BY 1, 2, 3) AS buckets
GROUP BY thing, step"""
THINGS = """SELECT {thing} AS thing FROM {table}
WHERE {where} AND {clock} >= {lower} AND {clock} < {upper} AND {thing} > %(after)s"""


async def read_page(home: Home, asked: ManySeries, after: str | None) -> SeriesPage:
    async with home.connection() as connection:
        place = ""
        if after is not None:
            asked, place = await _resumed(connection, asked, after)
        _check(asked)
        start, steps = whole_steps(asked.start, asked.end, asked.step)
        marks = await read_marks(connection)
        parts = list(sources(marks, start, start + steps * asked.step, asked.step))
        values: dict[str, Any] = {"tenant": asked.tenant_id or "", "step": asked.step, "start": start, "after": place}
        found = await _things(connection, asked, parts, values)
        things = found[: asked.limit]
        rows: dict[str, list[TupleRow]] = {thing: [] for thing in things}
        for source, lower, upper in parts if things else []:
            statement = sql.SQL(_statement(asked, source))
            cursor = connection.cursor(binary=True)
            await cursor.execute(statement, values | {"lower": lower, "upper": upper, "things": things})
            for thing, *row in await cursor.fetchall():
                rows[thing].append(tuple(row))
        following = None
        if len(found) > asked.limit:
            following = await _cursor(connection, asked, things[-1])
    items = [
        Series(_scope(asked, thing), start, asked.step, placed(rows[thing], start, asked.step, steps), marks.now)
        for thing in things
    ]
    return SeriesPage(tuple(items), following, marks.now)


def _check(asked: ManySeries) -> None:
    if not 1 <= asked.limit <= MAX_SERIES_PER_PAGE:
        raise Usage("limit_out_of_range", f"A page has 1 to {MAX_SERIES_PER_PAGE} series, not {asked.limit}.")
    if asked.by == "key" and asked.tenant_id is None:
        raise Usage("scope_unreadable", "Keys belong to a tenant.", "Name the tenant as well.")
    if asked.by == "tenant" and asked.tenant_id is not None:
        raise Usage("scope_unreadable", "A page of tenants covers all tenants.", "Leave the tenant out.")
    if asked.limit * ((asked.end - asked.start) / asked.step) > MAX_PAGE_POINTS:
        raise Usage(
            "window_unreadable",
            f"A page has at most {MAX_PAGE_POINTS:,} points.",
            "Ask for fewer series or longer steps.",
        )


async def _things(
    connection: Connection, asked: ManySeries, parts: Sequence[Part], values: dict[str, Any]
) -> list[str]:
    """The next things after the cursor's place: one more than fits on a page."""
    cell, cells_where, raw, raw_where = CUTS[asked.by]
    texts = []
    for number, (source, lower, upper) in enumerate(parts):
        values |= {f"lower{number}": lower, f"upper{number}": upper}
        of_raw = source == "raw"
        clock = "at" if of_raw else source[:-1]
        texts.append(
            THINGS.format(
                thing=raw if of_raw else cell,
                table="wf.requests" if of_raw else _cells(source, number),
                where=_of_tenant(asked, raw_where) if of_raw else cells_where,
                clock=clock,
                lower=f"%(lower{number})s",
                upper=f"%(upper{number})s",
            )
        )
    if not texts:
        return []
    every = " UNION ".join(f"({text} GROUP BY 1 ORDER BY 1 LIMIT %(limit)s)" for text in texts)
    statement = sql.SQL(f"SELECT thing FROM ({every}) AS found ORDER BY thing LIMIT %(limit)s")
    cursor = await connection.execute(statement, values | {"limit": asked.limit + 1})
    return [row[0] for row in await cursor.fetchall()]


def _of_tenant(asked: ManySeries, where: str) -> str:
    return where + (" AND tenant_id = %(tenant)s" if asked.tenant_id is not None else "")


def _statement(asked: ManySeries, source: str) -> str:
    cell, cells_where, raw, raw_where = CUTS[asked.by]
    if source == "raw":
        return RAW.format(thing=raw, where=_of_tenant(asked, raw_where))
    return CELLS.format(thing=cell, where=cells_where, clock=source[:-1], table=_cells(source))


def _cells(source: str, number: int | str = "") -> str:
    return "wf.hour_cells" if source == "hours" else f"wf.minute_cells(%(lower{number})s, %(upper{number})s)"


def _scope(asked: ManySeries, thing: str) -> Scope:
    if asked.by == "tenant":
        return Scope(thing)
    named = {"route": thing} if asked.by == "route" else {"key_prefix" if asked.by == "key" else "region": thing}
    return Scope(asked.tenant_id, **named)


async def _cursor(connection: Connection, asked: ManySeries, place: str) -> str:
    held = {
        "by": asked.by,
        "start": asked.start.isoformat(),
        "end": asked.end.isoformat(),
        "step": asked.step.total_seconds(),
        "limit": asked.limit,
    }
    text = cursors.body(KIND, asked.tenant_id, held, [place])
    return cursors.sealed(text, await _signature(connection, text))


async def _resumed(connection: Connection, asked: ManySeries, cursor: str) -> tuple[ManySeries, str]:
    text, signature = cursors.opened(cursor)
    if not hmac.compare_digest(signature, await _signature(connection, text)):
        raise cursors.forged()
    held, place = cursors.place_of(text, KIND, asked.tenant_id)
    start, end = datetime.fromisoformat(held["start"]), datetime.fromisoformat(held["end"])
    step = timedelta(seconds=held["step"])
    return ManySeries(held["by"], start, end, step, asked.tenant_id, held["limit"]), place[0]


async def _signature(connection: Connection, text: str) -> bytes:
    return bytes(await scalar(connection, "SELECT wf.sign_cursor(%s)", [text]))
