"""The one place that speaks HTTP: no redirect is followed, no proxy or setting of the environment is used, no cookie is
kept, an answer is read up to a bound, and everything together is done within a time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from backends.http.connections import Connections
from backends.http.guard import CONNECT_SECONDS, Guard
from controlplane.deliveries.model import Trouble
from controlplane.text import clean


@dataclass(slots=True)
class Received:
    """`cut`: there was more than was read. `broken`: why the body is not whole, though status and headers are."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytearray = field(repr=False, default_factory=bytearray)
    cut: bool = False
    broken: Trouble | None = None


class Http:
    """With a guard it connects only to where notices may be sent. `context`: the authorities to trust."""

    def __init__(self, guard: Guard | None = None, context: ssl.SSLContext | None = None) -> None:
        self._connections = Connections(guard, context)

    async def post(
        self, url: str, headers: Iterable[tuple[str, str]], content: bytes, *, seconds: float, most: int
    ) -> Received:
        """Within so many seconds, at most so many bytes of the answer. Raises Trouble when there is no status."""
        return await self._within("POST", url, headers, content, seconds, most)

    async def get(self, url: str, headers: Iterable[tuple[str, str]], *, seconds: float, most: int) -> Received:
        """As `post`."""
        return await self._within("GET", url, headers, b"", seconds, most)

    async def ask(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] = (), content: bytes = b"", *,
        seconds: float, most: int
    ) -> Received:  # fmt: skip
        """By any method, as `post`."""
        return await self._within(method, url, headers, content, seconds, most)

    async def _within(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], content: bytes, seconds: float, most: int
    ) -> Received:
        start = time.monotonic()
        answers: list[Received] = []
        try:
            async with asyncio.timeout(seconds):
                await self._send(method, url, headers, content, most, answers)
        except Trouble as fault:
            trouble = fault
        except TimeoutError:
            trouble = Trouble("slow", f"There was no answer within {seconds:g} s.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            trouble = _trouble(error)
        else:
            return answers[0]
        trouble.seconds = time.monotonic() - start
        if not answers:
            raise trouble
        answers[0].broken = trouble
        return answers[0]

    async def close(self) -> None:
        await self._connections.close()

    async def _send(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        content: bytes,
        most: int,
        answers: list[Received],
    ) -> None:
        # Not compressed: a few bytes of an answer could stand for gigabytes.
        sent = [(name.encode(), value.encode()) for name, value in (*headers, ("accept-encoding", "identity"))]
        timeouts = httpx.Timeout(None, connect=CONNECT_SECONDS).as_dict()
        request = httpx.Request(method, url, headers=sent, content=content, extensions={"timeout": timeouts})
        async with self._connections.to(request.url) as transport:
            response = await transport.handle_async_request(request)
            answers.append(received := Received(response.status_code, response.headers))
            try:
                async for piece in response.aiter_raw():
                    received.body += piece[: most - len(received.body) + 1]
                    if len(received.body) > most:
                        del received.body[most:]
                        received.cut = True
                        break
            finally:
                await response.aclose()


def is_url(text: str) -> bool:
    """Whether httpx can read it."""
    try:
        return isinstance(httpx.URL(text).host, str)
    except (httpx.InvalidURL, ValueError):
        return False


def of_tls(error: BaseException | None) -> bool:
    """Whether it comes from a fault of TLS."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _trouble(error: Exception) -> Trouble:
    words = clean(str(error) or type(error).__name__, 200).rstrip(".")
    if of_tls(error):
        return Trouble("tls", f"No secure connection could be made: {words}.")
    if isinstance(error, httpx.ConnectTimeout):
        return Trouble("unreachable", f"No connection could be made within {CONNECT_SECONDS:g} s.")
    if isinstance(error, httpx.ProtocolError | httpx.InvalidURL | httpx.DecodingError):
        return Trouble("protocol", f"What came back is not HTTP: {words}.")
    return Trouble("unreachable", f"It cannot be reached: {words}.")
