"""The one way in which rows are found, held and changed: what it says of those that are not there, or not yours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql

from backends.postgres.impersonations import IMPERSONATION_TABLE
from backends.postgres.jobs import JOB_TABLE
from backends.postgres.keys import KEY_TABLE
from backends.postgres.objectives import MAINTENANCE_TABLE, OBJECTIVE_TABLE
from backends.postgres.runs import RUN_TABLE
from backends.postgres.table import NOW, Connection, Table
from backends.postgres.tenants import PROJECT_TABLE, TENANT_TABLE
from controlplane.errors import NotFound, NotPermitted
from tests.postgres import Database

# Each with a column that can be written.
NUMBERED = [
    (IMPERSONATION_TABLE, "reason"),
    (JOB_TABLE, "error"),
    (MAINTENANCE_TABLE, "reason"),
    (OBJECTIVE_TABLE, "name"),
    (RUN_TABLE, "why"),
]
NAMED = [(KEY_TABLE, "label"), (PROJECT_TABLE, "name"), (TENANT_TABLE, "name")]


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(database.owner, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(("table", "column"), [*NUMBERED, *NAMED])
async def test_a_row_that_is_not_there_is_said_to_be_missing(owner: Connection, table: Table, column: str) -> None:
    key = tuple("nowhere" if (table, column) in NAMED else 999 for _ in table.key)
    assert await table.find(owner, *key) is None
    for asked in (table.get(owner, *key), table.lock(owner, *key), table.update(owner, {column: "new"}, *key)):
        with pytest.raises(NotFound) as refused:
            await asked
        assert refused.value.code == table.missing.code
        assert all(str(part) in refused.value.message for part in key)


async def test_a_row_that_can_be_seen_and_not_held_is_not_permitted(owner: Connection, database: Database) -> None:
    await TENANT_TABLE.create(owner, {"id": "acme", "name": "Acme"})
    later = sql.SQL("now() + interval '30 days'")
    gone = {"status": "pending_deletion", "deleted_at": NOW, "deleted_from": "active", "purge_after": later}
    await TENANT_TABLE.update(owner, gone, "acme")
    async with await psycopg.AsyncConnection.connect(database.login("operator"), autocommit=True) as operator:
        for asked in (TENANT_TABLE.lock(operator, "acme"), TENANT_TABLE.update(operator, {"name": "Acne"}, "acme")):
            with pytest.raises(NotPermitted) as refused:
                await asked
            assert refused.value.message == "The home does not let you change acme while it is pending_deletion."
            assert refused.value.why == ("status: pending_deletion", "refused by a row policy of the home")


async def test_what_is_written_comes_back_as_it_is_stored(owner: Connection) -> None:
    await TENANT_TABLE.create(owner, {"id": "acme", "name": "Acme", "metadata": {"crm": "7"}})
    made = await OBJECTIVE_TABLE.create(
        owner, {"tenant_id": "acme", "name": "reads", "kind": "availability", "target": 0.999, "period": "30d"}
    )
    assert (made.target, made.retired_at) == (0.999, None)
    retired = await OBJECTIVE_TABLE.update(owner, {"retired_at": NOW}, made.id)
    assert retired.retired_at is not None
    assert await OBJECTIVE_TABLE.get(owner, made.id) == await OBJECTIVE_TABLE.lock(owner, made.id) == retired
    assert (await TENANT_TABLE.get(owner, "acme")).metadata == {"crm": "7"}
