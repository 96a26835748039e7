"""From the command to a painted row of the overview, against an empty Textual program, both in a pty and in turn."""

from __future__ import annotations

import sys

from benchmarks.estate import CHECKOUT, COLUMNS, FIRST, LINES, Estate
from benchmarks.figures import Figure, middle
from tests.terminal.driver import Terminal

RUNS, TENANTS = 7, 1000
FRAME_ENDS = b"\x1b[?2026l"


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(TENANTS)
    runs = 1 if small else RUNS
    frames, rows, empty = [], [], []
    with estate.without_worker():
        if not small:
            _start(estate)  # afterwards everything is read from memory
        for _ in range(runs):
            frame, row = _start(estate)
            frames.append(frame)
            rows.append(row)
            empty.append(_empty())
    cold_frames, cold_rows = [], []
    for _ in range(1 if small else 3):
        estate.home.stop()
        with estate.home.as_worker():
            frame, row = _start(estate)
        cold_frames.append(frame)
        cold_rows.append(row)
    (row, _), (base, _), (cold, _) = middle(rows), middle(empty), middle(cold_frames)
    against = "an empty Textual app"
    return [
        _figure("start to the first frame", frames, base, against, "≤ 400 ms", middle(frames)[0] <= 400),
        _figure("start to the first row", rows, base, against, "≤ 1.8 ×", row <= 1.8 * base),
        _figure("start to the first frame, home stopped", cold_frames, base, against, "≤ 400 ms", cold <= 400),
        _figure("start to the first row, home stopped", cold_rows, base, against, "", None),
    ]


def _figure(claim: str, values: list[float], other: float, other_is: str, aim: str, met: bool | None) -> Figure:
    ours, spread = middle(values)
    return Figure(claim, ours, "ms", other, other_is, aim, met, spread)


def _start(estate: Estate) -> tuple[float, float]:
    """Milliseconds to the first frame and to the first row."""
    with estate.console(words=()) as terminal:
        terminal.receive(FIRST.encode(), 30)
        return terminal.first_paint() * 1000, _seen(terminal, FIRST.encode())


def _empty() -> float:
    """Milliseconds until the empty program's first frame."""
    with Terminal([sys.executable, "-m", "benchmarks.empty"], COLUMNS, LINES, cwd=str(CHECKOUT)) as terminal:
        terminal.receive(FRAME_ENDS)
        return _seen(terminal, FRAME_ENDS)


def _seen(terminal: Terminal, sign: bytes) -> float:
    """Milliseconds until a given text was written."""
    written = b""
    for seconds, data in terminal.records:
        if isinstance(data, bytes):
            written += data
            if sign in written:
                return seconds * 1000
    raise AssertionError(f"{sign!r} was never written")
