"""`… | watchfloor requests ingest`: lines from a pipe, stored as they come."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from app.cli.asked import CHANGING, Changing, opened
from app.cli.importing import Bar, FormatName, Tenant, TenantFrom, as_record, say_lines, tell_report
from app.cli.output import changed, tell
from app.cli.parameters import Parameter
from app.cli.writing import refuse_read_only
from controlplane.errors import Refusal
from controlplane.requestlogs.model import MAX_LINE_BYTES, ImportReport, Skip
from controlplane.requestlogs.parsing import parser
from controlplane.requestlogs.telling import FINE, FIRST, first_lines, nothing_taken

if TYPE_CHECKING:
    from backends.postgres.requests import LogImport


async def ingest(
    *,
    format: FormatName = "jsonl",
    tenant: Tenant = None,
    tenant_from: TenantFrom = None,
    create_tenants: Annotated[bool, Parameter(help="Create unknown tenants.")] = False,
    asked: Changing = CHANGING,
) -> int:
    """Store request lines from stdin until it ends: tail -F access.log | watchfloor requests ingest.

    A stream that starts over (tail -n +1 -F) goes on where it was; while the home cannot be reached nothing is read.
    --dry-run shows how the first ten lines are read, and stores nothing. The formats are those of requests import.
    """
    from app.logformats import log_format, tenant_source
    from app.settings import load
    from backends.postgres.ingest import ingest_requests
    from backends.postgres.requests import LogImport, check

    reason = asked.reason or "ingest of a stream"
    job = LogImport(
        *(Path("stdin"), log_format(format, load()), tenant, create_tenants, False),
        *(asked.dry_run, reason, asked.request_id, tenant_source(tenant_from)),
    )
    check(job)
    if asked.dry_run:
        await try_lines(job, asked)
        return 0
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
        return await tell_report(context.home, report, asked)


async def try_lines(job: LogImport, asked: Changing) -> None:
    """Show how the first lines are read. Raises Refusal when none of them can be taken."""
    lines = await _lines(sys.stdin.fileno())
    if not lines:
        raise Refusal("log_empty", "The stream ended without a line.", "Is it fed?")
    report = ImportReport(lines=len(lines), dry_run=True, first=first_lines(lines, parser(job.format, job.whose)))
    for line in report.first:
        if isinstance(line.found, Skip):
            report.skip(line.found, line.line)
        else:
            report.rows += 1
    if not asked.json:
        say_lines(report.first)
    if not report.rows and not set(report.skipped) <= FINE:
        raise nothing_taken("The stream", job.format, job.whose, report, lines)
    if asked.json:
        changed(as_record(report), asked.request_id, dry_run=True)


async def _lines(descriptor: int) -> list[bytes]:
    """The first lines that the stream has. Waits in short steps, so that ctrl+c ends it."""
    data = b""
    while data.count(b"\n") < FIRST and len(data) < FIRST * MAX_LINE_BYTES:
        if not select.select([descriptor], [], [], 0)[0]:
            await asyncio.sleep(0.05)
            continue
        block = os.read(descriptor, MAX_LINE_BYTES)
        if not block:
            break
        data += block
    return data.removesuffix(b"\n").split(b"\n")[:FIRST] if data else []
