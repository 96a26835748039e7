"""What an operator can do with dead letters, and to say in which release a cause is fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, JsonValue

from controlplane.audit.model import AuditRow, Record
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.queues import rules
from controlplane.queues.model import Cause, CauseStore, Letter, LetterStore
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change


class OneLetter(Request):
    id: Annotated[int, Field(ge=1, description="the dead letter's number")]
    version: Version


class LetterEdit(OneLetter):
    personal = ("patch",)
    patch: Annotated[
        dict[str, JsonValue],
        Field(description="what is different in the replay: a JSON merge patch; {} removes the edit"),
    ]


class CauseFixed(Request):
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="the cause, by its 16 digits")]
    version: Version
    release: Annotated[str, Field(max_length=100, description="the release that removes it; empty: not known")] = ""
    gate: Annotated[
        str,
        Field(max_length=200, description="the gate that decides about it: gate/environment; a pass offers a replay"),
    ] = ""


LETTER = Subject(Letter, lambda change, request: change.of(LetterStore).lock(request.id))
CAUSE = Subject(Cause, lambda change, request: change.of(CauseStore).lock(request.id))


@operation(
    "queues.replay",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    on=LETTER,
    check=lambda letter, now: rules.check_replay(letter),
    way_back="What was replayed is done again by a worker; while it waits, cancel it in :jobs.",
)
async def replay(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """Replay a dead message; as it was or as edited, with all its tries, in no order."""
    return await change.of(LetterStore).change("replay", letter.id)


@operation(
    "queues.edit",
    LetterEdit,
    role="operator",
    risk=Risk.PREVIEW,
    key="e",
    on=LETTER,
    check=lambda letter, now: rules.check_dead(letter),
    way_back="The original is kept: edit it again, or with {}.",
)
async def edit(change: Change, request: LetterEdit, letter: Letter) -> Record:
    """Edit what is replayed by a JSON merge patch; the original stays."""
    made = await change.of(LetterStore).change("edit", letter.id, {"patch": request.patch})
    return {"id": made.id, "is_edited": made.is_edited, "version": made.version}


@operation(
    "queues.discard",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    on=LETTER,
    check=lambda letter, now: rules.check_discard(letter),
)
async def discard(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """Discard a dead message: it is never processed."""
    return await change.of(LetterStore).change("discard", letter.id)


@operation(
    "queues.quarantine",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="q",
    undo="queues.release",
    on=LETTER,
    check=lambda letter, now: rules.check_dead(letter),
)
async def quarantine(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """Quarantine a dead message: no replay takes it until it is released."""
    return await change.of(LetterStore).change("quarantine", letter.id)


@operation(
    "queues.release",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="l",
    undo="queues.quarantine",
    on=LETTER,
    check=lambda letter, now: rules.check_release(letter),
)
async def release(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """Release a message from quarantine: it may be replayed again."""
    return await change.of(LetterStore).change("release", letter.id)


@operation(
    "queues.hold",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="h",
    undo="queues.unhold",
    on=LETTER,
    check=lambda letter, now: rules.check_hold(letter),
)
async def hold(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """Put a message under legal hold: it is neither discarded nor deleted."""
    return await change.of(LetterStore).change("hold", letter.id)


@operation(
    "queues.unhold",
    OneLetter,
    role="operator",
    risk=Risk.CONFIRM,
    key="u",
    undo="queues.hold",
    on=LETTER,
    check=lambda letter, now: rules.check_unhold(letter),
)
async def unhold(change: Change, request: OneLetter, letter: Letter) -> Letter:
    """End a message's legal hold."""
    return await change.of(LetterStore).change("unhold", letter.id)


def _as_fixed(row: AuditRow) -> Record:
    before = row.before or {}
    return {"id": row.thing, "release": before.get("fixed_in") or "", "gate": before.get("fixed_gate") or ""}


@operation(
    "queues.fixed",
    CauseFixed,
    role="operator",
    risk=Risk.PREVIEW,
    key="f",
    on=CAUSE,
    undo="queues.fixed",
    undo_request=_as_fixed,
    begins={Cause: lambda rows: {"release": rows[0].fixed_in or "", "gate": rows[0].fixed_gate or ""}},
)
async def fixed(change: Change, request: CauseFixed, cause: Cause) -> Record:
    """Record which release fixes a cause; its gate decides when a replay is offered."""
    made = await change.of(CauseStore).fixed(cause.id, request.release, request.gate)
    return {"id": made.id, "fixed_in": made.fixed_in, "fixed_gate": made.fixed_gate, "version": made.version}
