"""Dead letters in any table of any PostgreSQL, by a mapping that is first checked against the real table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors, sql

from backends.postgres.link import AsyncLink
from backends.sources.checking import Table, checked, condition, expression, statement
from backends.sources.mapping import Outbox
from backends.sources.postgres import Database, Secrets, lost
from controlplane.errors import NotFound, Refusal
from controlplane.queues.source import (
    MAX_ERROR,
    MAX_PAYLOAD,
    Acted,
    Can,
    Counted,
    DeadMessage,
    DeadPage,
    Said,
    Source,
    Verdict,
)
from controlplane.text import clean

MAX_COUNTED = 10_000
"""More dead messages are not counted one by one."""
COUNT_SECONDS = 1.0
TEXTS = ("error", "error_class", "tenant", "handler", "queue", "key", "release")
TIMES = ("created", "died")
FIT_TIME = "CASE WHEN {0} >= '1970-01-01' AND {0} < '2200-01-01' THEN {0} END"
"""What neither Python nor a chart can hold is not known."""


class OutboxSource(Source):
    def __init__(self, name: str, settings: Outbox, secret: Secrets) -> None:
        self.name, self.settings = name, settings
        self.kind = settings.mapping or settings.kind
        self.database = Database(name, settings.url, settings.password, secret, settings.timeout)
        self.can = Can(
            discard=settings.discard is not None,
            why={} if settings.discard else {"discard": "its settings have no SQL for it (discard)"},
        )
        self._table: Table | None = None

    @property
    def where(self) -> str:
        return f"{self.database.where} {self.settings.table}"

    async def count(self) -> Counted:
        table = await self._checked()
        died = self._value(table, "died") or sql.SQL("NULL::timestamptz")
        query = sql.SQL(
            "SELECT count(*), min(at), count(*) FILTER (WHERE at > now() - interval '1 hour')"
            " FROM (SELECT {} AS at FROM {} AS t WHERE {} LIMIT {}) AS found"
        ).format(died, table.name, condition(self.settings), MAX_COUNTED + 1)
        try:
            async with self.database.reading(COUNT_SECONDS) as link:
                number, oldest, entered = await _one(link, query)
        except Refusal as refusal:
            if refusal.code != "source_slow":
                raise
            return Counted(await self._estimate(table), exact=False)
        if number > MAX_COUNTED:
            return Counted(max(number, await self._estimate(table)), exact=False)
        return Counted(number, True, oldest, entered if "died" in table.fields else None)

    async def page(self, after: str | None, limit: int) -> DeadPage:
        table = await self._checked()
        where = [condition(self.settings)]
        if after is not None:
            where.append(sql.SQL("{} < %(after)s::{}").format(table.id, table.id_type))
        query = sql.SQL("SELECT {} FROM {} AS t WHERE {} ORDER BY {} DESC LIMIT {}").format(
            self._columns(table), table.name, sql.SQL(" AND ").join(where), table.id, limit
        )
        async with self.database.reading() as link:
            found = await (await link.execute(query, {"after": after})).fetchall()
        rows = [self._message(row) for row in found]
        return DeadPage(rows, rows[-1].name if len(rows) == limit else None)

    async def look(self, names: Sequence[str]) -> Mapping[str, DeadMessage]:
        table = await self._checked()
        query = sql.SQL("SELECT {} FROM {} AS t WHERE {} AND {}").format(
            self._columns(table), table.name, condition(self.settings), _among(table)
        )
        async with self.database.reading() as link:
            found = await (await link.execute(query, {"ids": table.fit(names)})).fetchall()
        return {message.name: message for message in map(self._message, found)}

    async def fetch(self, name: str) -> tuple[DeadMessage, Said]:
        table = await self._checked()
        query = sql.SQL("SELECT {}, {}, {}, {} FROM {} AS t WHERE {}").format(
            self._columns(table), *_payload(table, self.settings), self._headers(table), table.name, _among(table)
        )
        async with self.database.reading() as link:
            row = await (await link.execute(query, {"ids": table.fit([name])})).fetchone()
        if row is None:
            raise NotFound("message_gone", f"{self.name} has no message {clean(name, 100)} any more.")
        *columns, payload, size, headers = row
        try:
            beside = json.loads(headers) if headers else {}
        except ValueError:
            beside = {"headers": headers}
        return self._message(columns), Said(
            bytes(payload or b""), size or 0, beside if isinstance(beside, dict) else {"headers": beside}
        )

    async def replay(self, names: Sequence[str]) -> Acted:
        return await self._act(await self._checked(), self.settings.requeue, names)

    async def discard(self, names: Sequence[str]) -> Acted:
        table = await self._checked()
        assert self.settings.discard is not None, "it is refused before"
        return await self._act(table, self.settings.discard, names)

    async def close(self) -> None:
        await self.database.close()

    # What is done, in one transaction

    async def _act(self, table: Table, text: str, names: Sequence[str]) -> Acted:
        verdicts: dict[str, Verdict] = {}
        committing = False
        try:
            async with self.database.writing() as link:
                free = await self._taken(link, table, names, verdicts)
                acted = await self._in_one(link, table, text, free)
                committing = True
        except psycopg.Error as error:
            if not (committing and lost(error)):
                raise self.database.refusal(error) from None  # nothing was committed
            return await self._looked_up(names, verdicts)
        return Acted({**verdicts, **acted.verdicts}, acted.detail)

    async def _taken(
        self, link: AsyncLink, table: Table, names: Sequence[str], verdicts: dict[str, Verdict]
    ) -> list[str]:
        """Those that are dead, locked until the end; `verdicts` gets the others."""
        query = sql.SQL("SELECT ({})::text FROM {} AS t WHERE {} AND {}").format(
            table.id, table.name, condition(self.settings), _among(table)
        )
        given = {"ids": table.fit(names)}
        dead = {row[0] for row in await (await link.execute(query, given)).fetchall()}
        free = dead
        if self.settings.lock:
            locking = query + sql.SQL(" FOR UPDATE OF t SKIP LOCKED")
            free = {row[0] for row in await (await link.execute(locking, given)).fetchall()}
        verdicts |= {name: "busy" if name in dead else "settled" for name in names if name not in free}
        return [name for name in names if name in free]

    async def _in_one(self, link: AsyncLink, table: Table, text: str, free: Sequence[str]) -> Acted:
        """All at once; where one of them collides with another that must be the only one, one after the other."""
        if not free:
            return Acted({})
        try:
            async with link.transaction():
                await self._do(link, table, text, free)
            return Acted(dict.fromkeys(free, "done"))
        except errors.UniqueViolation as error:
            if len(free) == 1:
                return Acted({free[0]: "conflict"}, self.database.refusal(error).message)
            parts = [await self._in_one(link, table, text, [name]) for name in free]
            verdicts = {name: verdict for part in parts for name, verdict in part.verdicts.items()}
            return Acted(verdicts, "; ".join(dict.fromkeys(part.detail for part in parts if part.detail)))
        except Miscounted as fault:
            return Acted(dict.fromkeys(free, "refused"), str(fault))
        except psycopg.Error as error:
            if lost(error):
                raise
            return Acted(dict.fromkeys(free, "refused"), self.database.refusal(error).message)

    async def _do(self, link: AsyncLink, table: Table, text: str, names: Sequence[str]) -> None:
        given = {"ids": table.fit(names)}
        changed = (await link.execute(statement(text, table), given)).rowcount
        if changed != len(names):
            raise Miscounted(f"its SQL changed {changed:,} of {len(names):,} messages, so all was taken back")
        query = sql.SQL("SELECT count(*) FROM {} AS t WHERE {} AND {}").format(
            table.name, condition(self.settings), _among(table)
        )
        [still] = await _one(link, query, given)
        if still:
            raise Miscounted(
                f"{still:,} of {len(names):,} messages are still dead after its SQL, so all was taken back"
            )

    async def _looked_up(self, names: Sequence[str], verdicts: Mapping[str, Verdict]) -> Acted:
        """There was no answer to the commit: those that are still dead were not committed, the others were."""
        try:
            dead = await self.look(names)
        except Refusal as refusal:
            unknown = {name: verdicts.get(name, "unknown") for name in names}
            return Acted(unknown, f"no answer to the commit, and it cannot be asked: {refusal.message}")
        found = {name: verdicts.get(name, "refused" if name in dead else "done") for name in names}
        return Acted(found, "no answer to the commit; it was looked up")

    # How it is read

    async def _checked(self) -> Table:
        """The table, checked against the mapping once. Raises Usage `mapping_invalid` with every fault."""
        if self._table is None:
            async with self.database.reading() as link:
                self._table = await checked(link, self.name, self.settings)
        return self._table

    async def _estimate(self, table: Table) -> int:
        """As the planner has it, which costs nothing."""
        query = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {} AS t WHERE {}").format(
            table.name, condition(self.settings)
        )
        async with self.database.reading() as link:
            [plan] = await _one(link, query)
        return int(plan[0]["Plan"]["Plan Rows"])

    def _value(self, table: Table, field: str) -> sql.Composable | None:
        given = self.settings.columns.given().get(field)
        if given is None:
            return None
        value = expression(given)
        if field in TIMES:
            return sql.SQL(FIT_TIME).format(sql.SQL("({})::timestamptz").format(value))
        return sql.SQL("left(({})::text, {})").format(value, MAX_ERROR if field == "error" else 400)

    def _columns(self, table: Table) -> sql.Composed:
        values = [self._value(table, field) or sql.SQL("NULL") for field in (*TEXTS, *TIMES)]
        attempts = self.settings.columns.attempts
        values.append(sql.SQL("({})::bigint").format(expression(attempts)) if attempts else sql.SQL("NULL"))
        return sql.SQL(", ").join([sql.SQL("left(({})::text, 400)").format(table.id), *values])

    def _headers(self, table: Table) -> sql.Composable:
        given = self.settings.columns.headers
        return sql.SQL("left(({})::text, 65536)").format(expression(given)) if given else sql.SQL("NULL")

    def _message(self, row: Sequence[Any]) -> DeadMessage:
        name, error, error_class, tenant, handler, queue, key, release, created, died, attempts = row
        return DeadMessage(
            self.name, name, queue or self.name, handler or self.settings.table, error_class or "", error or "",
            tenant or None, attempts, created, died, key or None, release or "",
        )  # fmt: skip


class Miscounted(Exception):
    """The SQL of the settings did not do to each message what it should."""


def _among(table: Table) -> sql.Composed:
    return sql.SQL("{} = ANY (%(ids)s::{}[])").format(table.id, table.id_type)


def _payload(table: Table, settings: Outbox) -> tuple[sql.Composable, sql.Composable]:
    """At most MAX_PAYLOAD bytes of it, and its size."""
    if not settings.columns.payload:
        return sql.SQL("NULL"), sql.SQL("NULL")
    value = expression(settings.columns.payload)
    if table.fields.get("payload") != "bytea":
        value = sql.SQL("convert_to(({})::text, 'UTF8')").format(value)
    return sql.SQL("substring({} FROM 1 FOR {})").format(value, MAX_PAYLOAD), sql.SQL("octet_length({})").format(value)


async def _one(link: AsyncLink, query: sql.Composed, given: Mapping[str, Any] | None = None) -> Sequence[Any]:
    row = await (await link.execute(query, given or {})).fetchone()  # with parameters, even none: %% is one %
    assert row is not None
    return row
