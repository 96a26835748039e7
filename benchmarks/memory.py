"""What the console holds in memory after a walk through a million tenants."""

from __future__ import annotations

import sys

import psutil

from benchmarks.estate import CHECKOUT, COLUMNS, FIRST, LINES, Estate
from benchmarks.figures import Figure
from benchmarks.start import FRAME_ENDS
from tests.terminal.driver import Terminal

MANY, MANY_SMALL = 1_000_000, 3000
PAGES, PAGES_SMALL = 60, 5
AIM_MB = 80.0


def run(estate: Estate, small: bool) -> list[Figure]:
    tenants = MANY_SMALL if small else MANY
    estate.fill(tenants)
    with estate.without_worker(), estate.console() as terminal:
        terminal.see(FIRST, 30)
        for key in ["pagedown", "end", "pageup", "home"]:
            for _ in range(1 if key in ("end", "home") else PAGES_SMALL if small else PAGES):
                terminal.press(key)
                terminal.settle(0.05)
        terminal.settle(1.0)
        ours = _resident(terminal)
    with Terminal([sys.executable, "-m", "benchmarks.empty"], COLUMNS, LINES, cwd=str(CHECKOUT)) as terminal:
        terminal.receive(FRAME_ENDS)
        terminal.settle(1.0)
        empty = _resident(terminal)
    claim = f"resident memory, {tenants:,} tenants"
    return [Figure(claim, ours, "MB", empty, "an empty Textual app", f"≤ {AIM_MB:.0f} MB", ours <= AIM_MB)]


def _resident(terminal: Terminal) -> float:
    return float(psutil.Process(terminal.pid).memory_info().rss) / 1e6
