"""Home over PostgreSQL: a few connections, read in short statements, changed in one transaction at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from backends.postgres.audit import AuditTrail, change_rows
from backends.postgres.find import Finder
from backends.postgres.impersonations import Impersonations, ImpersonationWriter
from backends.postgres.jobs import Jobs, JobWriter, Workers
from backends.postgres.keys import Keys, KeyWriter
from backends.postgres.live import PostgresFeed, answered
from backends.postgres.objectives import Objectives, ObjectiveWriter
from backends.postgres.overview import Overview
from backends.postgres.paging import as_json
from backends.postgres.people import People, PeopleWriter
from backends.postgres.plans import Plans, PlanWriter
from backends.postgres.refusals import refusal_of, unreachable
from backends.postgres.rollups import RetentionWriter, Rollups
from backends.postgres.runs import Runs, RunWriter
from backends.postgres.telemetry import Telemetry
from backends.postgres.tenants import Projects, ProjectWriter, Tenants, TenantWriter
from controlplane.audit import AuditRow
from controlplane.changes import Actor, Intent, Recorded, RequestRepeated
from controlplane.errors import HomeUnreachable, NotPermitted, OutcomeUnknown
from controlplane.keys.secret import DEFAULT_PREFIX
from controlplane.previewed import Drawn
from controlplane.telemetry import SeriesSource

Connection = psycopg.AsyncConnection[TupleRow]
log = logging.getLogger(__name__)

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 15
LOOK_UP_SECONDS = 5.0


class Home:
    """One home. `open` it before use; every method raises Refusal and nothing else of its own."""

    def __init__(
        self,
        conninfo: str,
        *,
        connections: int = 3,
        conversation: str = "console",
        key_prefix: str = DEFAULT_PREFIX,
    ) -> None:
        limits = f"-c statement_timeout={STATEMENT_SECONDS}s -c idle_in_transaction_session_timeout=30s"
        self._actor = Actor("", "viewer")
        self._heard = 0.0
        self.conninfo = conninfo
        self.key_prefix = key_prefix
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=psycopg.AsyncConnection[TupleRow],
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_SECONDS,
                "application_name": f"watchfloor {conversation}",
                "options": f"{limits} -c timezone=UTC",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            },
            min_size=1,
            max_size=connections,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=CONNECT_SECONDS,
            check=self._check_if_idle,
            open=False,
        )
        self.tenants = Tenants(self)
        self.projects = Projects(self)
        self.keys = Keys(self)
        self.plans = Plans(self)
        self.audit = AuditTrail(self)
        self.people = People(self)
        self.runs = Runs(self)
        self.telemetry = Telemetry(self)
        self.prometheus: SeriesSource | None = None
        self.rollups = Rollups(self)
        self.impersonations = Impersonations(self)
        self.jobs = Jobs(self)
        self.workers = Workers(self)
        self.objectives = Objectives(self)
        self.finder = Finder(self)
        self.overview = Overview(self)
        self.feed = PostgresFeed(conninfo)

    async def open(self, look: Callable[[psycopg.Connection], None] | None = None) -> None:
        """Connect and learn who we are here. `look` may refuse the home first; it blocks, in a thread.

        Raises HomeUnreachable, NotPermitted, and what `look` raises.
        """
        # One connection by hand first: its error says what is wrong, the pool's only that time is up.
        try:
            probe = await psycopg.AsyncConnection.connect(self.conninfo, connect_timeout=CONNECT_SECONDS)
        except psycopg.Error as error:
            raise unreachable(error) from None
        await self.pool.open()  # it connects while we are being met
        try:
            known = psycopg.Connection(probe.pgconn)
            async with answered(known):
                self._actor = await asyncio.to_thread(_meet, known, look)  # which closes it
        except TimeoutError as error:
            await self.close()
            raise unreachable(error) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.pool.close(timeout=1)

    @property
    def actor(self) -> Actor:
        return self._actor

    @property
    def silence(self) -> float:
        """Seconds since the home last answered."""
        return time.monotonic() - self._heard

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reading; its errors come out as refusals."""
        try:
            async with self.pool.connection() as connection:
                yield connection
                self._heard = time.monotonic()
        except PoolTimeout as error:
            raise unreachable(error) from None
        except psycopg.Error as error:
            raise refusal_of(error) from None

    @asynccontextmanager
    async def change(self, intent: Intent) -> AsyncIterator[OpenChange]:
        async with self.connection() as connection:
            opened = await self._begin(connection, intent)
            try:
                yield opened
            except BaseException:
                await _roll_back(connection)
                raise
            if intent.dry_run:
                await _roll_back(connection)
                return
            await self._commit(connection, intent)

    async def _begin(self, connection: Connection, intent: Intent) -> OpenChange:
        await connection.execute("BEGIN")
        # A preview must neither wait for nor take the id that the run will use.
        request_id = f"{intent.request_id}-preview" if intent.dry_run else intent.request_id
        try:
            row = await (
                await connection.execute(
                    "SELECT wf.begin_change(%s, %s, %s, %s), now()",
                    [intent.operation, intent.reason, request_id, intent.fingerprint],
                )
            ).fetchone()
        except psycopg.errors.UniqueViolation:
            await _roll_back(connection)
            raise RequestRepeated from None
        except BaseException:
            await _roll_back(connection)
            raise
        assert row is not None
        return OpenChange(connection, row[0], row[1], intent.reason, self._actor.name, self.key_prefix, intent.drawn)

    async def _commit(self, connection: Connection, intent: Intent) -> None:
        try:
            await connection.execute("COMMIT")
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            log.warning("link lost during the commit of %s: %s", intent.request_id, type(error).__name__)
            raise OutcomeUnknown(
                "outcome_unknown", f"The link was lost while {intent.request_id} was being committed."
            ) from None

    async def recorded(self, request_id: str) -> Recorded | None:
        """Asks again for some seconds: right after a lost link the next connection is still being made."""
        deadline = time.monotonic() + LOOK_UP_SECONDS
        while True:
            try:
                async with self.connection() as connection:
                    if (found := await self._find(connection, request_id)) is not None:
                        return found
                    await _wait_for(connection, request_id)
                    return await self._find(connection, request_id)
            except HomeUnreachable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _find(self, connection: Connection, request_id: str) -> Recorded | None:
        cursor = await connection.execute(
            "SELECT id, operation, fingerprint, result FROM wf.changes WHERE request_id = %s", [request_id]
        )
        if (row := await cursor.fetchone()) is None:
            return None
        rows = await change_rows(connection, row[0], personal=self._actor.role in ("operator", "admin"))
        return Recorded(row[1], row[2], row[3], rows)

    async def revealed(self, tenant_id: str, field: str) -> str | None:
        async with self.connection() as connection:
            row = await (await connection.execute("SELECT wf.revealed(%s, %s)", [tenant_id, field])).fetchone()
            return None if row is None else row[0]

    async def now(self) -> datetime:
        async with self.connection() as connection:
            row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
            assert row is not None
            return row[0].astimezone(UTC)  # type: ignore[no-any-return]

    async def _check_if_idle(self, connection: Connection) -> None:
        """A connection that rested may be dead by now; one used a moment ago is not asked again."""
        if self.silence > 2:
            await AsyncConnectionPool.check_connection(connection)


def _meet(probe: psycopg.Connection, look: Callable[[psycopg.Connection], None] | None) -> Actor:
    """Who we are in a home, once `look` has nothing against it."""
    user = probe.info.user
    with probe:
        try:
            if look is not None:
                look(probe)
            row = probe.execute("SELECT session_user::text, wf.my_role()").fetchone()
        except psycopg.Error as error:
            raise refusal_of(error) from None
    if row is None or row[1] is None:
        raise NotPermitted(
            "not_an_operator",
            f"The login {user} has no role in this home.",
            "Ask an admin: watchfloor operators add NAME --role viewer",
        )
    return Actor(*row)


async def _wait_for(connection: Connection, request_id: str) -> None:
    """A change that is being committed cannot be seen yet; taking its id, and giving it back, waits for its end."""
    await connection.execute("BEGIN")
    try:
        await connection.execute(f"SET LOCAL lock_timeout = '{int(LOOK_UP_SECONDS * 1000)}ms'")
        await connection.execute("SELECT wf.begin_change('look.up', NULL, %s)", [request_id])
    except psycopg.errors.LockNotAvailable:
        raise HomeUnreachable("request_in_flight", f"{request_id} is still being committed.", "Ask again.") from None
    except psycopg.Error as error:
        if error.sqlstate is None:  # the link, again
            raise
    finally:
        await _roll_back(connection)


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.rollback()
    except psycopg.Error:
        await connection.close()  # the server rolls back what it has no client for


@dataclass
class OpenChange:
    """The stores of one transaction."""

    connection: Connection
    id: int
    now: datetime
    reason: str | None
    actor: str
    key_prefix: str
    drawn: Drawn

    @property
    def tenants(self) -> TenantWriter:
        return TenantWriter(self.connection)

    @property
    def projects(self) -> ProjectWriter:
        return ProjectWriter(self.connection)

    @property
    def keys(self) -> KeyWriter:
        return KeyWriter(self.connection, self.key_prefix)

    @property
    def plans(self) -> PlanWriter:
        return PlanWriter(self.connection)

    @property
    def people(self) -> PeopleWriter:
        return PeopleWriter(self.connection)

    @property
    def runs(self) -> RunWriter:
        return RunWriter(self.connection)

    @property
    def impersonations(self) -> ImpersonationWriter:
        return ImpersonationWriter(self.connection)

    @property
    def jobs(self) -> JobWriter:
        return JobWriter(self.connection)

    @property
    def retention(self) -> RetentionWriter:
        return RetentionWriter(self.connection)

    @property
    def objectives(self) -> ObjectiveWriter:
        return ObjectiveWriter(self.connection)

    async def note_writing(self, context: str, minutes: int) -> None:
        await self.connection.execute("SELECT wf.note_writing(%s, %s)", [context, minutes])

    async def rows(self) -> tuple[AuditRow, ...]:
        return await change_rows(self.connection, self.id, personal=await self._sees_personal())

    async def _sees_personal(self) -> bool:
        row = await (await self.connection.execute("SELECT wf.sees_personal()")).fetchone()
        return row == (True,)

    async def finish(self, result: dict[str, Any]) -> None:
        await self.connection.execute("SELECT wf.finish_change(%s)", [as_json(result)])
