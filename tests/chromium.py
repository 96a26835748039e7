"""A real Chromium without a window, asked over its DevTools protocol.

It is Debian's, where that is installed or unpacked beside the tests' own programs; `make setup` does not fetch it,
because it is large.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests import debian

PACKAGE = "chromium"
PATIENCE = 90.0  # seconds; the machine may be busy


def program() -> str | None:
    unpacked = debian.place(PACKAGE) / "usr/lib/chromium/chromium"
    return shutil.which("chromium") or (str(unpacked) if unpacked.exists() else None)


class Page:
    """One tab. `complaints`: what its console and its policies said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.complaints: list[str] = []

    async def ask(self, method: str, **parameters: Any) -> Any:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            while (said := await self.socket.receive_json()).get("id") != number:
                entry = said.get("params", {}).get("entry", {})
                if said.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error":
                    self.complaints.append(str(said["params"]))
        return said.get("result", said)

    async def value(self, script: str) -> Any:
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return found["result"].get("value", found)

    async def until(self, script: str) -> None:
        """Wait in the page itself until the script is true."""
        look = f"const look = () => ({script}) ? done(true) : setTimeout(look, 50); look()"
        assert await self.value(f"new Promise(done => {{ {look} }})") is True


@asynccontextmanager
async def page(folder: Path) -> AsyncIterator[Page]:
    found = program()
    assert found is not None
    libraries = debian.libraries(PACKAGE)
    more = [str(each) for each in debian.place(PACKAGE).glob("usr/lib/*-linux-gnu/pulseaudio")]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join([libraries["LD_LIBRARY_PATH"], *more])}
    process = await asyncio.create_subprocess_exec(
        found, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
        f"--user-data-dir={folder}", "about:blank", env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while b"DevTools listening on" not in (line := await process.stderr.readline()):
                assert line, "Chromium has ended"
        port = line.decode().split("127.0.0.1:")[1].partition("/")[0]
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                address = next(each for each in await answer.json() if each["type"] == "page")["webSocketDebuggerUrl"]
            async with client.ws_connect(address, max_msg_size=0) as socket:
                tab = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await tab.ask(f"{domain}.enable")
                yield tab
    finally:
        process.kill()
        await process.wait()
