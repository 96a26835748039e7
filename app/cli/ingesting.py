"""`… | watchfloor requests ingest`: lines from a pipe, stored as they come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.cli.asked import CHANGING, Changing, opened
from app.cli.importing import Bar, FormatName, tell_report
from app.cli.output import tell
from app.cli.writing import refuse_read_only
from controlplane.errors import Usage


async def ingest(
    *,
    format: Annotated[FormatName, Parameter(help="What the lines are.")] = "jsonl",
    tenant: Annotated[str | None, Parameter(help="Whose requests combined lines hold.")] = None,
    create_tenants: Annotated[bool, Parameter(help="Create the tenants that are not known.", negative="")] = False,
    asked: Changing = CHANGING,
) -> None:
    """Store request lines from stdin until it ends: tail -F access.log | watchfloor requests ingest.

    Fed again from its beginning (tail -n +1 -F), a stream goes on where it was; while the home is away nothing is read.
    """
    from backends.postgres.ingest import ingest_requests
    from backends.postgres.requests import LogImport
    from controlplane.requestlogs.model import Format

    if asked.dry_run:
        raise Usage(
            "usage", "A stream cannot be tried without storing it.", "watchfloor requests import has --dry-run."
        )
    reason = asked.reason or "ingest of a stream"
    job = LogImport(Path("stdin"), Format(format), tenant, create_tenants, False, False, reason, asked.request_id)
    async with opened(asked) as context:
        await refuse_read_only(context)
        bar = Bar() if sys.stderr.isatty() else None
        try:
            report = await ingest_requests(
                context.home.conninfo, job, sys.stdin.fileno(), tell, bar.show if bar else None, context.home.revive
            )
        finally:
            if bar:
                bar.clear()
        await tell_report(context.home, report, asked)
