"""Ten consoles in one room: how soon a change is seen in all others, and what they cost while nothing happens.

All consoles, their terminals and the home share this machine's cores: in a war room each console has its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median, quantiles

import psutil
import psycopg

from benchmarks.estate import FIRST, Estate
from benchmarks.figures import Figure
from tests.terminal.driver import Terminal

TENANTS = 1000
CONSOLES, CONSOLES_SMALL = 10, 3
CHANGES, CHANGES_SMALL = 20, 2
IDLE_SECONDS, IDLE_SECONDS_SMALL = 20.0, 2.5
SETTLED, PAUSE = 2.5, 0.7
MOST_MS = 250
# The tenant on the first line, which stays there under its new names.
_CHANGE = """
UPDATE wf.tenants SET name = %s
WHERE id = (SELECT id FROM wf.tenants ORDER BY wf.folded(name) COLLATE "C", id LIMIT 1)
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(TENANTS)
    number, changes = (CONSOLES_SMALL, CHANGES_SMALL) if small else (CONSOLES, CHANGES)
    with ExitStack() as room:
        room.enter_context(estate.without_worker())
        consoles = [room.enter_context(estate.console()) for _ in range(number)]
        for each in consoles:
            each.see(FIRST, 60)
            each.settle(SETTLED)
        idle = _idle(consoles, IDLE_SECONDS_SMALL if small else IDLE_SECONDS)
        seen = [at for n in range(changes) for at in _seen(estate, consoles, n)]
    p95 = quantiles(seen, n=20)[-1]
    others = f"{number} consoles"
    return [
        Figure(f"a change seen in {others}, p50", median(seen), "ms", spread=(min(seen), max(seen))),
        Figure(f"a change seen in {others}, p95", p95, "ms", aim=f"≤ {MOST_MS} ms", met=p95 <= MOST_MS),
        *(Figure(f"{words} of {others}, idle", value, unit) for words, value, unit in idle),
    ]


def _seen(estate: Estate, consoles: Sequence[Terminal], number: int) -> list[float]:
    """Milliseconds from the commit until each console shows the change."""
    name = f"!room {number}"  # before all other names
    time.sleep(PAUSE)  # a key holds rows for half a second, and nothing was pressed
    with ThreadPoolExecutor(len(consoles)) as pool, psycopg.connect(estate.owner) as connection:
        waiting = [pool.submit(_at, each, name) for each in consoles]
        connection.execute(_CHANGE, [name])
        connection.commit()
        committed = time.monotonic()
        return [max(0.0, (each.result() - committed) * 1000) for each in waiting]


def _at(console: Terminal, words: str) -> float:
    console.see(words, 60)
    return time.monotonic()


def _idle(consoles: Sequence[Terminal], seconds: float) -> list[tuple[str, float, str]]:
    """What the processor worked for all of them, and the bytes to all terminals, in a minute."""
    processes, sent = [psutil.Process(each.pid) for each in consoles], [len(each.raw) for each in consoles]
    before = sum(sum(each.cpu_times()[:2]) for each in processes)
    time.sleep(seconds)
    used = sum(sum(each.cpu_times()[:2]) for each in processes) - before
    more = sum(len(each.raw) - was for each, was in zip(consoles, sent, strict=True))
    return [("processor in a minute", used * 60 / seconds, "s"), ("bytes in a minute", more * 60 / seconds, "B")]
