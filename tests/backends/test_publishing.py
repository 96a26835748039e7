"""Publishing as a job of a real home: to folders and to a real S3; lost workers, dead letters, and who may what."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from backends.evidence import remotes
from backends.evidence.folder import BundleFolder
from backends.evidence.published import PublishedBundle
from backends.evidence.publisher import Publisher
from backends.evidence.remotes import PART, ObjectRemote
from backends.postgres import publishing as module
from backends.postgres.home import Home
from backends.postgres.job_queue import PostgresQueue, Self, queue
from backends.postgres.publishing import publishing
from controlplane.errors import Refusal
from controlplane.evidence.bundles import BUNDLE, ENVELOPE, index, verify
from controlplane.evidence.model import Publication, PublicationDirectory
from controlplane.evidence.publishing import Stored, Target
from controlplane.evidence.targets import Pace
from controlplane.jobs.engine import GiveUp, words_of
from controlplane.listing import Query
from controlplane.queues.model import LetterDirectory
from tests import clouds, seaweed
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.test_evidence import do, opened
from tests.backends.test_evidence_files import SIGNER, written
from tests.clouds import Between
from tests.postgres import Database
from tests.seaweed import S3

ME = Self("worker", "host", 1, "test")


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


def soon(owner: psycopg.Connection) -> None:
    """Every waiting job is due now."""
    owner.execute("UPDATE wf.jobs SET run_at = now() WHERE state = 'waiting'")
    owner.execute("SELECT wf.wake_lanes(ARRAY[''], ARRAY[now()])")


class Stage:
    """A recorded bundle in the evidence folder of a worker that may publish to `out`."""

    def __init__(self, home: Home, database: Database, folder: Path) -> None:
        self.home, self.database, self.out = home, database, folder / "out"
        writer = written(folder / "bundle")
        self.sha256 = writer.envelope_sha256
        self.bundle = writer.move(folder / self.sha256)
        self.kinds = publishing(Publisher(folder, [Target.parse(f"file://{self.out}")]))
        self.kind, self.verifying, self.sweeping = self.kinds

    async def ask(self, target: str = "") -> Publication:
        await do(
            self.home, "evidence.add", sha256=self.sha256, bytes=9, name="b", kind=BUNDLE, environment="production"
        )
        made = await do(self.home, "evidence.publish", id=1, target=target or f"file://{self.out}/prod")
        return await self.read(made.result["id"])

    async def read(self, number: int = 1) -> Publication:
        return await self.home.of(PublicationDirectory).get(number)

    async def work(self) -> str | None:
        """Do the publication's job once, as a worker does. Returns the error, None when there was none."""
        async with queue(self.database.login("worker"), ME, {self.kind.name: self.kind}) as jobs:
            [job] = await jobs.claim(1)
            try:
                assert await self.kind.run(jobs, job)
            except (Refusal, GiveUp) as error:
                words = words_of(error, self.kind)
                await jobs.fail(job, words, give_up=isinstance(error, GiveUp))
                return words
        return None


@asynccontextmanager
async def staged(database: Database, folder: Path) -> AsyncIterator[Stage]:
    async with opened(database, "operator") as home:
        yield Stage(home, database, folder)


async def test_a_bundle_is_published_read_back_and_attested(database: Database, psql: Psql, tmp_path: Path) -> None:
    async with staged(database, tmp_path) as stage:
        asked = await stage.ask()
        assert (asked.state, asked.published_at, asked.objects) == ("waiting", None, None)
        assert await stage.work() is None
        done = await stage.read()
        assert (done.state, done.objects, done.error, done.attempts) == ("published", 4, None, 1)
        attestation = await stage.home.of(PublicationDirectory).attestation(1)
        assert attestation is not None and attestation["created"]
        for each in attestation["objects"]:
            assert (stage.out / "prod" / each["key"]).read_bytes() == (stage.bundle / each["path"]).read_bytes()
            assert each["etag"]
        manifest = json.loads((stage.out / "prod" / "bundles" / f"{stage.sha256}.json").read_bytes())
        again = tmp_path / "again"  # from what is published the bundle is made again
        for each in manifest["files"]:
            (again / each["path"]).parent.mkdir(parents=True, exist_ok=True)
            content = stage.out / "prod" / "data" / "sha256" / each["sha256"][:2] / each["sha256"]
            (again / each["path"]).write_bytes(content.read_bytes())
        assert verify(BundleFolder(again), [SIGNER]).fault is None
        address = f"file://{stage.out}/prod/bundles/{stage.sha256}.json"
        assert verify(PublishedBundle.at(address), [SIGNER]).fault is None, "and it is verified where it is"
        trail = "SELECT operation, out_of_band FROM wf.audit WHERE noun = 'publications' ORDER BY seq"
        assert psql("viewer").execute(trail).fetchall() == [("evidence.publish", False), ("evidence.published", False)]

        # Another look: the same bundle is a no-op, and what was lost meanwhile is put back.
        await do(stage.home, "evidence.republish", id=1)
        (stage.out / "prod" / attestation["objects"][0]["key"]).unlink()
        assert (await stage.read()).state == "waiting" and await stage.work() is None
        attestation = await stage.home.of(PublicationDirectory).attestation(1)
        assert attestation is not None and (attestation["written"], attestation["created"]) == (1, False)


async def test_what_fails_is_tried_again_and_found_among_the_dead_letters(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        stage.bundle.rename(tmp_path / "elsewhere")
        assert "bundle_not_here" in (await stage.work() or "")
        waits = await stage.read()
        assert waits.state == "waiting" and "not in this worker's evidence folder" in (waits.error or "")
        psql("owner").execute("UPDATE wf.jobs SET tries = max_tries - 1 WHERE kind = 'publish_evidence'")
        soon(psql("owner"))
        assert await stage.work() is not None
        assert (await stage.read()).state == "failed"
        [letter] = (await stage.home.of(LetterDirectory).page(Query((), "age", True))).rows
        assert (letter.handler, letter.error_class, letter.state) == ("publish_evidence", "bundle_not_here", "dead")
        (tmp_path / "elsewhere").rename(stage.bundle)
        await do(stage.home, "evidence.republish", id=1)
        assert await stage.work() is None and (await stage.read()).state == "published"
        [letter] = (await stage.home.of(LetterDirectory).page(Query((), "age", True))).rows
        assert letter.state == "replayed"


async def test_only_what_is_recorded_goes_only_where_it_may(database: Database, psql: Psql, tmp_path: Path) -> None:
    async with staged(database, tmp_path) as stage:
        await stage.ask("file:///etc/evidence")
        assert "target_not_allowed" in (await stage.work() or "")
        await do(stage.home, "evidence.publish", id=1, target=f"file://{stage.out}")
        await do(stage.home, "evidence.cancel", id=1)
        (stage.bundle / "empty").unlink()
        (stage.bundle / "empty").symlink_to("/etc/passwd")
        assert "file_changed" in (await stage.work() or "")
        (stage.bundle / "empty").unlink()
        (stage.bundle / "empty").write_bytes(b"more")
        soon(psql("owner"))
        assert "file_changed" in (await stage.work() or "")
        (stage.bundle / ENVELOPE).write_bytes(index([], {"trail": SIGNER.public.origin}, SIGNER))
        soon(psql("owner"))
        assert "is not the recorded one" in (await stage.work() or "")
        assert not list(stage.out.rglob("*.json")), "no manifest"


@pytest.mark.parametrize("size", ["9223372036854775807", "-1", "1e400", '"many"'])
async def test_no_sizes_that_a_worker_attests_hide_what_others_published(
    database: Database, psql: Psql, tmp_path: Path, size: str
) -> None:
    async with (
        staged(database, tmp_path) as stage,
        queue(database.login("worker"), ME, {stage.kind.name: stage.kind}) as jobs,
    ):
        await stage.ask()
        [job] = await jobs.claim(1)
        lie = f'{{"objects": [{{"bytes": {size}}}, {{"bytes": {size}}}]}}'
        refused(psql("worker"), "publication_attestation", f"SELECT wf.settle_publication(1, {job.id}, '{lie}')")
        owner = psql("owner")
        owner.execute("SET session_replication_role = replica")  # one that is there already
        if size.isdigit():
            owner.execute("UPDATE wf.publications SET published_at = now(), attestation = %s", [lie])
            assert (await stage.read()).bytes == 2**63 - 1


async def test_a_lost_worker_is_followed_and_says_nothing_more(database: Database, psql: Psql, tmp_path: Path) -> None:
    owner = psql("owner")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        kinds = {stage.kind.name: stage.kind}
        async with queue(database.login("worker"), ME, kinds) as lost:
            [job] = await lost.claim(1)
            assert (await stage.read()).state == "running"
            owner.execute("UPDATE wf.workers SET lease_until = now() - interval '1 minute'")
            async with queue(database.login("worker"), ME, kinds) as next_one:
                await next_one.tick()
                soon(owner)
                assert await settle(stage, next_one)
            before = await stage.read()
            assert before.state == "published"
            with pytest.raises(Refusal) as found:
                await stage.kind.run(lost, job)  # it wakes up and goes on
            assert found.value.code == "publication_held"
            assert await stage.read() == before


async def settle(stage: Stage, jobs: PostgresQueue) -> bool:
    [job] = await jobs.claim(1)
    return await stage.kind.run(jobs, job)


async def test_who_may_ask_cancel_and_settle(database: Database, psql: Psql, tmp_path: Path) -> None:
    operator, worker = psql("operator"), psql("worker")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        for role in ("viewer", "support", "worker", "service"):
            denied(
                psql(role), "SELECT wf.publish_evidence(1, 's3://bucket')", "SELECT wf.change_publication('cancel', 1)"
            )
        for role in ("viewer", "support", "operator", "admin", "worker"):
            denied(psql(role), "INSERT INTO wf.publications (evidence_id, target) VALUES (1, 's3://b')",
                   "UPDATE wf.publications SET published_at = now(), attestation = '{}'", "DELETE FROM wf.publications",
                   "UPDATE wf.publication_jobs SET job_id = 1")  # fmt: skip
        denied(operator, "SELECT wf.settle_publication(1, 1, '{}')", "SELECT wf.queue_publication(1)")
        job = one(operator, "SELECT job_id FROM wf.publication_jobs")[0]
        refused(worker, "publication_held", f"SELECT wf.settle_publication(1, {job}, '{{}}')")
        for target in ("s3://key:secret@b", "s3://b/../x", "http://b/x", "file://etc/x", "s3://b?x=1", "az://account"):
            refused(operator, "publication_target", f"SELECT wf.publish_evidence(1, '{target}')")
        refused(operator, "publication_taken", f"SELECT wf.publish_evidence(1, 'file://{stage.out}/prod')")
        refused(operator, "publication_evidence", "SELECT wf.publish_evidence(2, 's3://bucket')")
        refused(operator, "publication_transition", "SELECT wf.change_publication('republish', 1)")
        refused(operator, "publication_transition", "SELECT wf.change_publication('settle', 1)")
        refused(operator, "publication_transition", "SELECT wf.change_publication(NULL, 1)")
        refused(operator, "publication_transition", "SELECT wf.change_publication('cancel', 7)")
        await do(stage.home, "evidence.cancel", id=1)
        assert (await stage.read()).state == "canceled"
        rows = "SELECT noun, operation FROM wf.audit WHERE operation = 'evidence.cancel' ORDER BY 1"
        assert psql("viewer").execute(rows).fetchall() == [
            ("jobs", "evidence.cancel"),
            ("publications", "evidence.cancel"),
        ]
        await do(stage.home, "evidence.republish", id=1)
        assert (await stage.read()).state == "waiting"
        other = await do(stage.home, "evidence.add", sha256="01" * 32, bytes=1, name="a", kind="junit", environment="x")
        with pytest.raises(Refusal) as found:
            await do(stage.home, "evidence.publish", id=other.result["id"], target="s3://bucket")
        assert found.value.code == "not_a_bundle"


def test_a_target_becomes_the_store_of_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    from obstore.store import AzureStore, GCSStore, S3Store

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    for text, kind, prefix in (
        ("s3://bucket", S3Store, None),
        ("s3://bucket/a/b", S3Store, "a/b"),
        ("gs://bucket/a", GCSStore, "a"),
        ("az://account/container", AzureStore, None),
        ("az://account/container/a/b", AzureStore, "a/b"),
    ):
        store = ObjectRemote(Target.parse(text))._store
        assert type(store) is kind and (store.prefix or None) == prefix, text
        if isinstance(store, AzureStore):
            assert (store.config["account_name"], store.config["container_name"]) == ("account", "container")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with seaweed.serving() as server:
        yield server


def test_a_real_s3_takes_large_files_in_parts_and_creates_a_manifest_once(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reached by what the worker's surroundings say, as in production."""
    for name, value in s3.surroundings.items():
        monkeypatch.setenv(name, value)
    writer = written(tmp_path / "bundle")
    (tmp_path / "bundle" / "large").write_bytes(b"x" * (2 * PART + 5))
    (tmp_path / "bundle" / ENVELOPE).unlink()
    with writer.open("more/large") as file:
        for _ in range(2):
            file.write(b"y" * (PART + 1))
    (tmp_path / "bundle" / "large").unlink()
    writer.finish(index(writer.subjects, {"trail": SIGNER.public.origin}, SIGNER))
    sha256 = writer.envelope_sha256
    writer.move(tmp_path / sha256)
    target = Target.parse("s3://evidence/prod")
    publisher = Publisher(tmp_path, [target])
    first, again = publisher.publish(sha256, target), publisher.publish(sha256, target)
    assert (first["written"], first["created"], again["written"], again["created"]) == (5, True, 0, False)
    by_path = {each["path"]: each for each in first["objects"]}
    assert by_path["more/large"]["bytes"] == 2 * PART + 2 and by_path["more/large"]["etag"].rstrip('"').endswith("-3")
    assert by_path["alerts.ndjson"]["etag"] and first["objects"] == again["objects"]
    remote = ObjectRemote(target)
    assert remote.create("once", b"1") is not None and remote.create("once", b"2") is None
    once = remote.read("once")
    assert once is not None and b"".join(once[1]) == b"1" and once[0].size == 1
    assert remote.look("nothing") is None and remote.read("nothing") is None


def test_what_a_provider_refuses_is_said_without_its_answer(s3: S3) -> None:
    wrong = s3.options | {"secret_access_key": "a-wrong-one"}
    nowhere = s3.options | {"endpoint": "http://127.0.0.1:9", "retry_config": {"max_retries": 0}}
    for options, words in ((wrong, "it does not let this worker"), (nowhere, "it cannot be reached")):
        with pytest.raises(Refusal, match=words) as found:
            ObjectRemote(Target.parse("s3://evidence/prod"), options).put("a", [b"x"], 1)
        assert found.value.code == "target_failed" and "a-wrong-one" not in str(found.value)


class Slow(ObjectRemote):
    """A target that takes nothing until it is told to."""

    go, asked = threading.Event(), threading.Semaphore(0)

    def look(self, key: str) -> Stored | None:
        self.asked.release()
        assert self.go.wait(60)
        return super().look(key)


async def test_a_worker_publishes_two_at_a_time_and_a_stopped_one_says_nothing(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    async with staged(database, tmp_path) as stage:
        stage.kind, *_ = publishing(Publisher(tmp_path, [Target.parse(f"file://{stage.out}")], Slow))
        await stage.ask()
        for name in ("other", "third"):
            await do(stage.home, "evidence.publish", id=1, target=f"file://{stage.out}/{name}")
        async with queue(database.login("worker"), ME, {stage.kind.name: stage.kind}) as jobs:
            first, second, third = await jobs.claim(3)
            busy = [asyncio.create_task(stage.kind.run(jobs, job)) for job in (first, second)]
            for _ in busy:
                assert await asyncio.to_thread(Slow.asked.acquire, timeout=60)
            assert await stage.kind.run(jobs, third)
            waits = await stage.read(3)
            assert (waits.state, waits.error) == ("waiting", "this worker publishes as many as it can")
            tries = one(psql("owner"), "SELECT tries FROM wf.jobs WHERE id = %s", third.id)
            assert tries == (0,), "that was no try"
            busy[0].cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await busy[0]
            Slow.go.set()
            assert await busy[1]
        assert [(await stage.read(number)).state for number in (1, 2)] == ["waiting", "published"]
        manifests = [path.parts[-3] for path in stage.out.rglob("bundles/*.json")]
        assert manifests == ["other"], "the one that was broken off wrote no manifest"


class Held:
    """Lets so many bytes pass; the next ones wait until it is broken off."""

    def __init__(self, most: int) -> None:
        self.left, self.reached = most, threading.Event()

    def pace(self, rate: int | None, stop: threading.Event) -> Pace:
        def wait(seconds: float) -> None:
            if self.left < 0:
                self.reached.set()
                assert stop.wait(60)
            if stop.is_set():
                raise Refusal("publishing_stopped", "It was broken off.")

        held = self

        class Counting(Pace):
            def __call__(self, number: int) -> None:
                held.left -= number
                super().__call__(number)

        return Counting(None, lambda: 0.0, wait)


async def test_one_that_is_being_published_is_canceled_and_leaves_nothing_unfinished(
    database: Database, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 << 20
    held, target = Held(part + (2 << 20)), Target.parse("s3://evidence/canceled")
    monkeypatch.setattr(remotes, "PART", part)
    monkeypatch.setattr(module, "NOTE_SECONDS", 0.05)
    monkeypatch.setattr(module, "_pace", held.pace)
    writer = written(tmp_path / "bundle")
    (tmp_path / "bundle" / ENVELOPE).unlink()
    with writer.open("large") as file:
        file.write(b"x" * (2 * part + 5))
    writer.finish(index(writer.subjects, {"trail": SIGNER.public.origin}, SIGNER))
    async with staged(database, tmp_path / "stage") as stage:
        stage.sha256 = writer.envelope_sha256
        writer.move(tmp_path / stage.sha256)
        with clouds.serving(Between(s3.endpoint.removeprefix("http://"))) as between:
            options = s3.options | {"endpoint": between.endpoint}
            stage.kind, *_ = publishing(Publisher(tmp_path, [target], lambda asked: ObjectRemote(asked, options)))
            await stage.ask(str(target))
            working = asyncio.create_task(stage.work())
            assert await asyncio.to_thread(held.reached.wait, 60)
            await do(stage.home, "evidence.cancel", id=1)
            assert (await stage.read()).state in ("canceling", "canceled")
            assert await working is None
            assert (await stage.read()).state == "canceled"
            asked = [each for each in between.asked if each.query.keys() & {"uploads", "uploadId"}]
            assert [each.method for each in asked if "uploads" in each.query] == ["POST"], "it was begun"
            assert "DELETE" in [each.method for each in asked], "and ended"
            remote = ObjectRemote(target, s3.options)
            assert not await asyncio.to_thread(remote.unfinished, datetime.now(UTC) + timedelta(days=1))
            assert remote.look(f"bundles/{stage.sha256}.json") is None, "no manifest of what is not all there"

            held.left = 1 << 40
            await do(stage.home, "evidence.republish", id=1)
            assert await stage.work() is None and (await stage.read()).state == "published"


async def test_a_cancel_outlives_the_worker_and_comes_too_late_for_what_has_its_manifest(
    database: Database, psql: Psql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(ObjectRemote):
        """Its manifest is made; what was published is read back only when that was canceled."""

        def read(self, key: str) -> tuple[Stored, Iterator[bytes]] | None:
            psql("operator").execute("SELECT wf.change_publication('cancel', 1)") if key.startswith(
                "bundles/"
            ) else None
            return super().read(key)

    monkeypatch.setattr(module, "NOTE_SECONDS", 0.01)
    async with staged(database, tmp_path) as stage:
        places = [Target.parse(f"file://{stage.out}")]
        await stage.ask()
        async with queue(database.login("worker"), ME, {stage.kind.name: stage.kind}) as lost:
            await lost.claim(1)
            await do(stage.home, "evidence.cancel", id=1)
            with pytest.raises(Refusal) as found:
                await do(stage.home, "evidence.cancel", id=1)
            assert found.value.code == "publication_transition" and (await stage.read()).state == "canceling"
        soon(psql("owner"))
        assert await stage.work() is None, "the next one has nothing left to do"
        assert (await stage.read()).state == "canceled" and not stage.out.exists()

        stage.kind, *_ = publishing(Publisher(tmp_path, places, Late))
        await do(stage.home, "evidence.republish", id=1)
        assert await stage.work() is None
        assert (await stage.read()).state == "published", "it is there, whatever was asked for"


async def test_whoever_cancels_and_does_not_commit_holds_up_no_worker(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    operator, owner = psql("operator"), psql("owner")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        async with queue(database.login("worker"), ME, {stage.kind.name: stage.kind}) as jobs:
            [job] = await jobs.claim(1)
            with operator.transaction():
                operator.execute("SELECT wf.change_publication('cancel', 1)")
                owner.execute("SELECT FROM wf.jobs WHERE id = %s FOR UPDATE NOWAIT", [job.id])
