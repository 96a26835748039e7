"""Ten consoles in one incident's room: how soon what one of them does is painted in the others, what they cost while
nothing happens, and what its timeline bears.

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

from benchmarks import room_timeline
from benchmarks.estate import Estate
from benchmarks.figures import Figure
from tests.terminal.driver import Terminal

CONSOLES, CONSOLES_SMALL = 10, 3
CHANGES, CHANGES_SMALL = 20, 2
IDLE_SECONDS, IDLE_SECONDS_SMALL = 60.0, 2.5
SETTLED, PAUSE = 2.5, 0.7
MOST_MS = 250
OPENED = "opened at SEV-3"
_RECORDED = """
SELECT extract(epoch FROM recorded_at)::float8 FROM wf.incident_events WHERE incident_id = %s AND words = %s
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    number, changes = (CONSOLES_SMALL, CHANGES_SMALL) if small else (CONSOLES, CHANGES)
    with estate.without_worker():
        incident = room_timeline.opened(room_timeline.database_of(estate))
        with ExitStack() as room:
            consoles = [
                room.enter_context(estate.console(words=(f"home/incidents/{incident}",))) for _ in range(number)
            ]
            for each in consoles:
                each.see(OPENED, 60)
                each.settle(SETTLED)
            idle = _idle(consoles, IDLE_SECONDS_SMALL if small else IDLE_SECONDS)
            seen = [at for n in range(changes) for at in _painted(estate, incident, consoles, n)]
        timeline = room_timeline.run(estate, small)
    p95 = quantiles(seen, n=20)[-1]
    claim = f"a change in one console painted in {number - 1} others"
    return [
        Figure(f"{claim}, p50", median(seen), "ms", spread=(min(seen), max(seen))),
        Figure(f"{claim}, p95", p95, "ms", aim=f"≤ {MOST_MS} ms", met=p95 <= MOST_MS),
        *(Figure(f"{words} of {number} consoles in one room, idle", value, unit) for words, value, unit in idle),
        *timeline,
    ]


def _painted(estate: Estate, incident: int, consoles: Sequence[Terminal], number: int) -> list[float]:
    """Milliseconds from when the home recorded a note, written in the first console, until each other shows it."""
    note = f"note {number} of the room"
    first, others = consoles[0], consoles[1:]
    time.sleep(PAUSE)  # a key holds rows for half a second
    first.press("a", "n")
    first.see("what happened", 60)
    first.type(note)
    with ThreadPoolExecutor(len(others)) as pool:
        waiting = [pool.submit(_at, each, note) for each in others]
        first.press("enter")
        painted = [each.result() for each in waiting]
    first.see(note, 60)
    with psycopg.connect(estate.owner) as connection:
        row = connection.execute(_RECORDED, [incident, note]).fetchone()
    assert row is not None
    return [max(0.0, (at - row[0]) * 1000) for at in painted]


def _at(console: Terminal, words: str) -> float:
    console.see(words, 60)
    return time.time()  # the home's clock is this machine's


def _idle(consoles: Sequence[Terminal], seconds: float) -> list[tuple[str, float, str]]:
    """What the processor worked for all of them, and the bytes to all terminals, in a minute."""
    processes, sent = [psutil.Process(each.pid) for each in consoles], [len(each.raw) for each in consoles]
    before = sum(sum(each.cpu_times()[:2]) for each in processes)
    time.sleep(seconds)
    used = sum(sum(each.cpu_times()[:2]) for each in processes) - before
    more = sum(len(each.raw) - was for each, was in zip(consoles, sent, strict=True))
    return [("processor in a minute", used * 60 / seconds, "s"), ("bytes in a minute", more * 60 / seconds, "B")]
