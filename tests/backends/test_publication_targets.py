"""Targets of a real home: probed before they are used, served by priority and at their rate, verified, and swept."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.evidence.publisher import Publisher
from backends.evidence.remotes import ObjectRemote
from backends.postgres import publishing
from backends.postgres.job_queue import queue
from controlplane.errors import Refusal
from controlplane.evidence.bundles import BUNDLE
from controlplane.evidence.model import PublicationDirectory, TargetDirectory
from controlplane.evidence.publishing import Target
from controlplane.evidence.targets import Pace
from controlplane.evidence.words import size_words, verification_lines
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed
from controlplane.listing import Query
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.test_detectors import found
from tests.backends.test_evidence import do
from tests.backends.test_publishing import ME, Stage, soon, staged
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


async def work(stage: Stage, kind: Kind) -> None:
    async with queue(stage.database.login("worker"), ME, {each.name: each for each in stage.kinds}) as jobs:
        [job] = await jobs.claim(1)
        assert job.kind == kind.name and await kind.run(jobs, job)


async def test_a_target_is_probed_before_it_is_used_and_says_what_it_can(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        place = f"file://{stage.out}/prod"
        before = await stage.home.of(TargetDirectory).get(place)
        assert (before.probed_at, before.creates, before.pending) == (None, None, 1)
        assert await stage.work() is None
        [found] = (await stage.home.of(TargetDirectory).page(Query((), "target"))).rows
        assert (found.creates, found.versions, found.digests, found.locks, found.published) == (
            True,
            False,
            False,
            False,
            1,
        )
        trail = "SELECT operation FROM wf.audit WHERE noun = 'targets' ORDER BY seq"
        assert psql("viewer").execute(trail).fetchall() == [("evidence.publish",), ("evidence.probed",)]
        await do(stage.home, "evidence.republish", id=1)
        assert await stage.work() is None, "within a day it is not probed again"
        assert len(psql("viewer").execute(trail).fetchall()) == 2
        locked = await stage.home.of(PublicationDirectory).get(1)
        assert locked.locked_until is None and locked.state == "published"


async def test_what_is_published_is_read_again_by_ranges_and_what_is_wrong_is_named(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        with pytest.raises(Refusal) as found:
            await do(stage.home, "evidence.verify-remote", id=1)
        assert found.value.code == "publication_verifying"
        await stage.work()
        await do(stage.home, "evidence.verify-remote", id=1)
        assert (await stage.read()).verification == "waiting"
        await work(stage, stage.verifying)
        good = await stage.read()
        assert (good.verification, good.faults, good.verified_bytes) == ("good", 0, good.bytes)
        attestation = await stage.home.of(PublicationDirectory).attestation(1)
        assert attestation is not None
        first, second = (stage.out / "prod" / attestation["objects"][number]["key"] for number in (0, 1))
        stat = first.stat()
        first.write_bytes(bytes([first.read_bytes()[0] ^ 1]) + first.read_bytes()[1:])
        os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # so that only its content tells
        second.unlink()
        await do(stage.home, "evidence.verify-remote", id=1)
        await work(stage, stage.verifying)
        bad = await stage.read()
        assert bad.verification == "bad" and bad.faults == 2 and bad.fault_list is not None
        assert [each["fault"] for each in bad.fault_list] == ["its content is another one", "it is gone"]
        trail = "SELECT count(*) FROM wf.audit WHERE operation = 'evidence.verified'"
        assert one(psql("viewer"), trail) == (2,)


async def test_a_verification_is_taken_over_where_it_was(database: Database, psql: Psql, tmp_path: Path) -> None:
    worker = psql("worker")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        await stage.work()
        await do(stage.home, "evidence.verify-remote", id=1)
        attestation = await stage.home.of(PublicationDirectory).attestation(1)
        assert attestation is not None
        kinds = {each.name: each for each in stage.kinds}
        async with queue(database.login("worker"), ME, kinds) as jobs:
            [job] = await jobs.claim(1)
            note = "SELECT wf.note_verification(1, %s, 1, 9, 0, '[]')"
            worker.execute(note, [job.id])
            assert (await stage.read()).verified_objects == 1
            (stage.out / "prod" / attestation["objects"][0]["key"]).unlink()  # it was looked at already
            assert await stage.verifying.run(jobs, job)
            refused(worker, "publication_held", note % job.id)
        assert (await stage.read()).verification == "good"


class Halting(ObjectRemote):
    """It gives nothing of the second object until it is told to."""

    go, looks = threading.Event(), 0

    def read_range(self, key: str, start: int, end: int, etag: str | None) -> bytes | None:
        Halting.looks += 1
        assert Halting.looks < 2 or self.go.wait(60)
        return super().read_range(key, start, end, etag)


async def test_how_far_a_verification_is_can_be_seen(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "NOTE_SECONDS", 0.01)
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        await stage.work()
        await do(stage.home, "evidence.verify-remote", id=1)
        publisher = Publisher(tmp_path, [Target.parse(f"file://{stage.out}")], Halting)
        verifying = publishing.publishing(publisher)[1]
        reading = asyncio.create_task(work(stage, verifying))
        while not (seen := await stage.read()).verified_objects:
            assert not reading.done()
        assert seen.verification == "running" and seen.verified_objects == 1
        words = verification_lines(seen, stage.home.clock.now())
        assert words == [f"verified     running: {seen.verified_bytes} B of {size_words(seen.bytes or 0)} read"
                         f" ({100 * (seen.verified_bytes or 0) // (seen.bytes or 1)} %)"]  # fmt: skip
        Halting.go.set()
        await reading
        assert (await stage.read()).verification == "good"


async def test_a_worker_cannot_store_what_nobody_can_show(database: Database, psql: Psql, tmp_path: Path) -> None:
    worker = psql("worker")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        async with queue(database.login("worker"), ME, {each.name: each for each in stage.kinds}) as jobs:
            [job] = await jobs.claim(1)
            for attestation in ('{"objects": [1]}', '{"objects": [{"lock": "x"}]}', '{"lock": {"until": "soon"}}',
                                '{"objects": [{"bytes": "many"}]}', "[]"):  # fmt: skip
                refused(
                    worker, "publication_attestation", f"SELECT wf.settle_publication(1, {job.id}, '{attestation}')"
                )
            for days in ("'NaN'", "'Infinity'", "-1"):
                refused(worker, "target_lock_days",
                        f"SELECT wf.note_abilities(1, {job.id}, true, true, true, true, 'x', {days})")  # fmt: skip
        await do(stage.home, "evidence.cancel", id=1)
        await do(stage.home, "evidence.republish", id=1)
        await stage.work()
        await do(stage.home, "evidence.verify-remote", id=1)
        async with queue(database.login("worker"), ME, {each.name: each for each in stage.kinds}) as jobs:
            [job] = await jobs.claim(1)
            for told, name in (
                ("1, 1, 0, '[7]'", "faults"),
                ("1, 1, 0, '{}'", "faults"),
                ("-1, 1, 0, '[]'", "progress"),
            ):
                refused(worker, f"publication_check_{name}", f"SELECT wf.note_verification(1, {job.id}, {told})")


async def test_what_a_killed_worker_left_is_found_and_swept_up(database: Database, psql: Psql, tmp_path: Path) -> None:
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        await stage.work()
        attestation = await stage.home.of(PublicationDirectory).attestation(1)
        assert attestation is not None
        whole = stage.out / "prod" / attestation["objects"][0]["key"]
        old, fresh, other = (whole.with_name(whole.name + end) for end in ("#1", "#2", ".mine"))
        for each in (old, fresh, other):
            each.write_bytes(b"part")
        for each in (old, other, whole):
            os.utime(each, (1_700_000_000, 1_700_000_000))
        place = f"file://{stage.out}/prod"
        await do(stage.home, "evidence.sweep", target=place)
        with pytest.raises(Refusal) as found:
            await do(stage.home, "evidence.sweep", target=place)
        assert found.value.code == "target_sweeping"
        await work(stage, stage.sweeping)
        dry = await stage.home.of(TargetDirectory).get(place)
        assert (dry.sweep, dry.swept_found, dry.swept_removed, old.exists()) == ("done", 1, 0, True)
        assert dry.swept_items is not None and dry.swept_items[0]["key"].endswith("#1")
        await do(stage.home, "evidence.sweep", target=place, remove=True)
        await work(stage, stage.sweeping)
        swept = await stage.home.of(TargetDirectory).get(place)
        assert (swept.swept_found, swept.swept_removed) == (1, 1)
        assert [each.exists() for each in (old, fresh, other, whole)] == [False, True, True, True]


async def test_who_matters_more_goes_first_and_a_rated_target_takes_one_at_a_time(
    database: Database, psql: Psql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, worker = psql("owner"), psql("worker")
    async with staged(database, tmp_path) as stage:
        await stage.ask()
        for name in ("other", "third"):
            await do(stage.home, "evidence.publish", id=1, target=f"file://{stage.out}/{name}")
        await do(stage.home, "evidence.limit", target=f"file://{stage.out}/third", priority=1)
        kinds = {each.name: each for each in stage.kinds}
        async with queue(database.login("worker"), ME, kinds) as jobs:
            [first] = await jobs.claim(1)
            assert await stage.kind.run(jobs, first)
            waits = await stage.read(1)
            assert waits.state == "waiting" and "others go first" in (waits.error or "")
            for job in await jobs.claim(2):
                await stage.kind.run(jobs, job)
            assert [(await stage.read(number)).state for number in (1, 2, 3)] == ["waiting", "published", "published"]
            soon(owner)
            other = await do(
                stage.home, "evidence.add", sha256="cd" * 32, bytes=1, name="c", kind=BUNDLE, environment="production"
            )
            place = f"file://{stage.out}/prod"
            await do(stage.home, "evidence.publish", id=other.result["id"], target=place)
            await do(stage.home, "evidence.limit", target=place, rate=1000)
            mine = await jobs.claim(2)
            turn = {job.payload["publication"]: await turn_of(worker, job) for job in mine}
            assert turn == {1: None, 4: 10}, "two of one target, and it has a rate"
            rates: list[float | None] = []

            def pace(rate: float | None, *others: Any) -> Pace:
                rates.append(rate)
                return Pace(None, *others)

            monkeypatch.setattr(publishing, "Pace", pace)
            [mine_first] = [job for job in mine if job.payload["publication"] == 1]
            assert await stage.kind.run(jobs, mine_first)
            assert rates[-1] == 1_000_000.0 and (await stage.read(1)).state == "published"


async def turn_of(worker: psycopg.Connection, job: Claimed) -> int | None:
    found: int | None = one(worker, f"SELECT wf.publication_turn({job.payload['publication']}, {job.id})")[0]
    return found


def test_who_may_limit_sweep_and_say_what_was_found(psql: Psql, tmp_path: Path) -> None:
    owner, operator, worker = psql("owner"), psql("operator"), psql("worker")
    owner.execute("INSERT INTO wf.publication_targets (target) VALUES ('s3://bucket')")
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), "SELECT wf.limit_target('s3://bucket', 1, 1, 1)",
               "SELECT wf.sweep_target('s3://bucket', 1, true)", "SELECT wf.verify_publication(1)")  # fmt: skip
    for role in ("viewer", "support", "operator", "admin", "worker"):
        denied(psql(role), "INSERT INTO wf.publication_targets (target) VALUES ('s3://b')",
               "UPDATE wf.publication_targets SET creates = true", "DELETE FROM wf.publication_targets",
               "UPDATE wf.sweep_jobs SET job_id = 1", "UPDATE wf.publication_checks SET faults = 0")  # fmt: skip
    denied(operator, "SELECT wf.note_abilities(1, 1, true, true, true, true, 'x', 1)",
           "SELECT wf.settle_sweep('s3://bucket', 1, 0, 0, '[]')", "SELECT wf.settle_verification(1, 1)",
           "SELECT wf.note_verification(1, 1, 1, 1, 0, '[]')", "SELECT wf.publication_turn(1, 1)")  # fmt: skip
    refused(worker, "publication_held", "SELECT wf.note_abilities(1, 1, true, true, true, true, 'x', 1)")
    refused(worker, "publication_held", "SELECT wf.settle_sweep('s3://bucket', 1, 0, 0, '[]')")
    refused(worker, "publication_held", "SELECT wf.settle_verification(1, 1)")
    refused(operator, "target_unknown", "SELECT wf.limit_target('s3://other', 1, 1, NULL)")
    refused(operator, "target_unknown", "SELECT wf.sweep_target('s3://other', 1, true)")
    refused(operator, "target_priority", "SELECT wf.limit_target('s3://bucket', 10, 1, NULL)")
    refused(operator, "target_rate", "SELECT wf.limit_target('s3://bucket', 1, 0, NULL)")
    refused(operator, "target_keep_days", "SELECT wf.limit_target('s3://bucket', 1, NULL, 0)")
    refused(operator, "target_sweep_hours", "SELECT wf.sweep_target('s3://bucket', 0, true)")
    refused(operator, "publication_verifying", "SELECT wf.verify_publication(7)")


PUBLICATION = """
WITH t AS (
  INSERT INTO wf.publication_targets (target) VALUES ('s3://bucket') ON CONFLICT DO NOTHING
), e AS (
  INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at)
  SELECT md5(n || %(key)s) || md5('x'), 1, 'a', 'urn:watchfloor:evidence-bundle:v1', 'production', now()
  FROM generate_series(1, %(number)s) n RETURNING id
), p AS (
  INSERT INTO wf.publications (evidence_id, target, asked_at, published_at, attestation, locked_until, lock_mode)
  SELECT e.id, 's3://bucket', now() - %(ago)s::interval, CASE WHEN %(state)s = 'done' THEN now() END,
         CASE WHEN %(state)s = 'done' THEN '{}'::jsonb END, now() + %(locked)s::interval, 'COMPLIANCE'
  FROM e RETURNING id
), j AS (
  INSERT INTO wf.jobs (kind, payload, state, attempts, tries, error, ended_at)
  SELECT 'publish_evidence', jsonb_build_object('publication', p.id), %(state)s, 1, 1,
         'it cannot be reached', CASE WHEN %(state)s = 'dead' THEN now() END
  FROM p WHERE %(state)s <> 'done' RETURNING id, (payload ->> 'publication')::bigint AS publication
)
INSERT INTO wf.publication_jobs (publication_id, job_id) SELECT publication, id FROM j
"""


def publications(
    owner: psycopg.Connection, state: str, number: int, ago: str = "1 hour", locked: str | None = None
) -> None:
    key = f"{state}{ago}{locked}{number}"
    values = {"state": state, "number": number, "ago": ago, "locked": locked, "key": key}
    owner.execute(PUBLICATION, values)


def test_publishing_that_fails_more_than_before_is_an_alert(psql: Psql) -> None:
    owner = psql("owner")
    publications(owner, "dead", 2)
    publications(owner, "done", 17)
    assert found(psql, "publishing_failing") == [], "19 are chance"
    publications(owner, "done", 30)
    [failing] = found(psql, "publishing_failing")
    assert (failing["severity"], failing["threshold"]) == ("warning", 0.02) and failing["value"] == pytest.approx(
        2 / 49
    )
    publications(owner, "dead", 4, ago="3 days")
    publications(owner, "done", 16, ago="3 days")
    assert found(psql, "publishing_failing") == [], "a fifth was given up in the days before"
    publications(owner, "waiting", 30)
    [failing] = found(psql, "publishing_failing")
    assert failing["details"]["failure_rate"] == pytest.approx(32 / 79) and failing["severity"] == "warning"
    publications(owner, "dead", 46, ago="20 days")
    [many] = found(psql, "publishing_failing")
    assert many["severity"] == "critical" and many["details"]["dead_letter_backlog"] == 52


def test_a_lock_that_ends_within_thirty_days_is_an_alert(psql: Psql) -> None:
    owner = psql("owner")
    publications(owner, "done", 2, locked="31 days")
    assert found(psql, "lock_ending") == []
    publications(owner, "done", 3, locked="29 days")
    [ending] = found(psql, "lock_ending")
    assert (ending["severity"], ending["labels"]) == ("warning", {"target": "s3://bucket"})
    assert 28.9 < ending["value"] < 29.1 and ending["details"]["publications"] == 3
    publications(owner, "done", 1, locked="-1 day")
    assert found(psql, "lock_ending")[0]["severity"] == "error"
    owner.execute("UPDATE wf.evidence SET withdrawn_at = now()")
    assert found(psql, "lock_ending") == []


def test_evidence_that_is_locked_for_less_than_is_asked_for_is_an_alert(psql: Psql) -> None:
    owner, operator = psql("owner"), psql("operator")
    publications(owner, "done", 2, locked="90 days")
    publications(owner, "done", 1)
    assert found(psql, "lock_ending") == [], "nothing is asked for"
    operator.execute("SELECT wf.limit_target('s3://bucket', 5, NULL, 89)")
    [short] = found(psql, "lock_ending")
    assert (short["severity"], short["details"]["short"]) == ("error", 1), "the one without a lock"
    operator.execute("SELECT wf.limit_target('s3://bucket', 5, NULL, 365)")
    assert found(psql, "lock_ending")[0]["details"]["short"] == 3
    operator.execute("SELECT wf.limit_target('s3://bucket', 5, NULL, NULL)")
    assert found(psql, "lock_ending") == []
