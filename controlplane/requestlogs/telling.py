"""What a person is told about how lines are read, and about a log from which nothing was imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.errors import Refusal
from controlplane.formatting import count_words
from controlplane.requestlogs.mapped import json_fields
from controlplane.requestlogs.mappings import LogMapping
from controlplane.requestlogs.model import Format, ImportReport, RequestRow, Skip
from controlplane.requestlogs.parsing import Log, Parser, Whose
from controlplane.text import clean

FIRST = 10
"""How many lines are shown."""
MAX_FIELDS = 40
FINE = frozenset({Skip.BLANK, Skip.NOT_A_REQUEST, Skip.UNAUTHENTICATED, Skip.UNFINISHED})
"""A log with nothing but such lines may still be in the format that was named."""
EXAMPLES = {
    Format.OPENSTACK_NOVA: (
        "2026-11-29 10:00:00.008 25746 INFO nova.osapi_compute.wsgi.server"
        " [None req-1 USER PROJECT - - default default] 10.0.0.1"
        ' "GET /v2.1/servers HTTP/1.1" status: 200 len: 1893 time: 0.2477829'
    ),
    Format.COMBINED: '10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /v1/orders HTTP/1.1" 200 1893 "-" "curl/8.5.0"',
    Format.JSONL: (
        '{"tenant_id": "acme", "route": "/v1/orders", "method": "GET", "status": 200, "latency_ms": 12.5,'
        ' "at": "2026-11-29T10:00:00Z"}'
    ),
}


class NothingTaken(Refusal):
    """A log had no request to import. `report` says what was found instead."""

    def __init__(self, message: str, hint: str, why: Sequence[str], report: ImportReport) -> None:
        super().__init__("log_nothing_taken", message, hint, why)
        self.report = report


@dataclass(frozen=True)
class LineRead:
    """One line, and what it was read as. `start` is foreign text."""

    line: int
    start: str
    found: RequestRow | Skip

    def record(self) -> dict[str, Any]:
        if isinstance(self.found, Skip):
            return {"line": self.line, "request": None, "skipped": self.found.value}
        return {"line": self.line, "request": self.found._asdict(), "skipped": None}


def report_lines(report: ImportReport) -> list[str]:
    """What an import did, a line for each thing worth knowing; the first has the totals."""
    stored = "would be stored" if report.dry_run else "stored"
    lines = [f"{count_words(report.rows, 'request')} {stored} of {count_words(report.lines, 'line')}"]
    if report.already_lines:
        lines.append(f"{count_words(report.already_lines, 'line')} had been stored before")
    for reason, number in report.skipped.items():
        first = report.first_lines.get(reason, [])
        places = ", ".join(map(str, first)) + (" …" if number > len(first) else "")
        lines.append(f"{number:,} skipped: {reason.words} (line{'' if number == 1 else 's'} {places})")
    if report.unknown_tenants:
        names = ", ".join(clean(name, 64) for name in report.unknown_tenants)
        lines.append(f"unknown tenants: {names}")
    if report.created_tenants:
        names = ", ".join(clean(name, 64) for name in report.created_tenants[:20])
        lines.append(f"{count_words(len(report.created_tenants), 'tenant')} created: {names}")
    return lines


def first_lines(lines: Iterable[bytes], parse: Parser) -> list[LineRead]:
    found = enumerate(lines, 1)
    return [LineRead(number, line[:400].decode(errors="replace"), parse(line)) for number, line in found]


def nothing_taken(name: str, log: Log, whose: Whose, report: ImportReport, lines: Iterable[bytes]) -> NothingTaken:
    reasons = [f"{number:,} × {reason.words}" for reason, number in report.skipped.items()]
    told = [f"{name} holds no line that can be read as a request in the format {log}.", *reasons]
    told += example(log)
    if found := found_fields(lines):
        told.append(f"fields that its lines have: {', '.join(found)}")
    told += wanted(log, whose)
    hint = (
        "Fields of other names are mapped in the settings file (docs/requests.md); --dry-run shows how lines are read."
    )
    return NothingTaken("\n  ".join(told) + ".", hint, told[1:], report)


def example(log: Log) -> list[str]:
    return [] if isinstance(log, LogMapping) else [f"a line of {log}: {EXAMPLES[log]}"]


def wanted(log: Log, whose: Whose) -> list[str]:
    if isinstance(log, LogMapping) and log.is_json:
        source = None if isinstance(whose, str) else whose or log.tenant
        return [f"fields that {log} wants: {', '.join(log.wanted(source))}"]
    return ["fields that jsonl wants: tenant_id, route, status, at"] if log is Format.JSONL else []


def found_fields(lines: Iterable[bytes]) -> list[str]:
    """The names of the fields in these lines that are JSON objects, as a mapping would write them."""
    names: dict[str, None] = {}
    for line in lines:
        fields = json_fields(line.decode(errors="replace"))
        if isinstance(fields, Skip):
            continue
        for name, value in fields.items():
            inner = value if isinstance(value, dict) and value else {}
            names |= dict.fromkeys([f"{name}.{key}" for key in inner] or [name])
    told = [clean(name, 64) for name in names]
    return told if len(told) <= MAX_FIELDS else [*told[:MAX_FIELDS], f"and {len(told) - MAX_FIELDS} more"]
