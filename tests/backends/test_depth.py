"""A value nested thousands of levels deep, which no program could read, hides nothing from anybody."""

from __future__ import annotations

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.audit.model import AuditDirectory
from controlplane.jsontext import DEEPEST, TOO_DEEP
from controlplane.listing import Query
from controlplane.tenants.model import TenantDirectory
from tests.postgres import Database

INSERT = "INSERT INTO wf.tenants (id, name, metadata) VALUES ('acme', 'Acme', %s::jsonb)"


def nested(depth: int) -> str:
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def test_no_role_can_store_one(database: Database) -> None:
    with psycopg.connect(database.login("operator"), autocommit=True) as operator:
        for depth in (DEEPEST + 1, 900, 3000):
            with pytest.raises(psycopg.errors.CheckViolation) as found:
                operator.execute(INSERT, [nested(depth)])
            assert found.value.diag.constraint_name == "document_depth"
        operator.execute(INSERT, [nested(DEEPEST)])


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 5000])
async def test_one_that_is_there_hides_no_other(database: Database, depth: int) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("ALTER TABLE wf.tenants DROP CONSTRAINT document_depth")
        owner.execute(INSERT, [nested(depth)])
    home = Home(database.login("admin"))
    await home.open()
    try:
        rows = (await home.of(TenantDirectory).page(Query(()), limit=10)).rows
        assert {row.id: row.metadata for row in rows} == {"acme": TOO_DEEP, "default": {}}
        assert len((await home.of(AuditDirectory).page(Query(()), limit=10)).rows) == 1
    finally:
        await home.close()


def test_every_document_that_people_write_has_a_limit(database: Database) -> None:
    """The columns that a role may write, of a type that holds documents and has no limit of its own."""
    with psycopg.connect(database.owner) as owner:
        unlimited = owner.execute(
            "SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'wf'::regnamespace"
            " WHERE a.atttypid = 'jsonb'::regtype"
            " AND EXISTS (SELECT FROM aclexplode(a.attacl) g WHERE g.privilege_type IN ('INSERT', 'UPDATE'))"
            " AND NOT EXISTS ("
            "   SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.conname = 'document_depth')"
        ).fetchall()
    assert unlimited == []
