"""API keys in PostgreSQL: read through views without hashes, written to the table that operators may write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import first, names, rows, scalar
from backends.postgres.table import Table, Writer, fields_of
from controlplane.jobs.engine import sql as job
from controlplane.keys.list import KEYS, ROTATIONS, STALE
from controlplane.keys.model import (
    Key,
    KeyCalls,
    KeyDirectory,
    KeyLeak,
    Rotation,
    StaleCounts,
    StaleKey,
    StaleListing,
    StalePolicy,
)
from controlplane.keys.ports import KeyStore
from controlplane.keys.refusals import NO_KEY
from controlplane.operators.roles import allows

if TYPE_CHECKING:
    from backends.postgres.home import Home

KEY_TABLE = Table(
    "wf.api_keys",
    Key,
    ("id",),
    NO_KEY,
    view="wf.key_list",
    casts={"addresses": sql.SQL("%s::cidr[]")},
    held="NO KEY UPDATE",
)

OF_HASH = "SELECT wf.key_of_hash(%s)"
CHAIN = sql.SQL("""
WITH RECURSIVE older AS (
  SELECT id, rotated_from FROM wf.key_list WHERE id = %(key)s
  UNION SELECT k.id, k.rotated_from FROM wf.key_list k JOIN older o ON k.id = o.rotated_from),
newer AS (
  SELECT id, rotated_to FROM wf.key_list WHERE id = %(key)s
  UNION SELECT k.id, k.rotated_to FROM wf.key_list k JOIN newer n ON k.id = n.rotated_to)
SELECT {} FROM wf.key_list WHERE id IN (SELECT id FROM older UNION SELECT id FROM newer) ORDER BY created_at, id
""").format(names(fields_of(Key)))
CALLS = "SELECT * FROM wf.key_calls(%s, %s)"
LEAKS = sql.SQL(
    "SELECT id, key_id, successor_id, reason, at, actor, {} FROM wf.key_leaks WHERE key_id = %s ORDER BY id"
)
RECORD_LEAK = """
INSERT INTO wf.key_leaks (tenant_id, key_id, successor_id, reason, calls) VALUES (%s, %s, %s, %s, wf.leak_calls(%s))
RETURNING id, calls -> 'total'
"""
_EXPIRY = sql.SQL("coalesce(expires_at, 'infinity'::timestamptz)")
"""The expression that the index is on."""
_ENDS = _EXPIRY + sql.SQL(" < 'infinity'::timestamptz")
_OF_STATE = {
    "rotating": sql.SQL("grace_until IS NOT NULL"),
    "disabled": sql.SQL("disabled_at IS NOT NULL"),
    "expired": sql.SQL("coalesce(expires_at, 'infinity'::timestamptz) <= now() OR grace_until <= now()"),
    "revoked": sql.SQL("revoked_at IS NOT NULL"),
    "active": sql.SQL("revoked_at IS NULL AND disabled_at IS NULL AND rotated_at IS NULL"),
}
UPKEEP = (
    job("prune_key_news", "SELECT wf.prune_key_news()", timedelta(minutes=10)),
    job("count_live_keys", "SELECT wf.count_live_keys()", timedelta(minutes=1)),
)


class Rotations(PagedList[Rotation]):
    """The keys in their grace, those nearest to its end first, with the calls that still use each; in one statement."""

    shape = shape_of(ROTATIONS, "wf.key_rotations", orders={"left": Order("grace_until", "timestamptz")})


class Keys(PagedList[Key], KeyDirectory):
    """The keys of a home, as the login may see them."""

    shape = shape_of(
        KEYS,
        "wf.key_list",
        orders={"expires": Order(_EXPIRY.as_string(), "timestamptz", unknown="infinity")},
        filters={
            "state": Filtered(sql.SQL("state"), "choice", implied=_OF_STATE),
            "owner": Filtered(sql.SQL("owner_email"), masked=sql.SQL("owner_masked"), table=sql.SQL("wf.key_owners")),
            "expired": Filtered(_EXPIRY, "age", also=_EXPIRY + sql.SQL(" <= now()")),
            "expires": Filtered(_EXPIRY, "until", also=_EXPIRY + sql.SQL(" > now() AND ") + _ENDS, ahead=True),
            "left": Filtered(_EXPIRY, "number", also=_ENDS, ahead=True),
        },
    )

    @property
    def rotations(self) -> Rotations:
        return Rotations(self.home)

    def stale(self, policy: StalePolicy) -> StaleKeys:
        return StaleKeys(self.home, policy)

    async def of_hash(self, digest: bytes) -> Key | None:
        await self.home.ask("SELECT wf.ask_hash(%s)", digest)
        async with self.home.connection() as connection:
            key_id = await scalar(connection, OF_HASH, [digest])
        return None if key_id is None else await self.get(key_id)

    async def chain(self, key_id: str) -> Sequence[Key]:
        async with self.home.connection() as connection:
            return await rows(connection, Key, CHAIN, {"key": key_id})

    async def calls(self, key_id: str, since: datetime) -> Sequence[KeyCalls]:
        async with self.home.connection() as connection:
            return await rows(connection, KeyCalls, CALLS, [key_id, since])

    async def leaks(self, key_id: str) -> Sequence[KeyLeak]:
        """The column of calls is only selected for logins that may read it; for others the whole query would fail."""
        calls = sql.SQL("calls" if allows(self.home.actor.role, "support") else "NULL::jsonb AS calls")
        async with self.home.connection() as connection:
            return await rows(connection, KeyLeak, LEAKS.format(calls), [key_id])


# Every live key with its verdict. Which tenants rotated is read once for all. "Live" is state active, spelled out so
# that the planner can estimate how many there are: then it reads the oldest first and stops at the end of the page.
_JUDGED = """(
  SELECT k.id, k.tenant_id, k.env, k.display, k.label, k.created_at, k.last_used_at, k.expires_at, k.version, k.search,
         CASE WHEN k.created_at <= now() - interval '{max_age} seconds' THEN 'stale'
              WHEN k.created_at <= now() - interval '{warn} seconds' THEN 'warn' ELSE 'fresh' END AS level,
         t.created_at <= now() - interval '{window} seconds' AND k.tenant_id NOT IN
           (SELECT tenant_id FROM wf.key_list WHERE rotated_at >= now() - interval '{window} seconds') AS unrotated
  FROM wf.key_list k JOIN wf.tenant_list t ON t.id = k.tenant_id
  WHERE k.revoked_at IS NULL AND k.disabled_at IS NULL AND k.grace_until IS NULL
    AND (k.expires_at IS NULL OR k.expires_at > now()) AND t.status IN ('active', 'suspended')
) AS judged"""
COUNTS = """
SELECT coalesce(sum(keys), 0)::bigint AS keys, coalesce(sum(stale), 0)::bigint AS stale,
  coalesce(sum(warned), 0)::bigint AS warn, count(*) AS tenants, count(*) FILTER (WHERE unrotated) AS tenants_unrotated
FROM wf.key_ages(%(max_age)s, %(warn)s, %(window)s)
"""
"""The same function that the detector of stale keys reads."""


class StaleKeys(PagedList[StaleKey], StaleListing):
    """The live keys that violate a policy, oldest first: one statement over all tenants."""

    def __init__(self, home: Home, policy: StalePolicy) -> None:
        super().__init__(home)
        self.policy = policy
        seconds = {name: int(value.total_seconds()) for name, value in vars(policy).items()}
        judged = _JUDGED.format(**seconds)
        self.shape = shape_of(STALE, f"(SELECT * FROM {judged} WHERE level <> 'fresh' OR unrotated) AS stale")

    async def counts(self) -> StaleCounts:
        """Exact counts of all live keys."""
        async with self.home.connection() as connection:
            found = await first(connection, StaleCounts, COUNTS, vars(self.policy))
        assert found is not None
        return found


class KeyWriter(Writer[Key], KeyStore):
    table = KEY_TABLE

    async def record_leak(self, key: Key, successor_id: str | None, reason: str) -> dict[str, Any]:
        cursor = await self.connection.execute(RECORD_LEAK, [key.tenant_id, key.id, successor_id, reason, key.id])
        row = await cursor.fetchone()
        assert row is not None
        return {"leak": row[0], "calls": row[1]}
