"""Moving all dead messages of a source back by its own means, and stopping that; recorded as every act outside is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import Conflict, OutcomeUnknown, Refusal
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.queues.refusals import SOURCE_CANNOT
from controlplane.queues.source import Acted, Redriver, Verb
from controlplane.queues.source_operations import opened, settle_act
from controlplane.queues.sources import SourceActStore, SourceDirectory, SourceRow

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

MAX_PER_SECOND = 500
"""What SQS allows."""


class OneSource(Request):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="the source, as the settings name it")]


class SourceRedrive(OneSource):
    per_second: Annotated[
        int | None,
        Field(default=None, ge=1, le=MAX_PER_SECOND, description="messages a second; default: its own pace"),
    ]


async def _named(change: Change, request: OneSource) -> SourceRow:
    source = opened(change.sources, request.id)
    return SourceRow(source.name, source.kind, "unknown", None, False, None, None, None, None, source.where,
                     source.can.words(), "", "")  # fmt: skip


def check_redrives(row: SourceRow, now: datetime) -> None:
    """Raises Refusal `source_cannot`."""
    if "redrive" not in row.able:
        raise SOURCE_CANNOT(f"{row.id} does not move its messages by itself: replay them one by one, or marked.")


SOURCE = Subject(SourceRow, _named)


async def _begin(change: Change, request: OneSource, verb: Verb) -> Record:
    source = cast(Redriver, opened(change.sources, request.id))
    stands = await source.moving()
    if verb == "redrive" and stands.startswith("running"):
        raise Conflict("source_moving", f"{source.name} is being moved already: {stands}.", "Stop it: sources cancel")
    act = await change.of(SourceActStore).begin(source.name, verb, [source.where])
    return {
        "id": act.id,
        "source": source.name,
        "verb": verb,
        "notes": [f"{source.name}: {verb}; {stands or 'nothing moves'}"],
    }


async def _told(plane: ControlPlane, name: str, act: int, do: Callable[[Redriver], Awaitable[str]]) -> Record:
    """Ask the source, and record what it said. Raises Refusal, OutcomeUnknown."""
    source = cast(Redriver, plane.of(SourceDirectory).source(name))
    try:
        said = await do(source)
    except OutcomeUnknown as unknown:
        await settle_act(plane, act, Acted({source.where: "unknown"}, unknown.message))
        raise
    except Refusal as refusal:
        await settle_act(plane, act, Acted({source.where: "refused"}, str(refusal)))
        raise
    except BaseException:
        await settle_act(plane, act, Acted({source.where: "unknown"}, "it was interrupted"))
        raise
    await settle_act(plane, act, Acted({source.where: "done"}, said))
    plane.of(SourceDirectory).settled(name, ())
    return {"said": said, "state": "done"}


async def _redrive(plane: ControlPlane, request: SourceRedrive, result: Record) -> Record:
    async def do(source: Redriver) -> str:
        handle = await source.redrive(request.per_second)
        return f"it moves as {handle[:100]}"

    return await _told(plane, request.id, result["id"], do)


async def _cancel(plane: ControlPlane, request: OneSource, result: Record) -> Record:
    async def do(source: Redriver) -> str:
        return f"stopped; about {await source.cancel():,} were moved"

    return await _told(plane, request.id, result["id"], do)


@operation(
    "sources.redrive",
    SourceRedrive,
    role="operator",
    risk=Risk.TYPED,
    key="r",
    needs_reason=True,
    on=SOURCE,
    check=check_redrives,
    completes=_redrive,
    way_back="Stop it with sources cancel: what was moved until then stays moved.",
)
async def redrive(change: Change, request: SourceRedrive, row: SourceRow) -> Record:
    """Redrive all dead messages of a source; they go back to where they came from, at most so many a second."""
    return await _begin(change, request, "redrive")


@operation(
    "sources.cancel",
    OneSource,
    role="operator",
    risk=Risk.CONFIRM,
    key="c",
    needs_reason=True,
    on=SOURCE,
    check=check_redrives,
    completes=_cancel,
    way_back="Begin again with sources redrive.",
)
async def cancel(change: Change, request: OneSource, row: SourceRow) -> Record:
    """Stop a source's redrive."""
    return await _begin(change, request, "cancel")
