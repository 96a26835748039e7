"""Connections that are kept for the next request to the same place, each used by one request at a time.

httpx's own pool hands an idle connection to several requests that wait, and lets all but one try again: under load one
of them waited 13 s, by chance. Here a request has its connection to itself.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import certifi
import httpcore
import httpx

from backends.http.guard import Guard, GuardedNetwork

MAX_KEPT = 32
KEPT_SECONDS = 5.0


class Connections:
    """With a guard, only to where notices may be sent. `context`: the authorities to trust; None: see `trusted`."""

    def __init__(self, guard: Guard | None, context: ssl.SSLContext | None) -> None:
        self._network = None if guard is None else GuardedNetwork(guard)
        self._context = context
        self._kept: list[tuple[str, float, _Transport]] = []

    @asynccontextmanager
    async def to(self, url: httpx.URL) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """One that is kept, or a new one; kept afterwards, unless something went wrong."""
        origin = f"{url.scheme}://{url.netloc.decode()}"
        transport = self._take(origin) or _Transport(await self._authorities(), self._network)
        try:
            yield transport
        except BaseException:
            await transport.aclose()
            raise
        self._kept.append((origin, time.monotonic(), transport))
        await self._drop(MAX_KEPT, KEPT_SECONDS)

    async def close(self) -> None:
        await self._drop(0, 0)

    def _take(self, origin: str) -> _Transport | None:
        """The one that was used last."""
        for place in range(len(self._kept) - 1, -1, -1):
            if self._kept[place][0] == origin:
                return self._kept.pop(place)[2]
        return None

    async def _drop(self, most: int, seconds: float) -> None:
        while self._kept and (len(self._kept) > most or self._kept[0][1] < time.monotonic() - seconds):
            await self._kept.pop(0)[2].aclose()

    async def _authorities(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = await asyncio.to_thread(trusted)
        return self._context


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own for one connection, made through a network of ours.

    It has no parameter for that, so its pool is made here. Were httpx to call it something else one day, nothing would
    be sent, rather than sent unchecked.
    """

    def __init__(self, context: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=1, keepalive_expiry=KEPT_SECONDS, network_backend=network
        )


def trusted() -> ssl.SSLContext:
    """What the system trusts (SSL_CERT_FILE included), and certifi's list for a machine that has none. It blocks."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context
