"""One worker at work, on a queue that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from controlplane.errors import HomeUnreachable, Refusal
from controlplane.jobs.engine import AT_ONCE, BATCH, Crew, Kind
from controlplane.jobs.model import Claimed, JobQueue


class Table:
    """Implements `JobQueue`: `jobs` of one kind, and what was said of them."""

    def __init__(self, jobs: int, kind: str = "x") -> None:
        self.waiting = [Claimed(number, kind, None, 1, 1, {}) for number in range(jobs)]
        self.done: list[int] = []
        self.released: list[int] = []
        self.asked: list[int] = []
        self.crew: Crew | None = None
        self.away = False

    async def tick(self) -> None:
        pass

    async def claim(self, most: int, done: Sequence[Claimed] = ()) -> Sequence[Claimed]:
        await asyncio.sleep(0)
        if self.away:
            raise HomeUnreachable("home_unreachable", "Away.")
        self.done += [job.id for job in done]
        self.asked.append(most)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken

    async def fail(self, job: Claimed, error: str, *, give_up: bool = False) -> bool:
        raise NotImplementedError

    async def release(self, jobs: Sequence[Claimed], why: str, seconds: float = 0.0) -> int:
        self.released += [job.id for job in jobs]
        return len(jobs)

    async def settled(self, job: Claimed, statement: str) -> bool:
        raise NotImplementedError

    async def news(self, seconds: float) -> None:
        assert self.crew is not None
        self.crew.stop()  # there is nothing more


def crew(table: Table, *kinds: Kind) -> Crew:
    table.crew = Crew(table, {kind.name: kind for kind in kinds})
    return table.crew


async def test_no_more_is_in_hand_than_may_be() -> None:
    table, most, now = Table(1000), 0, 0

    async def run(queue: JobQueue, job: Claimed) -> bool:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return False

    await crew(table, Kind("x", run)).work()
    assert sorted(table.done) == list(range(1000))
    assert BATCH < most <= AT_ONCE and max(table.asked) == BATCH


async def test_a_job_that_cancels_itself_is_not_kept_for_ever() -> None:
    async def run(queue: JobQueue, job: Claimed) -> bool:
        raise asyncio.CancelledError

    table = Table(1)
    table.news = lambda seconds: asyncio.sleep(5)  # type: ignore[method-assign]
    with pytest.raises(Refusal) as refused:
        await crew(table, Kind("x", run)).work()
    assert refused.value.code == "job_canceled_itself"


async def test_without_the_home_all_is_dropped() -> None:
    canceled = 0

    async def run(queue: JobQueue, job: Claimed) -> bool:
        nonlocal canceled
        table.away = True
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            canceled += 1
            raise
        return False

    table = Table(3)
    with pytest.raises(HomeUnreachable):
        await crew(table, Kind("x", run)).work()
    assert canceled == 3 and table.done == [] and table.released == []


async def test_what_is_unknown_is_released() -> None:
    table = Table(2, "of_a_newer_version")
    await crew(table).work()
    assert table.released == [0, 1]
