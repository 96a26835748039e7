"""Ended, hung up, crashed, suspended: the terminal is as it was, the exit code tells, what must be kept is kept."""

from __future__ import annotations

import base64
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from screens.terminal.clipboard import OSC_52_LIMIT
from screens.terminal.plain import why_not_a_screen
from tests.terminal.conftest import PROGRAM, sync
from tests.terminal.driver import Terminal

Start = Callable[..., Terminal]


def blocked(terminal: Terminal, key: str, folder: Path) -> None:
    """Press a key that never comes back, and wait until it has begun."""
    terminal.press(key)
    limit = time.monotonic() + 10
    while not (folder / "blocked").exists():
        assert time.monotonic() < limit
        terminal.settle(0.02)


def gone(terminal: Terminal) -> int:
    """How fast it goes is for a quiet machine to say; that it goes, for this one."""
    return terminal.wait(30)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_restores_and_ends(start: Start, saved: Path, number: int, code: int) -> None:
    terminal = start(env={"PROGRAM_SAVE": str(saved), "PROGRAM_TITLE": "mine"})
    assert terminal.title() == "mine"
    terminal.signal(number)
    assert gone(terminal) == code
    assert saved.read_text() == "saved"
    assert terminal.not_restored() == []
    assert terminal.title() == ""
    assert terminal.screen()[0] == ""  # nothing is said: whoever sent it knows


@pytest.mark.parametrize("key", ["b", "T"])
def test_a_signal_ends_even_a_stuck_program(start: Start, saved: Path, tmp_path: Path, key: str) -> None:
    """An event loop that hangs, a thread that does not listen."""
    terminal = start(env={"PROGRAM_SAVE": str(saved), "PROGRAM_TITLE": "mine"})
    blocked(terminal, key, tmp_path)
    terminal.signal(signal.SIGTERM)
    assert gone(terminal) == 143
    assert saved.read_text() == "saved"
    assert terminal.not_restored() == []
    assert terminal.title() == ""


def test_a_signal_ends_a_program_whose_terminal_nobody_reads(start: Start, saved: Path, tmp_path: Path) -> None:
    terminal = start(env={"PROGRAM_SAVE": str(saved)})
    sync(terminal, 2)
    terminal.stall()
    blocked(terminal, "o", tmp_path)
    terminal.signal(signal.SIGTERM)
    assert terminal.ended(1.0) == 143
    terminal.stall(False)
    terminal.wait()
    assert saved.read_text() == "saved"
    assert terminal.not_restored() == []


@pytest.mark.parametrize("deaf", [None, "1"])
def test_a_hung_up_terminal_ends_the_program(start: Start, saved: Path, deaf: str | None) -> None:
    """By SIGHUP; and where none comes, by the terminal itself."""
    terminal = start(env={"PROGRAM_SAVE": str(saved), "PROGRAM_DEAF": deaf})
    terminal.hang_up()
    assert gone(terminal) == 129
    assert saved.read_text() == "saved"


@pytest.mark.parametrize(("key", "error"), [("x", "KeyError"), ("w", "ValueError"), ("E", "Rich")])
def test_a_crash_leaves_one_line_and_a_report_without_secrets(
    start: Start, tmp_path: Path, key: str, error: str
) -> None:
    terminal = start(columns=200, env={"PROGRAM_TITLE": "mine"})
    terminal.press(key)
    assert terminal.wait() == 1
    assert terminal.not_restored() == []
    assert terminal.title() == ""
    (report,) = tmp_path.glob("watchfloor-crash-*")
    assert [line for line in terminal.screen() if line] == [f"watchfloor stopped: {error}; the report is in {report}"]
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert error in report.read_text()
    assert "program.py" in report.read_text()
    assert "hunter2" not in report.read_text()  # a local variable of the crash
    assert b"hunter2" not in terminal.raw
    assert b"Traceback" not in terminal.raw


def test_a_crash_without_a_place_for_its_report_says_so(start: Start) -> None:
    terminal = start(columns=200, env={"PROGRAM_REPORTS": "/dev/null/nowhere"})
    terminal.press("x")
    assert terminal.wait() == 1
    terminal.see("watchfloor stopped: KeyError; no report could be written (Not a directory)")


def test_leaving_gives_the_code_and_an_inert_message(start: Start) -> None:
    terminal = start()
    terminal.press("q")
    assert terminal.wait() == 7
    assert terminal.not_restored() == []
    assert terminal.screen()[0] == "bye [2Jnow"


def test_suspend_and_go_on_under_a_real_shell() -> None:
    with Terminal(["/bin/sh", "-i"], env={"PS1": "shell> ", "ENV": None}) as terminal:
        terminal.see("shell>")
        terminal.type(f"PROGRAM_TITLE=mine {' '.join(PROGRAM)}\r")
        terminal.see("21 ")
        terminal.press("j", "u")
        terminal.see("0 acme       1")
        before = terminal.screen()
        terminal.press("ctrl+z")
        terminal.see("Stopped")
        assert terminal.not_restored() == []
        assert terminal.title() == ""
        terminal.type("fg\r")
        terminal.see("0 acme       1")
        terminal.see("filter")
        assert terminal.screen() == before
        assert terminal.title() == "mine"
        terminal.press("q")
        terminal.see("bye")
        terminal.type("echo code=$?\r")
        terminal.see("code=7")


def test_coming_back_from_another_program_paints_all(start: Start) -> None:
    terminal = start(env={"PROGRAM_TITLE": "mine"})
    before = terminal.screen()
    terminal.press("e")
    terminal.receive(b"in the editor")
    sync(terminal, 2)
    terminal.see("filter")
    assert terminal.screen() == before
    assert terminal.title() == "mine"
    assert terminal.raw.count(b"\x1b[22;2t") == 2


def test_the_title_is_inert_and_sent_only_when_it_changes(start: Start) -> None:
    terminal = start()
    terminal.press("t", "t")
    sync(terminal, 2)
    assert terminal.raw.count(b"\x1b]2;") == 1
    assert terminal.title() == "[PROD RO] acme]52;c;aGk= 3!"


def test_no_colour_is_really_none(start: Start) -> None:
    terminal = start(env={"NO_COLOR": "1"})
    terminal.press("u", "j", "n", "m")
    sync(terminal, 2)
    pens = set(";".join(re.findall(r"\x1b\[([\d;]*)m", terminal.raw.decode())).split(";"))
    assert pens <= {"", "0", "1", "2", "3", "4", "7", "9", "39", "49"}
    assert "7" in pens  # the cursor can still be told


def test_the_mouse_never_reports_movement(start: Start) -> None:
    terminal = start()
    assert b"\x1b[?1000h" in terminal.raw
    assert not re.search(rb"\x1b\[\?(1002|1003|1015|1016)h", terminal.raw)


# Copying


def test_copy_goes_through_the_terminal(start: Start) -> None:
    terminal = start(env={"PROGRAM_COPY": "tenant 日本"})
    terminal.press("c")
    terminal.see("sent to the terminal's clipboard")
    assert b"\x1b]52;c;" + base64.b64encode("tenant 日本".encode()) + b"\x07" in terminal.raw


def test_what_is_too_long_for_the_terminal_goes_to_a_private_file(start: Start, tmp_path: Path) -> None:
    longest = "x" * (OSC_52_LIMIT // 4 * 3 + 1)
    terminal = start(columns=200, env={"PROGRAM_COPY": longest, "TMPDIR": str(tmp_path)})
    terminal.press("c")
    terminal.see("saved to")
    (file,) = tmp_path.glob("watchfloor-copy-*")
    assert file.read_text() == longest
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"\x1b]52" not in terminal.raw


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    socket = tmp_path / "tmux"

    def call(*arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(socket), "-f", "/dev/null", *arguments], capture_output=True, text=True
        )
        return done.stdout

    yield call
    call("kill-server")


def test_copy_inside_tmux_goes_through_tmux(start: Start, tmp_path: Path, tmux: Callable[..., str]) -> None:
    tmux("new-session", "-d", "-s", "test", "cat")
    inside = f"{tmp_path / 'tmux'},{tmux('display', '-p', '#{pid}').strip()},0"
    terminal = start(env={"PROGRAM_COPY": "a secret?", "TMUX": inside})
    terminal.press("c")
    terminal.see("copied to tmux")
    assert tmux("show-buffer") == "a secret?"
    assert b"\x1b]52" not in terminal.raw


def test_copy_with_a_tmux_that_is_gone_falls_to_the_terminal(start: Start, tmp_path: Path) -> None:
    terminal = start(env={"PROGRAM_COPY": "a", "TMUX": f"{tmp_path / 'none'},1,0"})
    terminal.press("c")
    terminal.see("sent to the terminal's clipboard")


# No screen at all


@pytest.mark.parametrize("term", ["dumb", None])
def test_a_dumb_terminal_gets_no_screen(term: str | None) -> None:
    command = (
        "from screens.terminal.plain import why_not_a_screen; import sys; print('why:', why_not_a_screen());"
        "print('textual' in sys.modules)"
    )
    with Terminal([sys.executable, "-c", command], env={"TERM": term}) as terminal:
        terminal.see("why: TERM is " + (term or "not set"))
        terminal.see("False")
    with Terminal([sys.executable, "-c", command]) as terminal:
        terminal.see(re.compile("why: *$"))


def test_a_pipe_gets_no_screen() -> None:
    command = "from screens.terminal.plain import why_not_a_screen; print(why_not_a_screen({'TERM': 'xterm'}))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.stdout == "the input is not a terminal\n"
    assert why_not_a_screen({}) == "TERM is not set"
