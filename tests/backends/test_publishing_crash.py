"""Workers that are killed in mid-upload: the bundle ends published once, whole and attested."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Iterable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from backends.evidence.folder import BundleWriter
from backends.evidence.publisher import Publisher
from backends.evidence.remotes import ObjectRemote
from backends.postgres.publishing import publishing
from controlplane.evidence.bundles import BUNDLE, index
from controlplane.evidence.publishing import Stored, Target
from tests.backends.psql import Psql, logins, one
from tests.backends.test_deliveries_crash import LEASE_OVER, until
from tests.backends.test_evidence import do, opened
from tests.backends.test_evidence_files import SIGNER
from tests.backends.test_publishing import soon
from tests.postgres import Database

KILLS, FILES = 2, 48
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["backends.postgres.publishing", "obstore", "app.worker"])


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


class SlowRemote(ObjectRemote):
    """A folder far away."""

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored:
        time.sleep(0.1)
        return super().put(key, pieces, size)


def work(conninfo: str, folder: Path, out: Path) -> None:
    from app.worker import Work, until_told
    from backends.postgres import heartbeat

    heartbeat.BEAT_SECONDS = 0.5
    kind, *_ = publishing(Publisher(folder, [Target.parse(f"file://{out}")], SlowRemote))
    asyncio.run(until_told(Work(conninfo, {kind.name: kind}, grace=2)))


async def test_a_bundle_ends_published_once_and_whole_however_often_its_worker_is_killed(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    owner, chance, out = psql("owner"), random.Random(7), tmp_path / "out"
    writer = BundleWriter(tmp_path / "bundle")
    for number in range(FILES):
        with writer.open(f"file-{number}") as file:
            file.write(str(number).encode() * 100)
    writer.finish(index(writer.subjects, {"trail": SIGNER.public.origin}, SIGNER))
    bundle = writer.move(tmp_path / writer.envelope_sha256)
    async with opened(database, "operator") as home:
        await do(home, "evidence.add", sha256=bundle.name, bytes=9, name="b", kind=BUNDLE, environment="production")
        await do(home, "evidence.publish", id=1, target=f"file://{out}")

    def stored() -> int:
        return sum(1 for path in out.glob("data/sha256/*/*") if "#" not in path.name)

    def started() -> ForkServerProcess:
        process = _FORKS.Process(target=work, args=(database.login("worker"), tmp_path, out), daemon=True)
        process.start()
        return process

    running = started()
    try:
        for _ in range(KILLS):
            enough = stored() + chance.randint(1, 9)
            await until(lambda enough=enough: stored() >= enough)
            running.kill()
            running.join()
            assert not list(out.glob("bundles/*.json")), "no manifest of what is not all there"
            owner.execute(LEASE_OVER, [running.pid])  # nobody waits 15 seconds for it
            owner.execute("SELECT wf.tick_jobs()")
            soon(owner)
            running = started()
        await until(lambda: one(owner, "SELECT state FROM wf.publication_list") == ("published",))
    finally:
        running.kill()
        running.join()
    [manifest] = out.glob("bundles/*.json")
    files = json.loads(manifest.read_bytes())["files"]
    assert len(files) == FILES + 1 == stored()
    for each in files:
        content = out / "data" / "sha256" / each["sha256"][:2] / each["sha256"]
        assert content.read_bytes() == (bundle / each["path"]).read_bytes()
    asked = "SELECT count(*) FROM wf.audit WHERE operation = 'evidence.published'"
    assert one(owner, asked) == (1,)
    assert one(owner, "SELECT attempts, objects FROM wf.publication_list") == (KILLS + 1, FILES + 1)
