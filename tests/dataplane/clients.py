"""The two reference clients of docs/examples as the tests call them, and the home as a service is told it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NODE = Path(sys.executable).with_name("node")
KINDS = ("python", "node")


class Away(Exception):
    """The home could not be asked."""


class Client(Protocol):
    def refusal(self, secret: str, address: str | None = None) -> str | None: ...
    def close(self) -> None: ...


def url(conninfo: str, **instead: Any) -> str:
    """A conninfo as a URL that both drivers read; a socket's folder is a host for both."""
    parts = conninfo_to_dict(conninfo) | instead
    login = f"{parts['user']}:{quote(str(parts['password']))}"
    return f"postgresql://{login}@localhost:{parts['port']}/{parts['dbname']}?host={quote(str(parts['host']), safe='')}"


def keys_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_keys", EXAMPLES / "keys.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class InPython:
    def __init__(self, home: str) -> None:
        self.keys = keys_module().Keys(home)

    def refusal(self, secret: str, address: str | None = None) -> str | None:
        try:
            refused: str | None = self.keys.authenticate(secret, address).refusal
            return refused
        except psycopg.Error as error:
            raise Away(str(error)) from None

    def close(self) -> None:
        self.keys.close()


class InNode:
    def __init__(self, home: str) -> None:
        self._asking = threading.Lock()
        self._child = subprocess.Popen(
            [NODE, str(Path(__file__).with_name("ask.mjs"))],
            env=os.environ | {"SHOP_HOME": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def refusal(self, secret: str, address: str | None = None) -> str | None:
        assert self._child.stdin is not None and self._child.stdout is not None
        with self._asking:
            self._child.stdin.write(json.dumps([secret, address]) + "\n")
            answer: dict[str, Any] = json.loads(self._child.stdout.readline())
        if "away" in answer:
            raise Away(answer["away"])
        refused: str | None = answer["refusal"]
        return refused

    def close(self) -> None:
        try:
            self._child.communicate(timeout=10)
        finally:
            self._child.kill()


@contextmanager
def client(kind: str, home: str) -> Iterator[Client]:
    made: Client = InPython(home) if kind == "python" else InNode(home)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
