"""`find`: whom a text belongs to."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from app.cli import asking
from app.cli.asked import READING, Reading, opened
from app.cli.lists import row_lines
from app.cli.output import listed, say, tell
from app.cli.parameters import Parameter
from controlplane.find import FOUND, MAX_SOUGHT_CHARACTERS, Finder, seek

Sought = Annotated[str, Parameter(allow_leading_hyphen=True, help="What to look for; - or nothing: a line of stdin.")]


async def find(text: Sought = "-", /, *, asked: Reading = READING) -> None:
    """Find whom a text belongs to: a tenant, an owner's whole address, a key, a secret, a request id, an operator.

    Without a text, or with -, one line of stdin is read, so that a secret is not an argument. It is only hashed.
    """
    sought = seek(asking.piped(MAX_SOUGHT_CHARACTERS) if text == "-" else text)
    async with opened(asked) as context:
        rows = await context.home.of(Finder).look(sought)
        now = context.home.clock.now()
    if asked.json:
        listed([dataclasses.asdict(row) for row in rows], now)
        return
    for line in row_lines(FOUND.table, rows, now):
        say(line)
    tell(f"{len(rows):,} found")
