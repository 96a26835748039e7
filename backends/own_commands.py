"""Runs a program for a person who looks at what it writes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from backends.probes import MAX_OUTPUT_BYTES, PASSED_ON, end_group


async def run(argv: Sequence[str], seconds: float, take: Callable[[str], None]) -> str:
    """Without a shell and without our passwords, in a process group of its own, which ends with it, after `seconds`, or
    when the caller is cancelled. `take` is given what it writes. Returns how it ended, in words.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        return f"cannot be started: {words}"
    try:
        async with asyncio.timeout(seconds):
            whole = await _read(process, take)
            code = await process.wait() if whole else None
    except TimeoutError:
        return f"killed after {seconds:g} s"
    finally:
        await end_group(process)
    return f"ended with {code}" if whole else f"killed: it wrote more than {MAX_OUTPUT_BYTES:,} bytes"


async def _read(process: asyncio.subprocess.Process, take: Callable[[str], None]) -> bool:
    """False: it is more than is shown."""
    assert process.stdout is not None
    import codecs

    decoder, number = codecs.getincrementaldecoder("utf-8")("replace"), 0
    while piece := await process.stdout.read(65_536):
        number += len(piece)
        if number > MAX_OUTPUT_BYTES:
            return False
        take(decoder.decode(piece))
    take(decoder.decode(b"", final=True))
    return True
