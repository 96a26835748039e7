"""What an operator can do with messages that are dead outside the home.

The intent is committed in the home first, then the source is asked, then what became of it is committed. So a link that
is cut anywhere in between leaves an act whose outcome is unknown, and never nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from controlplane.audit.model import Record
from controlplane.errors import HomeUnreachable, OutcomeUnknown, Refusal
from controlplane.operations import Call, Operation, Request, Risk, Subject, execute, operation
from controlplane.queues.held import SourceBook, unknown
from controlplane.queues.refusals import MESSAGES_SETTLED, SOURCE_CANNOT, SOURCE_REFUSED
from controlplane.queues.source import MAX_ACT, Acted, DeadMessage, Source, Verb, Verdict
from controlplane.queues.sources import SourceActStore, SourceDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

CANARY = (1, 10)
"""So many messages are done first; the rest follows only when none of them was refused."""
BITE = 100
"""Messages that are done in one transaction at the source."""
OF_CAUSE = "cause:"
WORDS: Mapping[Verdict, str] = {
    "done": "done",
    "settled": "not dead any more",
    "busy": "held by somebody else",
    "conflict": "one like it, that must be the only one, waits",
    "tenant": "tenant not active",
    "refused": "refused by the source",
    "unknown": "outcome unknown",
    "left": "not tried after that",
}


def _split(value: Any) -> Any:
    """On the command line several names are one word: 41,42 or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return [str(each) for each in json.loads(value)]
        except (ValueError, TypeError):
            raise ValueError("expected ids with commas between, or a JSON list of them") from None
    return [each for each in value.split(",") if each]


class OfSource(Request):
    subject = ("source", "ids")
    source: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="the source, as the settings name it")
    ]
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=400)]],
        BeforeValidator(_split),
        Field(min_length=1, max_length=MAX_ACT, description="the messages' ids there, with commas between, or cause:…"),
    ]

    @property
    def thing(self) -> str:
        return self.ids[0] if len(self.ids) == 1 else f"{len(self.ids)}"


class ActSettle(Request):
    id: int
    state: str
    others: dict[str, str]
    detail: str


async def _end(change: Change, request: ActSettle) -> Record:
    """Record what became of an act outside."""
    ended = await change.of(SourceActStore).end(request.id, request.state, request.others, request.detail)
    return {"id": ended.id, "state": ended.state, "done": ended.done}


SETTLE: Operation[ActSettle] = Operation(
    "messages.settle", "Record what became of an act outside", ActSettle, _end, role="operator", risk=Risk.SAFE, key="o"
)
"""Not in the registry: it is only a part of the others."""


async def _begin(change: Change, request: OfSource, verb: Verb) -> Record:
    """Look at each message, and record what is about to be done to those that can be taken."""
    source = opened(change.sources, request.source)
    if not getattr(source.can, verb):
        raise SOURCE_CANNOT(
            f"The source {source.name} cannot {verb}: {source.can.why.get(verb, 'its settings say nothing of it')}."
        )
    every = await _names(change.sources, source, request.ids)
    names, more = every[:MAX_ACT], len(every[MAX_ACT:])
    store, found = change.of(SourceActStore), await source.look(names)
    others = await _refused(store, names, found, verb)
    going = [name for name in names if name not in others]
    if not going:
        why = [f"{clean(name, 100)}: {WORDS[verdict]}" for name, verdict in others.items()]
        raise MESSAGES_SETTLED(f"None of {len(names)} can be taken: {words_of(others)}.", why=why[:50])
    act = await store.begin(source.name, verb, going)
    notes = [f"{source.name}: {verb} {len(going)} of {len(names)}" + (f"; {words_of(others)}" if others else "")]
    if more:
        notes.append(f"{more:,} more of that cause are held: repeat it for them")
    return {"id": act.id, "source": source.name, "verb": verb, "ids": going, "left_out": others, "notes": notes}


async def _names(book: SourceBook | None, source: Source, ids: Sequence[str]) -> list[str]:
    """The messages that are meant: `cause:…` stands for those of a cause that are held now."""
    causes = {each.removeprefix(OF_CAUSE) for each in ids if each.startswith(OF_CAUSE)}
    names = [each for each in ids if not each.startswith(OF_CAUSE)]
    if causes and book is not None:
        held = next(each for each in await book.look() if each.name == source.name)
        names += [message.name for message in held.messages if message.cause_id in causes]
        if not names:
            raise MESSAGES_SETTLED(f"{source.name} has no message of that cause now.")
    return list(dict.fromkeys(names))


async def _refused(
    store: SourceActStore, names: Sequence[str], found: Mapping[str, DeadMessage], verb: Verb
) -> dict[str, Verdict]:
    tenants = {each.tenant_id for each in found.values() if each.tenant_id}
    inactive = await store.inactive(tenants) if tenants and verb == "replay" else set()
    others: dict[str, Verdict] = {}
    for name in names:
        if name not in found:
            others[name] = "settled"
        elif found[name].tenant_id in inactive:
            others[name] = "tenant"
    return others


async def _act(plane: ControlPlane, request: OfSource, result: Record) -> Record:
    """Do what was recorded, and record what became of it. Raises Refusal `source_refused` when nothing was done,
    OutcomeUnknown when nobody knows.
    """
    directory, verb, names = plane.of(SourceDirectory), result["verb"], result["ids"]
    source = directory.source(request.source)
    try:
        acted = await in_bites(source, verb, names)
    except BaseException:
        await settle_act(plane, result["id"], Acted(dict.fromkeys(names, "unknown"), "it was interrupted"))
        raise
    ended = await settle_act(plane, result["id"], acted)
    directory.settled(source.name, {name for name, verdict in acted.verdicts.items() if verdict in ("done", "settled")})
    verdicts = dict(sorted(Counter([*acted.verdicts.values(), *result["left_out"].values()]).items()))
    return {"state": ended["state"], "verdicts": verdicts, "detail": acted.detail} | _raised(
        source, acted, result["id"]
    )


async def settle_act(plane: ControlPlane, act: int, acted: Acted) -> Record:
    """Record what became of it. Raises OutcomeUnknown when the home is away: then the act stays open there."""
    others: dict[str, str] = {name: verdict for name, verdict in acted.verdicts.items() if verdict != "done"}
    state = state_of(acted)
    request = ActSettle(id=act, state=state, others=others, detail=clean(acted.detail, 2000) if acted.detail else "")
    try:
        return (await execute(plane, SETTLE, request, Call("what became of it", f"act-{act}-ended"))).result
    except HomeUnreachable as away:
        raise OutcomeUnknown(
            "act_unrecorded",
            f"It ended so: {words_of(acted.verdicts)}; but the home could not be told: {away.message}",
            f"There it stays act {act} without an outcome.",
        ) from None


def _raised(source: Source, acted: Acted, act: int) -> Record:
    state, kinds = state_of(acted), set(acted.verdicts.values())
    if state == "unknown":
        raise OutcomeUnknown(
            "source_outcome_unknown",
            f"The outcome at {source.name} is unknown: {acted.detail or 'the link was lost'}.",
            f"The home has it as act {act}. Look whether they are still dead there, then repeat what is.",
        )
    if state == "refused":
        hint = "" if kinds <= {"refused", "left"} else f"Verdicts: {words_of(acted.verdicts)}."
        raise SOURCE_REFUSED(f"{source.name} did none of it: {acted.detail or words_of(acted.verdicts)}", hint)
    return {}


async def in_bites(source: Source, verb: Verb, names: Sequence[str]) -> Acted:
    """First one, then ten, then the rest in bites; after a bite in which one was refused the rest is left."""
    verdicts: dict[str, Verdict] = {}
    details: list[str] = []
    left = list(names)
    for size in (*CANARY, *([BITE] * len(names))):
        if not left:
            break
        bite, left = left[:size], left[size:]
        try:
            acted = await (source.replay(bite) if verb == "replay" else source.discard(bite))
        except Refusal as refusal:
            verdict: Verdict = "unknown" if isinstance(refusal, OutcomeUnknown) else "refused"
            acted = Acted(dict.fromkeys(bite, verdict), str(refusal))
        verdicts |= acted.verdicts
        if acted.detail:
            details.append(acted.detail)
        if {"refused", "unknown"} & set(acted.verdicts.values()):
            verdicts |= dict.fromkeys(left, "left")
            break
    return Acted(verdicts, "; ".join(dict.fromkeys(details)))


def state_of(acted: Acted) -> str:
    """done: at least one was; unknown: of at least one nobody knows; refused: none was."""
    kinds = set(acted.verdicts.values())
    return "unknown" if "unknown" in kinds else "done" if "done" in kinds else "refused"


def words_of(verdicts: Mapping[str, Verdict]) -> str:
    counted = Counter(verdicts.values())
    return ", ".join(f"{number:,} {WORDS[verdict]}" for verdict, number in counted.items())


def opened(book: SourceBook | None, name: str) -> Source:
    """Raises NotFound `source_unknown`."""
    if book is None:
        raise unknown(name, ())
    return book.source(name)


async def _named(change: Change, request: OfSource) -> DeadMessage:
    """Only named: each is looked at where it is before anything is done."""
    return DeadMessage(opened(change.sources, request.source).name, request.ids[0], "", "", "", "")


MESSAGE = Subject(DeadMessage, _named)


@operation(
    "messages.replay",
    OfSource,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    on=MESSAGE,
    completes=_act,
    way_back="What was queued again is done by its own system; stop it there.",
)
async def replay(change: Change, request: OfSource, message: DeadMessage) -> Record:
    """Replay dead messages of another system: one, then ten, then the rest, in no fixed order."""
    return await _begin(change, request, "replay")


@operation(
    "messages.discard",
    OfSource,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    on=MESSAGE,
    completes=_act,
)
async def discard(change: Change, request: OfSource, message: DeadMessage) -> Record:
    """Discard dead messages of another system: they are never processed."""
    return await _begin(change, request, "discard")
