"""What a gate's checks look at outside of the control plane: an HTTP endpoint, a program's answer."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Any

from backends.http.client import Http
from controlplane import jsontext
from controlplane.deliveries.model import Trouble
from controlplane.deliveries.targets import Allowed, check_url
from controlplane.gates.checks import CommandCheck, HttpCheck
from controlplane.gates.jsonpath import find
from controlplane.gates.judging import trouble
from controlplane.gates.observing import Seen

MAX_ANSWER_BYTES = 1024 * 1024
MAX_OUTPUT_BYTES = 1024 * 1024
MAX_TEXT = 400
GRACE_SECONDS = 2.0
"""What a program that is told to end may take before it is killed."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
"""What a command gets of the environment: no password of ours."""


class HttpProbe:
    """One GET, without a redirect, past the check of where it connects to."""

    def __init__(self, http: Http, allowed: Allowed) -> None:
        self._http, self._allowed = http, allowed

    async def __call__(self, check: HttpCheck) -> Seen:
        check_url(check.url, self._allowed)
        start = time.monotonic()
        try:
            received = await self._http.get(
                check.url, [("accept", "application/json, */*")], seconds=check.limit, most=MAX_ANSWER_BYTES
            )
        except Trouble as fault:
            if fault.kind == "slow":
                raise TimeoutError from None
            return Seen(trouble("error", fault.words))
        if received.broken is not None:
            return Seen(trouble("error", f"the answer is not whole: {received.broken.words}"))
        seen: dict[str, Any] = {"status": received.status, "ms": round((time.monotonic() - start) * 1000, 1)}
        if check.path and received.cut:
            return Seen(trouble("error", f"the answer is larger than {MAX_ANSWER_BYTES:,} bytes"))
        return Seen(seen | (value_in(bytes(received.body), check.path) if check.path else {}))


def value_in(content: bytes, path: str) -> dict[str, Any]:
    """The value of a path, if it is one that can be judged: nothing else of the content is kept."""
    try:
        document = jsontext.read(content)
    except ValueError:
        return {"json": False}
    found, value = find(document, path)
    if isinstance(value, str):
        value = value[:MAX_TEXT]
    elif isinstance(value, dict | list):
        return {
            "json": True,
            "found": True,
            "value": f"{len(value)} {'fields' if isinstance(value, dict) else 'items'}",
        }
    return {"json": True, "found": found, "value": value}


async def run_command(check: CommandCheck) -> Seen:
    """Without a shell, in a process group of its own, which is killed as a whole when its time is over."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    wants = bool(check.path)
    try:
        process = await asyncio.create_subprocess_exec(
            *check.run,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if wants else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        return Seen(trouble("error", f"{check.run[0]} cannot be started: {words}"))
    try:
        output = await _output(process) if wants else b""
        code = await process.wait()
    finally:
        await end_group(process)
    if output is None:
        return Seen(trouble("error", f"it wrote more than {MAX_OUTPUT_BYTES:,} bytes"))
    return Seen({"exit": code} | (value_in(output, check.path) if wants else {}))


async def _output(process: asyncio.subprocess.Process) -> bytes | None:
    """None: it is more than is read; the program is not waited for then."""
    assert process.stdout is not None
    output = bytearray()
    while piece := await process.stdout.read(65_536):
        output += piece
        if len(output) > MAX_OUTPUT_BYTES:
            process.kill()
            return None
    return bytes(output)


async def end_group(process: asyncio.subprocess.Process) -> None:
    """Whatever the program started in its group ends with it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), GRACE_SECONDS)
