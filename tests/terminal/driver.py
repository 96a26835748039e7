"""The real program in a real pty: keys in, screen out.

    with Terminal([sys.executable, "-m", "app"], columns=80, lines=24) as terminal:
        terminal.see("tenants")
        terminal.press("j", "enter")

A thread plays the terminal's end: it records (seconds, bytes) and answers the questions that programs ask at
their start; nothing is parsed while the program runs unless a test asks for the screen. `delay` and `slow` put a
link in between: seconds each way, and bytes per second towards the screen.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from tests.terminal.keys import KEYS
from tests.terminal.leftovers import left_on
from tests.terminal.screen import Cell, Screen

Record = tuple[float, bytes | tuple[int, int]]
"""Seconds since the start, and what came: bytes of the program, or a resize to (columns, lines)."""

_QUESTION = re.compile(
    rb"\x1b\[(?:0?c|\?2026\$p|\?2048\$p|\?2048h|6n|\?u|14t|16t|18t)|\x1b\](?:10|11);\?(?:\x07|\x1b\\)"
)
_ANSWERS = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[0c": b"\x1b[?62;22c",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[?u": b"\x1b[?0u",
}
_LONGEST_QUESTION = 16


class Terminal:
    def __init__(
        self,
        argv: Sequence[str],
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
        *,
        delay: float = 0.0,
        slow: int = 0,
        background: str = "0000/0000/0000",
        in_band: bool = False,
    ) -> None:
        """`env` is added to a small clean environment; None removes a variable. `background` answers OSC 11.

        `in_band`: a terminal that reports its size in the stream (mode 2048), as some newer ones do.
        """
        self._argv, self._cwd = list(argv), cwd
        self._size = self._told_size = (columns, lines)
        self._env = _environment(env or {})
        self._delay, self._slow = delay, slow
        self._background, self._in_band = background, in_band
        self._changed = threading.Condition()
        self._records: list[Record] = []
        self._screen = Screen(columns, lines)
        self._shown = 0  # records that the screen has seen
        self._coming: deque[tuple[float, bytes]] = deque()  # on the link, towards the screen
        self._going: deque[tuple[float, bytes]] = deque()  # on the link, towards the program
        self._question = b""
        self._reading = True
        self._status: int | None = None
        self._stopped = False
        self._open = True

    # Life

    def __enter__(self) -> Self:
        self._woken, self._wake = os.pipe()
        self.started = time.monotonic()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            self._become_program()
        _set_size(self._master, *self._size)
        self._attributes = termios.tcgetattr(self._master)
        self._pump = threading.Thread(target=self._play, daemon=True)
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._pump.start()
        self._reaper.start()
        return self

    def _become_program(self) -> None:
        try:
            _set_size(0, *self._size)
            if self._cwd:
                os.chdir(self._cwd)
            os.execvpe(self._argv[0], self._argv, self._env)
        finally:
            os._exit(127)

    def __exit__(self, *_: object) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # it leads its own group
        self._reaper.join(5)
        self.hang_up()
        os.close(self._woken)
        os.close(self._wake)

    def _reap(self) -> None:
        while True:
            _, status = os.waitpid(self.pid, os.WUNTRACED | os.WCONTINUED)
            with self._changed:
                self._stopped = os.WIFSTOPPED(status)
                if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                    self._status = os.waitstatus_to_exitcode(status)
                self._changed.notify_all()
                if self._status is not None:
                    return

    def wait(self, timeout: float = 40.0) -> int:
        """The exit code; negative for a signal. All that the program wrote has been read."""
        code = self.ended(timeout)
        self._pump.join(timeout)
        return code

    def ended(self, timeout: float = 40.0) -> int:
        """The exit code, whether or not what the program wrote has been read."""
        self._until(lambda: self._status is not None, timeout, "the program did not end")
        assert self._status is not None
        return self._status

    def wait_stopped(self, timeout: float = 40.0) -> None:
        """Until the program has stopped, as after ctrl+z; `signal(SIGCONT)` goes on."""
        self._until(lambda: self._stopped, timeout, "the program did not stop")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stall(self, stalled: bool = True) -> None:
        """Stop reading what the program writes, as a hung SSH does; `stall(False)` goes on."""
        self._reading = not stalled
        os.write(self._wake, b"x")

    def hang_up(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        if not self._open:
            return
        self._open = False
        os.write(self._wake, b"x")
        self._pump.join(5)
        os.close(self._master)

    # The terminal's end

    def _play(self) -> None:
        ready_to_read, ended = 0.0, False
        while self._open:
            now = time.monotonic()
            while self._going and self._going[0][0] <= now:
                os.write(self._master, self._going.popleft()[1])
            while self._coming and self._coming[0][0] <= now:
                self._receive(self._coming.popleft()[1])
            if ended and not self._coming:
                return
            due = [queue[0][0] for queue in (self._coming, self._going) if queue]
            reading = [self._woken]
            if ready_to_read <= now:
                reading += [self._master] * (self._reading and not ended)
            else:
                due.append(ready_to_read)
            ready, _, _ = select.select(reading, [], [], max(0.0, min(due) - now) if due else None)
            if self._woken in ready:
                os.read(self._woken, 1024)
            if self._master in ready:
                data = self._read()
                if not data:
                    ended = True
                    continue
                now = time.monotonic()
                self._coming.append((now + self._delay, data))
                ready_to_read = now + len(data) / self._slow if self._slow else 0.0

    def _read(self) -> bytes:
        try:
            return os.read(self._master, min(65536, max(1, self._slow // 20)) if self._slow else 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return b""

    def _receive(self, data: bytes) -> None:
        seconds = time.monotonic() - self.started  # before the lock: a test may be parsing
        with self._changed:
            self._records.append((seconds, data))
            self._changed.notify_all()
        asked = self._question + data
        end = 0
        for question in _QUESTION.finditer(asked):
            end = question.end()
            answer = _ANSWERS.get(question[0])
            if question[0].startswith(b"\x1b]"):
                answer = question[0][:5] + f"rgb:{self._background}\x1b\\".encode()
            if self._in_band and question[0] == b"\x1b[?2048$p":
                answer = b"\x1b[?2048;2$y"
            elif self._in_band and question[0] == b"\x1b[?2048h":
                answer = self._size_report()
            if answer:
                self._going.append((time.monotonic() + self._delay, answer))
        self._question = asked[end:][-_LONGEST_QUESTION:]

    def _size_report(self) -> bytes:
        columns, lines = self._told_size
        return b"\x1b[48;%d;%d;0;0t" % (lines, columns)

    # Keys

    def send(self, data: bytes) -> None:
        self._going.append((time.monotonic() + self._delay, data))
        os.write(self._wake, b"x")

    def press(self, *keys: str) -> None:
        """Keys by name ("enter", "ctrl+c", "shift+tab") or as a character. After "esc" wait for its effect."""
        for key in keys:
            self.send(KEYS.get(key, key).encode())

    def type(self, text: str) -> None:
        self.send(text.encode())

    def paste(self, text: str) -> None:
        self.send(b"\x1b[200~" + text.encode() + b"\x1b[201~")

    def resize(self, columns: int, lines: int) -> None:
        with self._changed:
            self._records.append((time.monotonic() - self.started, (columns, lines)))
        self._told_size = (columns, lines)
        _set_size(self._master, columns, lines)  # the kernel sends SIGWINCH
        if self._in_band:
            self.send(self._size_report())

    def intrude(self, data: bytes) -> None:
        """Another program writes to the same terminal."""
        with self._changed:
            self._records.append((time.monotonic() - self.started, data))

    # The screen

    def see(self, text: str | re.Pattern[str], timeout: float = 40.0) -> None:
        """Wait until the screen shows the text, within one line. AssertionError with the screen otherwise."""
        self._until(lambda: self._shows(text), timeout, f"not seen: {_words(text)}")

    def gone(self, text: str | re.Pattern[str], timeout: float = 40.0) -> None:
        self._until(lambda: not self._shows(text), timeout, f"still there: {_words(text)}")

    def receive(self, data: bytes | Callable[[bytes], bool], timeout: float = 40.0) -> None:
        """Wait until the program has written these bytes, or what was written is as a function wants it."""
        true = data if callable(data) else lambda written: data in written
        self._until(lambda: true(self._bytes()), timeout, f"not received: {data!r}")

    def settle(self, quiet: float = 0.2, timeout: float = 40.0) -> None:
        """Wait until the program has written nothing for `quiet` seconds, counted from now at the earliest."""
        called = time.monotonic()
        limit = called + timeout
        with self._changed:
            while True:
                last = self.started + self._records[-1][0] if self._records else called
                left = max(last, called) + quiet - time.monotonic()
                if left <= 0:
                    return
                assert time.monotonic() < limit, f"never quiet for {quiet} s\n{self._picture()}"
                self._changed.wait(left)

    def screen(self) -> list[str]:
        with self._changed:
            self._show()
            return self._screen.lines()

    def cell(self, x: int, y: int) -> Cell:
        with self._changed:
            self._show()
            return self._screen.cell(x, y)

    def cells(self) -> list[list[Cell]]:
        """All cells, line by line."""
        with self._changed:
            self._show()
            return [[self._screen.cell(x, y) for x in range(self._size[0])] for y in range(self._size[1])]

    def cursor(self) -> tuple[int, int, bool]:
        """x, y, and whether it is visible."""
        with self._changed:
            self._show()
            return self._screen.cursor()

    def title(self) -> str:
        with self._changed:
            self._show()
            return self._screen.title

    def _shows(self, text: str | re.Pattern[str]) -> bool:
        self._show()
        lines = self._screen.lines()
        return any((text in line) if isinstance(text, str) else text.search(line) for line in lines)

    def _show(self) -> None:
        for _, what in self._records[self._shown :]:
            if isinstance(what, bytes):
                self._screen.feed(what)
            else:
                self._size = what
                self._screen.resize(*what)
        self._shown = len(self._records)

    def _until(self, true: object, timeout: float, otherwise: str) -> None:
        assert callable(true)
        limit = time.monotonic() + timeout
        with self._changed:
            while not true():
                left = limit - time.monotonic()
                if left <= 0 or (self._status is not None and not self._pump.is_alive()):
                    raise AssertionError(f"{otherwise} (exit code {self._status})\n{self._picture()}")
                self._changed.wait(min(left, 0.5))  # the end of the pump wakes nobody

    def _picture(self) -> str:
        self._show()
        return "\n".join(["+" + "-" * self._size[0], *("|" + line for line in self._screen.lines()), "+"])

    # What went over the wire

    @property
    def records(self) -> list[Record]:
        with self._changed:
            return list(self._records)

    @property
    def raw(self) -> bytes:
        with self._changed:
            return self._bytes()

    def _bytes(self) -> bytes:
        return b"".join(what for _, what in self._records if isinstance(what, bytes))

    def mark(self) -> int:
        """Bytes so far; see `bytes_since`."""
        return len(self.raw)

    def bytes_since(self, mark: int) -> bytes:
        return self.raw[mark:]

    def first_paint(self, cells: int = 40) -> float:
        """Seconds from the start until that many cells were not blank. AssertionError if that never was."""
        screen = Screen(*self._size)
        for seconds, what in self.records:
            if isinstance(what, bytes):
                screen.feed(what)
                if screen.alternate and sum(len(line.replace(" ", "")) for line in screen.lines()) >= cells:
                    return seconds
        raise AssertionError(f"{cells} cells were never painted\n{self._picture()}")

    def restored(self) -> bool:
        return not self.not_restored()

    def not_restored(self) -> list[str]:
        """What the program left switched on, judged from its bytes and the line's settings."""
        wrong = left_on(self.raw)
        if self._open and termios.tcgetattr(self._master)[3] != self._attributes[3]:
            wrong.append("echo or line mode")
        return wrong


def _words(text: str | re.Pattern[str]) -> str:
    return repr(text if isinstance(text, str) else text.pattern)


def _set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    wanted = {**kept, "LANG": "C.UTF-8", "TERM": "xterm-256color", "COLORTERM": "truecolor", **changes}
    return {name: value for name, value in wanted.items() if value is not None}
