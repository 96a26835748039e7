"""API keys in PostgreSQL: read through views that hold no hash, written to the table that operators may write."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import assignments, names, placeholders, values
from controlplane.errors import NotFound
from controlplane.jobs.engine import sql as job
from controlplane.keys.list import KEYS, ROTATIONS, STALE
from controlplane.keys.model import Key, KeyCalls, KeyLeak, Rotation, StaleCounts, StaleKey, StalePolicy
from controlplane.operators.roles import allows

if TYPE_CHECKING:
    from backends.postgres.home import Home

Connection = psycopg.AsyncConnection[TupleRow]

COLUMNS = tuple(f.name for f in dataclasses.fields(Key))
LEAK_DAYS = timedelta(days=30)
_EXPIRY = sql.SQL("coalesce(expires_at, 'infinity'::timestamptz)")
"""As the index holds it."""
_ENDS = _EXPIRY + sql.SQL(" < 'infinity'::timestamptz")
_OF_STATE = {
    "rotating": sql.SQL("grace_until IS NOT NULL"),
    "disabled": sql.SQL("disabled_at IS NOT NULL"),
    "expired": sql.SQL("coalesce(expires_at, 'infinity'::timestamptz) <= now() OR grace_until <= now()"),
    "revoked": sql.SQL("revoked_at IS NOT NULL"),
    "active": sql.SQL("revoked_at IS NULL AND disabled_at IS NULL AND rotated_at IS NULL"),
}
_CASTS = {"addresses": sql.SQL("%s::cidr[]")}


UPKEEP = (job("prune_key_news", "SELECT wf.prune_key_news()", timedelta(minutes=10)),)


class Rotations(PagedList[Rotation]):
    """The keys in their grace, who is nearest to its end first; in one statement with who still uses which."""

    shape = shape_of(ROTATIONS, "wf.key_rotations")


class Keys(PagedList[Key]):
    """The keys of a home, as the login may see them."""

    shape = shape_of(
        KEYS,
        "wf.key_list",
        orders={"expires": Order(_EXPIRY.as_string(), "timestamptz")},
        filters={
            "state": Filtered(sql.SQL("state"), "choice", implied=_OF_STATE),
            "owner": Filtered(sql.SQL("owner_email"), masked=sql.SQL("owner_masked"), table=sql.SQL("wf.api_keys")),
            "expired": Filtered(_EXPIRY, "age", also=_EXPIRY + sql.SQL(" <= now()")),
            "expires": Filtered(_EXPIRY, "until", also=_EXPIRY + sql.SQL(" > now() AND ") + _ENDS, ahead=True),
            "left": Filtered(_EXPIRY, "number", also=_ENDS, ahead=True),
        },
    )

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.rotations = Rotations(home)

    def stale(self, policy: StalePolicy) -> StaleKeys:
        return StaleKeys(self.home, policy)

    async def get(self, key_id: str) -> Key:
        async with self.home.connection() as connection:
            return await read_key(connection, key_id)

    async def of_hash(self, digest: bytes) -> Key | None:
        await self.home.ask("SELECT wf.ask_hash(%s)", digest)
        async with self.home.connection() as connection:
            row = await (await connection.execute("SELECT wf.key_of_hash(%s)", [digest])).fetchone()
            return None if row is None or row[0] is None else await read_key(connection, row[0])

    async def chain(self, key_id: str) -> Sequence[Key]:
        statement = sql.SQL(
            "WITH RECURSIVE older AS ("
            "  SELECT id, rotated_from FROM wf.key_list WHERE id = %s"
            "  UNION SELECT k.id, k.rotated_from FROM wf.key_list k JOIN older o ON k.id = o.rotated_from),"
            " newer AS ("
            "  SELECT id, rotated_to FROM wf.key_list WHERE id = %s"
            "  UNION SELECT k.id, k.rotated_to FROM wf.key_list k JOIN newer n ON k.id = n.rotated_to)"
            " SELECT {} FROM wf.key_list"
            " WHERE id IN (SELECT id FROM older UNION SELECT id FROM newer) ORDER BY created_at, id"
        ).format(names(COLUMNS))
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(Key)) as cursor:
            await cursor.execute(statement, [key_id, key_id])
            return await cursor.fetchall()

    async def calls(self, key_id: str, since: datetime) -> Sequence[KeyCalls]:
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(KeyCalls)) as cursor:
            await cursor.execute("SELECT * FROM wf.key_calls(%s, %s)", [key_id, since])
            return await cursor.fetchall()

    async def leaks(self, key_id: str) -> Sequence[KeyLeak]:
        """The column of calls is named only for those who may read it: the home refuses the others the whole."""
        calls = "calls" if allows(self.home.actor.role, "support") else "NULL::jsonb AS calls"
        statement = f"SELECT id, key_id, successor_id, reason, at, actor, {calls} FROM wf.key_leaks WHERE key_id = %s"
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(KeyLeak)) as cursor:
            await cursor.execute((statement + " ORDER BY id").encode(), [key_id])
            return await cursor.fetchall()


# Every live key with its verdict. Whether a tenant rotated is asked of all tenants at once. What is live is state
# active, said so that the planner can tell how many are: then it reads the oldest first, and stops at the page's end.
_JUDGED = """(
  SELECT k.id, k.tenant_id, k.env, k.display, k.label, k.created_at, k.last_used_at, k.expires_at, k.version, k.search,
         CASE WHEN k.created_at <= now() - interval '{max_age} seconds' THEN 'stale'
              WHEN k.created_at <= now() - interval '{warn} seconds' THEN 'warn' ELSE 'fresh' END AS level,
         t.created_at <= now() - interval '{window} seconds' AND k.tenant_id NOT IN
           (SELECT tenant_id FROM wf.key_list WHERE rotated_at >= now() - interval '{window} seconds') AS unrotated
  FROM wf.key_list k JOIN wf.tenant_list t ON t.id = k.tenant_id
  WHERE (k.revoked_at IS NULL OR k.revoked_at > now()) AND (k.disabled_at IS NULL OR k.disabled_at > now())
    AND (k.expires_at IS NULL OR k.expires_at > now()) AND k.grace_until IS NULL AND t.status IN ('active', 'suspended')
) AS judged"""


class StaleKeys(PagedList[StaleKey]):
    """The live keys that a policy finds fault with, the oldest first: one statement over all tenants."""

    def __init__(self, home: Home, policy: StalePolicy) -> None:
        super().__init__(home)
        seconds = {name: int(value.total_seconds()) for name, value in vars(policy).items()}
        self.judged = _JUDGED.format(**seconds)
        self.shape = shape_of(STALE, f"(SELECT * FROM {self.judged} WHERE level <> 'fresh' OR unrotated) AS stale")

    async def counts(self) -> StaleCounts:
        """Exact, of all."""
        statement = (
            "SELECT count(*), count(*) FILTER (WHERE level = 'stale'), count(*) FILTER (WHERE level = 'warn'),"
            " count(DISTINCT tenant_id), count(DISTINCT tenant_id) FILTER (WHERE unrotated) FROM "
        ) + self.judged
        async with self.home.connection() as connection:
            row = await (await connection.execute(statement.encode())).fetchone()
        assert row is not None
        return StaleCounts(*row)


async def read_key(connection: Connection, key_id: str) -> Key:
    async with connection.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(sql.SQL("SELECT {} FROM wf.key_list WHERE id = %s").format(names(COLUMNS)), [key_id])
        if (found := await cursor.fetchone()) is None:
            raise NotFound("no_key", f"There is no key {key_id}.", "watchfloor keys list finds them.")
        return found


@dataclasses.dataclass(frozen=True)
class KeyWriter:
    """Writes within one transaction."""

    connection: Connection
    prefix: str

    async def lock(self, key_id: str) -> Key:
        await self.connection.execute("SELECT FROM wf.api_keys WHERE id = %s FOR NO KEY UPDATE", [key_id])
        return await read_key(self.connection, key_id)

    async def create(self, columns: dict[str, Any]) -> Key:
        statement = sql.SQL("INSERT INTO wf.api_keys ({}) VALUES ({})").format(
            names(columns), placeholders(columns, _CASTS)
        )
        await self.connection.execute(statement, values(columns))
        return await read_key(self.connection, columns["id"])

    async def update(self, key_id: str, columns: dict[str, Any]) -> Key:
        statement = sql.SQL("UPDATE wf.api_keys SET {} WHERE id = %s").format(assignments(columns, _CASTS))
        await self.connection.execute(statement, [*values(columns), key_id])
        return await read_key(self.connection, key_id)

    async def record_leak(self, key: Key, successor_id: str | None, reason: str) -> dict[str, Any]:
        calls = await self._calls(key.id)
        statement = (
            "INSERT INTO wf.key_leaks (tenant_id, key_id, successor_id, reason, calls) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id"
        )
        values = [key.tenant_id, key.id, successor_id, reason, Jsonb(calls)]
        row = await (await self.connection.execute(statement, values)).fetchone()
        assert row is not None
        return {"leak": row[0], "calls": calls["total"]}

    async def _calls(self, key_id: str) -> dict[str, Any]:
        cursor = await self.connection.execute(
            "SELECT jsonb_build_object('since', now() - %(days)s, 'until', now(),"
            " 'total', sum(calls), 'whole', coalesce(bool_and(whole) AND count(*) < 200, true),"
            " 'by', coalesce(jsonb_agg(jsonb_build_object('address', address, 'route', route, 'calls', calls,"
            " 'first_at', first_at, 'last_at', last_at)), '[]')) FROM wf.key_calls(%(key)s, now() - %(days)s)",
            {"key": key_id, "days": LEAK_DAYS},
        )
        row = await cursor.fetchone()
        assert row is not None
        found: dict[str, Any] = row[0]
        return found
