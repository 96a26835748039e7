"""From `watchfloor demo` to the overview with its figures, in a pty: the first start, and later ones."""

from __future__ import annotations

import re
import sys
import tempfile
import time

from app.demo import folders
from benchmarks.estate import CHECKOUT, COLUMNS, LINES
from benchmarks.figures import Figure, middle
from tests.terminal.driver import Terminal

FIRSTS, LATERS = 3, 5
FIGURES = re.compile(r"in the last hour +[1-9]")
PATIENCE = 300.0


def run(small: bool) -> list[Figure]:
    if small:
        return []  # the tests of the demonstration start it anyway
    first, later = [], []
    for _ in range(FIRSTS):
        with tempfile.TemporaryDirectory() as cache:
            first.append(_start(cache))
            later += [_start(cache) for _ in range(LATERS if len(first) == FIRSTS else 0)]
    return [
        _figure("demo to its first figures, first start", first, 10.0),
        _figure("demo to its first figures, later starts", later, 2.0),
    ]


def _figure(claim: str, values: list[float], most: float) -> Figure:
    ours, spread = middle(values)
    return Figure(claim, ours, "s", aim=f"≤ {most:.0f} s", met=ours <= most, spread=spread)


def _start(cache: str) -> float:
    """Seconds."""
    program = [sys.executable, "-m", "app", "demo"]
    where: dict[str, str | None] = {"XDG_CACHE_HOME": cache, "XDG_CONFIG_HOME": cache}
    with Terminal(program, COLUMNS, LINES, where, str(CHECKOUT)) as terminal:
        terminal.see(FIGURES, PATIENCE)
        seconds = time.monotonic() - terminal.started
        terminal.press("ctrl+c", "ctrl+c")
        terminal.wait(PATIENCE)
    folders.sweep()
    return seconds
