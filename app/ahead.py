"""Reads the overview in a process of its own, on the second processor, while the console loads what it paints with.

The console loads for 0.2 s before its first frame, and as long again for the database; one interpreter does one after
the other. So a child connects and reads, and what it read is shown with the first frame. It is only a start: the
console connects by itself right afterwards, reads all of it again and puts that in its place.

Whatever goes wrong, nothing is shown ahead and nothing is said: the console meets it, too. Only an embedded home is
read so, and only when it runs: for any other a password may have to be asked for.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.homes import HomeChoice
    from app.start import Start

WAIT_SECONDS = 0.1
"""How long the console waits for it once its first frame is painted."""
LIFE_SECONDS = 3
"""Then the child ends, also when nobody is left to end it."""


class Ahead:
    """A child that reads, and the end of the pipe that it writes to."""

    def __init__(self, child: int, pipe: int) -> None:
        self._child, self._pipe = child, pipe

    async def answers(self, choice: HomeChoice) -> Mapping[str, Any]:
        """Part → what was read of this home; nothing when that failed, or is not there in time. The child ends."""
        import asyncio
        import pickle

        pipe, self._pipe = self._pipe, -1
        try:
            written = await asyncio.wait_for(asyncio.to_thread(_whole, pipe), WAIT_SECONDS)
            of, answers = pickle.loads(written)
        except (TimeoutError, EOFError, pickle.UnpicklingError):
            return {}
        finally:
            self.end()
        return answers if of == choice else {}

    def end(self) -> None:
        """End the child, and wait until it has."""
        if self._child:
            with suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored, nobody waits for it
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
            self._child = 0
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def _whole(pipe: int) -> bytes:
    """All that is written to a pipe, which is closed then. It blocks."""
    with open(pipe, "rb") as reading:
        return reading.read()


def begin(start: Start) -> Ahead | None:
    """Have the overview read, when that is what the console will show, and a second processor is free to do it."""
    if sys.platform != "linux" or start.link or start.accessible or not processor_free():
        return None
    reading, writing = os.pipe()
    try:
        child = os.fork()  # no other thread runs yet
    except OSError:  # there are too many processes
        os.close(reading)
        return None
    else:
        if child == 0:
            _read_and_end(start, writing)
        return Ahead(child, reading)
    finally:
        os.close(writing)


def processor_free() -> bool:
    """Whether another process can run beside this one; else it would only delay it."""
    try:
        # 0.20 0.18 0.12 1/80 11206: one of 80 runs, this one
        running = int(Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return 1 < len(os.sched_getaffinity(0)) >= running


def _read_and_end(start: Start, pipe: int) -> NoReturn:
    try:
        signal.alarm(LIFE_SECONDS)
        os.nice(5)  # the first frame goes first where the processors are busy
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # the terminal is the console's alone
            os.dup2(nothing, stream)
        if written := _overview(start):
            os.write(pipe, written)
    finally:
        os._exit(0)


def _overview(start: Start) -> bytes:
    """The home that was read, and its parts; empty when it is not read ahead."""
    import asyncio
    import pickle

    from app.embedded import embedded_of
    from app.homes import resolve_home
    from app.settings import load

    settings = load()
    choice = resolve_home(start.home, os.environ, settings)
    if choice.kind != "folder" or embedded_of(choice).known() is None:
        return b""

    async def read() -> Mapping[str, Any]:
        from app.contexts import connect
        from controlplane.overview.entries import PARTS
        from controlplane.overview.model import OverviewSource

        context = await connect(choice, settings=settings, conversation="console", start=False, connections=1)
        source = context.home.of(OverviewSource)
        if await source.empty():
            return {}
        return {part.name: await part.read(source) for part in PARTS if not part.loads}

    answers = asyncio.run(read())
    return pickle.dumps((choice, answers)) if answers else b""
