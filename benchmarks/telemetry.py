"""Telemetry on 20 M requests of a thousand tenants: reading roll-ups against raw rows, rolling up, ingest, retention.

The set is made once by SQL and kept in the folder for temporary files; on a small disk, a smaller one is made. The raw
side has the index that suits it best: (tenant, time) with the latency in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from backends.embedded.server import EmbeddedHome
from backends.postgres.copying import Encoder, copy_rows
from backends.postgres.home import Home
from backends.postgres.ingest import ingest
from backends.postgres.migrate import known_migrations, migrate
from backends.postgres.requests import LogImport
from backends.postgres.stream import Stream
from benchmarks.figures import Figure
from controlplane.requestlogs.model import Format, Skip
from controlplane.requestlogs.parsing import parser
from controlplane.telemetry.model import RequestTelemetry, Scope, percentile
from controlplane.telemetry.tops import MEASURES

ROWS, FEWER_ROWS = 20_000_000, 1_000_000
WHALE_SHARE = 10
"""One tenant has a tenth of all rows, in the last seven days."""
DAYS, TENANTS = 30, 1000
BYTES_A_ROW = 500
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUNS = 15
LINES, LINES_SMALL = 300_000, 3_000
ROUNDS = 5

# In the order of time, as they come in. Tenants are log-uniform: the first has a tenth of all requests. Latencies are
# about log-normal.
FILL = """
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, region, at)
SELECT tenant, '/v1/' || (ARRAY['orders', 'orders', 'users', 'search'])[1 + floor(r * 4)::int], 'GET',
       CASE WHEN s < 0.01 THEN 500 WHEN s < 0.05 THEN 404 ELSE 200 END,
       20 * exp(1.4 * (random() + random() + random() + random() - 2)),
       'wf_live_' || tenant || '_' || mod((s * 1000)::int, 2),
       (ARRAY['eu-west-1', 'us-east-1', 'ap-southeast-1'])[1 + mod(abs(hashtext(tenant)), 3)],
       %(start)s + random() * %(span)s AS at
FROM (SELECT CASE WHEN %(whale)s THEN 'whale'
                  ELSE 't' || lpad(floor(exp(random() * ln(1000)))::int::text, 4, '0') END AS tenant,
             random() AS r, random() AS s FROM generate_series(1, %(rows)s)) g
ORDER BY at
"""
RAW = """
SELECT date_bin('1 hour', at, '2000-01-01') AS hour,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms)
FROM wf.requests WHERE tenant_id = %s AND at >= %s AND at < %s GROUP BY 1
"""
MINUTE = """
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, region, at)
SELECT 't' || lpad((n %% 1000)::text, 4, '0'), '/v1/' || n / 1000 %% 3, 'GET',
       CASE WHEN n %% 50 = 0 THEN 500 ELSE 200 END,
       20 * exp(1.4 * (random() + random() + random() + random() - 2)), 'wf_live_' || n %% 1000 || '_' || n / 3000 %% 2,
       'eu-west-1', %s + n * interval '0.0002 seconds'
FROM generate_series(0, %s - 1) n
"""
# Quiet tenants: each has a few routes and keys, and asks now and then.
QUIET = """
INSERT INTO wf.requests (tenant_id, project_id, request_id, bytes, key_id, address, route, method, status, latency_ms,
                         key_prefix, region, at)
SELECT 't' || lpad(tenant::text, 5, '0'), 'default', 'req-' || lpad(n::text, 12, '0'), 1000 + n %% 900,
       'key_' || lpad(to_hex(tenant * 2 + n %% 2), 20, '0'), '10.0.0.1',
       '/v1/' || (ARRAY['orders', 'users', 'search'])[1 + n %% 3], 'GET',
       CASE WHEN n %% 50 = 0 THEN 500 ELSE 200 END, 20 * exp(1.4 * (random() + random() + random() + random() - 2)),
       'wf_live_' || tenant || '_' || n %% 2, (ARRAY['eu-west-1', 'us-east-1'])[1 + tenant %% 2],
       %(start)s + n * (%(span)s::interval / %(rows)s)
FROM (SELECT n, floor(random() * %(tenants)s)::int AS tenant FROM generate_series(0, %(rows)s - 1) n) g
"""
CELLS_BYTES = """
SELECT sum(bytes) FILTER (WHERE data <> 'raw')::float8, sum(bytes) FILTER (WHERE data = 'raw')::float8
FROM wf.telemetry_partitions()
"""


@dataclass(frozen=True)
class Set:
    """The home with its rows; `end` is the hour after the last row."""

    owner: str
    rows: int
    end: datetime


def _folder(rows: int) -> Path:
    return Path(tempfile.gettempdir()) / f"watchfloor-bench-telemetry-{getpass.getuser()}-{rows}"


@contextmanager
def requests(rows: int) -> Iterator[Set]:
    """The cached set, made if it does not exist; the server runs as long as it is used."""
    folder = _folder(rows)
    stamp = folder / "made.json"
    files = [migration.checksum for migration in known_migrations()]
    made = json.loads(stamp.read_text())["migrations"] if stamp.exists() else []
    if not made or made != files[: len(made)]:  # migrations that were only added are applied to the old set
        with contextlib.suppress(FileNotFoundError):
            EmbeddedHome(folder / "home").destroy()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o711)
    home = EmbeddedHome(folder / "home")
    owner = home.ensure().owner_conninfo()
    try:
        migrate(owner)
        if not stamp.exists():
            end = _fill(owner, rows)
            stamp.write_text(json.dumps({"migrations": files, "end": end.isoformat()}))
        yield Set(owner, rows, datetime.fromisoformat(json.loads(stamp.read_text())["end"]))
    finally:
        home.stop()


def _fill(owner: str, rows: int) -> datetime:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    started = time.monotonic()
    with psycopg.connect(owner, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT wf.ensure_request_days(%s, %s)", [(end - DAYS * DAY).date(), (end + DAY).date()])
        for index in ("requests_of_tenant", "requests_of_key"):
            connection.execute(f"DROP INDEX wf.{index}".encode())
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                (end - (day + 1) * DAY, DAY, rows * (100 - WHALE_SHARE) // 100 // DAYS, False) for day in range(DAYS)
            ]
            jobs += [(end - (day + 1) * DAY, DAY, rows * WHALE_SHARE // 100 // 7, True) for day in range(7)]
            list(pool.map(lambda job: _insert(owner, *job), jobs))
        _say(f"rows stored after {time.monotonic() - started:.0f} s")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("CREATE INDEX requests_of_tenant ON wf.requests (tenant_id, route, at)")
        connection.execute("CREATE INDEX for_raw ON wf.requests (tenant_id, at) INCLUDE (latency_ms)")
        connection.execute("CREATE INDEX requests_of_key ON wf.requests (key_id, at) WHERE key_id IS NOT NULL")
        _say(f"indexes made after {time.monotonic() - started:.0f} s")
        connection.execute("VACUUM ANALYZE wf.requests")
        connection.execute(
            "UPDATE wf.request_marks SET minutes_from = %s, minutes_until = %s, hours_until = %s",
            [end - 3 * HOUR, end - 3 * HOUR, end - DAYS * DAY],
        )
        while True:
            row = connection.execute("SELECT * FROM wf.roll_up_requests(1500, 1000)").fetchone()
            assert row is not None
            if not row[0] and not row[1]:
                break
        connection.execute("VACUUM ANALYZE wf.request_hours")
        connection.execute("VACUUM ANALYZE wf.request_minutes")
    _say(f"rolled up after {time.monotonic() - started:.0f} s")
    return end


def _insert(owner: str, start: datetime, span: timedelta, rows: int, whale: bool) -> None:
    with psycopg.connect(owner, autocommit=True, options="-c synchronous_commit=off") as connection:
        connection.execute(FILL, {"start": start, "span": span, "rows": rows, "whale": whale})


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(small: bool = False) -> list[Figure]:
    """A small pass makes no cached set."""
    return [*([] if small else _of_set()), *_writing(small)]


def _of_set() -> list[Figure]:
    rows, free = ROWS, shutil.disk_usage(tempfile.gettempdir()).free
    if not _folder(rows).exists() and free < rows * BYTES_A_ROW * 2:
        rows = FEWER_ROWS
        _say(f"The disk has {free / 1e9:.0f} GB left: {rows:,} rows instead of {ROWS:,}.")
        if free < rows * BYTES_A_ROW * 2:
            _say("That is too little for those, too: reading is not measured.")
            return []
    with requests(rows) as made:
        return asyncio.run(_reading(made))


async def _reading(made: Set) -> list[Figure]:
    home = Home(made.owner)
    await home.open()
    figures: list[Figure] = []
    try:
        with psycopg.connect(made.owner, autocommit=True, options="-c timezone=UTC") as connection:
            for tenant, words, aim in (("t0001", "busiest tenant", 10), ("whale", "tenant with 2 M rows", 50)):
                figures += await _series(home, connection, made, tenant, words, aim)
        for measure in MEASURES:
            end = made.end
            ours = await _best(lambda m=measure, e=end: home.of(RequestTelemetry).top("tenant", e - HOUR, e, m, 20))
            figures.append(Figure(f"top 20 of the last hour by {measure}", ours, "ms", None, "", "≤ 50 ms", ours <= 50))
    finally:
        await home.close()
    return figures


async def _series(
    home: Home, connection: psycopg.Connection[Any], made: Set, tenant: str, words: str, aim: int
) -> list[Figure]:
    start = made.end - 7 * DAY
    times: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        series = await home.of(RequestTelemetry).series(Scope(tenant), start, made.end, HOUR)
        shown = [(point.p50, point.p95, point.p99) for point in series.points if point is not None]
        times.append((time.perf_counter() - began) * 1000)
        assert len(shown) == 7 * 24
    raw = []
    for _ in range(3):
        began = time.perf_counter()
        connection.execute(RAW, [tenant, start, made.end]).fetchall()
        raw.append((time.perf_counter() - began) * 1000)
    worst = 0.0
    for at, point in list(zip(series.times(), series.points, strict=True))[::7]:
        rows = connection.execute(
            "SELECT latency_ms FROM wf.requests WHERE tenant_id = %s AND at >= %s AND at < %s", [tenant, at, at + HOUR]
        ).fetchall()
        exact = percentile([row[0] for row in rows], 0.99)
        assert point is not None and point.p99 is not None and exact and point.n == len(rows)
        worst = max(worst, abs(point.p99 / exact - 1))
    ours, other = statistics.median(times), statistics.median(raw)
    p95 = sorted(times)[int(len(times) * 0.95)]
    name = f"7 days, hourly p50/p95/p99, {words}"
    return [
        Figure(name, ours, "ms", other, "raw rows", f"≥ {aim} ×", other / ours >= aim),
        Figure(f"{name}: p95 of the time", p95, "ms", None, "", "≤ 30 ms", p95 <= 30),
        Figure(f"{name}: p99 off the exact rank by", worst * 100, "%", None, "", "≤ 2 %", worst <= 0.02),
    ]


async def _best(read: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await read()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


@contextmanager
def _fresh() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="watchfloor-bench-"))
    folder.chmod(0o711)
    embedded = EmbeddedHome(folder / "home")
    try:
        owner = embedded.ensure().owner_conninfo()
        migrate(owner)
        yield owner
    finally:
        embedded.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def _writing(small: bool) -> list[Figure]:
    with _fresh() as owner, psycopg.connect(owner, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("SELECT wf.make_request_partitions()")
        return [
            _rolled(connection, 3_000 if small else 300_000),
            *_filled(connection, 3_000 if small else 1_000_000),
            *_ingested(owner, connection, LINES_SMALL if small else LINES),
            *_dropped(connection, 10_000 if small else 1_000_000),
        ]


def _rolled(connection: psycopg.Connection[Any], count: int) -> Figure:
    """Minutes with that many requests, one by one; the first warms up."""
    times = []
    for ago in (6, 5, 4, 3):
        connection.execute("UPDATE wf.request_marks SET minutes_from = date_trunc('hour', now()) - interval '1 day'")
        row = connection.execute("SELECT date_trunc('minute', now()) - %s * interval '1 minute'", [ago]).fetchone()
        assert row is not None
        connection.execute(MINUTE, [row[0], count])
        connection.execute("DELETE FROM wf.request_due")  # hours are not measured here
        began = time.perf_counter()
        done = connection.execute("SELECT minutes FROM wf.roll_up_requests(10, 0)").fetchone()
        times.append(time.perf_counter() - began)
        assert done == (1,)
    took = statistics.median(times[1:]) * 1000
    return Figure(
        f"one minute of {count // 60:,} requests/s rolled up", took, "ms", None, "", "≤ 1,000 ms", took <= 1000
    )


def _filled(connection: psycopg.Connection[Any], count: int) -> list[Figure]:
    """Requests of quiet tenants over a day, rolled up for the first time, until nothing is left to do."""
    connection.execute(
        "TRUNCATE wf.requests, wf.request_minutes, wf.request_hours, wf.quiet_hours, wf.request_due, wf.objective_due"
    )
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    values = {"start": end - DAY, "span": DAY, "rows": count, "tenants": max(count // 100, 1)}
    connection.execute("SELECT wf.ensure_request_days(%s, %s)", [(end - DAY).date(), end.date()])
    connection.execute(QUIET, values)
    connection.execute("UPDATE wf.request_marks SET minutes_from = %s, hours_until = %s", [end - DAY, end - DAY])
    began = time.perf_counter()
    while (row := connection.execute("SELECT minutes + hours FROM wf.roll_up_requests()").fetchone()) and row[0]:
        pass
    took = time.perf_counter() - began
    sizes = connection.execute(CELLS_BYTES).fetchone()
    assert sizes is not None
    name = f"{count:,} requests of {values['tenants']:,} quiet tenants rolled up"
    return [
        Figure(name, count / took, "rows/s", None, "", "≥ 50,000 a second", count / took >= 50_000),
        Figure("their cells", sizes[0] / 1e6, "MB", sizes[1] / 1e6, "raw rows", "≤ 0.5 ×", sizes[0] <= sizes[1] / 2),
    ]


def _lines(count: int) -> list[bytes]:
    at = datetime.now(UTC).replace(microsecond=0) - HOUR
    return [
        json.dumps(
            {
                "tenant_id": f"t{n % 200:04}",
                "route": f"/v1/{n % 7}",
                "method": "GET",
                "status": 200,
                "latency_ms": n % 900 / 3,
                "key_prefix": f"wf_live_{n % 400}",
                "region": "eu-west-1",
                "request_id": f"req-{n:012}",
                "at": (at + timedelta(milliseconds=n * 10)).isoformat(),
                "bytes": 1000 + n % 900,
            }
        ).encode()
        for n in range(count)
    ]


def _ingested(owner: str, connection: psycopg.Connection[Any], count: int) -> list[Figure]:
    """In turns, so that both are measured under the same load. Another program writes the stream, as in real life."""
    lines = _lines(count)
    parse, encode = parser(Format.JSONL), Encoder()
    rows = [encode(row) for row in map(parse, lines) if not isinstance(row, Skip)]
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "lines"
        log.write_bytes(b"\n".join(lines) + b"\n")
        for _ in range(ROUNDS):
            connection.execute("TRUNCATE wf.requests, wf.import_chunks")
            with subprocess.Popen(["cat", log], stdout=subprocess.PIPE) as writing:
                assert writing.stdout is not None
                job = LogImport(Path("stdin"), Format.JSONL, create_tenants=True)
                report = ingest(owner, job, Stream(writing.stdout.fileno()), _say)
            assert report.rows == count
            times["ours"].append(report.seconds)
            connection.execute("TRUNCATE wf.requests")
            began = time.perf_counter()
            with connection.transaction():
                for _ in copy_rows(connection.cursor(), rows):
                    pass
            times["bare"].append(time.perf_counter() - began)
    ours, bare = (count / statistics.median(times[side]) for side in ("ours", "bare"))
    spread = (count / max(times["ours"]), count / min(times["ours"]))
    return [Figure("ingest of JSON lines", ours, "rows/s", bare, "bare COPY", "≥ 50 %", ours / bare >= 0.5, spread)]


def _dropped(connection: psycopg.Connection[Any], count: int) -> list[Figure]:
    """A day of that many rows, dropped; and another one, deleted."""
    for ago in (20, 5):  # the second is not old yet
        connection.execute("SELECT wf.ensure_request_days(current_date - %s, current_date - %s)", [ago, ago])
        connection.execute(
            FILL,
            {
                "start": datetime.now(UTC).replace(hour=1) - ago * DAY,
                "span": 20 * HOUR,
                "rows": count,
                "whale": False,
            },
        )
    began = time.perf_counter()
    connection.execute("DELETE FROM wf.requests WHERE at < current_date - 4 AND at >= current_date - 5")
    deleted = (time.perf_counter() - began) * 1000
    while (row := connection.execute("SELECT hours FROM wf.roll_up_requests()").fetchone()) and row[0]:
        pass
    connection.execute("VACUUM wf.requests")  # an old day would have been vacuumed long ago
    began = time.perf_counter()
    dropped = connection.execute("SELECT waits FROM wf.drop_old_requests()").fetchall()
    took = (time.perf_counter() - began) * 1000
    assert dropped == [(None,)]
    return [Figure(f"a day of {count:,} rows taken away", took, "ms", deleted, "DELETE", "≤ 200 ms", took <= 200)]


if __name__ == "__main__":
    from benchmarks.figures import table

    print(table(run("--small" in sys.argv)))
