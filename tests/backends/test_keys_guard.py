"""What the home refuses to psql about keys: each login with nothing but SQL, past all of the console's own rules."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests.backends.keys import asked, make_keys, make_tenants
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import ROLES, Database

KEY, OTHER = (f"key_{n:026}" for n in (1, 2))
NEW = "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, rotated_from) VALUES ('key_' || lpad('9', 26, '0'), "


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    make_tenants(database.owner, "acme", "zed")
    make_keys(database.owner, 2)
    asked(database.owner, "UPDATE wf.api_keys SET owner_email = 'ana@acme.example'")
    with logins(database) as connect:
        yield connect


@pytest.mark.parametrize("role", ROLES)
def test_nobody_reads_a_hash(psql: Psql, role: str) -> None:
    person = psql(role)
    denied(
        person,
        "SELECT hash FROM wf.api_keys",
        "SELECT * FROM wf.api_keys",
        "SELECT count(*) FROM wf.api_keys WHERE hash > '\\x00'",
        "UPDATE wf.api_keys SET label = 'x' WHERE hash = '\\x00'",
        "UPDATE wf.api_keys SET label = 'x' RETURNING hash",
        "COPY wf.api_keys TO STDOUT",
    )
    assert one(person, "SELECT count(*) FROM pg_stats WHERE schemaname = 'wf' AND attname = 'hash'") == (0,)


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_those_who_may_not_see_an_owner_see_a_mask(psql: Psql, role: str) -> None:
    person = psql(role)
    denied(person, "SELECT owner_email FROM wf.api_keys", "SELECT id FROM wf.api_keys")
    assert one(person, f"SELECT owner_email FROM wf.key_list WHERE id = '{KEY}'") == ("a•••@acme.example",)
    assert one(person, "SELECT count(*) FROM wf.key_list WHERE owner_email = 'ana@acme.example'") == (0,)
    denied(person, f"UPDATE wf.api_keys SET label = 'x' WHERE id = '{KEY}'", "INSERT INTO wf.key_leaks DEFAULT VALUES")


def test_where_calls_come_from_is_for_those_who_help_a_customer(psql: Psql) -> None:
    denied(psql("viewer"), "SELECT address FROM wf.requests", "SELECT calls FROM wf.key_leaks", "TABLE wf.key_uses")
    denied(psql("support"), "SELECT address FROM wf.requests")
    psql("support").execute("SELECT address FROM wf.key_calls('key', now())")  # looks at the time of a raised role
    psql("support").execute("SELECT calls FROM wf.key_leaks")


@pytest.mark.parametrize("column", ["id", "tenant_id", "project_id", "env", "display", "hash", "rotated_from"])
def test_a_key_stays_what_it_is(psql: Psql, database: Database, column: str) -> None:
    value = {"hash": "sha256('x')", "env": "'test'", "tenant_id": "'zed'", "project_id": "NULL"}.get(
        column, f"'{OTHER}'"
    )
    denied(psql("admin"), f"UPDATE wf.api_keys SET {column} = {value} WHERE id = '{KEY}'")
    with psycopg.connect(database.owner, autocommit=True) as owner:
        value = "'web'" if column == "project_id" else value
        refused(owner, "key_fixed", f"UPDATE wf.api_keys SET {column} = {value} WHERE id = '{KEY}'")


def test_revoked_is_final(psql: Psql) -> None:
    operator = psql("operator")
    refused(operator, "key_marks", f"UPDATE wf.api_keys SET revoked_at = now() WHERE id = '{KEY}'")
    operator.execute(f"UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 'lost' WHERE id = '{KEY}'")
    for change in ("revoked_at = NULL, revoked_reason = NULL", "label = 'x'", "expires_at = now()", "scopes = '{all}'"):
        refused(operator, "key_revoked", f"UPDATE wf.api_keys SET {change} WHERE id = '{KEY}'")


@pytest.mark.parametrize(
    "dead",
    [
        "disabled_at = now()",
        "expires_at = now() - interval '1 second'",
        "revoked_at = now(), revoked_reason = 'x'",
    ],
)
def test_a_dead_key_gets_no_successor(psql: Psql, dead: str) -> None:
    operator = psql("operator")
    operator.execute(f"UPDATE wf.api_keys SET {dead} WHERE id = '{KEY}'")
    with pytest.raises(errors.CheckViolation) as found:
        operator.execute(
            f"UPDATE wf.api_keys SET rotated_at = now(), grace_until = least(now(), expires_at) WHERE id = '{KEY}'"
        )
    assert found.value.diag.constraint_name in ("key_not_alive", "key_revoked")
    refused(operator, "key_successor", NEW + f"'acme', 'live', 'x', sha256('9'), '{KEY}')")


def test_a_successor_is_of_the_same_tenant_and_env_and_there_is_one(psql: Psql) -> None:
    operator = psql("operator")
    refused(operator, "key_successor", NEW + f"'acme', 'live', 'x', sha256('9'), '{KEY}')")
    operator.execute(f"UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + '1h' WHERE id = '{KEY}'")
    refused(operator, "key_successor", NEW + f"'zed', 'live', 'x', sha256('9'), '{KEY}')")
    refused(operator, "key_successor", NEW + f"'acme', 'test', 'x', sha256('9'), '{KEY}')")
    operator.execute(NEW + f"'acme', 'live', 'x', sha256('9'), '{KEY}')")
    with pytest.raises(errors.UniqueViolation) as twice:
        operator.execute(NEW.replace("'9', 26", "'8', 26") + f"'acme', 'live', 'x', sha256('8'), '{KEY}')")
    assert twice.value.diag.constraint_name == "key_rotated_once"
    refused(operator, "key_grace_over", f"UPDATE wf.api_keys SET rotated_at = now() + '1h' WHERE id = '{KEY}'")


def test_a_grace_is_not_longer_than_the_key_and_not_begun_again(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute(f"UPDATE wf.api_keys SET expires_at = now() + interval '1 hour' WHERE id = '{KEY}'")
    change = f"UPDATE wf.api_keys SET rotated_at = now(), grace_until = now() + interval '{{}}' WHERE id = '{KEY}'"
    refused(operator, "key_grace_too_long", change.format("2 hours"))
    operator.execute(change.format("0"))
    refused(operator, "key_grace_over", f"UPDATE wf.api_keys SET grace_until = now() + '1m' WHERE id = '{KEY}'")


def test_a_secret_is_taken_once(psql: Psql) -> None:
    with pytest.raises(errors.UniqueViolation) as taken:
        psql("operator").execute(NEW + "'acme', 'live', 'x', sha256('1'), NULL)")
    assert taken.value.diag.constraint_name == "key_hash_taken"


def test_a_leak_is_of_a_key_of_that_tenant_and_is_never_rewritten(psql: Psql) -> None:
    operator = psql("operator")
    insert = "INSERT INTO wf.key_leaks (tenant_id, key_id, reason) VALUES "
    with pytest.raises(errors.ForeignKeyViolation):
        operator.execute(insert + f"('zed', '{KEY}', 'x')")
    refused(operator, "leak_reason", insert + f"('acme', '{KEY}', '')")
    operator.execute(insert + f"('acme', '{KEY}', 'x')")
    denied(operator, "UPDATE wf.key_leaks SET reason = 'y'", "DELETE FROM wf.key_leaks")
    denied(psql("admin"), "DELETE FROM wf.api_keys", "UPDATE wf.key_leaks SET calls = '{}'")


def test_what_psql_does_is_in_the_trail_without_the_hash(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute(NEW + "'acme', 'live', 'wf_live_9', sha256('9'), NULL)")
    row = one(operator, "SELECT out_of_band, noun, after FROM wf.audit ORDER BY seq DESC LIMIT 1")
    assert row[:2] == (True, "keys") and row[2]["display"] == "wf_live_9" and "hash" not in row[2]
