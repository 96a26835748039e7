"""Rows per second of an import, against plain INSERT and against bare COPY of the same rows already formatted.

All three write the same requests into the same table of the same server, in one run. The import reads and parses a
nova log, keeps its ledger, and rolls the hours up; the other two only send rows that are ready in memory.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from backends.embedded.server import EmbeddedHome
from backends.postgres.copying import Encoder, copy_rows
from backends.postgres.migrate import migrate
from backends.postgres.requests import LogImport, import_log
from controlplane.requestlogs.model import Format, RequestRow
from controlplane.requestlogs.parsing import parser

LINES = 300_000
INSERTED = 10_000
TENANTS = 200
PATHS = ("servers/detail", "servers/{server}", "servers", "flavors/2", "images/{server}", "os-server-external-events")


def nova_lines(count: int, seed: int = 1) -> Iterator[bytes]:
    """Lines as nova-api writes them: few busy tenants and many quiet ones, over a bit more than an hour."""
    chance = random.Random(seed)
    tenants = [f"{chance.getrandbits(128):032x}" for _ in range(TENANTS)]
    weights = [1 / (1 + i) for i in range(TENANTS)]
    busy = chance.choices(tenants, weights, k=5000)
    start = datetime(2017, 5, 16, tzinfo=UTC)
    for i in range(count):
        at = (start + timedelta(milliseconds=i * 4_000_000 // count)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        tenant, method = busy[i % 5000], "GET" if i % 7 else "POST"
        path = PATHS[i % 6 if i % 3 else 0].format(server=f"{i:08x}-{i % 65536:04x}-4f1a-8b1e-{i:012x}")
        status = 500 if i % 97 == 0 else 404 if i % 31 == 0 else 200
        yield (
            f"nova-api.log.1.2017-05-16_13:53:08 {at} 25746 INFO nova.osapi_compute.wsgi.server"
            f" [req-{i:08x}-0b2b-4d7d-8f1a-{i:012x} 113d3a99c3da401fbd62cc2caa5b96d2 {tenant} - - -] 10.11.10.1"
            f' "{method} /v2/{tenant}/{path} HTTP/1.1" status: {status} len: {1000 + i % 900}'
            f" time: {chance.lognormvariate(-1.5, 0.5):.7f}\n"
        ).encode()


@contextmanager
def home() -> Iterator[tuple[str, Path]]:
    """A fresh embedded home with its usual durability, and a folder."""
    folder = Path(tempfile.mkdtemp(prefix="watchfloor-bench-"))
    folder.chmod(0o711)
    embedded = EmbeddedHome(folder / "home")
    try:
        conninfo = embedded.ensure().owner_conninfo()
        migrate(conninfo)
        yield conninfo, folder
    finally:
        embedded.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def run(lines: int = LINES) -> list[dict[str, object]]:
    """Two figures; `ratio` is ours divided by the other."""
    with home() as (conninfo, folder), psycopg.connect(conninfo, autocommit=True) as connection:
        path = folder / "nova.log"
        with path.open("wb") as file:
            file.writelines(nova_lines(lines))
        parse = parser(Format.OPENSTACK_NOVA)
        rows = [row for line in path.read_bytes().splitlines() if isinstance(row := parse(line), RequestRow)]
        assert len(rows) == lines
        connection.execute("SELECT wf.ensure_request_days('2017-05-16', '2017-05-16')")
        insert = _inserted(connection, rows[:INSERTED])
        copy = _copied(connection, rows)
        del rows
        report = import_log(conninfo, LogImport(path, Format.OPENSTACK_NOVA, create_tenants=True))
        assert report.rows == lines
        ours = report.rows / report.seconds
    return [
        _figure("import against plain INSERT (executemany)", ours, insert),
        _figure("import against bare COPY of formatted rows", ours, copy),
    ]


def _figure(name: str, ours: float, other: float) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "unit": "rows/s", "ratio": ours / other}


def _inserted(connection: psycopg.Connection, rows: list[RequestRow]) -> float:
    columns = ", ".join(RequestRow._fields)
    statement = f"INSERT INTO wf.requests ({columns}) VALUES ({', '.join(['%s'] * len(RequestRow._fields))})"
    started = time.perf_counter()
    with connection.transaction():
        connection.cursor().executemany(statement, rows)
    return _rate(connection, len(rows), started)


def _copied(connection: psycopg.Connection, rows: list[RequestRow]) -> float:
    formatted = list(map(Encoder(), rows))
    started = time.perf_counter()
    with connection.transaction():
        for _ in copy_rows(connection.cursor(), formatted):
            pass
    return _rate(connection, len(rows), started)


def _rate(connection: psycopg.Connection, rows: int, started: float) -> float:
    seconds = time.perf_counter() - started
    connection.execute("TRUNCATE wf.requests")
    return rows / seconds


if __name__ == "__main__":
    for figure in run():
        print("{name}: {ours:,.0f} against {other:,.0f} {unit}: {ratio:.2f}".format(**figure))
