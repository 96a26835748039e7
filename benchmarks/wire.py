"""Bytes to the terminal, with the shadow grid and, in the same run, as Textual alone sends them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from benchmarks.estate import FIRST, Estate
from benchmarks.figures import Figure
from tests.terminal.driver import Terminal

TENANTS = 1000
IDLE_SECONDS, IDLE_SECONDS_SMALL = 20.0, 2.5
"""Scaled to a minute for the report: every tick of two seconds is like the others."""
QUIET, SETTLED = 0.5, 1.5
SHOWN_WITHIN = 20.0

# The tenants on the first screen, in the order shown.
_SHOWN = 'SELECT id FROM wf.tenants ORDER BY wf.folded(name) COLLATE "C", id LIMIT %s'


@dataclass(frozen=True)
class Bytes:
    start: int
    idle_minute: int
    five_cells: int
    ten_rows: int
    screen: int
    dialog: int


AIMS = {
    "start": ("a start", 10_240),
    "idle_minute": ("an idle minute", 0),
    "five_cells": ("five changed cells", None),
    "ten_rows": ("ten changed rows", 1024),
    "screen": ("a change of the screen", None),
    "dialog": ("a dialog", 10_240),
}


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(TENANTS)
    ours, stock = (_bytes(estate, shadow, small) for shadow in ("on", "off"))
    figures = []
    for name, (words, most) in AIMS.items():
        sent, other = getattr(ours, name), getattr(stock, name)
        aim, met = ("", None) if most is None else (f"≤ {most:,} B", sent <= most)
        figures.append(Figure(f"bytes for {words}", sent, "B", other, "without the shadow grid", aim, met))
    return figures


def _bytes(estate: Estate, shadow: str, small: bool) -> Bytes:
    with estate.without_worker(), estate.console({"WATCHFLOOR_SHADOW": shadow}) as terminal:
        terminal.see(FIRST, 30)
        terminal.settle(SETTLED)
        start = len(terminal.raw)
        seconds = IDLE_SECONDS_SMALL if small else IDLE_SECONDS
        idle = _sent(terminal, lambda: time.sleep(seconds))
        five = _sent(terminal, lambda: _change(estate, terminal, 5, {"per_minute": 7001.5}))
        ten = _sent(
            terminal, lambda: _change(estate, terminal, 10, {"per_minute": 8002.5, "error_share": 0.5, "p95_ms": 9009})
        )
        screen = _sent(terminal, lambda: _press(terminal, "9", "audit"))
        _press(terminal, "1", FIRST)
        dialog = _sent(terminal, lambda: _press(terminal, "a", "suspend"))
        return Bytes(start, round(idle * 60 / seconds), five, ten, screen, dialog)


def _sent(terminal: Terminal, act: Callable[[], None]) -> int:
    mark = terminal.mark()
    act()
    return len(terminal.bytes_since(mark))


def _press(terminal: Terminal, key: str, sign: str) -> None:
    terminal.press(key)
    terminal.see(sign)
    terminal.settle(QUIET)


def _change(estate: Estate, terminal: Terminal, rows: int, values: dict[str, float]) -> None:
    """Change numbers in the first rows; the console sees them at its next tick."""
    assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
    with psycopg.connect(estate.owner) as connection:
        statement = f"UPDATE wf.tenant_activity SET {assignments} WHERE tenant_id IN ({_SHOWN})"
        connection.execute(statement.encode(), [rows])
    mark, deadline = terminal.mark(), time.monotonic() + SHOWN_WITHIN
    while not terminal.bytes_since(mark):
        assert time.monotonic() < deadline, "the change was not shown"
        time.sleep(0.02)
    terminal.settle(QUIET)
