"""What support asks: whom a text belongs to, and who acts for which tenant."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from cyclopts import Parameter

from app.cli import asking
from app.cli.asked import READING, Reading, opened
from app.cli.lists import Face, listing_command
from app.cli.output import Column, document, table, tell
from controlplane.find import LONGEST, seek
from controlplane.formatting import show
from controlplane.impersonations import model

IMPERSONATIONS = Face(
    "impersonations",
    lambda home: home.impersonations,
    model.FIELDS,
    model.SORTS,
    {
        Column("NO", "right"): lambda row, now: str(row.id),
        Column("TENANT"): lambda row, now: row.tenant_id,
        Column("WHO"): lambda row, now: row.actor,
        Column("STATE"): lambda row, now: row.state,
        Column("MODE"): lambda row, now: row.mode,
        Column("TICKET"): lambda row, now: row.ticket,
        Column("STARTED"): lambda row, now: show(row.started_at, row.started_at, "utc"),
        Column("UNTIL"): lambda row, now: show(row.ended_at or row.ends_at, row.started_at, "utc"),
        Column("REASON"): lambda row, now: row.reason,
    },
    newest_first=True,
)


Sought = Annotated[str, Parameter(allow_leading_hyphen=True, help="What to look for; - or nothing: a line of stdin.")]


impersonations = listing_command(
    IMPERSONATIONS, "List who acts for which tenant and who did, newest first: state:open finds those of now."
)


async def find(text: Sought = "-", /, *, asked: Reading = READING) -> None:
    """Find whom a text belongs to: a tenant, an owner's whole address, a key, a secret, a request id, an operator.

    Without a text, or with -, one line of stdin is read: so a secret need not be an argument. It is only hashed.
    """
    sought = seek(asking.piped(LONGEST) if text == "-" else text)
    async with opened(asked) as context:
        rows = await context.home.finder.look(sought)
        now = context.home.clock.now()
    if asked.json:
        items = [dataclasses.asdict(row) for row in rows]
        document({"items": items, "next": None, "total": len(items), "as_of": now})
        return
    columns = [Column("WHAT"), Column("ID"), Column("ABOUT"), Column("STATE"), Column("TENANT")]
    table(columns, [[row.kind, row.id, row.words, row.state, row.tenant_id or ""] for row in rows])
    tell(f"{len(rows):,} found")
