"""Ends the program when its terminal is gone or it is told to end, within a second, whatever it is doing.

The event loop may be stuck: a terminal that nobody reads blocks it. So a thread waits, without using the
processor, for a signal or for the terminal to hang up, asks the program to leave, and after a moment ends it.

Signals come through the pipe that the interpreter itself writes to: the kernel may give one to any thread, and a
handler runs only when the main thread does something, which in a loop that sleeps is not before the next key.
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
ENDING = (signal.SIGTERM, signal.SIGHUP)
_SECONDS_TO_LEAVE = 0.6


class HangupWatch:
    """Call from the main thread. `leave(code)` asks politely, `force(code)` must not return.

    `wake()` lets the main thread run, for the handlers of other signals.
    """

    def __init__(
        self, tty: int, leave: Callable[[int], None], force: Callable[[int], None], wake: Callable[[], None]
    ) -> None:
        self._tty = tty if os.isatty(tty) else None
        self._leave, self._force, self._wake = leave, force, wake
        self._told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, lambda *_: None)  # the pipe has it
        Thread(target=self._wait, name="hangup-watch", daemon=True).start()

    def _ending(self) -> int:
        """Wait for what ends the program, and return its exit code."""
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        if self._tty is not None:
            poll.register(self._tty, 0)  # nothing but hang-up and error
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._told not in ready:
                return HUNG_UP
            numbers = os.read(self._told, 512)
            if ending := [number for number in numbers if number in ENDING]:
                return 128 + ending[0]
            self._wake()

    def _wait(self) -> None:
        code = self._ending()
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
