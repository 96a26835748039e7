"""The console in a browser: who gets in, over real HTTP and WebSockets; and what a browser may do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pyte
import pytest

from tests import chromium
from tests.app.commands import url_of
from tests.postgres import Database

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # seconds; the machine may be busy


@dataclass
class Served:
    """`url` with its token, as it was printed."""

    process: asyncio.subprocess.Process
    origin: str
    url: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def serving(database: Database, *words: str, role: str = "viewer") -> AsyncIterator[Served]:
    url, password = url_of(database.login(role))
    port = free_port()
    environment = os.environ | {"WATCHFLOOR_HOME": url, "PGPASSWORD": password}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", "--port", str(port), *words, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode().strip()
            said = "" if line else (await process.stderr.read()).decode()
        yield Served(process, f"http://127.0.0.1:{port}", line or said)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await process.wait()


def browser() -> aiohttp.ClientSession:
    """It keeps cookies of addresses without a name too, as browsers do."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def status(client: aiohttp.ClientSession, url: str, **more: object) -> int:
    async with client.get(url, allow_redirects=False, **more) as answer:  # type: ignore[arg-type]
        return answer.status


async def upgraded(client: aiohttp.ClientSession, url: str, origin: str | None) -> int:
    """The status of the answer to a WebSocket's opening."""
    try:
        async with client.ws_connect(url, origin=origin):
            return 101
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status


class Tab:
    """A tab of a browser: a terminal, and the console at the other end of its WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.screen = pyte.Screen(120, 40)
        self.stream = pyte.ByteStream(self.screen)

    async def type(self, text: str) -> None:
        await self.socket.send_json(["stdin", text])

    async def shows(self, *words: str) -> None:
        """Wait until the terminal has all of the words."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not all(any(word in line for line in self.screen.display) for word in words):
                    message = await self.socket.receive()
                    assert message.type is aiohttp.WSMsgType.BINARY, message
                    self.stream.feed(message.data)
        except TimeoutError:
            raise AssertionError("\n".join(self.screen.display)) from None


async def test_who_has_the_token_sees_the_console_and_nobody_else_does(database: Database) -> None:
    async with serving(database, "--most", "1") as served, browser() as client:
        origin, address = served.origin, f"{served.origin.replace('http', 'ws')}/ws?width=120&height=40"
        assert await status(client, origin) == 401
        assert await status(client, f"{origin}/static/js/textual.js") == 401
        assert await status(client, f"{origin}/?token=x") == 401
        assert await upgraded(client, address, origin) == 401
        assert served.url.startswith(f"{origin}/?token=")
        async with client.get(served.url) as answer:
            page = await answer.text()
            assert str(answer.url) == f"{origin}/" and "googleapis" not in page and "token" not in page
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert await status(client, origin, headers={"Host": "evil.example"}) == 421
        assert await status(client, f"{origin}/static/") == 404
        assert await status(client, f"{origin}/static/..%2f..%2fserver.py") == 404
        assert await status(client, f"{origin}/other-home/tenants") == 404
        for foreign in ("http://evil.example", "null", None, f"{origin}.evil.example"):
            assert await upgraded(client, address, foreign) == 403, foreign
        async with client.ws_connect(address, origin=origin) as socket:
            tab = Tab(socket)
            await tab.shows("overview")
            assert await upgraded(client, address, origin) == 503, "one console is open, and one is the most"
            await tab.type(":connect\r")
            await tab.shows("[served]")
            [console] = psutil.Process(served.process.pid).children()
            served.process.kill()
            _, left = await asyncio.to_thread(psutil.wait_procs, [console], PATIENCE)
            assert not left, "a console ends with its server, also when that is killed"


async def test_a_pasted_link_opens_its_view_and_nothing_can_be_changed(database: Database) -> None:
    async with serving(database) as served, browser() as client:
        async with client.get(served.url) as answer:
            title = (await answer.text()).partition("Watchfloor: ")[2].partition(" (")[0]
        async with client.get(f"{served.origin}/{title}/tenants?status:active") as answer:
            view = (await answer.text()).partition('websocket-url="')[2].partition('"')[0]
        assert "view=" in view
        async with client.ws_connect(f"{view}&width=120&height=40", origin=served.origin) as socket:
            tab = Tab(socket)
            await tab.shows("tenants", "status:active", "default")
            await tab.type("a")
            await tab.shows("Nothing can be done here as viewer")
            await tab.type("e")
            await tab.shows("a console in a browser writes no files")
            await socket.send_str("no message of the protocol")
            async with asyncio.timeout(PATIENCE):
                while not socket.closed:
                    await socket.receive()


@pytest.mark.parametrize("role", ["operator", "admin"])
async def test_a_login_that_can_change_something_is_not_served(database: Database, role: str) -> None:
    async with serving(database, role=role) as served:
        assert "serve_role" in served.url


@pytest.mark.skipif(chromium.program() is None, reason="no Chromium is installed here: apt-get install chromium")
async def test_a_real_browser_shows_it_and_another_page_does_not_get_in(database: Database, tmp_path: Path) -> None:
    async with serving(database) as served, chromium.page(tmp_path) as page:
        await page.ask("Page.navigate", url=served.url)
        await page.until("document.body && document.body.classList.contains('-first-byte')")
        assert await page.value("location.href") == f"{served.origin}/", "the token has left the address bar"
        assert await page.value("document.cookie") == "", "no script can read the cookie"
        assert (await page.value("document.title")).startswith("Watchfloor: ")
        assert page.complaints == []
        await page.ask("Page.navigate", url="data:text/html,foreign")
        await page.until("document.body && document.body.innerText == 'foreign'")
        opening = f"const s = new WebSocket('{served.origin.replace('http', 'ws')}/ws')"
        ends = "s.onopen = () => done('open'); s.onerror = () => done('refused')"
        assert await page.value(f"new Promise(done => {{ {opening}; {ends} }})") == "refused"
