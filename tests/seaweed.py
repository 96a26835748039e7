"""A real S3 server for the tests, on a disk that is thrown away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("weed")
KEY, SECRET = "tests", "a-key-of-the-tests"
PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
PATIENCE = 60.0


@dataclass(frozen=True)
class S3:
    """`options`: what reaches it, for `ObjectRemote`; `surroundings`: the same as variables."""

    endpoint: str

    @property
    def options(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "region": "us-east-1",
            "virtual_hosted_style_request": False,
            "client_options": {"allow_http": True},
        }

    @property
    def surroundings(self) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
        return keys | {"AWS_ENDPOINT": self.endpoint, "AWS_ALLOW_HTTP": "true"}


@contextmanager
def serving() -> Iterator[S3]:
    """It has the bucket `evidence`."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        deadline, found = time.monotonic() + PATIENCE, None
        while found is None:  # another program may take one of its ports before it does
            assert time.monotonic() < deadline, (Path(folder) / "log").read_text()[-2000:]
            found = _started(folder, stack, deadline)
        yield found


def _started(folder: str, stack: ExitStack, deadline: float) -> S3 | None:
    """None: it ended at once, or is not ready in time."""
    ports = _free(2 * len(PORTS))
    flags = [f"-{name}={port}" for name, port in zip(PORTS, ports, strict=False)]
    flags += [f"-{name}.grpc={port}" for name, port in zip(PORTS, ports[len(PORTS) :], strict=True)]
    secrets = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "S3_BUCKET": "evidence"}
    log = stack.enter_context((Path(folder) / "log").open("wb"))
    server = subprocess.Popen(
        [PROGRAM, "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", "-volume.max=20", *flags],
        env=os.environ | secrets,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    stack.callback(server.wait)
    stack.callback(server.kill)
    found = S3(f"http://127.0.0.1:{ports[PORTS.index('s3.port')]}")
    while not _ready(found):
        if time.monotonic() > deadline or server.poll() is not None:
            return None
        time.sleep(0.05)
    return found


def _ready(server: S3) -> bool:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        urllib.request.urlopen(f"{server.endpoint}/status", timeout=1).close()
        obstore.put(from_url("s3://evidence", **server.options), "ready", b"")
    except (OSError, urllib.error.URLError, BaseError):
        return False
    return True


def _free(number: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
