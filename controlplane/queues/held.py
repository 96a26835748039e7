"""What is held of each source: its newest answer with its age, read again in the background, so that a source that is
slow or away holds up neither the others nor who looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from controlplane.errors import NotFound, Refusal
from controlplane.queues.source import MAX_PAGE, Counted, DeadMessage, Source
from controlplane.text import clean

SAMPLE = 2000
"""Messages of a source that are held; of more, causes are counted among these."""
EVERY_SECONDS = 10.0
IDLE_FACTOR = 10
"""After a reading, at least this many times as long as it took pass before the next."""
READ_SECONDS = 20.0
PEEK_SECONDS = 30.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """`counted` None: it never answered. `whole`: all of its dead messages are among `messages`. `as_of`: when it
    answered last; `fault`: why it does not answer since.
    """

    name: str
    kind: str = ""
    where: str = ""
    able: str = ""
    counted: Counted | None = None
    messages: tuple[DeadMessage, ...] = ()
    whole: bool = True
    as_of: datetime | None = None
    fault: Refusal | None = None


class SourceBook(Protocol):
    """The sources that the settings name."""

    async def look(self) -> Sequence[Held]:
        """Each as it is known, in the order of the settings. Never raises: a fault is in what is held."""
        ...

    def source(self, name: str) -> Source:
        """Raises NotFound `source_unknown`, or the Refusal that keeps the settings from being used."""
        ...

    async def peek(self, name: str) -> None:
        """Look into a source that cannot be read without changing it, because somebody asks for its messages; at most
        every PEEK_SECONDS. Raises Refusal.
        """
        ...

    def settled(self, name: str, ids: Collection[str]) -> None:
        """These messages are not dead any more: show them no longer, and read the source again at the next look."""
        ...

    async def close(self) -> None: ...


class Sources(SourceBook):
    """`open` reads the settings when it is first needed; `patience`: seconds that a look waits for those that have not
    answered yet; `ticks` and `now`: the time.
    """

    def __init__(
        self,
        open: Callable[[], Sequence[Source]],
        now: Callable[[], datetime],
        patience: float,
        ticks: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._open, self._now, self._patience, self._ticks = open, now, patience, ticks
        self._opened: dict[str, Source] | None = None
        self._held: dict[str, Held] = {}
        self._due: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._peeked: dict[str, float] = {}
        self._changed: set[str] = set()
        """Something was done there since it was read."""

    async def look(self) -> Sequence[Held]:
        try:
            sources = self._sources()
        except Refusal as fault:
            return [Held("sources", "settings", fault=fault)]
        for name, source in sources.items():
            if name not in self._tasks and self._ticks() >= self._due.get(name, float("-inf")):
                self._tasks[name] = asyncio.ensure_future(self._read(source))
        awaited = [task for name, task in self._tasks.items() if name in self._changed or name not in self._held]
        if awaited:
            await asyncio.wait(awaited, timeout=self._patience)
        return [self._held.get(name) or _first(source) for name, source in sources.items()]

    def source(self, name: str) -> Source:
        sources = self._sources()
        if name not in sources:
            raise unknown(name, sources)
        return sources[name]

    async def peek(self, name: str) -> None:
        source = self._sources().get(name)
        if source is None or source.can.browse or self._ticks() < self._peeked.get(name, float("-inf")) + PEEK_SECONDS:
            return
        self._peeked[name] = self._ticks()
        try:
            page = await source.page(None, MAX_PAGE)
        except Exception as error:
            raise _fault(source, error) from None
        self._held[name] = replace(self._held.get(name) or _first(source), messages=tuple(page.rows), whole=False)

    def settled(self, name: str, ids: Collection[str]) -> None:
        self._due.pop(name, None)
        self._changed.add(name)
        if (held := self._held.get(name)) is not None and held.counted is not None:
            left = tuple(each for each in held.messages if each.name not in ids)
            gone = len(held.messages) - len(left)
            counted = replace(held.counted, waiting=max(held.counted.waiting - gone, len(left)))
            self._held[name] = replace(held, messages=left, counted=counted)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for source in (self._opened or {}).values():
            await source.close()

    def _sources(self) -> dict[str, Source]:
        if self._opened is None:
            self._opened = {source.name: source for source in self._open()}
        return self._opened

    async def _read(self, source: Source) -> None:
        begun, was = self._ticks(), self._held.get(source.name)
        try:
            async with asyncio.timeout(READ_SECONDS):
                held = await read(source, self._now)
                if was is not None and not source.can.browse:
                    held = replace(held, messages=was.messages)
                self._held[source.name] = held
        except Exception as error:  # also an adapter's own fault: it must not take the others with it
            self._held[source.name] = replace(was or _first(source), fault=_fault(source, error))
        finally:
            took = self._ticks() - begun
            self._due[source.name] = self._ticks() + max(EVERY_SECONDS, IDLE_FACTOR * took)
            self._tasks.pop(source.name, None)
            self._changed.discard(source.name)


def unknown(name: str, known: Collection[str]) -> Refusal:
    """There is no source of this name."""
    return NotFound(
        "source_unknown",
        f"The settings name no source {clean(name, 64)}.",
        f"They name: {', '.join(known) or 'none'}. docs/queues.md says how.",
    )


async def read(source: Source, now: Callable[[], datetime]) -> Held:
    """Its count, and up to SAMPLE of its messages, where it can be read without changing it. Raises Refusal."""
    if not source.can.browse:
        return replace(_first(source), counted=await source.count(), whole=False, as_of=now())
    counted, found, after, whole = await source.count(), list[DeadMessage](), None, False
    while len(found) < SAMPLE:
        page = await source.page(after, min(MAX_PAGE, SAMPLE - len(found)))
        found += page.rows
        after = page.next
        if after is None:
            whole = True
            break
    if whole:
        counted = replace(counted, waiting=len(found), exact=True)
    await asyncio.to_thread(lambda: [each.fingerprint for each in found])  # it takes a while, and is kept with each
    return replace(_first(source), counted=counted, messages=tuple(found), whole=whole, as_of=now())


def _fault(source: Source, error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, TimeoutError):
        return Refusal("source_slow", f"{source.name} did not answer within {READ_SECONDS:g} s.")
    log.error("the source %s failed", source.name, exc_info=error)
    return Refusal("source_failed", f"{source.name} cannot be read: {type(error).__name__}.", "See the log.")


def _first(source: Source) -> Held:
    return Held(source.name, source.kind, source.where, source.can.words())
