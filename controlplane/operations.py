"""Everything that an operator can do, defined once: the key, the command and the runbook step come from here.

An operation is an async function of an open change, a request, and the row that it is done on. It is run by `execute`,
always the same way: authorise, open a change, lock the row, check it and its version, run, read back what the triggers
wrote to the trail, commit. A preview is the same run, rolled back.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from controlplane.audit.model import AuditRow, Record
from controlplane.errors import Conflict, HomeUnreachable, NotPermitted, OutcomeUnknown, Refusal, Usage
from controlplane.fingerprints import fingerprint
from controlplane.operators.roles import Role, allows
from controlplane.previewed import bound, check_as_previewed, unnumbered, without_numbers
from controlplane.refusals import REQUEST_ID_REUSED, STALE_VERSION
from controlplane.undoing import UndoStep, as_before

if TYPE_CHECKING:
    from controlplane.approvals.model import ApprovalStore
    from controlplane.changes import Change, ControlPlane, Recorded


class Request(BaseModel):
    """The arguments of an operation. `subject` names the fields that say which thing it is done to; `makes` those of
    them that name a new thing. `makes_a`: in a word, what is made for that thing, where the new one gets its name by
    itself: a key.

    `personal` names the fields with personal data: they are kept only in the changed row and the guarded trail.
    """

    # What validates is built when the first request is made: of a noun's operations a command uses one.
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)
    subject: ClassVar[tuple[str, ...]] = ("id",)
    makes: ClassVar[tuple[str, ...]] = ()
    makes_a: ClassVar[str] = ""
    personal: ClassVar[tuple[str, ...]] = ()

    @property
    def thing(self) -> str:
        return "/".join(str(getattr(self, name)) for name in self.subject)


class Risk(StrEnum):
    """The confirmation that is needed before it runs: none; a preview where a form is filled in; a yes; the typed
    name; a second person. `controlplane.carrying.level` decides which of them applies here.
    """

    SAFE = "safe"
    PREVIEW = "preview"
    CONFIRM = "confirm"
    TYPED = "typed"
    TWO_PERSON = "two_person"


Req = TypeVar("Req", bound=Request)
Row = TypeVar("Row")


@dataclass(frozen=True, eq=False)
class Subject(Generic[Row]):
    """What operations are done on: `row` is the class of its rows; `lock` reads the row that a request names and locks
    it until the change ends.

    `within`: classes of rows in lists that contain it, each with the function that gets it.
    """

    row: type[Row]
    lock: Callable[[Change, Any], Awaitable[Row]]
    within: Mapping[type, Callable[[Any], Row]] = field(default_factory=dict)

    def of(self, shown: Any) -> Row | None:
        """The row in what a list shows; None when that is something else."""
        found = self.within[type(shown)](shown) if type(shown) in self.within else shown
        return found if isinstance(found, self.row) else None


@dataclass(frozen=True, eq=False)
class Operation(Generic[Req]):
    """`run` is given the open change, the request, and, when the operation is done `on` something, its locked row.

    `check` raises a Refusal when a row does not allow the operation: before the run, in menus, and for the key `w`.
    `undo` names the operation that takes it back. Its request follows from the audit row (see `undo_step`);
    `undo_request` adds the fields that do not.
    `completes` reads, after the commit, what can be read only then; it is given the result so far.
    `begins`: with which fields filled in its form begins on rows of a class; it is offered on those rows as well. May
    raise Refusal. `foresees`: says below the form what the fields typed so far would do.
    `makes_secret`: its run returns `Made`. `writes`: the noun of the audit rows that it writes, where that is not its
    own. `way_back`: in words, how to correct a mistake where no single operation undoes it.
    """

    name: str
    summary: str
    request: type[Req]
    run: Callable[..., Awaitable[Any]]
    role: Role
    risk: Risk
    key: str
    on: Subject[Any] | None = None
    check: Callable[[Any, datetime], None] | None = None
    needs_reason: bool = False
    undo: str | None = None
    undo_request: Callable[[AuditRow], Record] = lambda row: {}
    completes: Callable[[ControlPlane, Req, Record], Awaitable[Record]] | None = None
    begins: Mapping[type, Callable[[Sequence[Any]], Record]] = field(default_factory=dict)
    foresees: Callable[[ControlPlane, Record], Awaitable[str]] | None = None
    makes_secret: bool = False
    writes: str = ""
    way_back: str = ""

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]

    def parse(self, fields: Mapping[str, Any]) -> Req:
        """Validate a request. Raises Usage `request_invalid`, which names every fault."""
        try:
            return self.request.model_validate(fields)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, e['loc'])) or 'request'}: {_words(e)}" for e in error.errors()]
            raise Usage(
                "request_invalid",
                f"The request for {self.name} is not valid: {'; '.join(faults)}.",
                f"Fields: {', '.join(self.request.model_fields)}.",
                why=faults,
            ) from None

    def begun(self, shown: Sequence[Any]) -> Record:
        """The fields that its form begins with on rows of a list; none when it does not begin with such rows."""
        rows = [self.on.of(row) if self.on else row for row in shown]
        kinds = {type(row) for row in rows}
        begin = self.begins.get(kinds.pop()) if len(kinds) == 1 else None
        return begin(rows) if begin else {}

    def refusal(self, shown: Any, now: datetime) -> Refusal | None:
        """The refusal that it would raise now on a row of a list; None too when it is not done on such rows."""
        row = self.on.of(shown) if self.on else None
        if row is not None and self.check is not None:
            try:
                self.check(row, now)
            except Refusal as refusal:
                return refusal
        return None

    async def perform(self, change: Change, request: Req) -> Any:
        """Run within a change, on the row as it is now. Raises Refusal, Conflict `stale_version`."""
        if self.on is None:
            return await self.run(change, request)
        row = await self.on.lock(change, request)
        if self.check is not None:
            self.check(row, change.now)
        seen = getattr(request, "version", None)
        if seen is not None:
            check_version(request.thing, row.version, seen)
        return await self.run(change, request, row)


def check_version(thing: str, now: int, seen: int) -> None:
    """Refuse to change what somebody else changed since it was looked at."""
    if now != seen:
        raise STALE_VERSION(
            f"{thing} is at version {now}, not {seen}: somebody changed it since you looked.",
            "Look at it again, then repeat.",
            why=[f"version expected: {seen}", f"version now: {now}"],
        )


def _words(error: Any) -> str:
    if error["type"] == "string_pattern_mismatch":
        return "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "union_tag_invalid":
        found = error["ctx"]
        return f"{found['discriminator']} is {found['tag']!r}, and not one of {found['expected_tags']}".replace("'", "")
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")


REGISTRY: dict[str, Operation[Any]] = {}
"""Filled by importing the nouns' modules; read it through `controlplane.registry.operations()`."""


def operation(
    name: str, request: type[Req], *, role: Role, risk: Risk, key: str, **details: Any
) -> Callable[[Callable[..., Awaitable[Any]]], Operation[Req]]:
    """Register the function as an operation; its docstring's first line is the summary."""

    def register(run: Callable[..., Awaitable[Any]]) -> Operation[Req]:
        summary = (run.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        made = Operation(name, summary, request, run, role, risk, key, **details)
        assert name not in REGISTRY and summary
        REGISTRY[name] = made
        return made

    return register


@dataclass(frozen=True, eq=False)
class Made:
    """What an operation that makes a secret returns: the result, and the secret beside it.

    The secret never becomes a part of the result, so it is neither stored with the change nor shown twice. `secrets`:
    those of a run, each with what is told of its key; they are not shown at all.
    """

    row: Any
    secret: str | None = field(default=None, repr=False)
    secrets: Sequence[tuple[Record, str]] = field(default=(), repr=False)


@dataclass(frozen=True)
class Outcome:
    """What an operation did, or would do when `dry_run`. `repeated`: this request id had already done it before.

    `secret`: the new secret, shown only this once: neither a preview nor a repeat has it. `drawn`: the ids and secrets
    that a preview drew; the run that follows it uses them. `facts`: what a preview of what takes a second person would
    change, in the form in which the home has it approved.
    """

    operation: str
    request_id: str
    result: Record
    rows: tuple[AuditRow, ...]
    undo: UndoStep | None = None
    dry_run: bool = False
    repeated: bool = False
    secret: str | None = field(default=None, repr=False)
    drawn: tuple[Any, ...] = field(default=(), repr=False)
    facts: tuple[Record, ...] = field(default=(), repr=False)

    @property
    def audit_ids(self) -> list[int]:
        return [] if self.dry_run else [row.seq for row in self.rows]


Keep = Callable[[Sequence[tuple[Record, str]]], None]
"""Stores secrets, each with what is told of its key, outside this program. It blocks, and raises Refusal when it cannot
store them.
"""


@dataclass(frozen=True, eq=False)
class Call:
    """How an operation is asked for, apart from its request.

    `keep` is called with the secrets of a run before the commit, so that none is lost when the program is killed.
    `previewed`: the outcome that was shown; the run does the same, or it is refused.
    `tell` is called with a message while an unknown outcome is looked up, which takes some seconds.
    `approval`: the number of the request under whose approval it is done.
    """

    reason: str | None = None
    request_id: str = ""
    dry_run: bool = False
    keep: Keep | None = field(default=None, repr=False)
    previewed: Outcome | None = None
    tell: Callable[[str], None] = field(default=lambda words: None, repr=False)
    approval: int | None = None


def new_request_id() -> str:
    return f"wf-{uuid.uuid4().hex[:24]}"


async def execute(plane: ControlPlane, operation: Operation[Req], request: Req, call: Call) -> Outcome:
    """Run an operation, or preview it; `controlplane.carrying` asks in between.

    Raises Refusal; nothing was changed then, except perhaps with OutcomeUnknown.
    """
    from controlplane.changes import Drawn, Intent, RequestRepeated

    authorise(plane, operation)
    check_reason(operation, call.reason)
    intent = Intent(
        operation.name,
        call.request_id or new_request_id(),
        fingerprint(operation.name, request),
        (call.reason or "").strip() or None,
        call.dry_run,
        Drawn(call.previewed.drawn if call.previewed else ()),
    )
    made = Made({})
    facts: list[Record] = []
    try:
        async with plane.change(intent) as change:
            if call.approval is not None:
                await _approvals(change).use(call.approval)
            request = bound(operation, request, call.previewed) if call.previewed else request
            made = as_made(await operation.perform(change, request))
            rows = await change.rows()
            if call.dry_run and operation.risk is Risk.TWO_PERSON:
                facts = await _approvals(change).facts()
            if call.previewed:
                check_as_previewed(call.previewed, rows, made.row)
            await change.finish(made.row)
            if made.secrets and not call.dry_run:
                assert call.keep is not None, "a run that makes secrets is not started without a place for them"
                await asyncio.to_thread(call.keep, made.secrets)
    except RequestRepeated:
        found = await plane.recorded(intent.request_id)
        if found is None:  # the one that held the id was rolled back meanwhile
            raise Conflict("request_in_flight", "The same request is being made elsewhere.", "Repeat it.") from None
        return _repeated(operation, intent.request_id, intent.fingerprint, found)
    except OutcomeUnknown as unknown:
        call.tell(f"{unknown.message} The outcome is unknown; it is being looked up.")
        found = await _look_up(plane, intent.request_id)
        outcome = _repeated(operation, intent.request_id, intent.fingerprint, found)
        # What was committed is what was made here, unless another program was first with the same id.
        ours = all(made.row.get(name) == outcome.result.get(name) for name in ("id", "key_id", "successor_id"))
        return dataclasses.replace(outcome, secret=made.secret if ours else None)
    if call.dry_run:
        result, drawn = without_numbers(made.row, rows), tuple(intent.drawn.values)
        shown = unnumbered(rows)
        return Outcome(operation.name, intent.request_id, result, shown, dry_run=True, drawn=drawn, facts=tuple(facts))
    result = made.row
    if operation.completes is not None:
        result |= await operation.completes(plane, request, result)
    return Outcome(operation.name, intent.request_id, result, rows, undo_step(operation, rows), secret=made.secret)


def _approvals(change: Change) -> ApprovalStore:
    from controlplane.approvals.model import ApprovalStore  # few operations take a second person

    return change.of(ApprovalStore)


def check_reason(operation: Operation[Any], reason: str | None) -> None:
    """Raises Usage `reason_needed`."""
    if operation.needs_reason and not (reason or "").strip():
        raise Usage("reason_needed", f"{operation.name} needs a reason.", 'Say it with --reason "…".')


def authorise(plane: ControlPlane, operation: Operation[Any]) -> None:
    """Refuse early what the home would refuse anyway."""
    if not allows(plane.actor.role, operation.role):
        raise NotPermitted(
            "role_too_low",
            f"{operation.name} needs the role {operation.role}; {plane.actor.name} is {plane.actor.role}.",
            "Ask somebody who has it, or an admin: watchfloor operators add NAME --role …",
            why=[f"needs: {operation.role}", f"{plane.actor.name} is: {plane.actor.role}"],
        )


def as_result(value: Any) -> Record:
    """A row or a record as JSON-able fields."""
    if value is None:
        return {}
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else dict(value)


def as_made(value: Any) -> Made:
    """The result as fields, with the secrets that were made beside it."""
    made = value if isinstance(value, Made) else Made(value)
    return dataclasses.replace(made, row=as_result(made.row))


def undo_step(operation: Operation[Any], rows: Sequence[AuditRow]) -> UndoStep | None:
    """What takes a change of one thing back, from the audit row that it wrote."""
    mine = [row for row in rows if row.noun == (operation.writes or operation.noun)]
    if operation.undo is None or len(mine) != 1 or (mine[0].before is not None and not mine[0].was):
        return None
    request = as_before(REGISTRY[operation.undo].request, mine[0]) | operation.undo_request(mine[0])
    return UndoStep(operation.undo, request, f"undo of {operation.name} (audit {mine[0].seq})")


async def _look_up(plane: ControlPlane, request_id: str) -> Recorded:
    """There was no answer to the commit: ask the home what happened before reporting anything."""
    try:
        found = await plane.recorded(request_id)
    except HomeUnreachable:
        raise OutcomeUnknown(
            "outcome_unknown",
            f"The outcome is unknown: no answer to the commit of {request_id}, and the home cannot be asked.",
            f"Look it up when it can: watchfloor audit list request:{request_id}. Repeating with "
            f"--request-id {request_id} is safe.",
        ) from None
    if found is None:
        raise HomeUnreachable(
            "link_lost_nothing_done",
            f"The home never committed {request_id}: nothing was changed.",
            "Repeat it.",
        )
    return found


def _repeated(operation: Operation[Any], request_id: str, asked: str, found: Recorded) -> Outcome:
    if found.operation != operation.name or found.fingerprint != asked:
        raise REQUEST_ID_REUSED(f"The request id {request_id} was used for something else ({found.operation}).")
    step = undo_step(operation, found.rows)
    return Outcome(operation.name, request_id, found.result or {}, found.rows, step, repeated=True)


def reveals(outcome: Outcome) -> bool:
    """Whether its result holds a value that only the person who asked may see, and only now."""
    operation = REGISTRY.get(outcome.operation)
    return operation is not None and operation.completes is not None and "value" in outcome.result
