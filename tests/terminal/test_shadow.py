"""The shadow grid shows what Textual shows, cell by cell, for a fraction of the bytes."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal.conftest import PROGRAM, sync
from tests.terminal.driver import Terminal
from tests.terminal.screen import Cell

MODES = {
    "truecolor": {},
    "256": {"COLORTERM": None},
    "16": {"COLORTERM": None, "TERM": "xterm"},
    "no colour": {"NO_COLOR": "1"},
}


class Both:
    """The program with the shadow grid and as stock, driven by the same keys."""

    def __init__(self, *terminals: Terminal) -> None:
        self.shadow, self.stock = terminals
        self._syncs = 0

    def press(self, *keys: str) -> None:
        for terminal in (self.shadow, self.stock):
            terminal.press(*keys)
        self.sync()

    def sync(self) -> None:
        self._syncs += 1
        for terminal in (self.shadow, self.stock):
            sync(terminal, self._syncs)

    def escape(self) -> None:
        for terminal in (self.shadow, self.stock):
            terminal.send(b"\x1b[27u")  # a bare ESC and the next key would be alt and that key
        self.sync()

    def resize(self, columns: int, lines: int) -> None:
        for terminal in (self.shadow, self.stock):
            terminal.resize(columns, lines)

    def suspend(self) -> None:
        for terminal in (self.shadow, self.stock):
            terminal.press("ctrl+z")
            terminal.wait_stopped()
            terminal.signal(signal.SIGCONT)

    def same(self, after: object, timeout: float = 10.0) -> None:
        """Both screens become equal, character and style; fails with the first cells that stay different."""
        limit = time.monotonic() + timeout
        while different := self._differences():
            assert time.monotonic() < limit, f"after {after}:\n" + "\n".join(map(str, different[:8]))
            self.shadow.settle(0.05)

    def _differences(self) -> list[tuple[int, int, Cell, Cell]]:
        return [
            (x, y, ours, theirs)
            for y, lines in enumerate(zip(self.shadow.cells(), self.stock.cells(), strict=True))
            for x, (ours, theirs) in enumerate(zip(*lines, strict=True))
            if ours != theirs and ours.visible() != theirs.visible()
        ]

    def cost(self, *keys: str) -> tuple[int, int]:
        """Bytes of the shadow grid and of stock for the keys."""
        marks = self.shadow.mark(), self.stock.mark()
        self.press(*keys)
        return len(self.shadow.bytes_since(marks[0])), len(self.stock.bytes_since(marks[1]))


@contextmanager
def both(columns: int = 80, lines: int = 24, **env: str | None) -> Iterator[Both]:
    with (
        Terminal(PROGRAM, columns, lines, env) as shadow,
        Terminal(PROGRAM, columns, lines, {**env, "WATCHFLOOR_SHADOW": "off"}) as stock,
    ):
        pair = Both(shadow, stock)
        for terminal in (shadow, stock):
            terminal.see("filter")
        pair.sync()
        yield pair


@pytest.mark.parametrize("mode", MODES)
def test_equal_to_stock_through_keys_dialogs_resizes_and_suspend(mode: str) -> None:
    with both(**MODES[mode]) as pair:
        pair.same("start")
        steps: list[tuple[str, ...]] = [
            *(("j",), ("j", "j", "k"), ("u",), ("U",), ("pagedown",), ("pagedown",), ("u",), ("pageup",)),
            *(("n",), ("h",), ("h",), ("m",), ("d",)),
        ]
        for keys in steps:
            pair.press(*keys)
            pair.same(keys)
        pair.escape()
        pair.same("one dialog closed")
        for columns, lines in ((60, 20), (100, 30), (80, 24), (79, 24), (80, 24)):
            pair.resize(columns, lines)
            pair.same((columns, lines))
        pair.escape()
        pair.press("i")
        pair.press("a", "日", "b", "left")
        pair.same("input")
        assert pair.shadow.cursor() == pair.stock.cursor()
        pair.press("enter")
        pair.suspend()
        pair.shadow.see("● active")
        pair.same("suspend")
        pair.press("ctrl+l", "j")
        pair.same("redraw")
        if mode == "truecolor":
            for theme in "LAD":
                pair.press(theme)
                pair.same(f"theme {theme}")
        assert re.search(rb"\x1b\[[\d;]*38;2;", pair.shadow.raw) if mode == "truecolor" else True


KEYS = ["j", "j", "k", "down", "u", "u", "U", "pagedown", "pageup", "m", "m", "n", "h", "i", "L", "A", "D"]
IN_DIALOG, IN_INPUT = ["d", "ctrl+l"], ["a", "日", "🚀", "left", "home", "backspace", "end", "enter"]
SIZES = [(80, 24), (60, 18), (81, 25), (120, 40), (40, 10)]


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_to_stock_through_random_sessions(seed: int) -> None:
    chance = random.Random(seed)
    dialogs, typing, history = 0, False, []
    with both() as pair:
        for _ in range(40):
            step: object
            if chance.random() < 0.15:
                step = chance.choice(SIZES)
                pair.resize(*step)  # type: ignore[misc]
            elif typing:
                pair.press(step := chance.choice(IN_INPUT))
                typing = step != "enter"
            elif dialogs:
                if chance.random() < 0.5:
                    step, dialogs = "esc", dialogs - 1
                    pair.escape()
                else:
                    pair.press(step := chance.choice(IN_DIALOG))
                    dialogs += step == "d"
            else:
                pair.press(step := chance.choice(KEYS))
                dialogs, typing = int(step == "m"), step == "i"
            history.append(step)
            pair.same(history)


def test_sends_far_fewer_bytes_than_stock() -> None:
    with both(120, 40) as pair:
        start = len(pair.shadow.raw), len(pair.stock.raw)
        down, five = pair.cost("j"), pair.cost("u")
        again, dialog = pair.cost("U"), pair.cost("m")
    for what, (ours, theirs) in {
        "start": start,
        "cursor down": down,
        "5 changed cells": five,
        "40 changed cells": again,
        "dialog over a dimmed screen": dialog,
    }.items():
        print(f"{what}: {ours} B, stock {theirs} B")
    assert start[0] < 10_000
    assert start[0] * 4 < start[1]
    assert down[0] * 1.2 < down[1]
    assert five[0] < 300
    assert five[0] * 20 < five[1]
    assert again[0] * 5 < again[1]
    assert dialog[0] * 2 < dialog[1]
    assert dialog[0] < 10_000


def test_sends_nothing_when_nothing_changed(start: Callable[..., Terminal]) -> None:
    terminal = start()
    sync(terminal, 2)
    before = terminal.raw
    terminal.press("k")  # already at the top: two lines are refreshed and none differs
    sync(terminal, 3)
    assert terminal.raw[len(before) :] == b"\x1b]777;sync 3\x07"


@pytest.mark.parametrize("hidden", ["ChopsUpdate,LayoutUpdate", "ChopsUpdate"])
def test_falls_back_to_stock_when_a_private_type_is_gone(
    start: Callable[..., Terminal], tmp_path: Path, hidden: str
) -> None:
    log = tmp_path / "log"
    terminal = start(env={"PROGRAM_HIDE": hidden, "PROGRAM_LOG": str(log)})
    mark = terminal.mark()
    terminal.press("u")
    sync(terminal, 2)
    terminal.see("0 acme       1 ● active")
    assert len(terminal.bytes_since(mark)) > 3000  # stock: the whole table again
    assert log.read_text().count("shadow grid off") == 1


def test_falls_back_to_stock_when_the_compositor_sends_something_unknown(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    terminal = start(env={"PROGRAM_LOG": str(log), "PROGRAM_UNKNOWN_UPDATE": "1"})
    terminal.press("u", "j", "j", "u")
    sync(terminal, 2)
    terminal.see("0 acme       2 ● active")
    assert log.read_text().count("unknown display update") == 1


def test_what_a_joined_emoji_spills_is_painted_over(start: Callable[..., Terminal]) -> None:
    """We take it for two cells, as Unicode says; this terminal draws six. What follows stands where it belongs."""
    terminal = start(env={"PROGRAM_JOINED": "1"})
    terminal.press("U")
    sync(terminal, 2)
    assert "👩‍👩‍👧\x1b[11;9H" in terminal.raw.decode()  # the cursor is placed again
    assert terminal.screen()[10] == f"    9 👩{'':17}1 ● active"
    terminal.press("U")
    sync(terminal, 3)
    assert terminal.screen()[10] == f"    9 plain{'':14}2 ● active"


@pytest.mark.parametrize("shadow", ["on", "off"])
def test_suspend_on_a_terminal_that_reports_its_size_in_band(start: Callable[..., Terminal], shadow: str) -> None:
    """Here no change of size helps: it is the resume itself that must paint."""
    terminal = start(in_band=True, env={"WATCHFLOOR_SHADOW": shadow})
    if shadow == "on":
        assert len(terminal.raw) < 6000  # the first report of a size that is already known paints nothing again
    before = terminal.cells()
    terminal.press("ctrl+z")
    terminal.wait_stopped()
    terminal.signal(signal.SIGCONT)
    painted_again(terminal, before)


def painted_again(terminal: Terminal, before: list[list[Cell]]) -> None:
    limit = time.monotonic() + 5
    while terminal.cells() != before:
        assert time.monotonic() < limit, "\n".join(terminal.screen())
        terminal.settle(0.05)


def test_redraw_paints_over_what_another_program_wrote(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.intrude(b"\x1b[5;5HWALL MESSAGE")
    terminal.see("WALL MESSAGE")
    terminal.press("ctrl+l")
    terminal.gone("WALL MESSAGE")


def test_a_resize_there_and_back_is_painted_again(start: Callable[..., Terminal]) -> None:
    terminal = start()
    before = terminal.cells()
    terminal.signal(signal.SIGSTOP)
    terminal.wait_stopped()
    terminal.resize(40, 10)
    terminal.resize(80, 24)  # the program learns only that something happened
    assert terminal.cells() != before
    terminal.signal(signal.SIGCONT)
    painted_again(terminal, before)
