"""Importing request logs: what is stored, exactly once, and what a person is told about bad input."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.postgres import logfile
from backends.postgres.import_ledger import Ledger
from backends.postgres.requests import LogImport, import_log, import_requests
from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.requestlogs.model import Format, ImportReport, Progress, Skip
from controlplane.telemetry.model import percentile
from tests.backends.request_logs import nova_line, nova_log, real_log
from tests.postgres import Database

NOVA = Format.OPENSTACK_NOVA
Import = Callable[..., ImportReport]


@pytest.fixture
def operator(database: Database) -> str:
    return database.login("operator")


@pytest.fixture
def run(operator: str) -> Import:
    """Import as an operator; tenants are created unless the test says otherwise."""

    def run(path: Path, log: Format = NOVA, *, show: Any = None, stop: Any = None, **details: Any) -> ImportReport:
        return import_log(operator, LogImport(path, log, **({"create_tenants": True} | details)), show, stop)

    return run


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "CHUNK", 20_000)


def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner) as connection:
        return connection.execute(query.encode()).fetchall()


def stored(database: Database) -> tuple[int, int]:
    """Rows, and different request ids."""
    return ask(database, "SELECT count(*), count(DISTINCT request_id) FROM wf.requests")[0]


def everything(database: Database) -> list[Any]:
    tables = ("requests", "request_hours", "import_chunks", "tenants", "tenant_activity", "audit", "changes")
    return [ask(database, f"SELECT t::text FROM wf.{table} t ORDER BY 1") for table in tables]


def test_the_real_nova_log(database: Database, run: Import) -> None:
    report = run(real_log("openstack-nova-2k.log"))
    assert report.lines == 2000
    assert report.skipped == {Skip.NOT_A_REQUEST: 983, Skip.NO_TENANT: 208}
    assert report.rows == 809 == 1017 - 208
    assert report.first_lines[Skip.NO_TENANT][0] == 41
    assert report.created_tenants == ["54fadb412c4e40cdbaed9335e4c35a9e", "e9746973ac574c6b8a9e8857f56a7608"]
    assert ask(database, "SELECT count(*) FROM wf.requests_default") == [(0,)]
    assert ask(
        database,
        "SELECT sum(n), sum(errors_4xx), sum(errors_5xx) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''",
    ) == [(809, 21, 0)]
    latencies = [row[0] for row in ask(database, "SELECT latency_ms FROM wf.requests WHERE tenant_id LIKE '54fad%'")]
    activity = ask(
        database, "SELECT per_minute, error_share, p95_ms FROM wf.tenant_activity WHERE tenant_id LIKE '54fad%'"
    )
    assert activity == [(pytest.approx(len(latencies) / 60, rel=1e-6), 0.0, pytest.approx(percentile(latencies, 0.95)))]


def test_the_real_combined_log(database: Database, run: Import) -> None:
    report = run(real_log("apache-combined-10k.log"), Format.COMBINED, tenant_id="web")
    assert (report.rows, report.lines, report.skipped) == (10_000, 10_000, {})
    counts = "count(*) FILTER (WHERE status >= 500), count(latency_ms), count(DISTINCT at::date)"
    assert ask(database, f"SELECT {counts} FROM wf.requests WHERE tenant_id = 'web'") == [(3, 0, 4)]
    # No latency in the log: unknown in the hours as well, never a bucket of zeros.
    assert ask(
        database,
        "SELECT sum(n), max(cardinality(counts)), max(latency_sum) FROM wf.hour_cells"
        " WHERE dim = 'route' AND tenant_id <> ''",
    ) == [(10_000, 0, None)]
    assert ask(database, "SELECT p95_ms, per_minute > 0 FROM wf.tenant_activity WHERE tenant_id = 'web'") == [
        (None, True)
    ]


@pytest.mark.parametrize("name", ["openstack-nova-2k.log", "apache-combined-10k.log"])
def test_a_real_log_twice_changes_nothing(database: Database, run: Import, name: str) -> None:
    log, tenant = (NOVA, None) if "nova" in name else (Format.COMBINED, "web")
    first = run(real_log(name), log, tenant_id=tenant)
    before = everything(database)
    again = run(real_log(name), log, tenant_id=tenant)
    assert (again.rows, again.lines, again.already_lines) == (0, 0, first.lines)
    assert everything(database) == before


def test_each_import_is_one_row_of_the_trail_with_its_totals(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(nova_line(0) + b"what?\n" + nova_line(1, "beta"))
    run(path, reason="from the old system", request_id="r-1")
    [(thing, reason, request_id, after, out_of_band)] = ask(
        database,
        "SELECT thing, reason, request_id, after, out_of_band FROM wf.audit"
        " WHERE operation = 'requests.import' AND noun = 'requests'",
    )
    assert (thing, reason, request_id, out_of_band) == ("a.log", "from the old system", "r-1", False)
    assert (after["rows"], after["lines"], after["skipped"]) == (2, 3, {"unreadable": 1})
    created = (
        "SELECT thing, reason, out_of_band FROM wf.audit WHERE noun = 'tenants' AND thing <> 'default' ORDER BY thing"
    )
    assert ask(database, created) == [
        ("acme", "from the old system", False),
        ("beta", "from the old system", False),
    ]
    with pytest.raises(Conflict, match="request_id_used"):
        run(path, request_id="r-1")


def test_a_grown_log_brings_only_the_rest(database: Database, run: Import, tmp_path: Path, small_chunks: None) -> None:
    path = nova_log(tmp_path / "a.log", 500)
    path.write_bytes(path.read_bytes()[:-40])  # the last line is still being written
    report = run(path)
    assert (report.rows, report.skipped) == (499, {Skip.UNFINISHED: 1})
    assert report.first_lines[Skip.UNFINISHED] == [500]
    nova_log(path, 700)
    report = run(path)
    assert (report.rows, report.already_lines, report.lines) == (201, 499, 201)
    assert stored(database) == (700, 700)
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(700,)]


def test_a_last_line_without_its_end_is_stored_once(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    whole = nova_line(0) + nova_line(1)
    path.write_bytes(whole[:-1])
    assert run(path).rows == 2
    path.write_bytes(whole + b"?\n" + nova_line(2))
    report = run(path)
    assert (report.rows, report.first_lines) == (1, {Skip.UNREADABLE: [3]})
    assert stored(database) == (3, 3)


def test_logs_that_begin_alike_are_both_stored(
    database: Database, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    one, other = nova_log(tmp_path / "a.log", 300), tmp_path / "b.log"
    other.write_bytes(one.read_bytes() + b"".join(nova_line(n) for n in range(1000, 1300)))
    one.write_bytes(one.read_bytes() + b"".join(nova_line(n) for n in range(2000, 2300)))
    assert run(one).rows == 600
    assert 300 <= run(other).rows < 450, "all that differs, from the chunk on in which it begins to"
    before = everything(database)
    assert run(one).rows == run(other).rows == 0
    assert everything(database) == before


def test_unknown_tenants_are_left_out_and_come_later(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(nova_line(0) + nova_line(1, "beta") + nova_line(2, "default") + nova_line(3, "beta"))
    report = run(path, create_tenants=False)
    assert (report.rows, report.skipped) == (1, {Skip.UNKNOWN_TENANT: 3})
    assert report.unknown_tenants == ["acme", "beta"]
    assert report.first_lines[Skip.UNKNOWN_TENANT] == [1, 2]
    assert run(path, create_tenants=False).unknown_tenants == ["acme", "beta"]
    assert stored(database) == (1, 1)
    report = run(path)
    assert (report.rows, report.created_tenants) == (3, ["acme", "beta"])
    assert stored(database) == (4, 4)
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(4,)]
    assert run(path).rows == 0


def test_a_log_of_many_unknown_tenants_is_passed_over(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"".join(nova_line(n, f"{n:064x}") for n in range(5000)))
    report = run(path, create_tenants=False)
    assert (report.rows, report.skipped) == (0, {Skip.UNKNOWN_TENANT: 5000})
    assert (run(path).rows, stored(database)) == (5000, (5000, 5000))


def test_an_erased_tenant_gets_no_telemetry(database: Database, run: Import, tmp_path: Path) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, status, erased_at) VALUES ('acme', '(erased)', 'erased', now())"
        )
    report = run(nova_log(tmp_path / "a.log", 3))
    assert (report.rows, report.skipped, report.created_tenants) == (0, {Skip.UNKNOWN_TENANT: 3}, [])


def test_gzip_is_the_same_log(database: Database, run: Import, tmp_path: Path) -> None:
    plain = nova_log(tmp_path / "a.log", 50)
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()[:5000]) + gzip.compress(plain.read_bytes()[5000:]))
    assert run(packed).rows == 50
    assert run(plain).already_lines == 50
    assert stored(database) == (50, 50)


def test_a_truncated_gzip_is_said_and_goes_on_when_it_is_whole(database: Database, run: Import, tmp_path: Path) -> None:
    plain = nova_log(tmp_path / "a.log", 5000)
    whole = gzip.compress(plain.read_bytes())
    path = tmp_path / "a.gz"
    path.write_bytes(whole[: len(whole) // 2])
    report = run(path)
    assert report.rows == readable(whole[: len(whole) // 2]) > 2000
    assert "a.gz is not whole: it stops in the middle of the compressed data" in report.notes[0]
    with pytest.raises(Refusal, match=r"log_damaged|log_line_unreadable"):
        run(path, strict=True)
    path.write_bytes(whole)
    assert run(path).rows == 5000 - report.rows
    assert stored(database) == (5000, 5000)


def readable(packed: bytes) -> int:
    """Whole lines that come out of it byte by byte."""
    unpacker, data = zlib.decompressobj(31), b""
    with contextlib.suppress(zlib.error):
        for at in range(len(packed)):
            data += unpacker.decompress(packed[at : at + 1])
    return data.count(b"\n")


@pytest.mark.parametrize("lines", [500, 5000])
@pytest.mark.parametrize("spoil", ["cut", "byte", "checksum", "length", "rest"])
def test_what_comes_before_the_damage_of_a_gzip_is_stored(run: Import, tmp_path: Path, lines: int, spoil: str) -> None:
    whole = gzip.compress(nova_log(tmp_path / "a.log", lines).read_bytes())
    spoiled = bytearray(whole)
    expected = lines
    if spoil == "cut":
        del spoiled[-300:]
    elif spoil == "byte":
        spoiled = spoiled[:-300] + b"\xff" * 300
    elif spoil == "checksum":
        spoiled[-6] ^= 255
    elif spoil == "length":
        spoiled[-2] ^= 255
    else:
        spoiled += b"not gzip"
    if spoil in ("cut", "byte"):
        expected = readable(bytes(spoiled))
        assert 0.7 * lines < expected < lines
    path = tmp_path / "a.gz"
    path.write_bytes(spoiled)
    report = run(path)
    assert expected - (spoil == "byte") <= report.rows <= expected, "the last line may be what the damage made of it"
    assert "a.gz is not whole" in report.notes[0]


def test_zeros_after_a_gzip_are_filling(run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(nova_log(tmp_path / "a.log", 50).read_bytes()) + bytes(512))
    report = run(path)
    assert (report.rows, report.notes) == (50, [])


def test_a_disk_that_fails_in_the_middle_is_said(run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it is stored. No file can be made to fail so: its reading is."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise OSError(5, "Input/output error")
            return data

    real = logfile.opened

    @contextlib.contextmanager
    def opened(path: Path) -> Iterator[logfile.LogFile]:
        with real(path) as file:
            file.stream = Failing(path.read_bytes())
            yield file

    monkeypatch.setattr("backends.postgres.requests.opened", opened)
    report = run(nova_log(tmp_path / "a.log", 50))
    assert report.rows == 50
    assert "a.log is not whole: it cannot be read further (Input/output error)" in report.notes[0]


def test_a_log_that_begins_with_a_bom(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = "".join(
        json.dumps({"tenant_id": "acme", "route": "/", "status": 200, "at": "2026-01-01T00:00:00Z", "request_id": id})
        + "\r\n"
        for id in "abc"
    )
    path.write_text(lines, encoding="utf-8-sig", newline="")
    report = run(path, Format.JSONL)
    assert (report.rows, report.skipped) == (3, {})
    assert run(path, Format.JSONL).already_lines == 3
    path.write_bytes(b"\0" * 300_000 + nova_line(1) + "\ufeff".encode() + nova_line(2))  # as after a crash, and joined
    assert run(path).rows == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "log_empty"),
        (b"\n \n\n", "log_empty"),
        (gzip.compress(b"", mtime=0), "log_empty"),
        (b"\x1f\x8b\x08\x00", "log_damaged"),
        (b"\x1f\x8b not gzip at all", "log_damaged"),
        (bytes(range(256)) * 300, "log_binary"),
        ("nova \u20ac\n".encode("utf-16"), "log_binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(500), "log_binary"),
        (b"PK\x03\x04rest", "log_packed"),
        (b"\xfd7zXZ\x00rest", "log_packed"),
    ],
)
def test_what_is_no_log_is_refused(database: Database, run: Import, tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(content)
    before = everything(database)
    with pytest.raises(Refusal) as refused:
        run(path)
    assert refused.value.code == code
    assert "a.log" in refused.value.message and refused.value.hint
    assert everything(database) == before


def test_requests_that_make_no_sense_are_refused(run: Import, tmp_path: Path) -> None:
    path = nova_log(tmp_path / "a.log", 3)
    with pytest.raises(NotFound, match="log_not_found"):
        run(tmp_path / "none.log")
    with pytest.raises(Usage, match="log_is_folder"):
        run(tmp_path)
    with pytest.raises(Usage, match="--format openstack-nova"):
        run(path, Format.COMBINED, tenant_id="web")
    with pytest.raises(Usage, match="tenant_needed"):
        run(path, Format.COMBINED)
    with pytest.raises(Usage, match="tenant_not_needed"):
        run(path, tenant_id="acme")
    with pytest.raises(Usage, match="tenant_id_format"):
        run(path, Format.COMBINED, tenant_id="a b")
    path.write_bytes(b'1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n')
    with pytest.raises(NotFound, match="tenant_not_found"):
        run(path, Format.COMBINED, tenant_id="web", create_tenants=False)


def test_hostile_lines_are_counted_and_the_others_stored(database: Database, run: Import, tmp_path: Path) -> None:
    lines = [nova_line(0), b"\xff\xfe\n", b"a\0b\n", b"x" * 70_000 + b"\n", b"\n", b"\x1b[2J\n", nova_line(1)]
    lines += [
        b"y" * (2 * logfile.CHUNK + 5) + b"\n",
        nova_line(2, path="\x1b[31m[red]"),
        b"\\.\n",
        nova_line(3, path="a\\tb"),
    ]
    path = tmp_path / "a.log"
    path.write_bytes(b"".join(lines))
    report = run(path)
    assert report.rows == 4 and report.lines == len(lines)
    assert report.first_lines == {
        Skip.NOT_TEXT: [2, 3],
        Skip.TOO_LONG: [4, 8],
        Skip.BLANK: [5],
        Skip.UNREADABLE: [6, 10],
    }
    assert ask(database, "SELECT route FROM wf.requests ORDER BY at DESC LIMIT 2") == [
        ("/v2/{id}/a\\tb",),
        ("/v2/{id}/\x1b[31m[red]",),
    ]
    assert run(path).rows == 0


def test_strict_stops_at_the_first_line_that_cannot_be_read(
    database: Database, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    path = nova_log(tmp_path / "a.log", 300)
    good = path.read_bytes()
    path.write_bytes(good + b"\nwhat is this?\n" + nova_line(300))
    with pytest.raises(Refusal, match=r"Line 302 of a\.log cannot be read: not a line of this format") as refused:
        run(path, strict=True)
    assert refused.value.code == "log_line_unreadable"
    assert stored(database) == (300, 300)
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(300,)]
    path.write_bytes(good + b"\n" + nova_line(300))
    assert run(path, strict=True).rows == 1


def test_a_dry_run_counts_and_writes_nothing(
    database: Database, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"".join(nova_line(n, f"t{n % 3}") for n in range(300)) + b"?\n")
    before = everything(database)
    report = run(path, dry_run=True)
    assert (report.rows, report.created_tenants, report.skipped) == (300, ["t0", "t1", "t2"], {Skip.UNREADABLE: 1})
    assert run(path, dry_run=True, create_tenants=False).skipped[Skip.UNKNOWN_TENANT] == 300
    assert everything(database) == before


CHILD = """
import sys
from pathlib import Path
from backends.postgres import logfile
from backends.postgres.requests import LogImport, import_log
from controlplane.requestlogs.model import Format

def show(progress):
    print(progress.rows, flush=True)

logfile.CHUNK = int(sys.argv[3])
import_log(sys.argv[1], LogImport(Path(sys.argv[2]), Format.OPENSTACK_NOVA, create_tenants=True), show)
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(high.split()[1]) // 1024)
"""


def child(conninfo: str, path: Path, chunk: int) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", CHILD, conninfo, str(path), str(chunk)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_killed_at_any_point_it_goes_on_and_stores_each_row_once(
    database: Database, operator: str, run: Import, tmp_path: Path
) -> None:
    path = nova_log(tmp_path / "a.log", 12_000)
    for chunks in (1, 4, 7):
        importing = child(operator, path, 100_000)
        assert importing.stdout is not None
        for _ in range(chunks):
            assert importing.stdout.readline(), "it ended before it was killed"
        importing.send_signal(signal.SIGKILL)
        importing.stdout.close()
        importing.wait()
    report = run(path)
    assert report.rows > 0 and report.resumed_rows > 0
    assert report.rows + report.resumed_rows == 12_000 == report.lines + report.already_lines
    assert stored(database) == (12_000, 12_000)
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(12_000,)]
    assert ask(database, "SELECT count(*) FROM wf.import_chunks WHERE change_id IS NULL") == [(0,)]


def test_killed_after_the_last_chunk_the_next_import_finishes(database: Database, run: Import, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(progress: Progress) -> None:
        raise Killed

    path = nova_log(tmp_path / "a.log", 100)
    with pytest.raises(Killed):
        run(path, show=die)
    assert stored(database) == (100, 100)
    assert ask(database, "SELECT count(*) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(0,)]
    report = run(path)
    assert (report.rows, report.resumed_rows) == (0, 100)
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(100,)]
    assert ask(database, "SELECT per_minute FROM wf.tenant_activity WHERE tenant_id = 'acme'") != [(None,)]


def test_two_imports_of_one_log_at_once_store_it_once(
    database: Database, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    path = nova_log(tmp_path / "a.log", 2000)
    reports: list[ImportReport] = []
    threads = [threading.Thread(target=lambda: reports.append(run(path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.rows for report in reports) == [0, 2000]
    assert stored(database) == (2000, 2000)


def test_a_log_that_is_being_imported_is_refused_after_a_while(
    database: Database, run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    monkeypatch.setattr("backends.postgres.import_ledger.LOCK_SECONDS", 0.1)
    path = nova_log(tmp_path / "a.log", 300)
    refused: list[str] = []

    def again(progress: Progress) -> None:
        if not refused:
            with pytest.raises(Conflict) as conflict:
                run(path)
            refused.append(conflict.value.code)

    run(path, show=again)
    assert refused == ["import_running"]
    assert stored(database) == (300, 300)


def test_stopping_keeps_what_is_stored(database: Database, run: Import, tmp_path: Path, small_chunks: None) -> None:
    path = nova_log(tmp_path / "a.log", 2000)
    stop = threading.Event()
    report = run(path, show=lambda progress: stop.set(), stop=stop)
    assert 0 < report.rows < 2000
    assert "Stopped before line" in report.notes[0]
    assert ask(database, "SELECT sum(n) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''") == [(report.rows,)]
    run(path)
    assert stored(database) == (2000, 2000)


async def test_cancelling_ends_it_cleanly(
    database: Database, operator: str, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    path = nova_log(tmp_path / "a.log", 3000)
    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    job = LogImport(path, NOVA, create_tenants=True)
    importing = asyncio.create_task(
        import_requests(operator, job, lambda progress: loop.call_soon_threadsafe(seen.set))
    )
    await seen.wait()
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert 0 < stored(database)[0] < 3000
    await asyncio.to_thread(run, path)
    assert stored(database) == (3000, 3000)


def test_a_lost_link_is_said_and_nothing_is_lost(
    database: Database, run: Import, tmp_path: Path, small_chunks: None
) -> None:
    path = nova_log(tmp_path / "a.log", 1000)

    def cut(progress: Progress) -> None:
        ask(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watchfloor import'",
        )

    with pytest.raises(Refusal, match="it goes on from there") as refused:
        run(path, show=cut)
    assert refused.value.exit_code == 6
    rest = run(path)
    assert 0 < rest.rows < 1000
    assert stored(database) == (1000, 1000)


def test_only_an_operator_may_import(database: Database, tmp_path: Path) -> None:
    path = nova_log(tmp_path / "a.log", 5)
    before = everything(database)
    for role in ("viewer", "support", "worker"):
        with pytest.raises(NotPermitted):
            import_log(database.login(role), LogImport(path, NOVA, create_tenants=True))
    assert everything(database) == before


def test_memory_is_bounded(database: Database, operator: str, tmp_path: Path) -> None:
    """120 MB of log, packed: lines of 3 KB, so that it takes a second. Far less stays in memory."""
    path = tmp_path / "big.gz"
    block = b"".join(nova_line(n, path="servers/detail?" + f"q{n}=1&" * 350) for n in range(2000))
    with path.open("wb") as file:
        for _ in range(120_000_000 // len(block) + 1):
            file.write(gzip.compress(block, 1))
    importing = child(operator, path, logfile.CHUNK)
    output, _ = importing.communicate()
    assert importing.returncode == 0
    peak = int(output.split("peak ")[1])
    assert peak < 120, f"{peak} MB"
    assert stored(database)[0] >= 36_000


def test_progress_is_told_after_each_chunk(run: Import, tmp_path: Path, small_chunks: None) -> None:
    path = nova_log(tmp_path / "a.log", 1000)
    told: list[Progress] = []
    run(path, show=told.append)
    assert [progress.rows for progress in told] == sorted(progress.rows for progress in told)
    assert told[-1].rows == 1000 and told[-1].rows_per_second > 0
    assert told[-1].bytes_done == told[-1].bytes_total == path.stat().st_size
    assert len(told) > 5


def test_a_pipe_is_read_as_well(database: Database, run: Import, tmp_path: Path) -> None:
    log, pipe = nova_log(tmp_path / "a.log", 500), tmp_path / "pipe"
    os.mkfifo(pipe)
    feeding = threading.Thread(target=lambda: shutil.copyfileobj(log.open("rb"), pipe.open("wb")))
    feeding.start()
    assert run(pipe).rows == 500
    feeding.join()


def test_jsonl_keeps_every_field_and_days_far_apart(database: Database, run: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    base = {"tenant_id": "acme", "route": "/x/7", "method": "PUT", "status": 503, "latency_ms": 1.5, "bytes": 3}
    more = {"project_id": "shop", "key_prefix": "wk", "region": "eu", "request_id": "r"}
    days = [
        f"{year}-0{month}-0{day}T00:00:00Z" for year in range(1990, 1997) for month in range(1, 10) for day in (1, 3)
    ]
    path.write_text("".join(json.dumps(base | more | {"at": day}) + "\n" for day in days))
    report = run(path, Format.JSONL)
    assert report.rows == len(days)
    assert ask(database, "SELECT DISTINCT tenant_id, project_id, route, method, status, latency_ms, key_prefix, region,"
               " request_id, bytes FROM wf.requests") == [
        ("acme", "shop", "/x/{id}", "PUT", 503, 1.5, "wk", "eu", "r", 3)
    ]  # fmt: skip
    # So many days at once are not all worth a partition: the default one takes the others, and nothing is lost.
    in_days = ask(database, "SELECT count(*) FROM wf.requests_default")[0][0]
    assert 0 < in_days < len(days)
    assert ask(
        database, "SELECT sum(n), sum(errors_5xx) FROM wf.hour_cells WHERE dim = 'route' AND tenant_id <> ''"
    ) == [(len(days), len(days))]


def test_a_day_that_is_made_meanwhile_takes_its_rows(
    database: Database, run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are on their way to the default partition are refused by it once their day has one of its own."""
    monkeypatch.setattr(Ledger, "_ensure_days", lambda self, days: None)  # as when a long reader is in the way
    path = tmp_path / "a.jsonl"
    line = {"tenant_id": "new", "route": "/", "status": 200, "at": "1990-01-01T00:00:00Z"}
    path.write_text("".join(json.dumps(line | {"request_id": str(n)}) + "\n" for n in range(50)))
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database.owner) as other:
        other.execute("SELECT wf.ensure_request_days('1990-01-01', '1990-01-01')")
        importing = pool.submit(run, path, Format.JSONL)
        waits = "SELECT FROM pg_stat_activity WHERE application_name = 'watchfloor import' AND wait_event_type = 'Lock'"
        while not ask(database, waits) and not importing.done():
            time.sleep(0.01)
        other.commit()
        report = importing.result(20)
    assert (report.rows, report.created_tenants) == (50, ["new"])
    assert stored(database) == (50, 50)
    assert ask(database, "SELECT count(*) FROM wf.requests_default") == [(0,)]
    assert ask(database, "SELECT count(*) FROM wf.tenants WHERE id = 'new'") == [(1,)]
