"""Who takes a number of the trail, or a lock of background work, and then sits idle holds nobody up for long."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from backends.postgres.refusals import refusal_of
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
        owner.execute("ALTER FUNCTION wf.take_numbers SET lock_timeout = '100ms'")
        owner.execute("ALTER FUNCTION wf.take_lock SET lock_timeout = '100ms'")
        yield connect


SUSPEND = "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = '{}'"


def test_a_support_person_who_idles_after_a_reveal_is_disconnected_by_the_next_writer(psql: Psql) -> None:
    support = psql("support")
    support.execute("BEGIN")
    support.execute("SELECT wf.begin_change('tenants.reveal', 'ticket 4711', 'idle')")
    support.execute("SELECT wf.grant_reveal('acme', 'owner_email')")
    psql("operator").execute(SUSPEND.format("zed"))
    assert one(psql("owner"), "SELECT status FROM wf.tenants WHERE id = 'zed'") == ("suspended",)
    with pytest.raises(psycopg.OperationalError):
        support.execute("SELECT 1")
    numbers = one(
        psql("owner"), "SELECT count(*), max(seq), (SELECT value FROM wf.counters WHERE name = 'audit') FROM wf.audit"
    )
    assert numbers[0] == numbers[1] == numbers[2], "no number was left out"


def test_who_is_at_work_is_not_disconnected_but_named(psql: Psql) -> None:
    operator, owner = psql("operator"), psql("owner")
    owner.execute("ALTER FUNCTION wf.end_idle SET lock_timeout = '1h'")  # idle for less than what counts
    with owner.transaction():
        owner.execute(SUSPEND.format("acme"))
        with pytest.raises(psycopg.errors.LockNotAvailable) as found:
            operator.execute(SUSPEND.format("zed"))
        assert refusal_of(found.value).code == "lock_held"
    operator.execute(SUSPEND.format("zed"))


def test_idling_with_a_lock_of_background_work_ends_in_the_same_way(psql: Psql) -> None:
    operator, worker = psql("operator"), psql("worker")
    operator.execute("BEGIN")
    operator.execute("SELECT wf.roll_up_hours(now(), now())")
    worker.execute("SELECT wf.roll_up_requests()")
    with pytest.raises(psycopg.OperationalError):
        operator.execute("SELECT 1")


def test_reading_for_long_ends_nobody(psql: Psql) -> None:
    viewer = psql("viewer")
    viewer.execute("BEGIN")
    viewer.execute("SELECT count(*) FROM wf.audit")
    with psql("owner").transaction():
        psql("owner").execute(SUSPEND.format("acme"))
    assert one(viewer, "SELECT 1") == (1,)


ENDS = "SELECT wf.end_sessions_after('0', '1 h')"


@pytest.mark.parametrize("role", ["viewer", "operator", "worker", "service"])
def test_whoever_lifts_the_limit_of_idling_is_ended_from_outside(psql: Psql, role: str) -> None:
    """With a row locked, or as a listener who keeps the queue of notifications from being emptied."""
    person, owner = psql(role), psql("owner")
    person.execute("SET idle_in_transaction_session_timeout = 0")
    assert one(owner, ENDS) == (0,), "out of a transaction it holds nothing"
    person.execute("LISTEN wf")
    person.execute("BEGIN")
    person.execute("SELECT 1")
    assert one(owner, ENDS) == (1,)
    with pytest.raises(psycopg.OperationalError):
        person.execute("SELECT 1")


def test_only_people_s_transactions_end_by_their_length_and_nobody_ends_others(psql: Psql) -> None:
    owner = psql("owner")
    assert one(owner, "SELECT wf.end_sessions_after('1 h', '1 h')") == (0,)
    for role in ("viewer", "support", "operator", "admin", "worker", "service"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            psql(role).execute(ENDS)
    assert one(psql("worker"), "SELECT wf.end_overlong_sessions()") == (0,)
