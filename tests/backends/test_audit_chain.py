"""The audit chain: no row is skipped or chained twice, whatever is done to the trail is found, and nobody signs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from backends.checkpoint_folder import KEY_FILE, TRUSTED, CheckpointFolder, signing_key
from backends.postgres import notary as module
from backends.postgres.audit_chain import page_of_links
from backends.postgres.job_queue import Self, queue
from backends.postgres.notary import Notary, Signed, signing
from controlplane.audit.chain import GENESIS, Fault, Verdict, Verification, following
from controlplane.audit.checkpoints import Checkpoint, SigningKey
from controlplane.errors import Conflict, Refusal
from controlplane.jobs.kinds import kinds
from controlplane.jobs.model import Claimed
from tests.backends.psql import Psql, denied, logins, one
from tests.postgres import Database

ADD = "INSERT INTO wf.tenants (id, name) VALUES ('{0}', '{0}')"
UNGUARDED = "ALTER TABLE wf.audit DISABLE TRIGGER USER; ALTER TABLE wf.audit_chain DISABLE TRIGGER USER;"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    """The trail is empty: what migrations wrote there would move every number of these tests."""
    with logins(database) as connect:
        connect("owner").execute(
            "ALTER TABLE wf.audit DISABLE TRIGGER USER; ALTER TABLE wf.audit_personal DISABLE TRIGGER USER;"
            "TRUNCATE wf.audit, wf.audit_personal; ALTER TABLE wf.audit ENABLE TRIGGER USER;"
            "ALTER TABLE wf.audit_personal ENABLE TRIGGER USER; UPDATE wf.counters SET value = 0 WHERE name = 'audit';"
            "SELECT wf.see_triggers()"
        )
        yield connect


@pytest.fixture
def notary(database: Database, tmp_path: Path) -> Notary:
    key = signing_key(tmp_path, make=True)
    assert key is not None
    return Notary(database.login("worker"), CheckpointFolder(tmp_path / "checkpoints"), key)


def add(psql: Psql, number: int, word: str = "t") -> None:
    """As somebody with psql would, each in a transaction of its own."""
    for n in range(number):
        psql("owner").execute(ADD.format(f"{word}{n}"))


def chain(psql: Psql, most: int = 50000) -> int:
    return one(psql("worker"), "SELECT wf.chain_audit(%s)", most)[0]


def sign(notary: Notary) -> Signed:
    signed = asyncio.run(notary.sign())
    assert signed is not None
    return signed


def verify(database: Database, *checkpoints: Checkpoint) -> Verdict:
    async def walk() -> Verdict:
        async with await psycopg.AsyncConnection.connect(database.login("viewer"), autocommit=True) as connection:
            cursor = await connection.execute("SELECT origin FROM wf.audit_origin")
            row = await cursor.fetchone()
            assert row is not None
            verification, after = Verification(row[0], checkpoints), 0
            while page := await page_of_links(connection, after):
                for link in page:
                    if not verification.step(link):
                        return verification.end()
                after = page[-1].seq
            return verification.end()

    return asyncio.run(walk())


def first_fault(verdict: Verdict) -> tuple[int, str] | None:
    fault: Fault | None = next(iter(verdict.faults), None)
    return None if fault is None else (fault.seq, fault.code)


def test_the_chain_is_what_anybody_can_compute(database: Database, psql: Psql) -> None:
    add(psql, 5)
    psql("owner").execute(
        "UPDATE wf.tenants SET name = E'café\\n\"x\"', owner_email = 'a@example.com', version = 2 WHERE id ~ '^t[0-4]$'"
    )
    assert chain(psql) == 10
    assert chain(psql) == 0
    head = GENESIS
    rows = psql("owner").execute(
        "SELECT wf.audit_canonical(a), c.head, a.out_of_band FROM wf.audit a JOIN wf.audit_chain c USING (seq)"
        " ORDER BY seq"
    )
    for canonical, kept, past_operations in rows:
        assert past_operations
        head = following(head, canonical)
        assert head == kept
    verdict = verify(database)
    assert first_fault(verdict) == (0, "unsigned") and verdict.size == 10 and verdict.head == head.hex()


def test_it_goes_on_where_it_was_in_bites(database: Database, psql: Psql) -> None:
    add(psql, 7)
    assert [chain(psql, 3) for _ in range(4)] == [3, 3, 1, 0]
    add(psql, 2, "u")
    assert chain(psql) == 2
    assert verify(database).size == 9


def test_a_transaction_that_commits_late_is_neither_skipped_nor_waited_for(database: Database, psql: Psql) -> None:
    add(psql, 2)
    with psycopg.connect(database.owner) as late:
        late.execute(ADD.format("late"))
        other = threading.Thread(target=lambda: add(psql, 1, "other"))
        other.start()  # it waits for the counter, so it cannot get a number past one that is not there yet
        assert chain(psql) == 2
        late.commit()
        other.join()
    with psycopg.connect(database.owner) as never:
        never.execute(ADD.format("never"))
        never.rollback()
    add(psql, 1, "after")
    assert chain(psql) == 3
    assert first_fault(verify(database)) == (0, "unsigned") and verify(database).size == 5


def test_one_that_is_killed_half_way_leaves_nothing_and_two_do_it_once(database: Database, psql: Psql) -> None:
    add(psql, 4)
    with psycopg.connect(database.login("worker")) as first:
        assert one(first, "SELECT wf.chain_audit()") == (4,)
        assert chain(psql) == 0, "another is at it"
        psql("owner").execute("SELECT pg_terminate_backend(%s)", [first.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            first.execute("SELECT 1")
    deadline = 1000
    while (chained := chain(psql)) == 0 and deadline:  # until the server has let the lock go
        deadline -= 1
    assert chained == 4
    assert verify(database).size == 4


def test_nobody_writes_the_chain_but_its_function(psql: Psql) -> None:
    add(psql, 1)
    chain(psql)
    for role in ("viewer", "operator", "admin", "worker"):
        for table in ("wf.audit_chain", "wf.audit_checkpoints", "wf.audit_origin"):
            denied(psql(role), f"DELETE FROM {table}", f"TRUNCATE {table}")
        denied(psql(role), "UPDATE wf.audit_chain SET head = head", "INSERT INTO wf.audit_chain VALUES (2, '')")
    denied(psql("admin"), "SELECT wf.chain_audit()", "SELECT wf.keep_checkpoint(1, '', '')")
    for statement in ("UPDATE wf.audit_chain SET head = head", "DELETE FROM wf.audit_checkpoints"):
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            psql("owner").execute(statement)


REWRITE = """
DELETE FROM wf.audit_chain;
UPDATE wf.audit SET actor = 'nobody' WHERE seq >= 5;
SELECT wf.chain_audit();
"""
TAMPERED = {
    "one bit": ("UPDATE wf.audit SET actor = overlay(actor placing 'x' from 1) WHERE seq = 6", (6, "row_changed")),
    "what it became": ("UPDATE wf.audit SET after = after || '{\"name\": 1}' WHERE seq = 2", (2, "row_changed")),
    "a head": ("UPDATE wf.audit_chain SET head = sha256(head) WHERE seq = 9", (9, "row_changed")),
    "a middle row": ("DELETE FROM wf.audit WHERE seq = 5", (5, "row_missing")),
    "a row and its link": (
        "DELETE FROM wf.audit WHERE seq = 5; DELETE FROM wf.audit_chain WHERE seq = 5",
        (5, "link_missing"),
    ),
    "the tail": (
        "DELETE FROM wf.audit WHERE seq > 8; DELETE FROM wf.audit_chain WHERE seq > 8;"
        " UPDATE wf.counters SET value = 8 WHERE name = 'audit'",
        (9, "tail_cut"),
    ),
    "all": (REWRITE, (5, "trail_rewritten")),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_done_to_the_trail_is_found_and_not_signed(
    what: str, database: Database, psql: Psql, notary: Notary
) -> None:
    """Fact 5.d: with a superuser's powers. The first kinds are found by the chain, the last two by a checkpoint."""
    statement, found = TAMPERED[what]
    add(psql, 4)
    early = sign(notary).checkpoint
    add(psql, 8, "u")
    signed = sign(notary).checkpoint
    assert (early.size, signed.size) == (4, 12)
    held = verify(database, early, signed)
    assert not held.faults and (held.checkpoints, held.signed) == (2, 12)

    psql("owner").execute(UNGUARDED + statement)
    assert first_fault(verify(database, early, signed)) == found
    by_chain = found[1] in ("row_changed", "row_missing", "link_missing")
    assert (first_fault(verify(database)) == found) is by_chain, "without a checkpoint the last two are not found"
    if not by_chain:
        with pytest.raises(Refusal) as refusal:
            sign(notary)
        assert refusal.value.code == "audit_inconsistent"
        elsewhere = replace(notary, folder=CheckpointFolder(notary.folder.path / "new"), key=SigningKey(bytes(32)))
        with pytest.raises(Refusal, match="copy of a checkpoint"):
            sign(elsewhere)


@pytest.mark.parametrize("cut", ["seq = 3", "seq > 2", "seq = 3 OR seq = 4"])
def test_a_row_that_went_before_it_was_chained_stops_the_chain_loudly(cut: str, psql: Psql) -> None:
    add(psql, 2)
    chain(psql)
    add(psql, 4, "u")
    psql("owner").execute(UNGUARDED + f"DELETE FROM wf.audit WHERE {cut}")
    with pytest.raises(errors.CheckViolation) as refused:
        chain(psql)
    assert refused.value.diag.constraint_name == "audit_gap"
    assert refused.value.diag.message_primary == "row 3 of the audit trail is missing"


async def test_a_persons_checkpoint_waits_while_a_worker_signs(psql: Psql, notary: Notary) -> None:
    add(psql, 1)
    chain(psql)
    worker, waited = psql("worker"), list[float]()
    worker.autocommit = False
    assert one(worker, "SELECT wf.checkpoint_turn()") == (True,)
    with pytest.raises(Conflict) as refused:
        await notary.sign()
    assert refused.value.code == "checkpoint_under_way"

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        worker.commit()

    signed = await notary.sign_in_turn(pause)
    assert signed is not None and signed.new and len(waited) == 1


def test_what_is_whole_before_a_gap_is_chained_first(psql: Psql) -> None:
    add(psql, 4)
    psql("owner").execute(UNGUARDED + "DELETE FROM wf.audit WHERE seq = 3")
    assert chain(psql) == 2
    with pytest.raises(errors.CheckViolation):
        chain(psql)


def test_an_unchanged_trail_is_not_signed_twice_and_an_empty_one_not_at_all(psql: Psql, notary: Notary) -> None:
    assert asyncio.run(notary.sign()) is None
    add(psql, 1)
    first, again = sign(notary), sign(notary)
    assert (first.new, again.new) == (True, False)
    assert first.checkpoint == again.checkpoint
    assert one(psql("viewer"), "SELECT size, note FROM wf.audit_checkpoints") == (1, first.note)
    add(psql, 1, "u")
    assert sign(notary).new
    files = sorted(path.name[:19] for path in notary.folder.path.rglob("*.checkpoint"))
    assert [int(name) for name in files] == [1, 2]
    assert [c.size for c in notary.folder.read_all([notary.key.public(first.checkpoint.origin)])] == [1, 2]


def test_a_long_trail_is_signed_in_several(psql: Psql, notary: Notary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS_SIGNED", 2)
    monkeypatch.setattr(module, "BITE", 2)
    add(psql, 5)
    chain(psql)
    assert [sign(notary).checkpoint.size for _ in range(4)] == [2, 4, 5, 5]


def test_a_spoiled_checkpoint_is_not_passed_over(psql: Psql, notary: Notary) -> None:
    add(psql, 1)
    sign(notary)
    add(psql, 1, "u")
    [path] = notary.folder.path.rglob("*.checkpoint")
    path.write_text(path.read_text().replace("\n1\n", "\n2\n"))
    with pytest.raises(Refusal) as refusal:
        sign(notary)
    assert refusal.value.code == "checkpoint_forged"


@pytest.mark.parametrize("origin", ["watchfloor/audit/..", "../../etc", "watchfloor/audit/" + "x" * 36, "", "/tmp/x"])
def test_an_origin_has_one_form_and_names_no_file(origin: str, psql: Psql, notary: Notary) -> None:
    add(psql, 1)
    with pytest.raises(errors.CheckViolation):
        psql("owner").execute("UPDATE wf.audit_origin SET origin = %s", [origin])
    psql("owner").execute("ALTER TABLE wf.audit_origin DROP CONSTRAINT audit_origin_form")
    psql("owner").execute("UPDATE wf.audit_origin SET origin = %s", [origin])
    sign(notary)
    parent = notary.folder.path.parent
    assert {path.parent for path in parent.rglob("*.checkpoint")} == {notary.folder.path}
    assert set(parent.iterdir()) == {notary.folder.path, parent / KEY_FILE}


def test_the_folder_knows_whose_it_is_and_signs_for_no_other(psql: Psql, notary: Notary) -> None:
    add(psql, 1)
    signed = sign(notary)
    public = notary.key.public(signed.checkpoint.origin)
    trusted = notary.folder.path / TRUSTED
    assert trusted.read_text() == f"{public}\n"
    add(psql, 1, "u")
    other = SigningKey(bytes(32)).public(signed.checkpoint.origin)
    elsewhere = public.origin[:-4] + "ffff"
    for content, code in (
        (f"{other}\n", "signing_key_unpinned"),
        (f"{notary.key.public(elsewhere)}\n", "audit_origin_changed"),
        ("what is this\n", "trusted_keys_unreadable"),
        ("", "checkpoints_unpinned"),
    ):
        trusted.write_text(content)
        with pytest.raises(Refusal) as refusal:
            sign(notary)
        assert refusal.value.code == code
    trusted.unlink()
    with pytest.raises(Refusal, match="whose they are"):
        sign(notary)
    trusted.write_text(f"{other}\n{public}\n")
    assert sign(notary).checkpoint.number == 2


def test_what_another_key_signed_in_the_folder_binds_as_well(psql: Psql, notary: Notary) -> None:
    add(psql, 2)
    origin = sign(notary).checkpoint.origin
    add(psql, 2, "u")
    second = replace(notary, key=SigningKey(bytes(32)))
    with (notary.folder.path / TRUSTED).open("a") as file:
        file.write(f"{second.key.public(origin)}\n")
    assert sign(second).checkpoint.number == 1
    psql("owner").execute(
        UNGUARDED + "ALTER TABLE wf.audit_checkpoints DISABLE TRIGGER USER; DELETE FROM wf.audit_checkpoints;"
        "UPDATE wf.audit SET actor = 'nobody' WHERE seq = 4; DELETE FROM wf.audit_chain WHERE seq > 2;"
        "SELECT wf.chain_audit()"
    )
    with pytest.raises(Refusal) as refusal:
        sign(notary)  # its own last is of row 2, and holds
    assert refusal.value.code == "audit_inconsistent"


def test_a_folder_that_cannot_be_written_signs_nothing(psql: Psql, notary: Notary, tmp_path: Path) -> None:
    add(psql, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal) as refusal:
        sign(replace(notary, folder=CheckpointFolder(tmp_path / "file")))
    assert refusal.value.code == "checkpoint_unwritable"
    assert one(psql("viewer"), "SELECT count(*) FROM wf.audit_checkpoints") == (0,)


def test_the_key_is_this_accounts_alone(notary: Notary, tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() not in repr(notary)
    assert signing_key(tmp_path, make=True) == notary.key
    path.chmod(0o640)
    with pytest.raises(Refusal, match="chmod 0600"):
        signing_key(tmp_path, make=True)
    assert signing_key(tmp_path / "elsewhere", make=False) is None


def test_a_worker_does_both(database: Database, psql: Psql, notary: Notary) -> None:
    """The jobs themselves, as a worker runs them."""

    async def work() -> None:
        mine = {"chain_audit": kinds()["chain_audit"], "sign_audit_checkpoint": signing(notary)}
        async with queue(database.login("worker"), Self("w", "here", 1, "0"), mine) as jobs:
            await jobs.tick()
            done: list[Claimed] = []
            for job in await jobs.claim(10):
                if not await mine[job.kind].run(jobs, job):
                    done.append(job)
            await jobs.claim(0, done)

    add(psql, 3)
    asyncio.run(work())
    states = psql("owner").execute("SELECT kind, state, error FROM wf.jobs ORDER BY kind").fetchall()
    assert states == [("chain_audit", "done", None), ("sign_audit_checkpoint", "done", None)]
    status = one(
        psql("viewer"), "SELECT written, chained, signed, waits_since, unsigned_since FROM wf.audit_chain_status"
    )
    assert status == (3, 3, 3, None, None)
