"""The instruments themselves: a test that measures with a crooked ruler proves nothing."""

from __future__ import annotations

import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.terminal.driver import Terminal
from tests.terminal.link import CutLink

ECHO = """
import os, sys, tty
tty.setraw(0)
os.write(1, b'ready ')
while (data := os.read(0, 1024)) != b'q':
    os.write(1, repr(data).encode() + b' ')
"""


def python(code: str, **options: object) -> Terminal:
    return Terminal([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def test_keys_arrive_as_a_terminal_sends_them() -> None:
    with python(ECHO) as terminal:
        terminal.see("ready")
        for key, sent in {"down": r"b'\x1b[B'", "ctrl+c": r"b'\x03'", "f5": r"b'\x1b[15~'", "j": "b'j'"}.items():
            terminal.press(key)
            terminal.see(sent)
        terminal.paste("two\nlines")
        terminal.see(r"b'\x1b[200~two\nlines\x1b[201~'")
        terminal.press("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (r"\x1b[c", r"\x1b[?62;22c"),
        (r"\x1b[?2026$p", r"\x1b[?2026;2$y"),
        (r"\x1b[?2048$p", r"\x1b[?2048;0$y"),
        (r"\x1b[6n", r"\x1b[1;1R"),
        (r"\x1b[?u", r"\x1b[?0u"),
        (r"\x1b]11;?\x07", r"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"),
    ],
)
def test_questions_are_answered(question: str, answer: str) -> None:
    with python(ECHO.replace("ready ", question), background="ffff/ffff/ffff") as terminal:
        terminal.see(f"b'{answer}'")


def test_sees_what_appears_and_tells_the_screen_when_it_does_not() -> None:
    with python("print('hello'); input(); print('\\x1b[2J\\x1b[3;5Hthere', end='', flush=True); input()") as terminal:
        terminal.see("hello")
        with pytest.raises(AssertionError, match=r"not seen: 'there'[^+]*\n\+-+\n\|hello"):
            terminal.see("there", timeout=0.05)
        terminal.press("enter")
        terminal.see("there")
        terminal.gone("hello")
        assert terminal.screen()[2] == "    there"
        assert terminal.cell(4, 2).char == "t"


def test_the_end_of_the_program_is_seen_at_once() -> None:
    with python("raise SystemExit(5)") as terminal:
        began = time.monotonic()
        with pytest.raises(AssertionError, match="exit code 5"):
            terminal.see("anything")
        assert time.monotonic() - began < 5
        assert terminal.wait() == 5
    with python("import time; time.sleep(60)") as terminal:
        terminal.signal(signal.SIGKILL)
        assert terminal.wait() == -9


def test_what_is_left_switched_on_is_told() -> None:
    on = r"\x1b[?1049h\x1b[?1000h\x1b[?2004h\x1b[?25l\x1b[22;2t\x1b]2;mine\x07"
    off = r"\x1b[?1049l\x1b[?1000l\x1b[?2004l\x1b[?25h\x1b[23;2t"
    with python(f"print('{on}')") as terminal:
        terminal.wait()
        assert not terminal.restored()
        wrong = terminal.not_restored()
    assert wrong == ["the alternate screen", "mouse mode 1000", "bracketed paste", "the cursor is hidden", "the title"]
    with python(f"print('{on}{off}')") as terminal:
        terminal.wait()
        assert terminal.restored()
        assert terminal.title() == ""
    with python("import tty; tty.setraw(0)") as terminal:
        terminal.wait()
        assert terminal.not_restored() == ["echo or line mode"]


def test_styles_are_read() -> None:
    with python(r"print('\x1b[1;2;38;2;2;22;5;48;5;1mA\x1b[22mB\x1b[0;4;7;9;3mC\x1b[m日')") as terminal:
        terminal.wait()
        first, second, third, wide, right, after = (terminal.cell(x, 0) for x in range(6))
    assert (first.colour, first.background, first.bold, first.dim) == ("021605", "cd0000", True, True)
    assert (second.bold, second.dim, second.colour) == (False, False, "021605")
    assert (third.underline, third.reverse, third.strike, third.italic) == (True, True, True, True)
    assert (wide.char, right.char, after.char) == ("日", "", " ")


def test_first_paint_is_the_time_of_forty_cells() -> None:
    program = "import time; print('\\x1b[?1049h' + 'x' * 39, end='', flush=True); input(); print('yy')"
    with python(program) as terminal:
        terminal.see("x" * 39)
        with pytest.raises(AssertionError, match="never painted"):
            terminal.first_paint()
        pressed = time.monotonic() - terminal.started
        terminal.press("enter")
        terminal.wait()
        assert terminal.first_paint() > pressed


def test_a_slow_and_distant_link() -> None:
    with python("input('go'); print('x' * 2000)", delay=0.15, slow=8000) as terminal:
        terminal.see("go")
        pressed = time.monotonic() - terminal.started
        terminal.press("enter")
        terminal.wait()
        after = [seconds - pressed for seconds, what in terminal.records if isinstance(what, bytes) and b"x" in what]
    assert after[0] >= 0.3  # there and back
    assert after[-1] - after[0] >= 0.15  # 2000 bytes at 8000 a second, the first piece free


def test_resizing_reaches_the_program() -> None:
    program = (
        "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH}); print('ready', flush=True)\n"
        "while signal.sigwait({signal.SIGWINCH}): print(*os.get_terminal_size(), flush=True)"
    )
    with python(program, columns=90, lines=30) as terminal:
        terminal.see("ready")
        terminal.resize(100, 20)
        terminal.see("100 20")
        assert len(terminal.screen()) == 20


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionResetError):  # a link that is cut
            while data := self.request.recv(1024):
                self.request.sendall(data)


@pytest.fixture
def link() -> Iterator[CutLink]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with CutLink(("127.0.0.1", server.server_address[1])) as link:
            yield link
        server.shutdown()


def join(link: CutLink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def ask(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(1024)


def test_a_cut_link_resets_and_refuses_until_restored(link: CutLink) -> None:
    with join(link) as connection:
        assert ask(connection) == b"hello"
        assert link.connections() == 1
        link.cut()
        with pytest.raises(ConnectionError):
            connection.recv(1024)
    with pytest.raises(ConnectionRefusedError):
        join(link)
    link.restore()
    with join(link) as connection:
        assert ask(connection) == b"hello"


def test_a_frozen_link_is_silent_until_restored(link: CutLink) -> None:
    with join(link) as connection:
        assert ask(connection) == b"hello"
        link.freeze()
        connection.sendall(b"later")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1024)
        connection.settimeout(5)
        link.restore()
        assert connection.recv(1024) == b"later"


def test_a_delayed_link_takes_its_time_and_keeps_the_order(link: CutLink) -> None:
    with join(link) as connection:
        link.delay(200)
        began = time.monotonic()
        assert ask(connection) == b"hello"
        assert time.monotonic() - began >= 0.2
        link.delay(0)
        assert ask(connection, b"again") == b"again"
