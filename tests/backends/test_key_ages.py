"""The counts of live and stale keys are exact, whether what a worker keeps is up to date or not."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest

from tests.backends.alerts import key
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database

COUNTED = "SELECT tenant_id, keys, stale, warned, oldest, unrotated FROM wf.key_ages('30 days', '21 days', '30 days')"
READ = """
SELECT k.tenant_id, count(*), count(*) FILTER (WHERE k.created_at <= now() - interval '30 days'),
       count(*) FILTER (WHERE k.created_at <= now() - interval '21 days' AND k.created_at > now() - interval '30 days'),
       min(k.created_at), NOT EXISTS (SELECT FROM wf.api_keys r WHERE r.tenant_id = k.tenant_id
                                      AND r.rotated_at >= now() - interval '30 days')
FROM wf.api_keys k WHERE revoked_at IS NULL AND disabled_at IS NULL AND grace_until IS NULL
  AND (expires_at IS NULL OR expires_at > now())
GROUP BY k.tenant_id
"""
CHANGES = (
    "UPDATE wf.api_keys SET disabled_at = now() WHERE id = %s AND disabled_at IS NULL",
    "UPDATE wf.api_keys SET disabled_at = NULL WHERE id = %s",
    "UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 'x' WHERE id = %s AND revoked_at IS NULL",
    "UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '1 day'"
    " WHERE id = %s AND rotated_at IS NULL",
    "UPDATE wf.api_keys SET expires_at = now() - interval '1 hour' WHERE id = %s",
    "UPDATE wf.api_keys SET expires_at = now() + interval '1 hour' WHERE id = %s",
    "DELETE FROM wf.api_keys WHERE id = %s",
)
EXPIRE = (
    "UPDATE wf.api_keys SET expires_at = (SELECT at + interval '1 microsecond' FROM wf.live_keys_until) WHERE id = %s"
)


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("INSERT INTO wf.tenants (id, name, created_at)"
                      " SELECT 't' || n, 't', now() - interval '90 days' FROM generate_series(0, 4) n")  # fmt: skip
        owner.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER guard")  # it refuses what no operator may do
        owner.execute("ALTER TABLE wf.key_uses DROP CONSTRAINT key_uses_key_id_fkey")
        yield connect


def same(owner: psycopg.Connection) -> None:
    with owner.transaction():
        assert sorted(owner.execute(COUNTED.encode()).fetchall()) == sorted(owner.execute(READ.encode()).fetchall())


def left(owner: psycopg.Connection) -> object:
    return one(owner, "SELECT count(*) FROM wf.tenants_to_count()")


def test_the_counts_are_exact_after_any_changes(psql: Psql) -> None:
    owner, worker, chance = psql("owner"), psql("worker"), random.Random(12)
    for number in range(60):
        key(owner, number, f"t{number % 5}", chance.choice((1, 20.9, 21.1, 29.9, 30.1, 80)))
    for step in range(150):
        owner.execute(chance.choice(CHANGES).encode(), [f"key_{chance.randrange(60):026}"])
        if step % 7 == 0:
            worker.execute("SELECT wf.count_live_keys(2)")
        same(owner)
    assert left(owner) != (0,)
    while one(worker, "SELECT wf.count_live_keys(2)") != (0,):
        same(owner)
    assert left(owner) == (0,) and owner.execute(COUNTED.encode()).fetchall()
    owner.execute("DELETE FROM wf.api_keys")
    worker.execute("SELECT wf.count_live_keys()")
    assert one(owner, "SELECT count(*) FROM wf.live_keys") == (0,)


def test_a_key_that_expires_leaves_the_counts_though_nobody_changed_it(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    key(owner, 1, "t1", 40)
    key(owner, 2, "t2", 40)
    worker.execute("SELECT wf.count_live_keys()")
    owner.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER USER")
    owner.execute(EXPIRE.encode(), [f"key_{1:026}"])
    same(owner)
    assert [row[0] for row in owner.execute(COUNTED.encode()).fetchall()] == ["t2"]
    worker.execute("SELECT wf.count_live_keys()")
    assert left(owner) == (0,), "what is kept no longer has it"
    same(owner)


def test_a_change_that_commits_while_keys_are_counted_is_not_lost_and_waits_for_nobody(
    psql: Psql, database: Database
) -> None:
    owner, worker = psql("owner"), psql("worker")
    key(owner, 1, "t1", 40)
    worker.execute("SELECT wf.count_live_keys()")
    owner.execute(
        "ALTER TABLE wf.api_keys DISABLE TRIGGER audit_insert"
    )  # who takes the trail's number makes others wait
    with psycopg.connect(database.owner) as other:
        key(other, 2, "t1", 40)
        worker.execute("SET lock_timeout = '1 s'")
        worker.execute("SELECT wf.count_live_keys()")
        owner.execute("SET lock_timeout = '1 s'")
        key(owner, 3, "t1", 40)
        worker.execute("SELECT wf.count_live_keys()")
        other.commit()
    same(owner)
    assert one(owner, "SELECT keys FROM wf.key_ages(NULL, NULL, NULL) WHERE tenant_id = 't1'") == (3,)


@pytest.mark.parametrize("role", ["viewer", "admin", "worker", "service"])
def test_nobody_reaches_what_is_kept(psql: Psql, role: str) -> None:
    for statement in (
        "SELECT FROM wf.live_keys",
        "INSERT INTO wf.live_keys_due VALUES ('t1')",
        "DELETE FROM wf.live_keys_due",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            psql(role).execute(statement.encode())
