"""A home in PostgreSQL: a few connections, short reading statements, one transaction for each change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psycopg
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from backends.postgres.link import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    STATEMENT_SECONDS,
    AsyncLink,
    Link,
    NoAnswer,
    dressed,
    hang_up,
    pooled,
    settings,
    shared,
)
from backends.postgres.refusals import as_refusals, refusal_of
from backends.postgres.statements import scalar
from backends.postgres.stores import implementing, readers
from backends.runbook_folder import RunbookFolder
from controlplane.changes import Actor, Intent, Recorded, RequestRepeated
from controlplane.clock import HomeClock
from controlplane.errors import HomeUnreachable, NotPermitted, OutcomeUnknown, Refusal
from controlplane.sealing import NOTHING_SEALED

if TYPE_CHECKING:
    from backends.postgres.change import OpenChange
    from backends.postgres.live import PostgresFeed, Revive
    from controlplane.detectors.model import MetricSource
    from controlplane.evidence.controls import Control
    from controlplane.queues.held import SourceBook
    from controlplane.runbooks.files import Shelf
    from controlplane.telemetry.model import SeriesSource

Connection = psycopg.AsyncConnection[TupleRow]
P = TypeVar("P")
log = logging.getLogger(__name__)

DIED = ("home_unreachable", "home_starting", "home_stopping")
"""How a server that died is met."""
SNAPSHOT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; "


class Patience(NamedTuple):
    """Seconds to wait for an answer: from an idle connection, to a commit, to a look-up of a commit's outcome."""

    check: float = 3.0
    commit: float = 10.0
    look_up: float = 5.0


PATIENCE = Patience()


class _Noted(AsyncLink):
    """The pool's connections. Notes why one could not be made, because the pool itself only reports a timeout."""

    @classmethod
    async def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        note: Callable[[psycopg.Error | None], None],
        made: Callable[[], PGconn | None],
        **more: Any,
    ) -> _Noted:
        """`made`: a connection that is there already, and that the first caller gets."""
        if (pgconn := made()) is not None:
            link = cls(pgconn)
            await link.set_autocommit(True)
            return link
        try:
            link = await super().connect(conninfo, **more)
        except psycopg.Error as error:
            note(error)
            raise
        note(None)
        return link


class Home:
    """One home. `open` it before use; every method raises Refusal and nothing else of its own."""

    def __init__(
        self,
        conninfo: str,
        *,
        connections: int = 3,
        conversation: str = "console",
        key_prefix: str = "wf",
        patience: Patience | None = None,
        revive: Revive | None = None,
        out_of_room: Callable[[], HomeUnreachable | None] = lambda: None,
        change_seconds: float = STATEMENT_SECONDS,
    ) -> None:
        """`revive` starts the server again if it died, where this program can; `out_of_room` says whether a full disk
        keeps it away. `change_seconds`: how long one statement of a change may take.
        """
        self._actor = Actor("", "viewer")
        self._heard = 0.0
        self.clock = HomeClock()
        self._dressed = dressed(conninfo, conversation)
        self._asks_in_turn = conversation == "command"
        self._first: PGconn | None = None
        self._trouble: psycopg.Error | None = None
        self.conninfo = conninfo
        self.key_prefix = key_prefix
        self.patience = patience or PATIENCE
        self.change_seconds = change_seconds
        self.shared = False
        """A pooler in transaction mode is in front: no setting or prepared statement outlives a transaction."""
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._dressed,
            connection_class=_Noted,
            kwargs={"autocommit": True, "note": self._note, "made": self._take_first},
            configure=self._configure,
            min_size=1,
            max_size=connections,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=CONNECT_SECONDS,
            check=self._check_if_idle,
            open=False,
        )
        self.prometheus: SeriesSource | None = None
        self.metrics: MetricSource | None = None
        self.sources: SourceBook | None = None
        self.runbooks: Shelf = RunbookFolder()
        self.sealing = NOTHING_SEALED
        self.controls: Callable[[], Sequence[Control]] | None = None
        """Reads the controls that evidence is held against, where they are not those that come with the program."""
        self.revive, self.out_of_room = revive, out_of_room
        self.readers: dict[Callable[[Home], Any], Any] = {}
        """Each is made at first use."""

    async def open(self, look: Callable[[psycopg.Connection], None] | None = None) -> None:
        """Connect and learn our login and role. `look` may refuse the home before; it blocks, so it runs in a thread.

        Raises HomeUnreachable, NotPermitted, and what `look` raises.
        """
        # One connection without the pool first: its error says what is wrong, the pool's only that time is up. Then it
        # becomes the pool's first one.
        with as_refusals():
            probe = await AsyncLink.connect(self._dressed)
        first = probe.pgconn
        del probe.pgconn  # else it is closed, or warned of, with this object
        # In a thread, because it blocks. If it fails, or is not waited for, the connection ends with its last holder.
        self._actor, self.shared = await asyncio.to_thread(_meet, first, self.conninfo, look, self.clock)
        if self.shared:
            first.finish()
        else:
            self._first = first
        # Without the wait, whoever comes first would not find a connection yet and make the pool log in a second time.
        # A console soon asks several things at once, so it is right to.
        try:
            await self.pool.open(wait=self._asks_in_turn and not self.shared, timeout=CONNECT_SECONDS)
        except PoolTimeout:
            raise self._out_of_connections() from None

    async def close(self) -> None:
        await self.pool.close(timeout=1)
        if (first := self._take_first()) is not None:
            first.finish()

    def _take_first(self) -> PGconn | None:
        first, self._first = self._first, None
        return first

    @cached_property
    def feed(self) -> PostgresFeed:
        from backends.postgres.live import PostgresFeed

        return PostgresFeed(self.conninfo, self.clock, self.revive)

    @property
    def actor(self) -> Actor:
        return self._actor

    def know_role(self, role: str) -> None:
        """The login's role was raised, or that is over."""
        if role and role != self._actor.role:
            self._actor = Actor(self._actor.name, role)

    def of(self, port: type[P]) -> P:
        """The reader of this home that implements a port."""
        reader = implementing(port, readers())
        if reader not in self.readers:
            self.readers[reader] = reader(self)
        found: P = self.readers[reader]
        return found

    @property
    def silence(self) -> float:
        """Seconds since the home last answered."""
        return time.monotonic() - self._heard

    @asynccontextmanager
    async def connection(
        self, seconds: float = STATEMENT_SECONDS, *, snapshot: bool = False
    ) -> AsyncIterator[Connection]:
        """A connection for reading; its errors are raised as refusals. `seconds`: how long one statement may take.

        `snapshot`: read everything as of one moment, in one transaction.
        """
        async with self._leased(seconds + ANSWER_SECONDS) as link:
            if not (self.shared or snapshot or seconds != STATEMENT_SECONDS):
                yield link
                return
            async with link.transaction():
                await link.execute((SNAPSHOT if snapshot else b"") + settings(seconds, local=True))
                yield link

    @asynccontextmanager
    async def _leased(self, limit: float) -> AsyncIterator[AsyncLink]:
        try:
            async with self.pool.connection() as connection:
                assert isinstance(connection, AsyncLink)
                connection.limit = limit
                yield connection
                self._heard = time.monotonic()
        except PoolTimeout:
            raise self._out_of_connections() from None
        except psycopg.Error as error:
            if isinstance(error, NoAnswer):
                self._heard = 0.0  # the other connections are checked as well before they are used
            raise self.explained(refusal_of(error)) from None

    def _out_of_connections(self) -> Refusal:
        if self._trouble is not None:
            return self.explained(refusal_of(self._trouble))
        return HomeUnreachable("home_busy", "All connections to the home are in use.", "Try again.")

    def explained(self, refusal: Refusal) -> Refusal:
        """The better refusal for a server that a full disk ended: it can no longer say so itself."""
        return (self.out_of_room() if refusal.code in DIED else None) or refusal

    @asynccontextmanager
    async def change(self, intent: Intent) -> AsyncIterator[OpenChange]:
        async with self._leased(self.change_seconds + ANSWER_SECONDS) as connection:
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

    async def _start(self, connection: Connection) -> None:
        own = self.shared or self.change_seconds != STATEMENT_SECONDS
        await connection.execute(b"BEGIN; " + settings(self.change_seconds, local=True) if own else b"BEGIN")

    async def _begin(self, connection: Connection, intent: Intent) -> OpenChange:
        await self._start(connection)
        from backends.postgres.change import OpenChange

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
        reason, actor = intent.reason, self._actor.name
        return OpenChange(
            connection,
            row[0],
            row[1],
            reason,
            actor,
            self.key_prefix,
            intent.drawn,
            self.sealing,
            self.metrics,
            self.sources,
            self.runbooks,
        )

    async def _commit(self, connection: AsyncLink, intent: Intent) -> None:
        """Raises OutcomeUnknown when no answer came, or when the wait for it was cancelled."""
        connection.limit = self.patience.commit
        committing, why = asyncio.ensure_future(connection.execute("COMMIT")), "The link was lost"
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            why = "It was interrupted"
            hang_up(connection)
            await asyncio.wait([committing])
        except psycopg.Error:
            pass
        if (error := committing.exception()) is None:
            return  # also when it was cancelled: the answer had come already
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if not lost or (not connection.closed and error.sqlstate is not None):  # type: ignore[attr-defined]
            raise error  # the home answered that it did not commit
        log.warning("no answer to the commit of %s: %s", intent.request_id, type(error).__name__)
        self._heard = 0.0  # the other connections are checked as well before they are used
        raise OutcomeUnknown("outcome_unknown", f"{why} while {intent.request_id} was being committed.")

    async def recorded(self, request_id: str) -> Recorded | None:
        """Retries for some seconds: right after a lost connection the next one is still being made."""
        deadline = time.monotonic() + self.patience.look_up
        while True:
            try:
                if (found := await self._find(request_id)) is not None:
                    return found
                await self._wait_for(request_id)
                return await self._find(request_id)
            except HomeUnreachable:
                if time.monotonic() > deadline:
                    raise
                if self.revive is not None:
                    await asyncio.to_thread(self.revive)
                await asyncio.sleep(0.2)

    async def _find(self, request_id: str) -> Recorded | None:
        async with self.connection(self.patience.look_up) as connection:
            cursor = await connection.execute(
                "SELECT id, operation, fingerprint, result FROM wf.changes WHERE request_id = %s", [request_id]
            )
            if (row := await cursor.fetchone()) is None:
                return None
            from backends.postgres.audit_rows import change_rows

            rows = await change_rows(connection, row[0])
            return Recorded(row[1], row[2], row[3], rows)

    async def _wait_for(self, request_id: str) -> None:
        """A change that is being committed cannot be seen yet: wait for it by taking its id and rolling back."""
        milliseconds = int(self.patience.look_up * 1000)
        async with self._leased(self.patience.look_up + ANSWER_SECONDS) as connection:
            await self._start(connection)
            try:
                await connection.execute(f"SET LOCAL lock_timeout = '{milliseconds}ms'")
                await connection.execute("SELECT wf.begin_change('look.up', NULL, %s)", [request_id])
            except psycopg.errors.LockNotAvailable:
                raise HomeUnreachable(
                    "request_in_flight", f"{request_id} is still being committed.", "Try again in a moment."
                ) from None
            except psycopg.Error as error:
                if error.sqlstate is None:  # the connection was lost again
                    raise
            finally:
                await _roll_back(connection)

    async def revealed(self, tenant_id: str, field: str) -> str | None:
        async with self.connection() as connection:
            value: str | None = await scalar(connection, "SELECT wf.revealed(%s, %s)", [tenant_id, field])
            return value

    async def ask(self, statement: str, what: str | bytes) -> None:
        """Announce a look-up by a masked value; the home answers it once this is committed. Raises Refusal."""
        async with self.connection() as connection:
            await connection.execute(statement.encode(), [what])

    async def _check_if_idle(self, connection: Connection) -> None:
        """An idle connection may be dead by now; one used a moment ago is not checked."""
        if self.silence > 2:
            assert isinstance(connection, AsyncLink)
            connection.limit = self.patience.check
            await AsyncConnectionPool.check_connection(connection)

    def _note(self, trouble: psycopg.Error | None) -> None:
        self._trouble = trouble

    async def _configure(self, connection: Connection) -> None:
        """Set up a new connection."""
        if self.shared:
            connection.prepare_threshold = None  # the next transaction may run on another server connection
        else:
            await connection.execute(settings(STATEMENT_SECONDS))


def _meet(
    pgconn: PGconn, conninfo: str, look: Callable[[psycopg.Connection], None] | None, clock: HomeClock
) -> tuple[Actor, bool]:
    """Our login and role, and whether a pooler in transaction mode is in front; sets the clock to the home's time.

    `look` may refuse the home first.
    """
    probe = Link(pgconn)
    user = probe.info.user
    try:
        probe.autocommit, probe.limit = True, ANSWER_SECONDS
        with as_refusals():
            with probe.transaction(force_rollback=True):  # it only reads
                probe.execute(settings(STATEMENT_SECONDS, local=True))
                between = pooled(probe)
                if look is not None:
                    look(probe)
                asked = clock.seconds()
                row = probe.execute("SELECT session_user::text, wf.my_role(), clock_timestamp()").fetchone()
                if row is not None:
                    clock.hear(row[2], asked)
            pooler = between and shared(probe, conninfo)
        if row is None or row[1] is None:
            raise NotPermitted(
                "not_an_operator",
                f"The login {user} has no role in this home.",
                "Ask an admin: watchfloor operators add NAME --role viewer",
            )
    except BaseException:
        probe.close()
        raise
    del probe.pgconn  # the connection lives on
    return Actor(row[0], row[1]), pooler


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.rollback()
    except psycopg.Error:
        await connection.close()  # the server rolls back when its client is gone
