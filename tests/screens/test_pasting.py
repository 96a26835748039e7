from __future__ import annotations

import pytest
from textual import events
from textual.message import Message

from screens.terminal.background import AnsweringParser
from screens.terminal.sequences import END, MAX_PASTED, START, PastedTooMuch

HOSTILE = "a\x1b" + "y" * 40 + "\x1b[A\x1b]52;c;eA==\x07\x1bOP\x1b[<0;1;1M\x1b[I\n\x1b\x1b"


def what(messages: list[Message]) -> list[str]:
    return [
        m.text if isinstance(m, events.Paste) else m.key if isinstance(m, events.Key) else repr(m) for m in messages
    ]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_a_paste_is_text_and_no_key_however_it_arrives(step: int) -> None:
    sent = f"j{START}{HOSTILE}{END}k{START}{END}{START}b{END}"
    parser = AnsweringParser()
    told = [m for at in range(0, len(sent), step) for m in parser.feed(sent[at : at + step])]
    assert what(told) == ["j", HOSTILE, "k", "", "b"]


def test_keys_of_several_bytes_are_still_keys() -> None:
    parser = AnsweringParser()
    assert what([m for byte in "\x1b[2~\x1b[20~\x1b[A" for m in parser.feed(byte)]) == ["insert", "f9", "up"]


def test_what_is_too_long_for_any_field_is_counted_and_left_out() -> None:
    parser = AnsweringParser()
    told = list(parser.feed(START + "x" * (MAX_PASTED + 1)))
    told += parser.feed("x" * MAX_PASTED + END + "k")
    assert isinstance(told[0], PastedTooMuch) and told[0].length == 2 * MAX_PASTED + 1
    assert what(told[1:]) == ["k"]
