"""Logs for the tests of the import: made ones, and where the real ones are."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Beside the checkout; the data's terms keep it out of the repository."""


def real_log(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"the real log {name} is not beside the checkout (../shared/data)")
    return path


def nova_line(number: int, tenant_id: str = "acme", path: str = "servers/detail", status: int = 200) -> bytes:
    """One request, the number-th: its request id says so, and its time and latency follow from it."""
    second = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
    return (
        f"2017-05-16 {second}.{number % 1000:03} 25746 INFO nova.osapi_compute.wsgi.server"
        f" [req-{number} user {tenant_id} - - -] 10.11.10.1"
        f' "GET /v2/{tenant_id}/{path} HTTP/1.1" status: {status} len: 1893 time: 0.{number % 997 + 1:07}\n'
    ).encode()


def nova_log(path: Path, count: int, tenant_id: str = "acme", first: int = 0) -> Path:
    path.write_bytes(b"".join(nova_line(number, tenant_id) for number in range(first, first + count)))
    return path
