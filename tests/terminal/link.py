"""A link between the program and its PostgreSQL that can be cut, frozen and slowed.

with CutLink(("127.0.0.1", 5432)) as link:      # or CutLink("/folder/.s.PGSQL.5432")
    connect(host="127.0.0.1", port=link.port)
    link.cut()
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self


class CutLink:
    def __init__(self, target: tuple[str, int] | str) -> None:
        """`target` is (host, port) or the path of a unix socket. The program connects to 127.0.0.1, `port`."""
        self._target = target
        self.port = 0
        self._seconds_each_way = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._flowing = asyncio.Event()
        self._marker, self._delivers, self._whole = b"", True, True
        self.silenced = threading.Event()
        """Set when `silence_at` has met its marker."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset all connections and refuse new ones, until `restore`."""
        self._do(self._cut())

    def freeze(self) -> None:
        """Connections stay open and nothing comes through any more, in either direction, until `restore`."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def silence_at(self, marker: bytes, *, delivers: bool = True, whole: bool = True) -> None:
        """Freeze when a client says this: after it was delivered, or before. `whole`: all connections, the new ones
        too; else only the one that said it.
        """
        self.silenced.clear()
        self._delivers, self._whole, self._marker = delivers, whole, marker

    def restore(self) -> None:
        """As at the beginning: connections are taken, what was frozen flows on."""
        self._do(self._listen())

    def delay(self, milliseconds: float) -> None:
        """Every round trip takes that much longer, from now on."""
        self._seconds_each_way = milliseconds / 2000

    def connections(self) -> int:
        return len(self._writers) // 2

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _reset(writer)

    async def _end(self) -> None:
        await self._cut()
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # asyncio would complain of a task that the end cancels
            await self._join(reader, writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            if isinstance(self._target, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            self._writers.discard(writer)
            _reset(writer)
            return
        self._writers.add(far_writer)
        try:
            own = asyncio.Event()
            own.set()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, far_writer, own))
                both.create_task(self._carry(far_reader, writer, own))
        finally:
            self._writers -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: asyncio.Event) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(queue, writer, own))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    queue.put_nowait((self._loop.time() + self._seconds_each_way, data))
            queue.put_nowait((self._loop.time() + self._seconds_each_way, b""))
            await delivering
        finally:
            delivering.cancel()

    async def _deliver(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, own: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                if met := bool(self._marker) and self._marker in data:
                    self._marker = b""
                    if self._delivers:
                        writer.write(data)
                    (self._flowing if self._whole else own).clear()
                    self.silenced.set()
                await self._flowing.wait()
                await own.wait()
                if not data:
                    writer.write_eof()
                    return
                if not (met and self._delivers):
                    writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: the other side sees a broken connection, not an orderly end."""
    ends = writer.get_extra_info("socket")
    if ends is not None and ends.family == socket.AF_INET:
        with contextlib.suppress(OSError):
            ends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
