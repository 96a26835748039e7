"""Carries a run of a gate out: its checks at the same time, so many at once, each within its time limit.

A check that errs, or takes too long, is inconclusive; it stops neither the others nor the verdict. What is judged is
the text that is stored, so that the same comes out when it is judged again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from controlplane import jsontext
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.gates.checks import Check
from controlplane.gates.deciding import Result, kind_of
from controlplane.gates.document import Definition, canonical, sha256
from controlplane.gates.judging import judge, trouble
from controlplane.gates.model import GateRun
from controlplane.gates.observing import Native, Observer, Seen, not_here
from controlplane.text import clean

log = logging.getLogger(__name__)
AT_ONCE = 8
MAX_OBSERVED = 60_000
"""Bytes of an observation; the home takes a little more."""
READS_HOME = ("sql", "objective", "queue", "keys", "alerts", "audit", "evidence", "manual")


@dataclass
class Engine:
    """`outside`: the observers of kinds that look outside of the control plane. `of_home`: how many checks may read the
    home at once, so that a connection is left for what they find.
    """

    native: Native
    outside: Mapping[str, Observer] = field(default_factory=dict)
    at_once: int = AT_ONCE
    of_home: int = 2

    async def carry_out(
        self, run: GateRun, definition: Definition, record: Callable[[Result], Awaitable[None]]
    ) -> dict[str, Result]:
        """`record` is called, and awaited, as each check ends. Raises HomeUnreachable when nothing can be recorded."""
        observers = self.native.observers() | dict(self.outside)
        every, home = asyncio.Semaphore(self.at_once), asyncio.Semaphore(self.of_home)
        results: dict[str, Result] = {}

        async def one(check: Check) -> None:
            kind = kind_of(check)
            async with every, home if kind in READS_HOME else _Free():
                result = await self._looked(check, observers.get(kind) or not_here(f"{kind} is not known here"), run.id)
            await record(result)
            results[check.name] = result

        async with asyncio.TaskGroup() as group:
            for check in batch(definition, run.batch_size, run.batch_index):
                group.create_task(one(check))
        return results

    async def _looked(self, check: Check, observer: Observer, run_id: int) -> Result:
        begun, at = time.monotonic(), self.native.plane.clock.now()
        try:
            async with asyncio.timeout(check.limit):
                seen = await observer(check)
        except TimeoutError:
            seen = Seen(trouble("time_limit", f"it took longer than {check.limit} s"))
        except HomeUnreachable as refusal:
            seen = Seen(trouble("error", f"the home did not answer: {refusal.message}"))
        except Refusal as refusal:
            seen = Seen(trouble("error", f"{refusal.message} {refusal.hint}".strip()))
        except Exception as error:  # a check must not end the others
            log.warning("check %s failed", check.name, exc_info=True)
            seen = Seen(trouble("error", f"{type(error).__name__}: {clean(error, 200)}"))
        text = _text(seen)
        judged = judge(check, jsontext.read(text))
        seconds = round(time.monotonic() - begun, 3)
        return Result(check.name, judged, text, sha256(text), seen.at or at, seconds, run_id)


class _Free:
    """Nothing is waited for."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *fault: object) -> None: ...


def _text(seen: Seen) -> str:
    try:
        text = canonical(seen.observed)
        if "\\u0000" not in text and len(text.encode()) <= MAX_OBSERVED:
            jsontext.read(text)
            return text
        words = "what it saw is too large to be kept"
    except (ValueError, TypeError, RecursionError):
        words = "what it saw is no JSON"
    return canonical(trouble("error", words))


def batch(definition: Definition, size: int | None, index: int | None) -> list[Check]:
    """The checks of a batch by their place; all of them together are one whole run."""
    if size is None or index is None:
        return list(definition.checks)
    return list(definition.checks[index * size : (index + 1) * size])
