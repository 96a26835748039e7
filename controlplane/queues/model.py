"""Dead letters as they are read: a cause, one message of it, and the sources that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.audit.model import Record
from controlplane.listing import ById, Listing

State = Literal["dead", "quarantined", "replaying", "replayed", "discarded"]
STATES: tuple[State, ...] = ("dead", "quarantined", "replaying", "replayed", "discarded")
WAITING: tuple[State, ...] = ("dead", "quarantined")


@dataclass(frozen=True, slots=True)
class Cause(ById):
    """What many messages died of. `cause`: the error without what differs from message to message. `waiting`: how many
    are dead or quarantined; `replayed`, `discarded`: how many ever were. `tenants`: those with a message that waits.

    `hours`: how many died in each of the last 24 hours, oldest first. `fixed_in`: the release that is said to have
    removed it; `fixed_gate`: the gate that decides about that release, as gate/environment; `gate_verdict`: what it
    decided since; `ready`: it passed, so a replay may be tried.
    """

    id: str
    fingerprint: str
    source: str
    queue: str
    handler: str
    error_class: str
    cause: str
    dead: int
    quarantined: int
    replayed: int
    discarded: int
    waiting: int
    tenants: int
    first_seen: datetime
    last_seen: datetime
    releases: list[str]
    fixed_in: str | None
    version: int
    hours: list[int]
    fixed_gate: str | None = None
    gate_verdict: str | None = None
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Letter(ById):
    """One message that died. `source_id`: its name in its source. `error`: of the last attempt; addresses in it are
    masked for those who may not read them. `replays`: how often it was replayed before and then died of the same cause.

    `obstacle`: the code of the refusal that a replay would meet now; None: none. `kept_until`: when it is deleted;
    None: it is held, or settled. `hold`: a legal hold. `is_edited`: it has a patch for its replay.
    """

    id: int
    source: str
    source_id: str
    tenant_id: str | None
    queue: str
    handler: str
    error_class: str
    error: str
    cause: str
    cause_id: str
    payload_bytes: int
    is_edited: bool
    attempt_count: int
    first_failed_at: datetime | None
    dead_at: datetime
    idempotency_key: str | None
    ordering_key: str | None
    release: str
    state: State
    replays: int
    hold: bool
    settled_at: datetime | None
    settled_by: str | None
    settled_why: str | None
    version: int
    kept_until: datetime | None
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is in a letter. `payload`: the first 256 KiB of the original; `cut`: there was more. `json`: the same as
    indented JSON with every number as it came; None: it is none. `edited`: the merge patch as JSON.
    """

    payload: bytes
    cut: bool
    json: str | None
    headers: Record
    edited: str | None


@dataclass(frozen=True, slots=True)
class Success:
    """What the handler of a letter did last without an error. `payload`: indented JSON."""

    source_id: str
    at: datetime
    payload: str


@dataclass(frozen=True, slots=True)
class SourceStats:
    """What waits in a source. `entered`, `settled`: letters within the last hour, counted up to 10,000. `ending`: those
    that are deleted within a week unless somebody acts. `oldest` None: none waits.
    """

    name: str
    waiting: int
    oldest: datetime | None
    entered: int
    settled: int
    ending: int


class CauseDirectory(Listing[Cause], Protocol):
    async def sources(self) -> Sequence[SourceStats]: ...

    async def ready(self) -> int:
        """How many causes are fixed in a release whose gate passed."""
        ...

    async def waiting(self) -> int:
        """How many messages of all causes are dead or quarantined."""
        ...


class LetterDirectory(Listing[Letter], Protocol):
    async def message(self, number: int) -> Message | None:
        """None for those who may not read it."""
        ...

    async def attempts(self, number: int) -> Sequence[Record]:
        """The last 20, oldest first: attempt, at, ended_at, outcome, error, by."""
        ...

    async def last_success(self, number: int) -> Success | None:
        """None: none is known, or one may not read it."""
        ...


class LetterStore(Protocol):
    """What the operations write through. The home checks every step again, and moves what a letter stands for."""

    async def lock(self, number: int) -> Letter:
        """Raises NotFound."""
        ...

    async def change(self, verb: str, number: int, given: dict[str, Any] | None = None) -> Letter: ...

    async def exported(self, noun: str, filter: str, form: str) -> None:
        """Record that those that match were exported."""
        ...

    async def make_drill(self, name: str) -> int:
        """Let messages die on purpose. Returns how many."""
        ...


class CauseStore(Protocol):
    async def lock(self, cause: str) -> Cause:
        """Raises NotFound."""
        ...

    async def fixed(self, cause: str, release: str, gate: str) -> Cause: ...
