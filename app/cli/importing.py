"""`watchfloor requests import FILE`: a request log streamed into home, with its progress on stderr."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import CHANGING, Changing, opened
from app.cli.output import answering, changed, say, tell
from app.cli.parameters import Parameter
from app.cli.writing import refuse_read_only
from controlplane.errors import HomeUnreachable
from controlplane.requestlogs.model import Skip
from controlplane.requestlogs.telling import NothingTaken, report_lines
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.requestlogs.model import ImportReport, Progress
    from controlplane.requestlogs.telling import LineRead

FormatName = Annotated[
    str,
    Parameter(help="openstack-nova, combined, jsonl, caddy, traefik, envoy, nginx-json, aws-alb, or your settings'."),
]
Tenant = Annotated[str | None, Parameter(help="The tenant of all lines, when the lines do not name one.")]
TenantFrom = Annotated[
    str | None,
    Parameter(
        help="Where each line of a mapped format names its tenant: host, host:N, path:N, header:NAME, field:PATH."
    ),
]


async def requests(
    file: Annotated[Path, Parameter(help="The log, plain or gzip.")],
    /,
    *,
    format: FormatName,
    tenant: Tenant = None,
    tenant_from: TenantFrom = None,
    create_tenants: Annotated[bool, Parameter(help="Create unknown tenants.")] = False,
    strict: Annotated[bool, Parameter(help="Stop at the first line that cannot be read.")] = False,
    asked: Changing = CHANGING,
) -> int:
    """Import a request log. The same file twice changes nothing.

    --dry-run shows how the first ten lines are read, and what would be stored. A line of jsonl is an object with
    tenant_id, route, status and at (ISO 8601), and may have method, latency_ms, bytes, request_id, project_id,
    key_prefix and region. docs/requests.md has all formats, and how a mapping of your own is written.
    """
    from app.logformats import log_format, tenant_source
    from app.settings import load
    from backends.postgres.requests import LogImport, check, import_requests

    job = LogImport(
        *(file, log_format(format, load()), tenant, create_tenants, strict),
        *(asked.dry_run, asked.reason, asked.request_id, tenant_source(tenant_from)),
    )
    check(job)
    async with opened(asked) as context:
        if not asked.dry_run:
            await refuse_read_only(context)
        bar = Bar() if sys.stderr.isatty() else None
        try:
            report = await import_requests(context.home.conninfo, job, bar.show if bar else None)
        except NothingTaken as nothing:
            if not asked.json:
                say_lines(nothing.report.first)
            raise
        finally:
            if bar:
                bar.clear()
        return await tell_report(context.home, report, asked)


async def tell_report(home: Any, report: ImportReport, asked: Changing) -> int:
    """Print what was stored, with its audit row, if the home can still be reached. Returns 1 when nothing was stored
    because no tenant is known.
    """
    rows: list[int] = []
    if not asked.dry_run:
        try:
            rows = await _audit_ids(home, asked.request_id)
        except HomeUnreachable as refusal:
            look = f"watchfloor audit list request:{asked.request_id}"
            tell(f"It is stored; its row of the audit trail cannot be read now. {refusal.message} Later: {look}")
    if asked.dry_run:
        _print(report, rows, asked)
    else:
        with answering(f"audit: {' '.join(map(str, rows))}" if rows else ""):
            _print(report, rows, asked)
    return int(report.only_unknown)


def _print(report: ImportReport, rows: list[int], asked: Changing) -> None:
    if not asked.json:
        _say(report, rows)
        return
    changed(as_record(report), asked.request_id, audit_ids=rows, dry_run=asked.dry_run)


async def _audit_ids(home: Any, request_id: str) -> list[int]:
    found = await home.recorded(request_id)
    return [row.seq for row in found.rows] if found else []


def as_record(report: ImportReport) -> dict[str, Any]:
    record = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    record["skipped"] = {reason.value: number for reason, number in report.skipped.items()}
    record["first_lines"] = {reason.value: lines for reason, lines in report.first_lines.items()}
    record["first"] = [line.record() for line in report.first]
    return record


def say_lines(lines: Sequence[LineRead]) -> None:
    """Print how each line is read, or why it cannot be."""
    for line in lines:
        if isinstance(line.found, Skip):
            say(f"line {line.line}: {line.found.words}: {clean(line.start, 60)}")
            continue
        row, known = line.found, []
        if row.latency_ms is not None:
            known.append(f"{row.latency_ms:,.3f} ms")
        if row.bytes is not None:
            known.append(f"{row.bytes:,} bytes")
        for name in ("project_id", "key_prefix", "region", "request_id"):
            if value := getattr(row, name):
                known.append(f"{name} {value}")
        words = f"{row.tenant_id}  {row.at.isoformat()}  {row.method} {row.route} {row.status}  {', '.join(known)}"
        say(f"line {line.line}: {clean(words.rstrip(), 400)}")


def _say(report: ImportReport, audit_ids: list[int]) -> None:
    say_lines(report.first)
    for line in report_lines(report):
        say(line)
    if report.unknown_tenants:
        say("--create-tenants creates them")
    for note in report.notes:
        tell(clean(note, 400))
    if audit_ids:
        tell(f"audit: {' '.join(map(str, audit_ids))}")


class Bar:
    """A progress line that is overwritten, with the rate and the time left. Called in the importer's thread."""

    def show(self, progress: Progress) -> None:
        rate = f"{progress.rows:,} rows, {progress.rows_per_second:,.0f}/s"
        if progress.bytes_total:
            share = min(1.0, progress.bytes_done / progress.bytes_total)
            done = int(share * 20)
            rate = f"[{'#' * done}{'.' * (20 - done)}] {share:4.0%}  {rate}{self._left(progress, share)}"
        tell(f"\r{rate:<78.78}", end="")

    def _left(self, progress: Progress, share: float) -> str:
        if not share or not progress.rows_per_second:
            return ""
        seconds = progress.rows / progress.rows_per_second * (1 - share) / share
        return f", {seconds:,.0f} s left"

    def clear(self) -> None:
        tell(f"\r{'':78}\r", end="")
