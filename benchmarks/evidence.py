"""Bundles: collecting 100,000 audit rows; verifying against sha256sum; publishing to a real S3 against boto3."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from backends.evidence.folder import BundleFolder, BundleWriter
from backends.evidence.publisher import Publisher
from backends.evidence.remotes import ObjectRemote
from backends.postgres.home import Home
from benchmarks.estate import Estate
from benchmarks.figures import Figure, middle
from controlplane.audit.checkpoints import SigningKey
from controlplane.evidence.bundles import TRAIL, index, verify
from controlplane.evidence.collecting import Wanted, collect
from controlplane.evidence.envelopes import Ed25519Signer
from controlplane.evidence.publishing import Target
from tests import seaweed
from tests.seaweed import S3

ROWS, ROWS_SMALL = 100_000, 2_000
LARGE, LARGE_SMALL = 256 << 20, 4 << 20
FILES, FILES_SMALL, FILE_BYTES = 200, 10, 64 << 10
ROUNDS = 5
AIM_MEMORY_MB = 64.0
ORIGIN = "watchfloor/audit/benchmark"
SIGNER = Ed25519Signer.of(SigningKey(bytes(range(32))), ORIGIN)
MANY = """
INSERT INTO wf.projects (tenant_id, id, name)
SELECT 'proved', %s || '-' || n, 'a project of many' FROM generate_series(1, %s) n
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    rounds = 1 if small else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = _collecting(estate, folder, ROWS_SMALL if small else ROWS, rounds)
        figures.append(_verifying(folder, LARGE_SMALL if small else LARGE, rounds))
        with seaweed.serving() as server:
            for number in range(20):  # the server makes its volumes when it is first written to
                ObjectRemote(Target.parse("s3://evidence/warm"), server.options).put(str(number), [b"x"], 1)
            return figures + _publishing(server, folder, small, rounds)


def _collecting(estate: Estate, folder: Path, rows: int, rounds: int) -> list[Figure]:
    with psycopg.connect(estate.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('proved', 'Proved') ON CONFLICT DO NOTHING")
        for part in range(0, rows, 10_000):
            owner.execute(MANY, [f"e{part}-{time.time_ns()}", min(10_000, rows - part)])
        while owner.execute("SELECT wf.chain_audit()").fetchone() != (0,):
            pass
    speeds, peaks = [], []
    for number in range(rounds):
        to = folder / f"collected-{number}"
        with _peak() as peak:
            began = time.perf_counter()
            asyncio.run(_collect(estate.owner, to))
            took = time.perf_counter() - began
        lines = sum(1 for _ in (to / TRAIL).open("rb")) - 1
        speeds.append(lines / took)
        peaks.append(peak())
    speed, spread = middle(speeds)
    memory = max(peaks)  # what was taken once is not given back
    aim = f"≤ {AIM_MEMORY_MB:.0f} MB"
    return [
        Figure(f"a bundle of {lines:,} audit rows collected", speed, "rows/s", spread=spread),
        Figure("collecting: memory above idle", memory, "MB", aim=aim, met=memory <= AIM_MEMORY_MB),
    ]


async def _collect(conninfo: str, to: Path) -> None:
    home = Home(conninfo)
    await home.open()
    try:
        now = home.clock.now()
        wanted = Wanted("release", "benchmark", "production", now - timedelta(days=7))
        await collect(home, wanted, BundleWriter(to), lambda origin: SIGNER, now)
    finally:
        await home.close()


def _verifying(folder: Path, size: int, rounds: int) -> Figure:
    """A bundle that is nearly all one file, so that hashing is all there is to do."""
    bundle = _bundle(folder / "verified", {"large": size})
    ours, theirs = [], []
    for _ in range(rounds):  # in turns, so that both are measured under the same load
        began = time.perf_counter()
        assert verify(BundleFolder(bundle), [SIGNER]).fault is None
        ours.append(size / 1e6 / (time.perf_counter() - began))
        began = time.perf_counter()
        subprocess.run(["sha256sum", str(bundle / "large")], check=True, stdout=subprocess.DEVNULL)
        theirs.append(size / 1e6 / (time.perf_counter() - began))
    speed, spread = middle(ours)
    return Figure(
        f"a bundle of {size >> 20} MiB verified", speed, "MB/s", middle(theirs)[0], "sha256sum", spread=spread
    )


def _publishing(server: S3, folder: Path, small: bool, rounds: int) -> list[Figure]:
    many = {f"file-{n}": FILE_BYTES for n in range(FILES_SMALL if small else FILES)}
    large = {"large": LARGE_SMALL if small else LARGE}
    figures = []
    for name, sizes, least in (("many", many, 1.5), ("large", large, 1.0)):
        bundle = _bundle(folder / name, sizes)
        sha256 = hashlib.sha256((bundle / "bundle.dsse.json").read_bytes()).hexdigest()
        (folder / sha256).symlink_to(bundle)
        total = sum(sizes.values()) / 1e6
        ours, theirs, peaks = [], [], []
        for number in range(rounds):
            target = Target.parse(f"s3://evidence/{name}-{number}")
            publisher = Publisher(folder, [target], lambda asked: ObjectRemote(asked, server.options))
            with _peak() as peak:
                ours.append(_timed(total, lambda: publisher.publish(sha256, target)))  # noqa: B023
            peaks.append(peak())
            if upload := _boto3(server):
                theirs.append(_timed(total, lambda: upload(bundle, f"{name}-{number}")))  # noqa: B023
        speed, spread = middle(ours)
        other = middle(theirs)[0] if theirs else None
        claim = f"{len(sizes)} × {next(iter(sizes.values())) >> 10:,} KiB published to S3 and read back"
        met = None if other is None else speed >= least * other
        wanted = "" if other is None else f"≥ {least:g} ×"
        figures.append(Figure(claim, speed, "MB/s", other, "boto3, the same", wanted, met, spread))
        memory = max(peaks)
        aim = f"≤ {AIM_MEMORY_MB:.0f} MB"
        what = f"publishing {name}: memory above idle"
        figures.append(Figure(what, memory, "MB", aim=aim, met=memory <= AIM_MEMORY_MB))
    return figures


def _boto3(server: S3) -> Callable[[Path, str], None] | None:
    """Uploads and reads back with boto3's own transfers, one file after another; None where it is not installed."""
    if importlib.util.find_spec("boto3") is None:
        print("boto3 is not installed: pip install boto3", file=sys.stderr)
        return None
    import boto3  # type: ignore[import-not-found,import-untyped,unused-ignore]

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=seaweed.KEY,
        aws_secret_access_key=seaweed.SECRET,
        region_name="us-east-1",
    )

    def upload(bundle: Path, prefix: str) -> None:
        for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
            client.upload_file(str(path), "evidence", f"boto3-{prefix}/{path.name}")
            hashing = hashlib.sha256()
            for piece in client.get_object(Bucket="evidence", Key=f"boto3-{prefix}/{path.name}")["Body"].iter_chunks(
                1 << 20
            ):
                hashing.update(piece)

    return upload


def _bundle(folder: Path, sizes: dict[str, int]) -> Path:
    writer = BundleWriter(folder)
    for name, size in sizes.items():
        with writer.open(name) as file:
            for start in range(0, size, 1 << 20):
                file.write(os.urandom(min(1 << 20, size - start)))
    writer.finish(index(writer.subjects, {"trail": ORIGIN}, SIGNER))
    return folder


def _timed(megabytes: float, do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return megabytes / (time.perf_counter() - began)


@contextmanager
def _peak() -> Iterator[Callable[[], float]]:
    """The most resident memory within the block above that before it, in MB, looked at every 2 ms."""
    process, ended = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def look() -> None:
        nonlocal highest
        while not ended.wait(0.002):
            highest = max(highest, process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: (highest - before) / 1e6
    finally:
        ended.set()
        thread.join()
