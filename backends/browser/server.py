"""The console in a browser: one process of the console for each tab, behind a token, to one origin.

Whoever has the token gets in, and no other web page does: the cookie is this server's own, a WebSocket is opened only
from its own origin, and a request for another host name (DNS rebinding) is refused. The processes are those of
textual-serve's protocol; pages, checks and limits are ours.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from controlplane.text import clean

MAX_LINK = 2000
MAX_MESSAGE_BYTES = 65_536
SMALLEST, LARGEST = (20, 5), (500, 200)
ENDS_WITHIN_SECONDS = 5.0
SESSION_HOURS = 12
MAX_SESSIONS = 1000
STATICS = {"js/textual.js": "text/javascript", "css/xterm.css": "text/css",
           "fonts/RobotoMono-VariableFont_wght.ttf": "font/ttf"}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " font-src 'self'; img-src 'self' data:; connect-src {socket}; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/static/css/xterm.css">
<script src="/static/js/textual.js"></script>
<style>
@font-face {{ font-family: "Roboto Mono"; src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf"); }}
html, body {{ margin: 0; height: 100%; background: #101418; color: #d0d0d0; font: 16px "Roboto Mono", monospace; }}
.textual-terminal {{ height: 100vh; }}
.ended {{ display: none; position: absolute; inset: 0; background: #101418; padding: 2em; z-index: 9; }}
body.-closed .ended {{ display: block; }}
</style></head><body>
<p class="ended">The console has ended. Load the page again to begin anew.</p>
<div id="terminal" class="textual-terminal" data-session-websocket-url="{socket}" data-font-size="16"></div>
</body></html>
"""


@dataclass(frozen=True)
class Place:
    """`url`: the address that the browser sees; `context`: the only one that a link may lead to. `command` gives the
    program and its words for a link ("" for none); `environment` is that of each console.
    """

    url: str
    token: str = field(repr=False)
    context: str
    title: str
    command: Callable[[str], Sequence[str]]
    environment: Mapping[str, str] = field(repr=False)
    most: int


class Console(AppService):
    """One console. It is started without a shell, and may neither send files nor open addresses in the browser."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], socket: web.WebSocketResponse) -> None:
        super().__init__(
            "", write_bytes=socket.send_bytes, write_str=socket.send_str, close=_closing(socket),
            download_manager=DownloadManager(),
        )  # fmt: skip
        self.words, self.environment = words, environment

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        environment = {
            **self.environment,
            "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
            "TEXTUAL_COLOR_SYSTEM": "truecolor",
            "COLUMNS": str(width),
            "ROWS": str(height),
        }
        self._process = await asyncio.create_subprocess_exec(
            *self.words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        return self._process

    async def on_meta(self, data: bytes) -> None:
        if json.loads(data).get("type") == "exit":
            await self.remote_close()

    async def on_packed(self, payload: bytes) -> None:
        """A file for the browser: none is sent."""

    async def end(self) -> None:
        """Ask it to end; it is ended if it does not."""
        process = self._process
        try:
            async with asyncio.timeout(ENDS_WITHIN_SECONDS):
                await self.stop()
                if process is not None:
                    await process.wait()
        except (TimeoutError, OSError):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()


def _closing(socket: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await socket.close()

    return close


class Server:
    def __init__(self, place: Place, clock: Callable[[], float]) -> None:
        """`clock`: seconds that only go forward."""
        self.place, self.clock = place, clock
        self.origin = urlsplit(place.url)
        self.cookie = f"watchfloor_{self.origin.port or 0}"  # cookies are shared by the ports of a host
        self.sessions: dict[str, float] = {}
        self.open = 0

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.check], client_max_size=1024)
        application.add_routes(
            [
                web.get("/static/{name:.+}", self.static),
                web.get("/ws", self.socket),
                web.get("/favicon.ico", self.no_icon),
                web.get("/", self.page),
                web.get("/{link:.+}", self.page),
            ]
        )
        return application

    @property
    def socket_url(self) -> str:
        return f"{'wss' if self.origin.scheme == 'https' else 'ws'}://{self.origin.netloc}/ws"

    # Who gets in

    @web.middleware
    async def check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.host != self.origin.netloc:
            return self._said(421, "This address is not served here.")
        if request.path == "/" and "token" in request.query:
            return self._entered(request)
        if not self._inside(request):
            return self._said(401, "Open the address with its token first, as watchfloor serve printed it.")
        if request.path == "/ws" and request.headers.get("Origin") != self.place.url:
            return self._said(403, "Another page may not open a console here.")
        return await handler(request)

    def _entered(self, request: web.Request) -> web.StreamResponse:
        """The token is exchanged for a cookie, and leaves the address bar."""
        if not hmac.compare_digest(request.query["token"].encode(), self.place.token.encode()):
            return self._said(401, "The token is not right.")
        now = self.clock()
        self.sessions = {name: until for name, until in self.sessions.items() if until > now}
        if len(self.sessions) >= MAX_SESSIONS:
            return self._said(503, "Too many browsers have come in; try again later.")
        name = secrets.token_urlsafe(32)
        self.sessions[name] = now + SESSION_HOURS * 3600
        response = web.Response(status=303, headers={**self._headers(), "Location": "/"})
        response.set_cookie(
            self.cookie, name, httponly=True, samesite="Strict", path="/", secure=self.origin.scheme == "https",
            max_age=SESSION_HOURS * 3600,
        )  # fmt: skip
        return response

    def _inside(self, request: web.Request) -> bool:
        return self.sessions.get(request.cookies.get(self.cookie, ""), 0.0) > self.clock()

    # What is served

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATICS:
            return self._said(404, "There is no such file.")
        content = files("textual_serve").joinpath("static", name).read_bytes()
        headers = {**self._headers(), "Content-Type": STATICS[name], "Cache-Control": "private, max-age=3600"}
        return web.Response(body=content, headers=headers)

    async def no_icon(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers=self._headers())

    async def page(self, request: web.Request) -> web.StreamResponse:
        link = self._link(request.path.removeprefix("/") + (f"?{request.query_string}" if request.query_string else ""))
        if link is None:
            return self._said(404, f"The link leads elsewhere: only {self.place.context} is shown here.")
        socket = html.escape(self.socket_url + (f"?view={quote(link, safe='')}" if link else ""), quote=True)
        page = PAGE.format(title=html.escape(self.place.title), socket=socket)
        return web.Response(text=page, headers={**self._headers(), "Content-Type": "text/html; charset=utf-8"})

    def _link(self, text: str) -> str | None:
        """The link; "" for none. None: it cannot be one of this context. It becomes a word of a command line."""
        from urllib.parse import unquote

        link = unquote(text).removeprefix("watchfloor ").strip("'")
        if not link:
            return ""
        fits = len(link) <= MAX_LINK and link.isprintable() and link.startswith(f"{self.place.context}/")
        return link if fits and not link.startswith("-") else None

    async def socket(self, request: web.Request) -> web.StreamResponse:
        link = self._link(request.query.get("view", ""))
        if link is None:
            return self._said(404, "The link leads elsewhere.")
        if self.open >= self.place.most:
            return self._said(503, f"{self.place.most} consoles are open: close one.")
        self.open += 1
        try:
            socket = web.WebSocketResponse(heartbeat=15, max_msg_size=MAX_MESSAGE_BYTES)
            await socket.prepare(request)
            console = Console(self.place.command(link), self.place.environment, socket)
            try:
                await console.start(*_size(request.query.get("width"), request.query.get("height")))
                await _talk(socket, console)
            finally:
                await console.end()
            return socket
        finally:
            self.open -= 1

    def _headers(self) -> dict[str, str]:
        return {name: value.replace("{socket}", self.socket_url) for name, value in HEADERS.items()}

    def _said(self, status: int, words: str) -> web.Response:
        return web.Response(status=status, text=f"{clean(words, 300)}\n", headers=self._headers())


def _size(width: Any, height: Any) -> tuple[int, int]:
    found = []
    for value, least, most, usual in zip((width, height), SMALLEST, LARGEST, (80, 24), strict=True):
        text = str(value)
        found.append(min(max(int(text), least), most) if text.isascii() and text.isdigit() and len(text) < 6 else usual)
    return found[0], found[1]


async def _talk(socket: web.WebSocketResponse, console: Console) -> None:
    """Pass on what the browser says, until it leaves. What is no message of the protocol ends the talk."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            kind, *rest = json.loads(message.data)
            said = rest[0] if rest else None
        except (ValueError, TypeError, RecursionError):
            return
        if kind == "stdin" and isinstance(said, str):
            await console.send_bytes(said.encode("utf-8", "replace"))
        elif kind == "resize" and isinstance(said, dict):
            await console.set_terminal_size(*_size(said.get("width"), said.get("height")))
        elif kind == "ping":
            await socket.send_json(["pong", said if isinstance(said, str | int | float) else 0])
        elif kind in ("blur", "focus"):
            await (console.blur() if kind == "blur" else console.focus())


async def serve(server: Server, host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve until it is cancelled; every console ends with it. Raises OSError when the port is taken."""
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=ENDS_WITHIN_SECONDS + 1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        ready()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
