"""The program that does the items of a run: at its rate, in batches or one by one, until it is done, paused or stopped.

A batch is one transaction of the home, never larger than what the canary, the breaker and the rate allow. When it fails
as a whole, halves of it are tried, down to one item: that goes by itself, as all do when the rate is low, and its
refusal says why. So one bad item neither stops nor undoes the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controlplane.carrying import carry_out
from controlplane.errors import HomeUnreachable, OutcomeUnknown, Refusal
from controlplane.operations import Call, Operation, Request, Risk, execute, undo_step
from controlplane.refusals import NO_UNDO
from controlplane.registry import named
from controlplane.runs import rules
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.runs.operations import COMPLETE, OneRun, item_fields
from controlplane.runs.operations import pause as pause_operation
from controlplane.undoing import UndoStep

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.changes import ControlPlane

BATCH = 50
HOLD_SECONDS = 3.0
"""How often the driver sends a heartbeat; the home lets another take over after 15 s without one."""


class Driver:
    """One program driving a run."""

    least = 2
    """The things of a batch: fewer go one by one."""

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
                return await self._pause(run, f"breaker: {why}")
            pace.keep(run.per_second)
            most, failures = rules.allowed(run, recent)
            together = min(most, size.now, run.waiting)
            after = await self._together(run, together, failures, pace, size) if together >= self.least else None
            if after is None:
                alone = BATCH if rules.by_pace(run.per_second) == 1 else 1
                items = await self.plane.of(RunDirectory).waiting(run.id, alone)
                if not items:
                    with unless_halted():
                        await self._complete(run)
                    return
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
            if self.clock.now() - self._held_at >= HOLD_SECONDS:
                run = await self.hold(run.id)
                if run.state != "running":
                    return False
                pace.keep(run.per_second)
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
        request, reason = await request_of(self.plane, self.operation, run.fields, item, run.reason)
        await carry_out(self.plane, self.operation, request, Call(reason, item.request_id))

    def _tripped(self, run: Run, recent: Sequence[bool]) -> str | None:
        return rules.tripped(run.settled, recent, run.breaker_share, run.settled_before)

    async def _pause(self, run: Run, why: str) -> None:
        with unless_halted():
            await execute(self.plane, pause_operation, OneRun(id=run.id), Call(why))

    async def _complete(self, run: Run) -> None:
        await execute(self.plane, COMPLETE, OneRun(id=run.id), Call())


class LentDriver(Driver):
    """A worker driving a run: the home does each item as the person who started it."""

    async def _do(self, run: Run, item: RunItem) -> None:
        await self.plane.of(RunDirectory).carry(item)

    async def _pause(self, run: Run, why: str) -> None:
        with unless_halted():
            await self.plane.of(RunDirectory).end(run.id, "paused", why)

    async def _complete(self, run: Run) -> None:
        await self.plane.of(RunDirectory).end(run.id, "done", None)


@contextmanager
def unless_halted() -> Iterator[None]:
    """Somebody else may have paused or stopped the run meanwhile."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code != "run_transition":
            raise


async def request_of(
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
        raise NO_UNDO(f"{request_id} changed nothing that can be undone.")
    return step
