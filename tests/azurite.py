"""Azurite, the emulator of Azure's storage, for the tests; it holds everything in memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.clouds import ACCOUNT, SHARED, shared_key

NODE = Path(sys.executable).with_name("node")
PROGRAM = Path(__file__).parent / "npm/node_modules/azurite/dist/src/blob/main.js"
CONTAINER = "evidence"
PATIENCE = 60.0


@contextmanager
def serving() -> Iterator[dict[str, Any]]:
    """With the container `evidence`. Yields what reaches it, for `ObjectRemote`."""
    if not PROGRAM.exists():
        pytest.skip("azurite is not installed: make setup does that")
    with ExitStack() as stack:
        deadline, endpoint = time.monotonic() + PATIENCE, None
        while endpoint is None:  # another program may take its port before it does
            assert time.monotonic() < deadline
            endpoint = _started(stack, deadline)
        yield {"account_key": SHARED, "endpoint": endpoint, "client_options": {"allow_http": True}}


def _started(stack: ExitStack, deadline: float) -> str | None:
    """None: it ended at once, or is not ready in time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = ("--inMemoryPersistence", "--silent", "--disableTelemetry")
    server = subprocess.Popen(
        [NODE, PROGRAM, "--blobPort", str(port), *quiet],
        env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{SHARED}"},
        stdout=subprocess.DEVNULL,
    )
    stack.callback(server.wait)
    stack.callback(server.kill)
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    while not _made_container(endpoint):
        if time.monotonic() > deadline or server.poll() is not None:
            return None
        time.sleep(0.05)
    return endpoint


def _made_container(endpoint: str) -> bool:
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03", "content-length": "0"}
    headers["content-type"] = "application/octet-stream"  # else the library adds one that is not signed
    resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    headers["authorization"] = shared_key("PUT", headers, resource)
    asked = urllib.request.Request(f"{endpoint}/{CONTAINER}?restype=container", b"", headers, method="PUT")
    try:
        urllib.request.urlopen(asked, timeout=5).close()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
    except OSError:
        return False
    return True
