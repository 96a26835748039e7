from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from screens.terminal.background import AnsweringParser
from screens.terminal.sequences import InputDecoder
from tests.terminal.keys import KEYS

NOISE = {
    "Latin-1": b"\xe9",
    "8-bit meta": b"\xea\xff\x80",
    "X10 mouse": b"\x1b[M \xc3\xa9\x1b[M#\xff!",
    "urxvt mouse": b"\x1b[32;10;10M",
    "colour": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
    "8-bit colour": b"\x9d11;1\x9c",
    "attributes": b"\x1b[?62;22c",
    "version": b"\x1bP>|xterm(390)\x1b\\",
    "unknown": b"\x1b[99;99z\x1b[1;2;3;4;5;6;7;8;9;1;2;3;4;5;6;7;8;9z",
    "key out of range": b"\x1b[99999999u\x1b[1;1:2u",
    "screen out of range": b"\x1b[48;99999;99999;1;1t\x1b[48;0;0;0;0t",
}
PIECES = st.one_of(st.binary(max_size=12), st.sampled_from([*NOISE.values(), *(key.encode() for key in KEYS.values())]))


class Typed:
    """The driver's way from bytes to messages."""

    def __init__(self) -> None:
        self.parser, self.decoder = AnsweringParser(), InputDecoder()

    def send(self, sent: bytes, step: int = 1000) -> list[Message]:
        pieces = [self.decoder.decode(sent[at : at + step]) for at in range(0, len(sent), step)]
        return [message for piece in pieces if piece for message in self.parser.feed(piece)]


def told(sent: bytes, step: int = 1000) -> list[Message]:
    return Typed().send(sent, step)


def keys(messages: list[Message]) -> list[str]:
    return [m.key for m in messages if isinstance(m, events.Key)]


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_no_key_and_the_next_key_is(noise: str, step: int) -> None:
    made = told(NOISE[noise] + b"j", step)
    assert keys(made) == ["j"]
    assert not [m for m in made if isinstance(m, events.Resize)]


@pytest.mark.parametrize("step", [1, 2, 1000])
@pytest.mark.parametrize("name", [name for name in KEYS if name != "esc"])
def test_every_key_is_still_itself(name: str, step: int) -> None:
    assert len(keys(told(KEYS[name].encode(), step))) == 1
    assert keys(told(b"\xe9" + KEYS[name].encode(), step)) == keys(told(KEYS[name].encode()))


def test_keys_of_terminals_that_send_c1_and_of_other_letters() -> None:
    assert keys(told(b"\x9bA\x8fP\xc2\x9bB")) == ["up", "f1", "down"]
    assert [m.character for m in told("é日".encode(), 1) if isinstance(m, events.Key)] == ["é", "日"]
    assert keys(told(b"\x1bj\x1b\x1b[A\x1b[23$x")) == ["alt+j", "escape", "up", "f23", "x"]


@given(st.lists(PIECES, max_size=12), st.integers(1, 9))
def test_whatever_a_terminal_sends_the_next_key_is_understood(pieces: list[bytes], step: int) -> None:
    typed = Typed()
    assert all(isinstance(message, Message) for message in typed.send(b"".join(pieces), step))
    # A paste that began is ended, a string too; then nothing holds the next key back.
    made = typed.send(b"\x1b[201~\x1b\\\x07\x18kk")
    assert keys(made)[-1:] == ["k"]
