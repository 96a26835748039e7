"""From `watchfloor demo` to the overview's rows and to all its figures, in a pty: the first start, and later ones."""

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
ROWS = re.compile(r"cedar-cargo +[\d.]+/m")
FIGURES = re.compile(r"in the last hour +[1-9]")
"""They come last."""
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
        _figure("demo to its first rows, first start", [rows for rows, _ in first], 10.0),
        _figure("demo to its first rows, later starts", [rows for rows, _ in later], 2.0),
        _figure("demo to all figures, first start", [figures for _, figures in first]),
        _figure("demo to all figures, later starts", [figures for _, figures in later]),
    ]


def _figure(claim: str, values: list[float], most: float | None = None) -> Figure:
    ours, spread = middle(values)
    if most is None:
        return Figure(claim, ours, "s", spread=spread)
    return Figure(claim, ours, "s", aim=f"≤ {most:.0f} s", met=ours <= most, spread=spread)


def _start(cache: str) -> tuple[float, float]:
    """Seconds to the rows, and to all figures."""
    program = [sys.executable, "-m", "app", "demo"]
    where: dict[str, str | None] = {"XDG_CACHE_HOME": cache, "XDG_CONFIG_HOME": cache}
    with Terminal(program, COLUMNS, LINES, where, str(CHECKOUT)) as terminal:
        terminal.see(ROWS, PATIENCE)
        rows = time.monotonic() - terminal.started
        terminal.see(FIGURES, PATIENCE)
        figures = time.monotonic() - terminal.started
        terminal.press("ctrl+c", "ctrl+c")
        terminal.wait(PATIENCE)
    folders.sweep()
    return rows, figures
