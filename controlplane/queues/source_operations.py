"""What an operator can do with messages that are dead outside the home.

The intent is committed in the home first, then the source is asked, then its outcome is committed. So a link that
is cut anywhere in between leaves an act whose outcome is unknown, and never nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import HomeUnreachable, OutcomeUnknown, Refusal
from controlplane.operations import Call, Operation, Request, Risk, Subject, execute, operation
from controlplane.queues.held import SourceBook, unknown
from controlplane.queues.refusals import MESSAGES_SETTLED, NO_MESSAGE, SOURCE_CANNOT, SOURCE_REFUSED
from controlplane.queues.source import Acted, DeadMessage, Source, Verb, Verdict
from controlplane.queues.sources import SourceActStore, SourceDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

WORDS: Mapping[str, str] = {
    "done": "done",
    "settled": "no longer dead",
    "busy": "held by somebody else",
    "conflict": "one like it, that must be the only one, waits",
    "tenant": "tenant not active",
    "refused": "refused by the source",
    "unknown": "outcome unknown",
    "left": "not tried after that",
}


class OneMessage(Request):
    id: Annotated[str, Field(min_length=1, max_length=465, description="the message, as source/its id there")]

    @property
    def source(self) -> str:
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.id.partition("/")[2]


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


async def _begin(change: Change, request: OneMessage, verb: Verb) -> Record:
    """Look at the message, and record what is about to be done, when it can be taken."""
    source, store = opened(change.sources, request.source), change.of(SourceActStore)
    if not getattr(source.can, verb):
        raise SOURCE_CANNOT(
            f"The source {source.name} cannot {verb}: {source.can.why.get(verb, 'its settings do not say how')}."
        )
    found = (await source.look([request.name])).get(request.name)
    refused: Verdict | None = None if found else "settled"
    if found and found.tenant_id and verb == "replay" and await store.inactive([found.tenant_id]):
        refused = "tenant"
    if refused:
        raise MESSAGES_SETTLED(f"{clean(request.id, 100)} cannot be taken: {WORDS[refused]}.")
    act = await store.begin(source.name, verb, [request.name])
    return {"id": act.id, "source": source.name, "verb": verb, "ids": [request.name], "notes": [_as_it_is(found)]}


def _as_it_is(message: DeadMessage | None) -> str:
    """What a preview says: the intent names the message, and no more. A cause holds nothing personal."""
    assert message is not None
    return f"{message.id}, {clean(message.handler, 60)}: {clean(message.cause, 200) or 'no error is known'}"


async def _act(plane: ControlPlane, request: OneMessage, result: Record) -> Record:
    """Do what was recorded, and record its outcome. Raises Refusal `source_refused` when nothing was done,
    OutcomeUnknown when nobody knows.
    """
    directory, verb, names = plane.of(SourceDirectory), result["verb"], result["ids"]
    source = directory.source(request.source)
    try:
        acted = await _asked(source, verb, names)
    except BaseException:
        await settle_act(plane, result["id"], Acted(dict.fromkeys(names, "unknown"), "it was interrupted"))
        raise
    ended = await settle_act(plane, result["id"], acted)
    directory.settled(source.name, {name for name, verdict in acted.verdicts.items() if verdict in ("done", "settled")})
    verdicts = dict(sorted(Counter(acted.verdicts.values()).items()))
    return {"state": ended["state"], "verdicts": verdicts, "detail": acted.detail} | _raised(
        source, acted, result["id"]
    )


async def settle_act(plane: ControlPlane, act: int, acted: Acted) -> Record:
    """Record the outcome. Raises OutcomeUnknown when the home is away: then the act stays open there."""
    others: dict[str, str] = {name: verdict for name, verdict in acted.verdicts.items() if verdict != "done"}
    state = state_of(acted)
    request = ActSettle(id=act, state=state, others=others, detail=clean(acted.detail, 2000) if acted.detail else "")
    try:
        return (await execute(plane, SETTLE, request, Call("the outcome", f"act-{act}-ended"))).result
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


async def _asked(source: Source, verb: Verb, names: Sequence[str]) -> Acted:
    try:
        return await (source.replay(names) if verb == "replay" else source.discard(names))
    except Refusal as refusal:
        verdict: Verdict = "unknown" if isinstance(refusal, OutcomeUnknown) else "refused"
        return Acted(dict.fromkeys(names, verdict), str(refusal))


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


async def _named(change: Change, request: OneMessage) -> DeadMessage:
    """Only named: it is looked at where it is before anything is done."""
    if not request.name:
        raise NO_MESSAGE.of(request.id)
    return DeadMessage(opened(change.sources, request.source).name, request.name, "", "", "", "")


MESSAGE = Subject(DeadMessage, _named)


@operation(
    "messages.replay",
    OneMessage,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    on=MESSAGE,
    completes=_act,
    way_back="What was queued again is done by its own system; stop it there.",
)
async def replay(change: Change, request: OneMessage, message: DeadMessage) -> Record:
    """Replay a dead message; its system decides in which order it does them."""
    return await _begin(change, request, "replay")


@operation(
    "messages.discard",
    OneMessage,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    on=MESSAGE,
    completes=_act,
)
async def discard(change: Change, request: OneMessage, message: DeadMessage) -> Record:
    """Discard a dead message of another system: it is never processed."""
    return await _begin(change, request, "discard")
