"""A real Prometheus for the tests, with a history of our choice.

Where none is installed it comes from Debian's package, unpacked beside the tests' own packages: `make setup` runs this
file. Where that package cannot be had, the tests that need it say so and are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

PLACE = Path(sys.prefix) / "prometheus"
NEEDED = ("prometheus", "promtool")
CONFIG = """
global: {{scrape_interval: 200ms, evaluation_interval: 1m}}
scrape_configs:
- {{job_name: itself, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


def program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(PLACE / "usr/bin"))


def fetch() -> None:
    """Needs no rights but for the lists of packages, which are brought up to date where that is allowed."""
    tools = all(map(shutil.which, ("apt-get", "dpkg-deb")))
    if all(map(program, NEEDED)) or not tools:
        return
    with tempfile.TemporaryDirectory() as scratch:
        for command in (["download"], ["update"], ["download"]):
            words = ["apt-get", "-qq", *command, *(["prometheus"] if command == ["download"] else [])]
            subprocess.run(words, cwd=scratch, check=False, timeout=300, stderr=subprocess.DEVNULL)
            if packages := list(Path(scratch).glob("prometheus_*.deb")):
                subprocess.run(["dpkg-deb", "--extract", packages[0], PLACE], check=True, timeout=120)
                return


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


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError("Prometheus did not become ready")


if __name__ == "__main__":
    fetch()
    if not all(map(program, NEEDED)):
        print("no Prometheus could be had here: the tests that need a real one will be skipped", file=sys.stderr)
