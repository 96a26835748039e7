"""Nothing of a hostile text reaches the terminal as control, though no widget cleaned it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from screens.terminal.inert import DROP_CONTROLS, without_controls
from tests.terminal.driver import Terminal
from tests.terminal.wire import FORBIDDEN, foreign_controls

CLIPBOARD = "\x1b]52;c;aGFja2Vk\x07"
HOSTILE = {
    "clipboard": f"a{CLIPBOARD}b",
    "clear": "a\x1b[2Jb\x1bcd",
    "colour": "a\x1b[31;41mb",
    "title": "a\x1b]2;owned\x1b\\b",
    "C1": "a\x9b2Jb\x9d52;c;aGFja2Vk\x9cc\x90q\x85",
    "bidi": "a\u202eb\u2066c\u200fd\u061ce",
    "zero width": "a\u200bb\u2060c\ufeffd\u2028e\u2029f\U000e0041g",
    "marks": "a" + "\u0301" * 300 + "b",
    "others": "a\x7fb\x08c\rd\x0be\x0ff\x05g",
}


def test_no_character_that_commands_or_hides_gets_through() -> None:
    text = "".join(f"a{char}" for char in FORBIDDEN)
    assert set(without_controls(text)) <= {"a", "\ufffd"}


@pytest.mark.parametrize(
    "text", [*HOSTILE.values(), "x\u200d\x1by", "\x1b\u200d", "\ud800ab\udfff", "a\u200db", "日\u202e本"]
)
def test_the_number_of_cells_stays(text: str) -> None:
    assert cell_len(without_controls(text)) == cell_len(text)


@pytest.mark.parametrize("text", ["👩‍👩‍👧 family", "✈️ flight", "soft\u00adhyphen", "日本語", "icon \ue0b0", "e\u0301"])
def test_what_draws_something_stays(text: str) -> None:
    assert without_controls(text) == text


def test_letters_cannot_be_stacked_with_a_joiner() -> None:
    assert without_controls("a\u200db\u200dc!") == "a!"


def test_a_link_with_a_control_is_no_link() -> None:
    safe, hostile = Style(link="https://x/y"), Style(link=f"https://x/{CLIPBOARD}")
    result = DROP_CONTROLS.apply([Segment("a", safe), Segment("b", hostile)], Color(0, 0, 0))
    assert [segment.style and segment.style.link for segment in result] == ["https://x/y", None]


@pytest.mark.parametrize("shadow", ["on", "off"])
def test_no_widget_lets_a_control_through(start: Callable[..., Terminal], shadow: str) -> None:
    """Static, Label, Input, placeholder, Button, border titles, link, toast, terminal title: never cleaned here."""
    env = {"PROGRAM_FOREIGN": "\n".join(HOSTILE.values()), "WATCHFLOOR_SHADOW": shadow}
    terminal = start(columns=160, lines=100, env=env)
    last = without_controls(list(HOSTILE.values())[-1])
    terminal.receive(f"\x1b]2;{last}\x07".encode())
    terminal.settle(0.2)
    assert not foreign_controls(terminal.raw)
    assert CLIPBOARD.encode() not in terminal.raw
    for foreign in HOSTILE.values():
        shown = unicodedata.normalize("NFC", without_controls(foreign))  # as pyte has it
        assert sum(line.count(shown) for line in terminal.screen()) >= 6, shown
    # One line of each toast and of each border has a title.
    assert sum("─ " + without_controls(HOSTILE["title"]) in line for line in terminal.screen()) >= 2
