"""The main screens in terminals that cannot do much: no colour, sixteen colours, no UTF-8, a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.driver import Terminal

SCREENS = {
    ":tenants": "tenants",
    ":telemetry chart:heat": "heat",
    ":alerts": "alerts",
    ":queues": "queues",
    ":gates": "gates",
    ":evidence": "evidence",
    ":incidents": "incidents",
}
PENS = re.compile(rb"\x1b\[([\d;]*)m")


def colourless(terminal: Terminal) -> bool:
    return {*b";".join(PENS.findall(terminal.raw)).split(b";")} <= {*b" 0 1 2 3 4 7 9 39 49".split(b" ")}


def sixteen(terminal: Terminal) -> bool:
    return not {b"38", b"48"} & {*b";".join(PENS.findall(terminal.raw)).split(b";")}


def ascii_alone(terminal: Terminal) -> bool:
    return all(line.isascii() for line in terminal.screen())


MODES: dict[str, tuple[dict[str, str | None], tuple[str, ...], Callable[[Terminal], bool]]] = {
    "NO_COLOR": ({"NO_COLOR": "1"}, (), colourless),
    "TERM=xterm": ({"TERM": "xterm", "COLORTERM": None}, (), sixteen),
    "LANG=C": ({"LANG": "C", "LC_ALL": None}, (), ascii_alone),
    "--accessible": ({}, ("--accessible",), ascii_alone),
}


def pointed_at(terminal: Terminal) -> str:
    """The line that the cursor is on, seen without colour: reversed."""
    lines = zip(terminal.screen(), terminal.cells(), strict=True)
    [found] = [line for line, cells in lines if line[:1] in ("›", ">") and cells[0].reverse and cells[5].reverse]
    return found


@pytest.mark.parametrize("mode", MODES)
def test_every_main_screen_can_be_read(fleet: Database, mode: str) -> None:
    environment, words, holds = MODES[mode]
    with console(fleet, words=words, columns=80, environment=environment) as t:
        t.see("12.00 %")
        t.press("down")
        t.settle()
        assert pointed_at(t) and holds(t)
        if mode == "--accessible":
            assert t.screen()[t.cursor()[1]] == pointed_at(t) and t.cursor()[2]
        for command, word in SCREENS.items():
            t.press(":")
            t.type(command.removeprefix(":"))
            t.press("enter")
            t.see(re.compile(rf"[›>] {word}|{word} \d/\d"))
            t.settle()
            assert holds(t), command
        t.press("1")
        t.see("Umbrella")
        t.press("/")
        t.see("field:value")
        t.settle()
        if mode == "--accessible":
            assert t.cursor()[1] == 23, "the terminal's own cursor is at the prompt"
        t.type("plan")
        t.see("plan")
        t.settle()
        looks = [(cell.reverse, cell.background) for cell in t.cells()[-1][:20]]
        assert sorted(map(looks.count, {*looks})) == [1, 19], "one cell is the caret"
        t.press("esc")
        t.gone("plan")
        t.press("?")
        t.see("Keys here")
        t.settle()
        assert holds(t)
        t.press("esc")
        t.gone("Keys here")
        t.press("S")
        t.see("n name")
        t.press("e")
        t.see(re.compile("sort err [↓v]"))
        t.press("a")
        t.see("suspend")
        t.settle()
        assert holds(t)
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0 and t.restored()


def test_without_a_screen_the_list_is_printed(fleet: Database) -> None:
    with console(fleet, words=("--plain", "/tenants"), columns=80) as t:
        assert t.wait() == 0
        assert b"\x1b" not in t.raw and b"umbrella" in t.raw
