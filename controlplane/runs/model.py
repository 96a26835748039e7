"""Runs as they are read: one operation done to many things, with a verdict for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from controlplane.changes import Store
from controlplane.listing import ById, Listing

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.filters.grammar import Term

RunState = Literal["running", "paused", "stopped", "done"]
Standing = Literal["running", "waiting", "interrupted", "held", "paused", "stopped", "done"]
STANDINGS: tuple[Standing, ...] = ("running", "waiting", "interrupted", "held", "paused", "stopped", "done")
ItemState = Literal["waiting", "done", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class Run(ById):
    """`fields`: what all its requests share. `why`: why it is in this state. `undoes`: the run that it takes back.

    `driver`: the login whose program drives it now; None: none does. `standing`: its state, in which "running" is kept
    apart from "waiting" (nobody has driven it yet) and "interrupted" (the program that drove it is gone), and "paused"
    apart from "held" (a second person has not approved it yet).
    `settled_before`: how many items had their verdict when it was last resumed.
    """

    id: int
    operation: str
    fields: dict[str, Any]
    filter: str | None
    undoes: int | None
    reason: str | None
    actor: str
    state: RunState
    why: str | None
    per_second: float
    breaker_share: float
    settled_before: int
    created_at: datetime
    changed_at: datetime
    waiting: int
    done: int
    refused: int
    skipped: int
    driver: str | None
    standing: Standing
    held: bool = False

    @property
    def settled(self) -> int:
        return self.done + self.refused

    @property
    def total(self) -> int:
        return self.waiting + self.done + self.refused + self.skipped


@dataclass(frozen=True, slots=True)
class RunItem:
    """One thing of a run. `version`: the one seen when the run was started. `code`/`words`: why it was refused.

    `undoes` is the request id of the change that is taken back.
    """

    run_id: int
    ordinal: int
    thing: str
    subject: dict[str, Any]
    version: int | None
    undoes: str | None
    state: ItemState
    code: str | None
    words: str | None
    settled_at: datetime | None

    @property
    def key(self) -> str:
        return str(self.ordinal)

    @property
    def request_id(self) -> str:
        """The request id of its change: it makes a repeat harmless, and finds the change in the trail."""
        return f"run-{self.run_id}-{self.ordinal}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A key that an item of a run will replace."""

    ordinal: int
    id: str
    tenant_id: str
    env: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """The key that an item of a run will make, by what a home may hold of it."""

    ordinal: int
    id: str
    display: str
    hash: bytes


class RunDirectory(Listing[Run], Protocol):
    """The capability of a context to carry out runs: to read them, and to record what their driver does."""

    def items(self, run_id: int) -> Listing[RunItem]: ...

    async def waiting(self, run_id: int, limit: int) -> Sequence[RunItem]:
        """The next items without a verdict, in order."""
        ...

    async def refusals(self, run_id: int, limit: int) -> Sequence[bool]:
        """For each of the last `limit` verdicts, oldest first, whether it was a refusal."""
        ...

    async def hold(self, run_id: int, holder: str) -> Run:
        """Become or stay the one program that drives it, for 15 s. Raises Conflict `run_driven`, NotFound."""
        ...

    async def release(self, run_id: int, holder: str) -> None: ...

    async def refuse(self, item: RunItem, code: str, words: str) -> bool:
        """Record that an item was refused; False when it has a verdict already."""
        ...

    async def refuse_all(self, run_id: int, verdicts: Sequence[tuple[int, str, str]]) -> None:
        """The same for several: the ordinal, code and words of each."""
        ...

    async def carry(self, item: RunItem) -> None:
        """Let the home do an item: with a worker's login as the person who started the run. Raises what the operation
        would.
        """
        ...

    async def carry_batch(self, run_id: int, most: int, failures: int) -> int:
        """Let the home do the next items together, in one transaction, and give those their verdicts that it refuses:
        at most `most` items, `failures` of them refused. Returns how many have their verdicts now, 0 when the next one
        must go by itself. Raises Refusal when none of them was done.
        """
        ...

    async def end(self, run_id: int, becomes: RunState, why: str | None) -> None:
        """With a worker's login, set the run `done`, or `paused` with the reason."""
        ...


class RunStore(Store[Run], Protocol):
    """What the operations on runs write through."""

    async def add_named(self, run_id: int, noun: str, subjects: Sequence[Record]) -> None:
        """Add the things with these subject fields, at their `version`, or at the one that each has now."""
        ...

    async def add_matching(self, run_id: int, noun: str, terms: Sequence[Term], now: datetime) -> None:
        """Add all things of a noun that match, as they are now. Raises Refusal `run_too_large`."""
        ...

    async def add_undone(self, run_id: int, undone: int) -> None:
        """Add the done items of another run, last first."""
        ...

    async def replaced(self, run_id: int, first: int, last: int) -> Sequence[Replaced]:
        """The keys among these items that have no successor yet."""
        ...

    async def prepare_keys(self, run_id: int, keys: Sequence[NewKey]) -> None: ...

    async def first(self, run_id: int, limit: int) -> Sequence[RunItem]: ...

    async def items_hash(self, run_id: int) -> str:
        """A hash of all its things and their versions: a run starts only with those that its preview showed."""
        ...
