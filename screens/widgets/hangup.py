"""Ends the program when its terminal is gone or it is told to end, within a second, whatever it is doing.

The event loop may be stuck: a terminal that nobody reads blocks it. So a thread waits, without using the
processor, for a signal (through a pipe, the only thing that a signal handler may safely touch) or for the
terminal to hang up, asks the program to leave, and after a moment ends it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from threading import Thread

TERMINATED, HUNG_UP = 128 + signal.SIGTERM, 128 + signal.SIGHUP
_SECONDS_TO_LEAVE = 0.6


class HangupWatch:
    """Call from the main thread. `leave(code)` asks politely, `force(code)` must not return."""

    def __init__(self, tty: int, leave: Callable[[int], None], force: Callable[[int], None]) -> None:
        self._tty = tty if os.isatty(tty) else None
        self._leave, self._force = leave, force
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        Thread(target=self._wait, name="hangup-watch", daemon=True).start()

    def _on_signal(self, number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._tell, bytes([128 + number]))

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        if self._tty is not None:
            poll.register(self._tty, 0)  # nothing but hang-up and error
        ready = [descriptor for descriptor, _ in poll.poll()]
        code = os.read(self._told, 1)[0] if self._told in ready else HUNG_UP
        if hung_up(self._tty):
            self._forget_terminal()
        self._leave(code)
        time.sleep(_SECONDS_TO_LEAVE)
        if hung_up(self._tty):
            self._forget_terminal()
        self._force(code)

    def _forget_terminal(self) -> None:
        """Point the dead terminal's descriptors at nothing: writing to it raises in threads and at exit."""
        assert self._tty is not None
        terminal = os.fstat(self._tty).st_rdev
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_rdev == terminal:
                    os.dup2(nothing, descriptor)
        os.close(nothing)


def hung_up(tty: int | None) -> bool:
    if tty is None:
        return False
    poll = select.poll()
    poll.register(tty, 0)
    return bool(poll.poll(0))
