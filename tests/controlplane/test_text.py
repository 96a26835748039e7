"""Foreign text is inert, and takes exactly the cells it is given."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from controlplane.text import SIGNS, cells, clean, clean_lines, fit, fold, printable_ascii, showable

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x1b\x07\x9b\x7f\r\n\t\u202e\u2066\u200b\u200d\ufe0f\u2028\u0300\u0903\u1160\u1175\u3164\ud800"
        ),
        st.sampled_from("表Ａ👨🏽✈ñé●☰ aZ"),
    ),
    max_size=40,
)


@given(HOSTILE, st.integers(1, 50))
@example("\u0300\u0300a", 2)
@example("a" + "\u0300" * 100, 50)
@example("a\ufe0f\ufe0f✈\ufe0f\ufe0f", 50)
def test_cleaned_text_is_inert(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    assert clean(cleaned, limit) == cleaned
    assert cells(cleaned) == cell_len(cleaned)
    cleaned.encode()


@given(HOSTILE, st.integers(1, 50))
def test_cleaned_lines_are_inert_line_by_line(text: str, limit: int) -> None:
    cleaned = clean_lines(text, limit)
    assert all(line.isprintable() for line in cleaned.split("\n"))
    assert len(cleaned) <= limit
    assert clean_lines(cleaned, limit) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\tb\nc\x7f", "a␉b␊c␡"),
        ("ä\tb\x00", "ä␉b␀"),
        ("\x9b31m", "\ufffd31m"),
        ("abc\u202egnp.exe", "abc\ufffdgnp.exe"),
        ("a\u200bb\u2028c\ud800", "a\ufffdb\ufffdc\ufffd"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u0301acute first", "◌\u0301acute first"),
        ("e" + "\u0301" * 10_000 + "x", "e" + "\u0301" * 4 + "x"),
        ("✈\ufe0f a\ufe0f", "✈ a\ufffd"),
        ("blank\u3164name", "blank\ufffdname"),
        (None, "–"),
        (42, "42"),
    ],
)
def test_what_becomes_of_hostile_text(text: object, cleaned: str) -> None:
    assert clean(text, 100_000) == cleaned


def test_the_length_is_limited_and_said() -> None:
    assert clean("abcdef", 6) == "abcdef"
    assert clean("abcdefg", 6) == "abcde…"
    assert clean("x" * 10_000_000, 4) == "xxx…"
    assert clean("a" + "\u0300" * 10_000, 10) == "a" + "\u0300" * 4 + "…"


def test_lines_stay_lines_and_nothing_else_does() -> None:
    assert clean_lines("a\r\nb\nc\rd\u2028e\x1b") == "a\nb\nc␍d\ufffde␛"
    assert clean_lines("a\nb\nc", 4) == "a\nb…"


def test_every_character_is_as_wide_as_the_screen_takes_it() -> None:
    wrong = [
        hex(code)
        for code in (*range(0x20000), 0x20000, 0x30000, 0xE0001, 0xE0101, 0xF0000, 0x10FFFF)
        if cells(shown := clean("a" + chr(code))) != cell_len(shown) or not shown.isprintable()
    ]
    assert wrong == []


@given(HOSTILE, st.integers(0, 30), st.sampled_from(["left", "right", "centre"]), st.sampled_from(["end", "middle"]))
@example("表表表", 4, "left", "end")
@example("表表表表", 4, "right", "middle")
@example("a\u0300b\u0300c\u0300", 2, "left", "middle")
def test_fit_gives_exactly_the_cells_asked_for(text: str, size: int, align, cut) -> None:
    text = clean(text)
    shown = fit(text, size, align, cut)
    assert cell_len(shown) == size == cells(shown)
    if cells(text) <= size:
        assert shown.strip(" ") == text.strip(" ")
    elif size:
        assert "…" in shown
        assert not unicodedata.category(shown[0]).startswith("M")


def test_fit_in_words() -> None:
    assert fit("acme", 6) == "acme  "
    assert fit("acme", 6, "right") == "  acme"
    assert fit("acme", 7, "centre") == " acme  "
    assert fit("acme-production", 8) == "acme-pr…"
    assert fit("acme-production", 8, cut="middle") == "acme…ion"
    assert fit("表表表", 4) == "表… "
    assert fit("acme", 1) == "…"
    assert fit("acme", 0) == ""
    assert fit("ae\u0301e\u0301", 2) == "a…"
    assert fit("abcde\u0301", 3, cut="middle") == "a…e\u0301"


@given(HOSTILE, st.integers(2, 30))
@example("a  wide 株式会社 name", 5)
@example("      x" + "y" * 40, 6)
@example("0𠀀", 2)
def test_folding_loses_nothing_and_keeps_within_its_cells(text: str, size: int) -> None:
    cleaned = clean(text)
    rows = fold(cleaned, size)
    assert rows and all(cells(row) <= size for row in rows)
    assert "".join(rows).replace(" ", "") == cleaned.replace(" ", "")


def test_folding_in_words() -> None:
    assert fold("short", 8) == ["short"]
    assert fold("one two three four", 9) == ["one two", "  three", "  four"]
    assert fold("  lost  plan: 10,000 a month", 16) == ["  lost  plan:", "    10,000 a", "    month"]
    assert fold("x" * 7, 4) == ["xxxx", "  xx", "  x"]


@given(HOSTILE)
def test_ascii_takes_the_same_cells(text: str) -> None:
    shown = printable_ascii(clean(text))
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) == cells(clean(text))


CHECKOUT = Path(__file__).parents[2]
OTHER_SIGNS = {"?", "~", "%"}
"""Signs that are ASCII themselves: unknown, stale, per cent."""
NOT_ON_A_SCREEN = {"controlplane/text.py", "controlplane/exports.py", "controlplane/keys/pasted.py"}
"""They look for such characters in foreign text."""
ONLY_WITHOUT_ASCII = set("░▒▓⠀⠒↑↓←→�")
"""Shades and markers that have letters of their own there, keys that have their names, and what is lost."""


def literals(path: Path) -> Iterator[str]:
    """The texts in a file's code, without what documents it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


def test_in_ascii_each_sign_has_another_character() -> None:
    assert len({*SIGNS.values()} | OTHER_SIGNS) == len(SIGNS) + len(OTHER_SIGNS)
    assert all(len(sign) == 1 and sign.isascii() and sign.isprintable() for sign in SIGNS.values())
    assert printable_ascii("› plan: pro → growth") == "> plan: pro ->growth" and SIGNS["→"] != SIGNS["›"]


def test_a_state_has_no_sign_that_means_something_else() -> None:
    """Not known, left out, and what parts and leads: none of them is a state; ? is the state of what is not known."""
    wrong = []
    for path in (CHECKOUT / "controlplane").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Status":
                glyph, *tone = [each.value for each in node.args if isinstance(each, ast.Constant)] or ["●"]
                if glyph in "–…›→•·×✓" or (glyph == "?") != (tone[:1] == ["unknown"]):
                    wrong.append((path.name, node.lineno, glyph))
    assert not wrong


def test_every_symbol_of_the_screens_has_a_character_in_ascii() -> None:
    """Else it would be "?", which means unknown."""
    lost: dict[str, str] = {}
    for folder in ("screens", "controlplane", "app"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            name = str(path.relative_to(CHECKOUT))
            if name in NOT_ON_A_SCREEN or name.startswith("app/demo/"):  # foreign names are a tenant's, not ours
                continue
            symbols = {char for text in literals(path) for char in text if unicodedata.category(char)[0] in "PS"}
            lost |= {
                char: name
                for char in symbols - ONLY_WITHOUT_ASCII
                if not char.isascii() and printable_ascii(char) == "?"
            }
    assert not lost


def test_ascii_keeps_what_can_be_read() -> None:
    assert printable_ascii("● Müller … ▇▁ –") == "* Muller _ *_ -"
    assert printable_ascii("表x Ａ") == "? x A "


@pytest.mark.parametrize(
    ("text", "shown"),
    [("می\u200cخواهم", "میخواهم"), ("ශ්\u200dරී", "ශ්රී"), ("a\u200cb", "a\ufffdb"), ("👨\u200d👩", "👨\ufffd👩")],
)
def test_a_joiner_within_a_word_of_a_script_that_has_it_is_no_fault(text: str, shown: str) -> None:
    assert clean(text) == shown and showable(text) == ("\ufffd" not in shown)
