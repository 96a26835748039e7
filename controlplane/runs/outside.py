"""Runs over dead messages of other systems: the same engine, with the source doing what the home does else.

A bite: look which of the next messages are still dead, record in the home what is about to be done to those, let the
source do it in one transaction, and record what became of it together with the verdicts. A program that is killed in
between leaves an act without an outcome. Whoever goes on looks again: what is still dead is done, of the rest nobody
knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from controlplane.errors import OutcomeUnknown, Refusal
from controlplane.queues.refusals import SOURCE_CANNOT
from controlplane.queues.source import Acted, DeadMessage, Source, Verb, Verdict
from controlplane.queues.source_operations import WORDS, state_of
from controlplane.queues.sources import RunActs, SourceDirectory
from controlplane.runs import rules
from controlplane.runs.driver import HOLD_SECONDS, Driver, LentDriver
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

BITE = 100
"""Messages that are done in one transaction at the source."""
SAID = {verdict: f"It is {words}." for verdict, words in WORDS.items()} | {
    "unknown": "The connection was lost, and the outcome cannot be found out.",
    "conflict": "Another one waits there, and there may be only one.",
    "tenant": "Its tenant is not active.",
    "refused": "Its source refused it.",
}


async def missing(plane: ControlPlane, run: Run) -> str:
    """Why this program cannot carry on with a run: it does not know its next source, or cannot ask it; "": it can."""
    items = await plane.of(RunDirectory).waiting(run.id, 1)
    try:
        for source, name in map(split, items):
            await plane.of(SourceDirectory).source(source).look([name])
    except Refusal as refusal:
        return refusal.message
    return ""


class OutsideDriver(Driver):
    """One program that has the credentials of the sources."""

    least = 1

    async def to_the_end(self, run: Run) -> None:
        try:
            await self._settle_lost(run)
        except Away as away:
            return await self._pause(run, str(away))
        await super().to_the_end(await self.hold(run.id))

    async def _settle_lost(self, run: Run) -> None:
        """What a program that is gone had begun: what is still dead waits on, of the rest nobody knows."""
        left = list(await self.plane.of(RunActs).lost(run.id))
        while left:
            items = leading(left)[:BITE]
            del left[: len(items)]
            _, found = await self._looked(items)
            gone = [item for item in items if split(item)[1] not in found]
            await self._refuse(run, [(item, "unknown") for item in gone])

    async def _together(
        self, run: Run, most: int, failures: int, pace: rules.Pace, size: rules.BatchSize
    ) -> Run | None:
        if not await self._wait(run, pace):
            return await self.hold(run.id)
        began = self.clock.now()
        items = leading(await self.plane.of(RunDirectory).waiting(run.id, min(most, BITE)))
        if not items:
            return None
        try:
            settled = await self._bite(run, items, failures, size)
        except Away as away:
            await self._pause(run, str(away))
            return await self.hold(run.id)
        except Refusal as refusal:
            if refusal.code not in ("run_not_running", "run_item_settled"):
                raise
            return await self.hold(run.id)
        if settled:
            size.went(self.clock.now() - began)
            pace.begin(settled, began)
        run = await self.hold(run.id)
        self.on_progress(run)
        return run

    async def _bite(self, run: Run, items: Sequence[RunItem], failures: int, size: rules.BatchSize) -> int:
        """How many have their verdict now."""
        verb: Verb = "replay" if run.operation.endswith(".replay") else "discard"
        source, found = await self._looked(items)
        if not getattr(source.can, verb):
            raise Away(source.name, SOURCE_CANNOT(f"it cannot {verb}."))
        tenants = {each.tenant_id for each in found.values() if each.tenant_id} if verb == "replay" else set()
        inactive = await self.plane.of(RunActs).inactive(tenants) if tenants else set()
        refused: list[tuple[RunItem, Verdict]] = []
        going: list[RunItem] = []
        for item in items:
            message = found.get(split(item)[1])
            if message is not None and message.tenant_id not in inactive:
                going.append(item)
                continue
            refused.append((item, "tenant" if message else "settled"))
            if len(refused) == max(failures, 1):
                break
        await self._refuse(run, refused)
        return len(refused) + (await self._done(run, source, verb, going, size) if going else 0)

    async def _looked(self, items: Sequence[RunItem]) -> tuple[Source, Mapping[str, DeadMessage]]:
        """Their source, and those of the messages that are dead there. Raises Away."""
        name = split(items[0])[0]
        try:
            source = self.plane.of(SourceDirectory).source(name)
            return source, await source.look([split(item)[1] for item in items])
        except Refusal as refusal:
            raise Away(name, refusal) from None

    async def _refuse(self, run: Run, verdicts: Sequence[tuple[RunItem, Verdict]]) -> None:
        await self.plane.of(RunDirectory).refuse_all(
            run.id, [(item.ordinal, f"message_{why}", SAID[why]) for item, why in verdicts]
        )

    async def _done(self, run: Run, source: Source, verb: Verb, going: Sequence[RunItem], size: rules.BatchSize) -> int:
        """Record what is about to be done, do it, record what became of it."""
        acts, names = self.plane.of(RunActs), [split(item)[1] for item in going]
        act = await acts.begin(run.id, [item.ordinal for item in going])
        try:
            acted = await self._held(run, source.replay(names) if verb == "replay" else source.discard(names))
        except Refusal as refusal:
            why: Verdict = "unknown" if isinstance(refusal, OutcomeUnknown) else "refused"
            acted = Acted(dict.fromkeys(names, why), refusal.message)
        if len(names) > 1 and state_of(acted) == "refused" and "refused" in acted.verdicts.values():
            size.failed()  # nothing was done: a part of them may go
            acted = Acted(
                {name: "left" if verdict == "refused" else verdict for name, verdict in acted.verdicts.items()},
                acted.detail,
            )
        others = {name: verdict for name, verdict in acted.verdicts.items() if verdict != "done"}
        detail = clean(acted.detail, 1000) if acted.detail else ""
        said = SAID | ({"refused": f"Its source refused it: {detail}"} if detail else {})
        await acts.end(act, state_of(acted), others, detail, said)
        gone = {name for name, verdict in acted.verdicts.items() if verdict in ("done", "settled")}
        self.plane.of(SourceDirectory).settled(source.name, gone)
        return sum(verdict != "left" for verdict in acted.verdicts.values())

    async def _held(self, run: Run, doing: Awaitable[Acted]) -> Acted:
        """What the source answers; while it takes its time, the run stays ours."""
        task = asyncio.ensure_future(doing)
        try:
            while not (await asyncio.wait({task}, timeout=HOLD_SECONDS))[0]:
                await self.hold(run.id)
        finally:
            task.cancel()
        return task.result()


class LentOutsideDriver(OutsideDriver, LentDriver):
    """A worker that has the credentials."""


class Away(Exception):
    """A source that cannot be asked: nothing was done."""

    def __init__(self, name: str, refusal: Refusal) -> None:
        super().__init__(f"{clean(name, 64)} cannot be asked: {refusal.message}")


def split(item: RunItem) -> tuple[str, str]:
    """The source, and the name there."""
    source, _, name = item.thing.partition("/")
    return source, name


def leading(items: Sequence[RunItem]) -> list[RunItem]:
    """The first of them that are of one source."""
    found: list[RunItem] = []
    for item in items:
        if split(item)[0] != split(items[0])[0]:
            break
        found.append(item)
    return found
