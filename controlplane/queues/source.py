"""A source of dead letters outside the home: what it holds, what it can do, and the port that an adapter implements.

The home's own jobs and deliveries are not read through it: the home keeps them in one transaction with their counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal, Protocol

from controlplane.audit.model import Record
from controlplane.queues.causes import ID_LENGTH, cause_of, fingerprint

Verb = Literal["replay", "discard", "redrive", "cancel"]
Verdict = Literal["done", "settled", "busy", "conflict", "tenant", "refused", "unknown", "left"]
"""What became of a message. settled: it was not dead any more; busy: somebody else held it; conflict: one like it that
must be the only one waits; tenant: its tenant is not active; refused: the source refused; unknown: the link was lost;
left: not tried, because one before it was refused.
"""
VERDICTS: tuple[Verdict, ...] = ("done", "settled", "busy", "conflict", "tenant", "refused", "unknown", "left")
MAX_PAGE = 500
"""Messages that are read at once."""
MAX_ERROR = 2000
"""Characters of an error that are kept."""
MAX_PAYLOAD = 262_144
"""Bytes of a message that are shown."""


@dataclass(frozen=True, slots=True)
class Can:
    """What a source can do. `why` says for each of the others why it cannot."""

    replay: bool = True
    discard: bool = True
    browse: bool = True
    """Read without changing anything there, in one order, by key."""
    redrive: bool = False
    """Move all of its messages back at once, by its own means."""
    in_order: bool = False
    """Replayed messages keep their order."""
    why: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> str:
        able = [name for name in ("replay", "discard", "browse", "redrive") if getattr(self, name)]
        return ", ".join(able) + ("; keeps the order" if self.in_order else "")


@dataclass(frozen=True)
class DeadMessage:
    """One dead message of a source, without what it says. `name`: its id there. `replays`: how often it was replayed
    from here. `act`: what was begun with it here and has no outcome yet.
    """

    source: str
    name: str
    queue: str
    handler: str
    error_class: str
    error: str
    tenant_id: str | None = None
    attempts: int | None = None
    created_at: datetime | None = None
    dead_at: datetime | None = None
    idempotency_key: str | None = None
    release: str = ""
    replays: int = 0
    act: str = ""
    version: int = 0

    @property
    def id(self) -> str:
        return f"{self.source}/{self.name}"

    @property
    def key(self) -> str:
        return self.id

    @cached_property
    def cause(self) -> str:
        return cause_of(self.error)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.queue, self.handler, self.error_class, self.error)

    @property
    def cause_id(self) -> str:
        return self.fingerprint[:ID_LENGTH]


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says. `payload`: at most MAX_PAYLOAD bytes; `size`: of the whole; `headers`: beside it."""

    payload: bytes
    size: int
    headers: Record = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """`exact` False: `waiting` is an estimate. `entered`: dead since an hour; None: the source does not say when
    messages died. `moving`: in words, how its last redrive stands.
    """

    waiting: int
    exact: bool = True
    oldest: datetime | None = None
    entered: int | None = None
    moving: str = ""


@dataclass(frozen=True, slots=True)
class DeadPage:
    """`next`: what the following page starts after; None: there is none."""

    rows: Sequence[DeadMessage]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Acted:
    """What an act did. `verdicts`: for each message; `detail`: in words, what the source said of those refused."""

    verdicts: Mapping[str, Verdict]
    detail: str = ""


_PART = r'[^\t-\r @<>()\[\],;:"]'
_ADDRESS = re.compile(rf'(?:"[^"@]{{1,64}}"|(?<!{_PART})({_PART}){_PART}*)@(\[?{_PART}+)')


def without_mail(text: str) -> str:
    """With whatever is an e-mail address masked, of whatever characters it is. The same as wf.without_mail."""
    return _ADDRESS.sub(r"\1•••@\2", text)


def masked(message: DeadMessage) -> DeadMessage:
    """Without the e-mail addresses in its error, for those who may not read them. Its cause has
    none, and stays that of the whole error.
    """
    made = replace(message, error=without_mail(message.error))
    made.__dict__.update(cause=message.cause, fingerprint=message.fingerprint)
    return made


class Source(Protocol):
    """Every method raises Refusal when the source is away, slow, or not what its settings say."""

    name: str
    kind: str
    can: Can

    @property
    def where(self) -> str:
        """Its place, without any secret."""
        ...

    async def count(self) -> Counted:
        """Within a second or so, exactly where that is cheap; never blocks the source."""
        ...

    async def page(self, after: str | None, limit: int) -> DeadPage:
        """Dead messages in an order that stays, without what they say."""
        ...

    async def fetch(self, name: str) -> tuple[DeadMessage, Said]:
        """Raises NotFound `message_gone`."""
        ...

    async def look(self, names: Sequence[str]) -> Mapping[str, DeadMessage]:
        """Those of them that are dead now."""
        ...

    async def replay(self, names: Sequence[str]) -> Acted:
        """Queue them again, those that are still dead, all in one transaction where the source has those. A name's
        verdict is `unknown` when the link was lost and nothing tells what became of it.
        """
        ...

    async def discard(self, names: Sequence[str]) -> Acted:
        """Give them up, in the same way."""
        ...

    async def close(self) -> None: ...


class Redriver(Source, Protocol):
    """A source that moves all of its messages back by itself."""

    async def redrive(self, per_second: int | None) -> str:
        """Begin to move them back to where they came from; None: as fast as the source sees fit. Returns its name for
        that. Raises OutcomeUnknown when there was no answer.
        """
        ...

    async def cancel(self) -> int:
        """Stop moving; what was moved stays moved. Returns about how many were."""
        ...

    async def moving(self) -> str:
        """How its last redrive stands, in words; "" when there is none."""
        ...
