"""Importing logs of other programs, and what is said of a log of which nothing can be taken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.postgres.ingest import ingest
from backends.postgres.requests import LogImport, import_log
from backends.postgres.stream import Stream
from controlplane.errors import Usage
from controlplane.requestlogs.mappings import SHIPPED, TenantSource
from controlplane.requestlogs.model import Format, ImportReport, Skip
from controlplane.requestlogs.parsing import Log
from controlplane.requestlogs.telling import NothingTaken
from tests.backends.request_logs import nova_line
from tests.controlplane.test_logmappings import ALB_HTTP, CADDY
from tests.postgres import Database

Import = Callable[..., ImportReport]


@pytest.fixture
def run(database: Database) -> Import:
    """Import as an operator, who creates the tenants."""

    def run(path: Path, log: Log = Format.OPENSTACK_NOVA, **details: Any) -> ImportReport:
        return import_log(database.login("operator"), LogImport(path, log, create_tenants=True, **details))

    return run


def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner) as connection:
        return connection.execute(query.encode()).fetchall()


def json_log(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


THEIRS = {"tenant": "acme", "path": "/a", "status": 200, "at": "2026-01-01T00:00:00Z", "meta": {"zone": "eu"}}


def test_a_log_of_which_nothing_can_be_taken_says_what_it_has_and_what_is_wanted(
    database: Database, run: Import, tmp_path: Path
) -> None:
    path = json_log(tmp_path / "a.jsonl", THEIRS, THEIRS, THEIRS | {"colour": "\x1b[31m"})
    for dry_run in (True, False, False):  # also when an earlier import has seen the lines
        with pytest.raises(NothingTaken) as refused:
            run(path, Format.JSONL, dry_run=dry_run)
        told = refused.value.message
        assert refused.value.code == "log_nothing_taken" and refused.value.exit_code == 1
        assert "3 × a request without a tenant" in told
        assert "fields that its lines have: tenant, path, status, at, meta.zone, colour" in told
        assert "fields that jsonl wants: tenant_id, route, status, at" in told
        assert '{"tenant_id": "acme", "route": "/v1/orders"' in told
        assert len(refused.value.report.first) == (3 if dry_run else 0)
    assert ask(database, "SELECT FROM wf.requests") == []
    mixed = json_log(tmp_path / "b.jsonl", THEIRS, THEIRS | {"tenant_id": "acme", "route": "/a"})
    assert run(mixed, Format.JSONL).rows == 1, "something of it was taken"
    assert run(mixed, Format.JSONL).already_rows == 1


@pytest.mark.parametrize("log", [Format.COMBINED, SHIPPED["aws-alb"], SHIPPED["caddy"]])
def test_of_each_format_it_is_said_when_nothing_can_be_taken(run: Import, tmp_path: Path, log: Log) -> None:
    path = tmp_path / "a.log"
    path.write_text('{"what": "is this?"}\nnothing\n')
    with pytest.raises(NothingTaken) as refused:
        run(path, log, tenant_id="web")
    assert f"can be read as a request in the format {log}" in refused.value.message
    assert "fields that its lines have: what" in refused.value.message
    assert "a line of combined: 10.0.0.1 - - [" in refused.value.message or log is not Format.COMBINED
    assert (
        "caddy wants: at (ts), status (status), route (request.uri)" in refused.value.message or log != SHIPPED["caddy"]
    )


def test_a_log_with_nothing_but_other_messages_is_no_fault(run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"2017-05-16 00:00:04.500 2931 INFO nova.compute.manager [req-3 - - - - -] VM Started\n\n")
    assert run(path).skipped == {Skip.NOT_A_REQUEST: 1, Skip.BLANK: 1}
    assert run(path).rows == 0


def test_a_mapped_log_is_stored_once_and_read_anew_by_another_mapping(
    database: Database, run: Import, tmp_path: Path
) -> None:
    line = json.loads(CADDY)
    other = json.loads(CADDY.replace("acme", "beta").replace('"uri":"/"', '"uri":"/globex/orders/7"'))
    path = json_log(tmp_path / "a.json", line, other, line | {"logger": "http.log.error"})
    by_header = TenantSource.parse("header:X-Tenant")
    report = run(path, SHIPPED["caddy"], tenant_from=by_header)
    assert (report.rows, report.skipped) == (2, {Skip.NOT_A_REQUEST: 1})
    assert ask(
        database, "SELECT tenant_id, route, round(latency_ms::numeric, 3), bytes FROM wf.requests ORDER BY 1"
    ) == [
        ("acme", "/", Decimal("0.930"), 10900), ("beta", "/globex/orders/{id}", Decimal("0.930"), 10900)
    ]  # fmt: skip
    assert run(path, SHIPPED["caddy"], tenant_from=by_header).rows == 0
    report = run(path, SHIPPED["caddy"], tenant_from=TenantSource.parse("path:1"))
    assert (report.rows, report.skipped) == (1, {Skip.NO_TENANT: 1, Skip.NOT_A_REQUEST: 1})
    assert run(path, SHIPPED["caddy"], tenant_id="web").rows == 2
    own = replace(SHIPPED["caddy"], name="mine", identity="own 1", tenant=by_header)
    assert run(path, own).rows == 2
    assert run(path, replace(own, identity="own 2", tenant=TenantSource.parse("host"))).created_tenants == ["localhost"]


def test_a_log_of_a_known_program_is_recognised(run: Import, tmp_path: Path) -> None:
    path = json_log(tmp_path / "a.json", json.loads(CADDY))
    with pytest.raises(Usage, match="--format caddy"):
        run(path, Format.JSONL)
    path.write_text(ALB_HTTP + "\n")
    with pytest.raises(Usage, match="--format aws-alb"):
        run(path, SHIPPED["caddy"], tenant_id="web")


@pytest.mark.parametrize(
    ("log", "details", "code"),
    [
        (SHIPPED["caddy"], {}, "tenant_needed"),
        (SHIPPED["caddy"], {"tenant_id": "a", "tenant_from": TenantSource.parse("host")}, "tenant_twice"),
        (SHIPPED["aws-alb"], {"tenant_from": TenantSource.parse("header:X-Tenant")}, "tenant_from_unknown"),
        (Format.JSONL, {"tenant_from": TenantSource.parse("host")}, "tenant_not_needed"),
        (SHIPPED["caddy"], {"tenant_id": "a b"}, "tenant_id_format"),
    ],
)
def test_it_is_said_once_whose_requests_a_mapped_log_holds(
    run: Import, tmp_path: Path, log: Log, details: dict[str, Any], code: str
) -> None:
    with pytest.raises(Usage) as refused:
        run(json_log(tmp_path / "a.json", {}), log, **details)
    assert refused.value.code == code


def test_a_dry_run_shows_how_the_first_lines_are_read(run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"what?\n" + b"".join(nova_line(n) for n in range(20)))
    first = run(path, dry_run=True).first
    assert [line.line for line in first] == list(range(1, 11))
    assert first[0].found is Skip.UNREADABLE and first[0].start == "what?"
    assert first[1].record()["request"]["tenant_id"] == "acme"


def test_a_stream_of_which_nothing_can_be_taken_is_no_success(database: Database, tmp_path: Path) -> None:
    caddy = (json.dumps(json.loads(CADDY)) + "\n").encode()
    with pytest.raises(NothingTaken, match="fields that its lines have: tenant, path"):
        fed(database, json.dumps(THEIRS).encode() + b"\n", Format.JSONL)
    with pytest.raises(NothingTaken):
        fed(database, caddy, SHIPPED["traefik"], tenant_id="web")
    report = fed(database, caddy + b"what?\n", SHIPPED["caddy"], tenant_from=TenantSource.parse("header:X-Tenant"))
    assert (report.rows, report.skipped) == (1, {Skip.UNREADABLE: 1})


def fed(database: Database, data: bytes, log: Log, **details: Any) -> ImportReport:
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    try:
        job = LogImport(Path("stdin"), log, create_tenants=True, **details)
        return ingest(database.login("operator"), job, Stream(out), lambda words: None)
    finally:
        os.close(out)
