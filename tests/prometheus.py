"""A real Prometheus for the tests, with a history of our choice.

Where none is installed it comes from Debian's package: `make setup` runs this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests import debian

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
SCRAPE, HOURS = 15, 3
GAP = range(3600, 4800)
"""Seconds from the beginning in which nothing was scraped."""
RESET = 7200
"""Then the service was started anew, and counts from zero."""
PER_SCRAPE = {"200": 30, "404": 10, "503": 2}
ERRORS_FROM = 1800
"""There was no 503 before, and no counter of any."""
SHARES = {"0.1": 0.5, "0.5": 0.9, "1": 0.95, "+Inf": 1.0}
HOSTILE = ('a"b', "a\\b", "a'b`c", "x\n} or vector(1e9) #", 'y"} or up{a="', "ü😀\u200f")
MAPPING = """
url = "{url}"
scrape = {scrape}
timeout = {timeout}
[requests]
query = 'sum by (code) (increase(http_requests_total{{$match}}[$step]))'
[latency]
query = 'sum by (le) (increase(http_request_seconds_bucket{{job="api",$match}}[$step]))'
[labels]
tenant = "tenant"
route = "handler"
"""
NEEDED = ("prometheus", "promtool")
CONFIG = """
global: {{scrape_interval: 200ms, evaluation_interval: 1m}}
scrape_configs:
- {{job_name: itself, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


def program(name: str) -> str | None:
    return debian.program(name, "prometheus")


def history() -> Iterator[str]:
    yield "# TYPE http_requests counter"
    for tenant in ("acme", *HOSTILE):
        for code, each in PER_SCRAPE.items():
            labels = f'{{tenant={json.dumps(tenant, ensure_ascii=False)},handler="/v1",code="{code}"}}'
            yield from _counter(f"http_requests_total{labels}", each, ERRORS_FROM if code == "503" else 0)
    yield "# TYPE http_request_seconds histogram"
    for bound, share in SHARES.items():
        labels = f'{{job="api",tenant="acme",handler="/v1",le="{bound}"}}'
        yield from _counter(f"http_request_seconds_bucket{labels}", 40 * share)
    yield "# TYPE wide counter"
    for n in range(10_000):
        for second in (0, 60, 120):
            yield f'wide_total{{code="{n}"}} {second} {BEGIN.timestamp() + second:.0f}'


def _counter(name: str, each: float, since: int = 0) -> Iterator[str]:
    for second in range(since, HOURS * 3600 + 1, SCRAPE):
        if second not in GAP:
            scrapes = (second - (RESET if second >= RESET else since)) // SCRAPE
            yield f"{name} {scrapes * each:g} {BEGIN.timestamp() + second:.0f}"


@contextlib.contextmanager
def running(folder: Path, samples: Iterable[str]) -> Iterator[str]:
    """The URL of a server that holds `samples` (lines of OpenMetrics) and scrapes itself five times a second."""
    prometheus, promtool = program("prometheus"), program("promtool")
    assert prometheus and promtool
    history, data = folder / "history.txt", folder / "data"
    history.write_text("\n".join([*samples, "# EOF", ""]))
    words = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(history), str(data)]
    subprocess.run(words, check=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
    words = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y", "--log.level=error"]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(words, env=os.environ | {"GOMAXPROCS": "1"}) as server:
        try:
            _wait(url, server)
            yield url
        finally:
            server.terminate()


@contextlib.contextmanager
def saying(body: bytes) -> Iterator[str]:
    """The URL of a server that answers this to everything, as a Prometheus would."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError("Prometheus did not become ready")


if __name__ == "__main__":
    debian.main("prometheus", NEEDED)
