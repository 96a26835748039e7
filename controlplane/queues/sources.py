"""Sources side by side: a line for each, the causes of what is dead in them, and what was done there from this home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from controlplane.filters.grammar import Term
from controlplane.listing import ById, Listing
from controlplane.queues.held import Held
from controlplane.queues.model import Cause, SourceStats
from controlplane.queues.source import Acted, DeadMessage, Said, Source, Verb

if TYPE_CHECKING:
    from controlplane.runs.model import RunItem

SourceState = Literal["ok", "down", "unknown"]
SOURCE_STATES: tuple[SourceState, ...] = ("ok", "down", "unknown")
HOURS = 24
LONG = timedelta(minutes=2)
"""An act without an outcome for so long was cut off: nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class SourceRow(ById):
    """One source. `waiting` None: not known. `exact`: whether it was counted, not estimated. `entered`, `settled`: of
    the last hour; None: not known. `as_of`: how old what is shown is. `fault`: why it does not answer. `moving`: how
    its last redrive stands.
    """

    id: str
    kind: str
    state: SourceState
    waiting: int | None
    exact: bool
    oldest: datetime | None
    entered: int | None
    settled: int | None
    as_of: datetime | None
    where: str
    able: str
    fault: str
    code: str
    moving: str = ""


@dataclass(frozen=True, slots=True)
class OutsideCause(Cause):
    """A cause of messages outside the home. `whole`: all of its source's messages were read, so its counts are exact;
    else there are at least so many.
    """

    whole: bool = True


@dataclass(frozen=True, slots=True)
class SourceAct(ById):
    """Something that was done to messages of a source, from this home. `state` open: its outcome is not known.
    `others`: the verdict of each message that it was not done to.
    """

    id: int
    source: str
    verb: Verb
    things: list[str]
    state: str
    done: int
    others: dict[str, str]
    detail: str
    actor: str
    reason: str | None
    at: datetime
    ended_at: datetime | None
    run_id: int | None = None

    def standing(self, now: datetime) -> str:
        """Its state; `unknown` when it has been open for so long that it must have been cut off."""
        return "unknown" if self.state == "open" and now - self.at > LONG else self.state


class SourceDirectory(Listing[SourceRow], Protocol):
    async def outside(self) -> Sequence[Held]:
        """The sources outside the home, as they are known; none when the settings name none. Never raises."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Whether the settings name sources outside: then a count of the home's own dead letters is not of all."""
        ...

    async def lines(self) -> Sequence[SourceRow]:
        """A line for each source outside the home."""
        ...

    def source(self, name: str) -> Source:
        """Raises NotFound `source_unknown`."""
        ...

    def settled(self, name: str, ids: Collection[str]) -> None:
        """These messages are not dead any more."""
        ...


class MessageDirectory(Listing[DeadMessage], Protocol):
    async def said(self, message: DeadMessage) -> Said | None:
        """None for those who may not read it. Raises NotFound, Refusal."""
        ...

    async def every(self, terms: Sequence[Term], verb: Verb, limit: int) -> list[DeadMessage]:
        """All that match, of the sources that can do `verb`, read anew; at most `limit`. Raises Refusal when a source
        that may have some does not answer.
        """
        ...

    async def acts(self, source: str, name: str) -> Sequence[SourceAct]:
        """What was done to it from this home, the newest first."""
        ...


class RunActs(Protocol):
    """What the home keeps of the acts of a run, for the program that carries it."""

    async def lost(self, run_id: int) -> Sequence[RunItem]:
        """Of what a program that is gone had begun, nobody knows the outcome: record that. Returns the items that wait
        and of which that is so.
        """
        ...

    async def begin(self, run_id: int, places: Sequence[int]) -> int:
        """Record what is about to be done to these items of one source. Raises Refusal `run_not_running`, `run_…`."""
        ...

    async def end(self, act: int, state: str, others: Mapping[str, str], detail: str, said: Mapping[str, str]) -> None:
        """Record what became of it, and give its items their verdicts: done, or those in `others`; what is `left` waits
        on. `said`: each verdict in words.
        """
        ...

    async def inactive(self, tenants: Collection[str]) -> set[str]:
        """Those of them that this home knows, and that are not active."""
        ...


class SourceActStore(Protocol):
    """What is recorded in the home of what is done outside. The home says who may do it."""

    async def begin(self, source: str, verb: Verb, things: Sequence[str]) -> SourceAct:
        """Record the intent."""
        ...

    async def end(self, act: int, state: str, others: Mapping[str, str], detail: str) -> SourceAct:
        """Record what became of it: done to all its messages but those in `others`. Raises Refusal when it is not the
        caller's, or has an outcome already.
        """
        ...

    async def inactive(self, tenants: Collection[str]) -> set[str]:
        """Those of them that this home knows, and that are not active."""
        ...


def here(stats: SourceStats, now: datetime) -> SourceRow:
    """A source of the home itself."""
    return SourceRow(stats.name, "home", "ok", stats.waiting, True, stats.oldest, stats.entered, stats.settled, now,
                     "this home", "replay, discard, browse", "", "")  # fmt: skip


def outside(held: Held, acts: Iterable[SourceAct], now: datetime) -> SourceRow:
    """A source outside; what left it is what was done from here."""
    counted = held.counted
    gone = sum(act.done for act in acts if act.source == held.name and now - act.at < timedelta(hours=1))
    state: SourceState = "down" if held.fault else "ok" if counted else "unknown"
    words = f"{held.fault.message} {held.fault.hint}".strip() if held.fault else ""
    return SourceRow(
        held.name, held.kind, state,
        counted.waiting if counted else None, counted.exact if counted else False,
        counted.oldest if counted else None, counted.entered if counted else None, gone if counted else None,
        held.as_of, held.where, held.able, words, held.fault.code if held.fault else "",
        counted.moving if counted else "",
    )  # fmt: skip


def noted(messages: Iterable[DeadMessage], acts: Iterable[SourceAct], now: datetime) -> list[DeadMessage]:
    """The same messages, each with what was done to it from here. `acts`: the newest first."""
    replays, standing = Counter[tuple[str, str]](), dict[tuple[str, str], str]()
    for act in acts:
        for thing in act.things:
            if act.verb == "replay" and act.state == "done" and thing not in act.others:
                replays[act.source, thing] += 1
            state = act.standing(now)
            standing.setdefault((act.source, thing), f"{act.verb} {state}" if state in ("open", "unknown") else "")
    found = []
    for each in messages:
        at = (each.source, each.name)
        known = replays[at] or standing.get(at)
        found.append(replace(each, replays=replays[at], act=standing.get(at, "")) if known else each)
    return found


def causes_of(held: Held, now: datetime) -> list[OutsideCause]:
    """One cause for each fingerprint among the messages that are held of a source."""
    groups: dict[str, list[DeadMessage]] = {}
    for message in held.messages:
        groups.setdefault(message.fingerprint, []).append(message)
    return [_cause(held, group, now) for group in groups.values()]


def _cause(held: Held, group: Sequence[DeadMessage], now: datetime) -> OutsideCause:
    first = group[0]
    times = [each.dead_at or each.created_at or held.as_of or now for each in group]
    hours = [0] * HOURS
    for at in times:
        ago = int((now - at).total_seconds() // 3600)
        if 0 <= ago < HOURS:
            hours[HOURS - 1 - ago] += 1
    return OutsideCause(
        id=first.cause_id, fingerprint=first.fingerprint, source=held.name, queue=first.queue, handler=first.handler,
        error_class=first.error_class, cause=first.cause, dead=len(group), quarantined=0,
        replayed=sum(each.replays for each in group), discarded=0, waiting=len(group),
        tenants=len({each.tenant_id for each in group if each.tenant_id}), first_seen=min(times), last_seen=max(times),
        releases=sorted({each.release for each in group if each.release}), fixed_in=None, version=0, hours=hours,
        whole=held.whole,
    )  # fmt: skip


def counts(acted: Acted) -> dict[str, int]:
    """How many met which verdict."""
    return dict(sorted(Counter(acted.verdicts.values()).items()))
