"""From alerts that fire to a receiver that has heard of them: against Alertmanager, and for quiet tenants in a flood.

Both sides tell of each alert by itself, at once, to the same receiver on this machine. Run as a program, this file is
one of our workers or the receiver: `python -m benchmarks.routing worker CONNINFO PORT`, `… receive PORT`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.estate import CHECKOUT, Estate
from benchmarks.figures import Figure, middle
from tests import alertmanager
from tests.backends.notices import FIRE, RESOLVE, do, post, sealing
from tests.debian import place, program

ALERTS, ALERTS_SMALL = 10_000, 40
PER_SECOND, SECONDS, SECONDS_SMALL = 100, 20, 1
FLOOD, FLOOD_SMALL = 5_000, 60
QUIET, QUIET_SMALL = 50, 5
ENDPOINTS, ENDPOINTS_SMALL = 5_000, 700
WAITING, WAITING_SMALL = 50_000, 500
CLAIMS, MOST = 20, 64
WARMING = range(10_000_000, 10_000_050)
PATIENCE = 900.0
TEMPLATES = "/usr/share/prometheus/alertmanager/default.tmpl"
FORGOTTEN = "UPDATE wf.alerts SET state = 'resolved', resolved_at = now() WHERE state <> 'resolved'"
CONFIG = """
route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}
receivers:
  - name: hook
    webhook_configs: [{url: 'http://127.0.0.1:%d/peer', send_resolved: true}]
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    number, seconds = (ALERTS_SMALL, SECONDS_SMALL) if small else (ALERTS, SECONDS)
    figures = []
    with estate.without_worker(), receiver() as heard, psycopg.connect(estate.owner, autocommit=True) as link:
        fire_ours = _ready(estate, link, heard)
        theirs: dict[str, float | None] = {"speed": None, "p99": None}
        if (binary := program("prometheus-alertmanager", alertmanager.PACKAGE)) is None:
            print("routing: there is no Alertmanager here (make setup): no comparison", file=sys.stderr)
        else:
            with peer(binary, heard.port) as fire_peer:
                theirs["speed"] = _speed(fire_peer, heard, "peer", number)
                theirs["p99"] = _p99(_steady(fire_peer, heard, "peer", number, seconds))
        for workers in (1, 4):
            link.execute(FORGOTTEN)
            with crew(estate, heard.port, workers):
                speed = _speed(fire_ours, heard, "ours", number)
                waits = _steady(fire_ours, heard, "ours", number, seconds)
                names = f"{workers} worker{'s' if workers > 1 else ''}"
                claim = f"{number:,} alerts at once, delivered by {names}"
                figures.append(Figure(claim, speed, "deliveries/s", theirs["speed"], "Alertmanager"))
                claim, p99 = f"from firing to received at {PER_SECOND} a second, {names}, p99", _p99(waits)
                figures.append(Figure(claim, p99, "ms", theirs["p99"], "Alertmanager", "≤ 2 s", p99 <= 2000))
                if workers == 4:
                    _ended(link, heard)
                    figures += _flood(link, heard, *((FLOOD_SMALL, QUIET_SMALL) if small else (FLOOD, QUIET)))
        figures.append(_claims(link, *((ENDPOINTS_SMALL, WAITING_SMALL) if small else (ENDPOINTS, WAITING))))
    return figures


Fire = Callable[[range], None]


def _speed(fire: Fire, heard: Receiver, side: str, number: int) -> float:
    heard.clear()
    fire(WARMING)  # what is imported, connected and planned first
    heard.until(side, len(WARMING))
    heard.clear()
    began = time.time()
    fire(range(number))
    at = heard.until(side, number)
    assert len(at) == number, "one is lost, or told twice"
    return number / (max(at.values()) - began)


def _steady(fire: Fire, heard: Receiver, side: str, first: int, seconds: int) -> list[float]:
    """How long each alert took, in ms, of so many a second."""
    heard.clear()
    batch, begun = PER_SECOND // 10, time.monotonic()
    fired: dict[int, float] = {}
    for tick in range(seconds * 10):
        time.sleep(max(0.0, begun + tick / 10 - time.monotonic()))
        numbers = range(first + tick * batch, first + (tick + 1) * batch)
        fired |= dict.fromkeys(numbers, time.time())
        fire(numbers)
    at = heard.until(side, len(fired))
    return [(at[n] - fired[n]) * 1000 for n in fired]


def _p99(waits: list[float]) -> float:
    return quantiles(waits, n=100)[98]


# Ours


def _ready(estate: Estate, link: psycopg.Connection, heard: Receiver) -> Fire:
    """Routes: one for the tenant that floods, one for all others."""
    estate.fill(1_000)
    asyncio.run(_routes(estate, heard.port))

    def fire(numbers: range) -> None:
        values = {"tenant": "tenant-0000001", "severity": "error", "first": numbers[0], "last": numbers[-1]}
        link.execute(FIRE, values)

    return fire


async def _routes(estate: Estate, port: int) -> None:
    from backends.postgres.home import Home

    known = estate.home.known()
    assert known is not None
    home = Home(known.login_conninfo())
    home.sealing = sealing(port)
    await home.open()
    for position, (name, matchers) in enumerate((("flood", 'tenant="tenant-0000002"'), ("all", ""))):
        address = f"http://127.0.0.1:{port}/ours"
        await do(home, "routes.create", name=name, matchers=matchers, position=position, channel="webhook",
                 address=address, repeat="never")  # fmt: skip
    await home.close()


def _ended(link: psycopg.Connection, heard: Receiver) -> None:
    """All that was told is resolved, and so is that."""
    heard.clear()
    ids = [alert for (alert,) in link.execute("SELECT id FROM wf.alerts WHERE state <> 'resolved'").fetchall()]
    link.execute(RESOLVE, [ids])
    assert len(heard.until("resolved", len(ids))) == len(ids), "a resolve is lost, or told twice"


def _flood(link: psycopg.Connection, heard: Receiver, flood: int, quiet: int) -> list[Figure]:
    """One tenant fires thousands of alerts at once; others fire one every fifth of a second."""
    heard.clear()
    link.execute(FIRE, {"tenant": "tenant-0000002", "severity": "error", "first": 1, "last": flood})
    fired: dict[int, float] = {}
    for n in range(1_000_000, 1_000_000 + quiet):
        fired[n] = time.time()
        link.execute(FIRE, {"tenant": f"tenant-{3 + n % 900:07}", "severity": "error", "first": n, "last": n})
        time.sleep(0.2)
    at = heard.until("ours", flood + quiet)
    drained = (max(at.values()) - min(fired.values())) * 1000
    waits = [(at[n] - fired[n]) * 1000 for n in fired]
    p95 = quantiles(waits, n=20)[18]
    claim = f"from firing to received for {quiet} quiet tenants while one has fired {flood:,}, p95"
    return [Figure(claim, p95, "ms", drained, "until all of the flood was told", "≤ 2 s", p95 <= 2000)]


_DUE = """
INSERT INTO wf.webhooks (id, tenant_id, target)
  SELECT 1000000 + n, 'tenant-0000001', 'x' FROM generate_series(1, {endpoints}) n;
INSERT INTO wf.endpoints (webhook_id) SELECT 1000000 + n FROM generate_series(1, {endpoints}) n;
INSERT INTO wf.deliveries (key, webhook_id, group_key, number, tenant_id, reason, event_type, summary, notice, event)
  SELECT 'msg_' || repeat('a', 40), 1000000 + n, '', 0, 'tenant-0000001', 'event', 'key.expiring', 'x', '{{}}',
         n * 2 + m
  FROM generate_series(1, {endpoints}) n, generate_series(0, 1) m;
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice)
  SELECT 'msg_' || repeat('a', 40), (SELECT min(id) FROM wf.routes), encode(sha256(n::text::bytea), 'hex'), -1,
         'trigger', 'first_notification', 'error', 'jobs_dead', 'x', '{{}}' FROM generate_series(1, {waiting}) n
"""


def _claims(link: psycopg.Connection, endpoints: int, waiting: int) -> Figure:
    """What a claim costs the home while much is due, for many endpoints and for one above all."""
    link.execute("SET session_replication_role = replica")
    for statement in _DUE.format(endpoints=endpoints, waiting=waiting).split(";\n"):
        link.execute(statement.encode())
    link.execute("SET session_replication_role = origin")
    (worker,) = link.execute("SELECT wf.start_worker('claims', 'here', 1, 'x', '{}')").fetchone() or (0,)
    taken = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        found = link.execute("SELECT id FROM wf.claim_deliveries(%s, %s)", [worker, MOST]).fetchall()
        taken.append((time.perf_counter() - began) * 1000)
        assert len(found) == MOST
    ours, spread = middle(taken)
    claim = f"claim {MOST} deliveries, {endpoints:,} endpoints due, {waiting:,} waiting for one of them"
    return Figure(claim, ours, "ms", spread=spread)


@contextmanager
def crew(estate: Estate, port: int, number: int) -> Iterator[None]:
    conninfo = make_conninfo(estate.owner, options="-c role=wf_worker")
    command = [sys.executable, "-m", "benchmarks.routing", "worker", conninfo, str(port)]
    workers = [subprocess.Popen(command, cwd=CHECKOUT) for _ in range(number)]
    try:
        with psycopg.connect(estate.owner, autocommit=True) as link:
            alive = "SELECT count(*) FROM wf.workers WHERE ended_at IS NULL"
            while (link.execute(alive).fetchone() or (0,))[0] < number:
                time.sleep(0.05)
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(60)


def work(conninfo: str, port: int) -> None:
    from app.worker import Work, until_told
    from backends.postgres.deliveries import UPKEEP
    from backends.postgres.sending import delivering

    kinds = {kind.name: kind for kind in (*UPKEEP, delivering(post([port])))}
    asyncio.run(until_told(Work(conninfo, kinds, grace=2)))


# Alertmanager


@contextmanager
def peer(binary: str, port: int) -> Iterator[Fire]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.yml").write_text(CONFIG % port)
        own = _free_port()
        words = [
            *_seeing_its_templates(),
            binary,
            f"--config.file={folder}/config.yml",
            f"--storage.path={folder}/data",
        ]
        words += [f"--web.listen-address=127.0.0.1:{own}", "--cluster.listen-address="]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _until_ready(f"http://127.0.0.1:{own}/-/ready")

            def fire(numbers: range) -> None:
                alerts = [{"labels": {"alertname": "jobs_dead", "tenant": "acme", "n": str(n)}} for n in numbers]
                for begin in range(0, len(alerts), 1000):
                    body = json.dumps(alerts[begin : begin + 1000]).encode()
                    kind = {"content-type": "application/json"}
                    asked = urllib.request.Request(f"http://127.0.0.1:{own}/api/v2/alerts", body, kind)
                    urllib.request.urlopen(asked, timeout=60).close()

            yield fire
        finally:
            server.terminate()
            server.wait(30)


def _seeing_its_templates() -> list[str]:
    """Debian's program reads its templates from one place: where it was just unpacked, it gets a view of its own."""
    if Path(TEMPLATES).exists():
        return []
    script = 'mount --bind "$1" /usr/share && shift && exec "$@"'
    return ["unshare", "-rm", "sh", "-c", script, "sh", str(place(alertmanager.PACKAGE) / "usr/share")]


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


# The receiver


class Receiver:
    """A process that hears notices. It is asked over a line of its own what it has heard."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port, self._process = port, process

    def _ask(self, words: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(words, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def clear(self) -> None:
        self._ask("clear")

    def until(self, side: str, number: int) -> dict[int, float]:
        """Wait for so many alerts; when each was heard of first. Fails when one was told twice."""
        deadline = time.monotonic() + PATIENCE
        while (count := self._ask(f"count {side}")) < number:
            assert time.monotonic() < deadline, f"{side}: {count:,} of {number:,}"
            time.sleep(0.05)
        found = self._ask(f"all {side}")
        assert not found["twice"], f"{side}: {found['twice']:,} were told twice"
        return {int(n): at for n, at in found["at"].items()}


@contextmanager
def receiver() -> Iterator[Receiver]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.routing", "receive", str(port)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield Receiver(process, port)
    finally:
        process.kill()
        process.wait()


async def receive(port: int) -> None:
    at: dict[str, dict[str, float]] = {}
    twice: dict[str, int] = {}

    def heard(body: bytes, peers: bool) -> None:
        said, now = json.loads(body), time.time()
        if peers:
            side, names = "peer", [each["labels"]["n"] for each in said["alerts"] if each["status"] == "firing"]
        else:
            data = said["data"]
            side = "ours" if data["action"] == "trigger" else "resolved"
            names = [data["details"]["labels"]["n"]]
        known = at.setdefault(side, {})
        for name in names:
            twice[side] = twice.get(side, 0) + (name in known)
            known.setdefault(name, now)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                heard(await reader.readexactly(length), b" /peer" in head)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024):
        print("ready", flush=True)
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            side = words[-1]
            if words[0] == "clear":
                at.clear()
                twice.clear()
                print("true", flush=True)
            elif words[0] == "count":
                print(len(at.get(side, {})), flush=True)
            else:
                print(json.dumps({"at": at.get(side, {}), "twice": twice.get(side, 0)}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(sys.argv[2], int(sys.argv[3]))
    else:
        asyncio.run(receive(int(sys.argv[2])))
