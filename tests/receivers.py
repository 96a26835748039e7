"""Real receivers on loopback, over HTTP, HTTPS and SMTP: they hear what was sent, and answer as a test wants it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trustme

NAME = "hooks.test"
Answering = Callable[["Heard", asyncio.StreamWriter], Awaitable[None]]


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def trusted(self) -> ssl.SSLContext:
        """What a client is given that trusts this authority, and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context


@dataclass(frozen=True)
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes
    server_name: str = ""


@dataclass
class Receiver:
    """What came in: each request, and how many connections there were."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, requests: int) -> None:
        """Wait for so many of them."""
        while len(self.heard) < requests:
            self.news.clear()
            await self.news.wait()


def says(status: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answering:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            f"content-length: {len(body)}",
            *(f"{k}: {v}" for k, v in (headers or {}).items()),
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


TAKES_IT = says("200 OK", b"ok")


def raw(data: bytes) -> Answering:
    """Exactly these bytes, and the end."""

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


def drips(first: bytes, piece: bytes) -> Answering:
    """Something all the time, and never the end."""

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


async def hangs(heard: Heard, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def receiving(
    answer: Answering | Sequence[Answering] = TAKES_IT, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """An HTTP server; of several answers each is given once, the last one from then on."""
    receiver = Receiver()
    answers = [answer] if callable(answer) else list(answer)
    names: list[str] = []
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: names.append(name or "")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            while not writer.is_closing():
                receiver.heard.append(await _heard(reader, names[-1] if names else ""))
                receiver.news.set()
                current = answers.pop(0) if len(answers) > 1 else answers[0]
                await current(receiver.heard[-1], writer)
                await writer.drain()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_closing(serve(reader, writer), writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async with _listening(accept, context, tasks) as receiver.port:
        yield receiver


async def _heard(reader: asyncio.StreamReader, name: str) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in head[1:] if line]
    headers = {key.lower(): value for key, _, value in pairs}
    assert len(headers) == len(pairs), "a header came twice"
    return Heard(head[0].split(" ")[1], headers, await reader.readexactly(int(headers.get("content-length", 0))), name)


@dataclass
class Mailbox:
    """What a mail server was told and given. `answers`: by its verb, what it answers instead of yes."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@asynccontextmanager
async def mail_server(
    context: ssl.SSLContext | None, implicit: bool = False, **answers: bytes
) -> AsyncIterator[Mailbox]:
    """An SMTP server. With a context it offers STARTTLS, or speaks TLS from the start; AUTH only over TLS."""
    mailbox = Mailbox(answers={verb.upper(): answer for verb, answer in answers.items()})
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure = implicit
        writer.write(mailbox.answers.get("GREETING", b"220 mail.test ESMTP\r\n"))
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            mailbox.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb in mailbox.answers:
                writer.write(mailbox.answers[verb])
            elif verb == "EHLO":
                offers = ["AUTH PLAIN"] if secure else ["STARTTLS"] if context else []
                lines = ["250-mail.test", *(f"250-{offer}" for offer in offers), "250 8BITMIME", ""]
                writer.write("\r\n".join(lines).encode())
            elif verb == "STARTTLS":
                writer.write(b"220 go ahead\r\n")
                await writer.drain()
                assert context is not None
                await writer.start_tls(context)
                secure = True
            elif verb == "AUTH":
                mailbox.logins.append(base64.b64decode(line.split(" ")[2]).decode())
                writer.write(b"235 welcome\r\n")
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                mailbox.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                writer.write(mailbox.answers.get("END", b"250 queued as 41\r\n"))
            else:
                writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 fine\r\n")
            await writer.drain()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_closing(serve(reader, writer), writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async with _listening(accept, context if implicit else None, tasks) as mailbox.port:
        yield mailbox


async def _closing(work: Awaitable[None], writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(asyncio.IncompleteReadError, OSError):
            await work
    finally:
        writer.close()


@asynccontextmanager
async def _listening(
    accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
    context: ssl.SSLContext | None,
    tasks: set[asyncio.Task[None]],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
