"""What must hold for every table and function of the schema, also for those that later migrations bring."""

from __future__ import annotations

import psycopg
import pytest

from tests.backends.privileges import GOLDEN, privileges
from tests.postgres import Server

# Their rows outlive an erasure on purpose: the trail (its personal values are kept apart) and the proof.
KEPT = {"wf.audit", "wf.erasure_certificates"}


@pytest.fixture(scope="module")
def owner(postgres_server: Server, template_database: str):
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner) as connection:
        yield connection
    postgres_server.drop(database)


def column(connection: psycopg.Connection, statement: str) -> set[str]:
    return {value for (value,) in connection.execute(statement)}


def test_everybody_has_exactly_the_privileges_that_are_written_down(owner: psycopg.Connection) -> None:
    assert privileges(owner).splitlines() == GOLDEN.read_text().splitlines(), (
        "on purpose? then: .venv/bin/python -m tests.backends.privileges, and read the difference"
    )


def test_the_public_may_do_nothing(owner: psycopg.Connection) -> None:
    assert " PUBLIC: " not in privileges(owner)
    assert column(owner, "SELECT has_schema_privilege('public', 'wf', p) FROM unnest(ARRAY['USAGE', 'CREATE']) p") == {
        False
    }


def test_nobody_may_truncate_or_delete_or_hang_triggers(owner: psycopg.Connection) -> None:
    for forbidden in ("TRUNCATE", "DELETE", "TRIGGER", "REFERENCES", "MAINTAIN"):
        assert forbidden not in GOLDEN.read_text()


def test_functions_with_the_owners_rights_look_only_where_they_say(owner: psycopg.Connection) -> None:
    """Without it a caller's search_path chooses what their names mean."""
    assert not column(
        owner,
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'wf'::regnamespace AND prosecdef AND NOT"
        " coalesce(proconfig && ARRAY['search_path=wf, pg_temp', 'search_path=pg_catalog, wf, pg_temp'], false)",
    )


def test_an_erasure_finds_every_table_with_rows_of_a_tenant(owner: psycopg.Connection) -> None:
    with_tenants = column(
        owner,
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE relnamespace = 'wf'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        " AND attname ~ '^tenant(_id)?$'",
    )
    assert with_tenants - KEPT == column(owner, "SELECT control FROM wf.tenant_tables")


def test_every_table_that_an_operator_may_change_is_audited(owner: psycopg.Connection) -> None:
    """But for those whose rows an operation's own audit row stands for."""
    changed = column(
        owner,
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'wf'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND (has_any_column_privilege('wf_admin', c.oid, 'INSERT')"
        "  OR has_any_column_privilege('wf_admin', c.oid, 'UPDATE'))",
    )
    audited = column(
        owner, "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'wf.record_change'::regproc"
    )
    assert changed - audited == {"wf.run_items", "wf.requests", "wf.import_chunks"}
