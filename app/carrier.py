"""Carries on, in a worker, the runs that no console carries: so runs outlive the console that began them.

A worker's own login may do nothing that a person may do. The home does each item of a run with it, as the login that
started the run. The worker of an embedded home has the login of the account that the home belongs to, and carries that
account's runs as itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backends.embedded.server import EmbeddedHome
from backends.postgres.home import Home
from controlplane.clock import HomeClock
from controlplane.errors import Conflict, HomeUnreachable, OutcomeUnknown, Refusal
from controlplane.queues.held import SourceBook
from controlplane.runs.engine import drive, lacks
from controlplane.runs.left import left_runs
from controlplane.runs.model import Run

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 5.0
LACKING_SECONDS = 30.0
"""How long a run whose source cannot be asked from here is left alone: to ask takes time that other runs wait for."""
CONNECTIONS = 4


def carrier_of(
    home: EmbeddedHome,
    report: Callable[[str], None],
    sources: Callable[[HomeClock], SourceBook | None] = lambda clock: None,
) -> Carrier | None:
    """For the worker of an embedded home, whose login is this account's own."""
    known = home.known()
    return None if known is None else Carrier(known.login_conninfo(), report, sources)


class Carrier:
    """`conninfo`: of the login whose runs are carried. `sources`: opens the sources whose credentials this program has;
    a run over messages of others is left for another program.
    """

    def __init__(
        self,
        conninfo: str,
        report: Callable[[str], None] = lambda words: None,
        sources: Callable[[HomeClock], SourceBook | None] = lambda clock: None,
    ) -> None:
        self.conninfo, self.report, self.sources = conninfo, report, sources

    async def run(self) -> None:
        """Until it is cancelled; a home that cannot be reached is tried again."""
        while True:
            home = Home(self.conninfo, connections=CONNECTIONS, conversation="worker")
            home.sources = self.sources(home.clock)
            try:
                await home.open()
                async with asyncio.TaskGroup() as driving:
                    await self._look(home, driving)
            except* HomeUnreachable:
                pass  # the worker beside this says so, once
            except* Refusal as troubles:
                self.report("; ".join(str(trouble) for trouble in troubles.exceptions))
            finally:
                if home.sources is not None:
                    await home.sources.close()
                await home.close()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _look(self, home: Home, driving: asyncio.TaskGroup) -> None:
        seen: set[int] = set()
        again: dict[int, float] = {}
        now = asyncio.get_running_loop().time
        while True:
            for run in await left_runs(home):
                if run.id in seen or now() < again.get(run.id, 0):
                    continue
                if why := await lacks(home, run):
                    if run.id not in again:
                        self.report(f"run {run.id} is left for another program: {why}")
                    again[run.id] = now() + LACKING_SECONDS
                else:
                    seen.add(run.id)
                    driving.create_task(self._carry(home, run, seen))
            await asyncio.sleep(LOOK_SECONDS)

    async def _carry(self, home: Home, run: Run, seen: set[int]) -> None:
        """A run that ends here is taken again when it is resumed; one that is refused here is not."""
        try:
            ended = await drive(home, run.id)
            self.report(
                f"run {run.id} ({run.operation}): {ended.state}, {ended.done:,} done, {ended.refused:,} refused"
            )
        except Conflict:
            pass  # another program carries it
        except (HomeUnreachable, OutcomeUnknown):
            raise
        except Refusal as refusal:
            self.report(f"run {run.id}: {refusal}")
            return
        seen.discard(run.id)
