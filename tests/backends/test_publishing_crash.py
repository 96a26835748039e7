"""Workers that are killed in mid-upload to a real S3: each bundle ends published once, whole and attested, and what
they left unfinished is swept up.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import random
import signal
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped,unused-ignore]
import pytest

from backends.evidence import remotes
from backends.evidence.folder import BundleWriter
from backends.evidence.publisher import Publisher
from backends.evidence.remotes import ObjectRemote
from backends.postgres.job_queue import Self, queue
from backends.postgres.publishing import publishing
from controlplane.evidence.bundles import BUNDLE, index
from controlplane.evidence.publishing import Stored, Target
from tests import seaweed
from tests.backends.psql import Psql, logins, one
from tests.backends.test_deliveries_crash import LEASE_OVER
from tests.backends.test_evidence import do, opened
from tests.backends.test_evidence_files import SIGNER
from tests.backends.test_publishing import soon
from tests.postgres import Database
from tests.seaweed import KEY, SECRET

BUNDLES, KILLS, SMALL, PART = 4, 5, 5, 5 << 20
TARGET = Target.parse("s3://evidence/crash")
FEWEST = SMALL + 1 + 8
"""Steps of any try before the last file is whole: a look at each, and six pieces of the large one with its end. The
first try has two more for each small file.
"""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "backends.http.client", "obstore.store"])


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


class Dying(ObjectRemote):
    """Kills its program, as kill -9 does, when so many steps are done."""

    left = 0

    def _step(self) -> None:
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def look(self, key: str) -> Stored | None:
        self._step()
        return super().look(key)

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored:
        def stepping() -> Iterator[bytes]:
            for piece in pieces:
                self._step()
                yield piece
            self._step()

        return super().put(key, stepping(), size)


def work(conninfo: str, folder: Path, options: dict[str, Any], steps: int) -> None:
    """One worker does one job; with `steps` it is killed on the way."""
    Dying.left, remotes.PART = steps, PART
    kinds = publishing(Publisher(folder, [TARGET], lambda target: Dying(target, options)))

    async def once() -> None:
        me = Self(f"worker-{os.getpid()}", "host", os.getpid(), "test")
        async with queue(conninfo, me, {each.name: each for each in kinds}) as jobs:
            [job] = await jobs.claim(1)
            assert await kinds[0].run(jobs, job)

    asyncio.run(once())


def bundle(folder: Path, number: int) -> Path:
    writer = BundleWriter(folder / "bundle")
    for name, size in (*((f"file-{n}", 100) for n in range(SMALL)), ("large", PART + 9)):
        with writer.open(name) as file:
            for start in range(0, size, 1 << 20):
                file.write(bytes([number + 1]) * min(1 << 20, size - start) + name.encode())
    writer.finish(index(writer.subjects, {"trail": SIGNER.public.origin}, SIGNER))
    return writer.move(folder / writer.envelope_sha256)


async def test_bundles_end_published_once_and_whole_however_often_their_workers_are_killed(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    owner, chance = psql("owner"), random.Random(14)
    folders = [bundle(tmp_path, number) for number in range(BUNDLES)]
    with seaweed.serving() as server:
        client = boto3.client("s3", endpoint_url=server.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                              region_name="us-east-1")  # fmt: skip

        def run(steps: int) -> int | None:
            process = _FORKS.Process(target=work, args=(database.login("worker"), tmp_path, server.options, steps))
            process.start()
            process.join(120)
            owner.execute(LEASE_OVER, [process.pid])  # nobody waits 15 seconds for it
            owner.execute("SELECT wf.tick_jobs()")
            soon(owner)
            return process.exitcode

        for number, folder in enumerate(folders, 1):
            async with opened(database, "operator") as home:
                await do(
                    home, "evidence.add", sha256=folder.name, bytes=9, name="b", kind=BUNDLE, environment="production"
                )
                await do(home, "evidence.publish", id=number, target=str(TARGET))
            for most in (FEWEST + 2 * SMALL, *[FEWEST] * (KILLS - 1)):
                assert run(chance.randint(1, most)) == -signal.SIGKILL
                assert not keys(client, f"crash/bundles/{folder.name}"), "no manifest of what is not all there"
            assert run(0) == 0
            state = "SELECT state, attempts FROM wf.publication_list WHERE id = %s"
            assert one(owner, state, number) == ("published", KILLS + 1)
            whole(client, folder)
        asked = "SELECT count(*), count(DISTINCT thing) FROM wf.audit WHERE operation = 'evidence.published'"
        assert one(owner, asked) == (BUNDLES, BUNDLES)
        assert client.list_multipart_uploads(Bucket="evidence").get("Uploads"), "some died within a large file"
        publisher = Publisher(tmp_path, [TARGET], lambda target: ObjectRemote(target, server.options))
        soon_after = datetime.now(UTC) + timedelta(minutes=1)
        swept = await asyncio.to_thread(publisher.sweep, TARGET, soon_after, True)
        assert swept["removed"] == swept["found"] > 0
        assert not client.list_multipart_uploads(Bucket="evidence").get("Uploads")


def whole(client: Any, folder: Path) -> None:
    manifest = json.loads(client.get_object(Bucket="evidence", Key=f"crash/bundles/{folder.name}.json")["Body"].read())
    assert len(manifest["files"]) == SMALL + 2
    for each in manifest["files"]:
        stored = client.get_object(Bucket="evidence", Key=f"crash/data/sha256/{each['sha256'][:2]}/{each['sha256']}")
        content = stored["Body"].read()
        assert content == (folder / each["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"]


def keys(client: Any, prefix: str) -> list[str]:
    return [each["Key"] for each in client.list_objects_v2(Bucket="evidence", Prefix=prefix).get("Contents", [])]
