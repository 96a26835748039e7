"""One engine for everything that is done in bulk.

`preview_run` shows what would happen, `start_run` fixes the list of things, `drive` does them in batches or one by one,
`undo_run` starts a run that takes all of it back. The driving program may be killed at any point: call `drive` again,
and it goes on where it was.

A batch is one transaction of the home, never larger than what the canary, the breaker and the rate allow. When it fails
as a whole, halves of it are tried, down to one item: that goes by itself, as all do when the rate is low, and its
refusal says why. So one bad item neither stops nor undoes the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controlplane.carrying import Ask, Question, carry_out, level
from controlplane.errors import Conflict, HomeUnreachable, OutcomeUnknown, Refusal, Usage
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.operations import (
    Call,
    Keep,
    Operation,
    Outcome,
    Request,
    Risk,
    authorise,
    check_reason,
    execute,
    undo_step,
)
from controlplane.refusals import NO_UNDO
from controlplane.registry import named
from controlplane.runs import rules
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.runs.operations import (
    COMPLETE,
    START,
    UNDO,
    OneRun,
    RunStart,
    item_fields,
    target,
)
from controlplane.runs.operations import pause as pause_operation
from controlplane.runs.things import expected_refusals
from controlplane.undoing import UndoStep

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.changes import ControlPlane

BATCH = 50
HOLD_SECONDS = 3.0
"""How often the driver sends a heartbeat; the home lets another take over after 15 s without one."""
FOLLOW_SECONDS = 0.5
LEFT = 100
"""How many runs without a driver are looked at together."""


@dataclass(frozen=True)
class RunPreview:
    """What a run would do: to how many things, the first few tried and rolled back, and which would be refused.

    `refusals`: code → how many of all things would meet it, judged by their rows; `words`: one example of each.
    """

    total: int
    sample: tuple[tuple[str, Outcome | Refusal], ...]
    refusals: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunQuestion:
    """What is asked before a run starts: `operation` is what is done to each thing."""

    operation: Operation[Any]
    preview: RunPreview
    risk: Risk

    @property
    def name(self) -> str:
        return str(self.preview.total)


AskRun = Callable[[RunQuestion], Awaitable[bool]]


async def preview_run(plane: ControlPlane, request: RunStart, reason: str | None) -> RunPreview:
    """A dry run; nothing is kept. Raises what `start_run` raises."""
    operation = _permitted(plane, request.operation, reason)
    tried = await execute(plane, START, request, Call(reason, dry_run=True))
    return await _preview_start(plane, operation, request, reason, tried)


async def start_run(
    plane: ControlPlane,
    request: RunStart,
    reason: str | None,
    request_id: str = "",
    ask: AskRun | None = None,
    *,
    keep: Keep | None = None,
    production: bool = False,
    repeating: bool = False,
) -> Run:
    """Show, ask, then record what will be done, to what, and why. Nothing is done yet: `drive` does it.

    `keep` stores the secrets of the keys that the run will make; nothing starts without them. Raises Usage
    (`not_in_bulk`, `run_filter_…`, `run_thing_twice`, `run_too_large`, `secrets_to_needed`), Refusal `run_empty`, and
    what `keep` and `carry_out` raise.
    """
    operation = _permitted(plane, request.operation, reason)
    check_kept(operation, keep is not None)
    asks = ask and _asking(
        ask, operation, lambda tried: _preview_start(plane, operation, request, reason, tried), production
    )
    outcome = await carry_out(plane, START, request, Call(reason, request_id, keep=keep), asks, repeating=repeating)
    return await _ask_release(plane, await plane.of(RunDirectory).get(outcome.result["id"]))


async def undo_run(
    plane: ControlPlane,
    run_id: int,
    reason: str | None = None,
    request_id: str = "",
    ask: AskRun | None = None,
    *,
    production: bool = False,
    repeating: bool = False,
) -> Run:
    """Start a run that takes back every done item of another, last first. A thing that was changed since is refused."""
    asks = None
    if name := target((await plane.of(RunDirectory).get(run_id)).operation).undo:
        undo = _permitted(plane, name, reason or "undo")
        asks = ask and _asking(ask, undo, lambda tried: _preview_items(plane, undo, {}, reason, tried), production)
    request, call = OneRun(id=run_id), Call(reason, request_id)
    outcome = await carry_out(plane, UNDO, request, call, asks, repeating=repeating)
    return await _ask_release(plane, await plane.of(RunDirectory).get(outcome.result["id"]))


async def _ask_release(plane: ControlPlane, run: Run) -> Run:
    """Ask a second person about a run that is held; the person who started it has seen what it would do."""
    from controlplane.approvals.seconding import ask_for

    if run.held:
        with suppress(Conflict):  # asked for already: the start was repeated
            await ask_for(plane, named("runs.release"), OneRun(id=run.id), Call(run.reason or run.operation))
    return run


def _asking(
    ask: AskRun, operation: Operation[Any], look: Callable[[Outcome], Awaitable[RunPreview]], production: bool
) -> Ask:
    """Ask about a run that was started and rolled back; `look` previews what it would do to each thing."""

    async def asked(question: Question) -> bool:
        preview = await look(question.preview)
        return await ask(RunQuestion(operation, preview, _level(operation, production, preview)))

    return asked


def _permitted(plane: ControlPlane, name: str, reason: str | None) -> Operation[Any]:
    operation = target(name)
    authorise(plane, operation)
    check_reason(operation, reason)
    return operation


def _level(operation: Operation[Any], production: bool, preview: RunPreview) -> Risk:
    """A run asks for a yes at least, even when it is of one thing."""
    risk = level(operation, production=production, number=preview.total)
    return Risk.CONFIRM if risk in (Risk.SAFE, Risk.PREVIEW) else risk


async def _preview_start(
    plane: ControlPlane, operation: Operation[Any], request: RunStart, reason: str | None, tried: Outcome
) -> RunPreview:
    preview = await _preview_items(plane, operation, request.fields, reason, tried)
    counts, words = await expected_refusals(plane, operation, request)
    return replace(preview, refusals=counts, words=words)


async def _preview_items(
    plane: ControlPlane, operation: Operation[Any], fields: Record, reason: str | None, tried: Outcome
) -> RunPreview:
    """The first things of a run that was started and rolled back, each tried and rolled back too."""
    sample: list[tuple[str, Outcome | Refusal]] = []
    for first in tried.result["first"]:
        item = RunItem(**first)
        try:
            asked, why = await _request(plane, operation, fields, item, reason)
            sample.append((item.thing, await execute(plane, operation, asked, Call(why, dry_run=True))))
        except Refusal as refusal:
            sample.append((item.thing, refusal))
    return RunPreview(tried.result["waiting"], tuple(sample))


async def drive(
    plane: ControlPlane,
    run_id: int,
    *,
    clock: rules.Clock | None = None,
    on_progress: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Do the items of a run until it is done, paused or stopped, and return it as it is then.

    A run that is not running is returned as it is. Raises Conflict `run_driven` when another program drives it,
    HomeUnreachable and OutcomeUnknown when the link is lost: then call `drive` again.

    With a worker's login, the home does each item as the person who started the run.
    """
    run = await plane.of(RunDirectory).get(run_id)
    operation = named(run.operation)
    if not is_lent(plane):
        authorise(plane, operation)
    if run.state != "running":
        return run
    turn = _LentDriver if is_lent(plane) else _Driver
    driver = turn(plane, operation, clock or rules.RealClock(), on_progress)
    run = await driver.hold(run_id)
    try:
        await driver.to_the_end(run)
    finally:
        await plane.of(RunDirectory).release(run_id, driver.holder)
    return await plane.of(RunDirectory).get(run_id)


async def follow(
    plane: ControlPlane, run_id: int, *, clock: rules.Clock | None = None, on_progress: Callable[[Run], None]
) -> Run:
    """Watch a run that another program drives, until the run ends or that program is gone."""
    while (run := await plane.of(RunDirectory).get(run_id)).standing == "running":
        on_progress(run)
        await (clock or rules.RealClock()).sleep(FOLLOW_SECONDS)
    return run


def is_lent(plane: ControlPlane) -> bool:
    """Whether items are done with the rights of the person who started the run, not with those of the login."""
    return plane.actor.role == "worker"


async def left_runs(plane: ControlPlane) -> list[Run]:
    """The runs that are not finished and that nobody drives, the oldest first: those of this login, or for a worker's
    login all.
    """
    left, me = Term("is", ("waiting", "interrupted"), "state"), plane.actor.name
    if is_lent(plane):
        return list((await plane.of(RunDirectory).page(Query((left,)), limit=LEFT)).rows)
    page = await plane.of(RunDirectory).page(Query((left, Term("is", (me,), "actor"))), limit=LEFT)
    return [run for run in page.rows if run.actor == me]  # the filter ignores case


def check_kept(operation: Operation[Any], kept: bool) -> None:
    """The secrets of a run are never shown: they need a file. Raises Usage `secrets_to_needed`."""
    if operation.makes_secret and not kept:
        raise Usage(
            "secrets_to_needed",
            f"{operation.name} makes a secret for each of many keys: they go to a file that only you can read.",
            "Name it: --secrets-to FILE",
        )


class _Driver:
    """One program driving a run."""

    def __init__(
        self,
        plane: ControlPlane,
        operation: Operation[Any],
        clock: rules.Clock,
        on_progress: Callable[[Run], None],
    ) -> None:
        self.plane = plane
        self.operation = operation
        self.clock = clock
        self.on_progress = on_progress
        self.holder = uuid.uuid4().hex
        self._held_at = clock.now()

    async def hold(self, run_id: int) -> Run:
        self._held_at = self.clock.now()
        return await self.plane.of(RunDirectory).hold(run_id, self.holder)

    async def to_the_end(self, run: Run) -> None:
        pace, size = rules.Pace(run.per_second, self.clock), rules.BatchSize()
        while run.state == "running":
            recent = list(await self.plane.of(RunDirectory).refusals(run.id, rules.WINDOW))
            if why := self._tripped(run, recent):
                return await self._pause(run, why)
            most, failures = rules.allowed(run, recent)
            together = min(most, size.now, run.waiting)
            after = await self._together(run, together, failures, pace, size) if together > 1 else None
            if after is None:
                alone = BATCH if rules.by_pace(run.per_second) == 1 else 1
                items = await self.plane.of(RunDirectory).waiting(run.id, alone)
                if not items:
                    return await self._complete(run)
                await self._one_by_one(run, items, recent, pace)
                size.went(0.0)
            run = after or await self.hold(run.id)

    async def _together(
        self, run: Run, most: int, failures: int, pace: rules.Pace, size: rules.BatchSize
    ) -> Run | None:
        """Do the next items in one transaction; None when the next one must go by itself."""
        if not await self._wait(run, pace):
            return await self.hold(run.id)
        began, settled = self.clock.now(), 0
        try:
            settled = await self.plane.of(RunDirectory).carry_batch(run.id, most, failures)
        except Refusal as refusal:
            if isinstance(refusal, HomeUnreachable | OutcomeUnknown):
                raise
            if refusal.code != "run_not_running":
                size.failed()
            return await self.hold(run.id)
        if settled == 0:
            return None
        size.went(self.clock.now() - began)
        pace.begin(settled, began)
        run = await self.hold(run.id)
        self.on_progress(run)
        return run

    async def _one_by_one(self, run: Run, items: Sequence[RunItem], recent: list[bool], pace: rules.Pace) -> None:
        """Ends early when the breaker trips or the run was paused or stopped, so that the caller looks again."""
        for item in items:
            if not await self._wait(run, pace):
                return
            pace.begin()
            try:
                refused = await self._settle(run, item)
            except Refusal as refusal:
                if refusal.code in ("run_not_running", "run_item_settled"):
                    return
                raise
            recent.append(refused)
            run = replace(run, waiting=run.waiting - 1, done=run.done + (not refused), refused=run.refused + refused)
            self.on_progress(run)
            if self._tripped(run, recent):
                return

    async def _wait(self, run: Run, pace: rules.Pace) -> bool:
        """Keep the pace, with a heartbeat now and then; False when the run no longer runs."""
        while True:
            if self.clock.now() - self._held_at >= HOLD_SECONDS and (await self.hold(run.id)).state != "running":
                return False
            if (left := pace.left()) <= 0:
                return True
            await self.clock.sleep(min(left, HOLD_SECONDS))

    async def _settle(self, run: Run, item: RunItem) -> bool:
        """Do one item; True when it was refused. Its change also settles it in the home, in one transaction."""
        try:
            await self._do(run, item)
        except (HomeUnreachable, OutcomeUnknown):
            raise
        except Refusal as refusal:
            if refusal.code in ("run_not_running", "run_item_settled"):
                raise
            return await self.plane.of(RunDirectory).refuse(item, refusal.code, refusal.message)
        return False

    async def _do(self, run: Run, item: RunItem) -> None:
        # The home alone knows the key that this item will make; and the run was approved as a whole.
        if self.operation.makes_secret or self.operation.risk is Risk.TWO_PERSON:
            return await self.plane.of(RunDirectory).carry(item)
        request, reason = await _request(self.plane, self.operation, run.fields, item, run.reason)
        await carry_out(self.plane, self.operation, request, Call(reason, item.request_id))

    def _tripped(self, run: Run, recent: Sequence[bool]) -> str | None:
        return rules.tripped(run.settled, recent, run.breaker_share, run.settled_before)

    async def _pause(self, run: Run, why: str) -> None:
        try:
            await execute(self.plane, pause_operation, OneRun(id=run.id), Call(f"breaker: {why}"))
        except Refusal as refusal:
            if refusal.code != "run_transition":  # somebody else paused or stopped it meanwhile
                raise

    async def _complete(self, run: Run) -> None:
        await execute(self.plane, COMPLETE, OneRun(id=run.id), Call(request_id=f"run-{run.id}-complete"))


class _LentDriver(_Driver):
    """A worker driving a run: the home does each item as the person who started it."""

    async def _do(self, run: Run, item: RunItem) -> None:
        await self.plane.of(RunDirectory).carry(item)

    async def _pause(self, run: Run, why: str) -> None:
        await self.plane.of(RunDirectory).end(run.id, "paused", f"breaker: {why}")

    async def _complete(self, run: Run) -> None:
        await self.plane.of(RunDirectory).end(run.id, "done", None)


async def _request(
    plane: ControlPlane, operation: Operation[Any], fields: Record, item: RunItem, reason: str | None
) -> tuple[Request, str | None]:
    """The request and the reason for one item, at the version that was seen when the run was started."""
    if item.undoes is None:
        return operation.parse(item_fields(operation, fields, item)), reason
    step = await _undo_of(plane, item.undoes)
    return operation.parse(step.request), reason or step.reason


async def _undo_of(plane: ControlPlane, request_id: str) -> UndoStep:
    """Built from the trail only when it is needed, so that no copy of personal values is kept with the run."""
    recorded = await plane.recorded(request_id)
    step = undo_step(named(recorded.operation), recorded.rows) if recorded else None
    if step is None:
        raise NO_UNDO(f"{request_id} changed nothing that can be taken back.")
    return step
