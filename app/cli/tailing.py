"""`watchfloor requests tail`: single requests as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Words, refuse_alone
from app.cli.output import finish, jsonable, say, tell
from app.cli.parameters import Parameter
from controlplane.errors import HomeUnreachable, Usage
from controlplane.filters.grammar import parse
from controlplane.filters.values import asked_field
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import Fresh, RequestDirectory, StoredRequest, bounds
from controlplane.requests.tail import MAX_ROWS
from controlplane.requests.words import kept_words
from controlplane.text import cells as cells_of
from controlplane.text import clean, fit

LOOK_SECONDS = 1.0
AWAY_SECONDS = 5.0
SHOWN = [column for column in REQUESTS.printed if column.name not in ("id", "at")]
CELLS = {"tenant": 16, "route": 32, "key": 16}
"""Widths that differ from the screen's: lines that are printed one by one cannot be aligned afterwards."""


async def tail(
    *words: Words,
    follow: Annotated[bool, Parameter(help="Follow new requests, until ctrl+c.")] = False,
    limit: Annotated[int, Parameter(help=f"How many to begin with, 0 to {MAX_ROWS:,}.")] = 20,
    asked: Reading = READING,
) -> None:
    """Print the newest requests, oldest first; --follow prints new ones as they come. Filter: tenant:acme status>499.

    With --json each request is one line of JSON. What comes faster than it can be printed is counted on stderr.
    """
    if not 0 <= limit <= MAX_ROWS:
        raise Usage("limit_out_of_range", f"It begins with 0 to {MAX_ROWS:,} requests, not with {limit}.", "")
    if (alone := asked_field(" ".join(words), REQUESTS.fields)) is not None:
        await refuse_alone(REQUESTS, *alone, asked)
    terms = parse(" ".join(words), REQUESTS.fields)
    async with opened(asked) as context:
        directory, clock = context.home.of(RequestDirectory), context.home.clock
        if gone := kept_words(bounds(terms, clock.now())[0], await directory.kept_from()):
            tell(gone)
        fresh = await directory.newest(terms, limit)
        _print(fresh, fresh.as_of, as_json=asked.json)
        while follow:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                fresh = await directory.after(fresh.mark, terms, MAX_ROWS)
            except HomeUnreachable as refusal:  # the mark stays: nothing is lost
                tell(f"{refusal.message} Trying again.")
                await asyncio.sleep(AWAY_SECONDS)
                continue
            _print(fresh, fresh.as_of, as_json=asked.json)


def _print(fresh: Fresh, now: datetime, *, as_json: bool) -> None:
    if (left_out := fresh.found - len(fresh.rows)) > 0:
        tell(f"{left_out:,} older ones left out: they came too fast")
    for line in _lines(fresh.rows, now, as_json=as_json):
        say(line)
    finish()  # who reads it through a pipe sees it now


def _lines(rows: Iterable[StoredRequest], now: datetime, *, as_json: bool) -> Iterator[str]:
    for row in rows:
        if as_json:
            yield json.dumps(jsonable(REQUESTS.record(row, now)), allow_nan=False)
            continue
        cells = [f"{row.at:%Y-%m-%dT%H:%M:%SZ}"]
        for column in SHOWN:
            text, size = clean(column.plain(row, now), 400), CELLS.get(column.name, column.width)
            cells.append(fit(text, max(size, cells_of(text)), "right" if column.kind.right else "left"))
        yield "  ".join(cells).rstrip()
