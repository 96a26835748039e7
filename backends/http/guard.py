"""Where we connect to: a name is resolved once, every address is checked, and a checked address is connected to.

Nothing is resolved a second time, so a name cannot change in between; TLS is still for the name. One bad address among
good ones refuses the name: whoever answers with both waits for us to take the bad one.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import httpcore

from controlplane.deliveries.addresses import forbidden
from controlplane.deliveries.model import Trouble
from controlplane.deliveries.targets import NOTHING_ALLOWED, Allowed, address_refused
from controlplane.text import clean

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError."""
MAX_ADDRESSES_TRIED = 4
CONNECT_SECONDS = 5.0


class Guard:
    """`allowed`: targets that may be anywhere."""

    def __init__(self, allowed: Allowed = NOTHING_ALLOWED, resolve: Resolve | None = None) -> None:
        self.allowed = allowed
        self._free = {(origin.host, origin.port) for origin in allowed}
        self._resolve = resolve or resolved

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Those to try in this order. Raises Trouble `unresolved`, `refused_here`."""
        host = host.lower().removesuffix(".")
        try:
            found = [*dict.fromkeys(await self._resolve(host))]
        except (OSError, UnicodeError):  # UnicodeError: a label that is too long
            found = []
        if not found:
            raise Trouble("unresolved", f"{clean(host, 100)} has no address.")
        if (host, port) not in self._free:
            for address in found:
                if words := forbidden(address):
                    refusal = address_refused(host, address, words)
                    raise Trouble("refused_here", f"{refusal.message} {refusal.hint}")
        return found[:MAX_ADDRESSES_TRIED]

    async def socket(self, host: str, port: int) -> socket.socket:
        """A connected one. Raises Trouble as `addresses` does, and OSError, TimeoutError."""
        loop = asyncio.get_running_loop()
        fault: OSError = OSError("no address")
        for address in await self.addresses(host, port):
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await loop.sock_connect(made, (address, port))
                return made
            except OSError as error:  # TimeoutError is one
                made.close()
                fault = error
            except BaseException:
                made.close()
                raise
        raise fault


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """What httpx connects through."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._guard.addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def resolved(host: str) -> Sequence[str]:
    """As the system resolves it, in a thread of its own: a name server that hangs holds up nobody else.

    The executor's threads would be few, and waited for when the program ends.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(addresses: Sequence[str], fault: Exception | None) -> None:
        if future.done():
            return
        if fault is None:
            future.set_result(addresses)
        else:
            future.set_exception(fault)

    def look_up() -> None:
        addresses: Sequence[str] = ()
        fault: Exception | None = None
        try:
            addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except Exception as error:
            fault = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, addresses, fault)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return await future
