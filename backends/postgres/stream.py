"""A pipe as a log that is still being written: read as it comes, cut into chunks at least every `FLUSH_SECONDS`."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from io import BytesIO

from backends.postgres.logfile import BLOCK, CHUNK, LogFile

FLUSH_SECONDS = 0.75
"""What was read is stored after this time, however little it is; twice this and a commit take less than two seconds."""
IDLE_SECONDS = 0.02
"""A pause this long is not just a writer that has not refilled its pipe yet."""
LOOK_SECONDS = 0.5
"""How often a silent stream checks whether it was stopped."""


class Stream(LogFile):
    """A log whose chunks end with a line, and are cut when they are old enough or large enough."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(BytesIO(), BytesIO(), 0)
        self.descriptor, self.stop = descriptor, threading.Event()
        self.read = 0
        self.when_idle: Callable[[], None] = lambda: None  # called when the writer pauses

    @property
    def bytes_done(self) -> int:
        return self.read

    def now(self) -> float:
        return time.monotonic()

    def fill(self, wanted: int) -> bool:
        while len(self.buffer) < wanted and self.more():
            pass
        return len(self.buffer) >= wanted

    def more(self) -> bool:
        """Wait for more. False: the stream has ended or was stopped."""
        while not self.ended and not self.stop.is_set():
            if self._read(LOOK_SECONDS):
                return True
        return False

    def next_cut(self) -> int:
        """Wait for the next chunk; its size. 0: the stream has ended or was stopped."""
        due: float | None = None
        while not self.ended and not self.stop.is_set() and len(self.buffer) < CHUNK:
            if due is None and b"\n" in self.buffer:
                due = self.now() + FLUSH_SECONDS
            left = LOOK_SECONDS if due is None else due - self.now()
            if left <= 0:
                break
            if not self._read(min(left, IDLE_SECONDS)):
                self.when_idle()
                self._read(min(left, LOOK_SECONDS))
        if self.ended and len(self.buffer) <= CHUNK:
            return len(self.buffer)
        return (self.buffer.rfind(b"\n", 0, CHUNK) + 1) or (CHUNK if len(self.buffer) >= CHUNK else 0)

    def _read(self, seconds: float) -> bool:
        """Read what is there. At most a chunk is held at a time, so a faster writer has to wait."""
        if not (block := self._wait(seconds)):
            return False
        self.read += len(block)
        self.buffer += block
        return True

    def _wait(self, seconds: float) -> bytes:
        """What comes within that time; empty when nothing does or the stream has ended."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return b""
        block = os.read(self.descriptor, BLOCK)
        self.ended = not block
        return block
