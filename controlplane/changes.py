"""What an operation needs from a control plane: an open change, and the stores that it writes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from controlplane.audit.model import AuditRow, Record
    from controlplane.clock import HomeClock
    from controlplane.detectors.model import MetricSource
    from controlplane.queues.held import SourceBook
    from controlplane.runbooks.files import Shelf
    from controlplane.sealing import Sealing
    from controlplane.telemetry.model import SeriesSource

P = TypeVar("P")
T = TypeVar("T")
Row = TypeVar("Row", covariant=True)
Key = str | int | tuple[str | int, ...]
"""What names a row; a tuple where it takes several columns."""


class Actor(NamedTuple):
    """Who is at the console: the login, and its role in the home."""

    name: str
    role: str


class Drawn:
    """What is drawn at random, in order. The run after a preview is given what the preview drew."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.values = list(values)
        self._next = 0

    def draw(self, make: Callable[[], T]) -> T:
        if self._next == len(self.values):
            self.values.append(make())
        self._next += 1
        value: T = self.values[self._next - 1]
        return value


@dataclass(frozen=True, eq=False)
class Intent:
    """How a change is recorded. The request id makes a repeat harmless. `drawn`: the ids that it is to use."""

    operation: str
    request_id: str
    fingerprint: str
    reason: str | None = None
    dry_run: bool = False
    drawn: Drawn = field(default_factory=Drawn)


class Recorded(NamedTuple):
    """A change that was committed: what its result was and what it wrote."""

    operation: str
    fingerprint: str
    result: Record | None
    rows: tuple[AuditRow, ...]


class RequestRepeated(Exception):
    """The request id was used before; nothing was done now."""


class Change(Protocol):
    """One open transaction. All that is written through its stores happens together or not at all."""

    @property
    def now(self) -> datetime:
        """The transaction's time, from the home's clock, in UTC."""
        ...

    @property
    def reason(self) -> str | None: ...

    @property
    def actor(self) -> str:
        """The login that makes it."""
        ...

    @property
    def drawn(self) -> Drawn:
        """Where ids and secrets come from: a run takes those that its preview showed."""
        ...

    @property
    def key_prefix(self) -> str:
        """What new secrets begin with."""
        ...

    @property
    def sealing(self) -> Sealing:
        """What secrets that are kept are encrypted with."""
        ...

    @property
    def metrics(self) -> MetricSource | None:
        """Where PromQL is asked; None: the context has no Prometheus."""
        ...

    @property
    def sources(self) -> SourceBook | None:
        """Where messages are dead outside the home; None: the context names no such place."""
        ...

    @property
    def runbooks(self) -> Shelf:
        """Where runbooks come from."""
        ...

    def of(self, port: type[P]) -> P:
        """The store of this change that implements a port."""
        ...

    async def note_writing(self, context: str, minutes: int) -> None:
        """Record in the trail that a read-only context is opened for writing."""
        ...

    async def note_command(self, command: str, noun: str, key: str) -> None:
        """Record in the trail that a command of one's own is run on a row."""
        ...

    async def rows(self) -> tuple[AuditRow, ...]:
        """The audit rows that this change has written so far."""
        ...

    async def finish(self, result: Record) -> None:
        """Store the result with the change: a repeat of the request is answered with it."""
        ...


class Store(Protocol[Row]):
    """What the operations on the rows of a table write through; a noun's own store has more."""

    async def lock(self, key: Key) -> Row:
        """Read a row and lock it until the change ends. Raises NotFound, NotPermitted."""
        ...

    async def create(self, columns: Record) -> Row:
        """Raises Conflict when there is one with the same key."""
        ...

    async def update(self, key: Key, columns: Record) -> Row:
        """Raises what `lock` does."""
        ...


class ControlPlane(Protocol):
    """One context: what can be read of it, and how a change is made in it."""

    @property
    def actor(self) -> Actor: ...

    @property
    def clock(self) -> HomeClock:
        """The home's time."""
        ...

    def of(self, port: type[P]) -> P:
        """The reader of this context that implements a port."""
        ...

    @property
    def key_prefix(self) -> str:
        """What the secrets that are made here begin with."""
        ...

    @property
    def prometheus(self) -> SeriesSource | None:
        """The same requests as counted by the Prometheus of this context; None when it has none."""
        ...

    def change(self, intent: Intent) -> AbstractAsyncContextManager[Change]:
        """Commits when the block ends; rolls back when it raises, and always for a dry run.

        Raises RequestRepeated on entering; OutcomeUnknown when the link died during the commit.
        """
        ...

    async def recorded(self, request_id: str) -> Recorded | None:
        """The committed change of a request id. Raises HomeUnreachable when the home cannot be asked."""
        ...

    async def revealed(self, tenant_id: str, field: str) -> str | None:
        """A personal field in clear, for one minute after the reveal was granted. Raises NotPermitted."""
        ...
