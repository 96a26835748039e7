"""How a run proceeds: the canary, the breaker, the pace. Pure functions, and a clock that is passed in."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from controlplane.runs.refusals import RUN_HELD, RUN_NOT_HELD, RUN_OVER, RUN_TRANSITION

if TYPE_CHECKING:
    from controlplane.runs.model import Run, RunState

CANARY = (1, 10)
"""The first items are a trial for all: one, then ten more, judged before the run goes on."""
WINDOW = 20
"""The breaker looks at this many verdicts."""
PER_SECOND = 10.0
MAX_PER_SECOND = 10_000
"""More than a home can do: a run at this rate goes as fast as it can."""
BREAKER_SHARE = 0.2
MAX_RUN_ITEMS = 100_000
MAX_BATCH = 1_000
"""A pause waits for the batch under way: so many letters take less than a second."""
BATCHES_PER_SECOND = 10
"""A rate is kept in steps of a tenth of a second: at 10 a second and below, one item at a time."""
BATCH_SECONDS = 0.25
"""Batches grow while they take less, and shrink when they take twice as long."""

FOLLOWS: dict[RunState, tuple[RunState, ...]] = {
    "running": ("paused", "stopped", "done"),
    "paused": ("running", "stopped"),
    "stopped": (),
    "done": (),
}
"""Which states may follow each; the home guards the same."""


def stage(settled: int) -> str:
    """The stage of a run that has `settled` verdicts, in words."""
    end = 0
    for size in CANARY:
        end += size
        if settled < end:
            return f"canary of {size}"
    return "the rest"


def tripped(settled: int, recent: Sequence[bool], share: float, settled_before: int = 0) -> str | None:
    """Why the run must pause now; None when it need not. `recent`: for each of the last verdicts, oldest first, whether
    it was a refusal.

    It pauses when a canary ends with too large a share of refusals, or when the last 20 verdicts hold too many. What
    was settled before the last resume was judged by a person and no longer counts.
    """
    fresh = _fresh(settled, recent, settled_before)
    end = 0
    for size in CANARY:
        end += size
        if settled == end and (judged := fresh[-size:]) and sum(judged) > share * len(judged):
            return f"{sum(judged)} of the canary of {size} refused"
    if sum(fresh) > share * WINDOW:
        return f"{sum(fresh)} of the last {len(fresh)} refused"
    return None


def by_pace(per_second: float) -> int:
    """How many items may begin together at that rate."""
    return min(MAX_BATCH, max(1, int(per_second / BATCHES_PER_SECOND)))


def allowed(run: Run, recent: Sequence[bool]) -> tuple[int, int]:
    """How many items may be done before the rules must look again, and how many of them may be refused.

    Within the first number no canary ends but at its last item, and no rate is passed; the breaker cannot trip before
    the second is reached. `recent`: as for `tripped`.
    """
    most = by_pace(run.per_second)
    end = 0
    for size in CANARY:
        end += size
        if run.settled < end:
            most = min(most, end - run.settled)
            break
    fresh = _fresh(run.settled, recent, run.settled_before)
    return most, max(1, math.floor(run.breaker_share * WINDOW) + 1 - sum(fresh))


def _fresh(settled: int, recent: Sequence[bool], settled_before: int) -> list[bool]:
    """Of the verdicts that the breaker looks at, those since the last resume."""
    return list(recent)[-WINDOW:][-(settled - settled_before) :] if settled > settled_before else []


class BatchSize:
    """How many items are carried together: twice as many while that is quick and well, half of them when it is not.

    Of a batch that fails as a whole, halves are tried until one item is left, which then goes by itself and says why.
    """

    def __init__(self) -> None:
        self.now = 64

    def went(self, seconds: float) -> None:
        if seconds < BATCH_SECONDS:
            self.now = min(self.now * 2, MAX_BATCH)
        elif seconds > 2 * BATCH_SECONDS:
            self.failed()

    def failed(self) -> None:
        self.now = max(self.now // 2, 1)


def check_state(run: Run, becomes: RunState, verb: str) -> None:
    """Raises Refusal `run_transition` when the run cannot be paused, resumed or stopped now."""
    if becomes not in FOLLOWS[run.state]:
        raise RUN_TRANSITION(
            f"Run {run.id} cannot be {verb}: it is {run.state}.",
            f"watchfloor runs show {run.id} shows how it ended.",
            why=[f"state: {run.state}", *([f"because: {run.why}"] if run.why else [])],
        )


def check_over(run: Run) -> None:
    """Raises Refusal `run_over`."""
    if not FOLLOWS[run.state]:
        raise RUN_OVER(f"Run {run.id} is {run.state}.", why=[f"state: {run.state}"])


def is_left(run: Run) -> bool:
    """Whether it should go on but nobody drives it: that program is gone, or none has begun."""
    return run.standing in ("waiting", "interrupted")


def check_resume(run: Run) -> None:
    """A run that is left is in the right state already: it only lacks a program that drives it."""
    if run.held:
        raise RUN_HELD()
    if run.state == "running" and not is_left(run):
        raise RUN_TRANSITION(f"Run {run.id} is running already.", "", why=["state: running"])
    if run.state != "running":
        check_state(run, "running", "resumed")


def check_release(run: Run) -> None:
    """Raises Refusal `run_released` when the run waits for nobody."""
    if not run.held:
        raise RUN_NOT_HELD(f"Run {run.id} does not wait for an approval.")
    check_state(run, "running", "released")


class Clock(Protocol):
    """A monotonic clock in seconds, and waiting by it."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pace:
    """At most `per_second` starts a second, evenly spaced; lost time is not made up for."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self.interval = 1 / per_second
        self.clock = clock
        self._began, self._many = clock.now(), 0

    def keep(self, per_second: float) -> None:
        """Another rate, from the last start on."""
        self.interval = 1 / per_second

    def left(self) -> float:
        """Seconds until the next may begin; 0 when it may now."""
        return max(0.0, self._next - self.clock.now())

    def begin(self, many: int = 1, at: float | None = None) -> None:
        """So many began now, or `at` that time."""
        self._began, self._many = max(self._next, self.clock.now() if at is None else at), many

    @property
    def _next(self) -> float:
        return self._began + self._many * self.interval
