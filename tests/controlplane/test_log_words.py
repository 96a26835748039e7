"""What a person is told of an import, of a log from which nothing was taken, and of how its first lines are read."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.requestlogs.mappings import SHIPPED, TenantSource
from controlplane.requestlogs.model import Format, ImportReport, Skip
from controlplane.requestlogs.parsing import Log, Whose, parser
from controlplane.requestlogs.telling import (
    EXAMPLES,
    MAX_FIELDS,
    example,
    first_lines,
    found_fields,
    nothing_taken,
    report_lines,
    wanted,
)
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"rows": 1200, "lines": 1201}, ["1,200 requests stored of 1,201 lines"]),
        ({"rows": 1, "lines": 1, "dry_run": True}, ["1 request would be stored of 1 line"]),
        ({"already_lines": 1200}, ["0 requests stored of 0 lines", "1,200 lines had been stored before"]),
        ({"already_lines": 1}, ["0 requests stored of 0 lines", "1 line had been stored before"]),
        (
            {"skipped": {Skip.BLANK: 1, Skip.NO_TENANT: 3}, "first_lines": {Skip.BLANK: [4], Skip.NO_TENANT: [5, 6]}},
            [
                "0 requests stored of 0 lines",
                "1 skipped: empty line (line 4)",
                "3 skipped: a request without a tenant (lines 5, 6 …)",
            ],
        ),
        ({"unknown_tenants": ["acme", HOSTILE]}, ["0 requests stored of 0 lines", f"unknown tenants: acme, {SHOWN}"]),
        ({"created_tenants": [HOSTILE]}, ["0 requests stored of 0 lines", f"1 tenant created: {SHOWN}"]),
        (
            {"created_tenants": [f"t{n}" for n in range(21)]},
            ["0 requests stored of 0 lines", f"21 tenants created: {', '.join(f't{n}' for n in range(20))}"],
        ),
    ],
)
def test_what_an_import_did(fields: dict[str, Any], lines: list[str]) -> None:
    assert report_lines(ImportReport(**fields)) == lines


@pytest.mark.parametrize("log", Format)
def test_the_example_of_a_format_is_a_request_in_it(log: Format) -> None:
    whose = "acme" if log is Format.COMBINED else None
    [read] = first_lines([EXAMPLES[log].encode()], parser(log, whose))
    record = read.record()
    assert read.line == 1 and record["skipped"] is None and record["request"]["status"] == 200
    assert example(log) == [f"a line of {log}: {EXAMPLES[log]}"] and example(SHIPPED["caddy"]) == []


def test_a_line_that_is_skipped_says_why_and_shows_its_start() -> None:
    long, short = first_lines([b"x" * 500, b"\xff"], parser(Format.JSONL))
    assert (long.line, short.line) == (1, 2) and (long.start, short.start) == ("x" * 400, "\ufffd")
    assert long.record() == {"line": 1, "request": None, "skipped": "unreadable"}
    assert short.record() == {"line": 2, "request": None, "skipped": "not_text"}


CADDY = "fields that caddy wants: at (ts), status (status), route (request.uri)"


@pytest.mark.parametrize(
    ("log", "whose", "told"),
    [
        (Format.JSONL, None, ["fields that jsonl wants: tenant_id, route, status, at"]),
        (Format.COMBINED, "acme", []),
        (SHIPPED["aws-alb"], "acme", []),
        (SHIPPED["caddy"], "acme", [CADDY]),
        (SHIPPED["caddy"], TenantSource("host"), [f"{CADDY}, tenant (host)"]),
    ],
)
def test_which_fields_a_format_wants(log: Log, whose: Whose, told: list[str]) -> None:
    assert wanted(log, whose) == told


def test_the_fields_that_were_found_are_named_as_a_mapping_writes_them() -> None:
    assert found_fields([b'{"a": {"b": 1, "c": {}}, "d": {}}', b"no JSON", b'{"d": 2, "e": [1]}']) == [
        "a.b",
        "a.c",
        "d",
        "e",
    ]
    assert found_fields([b'{"\\u001b[31mred\\u202e": 1}']) == [SHOWN]
    many = b"{" + b",".join(b'"f%d": 1' % n for n in range(MAX_FIELDS + 1)) + b"}"
    assert found_fields([many])[MAX_FIELDS - 1 :] == [f"f{MAX_FIELDS - 1}", "and 1 more"]
    assert len(found_fields([many.replace(b'"f0": 1,', b"")])) == MAX_FIELDS


def test_a_log_from_which_nothing_was_taken_says_what_was_expected() -> None:
    report = ImportReport(lines=1200, skipped={Skip.UNREADABLE: 1200})
    refusal = nothing_taken("log.txt", Format.JSONL, None, report, [b'{"path": "/"}'])
    assert refusal.code == "log_nothing_taken" and refusal.report is report
    assert refusal.message.startswith(
        "log.txt holds no line that can be read as a request in the format jsonl.\n  1,200 × not"
    )
    assert [each.partition(":")[0] for each in refusal.why][1:] == [
        "a line of jsonl",
        "fields that its lines have",
        "fields that jsonl wants",
    ]
    plain = nothing_taken("log.txt", Format.COMBINED, "acme", report, [b"no JSON"])
    assert len(plain.why) == 2 and plain.message.endswith('"curl/8.5.0".')


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    report = ImportReport(unknown_tenants=[LONG], created_tenants=[LONG])
    assert cuts(report_lines(report)) == [64, 64]
    assert cuts(found_fields([f'{{"{LONG}": 1}}'.encode()])) == [64]
